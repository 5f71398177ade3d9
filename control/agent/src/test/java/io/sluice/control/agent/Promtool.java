package io.sluice.control.agent;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/** Prometheus' own judge, where it is installed or scripts/bootstrap has fetched it. */
final class Promtool {
    private static final Path FETCHED = Path.of("..", "..", "target", "tools", "promtool");

    private Promtool() {}

    private static Optional<Path> find() {
        return Stream.concat(
                        Stream.of(FETCHED),
                        Stream.of(
                                        Objects.requireNonNullElse(System.getenv("PATH"), "")
                                                .split(":", -1))
                                .map(folder -> Path.of(folder, "promtool")))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /**
     * Runs it; skips the test where it is not there.
     *
     * @param input what it reads
     * @return what it says, nothing when all is well but for what it read
     */
    static List<String> run(final String input, final String... arguments)
            throws IOException, InterruptedException {
        final Optional<Path> tool = find();
        assumeTrue(
                tool.isPresent(),
                "promtool is not there: scripts/bootstrap fetches it (Debian package prometheus)");
        final List<String> command = new ArrayList<>(List.of(tool.get().toString()));
        command.addAll(List.of(arguments));
        final Path file = Files.createTempFile("promtool", ".txt");
        try {
            Files.writeString(file, input);
            final Process process =
                    new ProcessBuilder(command)
                            .redirectErrorStream(true)
                            .redirectInput(file.toFile())
                            .start();
            final String said =
                    new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            final List<String> lines = new ArrayList<>(said.lines().toList());
            final int status = process.waitFor();
            if (status != 0) {
                lines.add("exit status " + status);
            }
            return lines;
        } finally {
            Files.delete(file);
        }
    }
}
