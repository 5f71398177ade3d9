package io.sluice.control.policy;

/**
 * What one policy, or the end of a tier, says about one packet.
 *
 * @param kind what it says
 * @param by who says it, for a reader of a failed test
 */
record Ruling(Kind kind, String by) {
    enum Kind {
        /** Final for this direction. */
        ALLOW,
        /** Final for this direction. */
        DENY,
        /** The rest of the tier is skipped. */
        PASS,
        /** The policy selects the endpoint, but none of its rules is about the packet. */
        NO_RULE,
        /** The policy has no say about this endpoint in this direction. */
        NOT_SELECTED
    }

    static final Ruling NO_RULE = new Ruling(Kind.NO_RULE, "no rule");
    static final Ruling NOT_SELECTED = new Ruling(Kind.NOT_SELECTED, "not selected");

    static Ruling allow(final String by) {
        return new Ruling(Kind.ALLOW, by);
    }

    static Ruling deny(final String by) {
        return new Ruling(Kind.DENY, by);
    }

    static Ruling pass(final String by) {
        return new Ruling(Kind.PASS, by);
    }

    boolean allows() {
        return kind == Kind.ALLOW;
    }
}
