package io.sluice.control.agent.state;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Processes that end in the middle of writing.
 *
 * <p>{@code -Dsluice.state.kills=50} kills more often than the 8 times of an ordinary run.
 */
final class StateCrashTest {
    private static final int KILLS = Integer.getInteger("sluice.state.kills", 8);

    @TempDir private Path folder;

    /** Numbers that a writer said it wrote, until it was killed at some line or ended. */
    private static int killAfter(final Process writer, final int lines)
            throws IOException, InterruptedException {
        int last = -1;
        try (BufferedReader reader =
                new BufferedReader(
                        new InputStreamReader(writer.getInputStream(), StandardCharsets.UTF_8))) {
            int seen = 0;
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (line.startsWith("wrote ")) {
                    last = Integer.parseInt(line.substring("wrote ".length()));
                }
                if (seen++ == lines) {
                    // SIGKILL; what is in the pipe is still read.
                    writer.toHandle().destroyForcibly();
                }
            }
        }
        writer.waitFor();
        return last;
    }

    @Test
    void afterAKillEverythingThatWasWrittenIsThereAndRight() throws Exception {
        final Random random = new Random(20_261_127);
        int next = 300;
        long slowestOpenNs = 0;
        for (int kill = 0; kill < KILLS; kill++) {
            final int first = next;
            final Process writer = StateWriterProcess.start(List.of(), folder, first, 1_000_000);
            final int last = killAfter(writer, random.nextInt(1_500));
            assertThat(StateFolder.tables(folder).resolve("clean")).doesNotExist();

            final long beginNs = System.nanoTime();
            try (StateStore store = StateStore.open(folder, Clock.systemUTC())) {
                slowestOpenNs = Math.max(slowestOpenNs, System.nanoTime() - beginNs);
                assertThat(store.problems()).isEmpty();
                final Map<Integer, String> found = new HashMap<>();
                store.identities().recall().forEach((facts, number) -> found.put(number, facts));
                next = Math.max(last + 1, first);
                for (int number = 300; number < next; number++) {
                    assertThat(found.remove(number)).isEqualTo(StateWriterProcess.facts(number));
                    // A number that was not reported may be there, with or without its name.
                }
                // Lines that were on their way to the pipe: the rows are whole all the same.
                found.forEach(
                        (number, facts) ->
                                assertThat(facts).isEqualTo(StateWriterProcess.facts(number)));
                next += found.size();
                final List<NameRow> names = store.names().names();
                assertThat(names.size()).isBetween(next - 301, next - 300);
                for (final NameRow name : names) {
                    assertThat(name)
                            .isEqualTo(
                                    StateWriterProcess.name((int) name.learnedAt().toEpochMilli()));
                }
                if (names.size() < next - 300) {
                    store.names().learn(StateWriterProcess.name(next - 1));
                }
            }
            for (final PrefixRow row :
                    StateTables.read(folder, StateTables.Which.PREFIXES).prefixes()) {
                assertThat(row).isEqualTo(StateWriterProcess.prefix(row.identity()));
            }
        }
        System.out.printf(
                "%d kills, %d rows, slowest open %d ms%n",
                KILLS, next - 300, slowestOpenNs / 1_000_000);
    }

    @Test
    void aFileOfRandomBytesCostsTwoStartsAtMost() throws Exception {
        try (StateStore store = StateStore.open(folder, Clock.systemUTC())) {
            store.identities().remember("x", 300);
        }
        Files.delete(StateFolder.tables(folder).resolve("clean"));
        final byte[] garbage = new byte[1 << 20];
        new Random(4).nextBytes(garbage);
        try (FileChannel file =
                FileChannel.open(
                        StateFolder.tables(folder).resolve("identities"),
                        StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.wrap(garbage), 4096);
        }
        int starts = 0;
        int written = -1;
        while (written < 0 && starts <= StateFolder.ATTEMPTS_MAX) {
            written = killAfter(StateWriterProcess.start(List.of(), folder, 400, 1), 1_000);
            starts++;
        }
        assertThat(written).isEqualTo(400);
    }

    /** A file system of 18 MB in a mount namespace of its own, which ends with the process. */
    @Test
    @Tag("netns")
    void onAFullFileSystemTheProcessGoesOnAndSaysSo() throws Exception {
        final Process writer =
                StateWriterProcess.start(
                        List.of(
                                "unshare",
                                "-m",
                                "sh",
                                "-c",
                                "mount -t tmpfs -o size=18m state \"$0\" && exec \"$@\"",
                                folder.toString()),
                        folder,
                        300,
                        3_000);
        assertThat(killAfter(writer, Integer.MAX_VALUE)).isEqualTo(3_299);
        assertThat(writer.exitValue()).isZero();
    }

    @Test
    @Tag("netns")
    void onAReadOnlyFileSystemItRemembersNothingAndSaysSo() throws Exception {
        final Process writer =
                StateWriterProcess.start(
                        List.of(
                                "unshare",
                                "-m",
                                "sh",
                                "-c",
                                "mount -t tmpfs -o ro state \"$0\" && exec \"$@\"",
                                folder.toString()),
                        folder,
                        300,
                        10);
        try (BufferedReader reader =
                new BufferedReader(
                        new InputStreamReader(writer.getInputStream(), StandardCharsets.UTF_8))) {
            assertThat(reader.lines().toList())
                    .first()
                    .asString()
                    .contains("cannot be used, identities, ipcache and names are not remembered")
                    .contains("Read-only file system");
        }
        assertThat(writer.waitFor()).isZero();
    }
}
