package io.sluice.l7proxy.kafka;

import io.netty.buffer.ByteBuf;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/**
 * Reads a Produce request as it arrives, without its records.
 *
 * <p><b>Theory of operation.</b> Topics stand between records, so the last one's name comes late,
 * yet nothing may go on before all are known; from then on the records may pass as they come. This
 * reader takes whole fields only, and skips records without looking at them: what it keeps is the
 * names (or ids) of topics and the numbers of their partitions, which a denial needs.
 *
 * <pre>
 *   [tags] [transactional id] acks timeout  n x ( topic  m x ( partition  records [tags] ) [tags] ) [tags]
 *                                                   ^ the n-th: TOPICS_KNOWN
 * </pre>
 *
 * <p>Every length and count is checked against what is left of the request before anything is
 * allocated for it, and the request must end where its last field does. Fields are read as Kafka's
 * own {@code ProduceRequestData} does, except that what it takes for null or cuts off is refused
 * here: numbers of variable length over 2^31 - 1, lengths under -1.
 *
 * <p>Bounds: {@code topicsMax} topics, {@code bytesMax} bytes that are not records.
 *
 * <p>Source: Kafka protocol guide, Produce v3 to v13; {@code ProduceRequest.json}. Thread: one.
 */
public final class ProduceReader {
    /** How far it is. */
    public enum Progress {
        /** More bytes are needed. */
        MORE,
        /** All topics are known, from here on; said once. More follows. */
        TOPICS_KNOWN,
        /** The request has ended. */
        COMPLETE,
        /** {@link #fault} says why. */
        FAULT
    }

    /** Oldest version that is read. */
    public static final int VERSION_MIN = 3;

    /** Newest version that is read. */
    public static final int VERSION_MAX = 13;

    private static final int FLEXIBLE_SINCE = 9;
    private static final int IDS_SINCE = 13;

    /** Longest string: lengths are signed 16-bit numbers in older versions. */
    private static final int STRING_BYTES_MAX = 0x7fff;

    private static final int VARINT_BYTES_MAX = 5;

    /** What the next field is. */
    private enum Field {
        HEAD_TAGS,
        TRANSACTIONAL_ID,
        ACKS,
        TOPIC_COUNT,
        TOPIC,
        PARTITION_COUNT,
        PARTITION,
        RECORDS,
        PARTITION_TAGS,
        TOPIC_TAGS,
        BODY_TAGS,
        TAG,
        END
    }

    /**
     * A topic and where in it records are to go. The partitions are in {@link #partitions}.
     *
     * @param name empty in versions with ids
     * @param id zero in versions with names
     */
    public record Topic(String name, UUID id, Partitions partitions) {}

    /** Numbers of partitions, in the request's order. */
    public static final class Partitions {
        private int[] numbers = new int[4];
        private int count;

        private void add(final int number) {
            if (count == numbers.length) {
                numbers = Arrays.copyOf(numbers, 2 * count);
            }
            numbers[count++] = number;
        }

        /** How many. */
        public int count() {
            return count;
        }

        /** Number of the i-th. */
        public int get(final int i) {
            return numbers[i];
        }
    }

    private static final UUID NO_ID = new UUID(0, 0);

    private final int topicsMax;
    private final int bytesMax;

    private KafkaFault fault = KafkaFault.NONE;
    private Field field = Field.END;
    private boolean isFlexible;
    private boolean hasIds;

    /** Bytes of the request that have not been taken. */
    private long left;

    /** Bytes to be taken without a look. */
    private long skip;

    /** Bytes taken that were not records. */
    private long fieldBytes;

    private int acks;
    private final List<Topic> topics = new ArrayList<>();
    private int topicsLeft;
    private Partitions partitions = new Partitions();
    private int partitionsLeft;
    private int tagsLeft;
    private Field afterTags = Field.END;

    /** {@link Progress#TOPICS_KNOWN} is to be said. */
    private boolean topicsBecameKnown;

    /** Where in the buffer the field at hand begins. */
    private int fieldStart;

    /** Valid after a number has been taken. */
    private int number;

    /**
     * A reader.
     *
     * @param topicsMax most topics of a request
     * @param bytesMax most bytes of a request that are not records
     */
    public ProduceReader(final int topicsMax, final int bytesMax) {
        this.topicsMax = topicsMax;
        this.bytesMax = bytesMax;
    }

