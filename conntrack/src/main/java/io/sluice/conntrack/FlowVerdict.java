package io.sluice.conntrack;

/** What policy said about a flow when it was last judged. */
public enum FlowVerdict {
    /** Packets of both directions pass. */
    ALLOW(0),

    /**
     * The flow is cut: packets of both directions are dropped, for {@link FlowEntry#dropReason}.
     */
    DENY(1),

    /** Packets of both directions go to the proxy, and from there on to the other side. */
    REDIRECT(2),

    /** Packets of both directions are judged by the DNS agent, one by one, before they pass. */
    PUNT(3);

    /** The constants by {@link #code}. */
    private static final FlowVerdict[] BY_CODE = values();

    /** What a slot holds for the constant: its place in this list. */
    final byte code;

    FlowVerdict(final int code) {
        this.code = (byte) code;
    }

    static FlowVerdict of(final byte code) {
        return BY_CODE[code];
    }
}
