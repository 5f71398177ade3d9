package io.sluice.control.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Finds the process of a container by asking the runtime's own {@code inspect} command. Sluice
 * needs nothing else from a runtime: the process has the network namespace.
 *
 * <p>Every runtime found on the PATH is asked until one knows the container.
 */
final class ContainerRuntime {
    private static final Map<String, List<String>> INSPECT = new LinkedHashMap<>();

    static {
        final List<String> docker = List.of("inspect", "--format", "{{.State.Pid}}");
        INSPECT.put("docker", docker);
        INSPECT.put("podman", docker);
        INSPECT.put("nerdctl", docker);
        INSPECT.put(
                "crictl", List.of("inspect", "-o", "go-template", "--template", "{{.info.pid}}"));
    }

    /** A runtime that hangs is given up after this long, in seconds. */
    private static final int ANSWER_SECONDS = 10;

    private ContainerRuntime() {}

    static long pidOf(final String container, final Map<String, String> environment) {
        final List<String> answers = new ArrayList<>();
        for (final Map.Entry<String, List<String>> runtime : INSPECT.entrySet()) {
            final Path program = onPath(runtime.getKey(), environment);
            if (program == null) {
                continue;
            }
            final List<String> command = new ArrayList<>();
            command.add(program.toString());
            command.addAll(runtime.getValue());
            // A name that begins with a dash must not become an option.
            command.add("--");
            command.add(container);
            final String answer = run(command);
            if (!answer.isEmpty() && answer.chars().allMatch(Character::isDigit)) {
                final long pid = Long.parseLong(answer);
                if (pid == 0) {
                    throw CommandError.no(
                            "--container "
                                    + container
                                    + ": it is not running, says "
                                    + runtime.getKey());
                }
                return pid;
            }
            answers.add(runtime.getKey() + ": " + answer.lines().findFirst().orElse("no answer"));
        }
        throw CommandError.no(
                "--container "
                        + container
                        + (answers.isEmpty()
                                ? ": no container runtime on the PATH: one of "
                                        + String.join(", ", INSPECT.keySet())
                                        + "; or give --pid"
                                : ": not found: " + String.join("; ", answers)));
    }

    private static @Nullable Path onPath(final String name, final Map<String, String> environment) {
        for (final String folder : environment.getOrDefault("PATH", "").split(":", -1)) {
            if (!folder.isEmpty() && Files.isExecutable(Path.of(folder, name))) {
                return Path.of(folder, name);
            }
        }
        return null;
    }

    private static String run(final List<String> command) {
        try {
            final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            if (!process.waitFor(ANSWER_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                return "no answer within " + ANSWER_SECONDS + " s";
            }
            // A pid or one line of error: far below what a pipe holds, so waiting first is safe.
            return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                    .strip();
        } catch (final IOException e) {
            return String.valueOf(e.getMessage());
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            return "interrupted";
        }
    }
}
