package io.sluice.l7proxy.kafka;

import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;

/**
 * Kafka, without TLS. What its connections share: known topic ids, and the bytes that they hold.
 *
 * <p>Thread: any.
 */
public final class KafkaProtocol implements Protocol {
    private final KafkaLimits limits;
    private final L7Sink sink;
    private final TopicIds topicIds;
    private final HeldBytes held;

    /**
     * Loads the schemas of all messages, which takes some tenths of a second.
     *
     * @param limits of messages
     * @param sink where requests and answers are reported
     */
    public KafkaProtocol(final KafkaLimits limits, final L7Sink sink) {
        this.limits = limits;
        this.sink = sink;
        this.topicIds = new TopicIds(limits.topicIdsMax());
        this.held = new HeldBytes(limits.heldBytesTotalMax());
        ReadRequest.load();
    }

    @Override
    public Conversation open(final Link link) {
        return new KafkaConversation(link, this);
    }

    KafkaLimits limits() {
        return limits;
    }

    L7Sink sink() {
        return sink;
    }

    TopicIds topicIds() {
        return topicIds;
    }

    HeldBytes held() {
        return held;
    }

    /** Bytes that all connections hold now of messages that are not complete. */
    public long heldBytes() {
        return held.now();
    }
}
