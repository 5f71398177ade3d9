package io.sluice.l7proxy.kafka;

/**
 * Limits of Kafka's messages. Immutable.
 *
 * @param requestBytesMax length of a request, 1 KiB to 2,147,483,647; beyond it the connection ends
 * @param heldBytesMax bytes of one request that are held until it can be judged, 1 KiB to 256 MiB;
 *     a longer one is judged as if it named every topic
 * @param heldBytesTotalMax bytes held by all connections together, 1 KiB to 1 TiB; the connection
 *     that goes beyond it ends
 * @param answerHeldBytesMax length of a Metadata answer that topic ids are learned from, 1 KiB to
 *     256 MiB; a longer one passes unread
 * @param topicsMax topics that a request may name, 1 to 1,000,000; with more it is judged as if it
 *     named every topic; a Produce request with more is refused
 * @param inFlightMax requests without an answer on one connection, 1 to 10,000; the client is not
 *     read beyond it
 * @param topicIdsMax topic ids that are known at least, as long as there are so many, 1 to
 *     10,000,000; the oldest make way
 */
public record KafkaLimits(
        int requestBytesMax,
        int heldBytesMax,
        long heldBytesTotalMax,
        int answerHeldBytesMax,
        int topicsMax,
        int inFlightMax,
        int topicIdsMax) {
    /**
     * 100 MiB is the broker's own {@code socket.request.max.bytes}. A client's Produce has at most
     * 1 MiB by default ({@code max.request.size}), and is held only until its last topic is known.
     * Clients have 5 requests in flight by default; a broker reads one at a time.
     */
    public static final KafkaLimits DEFAULTS =
            new KafkaLimits(100 << 20, 2 << 20, 256L << 20, 8 << 20, 10_000, 128, 65_536);

    private static final int KIB = 1024;

    /**
     * Checks the ranges.
     *
     * @throws IllegalArgumentException with the limit and what is accepted
     */
    public KafkaLimits {
        checkRange("requestBytesMax", requestBytesMax, KIB, Integer.MAX_VALUE);
        checkRange("heldBytesMax", heldBytesMax, KIB, 256 << 20);
        checkRange("heldBytesTotalMax", heldBytesTotalMax, KIB, 1L << 40);
        checkRange("answerHeldBytesMax", answerHeldBytesMax, KIB, 256 << 20);
        checkRange("topicsMax", topicsMax, 1, 1_000_000);
        checkRange("inFlightMax", inFlightMax, 1, 10_000);
        checkRange("topicIdsMax", topicIdsMax, 1, 10_000_000);
    }

    private static void checkRange(
            final String name, final long value, final long least, final long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(
                    name + " " + value + ": accepted: " + least + " to " + most);
        }
    }
}
