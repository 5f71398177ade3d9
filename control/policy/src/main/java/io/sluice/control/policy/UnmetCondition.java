package io.sluice.control.policy;

/**
 * One condition of a rule, or of what a policy selects, that a packet does not meet. Immutable.
 *
 * @param kind what the condition is about
 * @param text one sentence without a full stop: what the rule asks for, and what is there
 * @param suggestion what was probably meant, where it looks like a slip of the pen; else empty
 */
public record UnmetCondition(Kind kind, String text, String suggestion) {
    /** What conditions are about. */
    public enum Kind {
        /** A label of the peer. */
        LABEL,
        /** The peer's namespace, or a label of that. */
        NAMESPACE,
        /** The peer's service account. */
        SERVICE_ACCOUNT,
        /** What the peer is: a pod, a node, the world. */
        PEER_KIND,
        /** A prefix that the peer's address is not in. */
        PREFIX,
        /** A prefix, or a selector, that the rule takes out and that the peer is in. */
        EXCEPT,
        /** A name that the peer's address was not learned from. */
        NAME,
        /** The rule matches nobody, or nothing is known of the peer. */
        NOBODY,
        /** Which of the endpoint's own addresses the rule is about. */
        OWN_ADDRESS,
        /** The IP protocol. */
        PROTOCOL,
        /** The destination port. */
        PORT,
        /** A port by name, which the destination lacks or has elsewhere. */
        NAMED_PORT,
        /** The source port. */
        SOURCE_PORT,
        /** ICMP type and code. */
        ICMP_TYPE,
        /** The request: HTTP, Kafka, a DNS name, a TLS server name. */
        REQUEST
    }

    static UnmetCondition of(final Kind kind, final String text) {
        return new UnmetCondition(kind, text, "");
    }

    /** Whether it is about the packet's protocol and ports, not about an end. */
    boolean isAboutTraffic() {
        return switch (kind) {
            case PROTOCOL, PORT, NAMED_PORT, SOURCE_PORT, ICMP_TYPE -> true;
            case LABEL,
                    NAMESPACE,
                    SERVICE_ACCOUNT,
                    PEER_KIND,
                    PREFIX,
                    EXCEPT,
                    NAME,
                    NOBODY,
                    OWN_ADDRESS,
                    REQUEST ->
                    false;
        };
    }

    /** The sentence, with the suggestion if there is one. */
    @Override
    public String toString() {
        return suggestion.isEmpty() ? text : text + ": did you mean " + suggestion + "?";
    }
}
