package io.sluice.conntrack;

/**
 * Life of an entry in the flow table. The TCP names are those of RFC 9293 as the initiator sees
 * them.
 *
 * <p>In every state all fields of {@link FlowEntry} are valid, and the entry may be advanced,
 * judged and closed. Only {@link Conntrack#advance} moves an entry from one state to another; each
 * move sets the deadline anew, and so does each packet that moves nothing. An entry whose deadline
 * has passed is as good as absent in whatever state it is. The constants below say what else holds.
 */
public enum FlowState {
    /**
     * TCP: the initiator has sent SYN. Left by SYN or SYN+ACK of the responder ({@link
     * #SYN_RECEIVED}) or RST of either ({@link #CLOSED}). Repeated SYNs stay here. Deadline: {@code
     * tcpSynTimeoutNs}.
     */
    SYN_SENT(0),

    /**
     * TCP: both have sent SYN, also by simultaneous open (RFC 9293 section 3.5). Left by ACK of the
     * initiator ({@link #ESTABLISHED}), FIN or RST. Deadline: {@code tcpSynTimeoutNs}.
     */
    SYN_RECEIVED(1),

    /**
     * TCP: the handshake is complete. A SYN here does not start the flow anew: the receiver answers
     * it with a challenge ACK (RFC 5961 section 4), and if the sender has indeed forgotten the
     * connection, its RST follows. Left by FIN or RST. Deadline: {@code tcpEstablishedTimeoutNs}.
     */
    ESTABLISHED(2),

    /**
     * TCP: opened by a plain ACK, so a connection older than the table ({@code tcpLoose}); which
     * side really opened it is not known, the sender of that ACK counts as initiator. Left by ACK
     * of the responder ({@link #ESTABLISHED}), FIN or RST. Until the other side was seen the long
     * established timeout must not apply: one forged ACK would hold a slot for hours. Deadline:
     * {@code tcpSynTimeoutNs}.
     */
    PICKED_UP(3),

    /**
     * TCP: the initiator has sent FIN, the responder may go on sending. Left by FIN of the
     * responder ({@link #CLOSING}) or RST. Deadline: {@code tcpFinWaitTimeoutNs}.
     */
    FIN_WAIT(4),

    /**
     * TCP: the responder has sent FIN, the initiator may go on sending. Left by FIN of the
     * initiator ({@link #CLOSING}) or RST. Deadline: {@code tcpFinWaitTimeoutNs}.
     */
    CLOSE_WAIT(5),

    /**
     * TCP: both have sent FIN; last ACKs and repetitions still pass. A SYN of either side is NEW
     * and its flow replaces this one. Left by RST. Deadline: {@code tcpClosingTimeoutNs}.
     */
    CLOSING(6),

    /**
     * TCP: one side has sent RST. Packets still match, so that the RST's repetitions reach the
     * other side and a forged RST does not stop a connection that goes on. A SYN of either side is
     * NEW and its flow replaces this one. Never left. Deadline: {@code tcpClosingTimeoutNs}.
     */
    CLOSED(7),

    /**
     * Not TCP: only the initiator has sent. Left by the responder's first packet ({@link
     * #REPLIED}). Deadline: by protocol, {@code udpUnrepliedTimeoutNs}, {@code icmpTimeoutNs} or
     * {@code otherTimeoutNs}.
     */
    UNREPLIED(8),

    /**
     * Not TCP: both sides have sent. UDP leaves it for {@link #STREAM} by a packet more than 2 s
     * after the flow was opened. Deadline: by protocol, {@code udpRepliedTimeoutNs}, {@code
     * icmpTimeoutNs} or {@code otherTimeoutNs}.
     */
    REPLIED(9),

    /**
     * UDP: both sides have sent, and more than a question and its answer. Never left. Deadline:
     * {@code udpStreamTimeoutNs}.
     */
    STREAM(10);

    /** The constants by {@link #code}. */
    private static final FlowState[] BY_CODE = values();

    /** What a slot holds for the constant: its place in this list. */
    final byte code;

    FlowState(final int code) {
        this.code = (byte) code;
    }

    static FlowState of(final byte code) {
        return BY_CODE[code];
    }
}