    /**
     * Begins with a request, behind its {@link RequestHead}.
     *
     * @param version {@link #VERSION_MIN} to {@link #VERSION_MAX}
     * @param bytes that follow until the request's end
     */
    public void start(final int version, final long bytes) {
        isFlexible = version >= FLEXIBLE_SINCE;
        hasIds = version >= IDS_SINCE;
        field = isFlexible ? Field.HEAD_TAGS : Field.TRANSACTIONAL_ID;
        fault = KafkaFault.NONE;
        left = bytes;
        skip = 0;
        fieldBytes = 0;
        topics.clear();
        topicsBecameKnown = false;
    }

    /** Takes whole fields from the buffer, as many as there are. Bytes of a part of one stay. */
    public Progress read(final ByteBuf in) {
        while (true) {
            skip(in);
            if (skip > 0) {
                return Progress.MORE;
            }
            if (field == Field.END) {
                return left == 0 ? Progress.COMPLETE : fail(KafkaFault.BODY_LENGTH);
            }
            fieldStart = in.readerIndex();
            final boolean isTaken = take(in);
            if (fault != KafkaFault.NONE) {
                return Progress.FAULT;
            }
            if (!isTaken) {
                in.readerIndex(fieldStart);
                return Progress.MORE;
            }
            left -= in.readerIndex() - fieldStart;
            fieldBytes += in.readerIndex() - fieldStart;
            if (left < skip) {
                return fail(KafkaFault.BODY_LENGTH);
            }
            if (fieldBytes > bytesMax) {
                return fail(KafkaFault.TOO_MUCH);
            }
            if (topicsBecameKnown) {
                topicsBecameKnown = false;
                return Progress.TOPICS_KNOWN;
            }
        }
    }

    private Progress fail(final KafkaFault why) {
        fault = why;
        return Progress.FAULT;
    }

    private boolean broken(final KafkaFault why) {
        fault = why;
        return false;
    }

    private void skip(final ByteBuf in) {
        final int now = (int) Math.min(skip, in.readableBytes());
        in.skipBytes(now);
        skip -= now;
        left -= now;
    }

    /** Takes one field. False if it is not there as a whole, or broken. */
    private boolean take(final ByteBuf in) {
        return switch (field) {
            case HEAD_TAGS -> takeTags(in, Field.TRANSACTIONAL_ID);
            case TRANSACTIONAL_ID -> takeTransactionalId(in);
            case ACKS -> takeAcks(in);
            case TOPIC_COUNT -> takeTopicCount(in);
            case TOPIC -> takeTopic(in);
            case PARTITION_COUNT -> takePartitionCount(in);
            case PARTITION -> takePartition(in);
            case RECORDS -> takeRecords(in);
            case PARTITION_TAGS -> takeTags(in, afterPartition());
            case TOPIC_TAGS -> takeTags(in, afterTopic());
            case BODY_TAGS -> takeTags(in, Field.END);
            case TAG -> takeTag(in);
            case END -> false;
        };
    }

    private boolean takeTransactionalId(final ByteBuf in) {
        if (!takeLength(in, Short.BYTES)) {
            return false;
        }
        if (number > STRING_BYTES_MAX) {
            return broken(KafkaFault.BODY_LENGTH);
        }
        skip = Math.max(0, number);
        field = Field.ACKS;
        return true;
    }

    private boolean takeAcks(final ByteBuf in) {
        if (!has(in, Short.BYTES + Integer.BYTES)) {
            return false;
        }
        acks = in.readShort();
        in.readInt();
        field = Field.TOPIC_COUNT;
        return true;
    }

    private boolean takeTopicCount(final ByteBuf in) {
        if (!takeCount(in)) {
            return false;
        }
        if (number > topicsMax) {
            return broken(KafkaFault.TOO_MUCH);
        }
        topicsLeft = number;
        topicsBecameKnown = topicsLeft == 0;
        field = afterTopic();
        return true;
    }

    /** In versions before tagged fields there is nothing behind the topics. */
    private Field afterTopic() {
        if (topicsLeft > 0) {
            return Field.TOPIC;
        }
        return isFlexible ? Field.BODY_TAGS : Field.END;
    }

