package io.sluice.control.agent.export;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.ExportCounts;
import io.sluice.control.agent.ExportCounts.Cause;
import io.sluice.control.agent.SluiceConfig.FlowExport.Kafka;
import io.sluice.control.agent.SluiceConfig.FlowExport.Selection;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What becomes of lines, with the library's own producer for tests, and a clock of the test's. */
class KafkaDestinationTest {
    private static final long SECOND = TimeUnit.SECONDS.toNanos(1);
    private static final int TIMEOUT_SECONDS = 120;
    private static final Kafka KAFKA =
            new Kafka(
                    List.of("kafka:9092"),
                    "flows",
                    Kafka.Acks.ALL,
                    Kafka.Compression.NONE,
                    1,
                    TIMEOUT_SECONDS,
                    Optional.empty(),
                    Selection.ALL);

    private final ExportCounts counts = new ExportCounts();
    private final List<LibraryProducer> opened = new ArrayList<>();
    private @Nullable RuntimeException notOpened;
    private @Nullable RuntimeException refusalOfAll;
    private long nowNs = -5 * SECOND;
    private int made;

    private final KafkaDestination destination = destination(1 << 20);

    private KafkaDestination destination(final long waitingBytesMax) {
        return new KafkaDestination(
                "node-1",
                KAFKA,
                waitingBytesMax,
                () -> {
                    if (notOpened != null) {
                        throw notOpened;
                    }
                    opened.add(new LibraryProducer());
                    opened.getLast().refusal = refusalOfAll;
                    return opened.getLast();
                },
                counts,
                () -> nowNs);
    }

    /** Like the real one it tells of records that it did not take, and of all at a close. */
    private static final class LibraryProducer extends MockProducer<byte[], byte[]> {
        private @Nullable RuntimeException refusal;
        private int written;
        private int held;

        /** As the real one in an error state: the record is taken, told as failed later. */
        private boolean throwsLate;

        LibraryProducer() {
            super(false, null, new ByteArraySerializer(), new ByteArraySerializer());
        }

        @Override
        public synchronized Future<RecordMetadata> send(
                final ProducerRecord<byte[], byte[]> line, final Callback callback) {
            if (refusal instanceof TimeoutException || refusal instanceof RecordTooLargeException) {
                callback.onCompletion(null, refusal);
                return CompletableFuture.failedFuture(refusal);
            }
            if (refusal != null && !throwsLate) {
                throw refusal;
            }
            held++;
            final Future<RecordMetadata> sent = super.send(line, callback);
            if (refusal != null) {
                throw refusal;
            }
            return sent;
        }

        /** The broker has the first that it has not. */
        boolean write() {
            if (held == 0) {
                return false;
            }
            held--;
            written++;
            return completeNext();
        }

        boolean fail(final RuntimeException why) {
            if (held == 0) {
                return false;
            }
            held--;
            return errorNext(why);
        }

        @Override
        public void close(final Duration timeout) {
            while (fail(new KafkaException("closed by force"))) {
                // Every one.
            }
            super.close(timeout);
        }

        List<String> lines() {
            return history().stream()
                    .map(line -> new String(line.value(), StandardCharsets.UTF_8))
                    .toList();
        }
    }

    private LibraryProducer producer() {
        return opened.getLast();
    }

    private void take(final int count) {
        take(destination, count);
    }

