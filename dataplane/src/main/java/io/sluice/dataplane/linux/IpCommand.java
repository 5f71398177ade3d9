package io.sluice.dataplane.linux;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * ip(8) of iproute2 in one network namespace: the slow and rare part of configuration, in lines
 * that a reader can type.
 *
 * <p>A batch is one process for any number of lines and stops at the first line that fails; lines
 * before it stay done. Another namespace is entered with nsenter(1), for the reason given in {@link
 * NetworkNamespace}. The kernel answers as fast as its RTNL lock allows; there is no time limit.
 *
 * <p>Thread: any; blocks the caller.
 */
public final class IpCommand {
    private static final List<Path> FOLDERS =
            List.of(Path.of("/usr/sbin"), Path.of("/usr/bin"), Path.of("/sbin"), Path.of("/bin"));

    /** How {@code ip -batch} names the line that failed. */
    private static final Pattern FAILED_LINE = Pattern.compile("Command failed -:(\\d+)");

    private final List<String> prefix;
    private final String where;

    private IpCommand(final List<String> prefix, final String where) {
        this.prefix = prefix;
        this.where = where;
    }

    /** In the namespace of the calling thread. */
    public static IpCommand here() {
        return new IpCommand(List.of(), "");
    }

    /** In another namespace. */
    public static IpCommand in(final NetworkNamespace namespace) {
        return new IpCommand(
                List.of(find("nsenter", "util-linux"), "--net=" + namespace.path()),
                " in network namespace " + namespace);
    }

    /**
     * Runs lines such as {@code link set dev eth0 up} in order, all in one process.
     *
     * @throws LinuxException at the first line that fails; the message holds the line and ip's
     *     words
     */
    public void batch(final List<String> lines) {
        if (lines.isEmpty()) {
            return;
        }
        final Outcome outcome = run("ip", List.of("-batch", "-"), String.join("\n", lines) + "\n");
        if (outcome.status == 0) {
            return;
        }
        final Matcher failed = FAILED_LINE.matcher(outcome.errors);
        final int index = failed.find() ? Integer.parseInt(failed.group(1)) - 1 : 0;
        final String line = index < lines.size() ? lines.get(index) : lines.getFirst();
        throw new LinuxException("ip " + line + where + ": " + outcome.firstError());
    }

    /**
     * Asks a question such as {@code -j addr show}.
     *
     * @return what ip printed
     * @throws LinuxException where ip fails; the message holds the question and ip's words
     */
    public String query(final String... arguments) {
        final Outcome outcome = run("ip", List.of(arguments), "");
        if (outcome.status != 0) {
            throw new LinuxException(
                    "ip " + String.join(" ", arguments) + where + ": " + outcome.firstError());
        }
        return outcome.output;
    }

    /**
     * Takes the queueing discipline from a device: what is sent to it waits in its driver or
     * nowhere. Where there was none yet, as the device has never been up, none is made (tc(8)).
     *
     * @throws LinuxException where tc fails; the message holds its words
     */
    public void takeQueueingDiscipline(final String device) {
        final List<String> arguments =
                List.of("qdisc", "replace", "dev", device, "root", "noqueue");
        final Outcome outcome = run("tc", arguments, "");
        if (outcome.status != 0) {
            throw new LinuxException(
                    "tc " + String.join(" ", arguments) + where + ": " + outcome.firstError());
        }
    }

    private record Outcome(int status, String output, String errors) {
        /** ip's own sentence: "RTNETLINK answers: File exists", "Cannot find device ...". */
        String firstError() {
            return errors.lines()
                    .filter(line -> !line.isBlank() && !FAILED_LINE.matcher(line).find())
                    .findFirst()
                    .orElse("ended with status " + status);
        }
    }

    private Outcome run(final String program, final List<String> arguments, final String input) {
        final List<String> command = new ArrayList<>(prefix);
        command.add(find(program, "iproute2"));
        command.addAll(arguments);
        try {
            final Process process = new ProcessBuilder(command).start();
            try (var stdin = process.getOutputStream()) {
                stdin.write(input.getBytes(StandardCharsets.UTF_8));
            } catch (final IOException e) {
                // The process ended before it had read its input: its status and words say why.
            }
            // Its errors are a few lines at most, which the pipe holds until its output was read.
            final String output = text(process.getInputStream());
            final String errors = text(process.getErrorStream());
            return new Outcome(waitFor(process), output, errors);
        } catch (final IOException e) {
            throw new LinuxException("run " + String.join(" ", command) + ": " + e.getMessage(), e);
        }
    }

    private static int waitFor(final Process process) {
        boolean interrupted = false;
        while (true) {
            try {
                final int status = process.waitFor();
                if (interrupted) {
                    Thread.currentThread().interrupt();
                }
                return status;
            } catch (final InterruptedException e) {
                interrupted = true;
            }
        }
    }

    private static String text(final InputStream stream) throws IOException {
        return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }

    /** Absolute path of a program; a daemon's PATH need not have the sbin folders. */
    private static String find(final String program, final String debianPackage) {
        for (final Path folder : FOLDERS) {
            final Path candidate = folder.resolve(program);
            if (Files.isExecutable(candidate)) {
                return candidate.toString();
            }
        }
        throw new LinuxException(
                program
                        + ": not found in /usr/sbin, /usr/bin, /sbin or /bin: install the package "
                        + debianPackage);
    }
}
