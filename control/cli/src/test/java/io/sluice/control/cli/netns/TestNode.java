package io.sluice.control.cli.netns;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.control.policy.ObjectRef;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A node of its own for a test: a namespace in which the daemon runs as it would on a host, one for
 * each pod, a folder of manifests, and the control socket to ask.
 *
 * <p>Nothing of the machine's own network is touched; {@link #close} removes all of it, and so does
 * the end of the JVM. Names carry the pid of the JVM, so that two test runs do not meet.
 *
 * <p>Thread: the test's.
 */
final class TestNode implements AutoCloseable {
    /** Generous, as the machine may be building something else; nothing waits this long for fun. */
    private static final long PATIENCE_MS = 30_000;

    /** A line of traceroute: number of the hop, address, time. */
    private static final Pattern HOP = Pattern.compile("(?m)^ *\\d+ +(\\S+)");

    private static final AtomicInteger NUMBER = new AtomicInteger();
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String prefix =
            "sluice-t-" + ProcessHandle.current().pid() + "-" + NUMBER.incrementAndGet();
    private final Deque<AutoCloseable> toClose = new ArrayDeque<>();
    private final Thread atJvmEnd = new Thread(this::removeAll);
    private final Path folder;
    private final Path objects;
    private final String namespace;
    private boolean closed;

