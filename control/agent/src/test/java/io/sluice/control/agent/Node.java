package io.sluice.control.agent;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A namespace that plays the node, with namespaces that play pods and daemons that run inside.
 * Everything it made is gone after {@link #close}. A daemon's log lines are what tests wait for.
 */
final class Node implements AutoCloseable {
    private static final long PATIENCE_SECONDS = 60;

    private final Path folder;
    private final String prefix = "sluice-t-" + ProcessHandle.current().pid() + "-";
    private final List<String> namespaces = new ArrayList<>();
    private final List<Daemon> daemons = new ArrayList<>();
    private final List<Process> programs = new ArrayList<>();

    /**
     * @param folder for run folder, state and manifests
     */
    Node(final Path folder) throws IOException, InterruptedException {
        this.folder = folder;
        Files.createDirectories(manifests());
        addNamespace("node");
        run("ip", "-n", name("node"), "link", "set", "lo", "up");
        Files.writeString(
                folder.resolve("sluice.yaml"),
                """
                nodeName: node-1
                runFolder: %1$s/run
                stateFolder: %1$s/state
                """
                        .formatted(folder));
    }

    Path manifests() {
        return folder.resolve("manifests");
    }

    Path runFolder() {
        return folder.resolve("run");
    }

    /** The namespace's name on the machine. */
    String name(final String namespace) {
        return prefix + namespace;
    }

    void addNamespace(final String namespace) throws IOException, InterruptedException {
        run("ip", "netns", "add", name(namespace));
        namespaces.add(namespace);
    }

    void removeNamespace(final String namespace) throws IOException, InterruptedException {
        namespaces.remove(namespace);
        run("ip", "netns", "del", name(namespace));
    }

    void writePod(final String pod, final String moreAnnotations) throws IOException {
        Files.writeString(
                manifests().resolve(pod + ".yaml"),
                """
                apiVersion: v1
                kind: Pod
                metadata:
                  name: %1$s
                  namespace: shop
                  labels: {app: %1$s}
                  annotations:
                    sluice.io/netns: %2$s
                    %3$s
                """
                        .formatted(pod, name(pod), moreAnnotations));
    }

    /** Whether a pod, or {@code node}, gets an answer to one ping of so many bytes. */
    boolean pings(final String from, final String address, final int bytes)
            throws IOException, InterruptedException {
        return exitCode(
                        "ip",
                        "netns",
                        "exec",
                        name(from),
                        "ping",
                        "-c",
                        "1",
                        "-W",
                        "1",
                        "-M",
                        "do",
                        "-s",
                        Integer.toString(bytes),
                        address)
                == 0;
    }

    boolean pings(final String from, final String address)
            throws IOException, InterruptedException {
        return pings(from, address, 56);
    }

    /** Adds lines to the daemon's configuration. */
    void configure(final String lines) throws IOException {
        Files.writeString(folder.resolve("sluice.yaml"), lines + "\n", StandardOpenOption.APPEND);
    }

    /** Starts a program in a namespace; it is ended by {@link #close}. */
    Process start(final String namespace, final String... words) throws IOException {
        final List<String> command =
                new ArrayList<>(List.of("ip", "netns", "exec", name(namespace)));
        command.addAll(List.of(words));
        final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        programs.add(process);
        return process;
    }

    /** What {@code ip} prints about a namespace. */
    String ip(final String namespace, final String... words)
            throws IOException, InterruptedException {
        final List<String> command = new ArrayList<>(List.of("ip", "-n", name(namespace)));
        command.addAll(List.of(words));
        return run(command.toArray(new String[0]));
    }

    /** Starts a daemon and waits until it runs. */
    Daemon start() throws IOException, InterruptedException {
        final Daemon daemon = launch();
        daemon.awaitLine("sluice runs on node node-1");
        return daemon;
    }

    /** Starts a daemon. */
    Daemon launch() throws IOException {
        return launch(List.of(), List.of());
    }

    /** Starts a daemon that takes over from the one that runs, and waits until it runs. */
    Daemon replace() throws IOException, InterruptedException {
        final Daemon daemon = launch(List.of(), List.of("--replace"));
        daemon.awaitLine("sluice runs on node node-1");
        return daemon;
    }

    /** Starts a daemon that lacks a capability, and waits until it runs. */
    Daemon startWithout(final String capability) throws IOException, InterruptedException {
        final Daemon daemon =
                launch(
                        List.of(
                                "setpriv",
                                "--inh-caps=-" + capability,
                                "--bounding-set=-" + capability),
                        List.of());
        daemon.awaitLine("sluice runs on node node-1");
        return daemon;
    }

    private Daemon launch(final List<String> prefix, final List<String> options)
            throws IOException {
        final Path jvmArgs = Path.of("../../scripts/jvm.args");
        final List<String> command = new ArrayList<>(List.of("ip", "netns", "exec", name("node")));
        command.addAll(prefix);
        command.addAll(
                List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "@" + jvmArgs.toRealPath(),
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty(
                                "surefire.test.class.path", System.getProperty("java.class.path")),
                        DaemonProcess.class.getName()));
        command.addAll(options);
        command.add(folder.resolve("sluice.yaml").toString());
        command.add(manifests().toString());
        final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        final Daemon daemon = new Daemon(process);
        daemons.add(daemon);
        return daemon;
    }

    /** A daemon's process; {@code ip netns exec} becomes the JVM, so its pid is the daemon's. */
    static final class Daemon {
        private final Process process;
        private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
        private final List<String> seen = new ArrayList<>();

        Daemon(final Process process) {
            this.process = process;
            Thread.ofPlatform().name("daemon-log").daemon().start(this::read);
        }

        private void read() {
            try (BufferedReader reader =
                    new BufferedReader(
                            new InputStreamReader(
                                    process.getInputStream(), StandardCharsets.UTF_8))) {
                String line = reader.readLine();
                while (line != null) {
                    lines.add(line);
                    line = reader.readLine();
                }
            } catch (final IOException e) {
                lines.add("log ended: " + e);
            }
        }

        long pid() {
            return process.pid();
        }

        /** Waits for a log line, from the one after the last that was waited for. */
        void awaitLine(final String part) throws InterruptedException {
            while (true) {
                final @Nullable String line = lines.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
                if (line == null) {
                    throw new AssertionError("no line \"" + part + "\" in:\n" + log());
                }
                seen.add(line);
                if (line.contains(part)) {
                    return;
                }
            }
        }

        /** What it has said so far. */
        String log() {
            lines.drainTo(seen);
            return String.join("\n", seen);
        }

        /** SIGTERM, and the wait for the end. */
        int terminate() throws InterruptedException {
            // Through the handle, because Process.destroy() would close the log as well.
            process.toHandle().destroy();
            return awaitEnd();
        }

        /** SIGKILL, and the wait for the end. */
        void kill() throws InterruptedException {
            process.toHandle().destroyForcibly();
            awaitEnd();
        }

        int awaitEnd() throws InterruptedException {
            if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                throw new AssertionError("the daemon did not end:\n" + log());
            }
            return process.exitValue();
        }
    }

    private static String run(final String... command) throws IOException, InterruptedException {
        final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        final String output =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IOException(String.join(" ", command) + ": " + output);
        }
        return output;
    }

    private static int exitCode(final String... command) throws IOException, InterruptedException {
        return new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start()
                .waitFor();
    }

    @Override
    public void close() throws IOException {
        daemons.forEach(daemon -> daemon.process.destroyForcibly());
        programs.forEach(Process::destroyForcibly);
        try {
            for (final Process program : programs) {
                program.waitFor();
            }
            for (final Daemon daemon : daemons) {
                daemon.process.waitFor();
            }
            for (final String namespace : List.copyOf(namespaces)) {
                removeNamespace(namespace);
            }
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
