package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.flowlog.FlowLog;
import io.sluice.control.agent.flowlog.LogLimits;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
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
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** kill -9, so often as {@code sluice.test.flowKills} says, 50 for the record. */
class FlowHistoryKillTest {
    private static final LogLimits LIMITS = new LogLimits(64L << 20, Duration.ofDays(7));

    /** What a kill may lose. */
    private static final long LOST_NS = TimeUnit.SECONDS.toNanos(1);

    /** Appends before a kill, at most: some blocks, and a tail. */
    private static final int APPENDS_MAX = 30_000;

    /** A place for the time of every append of a run. */
    private static final int DIARY_BYTES = 2 * APPENDS_MAX * Long.BYTES;

    @TempDir private Path folder;

    @Test
    void aKillLosesNothingThatIsOlderThanASecond() throws Exception {
        final int kills = Integer.getInteger("sluice.test.flowKills", 3);
        final Random random = new Random(kills);
        final List<Long> sequences = new ArrayList<>();
        for (int kill = 0; kill < kills; kill++) {
            final Path diary = folder.resolve("diary" + kill);
            final long killedAtNs = runAndKill(diary, random.nextInt(APPENDS_MAX) + 1);
            final long first = sequences.isEmpty() ? 0 : sequences.getLast() + 1;

            final List<Long> stored = new ArrayList<>();
            try (FlowHistory history =
                    FlowHistory.open(
                            folder.resolve("flows"), Optional.of(LIMITS), FlowLog.Start.ALONE)) {
                Flows.all(history.read(FlowQuery.ALL, Long.MAX_VALUE))
                        .forEach(flow -> stored.add(flow.sequence()));
            }

            // What earlier runs left is there still, and nothing between is missing.
            assertThat(stored).hasSizeGreaterThanOrEqualTo(sequences.size());
            for (int i = 0; i < stored.size(); i++) {
                assertThat(stored.get(i)).isEqualTo(i);
            }
            assertThat((long) stored.size())
                    .as("kill %d", kill)
                    .isGreaterThanOrEqualTo(first + olderThan(diary, killedAtNs - LOST_NS));
            sequences.clear();
            sequences.addAll(stored);
        }
    }

    /** Ends as soon as so many flows are in the diary; the time is that just before the kill. */
    private long runAndKill(final Path diary, final int appends) throws Exception {
        Files.write(diary, new byte[DIARY_BYTES]);
        final Process process =
                new ProcessBuilder(
                                ProcessHandle.current().info().command().orElseThrow(),
                                "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
                                "--sun-misc-unsafe-memory-access=allow",
                                "-cp",
                                System.getProperty("java.class.path"),
                                Writer.class.getName(),
                                folder.resolve("flows").toString(),
                                diary.toString())
                        .redirectErrorStream(true)
                        .redirectOutput(folder.resolve("out").toFile())
                        .start();
        try (FileChannel channel = FileChannel.open(diary, StandardOpenOption.READ)) {
            final ByteBuffer last = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder());
            do {
                assertThat(process.isAlive()).as(() -> "the writer ended: " + output()).isTrue();
                LockSupport.parkNanos(1_000_000);
                channel.read(last.clear(), (appends - 1L) * Long.BYTES);
            } while (last.getLong(0) == 0);
            return System.nanoTime();
        } finally {
            // SIGKILL.
            process.destroyForcibly().waitFor();
        }
    }

    private String output() {
        try {
            return Files.readString(folder.resolve("out"));
        } catch (final java.io.IOException e) {
            return e.toString();
        }
    }

    /** Appends of a diary before a time. CLOCK_MONOTONIC is the same in all processes. */
    private static long olderThan(final Path diary, final long ns) throws Exception {
        final ByteBuffer times =
                ByteBuffer.wrap(Files.readAllBytes(diary)).order(ByteOrder.nativeOrder());
        long count = 0;
        while (times.hasRemaining()) {
            final long time = times.getLong();
            if (time == 0 || time >= ns) {
                break;
            }
            count++;
        }
        return count;
    }

    /** The process that is killed: appends as fast as 20 a millisecond, and keeps a diary. */
    static final class Writer {
        private Writer() {}

        public static void main(final String[] args) throws Exception {
            final MappedByteBuffer diary;
            try (FileChannel channel =
                    FileChannel.open(
                            Path.of(args[1]), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                diary = channel.map(FileChannel.MapMode.READ_WRITE, 0, DIARY_BYTES);
            }
            diary.order(ByteOrder.nativeOrder());
            final FlowHistory history =
                    FlowHistory.open(Path.of(args[0]), Optional.of(LIMITS), FlowLog.Start.ALONE);
            history.start();
            final FlowStore store = new FlowStore(100, flow -> {}, history);
            final Random random = new Random(1);
            final Instant start = Instant.now().minusSeconds(3_600);
            for (int i = 0; i < 2 * APPENDS_MAX; i++) {
                store.append(sequence -> RandomFlows.next(random, sequence, start));
                diary.putLong(i * Long.BYTES, System.nanoTime());
                if (i % 20 == 0) {
                    LockSupport.parkNanos(1_000_000);
                }
            }
            LockSupport.park();
        }
    }
}