    private boolean takeTopic(final ByteBuf in) {
        partitions = new Partitions();
        if (hasIds) {
            if (!has(in, 2 * Long.BYTES)) {
                return false;
            }
            topics.add(new Topic("", new UUID(in.readLong(), in.readLong()), partitions));
        } else {
            if (!takeLength(in, Short.BYTES)) {
                return false;
            }
            if (number < 0 || number > STRING_BYTES_MAX) {
                return broken(KafkaFault.BODY_LENGTH);
            }
            if (!has(in, number)) {
                return false;
            }
            final String name = in.toString(in.readerIndex(), number, StandardCharsets.UTF_8);
            in.skipBytes(number);
            topics.add(new Topic(name, NO_ID, partitions));
        }
        topicsLeft--;
        topicsBecameKnown = topicsLeft == 0;
        field = Field.PARTITION_COUNT;
        return true;
    }

    private boolean takePartitionCount(final ByteBuf in) {
        if (!takeCount(in)) {
            return false;
        }
        partitionsLeft = number;
        field = afterPartition();
        return true;
    }

    private Field afterPartition() {
        if (partitionsLeft > 0) {
            return Field.PARTITION;
        }
        return isFlexible ? Field.TOPIC_TAGS : afterTopic();
    }

    private boolean takePartition(final ByteBuf in) {
        if (!has(in, Integer.BYTES)) {
            return false;
        }
        partitions.add(in.readInt());
        partitionsLeft--;
        field = Field.RECORDS;
        return true;
    }

    private boolean takeRecords(final ByteBuf in) {
        if (!takeLength(in, Integer.BYTES)) {
            return false;
        }
        skip = Math.max(0, number);
        field = isFlexible ? Field.PARTITION_TAGS : afterPartition();
        return true;
    }

    /** Tagged fields, KIP-482: a count, then each a tag, a length and as many bytes. */
    private boolean takeTags(final ByteBuf in, final Field after) {
        if (!takeVarint(in)) {
            return false;
        }
        if (number > left) {
            return broken(KafkaFault.BODY_LENGTH);
        }
        tagsLeft = number;
        afterTags = after;
        field = tagsLeft > 0 ? Field.TAG : after;
        return true;
    }

    private boolean takeTag(final ByteBuf in) {
        final boolean hasTag = takeVarint(in);
        if (!hasTag || !takeVarint(in)) {
            return false;
        }
        skip = number;
        fieldBytes += number;
        tagsLeft--;
        field = tagsLeft > 0 ? Field.TAG : afterTags;
        return true;
    }

    /**
     * Length of a string or of records; -1 is null.
     *
     * @param bytes of the length in versions before tagged fields
     */
    private boolean takeLength(final ByteBuf in, final int bytes) {
        if (isFlexible) {
            if (!takeVarint(in)) {
                return false;
            }
            number--;
            return true;
        }
        if (!has(in, bytes)) {
            return false;
        }
        number = bytes == Short.BYTES ? in.readShort() : in.readInt();
        return number >= -1 || broken(KafkaFault.BODY_LENGTH);
    }

    /** How many elements follow; each has a byte at least. */
    private boolean takeCount(final ByteBuf in) {
        if (!takeLength(in, Integer.BYTES)) {
            return false;
        }
        return (number >= 0 && number <= left) || broken(KafkaFault.BODY_LENGTH);
    }

    private boolean takeVarint(final ByteBuf in) {
        int value = 0;
        for (int i = 0; i < VARINT_BYTES_MAX; i++) {
            if (!has(in, 1)) {
                return false;
            }
            final int b = in.readByte();
            if (i == VARINT_BYTES_MAX - 1 && (b & 0xf8) != 0) {
                return broken(KafkaFault.VARINT);
            }
            value |= (b & 0x7f) << (7 * i);
            if (b >= 0) {
                number = value;
                return true;
            }
        }
        return broken(KafkaFault.VARINT);
    }

    /** Whether so many bytes are there; broken if the request ends before. */
    private boolean has(final ByteBuf in, final int bytes) {
        if (bytes > left - (in.readerIndex() - fieldStart)) {
            return broken(KafkaFault.BODY_LENGTH);
        }
        return in.readableBytes() >= bytes;
    }

    /** Why it was refused. */
    public KafkaFault fault() {
        return fault;
    }

    /** Answers that the producer asks for: 0 is none, not even to say no. Valid with the topics. */
    public int acks() {
        return acks;
    }

    /** What has been read; partitions may follow. Valid until {@link #start}. */
    public List<Topic> topics() {
        return topics;
    }
}
