package io.sluice.conntrack;

/**
 * How packets move a flow from state to state.
 *
 * <p>Theory of operation. The tracker follows flags and directions, as the Linux kernel's does
 * (net/netfilter/nf_conntrack_proto_tcp.c, {@code tcp_conntracks} and {@code tcp_valid_flags}), and
 * as Cilium's does. Which segments it is shown at all is for {@link TcpWindow} to say.
 *
 * <p>A packet that fits no transition passes and changes nothing: the tracker decides how long a
 * flow is remembered, never whether it is allowed. What it does decide is which packets can open a
 * flow and which are impossible.
 *
 * <p>All methods are pure. Thread: any.
 */
final class FlowTracker {
    static final int PROTOCOL_ICMP = 1;
    static final int PROTOCOL_TCP = 6;
    static final int PROTOCOL_UDP = 17;
    static final int PROTOCOL_ICMPV6 = 58;

    private static final int FIN = 0x01;
    private static final int SYN = 0x02;
    private static final int RST = 0x04;
    private static final int ACK = 0x10;
    private static final int URG = 0x20;

    /** The flags that make a combination possible or impossible; PSH, ECE, CWR say nothing. */
    private static final int SHAPE = FIN | SYN | RST | ACK | URG;

    /** Bit n is set if the combination n of {@link #SHAPE} exists (kernel: tcp_valid_flags). */
    private static final long WELL_FORMED =
            1L << SYN
                    | 1L << (SYN | URG)
                    | 1L << (SYN | ACK)
                    | 1L << RST
                    | 1L << (RST | ACK)
                    | 1L << (FIN | ACK)
                    | 1L << (FIN | ACK | URG)
                    | 1L << ACK
                    | 1L << (ACK | URG);

    private FlowTracker() {}

    static boolean isIcmp(final int protocol) {
        return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6;
    }

    /** Whether no TCP sends this combination: SYN+FIN, SYN+RST, none at all, FIN without ACK... */
    static boolean isImpossible(final int tcpFlags) {
        return tcpFlags != Conntrack.TCP_FLAGS_ABSENT
                && (WELL_FORMED >>> (tcpFlags & SHAPE) & 1) == 0;
    }

    /** Whether a well-formed combination asks for a connection: SYN without ACK. */
    static boolean opensTcp(final int tcpFlags) {
        return (tcpFlags & (SYN | ACK)) == SYN;
    }

    /**
     * Whether a well-formed combination belongs to the middle of a connection: ACK, nothing else.
     */
    static boolean continuesTcp(final int tcpFlags) {
        return (tcpFlags & (SYN | ACK | FIN | RST)) == ACK;
    }

    /** Whether a SYN may start a flow anew in the place of one in this state. */
    static boolean isOver(final FlowState state) {
        return state == FlowState.CLOSING || state == FlowState.CLOSED;
    }

    /**
     * Whether a flow makes way for a new one when the table is nearly full: nobody has answered,
     * the handshake is not complete, or the connection is over. The kernel calls all others
     * assured.
     */
    static boolean isExpendable(final FlowState state) {
        return switch (state) {
            case SYN_SENT, SYN_RECEIVED, PICKED_UP, CLOSING, CLOSED, UNREPLIED -> true;
            case ESTABLISHED, FIN_WAIT, CLOSE_WAIT, REPLIED, STREAM -> false;
        };
    }

    /** The state of a flow that a packet opens. */
    static FlowState first(final int protocol, final int tcpFlags) {
        if (protocol != PROTOCOL_TCP) {
            return FlowState.UNREPLIED;
        }
        return opensTcp(tcpFlags) ? FlowState.SYN_SENT : FlowState.PICKED_UP;
    }

    /**
     * The state after a packet.
     *
     * @param fromInitiator whether the initiator sent it, else the responder
     * @param tcpFlags well-formed, or {@link Conntrack#TCP_FLAGS_ABSENT}; ignored in the states
     *     that are not TCP's
     */
    static FlowState next(final FlowState state, final boolean fromInitiator, final int tcpFlags) {
        return switch (state) {
            case UNREPLIED -> fromInitiator ? state : FlowState.REPLIED;
            case REPLIED, STREAM -> state;
            case SYN_SENT -> {
                if (has(tcpFlags, RST)) {
                    yield FlowState.CLOSED;
                }
                yield has(tcpFlags, SYN) && !fromInitiator ? FlowState.SYN_RECEIVED : state;
            }
            case SYN_RECEIVED -> {
                final FlowState ending = ending(state, fromInitiator, tcpFlags);
                // In a simultaneous open the initiator's ACK comes with its repeated SYN.
                final boolean completes = ending == state && has(tcpFlags, ACK) && fromInitiator;
                yield completes ? FlowState.ESTABLISHED : ending;
            }
            case PICKED_UP -> {
                final FlowState ending = ending(state, fromInitiator, tcpFlags);
                final boolean completes = ending == state && has(tcpFlags, ACK) && !fromInitiator;
                yield completes ? FlowState.ESTABLISHED : ending;
            }
            case ESTABLISHED, FIN_WAIT, CLOSE_WAIT, CLOSING, CLOSED ->
                    ending(state, fromInitiator, tcpFlags);
        };
    }

    /** What FIN and RST do to a connection that both sides know of. */
    private static FlowState ending(
            final FlowState state, final boolean fromInitiator, final int tcpFlags) {
        if (has(tcpFlags, RST)) {
            return FlowState.CLOSED;
        }
        if (!has(tcpFlags, FIN) || isOver(state)) {
            return state;
        }
        if (state == (fromInitiator ? FlowState.CLOSE_WAIT : FlowState.FIN_WAIT)) {
            return FlowState.CLOSING;
        }
        return fromInitiator ? FlowState.FIN_WAIT : FlowState.CLOSE_WAIT;
    }

    private static boolean has(final int tcpFlags, final int flag) {
        return (tcpFlags & flag) != 0;
    }
}
