package io.sluice.fuzz;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.sluice.l7proxy.kafka.ProduceReader;
import io.sluice.l7proxy.kafka.ReadRequest;
import io.sluice.l7proxy.kafka.RequestHead;
import io.sluice.l7proxy.kafka.TopicIds;
import io.sluice.l7proxy.kafka.TopicsOfRequest;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.message.ProduceRequestData.PartitionProduceData;
import org.apache.kafka.common.message.ProduceRequestData.TopicProduceData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;

/**
 * A Kafka request: Produce is read alike wherever it is cut, and what is read whole is what Kafka's
 * own reader finds; all others are read, judged and denied without a fault of ours.
 */
public final class KafkaRequestTarget {
    private static final int REQUEST_BYTES_MAX = 1 << 20;
    private static final int TOPICS_MAX = 100;
    private static final TopicIds NO_IDS = new TopicIds(1);
    private static final InetSocketAddress SERVER =
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 9092);

    private KafkaRequestTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        final RequestHead head = new RequestHead(REQUEST_BYTES_MAX);
        if (head.read(Unpooled.wrappedBuffer(input)) != RequestHead.Progress.COMPLETE) {
            return;
        }
        final int end = (int) Math.min(input.length, head.frameBytes());
        if (head.apiKey() == ApiKeys.PRODUCE.id) {
            if (head.apiVersion() >= ProduceReader.VERSION_MIN
                    && head.apiVersion() <= ProduceReader.VERSION_MAX) {
                readProduce(Arrays.copyOf(input, end), head);
            }
        } else if (ReadRequest.isReadable(head.apiKey(), head.apiVersion())) {
            ReadRequest.read(ByteBuffer.wrap(input, 4, end - 4).slice())
                    .ifPresent(request -> judge(request, head));
        }
    }

    private static void judge(final ReadRequest request, final RequestHead head) {
        final TopicsOfRequest topics = new TopicsOfRequest(NO_IDS, 1, TOPICS_MAX);
        request.addTopics(topics);
        Promise.holds(topics.forRules().size() <= TOPICS_MAX + 1, "topics are bounded", topics);
        request.deny(head.correlationId(), SERVER, topics, false)
                .ifPresent(
                        denial ->
                                Promise.holds(
                                        denial.bytes().getInt(0) == head.correlationId(),
                                        "a denial answers its request",
                                        head.correlationId()));
    }

    private static void readProduce(final byte[] frame, final RequestHead head) {
        final String whole = read(frame, head, frame.length);
        Promise.holds(read(frame, head, 1).equals(whole), "cuts do not matter", whole);
        Promise.holds(read(frame, head, 5).equals(whole), "cuts do not matter", whole);
        if (whole.startsWith("[") && frame.length == head.frameBytes()) {
            Promise.holds(whole.equals(readByKafka(frame)), "read as Kafka reads it", whole);
        }
    }

    private static String read(final byte[] frame, final RequestHead head, final int piece) {
        final ProduceReader reader = new ProduceReader(TOPICS_MAX, REQUEST_BYTES_MAX);
        reader.start(head.apiVersion(), head.frameBytes() - head.bytes());
        final ByteBuf in = Unpooled.wrappedBuffer(frame);
        in.readerIndex(head.bytes());
        in.writerIndex(head.bytes());
        while (true) {
            in.writerIndex(Math.min(frame.length, in.writerIndex() + piece));
            ProduceReader.Progress progress = reader.read(in);
            if (progress == ProduceReader.Progress.TOPICS_KNOWN) {
                progress = reader.read(in);
            }
            if (progress == ProduceReader.Progress.FAULT) {
                return reader.fault().toString();
            }
            if (progress == ProduceReader.Progress.COMPLETE) {
                return text(reader);
            }
            if (in.writerIndex() == frame.length) {
                return "more";
            }
        }
    }

    private static String text(final ProduceReader reader) {
        final StringBuilder text = new StringBuilder("[" + reader.acks());
        for (final ProduceReader.Topic topic : reader.topics()) {
            text.append(topic.name())
                    .append(topic.id().getMostSignificantBits())
                    .append(topic.id().getLeastSignificantBits());
            for (int i = 0; i < topic.partitions().count(); i++) {
                text.append(',').append(topic.partitions().get(i));
            }
        }
        return text.toString();
    }

    private static String readByKafka(final byte[] frame) {
        final ByteBuffer bytes = ByteBuffer.wrap(frame, 4, frame.length - 4).slice();
        final short version = bytes.getShort(2);
        final ByteBufferAccessor in = new ByteBufferAccessor(bytes);
        final RequestHeaderData header =
                new RequestHeaderData(in, ApiKeys.PRODUCE.requestHeaderVersion(version));
        final ProduceRequestData data = new ProduceRequestData(in, header.requestApiVersion());
        final StringBuilder text = new StringBuilder("[" + data.acks());
        for (final TopicProduceData topic : data.topicData()) {
            text.append(topic.name())
                    .append(topic.topicId().getMostSignificantBits())
                    .append(topic.topicId().getLeastSignificantBits());
            final List<PartitionProduceData> partitions = topic.partitionData();
            partitions.forEach(partition -> text.append(',').append(partition.index()));
        }
        return text.toString();
    }
}
