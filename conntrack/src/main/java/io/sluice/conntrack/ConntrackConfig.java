package io.sluice.conntrack;

import java.util.concurrent.TimeUnit;

/**
 * Size and timeouts of the flow table. Immutable.
 *
 * <p>A timeout runs from the last packet of the flow. All are in nanoseconds, 1 ms to 30 days: well
 * inside the 292 years at which the comparison of clocks by difference would turn round.
 *
 * @param capacityFlows IPv4 flows the table holds at most, 64 to 16,777,216. Memory is 256 bytes a
 *     flow, rounded up to a power of two of flows: two slots for each, of 64 bytes hot and 64 cold
 * @param capacityFlowsIpv6 IPv6 flows the table holds at most, in the same range. Memory is 384
 *     bytes a flow, rounded up alike: the hot part of a slot has 128 bytes
 * @param tcpSynTimeoutNs until the handshake is complete, and for picked up connections until the
 *     other side was seen (kernel: nf_conntrack_tcp_timeout_syn_recv; Cilium: SYN timeout)
 * @param tcpEstablishedTimeoutNs above the 2 hours of a default keepalive and above the 2 h 4 min
 *     of RFC 5382 REQ-5 (Cilium: 8000 s)
 * @param tcpFinWaitTimeoutNs while one side has finished and the other may go on (RFC 5382 REQ-5:
 *     at least 4 minutes)
 * @param tcpClosingTimeoutNs after both FINs, or an RST: for repetitions (Cilium: 10 s)
 * @param udpUnrepliedTimeoutNs kernel: nf_conntrack_udp_timeout
 * @param udpRepliedTimeoutNs a question that was answered; the 2 minutes of RFC 4787 REQ-5
 * @param udpStreamTimeoutNs both sides have sent, and traffic goes on {@value #UDP_STREAM_AFTER_NS}
 *     ns after the flow was opened (kernel: nf_conntrack_udp_timeout_stream)
 * @param icmpTimeoutNs for echo (kernel: nf_conntrack_icmp_timeout)
 * @param otherTimeoutNs for every other protocol (Cilium: 60 s)
 * @param tcpLoose whether a plain ACK without a flow may open one. It is judged like a SYN, so it
 *     gains its sender nothing that a SYN would not; and connections older than the table survive a
 *     restart of the switch. What it costs: after a restart the side that speaks first counts as
 *     the initiator, so a connection that its opener may no longer make goes on if its other side
 *     speaks first and may open one towards the opener. {@code false} closes that, and breaks every
 *     connection at a restart
 * @param tcpWindowCheck whether a TCP segment moves a flow only if its numbers fit what both sides
 *     have said: see {@link TcpWindow}
 */
public record ConntrackConfig(
        int capacityFlows,
        int capacityFlowsIpv6,
        long tcpSynTimeoutNs,
        long tcpEstablishedTimeoutNs,
        long tcpFinWaitTimeoutNs,
        long tcpClosingTimeoutNs,
        long udpUnrepliedTimeoutNs,
        long udpRepliedTimeoutNs,
        long udpStreamTimeoutNs,
        long icmpTimeoutNs,
        long otherTimeoutNs,
        boolean tcpLoose,
        boolean tcpWindowCheck) {

    /** Fewest flows: with twice as many slots every neighbourhood of 64 is distinct. */
    public static final int CAPACITY_FLOWS_MIN = 64;

    /** Most flows: 4 GiB of slots for IPv4, 6 GiB for IPv6. */
    public static final int CAPACITY_FLOWS_MAX = 1 << 24;

    /** Age, in ns, from which a UDP flow with traffic both ways is a stream (kernel: 2 s). */
    public static final long UDP_STREAM_AFTER_NS = 2_000_000_000L;

    private static final long TIMEOUT_NS_MIN = TimeUnit.MILLISECONDS.toNanos(1);
    static final long TIMEOUT_NS_MAX = TimeUnit.DAYS.toNanos(30);

    /**
     * @throws IllegalArgumentException if a value is out of its range
     */
    public ConntrackConfig {
        checkCapacity("capacityFlows", capacityFlows);
        checkCapacity("capacityFlowsIpv6", capacityFlowsIpv6);
        check("tcpSynTimeoutNs", tcpSynTimeoutNs);
        check("tcpEstablishedTimeoutNs", tcpEstablishedTimeoutNs);
        check("tcpFinWaitTimeoutNs", tcpFinWaitTimeoutNs);
        check("tcpClosingTimeoutNs", tcpClosingTimeoutNs);
        check("udpUnrepliedTimeoutNs", udpUnrepliedTimeoutNs);
        check("udpRepliedTimeoutNs", udpRepliedTimeoutNs);
        check("udpStreamTimeoutNs", udpStreamTimeoutNs);
        check("icmpTimeoutNs", icmpTimeoutNs);
        check("otherTimeoutNs", otherTimeoutNs);
    }

    /** 1,048,576 IPv4 flows and 262,144 of IPv6: 256 and 96 MiB of slots. */
    public static ConntrackConfig defaults() {
        return new ConntrackConfig(
                1 << 20,
                1 << 18,
                TimeUnit.SECONDS.toNanos(60),
                TimeUnit.SECONDS.toNanos(8000),
                TimeUnit.SECONDS.toNanos(240),
                TimeUnit.SECONDS.toNanos(10),
                TimeUnit.SECONDS.toNanos(30),
                TimeUnit.SECONDS.toNanos(120),
                TimeUnit.SECONDS.toNanos(180),
                TimeUnit.SECONDS.toNanos(30),
                TimeUnit.SECONDS.toNanos(60),
                true,
                true);
    }

    /** How long a flow in a state is remembered after a packet. */
    long timeoutNs(final int protocol, final FlowState state) {
        return switch (state) {
            case SYN_SENT, SYN_RECEIVED, PICKED_UP -> tcpSynTimeoutNs;
            case ESTABLISHED -> tcpEstablishedTimeoutNs;
            case FIN_WAIT, CLOSE_WAIT -> tcpFinWaitTimeoutNs;
            case CLOSING, CLOSED -> tcpClosingTimeoutNs;
            case STREAM -> udpStreamTimeoutNs;
            case UNREPLIED, REPLIED ->
                    switch (protocol) {
                        case FlowTracker.PROTOCOL_UDP ->
                                state == FlowState.UNREPLIED
                                        ? udpUnrepliedTimeoutNs
                                        : udpRepliedTimeoutNs;
                        case FlowTracker.PROTOCOL_ICMP, FlowTracker.PROTOCOL_ICMPV6 ->
                                icmpTimeoutNs;
                        default -> otherTimeoutNs;
                    };
        };
    }

    private static void checkCapacity(final String name, final int flows) {
        if (flows < CAPACITY_FLOWS_MIN || flows > CAPACITY_FLOWS_MAX) {
            throw new IllegalArgumentException(
                    "conntrack "
                            + name
                            + " "
                            + flows
                            + ": accepted are "
                            + CAPACITY_FLOWS_MIN
                            + " to "
                            + CAPACITY_FLOWS_MAX);
        }
    }

    private static void check(final String name, final long timeoutNs) {
        if (timeoutNs < TIMEOUT_NS_MIN || timeoutNs > TIMEOUT_NS_MAX) {
            throw new IllegalArgumentException(
                    "conntrack "
                            + name
                            + " "
                            + timeoutNs
                            + ": accepted are "
                            + TIMEOUT_NS_MIN
                            + " (1 ms) to "
                            + TIMEOUT_NS_MAX
                            + " (30 days)");
        }
    }
}
