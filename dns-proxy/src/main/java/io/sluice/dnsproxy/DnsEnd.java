package io.sluice.dnsproxy;

/**
 * The possible ends of a message, each counted under its name. Names are stable.
 *
 * <p>What is left of a message that is not forwarded, released or held is nothing or an answer of
 * ours: see {@link DnsExchange.Step}.
 */
public enum DnsEnd {
    /** Query: a rule allows the name; forwarded as it came. */
    QUERY_FORWARDED("a rule allows the name"),
    /** Query: no rule allows the name, but the policy is audited; forwarded as it came. */
    QUERY_AUDITED("no rule allows the name; audited, so it passes"),
    /** Query: no rule allows the name; answered. */
    QUERY_DENIED("no rule allows the name"),
    /**
     * Query: opcode other than QUERY (UPDATE, NOTIFY): names in rules speak of queries; refused.
     */
    QUERY_NOT_STANDARD("not a standard query"),
    /** Query: zone transfer, whose answer would be many messages; refused. */
    QUERY_TRANSFER("zone transfer"),
    /** Query: dropped. */
    QUERY_MALFORMED("query is malformed"),
    /** Query: QR says that it is an answer; dropped. */
    QUERY_IS_ANSWER("answer where a query belongs"),
    /** Query: records beside the question that are neither EDNS nor a signature; dropped. */
    QUERY_WITH_RECORDS("query with records"),
    /** Query: the endpoint has as many open as it may; dropped. */
    QUERY_PENDING_FULL("too many queries in flight"),
    /** Pending query: no answer in time; forgotten, a later answer is {@link #ANSWER_UNASKED}. */
    QUERY_TIMED_OUT("no answer in time"),
    /** Answer: everything it names is live; released as it came. */
    ANSWER_RELEASED("answer released"),
    /** Answer: held until what it names is live. Counted besides when it leaves. */
    ANSWER_HELD("answer held until its names are live"),
    /** Held answer: released once it was live. */
    ANSWER_RELEASED_LATER("held answer released"),
    /** Held answer: not live in time; SERVFAIL in its place, so that the client asks again. */
    ANSWER_NOT_LIVE_IN_TIME("names were not live in time"),
    /** Answer: as many are held as may be; SERVFAIL in its place, nothing learned. */
    ANSWER_HOLD_FULL("too many answers held"),
    /** Answer: dropped. */
    ANSWER_MALFORMED("answer is malformed"),
    /** Answer: QR says that it is a query; dropped. */
    ANSWER_IS_QUERY("query where an answer belongs"),
    /** Answer: no query of its flow is open; dropped. */
    ANSWER_UNASKED("no query is open"),
    /** Answer: none of the flow's open queries has its id; dropped. */
    ANSWER_WRONG_ID("id of no open query"),
    /**
     * Answer: the id is one of an open query, its question is not, the case of letters included;
     * dropped.
     */
    ANSWER_WRONG_QUESTION("question differs from the query's"),
    /** Records of an answer about names that were not asked for: not learned. Counted besides. */
    RECORDS_UNASKED("records about names not asked for");

    private final String sentence;

    DnsEnd(final String sentence) {
        this.sentence = sentence;
    }

    /** In words, without a full stop. */
    public String sentence() {
        return sentence;
    }
}