    private void take(final KafkaDestination to, final int count) {
        final List<byte[]> lines = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            lines.add(("{\"flow\":" + made++ + "}").getBytes(StandardCharsets.UTF_8));
        }
        counts.offered(count);
        to.take(lines);
    }

    private void turns() {
        turns(destination);
    }

    private static void turns(final KafkaDestination of) {
        while (of.turn()) {
            // Until there is nothing to do at once.
        }
    }

    /** A second later, so often as there are seconds. */
    private void seconds(final int seconds) {
        for (int i = 0; i < seconds; i++) {
            nowNs += SECOND;
            turns();
        }
    }

    private long waiting() {
        return counts.offered() - counts.written() - counts.lost();
    }

    @Test
    void linesGoInOrderUnderTheNodesNameAndAreWrittenWhenTheBrokersSaySo() {
        take(3);
        turns();

        assertThat(producer().lines())
                .containsExactly("{\"flow\":0}", "{\"flow\":1}", "{\"flow\":2}");
        assertThat(producer().history())
                .allSatisfy(
                        line -> {
                            assertThat(line.topic()).isEqualTo("flows");
                            assertThat(line.key()).asString().isEqualTo("node-1");
                        });
        assertThat(counts.written()).isZero();
        assertThat(waiting()).isEqualTo(3);

        producer().write();
        producer().write();

        assertThat(counts.written()).isEqualTo(2);
        assertThat(waiting()).isEqualTo(1);
    }

    @Test
    void whatFindsNoRoomIsLostAndTheOthersWait() {
        final int lineBytes = 10 + KafkaDestination.LINE_OVERHEAD_BYTES;
        final KafkaDestination narrow = destination(4 * lineBytes);
        take(narrow, 10);

        assertThat(counts.lost(Cause.FULL)).isEqualTo(6);
        turns(narrow);
        assertThat(producer().lines()).hasSize(4);
        assertThat(counts.trouble())
                .isEqualTo(
                        "lines wait or are lost: not connected: more lines than it takes: the buffer of 1 MiB is full");
        // A digit more each.
        take(narrow, 3);
        assertThat(counts.lost()).isEqualTo(6);
    }

    @Test
    void aTopicThatIsNotThereIsWaitedForAndAfterTheTimeOutLinesAreLost() {
        refusalOfAll = new TimeoutException("Topic flows not present in metadata");
        take(2);
        seconds(60);
        take(2);
        seconds(59);
        assertThat(waiting()).isEqualTo(4);
        assertThat(counts.trouble()).contains("Topic flows not present in metadata");

        seconds(2);
        assertThat(counts.lost(Cause.FAILED)).isEqualTo(2);
        assertThat(waiting()).isEqualTo(2);

        refusalOfAll = null;
        opened.forEach(one -> one.refusal = null);
        seconds(2);
        assertThat(producer().lines()).containsExactly("{\"flow\":2}", "{\"flow\":3}");
    }

    /** The library makes a new one only where somebody closes the old. */
    @Test
    void aProducerThatIsOfNoUseIsMadeAnew() {
        turns();
        producer().refusal = new TimeoutException("Topic flows not present in metadata");
        take(1);
        seconds(30);
        assertThat(opened).hasSize(1);
        seconds(2);
        assertThat(opened).hasSize(2);
        assertThat(opened.getFirst().closed()).isTrue();

        turns();
        producer().write();
        assertThat(counts.written()).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aProducerThatCannotGoOnIsMadeAnewAtOnceAndTheLineIsSentAgain(final boolean wrongPassword) {
        turns();
        producer().refusal =
                wrongPassword
                        ? new AuthenticationException("Authentication failed: invalid credentials")
                        : new KafkaException("in an error state");
        take(1);
        turns();
        assertThat(opened.getFirst().closed()).isTrue();
        assertThat(opened).hasSize(1);

        seconds(2);
        assertThat(opened).hasSize(2);
        producer().write();
        assertThat(counts.written()).isEqualTo(1);
        assertThat(counts.lost()).isZero();
    }

    @Test
    void aProducerThatCannotBeMadeIsTriedAgain() {
        notOpened = new KafkaException("No resolvable bootstrap urls given in bootstrap.servers");
        take(1);
        seconds(12);
        assertThat(counts.trouble())
                .isEqualTo(
                        "lines wait or are lost: not connected: No resolvable bootstrap urls given in bootstrap.servers");
        notOpened = null;
        seconds(2);
        producer().write();
        seconds(1);

        assertThat(counts.written()).isEqualTo(1);
        assertThat(counts.trouble()).isEmpty();
    }

    @Test
    void aLineThatIsTooLargeIsLostAloneAndOneThatIsNotAllowedWaits() {
        turns();
        producer().refusal = new RecordTooLargeException("2 MB");
        take(2);
        turns();
        assertThat(counts.lost(Cause.FAILED)).isEqualTo(2);

        producer().refusal = new TopicAuthorizationException("flows");
        take(1);
        turns();
        assertThat(waiting()).isEqualTo(1);
        producer().refusal = null;
        seconds(2);
        producer().write();
        assertThat(counts.written()).isEqualTo(1);
        assertThat(opened).hasSize(1);
    }

    @Test
    void nothingMoreIsGivenToAProducerThatWaitsForWord() {
        take(2);
        turns();
        seconds(10);
        assertThat(producer().lines()).hasSize(2);
        seconds(1);
        take(5);
        turns();
        assertThat(producer().lines()).hasSize(2);
        assertThat(counts.trouble()).contains("no word for 10 s");

        producer().write();
        turns();
        assertThat(producer().lines()).hasSize(7);
        assertThat(counts.trouble()).isEmpty();
    }

    /** What the old one holds ends before: nothing is lost to make room for a new one. */
    @Test
    void aProducerWithLinesIsNotMadeAnewUntilTheyEnded() {
        take(2);
        turns();
        seconds(90);
        assertThat(opened).hasSize(1);

        producer().fail(new TimeoutException("expired"));
        producer().fail(new TimeoutException("expired"));
        take(1);
        seconds(1);
        assertThat(opened).hasSize(2);
        assertThat(counts.lost(Cause.FAILED)).isEqualTo(2);
        assertThat(producer().lines()).containsExactly("{\"flow\":2}");
    }

    /** At its limit a destination goes from one state to the other every few seconds at most. */
    @Test
    void itTakesLinesAgainWhenNoneWasLostForAWhile() {
        take(1);
        turns();
        producer().fail(new RecordTooLargeException("too large for the topic"));
        turns();
        assertThat(counts.trouble()).contains("too large for the topic");
        for (int second = 0; second < 9; second++) {
            take(1);
            seconds(1);
            producer().write();
        }
        turns();
        assertThat(counts.trouble()).isNotEmpty();
        take(1);
        seconds(2);
        producer().write();
        turns();
        assertThat(counts.trouble()).isEmpty();
    }

    @Test
    void withoutLinesThereIsNoTrouble() {
        seconds(300);

        assertThat(counts.trouble()).isEmpty();
        assertThat(opened).hasSize(1);
    }

    /** Offered is written, lost and waiting, whatever happens; and what is written was sent. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void noLineIsCountedTwiceOrNotAtAll(final long seed) {
        final Random random = new Random(seed);
        final boolean mayThrowLate = seed % 2 == 0;
        final KafkaDestination narrow = destination(3_000);
        for (int step = 0; step < 20_000; step++) {
            switch (random.nextInt(10)) {
                case 0, 1 -> take(narrow, random.nextInt(20));
                case 2 -> nowNs += random.nextLong(20 * SECOND);
                case 3 -> notOpened = random.nextInt(3) == 0 ? new KafkaException("not") : null;
                case 4 -> {
                    if (!opened.isEmpty()) {
                        producer().refusal = refusal(random);
                        producer().throwsLate = mayThrowLate && random.nextBoolean();
                    }
                }
                case 5 -> {
                    if (!opened.isEmpty()) {
                        producer().fail(new TimeoutException("expired"));
                    }
                }
                case 6, 7 -> {
                    if (!opened.isEmpty()) {
                        producer().write();
                    }
                }
                default -> narrow.turn();
            }
            // Of 3,000 bytes no line has more than 40th part.
            final long held = opened.stream().mapToLong(one -> one.held).sum();
            assertThat(waiting()).isBetween(mayThrowLate ? 0 : held, held + 40);
        }
        if (!mayThrowLate) {
            assertThat(counts.written())
                    .isEqualTo(opened.stream().mapToLong(one -> one.written).sum());
        }
        assertThat(counts.written()).isPositive();
        assertThat(counts.lost(Cause.FULL)).isPositive();
        assertThat(counts.lost(Cause.FAILED)).isPositive();

        // What is left gets through, once it may.
        notOpened = null;
        opened.forEach(one -> one.refusal = null);
        for (int i = 0; i < 100 && waiting() > 0; i++) {
            nowNs += SECOND;
            turns(narrow);
            while (producer().write()) {
                // All of them.
            }
        }
        assertThat(waiting()).isZero();
    }

    private static @Nullable RuntimeException refusal(final Random random) {
        return switch (random.nextInt(8)) {
            case 0 -> new TimeoutException("no topic");
            case 1 -> new RecordTooLargeException("too large");
            case 2 -> new KafkaException("in an error state");
            case 3 -> new AuthenticationException("wrong password");
            case 4 -> new TopicAuthorizationException("flows");
            default -> null;
        };
    }
}
