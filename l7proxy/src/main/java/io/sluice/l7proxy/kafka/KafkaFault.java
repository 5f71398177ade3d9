package io.sluice.l7proxy.kafka;

/** Why a request is refused: the connection ends, and nothing of the request goes on. */
public enum KafkaFault {
    NONE("none"),
    LENGTH("the length of the request is less than that of its head, or over the limit"),
    CLIENT_ID("the client id does not fit into the request"),
    VARINT("a number of variable length that is over 2^31 - 1, or has no end"),
    BODY_LENGTH("a length or count within the request that does not fit into it"),
    BODY("the request is not as the protocol has it"),
    TOO_MUCH("the request names more topics or partitions than the limit"),
    HELD_TOO_MUCH("too many bytes wait for the rest of their requests");

    private final String meaning;

    KafkaFault(final String meaning) {
        this.meaning = meaning;
    }

    /** A phrase for people. */
    public String meaning() {
        return meaning;
    }
}
