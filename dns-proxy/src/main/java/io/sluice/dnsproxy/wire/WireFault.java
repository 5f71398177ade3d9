package io.sluice.dnsproxy.wire;

/** What is wrong with the bytes of a message. Names are stable: counters and logs use them. */
public enum WireFault {
    /** Nothing. */
    NONE("well formed"),
    /** Shorter than a header (RFC 1035 section 4.1.1). */
    HEADER_SHORT("fewer than 12 octets"),
    /** Longer than a length prefix over TCP can say. */
    MESSAGE_LONG("more than 65535 octets"),
    /** RFC 9619: one question, in queries and in answers to them. */
    QUESTION_COUNT("not exactly one question"),
    /** The counts promise more records than the octets left could hold at 11 octets a record. */
    COUNT_LIES("more records counted than fit"),
    /** A name, a fixed field or the data of a record ends after the message does. */
    TRUNCATED_RECORD("ends within a name or a record"),
    /** First octet of a label has bits 01 or 10 (RFC 6891 section 5 retired them). */
    LABEL_TYPE("label of a retired type, or longer than 63 octets"),
    /** RFC 1035 section 2.3.4. */
    NAME_LONG("name of more than 255 octets"),
    /** A pointer that does not lead to an earlier name; loops are made of these. */
    POINTER_FORWARD("compression pointer not to an earlier place"),
    /** More pointers in one name than a name has labels. */
    POINTER_CHAIN("compression pointers lead from one to the next too often"),
    /** Data of a known type that is shorter or longer than its fields. */
    RECORD_DATA("data of a record does not fit its type"),
    /** RFC 6891 section 6.1.1: at most one OPT, in the additional section, owned by the root. */
    OPT_MISPLACED("OPT twice, outside the additional section, or with a name"),
    /** Octets after the last record. */
    TRAILING_BYTES("octets after the last record");

    private final String sentence;

    WireFault(final String sentence) {
        this.sentence = sentence;
    }

    /** In words, without a full stop. */
    public String sentence() {
        return sentence;
    }
}
