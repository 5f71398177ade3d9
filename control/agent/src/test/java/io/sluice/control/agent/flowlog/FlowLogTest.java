package io.sluice.control.agent.flowlog;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.NarrowFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.agrona.collections.LongHashSet;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FlowLogTest {
    private static final Duration AGE = Duration.ofDays(7);
    private static final LogLimits LIMITS = new LogLimits(LogLimits.BYTES_MIN, AGE);

    @TempDir private Path folder;

    private Instant now = Instant.parse("2026-01-01T00:00:00Z");

    /** What a block of a test is known by. */
    private record Written(long sequence, Instant latest, byte mark) {}

    /**
     * At every moment the files are within their size, what can be read is the latest part of what
     * was written, nothing in it is too old, and nothing was deleted but for size or age. {@code
     * sluice.test.retentionRuns} makes it longer.
     */
    @RepeatedTest(8)
    void retentionKeepsAsMuchAsItMay(final RepetitionInfo repetition) throws Exception {
        final int runs = Integer.getInteger("sluice.test.retentionRuns", 1);
        for (int run = 0; run < runs; run++) {
            final Random random = new Random(repetition.getCurrentRepetition() * 1_000L + run);
            final Path own = folder.resolve("r" + run);
            final List<Written> written = new ArrayList<>();
            final int pace = 1 << random.nextInt(14);
            FlowLog log = open(own, LIMITS);
            for (int step = 0; step < 600; step++) {
                now = now.plusSeconds(random.nextInt(pace));
                final byte[] bytes = new byte[100 + random.nextInt(40_000)];
                random.nextBytes(bytes);
                log.append(block(written.size(), now, bytes));
                written.add(new Written(written.size(), now, bytes[0]));
                if (random.nextInt(100) == 0) {
                    log.close();
                    log = open(own, LIMITS);
                }
                assertThat(sizeOf(own)).isLessThanOrEqualTo(LIMITS.bytesMax());
                assertThat(log.bytes()).isEqualTo(sizeOf(own));
                if (step % 20 == 0) {
                    assertKeptWhatItMay(log, written);
                }
            }
            log.close();
        }
    }

    private void assertKeptWhatItMay(final FlowLog log, final List<Written> written) {
        final List<Long> read = sequences(log, BlockQuery.ALL);
        final long first = read.isEmpty() ? written.size() : read.getFirst();
        final List<Long> suffix = new ArrayList<>();
        for (long sequence = first; sequence < written.size(); sequence++) {
            suffix.add(sequence);
        }
        assertThat(read).isEqualTo(suffix);
        final Instant oldest = now.minus(AGE);
        read.forEach(
                sequence ->
                        assertThat(written.get(sequence.intValue()).latest())
                                .isAfterOrEqualTo(oldest));
        if (first > 0 && !written.get((int) first - 1).latest().isBefore(oldest)) {
            // Gone before its time: a segment more, and a block, would have been too much.
            assertThat(log.bytes() + 2L * LIMITS.segmentBytes() + 50_000)
                    .isGreaterThan(LIMITS.bytesMax());
        }
    }

    /** A file that ends anywhere, as after a kill, has every block that is whole. */
    @Test
    void aTornEndIsCutAtOpen() throws Exception {
        final Random random = new Random(1);
        final List<Long> ends = new ArrayList<>();
        try (FlowLog log = open(folder, LIMITS)) {
            for (int i = 0; i < 6; i++) {
                log.append(block(i, now, randomBytes(random, 150)));
                ends.add(log.bytes());
            }
        }
        final Path file = folder.resolve("flows-00000000000000000000");
        final byte[] whole = Files.readAllBytes(file);
        for (int length = 0; length <= whole.length; length++) {
            final Path torn = folder.resolve("torn" + length);
            Files.createDirectory(torn);
            Files.write(torn.resolve(file.getFileName()), java.util.Arrays.copyOf(whole, length));
            final long end = length;
            final long left = ends.stream().filter(known -> known <= end).count();
            try (FlowLog log = open(torn, LIMITS)) {
                assertThat(sequences(log, BlockQuery.ALL)).hasSize((int) left);
                assertThat(log.nextSequence()).isEqualTo(left);
                log.append(block(left, now, randomBytes(random, 10)));
                assertThat(sequences(log, BlockQuery.ALL)).hasSize((int) left + 1);
            }
        }
    }

    @Test
    void whatWasInTheTailIsThereAfterAKillOnce() throws Exception {
        final FlowLog killed = open(folder, LIMITS);
        killed.append(block(0, now, new byte[] {0}));
        killed.appendTail(block(1, now, new byte[] {1}));
        killed.appendTail(block(2, now, new byte[] {2}));
        // Not closed.
        try (FlowLog log = open(folder, LIMITS)) {
            assertThat(log.nextSequence()).isEqualTo(3);
            assertThat(log.recovered()).containsExactly(new byte[] {1}, new byte[] {2});
        }
        try (FlowLog log = open(folder, LIMITS)) {
            assertThat(log.recovered()).hasSize(2);
            log.appendRecovered(new LogBlock(2, 1, 2, now, now, KeyFilter.ALL, new byte[] {1, 2}));
        }
        try (FlowLog log = open(folder, LIMITS)) {
            assertThat(log.recovered()).isEmpty();
            assertThat(sequences(log, BlockQuery.ALL)).containsExactly(0L, 1L);
        }
    }

    @Test
    void aTailThatIsInASegmentAlreadyIsNotThereTwice() throws Exception {
        final FlowLog killed = open(folder, LIMITS);
        killed.appendTail(block(0, now, new byte[] {0}));
        final Path tail = folder.resolve("tail-00000000000000000000");
        final byte[] bytes = Files.readAllBytes(tail);
        killed.append(block(0, now, new byte[] {0}));
        Files.write(tail, bytes);

        try (FlowLog log = open(folder, LIMITS)) {
            assertThat(log.recovered()).isEmpty();
            assertThat(sequences(log, BlockQuery.ALL)).containsExactly(0L);
            assertThat(tail).doesNotExist();
        }
    }

    @Test
    void bothDirectionsGiveTheSameBlocks() throws Exception {
        final Random random = new Random(2);
        try (FlowLog log = open(folder, LIMITS)) {
            for (int i = 0; i < 200; i++) {
                log.append(block(i, now, randomBytes(random, 5_000)));
            }
            final List<Long> forward = sequences(log, BlockQuery.ALL);
            final List<Long> backward = new ArrayList<>();
            try (BlockCursor cursor = log.read(BlockQuery.ALL, FlowLog.Direction.BACKWARD)) {
                cursor.next().ifPresent(block -> backward.add(block.firstSequence()));
                Optional<BlockCursor.Block> block = cursor.next();
                while (block.isPresent()) {
                    backward.add(block.get().firstSequence());
                    block = cursor.next();
                }
            }

            assertThat(forward).hasSize(200);
            assertThat(backward).isEqualTo(forward.reversed());
        }
    }

    @Test
    void aQuestionReadsOnlyBlocksThatMayAnswerIt() throws Exception {
        try (FlowLog log = open(folder, LIMITS)) {
            for (int i = 0; i < 300; i++) {
                final LongHashSet keys = new LongHashSet();
                keys.add(KeyFilter.key(1, "name" + i));
                keys.add(KeyFilter.key(2, i % 7));
                log.append(
                        new LogBlock(
                                1,
                                i,
                                i,
                                now.plusSeconds(i),
                                now.plusSeconds(i),
                                KeyFilter.of(keys),
                                randomBytes(new Random(i), 1_000)));
            }
            now = now.plusSeconds(300);
            final List<Long> found =
                    sequences(
                            log,
                            new BlockQuery(
                                    Instant.MIN,
                                    Instant.MAX,
                                    0,
                                    Long.MAX_VALUE,
                                    List.of(
                                            new long[] {
                                                KeyFilter.key(1, "name250"), KeyFilter.key(1, "no")
                                            },
                                            new long[] {KeyFilter.key(2, 250 % 7)})));

            assertThat(found).contains(250L).hasSizeLessThan(20);
            assertThat(
                            sequences(
                                    log,
                                    new BlockQuery(
                                            now.minusSeconds(200),
                                            now.minusSeconds(190),
                                            0,
                                            Long.MAX_VALUE,
                                            List.of())))
                    .containsExactly(
                            100L, 101L, 102L, 103L, 104L, 105L, 106L, 107L, 108L, 109L, 110L);
        }
    }

    @Test
    void aBlockThatWasChangedIsLeftOutAndCounted() throws Exception {
        final Random random = new Random(3);
        try (FlowLog log = open(folder, LIMITS)) {
            for (int i = 0; i < 200; i++) {
                log.append(block(i, now, randomBytes(random, 1_000)));
            }
            try (FileChannel file =
                    FileChannel.open(
                            folder.resolve("flows-00000000000000000000"),
                            StandardOpenOption.WRITE)) {
                file.write(ByteBuffer.wrap(new byte[] {1, 2, 3, 4, 5, 6, 7}), 300);
            }

            assertThat(sequences(log, BlockQuery.ALL)).hasSize(199).doesNotContain(0L);
            assertThat(log.damagedBlocks()).isEqualTo(1);
        }
    }

    @Test
    void aReaderGoesOnInASegmentThatIsDeleted() throws Exception {
        final Random random = new Random(4);
        try (FlowLog log = open(folder, LIMITS)) {
            for (int i = 0; i < 20; i++) {
                log.append(block(i, now, randomBytes(random, 1_000)));
            }
            try (BlockCursor cursor = log.read(BlockQuery.ALL, FlowLog.Direction.FORWARD)) {
                assertThat(cursor.next()).isPresent();
                for (int i = 20; i < 2_000; i++) {
                    log.append(block(i, now, randomBytes(random, 4_000)));
                }
                int blocks = 1;
                while (cursor.next().isPresent()) {
                    blocks++;
                }

                assertThat(folder.resolve("flows-00000000000000000000")).doesNotExist();
                assertThat(blocks).isEqualTo(20);
            }
        }
    }

    /** A file system that has room for so many bytes, and takes a part of what is too much. */
    @Test
    void aFullFileSystemLosesTheBlockAndNothingElse() throws Exception {
        final long[] room = {20_000};
        try (FlowLog log =
                FlowLog.open(
                        folder,
                        LIMITS,
                        () -> now,
                        FlowLog.Start.ALONE,
                        file -> new NarrowFile(FlowLog.openFile(file), room))) {
            final Random random = new Random(5);
            final List<Long> stored = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                if (i == 40) {
                    room[0] = 1 << 20;
                }
                try {
                    log.append(block(i, now, randomBytes(random, 1_000)));
                    stored.add((long) i);
                } catch (final IOException e) {
                    assertThat(e).hasMessage("No space left on device");
                }
            }

            assertThat(stored).hasSizeBetween(35, 45).contains(40L, 59L);
            assertThat(sequences(log, BlockQuery.ALL)).isEqualTo(stored);
        }
        try (FlowLog log = open(folder, LIMITS)) {
            assertThat(sequences(log, BlockQuery.ALL)).contains(0L, 40L, 59L);
        }
    }

    @Test
    void limitsThatMakeNoSenseAreRefused() {
        assertThatThrownBy(() -> new LogLimits(1, AGE)).hasMessageContaining("at least");
        assertThatThrownBy(() -> new LogLimits(LogLimits.BYTES_MIN, Duration.ZERO))
                .hasMessageContaining("more than nothing");
    }

    private FlowLog open(final Path own, final LogLimits limits) throws IOException {
        return FlowLog.open(own, limits, () -> now, FlowLog.Start.ALONE);
    }

    private static LogBlock block(final long sequence, final Instant at, final byte[] bytes) {
        return new LogBlock(1, sequence, sequence, at, at, KeyFilter.ALL, bytes);
    }

    private static byte[] randomBytes(final Random random, final int length) {
        final byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    private static List<Long> sequences(final FlowLog log, final BlockQuery query) {
        final List<Long> sequences = new ArrayList<>();
        try (BlockCursor cursor = log.read(query, FlowLog.Direction.FORWARD)) {
            Optional<BlockCursor.Block> block = cursor.next();
            while (block.isPresent()) {
                sequences.add(block.get().firstSequence());
                block = cursor.next();
            }
        } catch (final IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        return sequences;
    }

    private static long sizeOf(final Path own) throws IOException {
        try (Stream<Path> files = Files.list(own)) {
            long bytes = 0;
            for (final Path file : files.toList()) {
                bytes += Files.size(file);
            }
            return bytes;
        }
    }
}
