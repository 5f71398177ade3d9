package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.state.StateStore;
import io.sluice.dnsproxy.cache.FqdnCache;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Learned names of processes that are killed while they learn and forget.
 *
 * <p>{@code -Dsluice.state.kills=50} kills more often than the 8 times of an ordinary run.
 */
class NameStoreCrashTest {
    private static final int KILLS = Integer.getInteger("sluice.state.kills", 8);

    @TempDir private Path folder;

    /** Names that are known, by number, as far as the killed writers have said. */
    private final TreeSet<Integer> known = new TreeSet<>();

    private int next;

    private void killAfter(final Process writer, final int lines)
            throws IOException, InterruptedException {
        try (BufferedReader reader =
                new BufferedReader(
                        new InputStreamReader(writer.getInputStream(), StandardCharsets.UTF_8))) {
            int seen = 0;
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                final String[] words = line.split(" ", 2);
                switch (words[0]) {
                    case "learned" -> {
                        known.add(Integer.parseInt(words[1]));
                        next = Integer.parseInt(words[1]) + 1;
                    }
                    case "forgot" -> known.remove(Integer.parseInt(words[1]));
                    default -> throw new AssertionError(line);
                }
                if (seen++ == lines) {
                    // SIGKILL; what is in the pipe is still read.
                    writer.toHandle().destroyForcibly();
                }
            }
        }
        writer.waitFor();
    }

    @Test
    void afterAKillTheNamesAreKnownThatWereSaidToBeAndAtMostTheLastChangeIsMissing()
            throws Exception {
        final Random random = new Random(20_261_127);
        long slowestOpenNs = 0;
        int missing = 0;
        for (int kill = 0; kill < KILLS; kill++) {
            killAfter(NameWriterProcess.start(folder, next), random.nextInt(2_000));

            final TreeSet<Integer> found = new TreeSet<>();
            final long beginNs = System.nanoTime();
            try (StateStore store = StateStore.open(folder, Clock.systemUTC())) {
                final FqdnCache cache = NameWriterProcess.cache(store);
                cache.restore();
                slowestOpenNs = Math.max(slowestOpenNs, System.nanoTime() - beginNs);
                assertThat(store.problems()).isEmpty();
                cache.forEach(
                        record -> {
                            final int number = (int) record.address().low();
                            assertThat(record.name()).isEqualTo(NameWriterProcess.name(number));
                            assertThat(record.endpoint())
                                    .isEqualTo(NameWriterProcess.endpoint(number));
                            assertThat(record.isZombie()).isFalse();
                            found.add(number);
                        });
            }
            final TreeSet<Integer> different = new TreeSet<>(known);
            different.removeAll(found);
            found.stream().filter(number -> !known.contains(number)).forEach(different::add);
            // The change that was made, or not, and not told any more: of the last name or the
            // next.
            assertThat(different).hasSizeLessThanOrEqualTo(1);
            assertThat(different).allMatch(number -> number >= next - 1);
            missing += different.size();
            known.clear();
            known.addAll(found);
            next = Math.max(next, found.isEmpty() ? 0 : found.last() + 1);
        }
        System.out.printf(
                "%d kills, %d names known of %d, %d changes untold, slowest open %d ms%n",
                KILLS, known.size(), next, missing, slowestOpenNs / 1_000_000);
    }
}