    /**
     * @param configuration lines of the daemon's configuration file, beside the folders
     */
    TestNode(final String... configuration) {
        Runtime.getRuntime().addShutdownHook(atJvmEnd);
        try {
            folder = Files.createTempDirectory("sluice-t");
            objects = Files.createDirectory(folder.resolve("objects"));
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        configure(configuration);
        toClose.push(this::deleteFolder);
        namespace = addNamespace("node");
    }

    /**
     * Writes the configuration of daemons that start from now on.
     *
     * @param configuration lines beside the folders
     */
    final void configure(final String... configuration) {
        final List<String> lines = new ArrayList<>(List.of(configuration));
        lines.add("nodeName: test-node");
        lines.add("runFolder: " + folder.resolve("run"));
        lines.add("stateFolder: " + folder.resolve("state"));
        try {
            Files.write(folder.resolve("sluice.yaml"), lines);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The namespace that stands for the host. */
    String namespace() {
        return namespace;
    }

    /** The real name of a namespace of this node. */
    String namespace(final String name) {
        return prefix + "-" + name;
    }

    /** Makes a namespace with loopback up; its real name. */
    String addNamespace(final String name) {
        final String real = namespace(name);
        Command.need("ip", "netns", "add", real);
        toClose.push(() -> Command.run("ip", "netns", "delete", real));
        Command.need("ip", "-n", real, "link", "set", "lo", "up");
        return real;
    }

    void deleteNamespace(final String name) {
        Command.need("ip", "netns", "delete", namespace(name));
    }

    // Manifests

    /** Writes a file of the watched folder the way an editor should: beside it, then renamed. */
    void save(final String file, final String text) {
        try {
            final Path beside = folder.resolve(file + ".new");
            Files.writeString(beside, text);
            Files.move(beside, objects.resolve(file), StandardCopyOption.ATOMIC_MOVE);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void delete(final String file) {
        try {
            Files.delete(objects.resolve(file));
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Makes the namespace of a pod and saves its manifest as NAME.yaml. */
    void addPod(final String name, final int number) {
        addNamespace(name);
        savePod(name, number);
    }

    void savePod(final String name, final int number) {
        saveAnnotatedPod(name, number, "");
    }

    /** As {@link #savePod}, with another annotation. */
    void saveAnnotatedPod(final String name, final int number, final String annotation) {
        save(
                name + ".yaml",
                """
                apiVersion: v1
                kind: Pod
                metadata:
                  name: %1$s
                  namespace: app
                  labels: { app: %1$s }
                  annotations: { sluice.io/netns: %2$s, %5$s }
                status:
                  podIP: %3$s
                  podIPs: [{ ip: %3$s }, { ip: "%4$s" }]
                """
                        .formatted(name, namespace(name), ipv4(number), ipv6(number), annotation));
    }

    static String ipv4(final int number) {
        return "10.244.0." + number;
    }

    static String ipv6(final int number) {
        return "fd00:10:244::" + number;
    }

    // Programs

    /** What somebody wrote for programs of a namespace: `ip netns exec` shows it to them. */
    void saveResolvConf(final String name, final String text) {
        final Path file = resolvConf(name);
        try {
            Files.createDirectories(file.getParent());
            Files.writeString(file, text);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        toClose.push(
                () -> {
                    Files.deleteIfExists(file);
                    Files.deleteIfExists(file.getParent());
                });
    }

    /** Where `ip netns exec` looks. */
    Path resolvConf(final String name) {
        return Path.of("/etc/netns", namespace(name), "resolv.conf");
    }

    /** Runs a program in a namespace of this node. */
    Command in(final String name, final String... line) {
        return Command.run(inside(name, List.of(line)));
    }

    private List<String> inside(final String name, final List<String> line) {
        final List<String> command =
                new ArrayList<>(List.of("ip", "netns", "exec", namespace(name)));
        command.addAll(line);
        return command;
    }

    /** What a client of peer.py says. */
    String peer(final String name, final String... arguments) {
        return in(name, peerLine(arguments)).output();
    }

    /** The hops of a TCP traceroute, a probe each; a hop that does not answer is {@code *}. */
    List<String> traceroute(final String name, final String port, final String address) {
        final String output =
                in(name, "traceroute", "-n", "-T", "-p", port, "-q", "1", "-m", "5", address)
                        .output();
        return HOP.matcher(output).results().map(hop -> hop.group(1)).toList();
    }

    /** Starts the servers of peer.py in a namespace and waits until they listen. */
    Running serve(final String name, final String... services) {
        final List<String> arguments = new ArrayList<>(List.of("serve"));
        arguments.addAll(List.of(services));
        return start(name, peerLine(arguments.toArray(String[]::new))).await("ready", PATIENCE_MS);
    }

    /** Starts an HTTP server on both families; it has the file peer.py. */
    void serveFiles(final String name, final String port) {
        final String folderOfPeer = String.valueOf(Path.of(peerLine()[1]).getParent());
        start(name, "python3", "-m", "http.server", port, "--bind", "::", "-d", folderOfPeer);
        await(
                "files are served",
                () -> in(name, "curl", "-gs", "http://[::1]:" + port + "/").exit() == 0);
    }

    /** What a client of names.py says. */
    String names(final String name, final String... arguments) {
        return in(name, namesLine(arguments)).output();
    }

    /** Starts names.py in a namespace and waits until it listens. */
    Running serveNames(final String name, final String prefix) {
        return start(name, namesLine("serve", prefix)).await("ready", PATIENCE_MS);
    }

    private static String[] namesLine(final String... arguments) {
        return Stream.concat(
                        Stream.of("python3", resource("names.py").toString()), Stream.of(arguments))
                .toArray(String[]::new);
    }

    /** Starts a client of peer.py that keeps running. */
    Running startPeer(final String name, final String... arguments) {
        return start(name, peerLine(arguments));
    }

    /** Starts a program in a namespace of this node; it ends with the node. */
    Running start(final String name, final String... line) {
        return remember(new Running(inside(name, List.of(line))));
    }

    private Running remember(final Running running) {
        toClose.push(running);
        return running;
    }

    private static String[] peerLine(final String... arguments) {
        return Stream.concat(
                        Stream.of("python3", resource("peer.py").toString()), Stream.of(arguments))
                .toArray(String[]::new);
    }

    /** A file beside these tests. */
    static Path resource(final String name) {
        try {
            return Path.of(Objects.requireNonNull(TestNode.class.getResource(name)).toURI());
        } catch (final URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A process with a network namespace of its own and nothing else, as a container has. */
    Running startContainer() {
        final Running container =
                remember(
                        new Running(
                                List.of(
                                        "unshare",
                                        "--net",
                                        "sh",
                                        "-c",
                                        "echo ready; exec sleep 600")));
        return container.await("ready", PATIENCE_MS);
    }

    /** Starts a class of this folder as a program; its lines are read as they come. */
    Running startJava(final String name, final Class<?> program, final String... arguments) {
        final List<String> line = javaLine("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC");
        line.add(program.getName());
        line.addAll(List.of(arguments));
        return start(name, line.toArray(String[]::new));
    }

    /** A JVM as the launcher starts it, with the tests' class path. */
    private static List<String> javaLine(final String... options) {
        final List<String> line = new ArrayList<>();
        line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        line.add("@" + root().resolve("scripts/jvm.args"));
        line.addAll(List.of(options));
        line.addAll(List.of("-cp", System.getProperty("java.class.path")));
        return line;
    }

    // The daemon

    /** Starts `sluice run` in the node's namespace, as the launcher would; does not wait for it. */
    Running launch(final String... options) {
        final List<String> line = javaLine();
        line.addAll(
                List.of(
                        "io.sluice.control.cli.SluiceCli",
                        "run",
                        "-f",
                        objects.toString(),
                        "--config",
                        folder.resolve("sluice.yaml").toString()));
        line.addAll(List.of(options));
        return remember(new Running(inside("node", line)));
    }

    /** What a command prints that asks the daemon. */
    String sluice(final String... command) {
        return cli(List.of(command), List.of("--socket", socket().toString()));
    }

    /** What a command prints that reads the state folder. */
    String sluiceOffline(final String... command) {
        return cli(
                List.of(command),
                List.of("--offline", "--state-folder", folder.resolve("state").toString()));
    }

    private static String cli(final List<String> command, final List<String> options) {
        final List<String> line = javaLine("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC");
        line.add("io.sluice.control.cli.SluiceCli");
        line.addAll(command);
        line.addAll(options);
        return Command.run(line).output();
    }

    /** Starts a daemon that takes over from the one that runs, and waits until it has. */
    Running replaceDaemon(final Running before) {
        final Running daemon = launch("--replace");
        await("the daemon before has ended", () -> !before.isAlive() || !daemon.isAlive());
        await(
                "the successor answers",
                () -> !daemon.isAlive() || Command.run(curl("GET", "/v1/status", "")).exit() == 0);
        if (!daemon.isAlive()) {
            throw new IllegalStateException("the successor ended: " + daemon.output());
        }
        return daemon;
    }

    /** Starts the daemon and waits until these endpoints are ready. */
    Running startDaemon(final String... endpoints) {
        final Running daemon = launch();
        await(
                "the daemon answers",
                () -> !daemon.isAlive() || Command.run(curl("GET", "/v1/status", "")).exit() == 0);
        if (!daemon.isAlive()) {
            throw new IllegalStateException("the daemon ended: " + daemon.output());
        }
        awaitState("READY", endpoints);
        return daemon;
    }

    void awaitState(final String state, final String... endpoints) {
        for (final String endpoint : endpoints) {
            awaitState(state, ObjectRef.pod("app", endpoint));
        }
    }

    void awaitState(final String state, final ObjectRef endpoint) {
        try {
            await(
                    endpoint + " is " + state,
                    () ->
                            get("/v1/endpoints/" + endpoint.path())
                                    .path("state")
                                    .asText()
                                    .equals(state));
        } catch (final IllegalStateException e) {
            throw new IllegalStateException(get("/v1/endpoints").toPrettyString(), e);
        }
    }

    /** As {@code sluice apply}: live when this returns. */
    void apply(final String manifest) {
        change("/v1/objects", manifest);
    }

    /** As {@code sluice delete}: the objects that the manifest names. */
    void deleteObjects(final String manifest) {
        change("/v1/objects/delete", manifest);
    }

    private void change(final String path, final String manifest) {
        final JsonNode answer = ask("POST", path, manifest);
        if (!answer.isArray()) {
            throw new IllegalStateException(path + ": " + answer);
        }
    }

    JsonNode status() {
        return get("/v1/status");
    }

    long revision() {
        return status().path("policyRevision").asLong();
    }

    /** The value of a metric, with its labels if it has some. */
    long metric(final String name) {
        return text("/v1/metrics")
                .lines()
                .filter(line -> line.startsWith(name + " "))
                .map(line -> line.substring(name.length() + 1))
                .mapToLong(value -> (long) Double.parseDouble(value))
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("no metric " + name));
    }

    /** Packets dropped for a reason, since the daemon started. */
    long dropped(final String reason) {
        long packets = 0;
        for (final JsonNode drop : get("/v1/drops")) {
            if (drop.path("reason").asText().equals(reason)) {
                packets += drop.path("packets").asLong();
            }
        }
        return packets;
    }

    JsonNode get(final String path) {
        return ask("GET", path, "");
    }

    static JsonNode json(final String text) {
        try {
            return JSON.readTree(text);
        } catch (final JsonProcessingException e) {
            throw new IllegalStateException(text, e);
        }
    }

    JsonNode ask(final String method, final String path, final String body) {
        final Command curl = Command.run(curl(method, path, body));
        try {
            return JSON.readTree(curl.output());
        } catch (final JsonProcessingException e) {
            throw new IllegalStateException(method + " " + path + ": " + curl, e);
        }
    }

    /** An answer that is not one JSON value. */
    String text(final String path) {
        return Command.run(curl("GET", path, "")).output();
    }

    private List<String> curl(final String method, final String path, final String body) {
        final List<String> line =
                new ArrayList<>(
                        List.of("curl", "-s", "-X", method, "--unix-socket", socket().toString()));
        if (!body.isEmpty()) {
            line.addAll(List.of("--data-binary", body));
        }
        line.add("http://sluice" + path);
        return line;
    }

    /** A text as JSON writes it. */
    static String quoted(final String text) {
        return JSON.valueToTree(text).toString();
    }

    Path stateFolder() {
        return folder.resolve("state");
    }

    Path socket() {
        return folder.resolve("run/api.sock");
    }

    /** Asks again and again; each question takes a process, so that this is no busy loop. */
    static void await(final String what, final BooleanSupplier condition) {
        await(what, PATIENCE_MS, condition);
    }

    static void await(final String what, final long limitMs, final BooleanSupplier condition) {
        final long start = System.nanoTime();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() - start > limitMs * 1_000_000) {
                throw new IllegalStateException("not within %d ms: %s".formatted(limitMs, what));
            }
        }
    }

    /** The repository. */
    static Path root() {
        Path at = Path.of("").toAbsolutePath();
        while (!Files.exists(at.resolve("scripts/jvm.args"))) {
            at = Objects.requireNonNull(at.getParent(), "scripts/jvm.args in no folder above");
        }
        return at;
    }

    // The end

    @Override
    public void close() {
        Runtime.getRuntime().removeShutdownHook(atJvmEnd);
        removeAll();
    }

    private synchronized void removeAll() {
        if (closed) {
            return;
        }
        closed = true;
        for (final AutoCloseable resource : toClose) {
            try {
                resource.close();
            } catch (final Exception e) {
                // One that cannot be removed must not keep the others from being removed.
                System.err.println("left behind: " + e);
            }
        }
    }

    private void deleteFolder() throws IOException {
        try (Stream<Path> paths = Files.walk(folder)) {
            for (final Path path : paths.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.delete(path);
            }
        }
    }
}
