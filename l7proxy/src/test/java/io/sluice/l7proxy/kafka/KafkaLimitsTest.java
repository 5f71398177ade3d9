package io.sluice.l7proxy.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** Lengths, topics of one request, and ids of all topics are bounded. */
final class KafkaLimitsTest {
    private static final long SERVER = 7;

    private static UUID id(final int number) {
        return new UUID(1, number);
    }

    @Test
    void aRequestThatIsTooLongIsRefusedByItsLength() {
        final RequestHead head = new RequestHead(1_000);
        final ByteBuf tooLong = Unpooled.buffer().writeInt(1_001).writeShort(3).writeShort(12);
        assertThat(head.read(tooLong)).isEqualTo(RequestHead.Progress.FAULT);
        final ByteBuf fits =
                Unpooled.buffer().writeInt(1_000).writeShort(3).writeShort(12).writeInt(7);
        assertThat(new RequestHead(1_000).read(fits.writeShort(-1)))
                .isEqualTo(RequestHead.Progress.COMPLETE);
    }

    @Test
    void withMoreTopicsThanAreKeptARequestIsAboutAll() {
        final TopicsOfRequest topics = new TopicsOfRequest(new TopicIds(1), SERVER, 2);
        topics.add("a");
        topics.add("b");
        assertThat(topics.forRules()).containsExactly("a", "b");
        topics.add("c");
        assertThat(topics.forRules()).containsExactly("a", "b", "*");
        final TopicsOfRequest byId = new TopicsOfRequest(new TopicIds(1), SERVER, 1);
        byId.add("a");
        byId.add(id(1));
        assertThat(byId.isEvery()).isTrue();
    }

    @Test
    void theOldestIdsMakeWayAndThoseInUseStay() {
        final TopicIds ids = new TopicIds(10);
        ids.learn(SERVER, id(0), "used");
        for (int i = 1; i < 10; i++) {
            ids.learn(SERVER, id(i), "topic" + i);
        }
        for (int i = 10; i < 1_000; i++) {
            ids.learn(SERVER, id(i), "topic" + i);
            assertThat(ids.name(SERVER, id(0))).contains("used");
            assertThat(ids.name(SERVER, id(i))).contains("topic" + i);
        }
        assertThat(ids.name(SERVER, id(1))).isEmpty();
        long known = 0;
        for (int i = 0; i < 1_000; i++) {
            known += ids.name(SERVER, id(i)).isPresent() ? 1 : 0;
        }
        assertThat(known).isBetween(10L, 20L);
    }
}
