package io.sluice.control.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.sluice.control.agent.Servers;
import io.sluice.control.agent.StartTraining;
import io.sluice.control.agent.api.ApiServer;
import io.sluice.control.agent.export.FlowExports;
import io.sluice.control.agent.hubble.HubbleServer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Comparator;
import java.util.Map;
import java.util.stream.Stream;

/**
 * What the build runs to record the classes that commands and daemon load (JEP 483, JEP 514): each
 * class of the start path linked ahead of time is one less to parse at every start.
 *
 * <p>One run for the commands and one for the daemon, each with a cache of its own: a start loads
 * every class of its cache, and the daemon's are twice as many as the commands'.
 *
 * <p>The daemon starts with pairs of sockets in the place of devices, so that a build needs no
 * privileges. Commands ask a daemon that knows two answers by heart.
 */
final class TrainingRun {
    private static final String WORLD =
            """
            apiVersion: v1
            kind: Pod
            metadata: {name: a, namespace: x, labels: {app: a}, annotations: {sluice.io/netns: a}}
            status: {podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: b, namespace: x, labels: {app: b}, annotations: {sluice.io/netns: b}}
            status: {podIPs: [{ip: 10.0.0.2}, {ip: "fd00::2"}]}
            ---
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: p, namespace: x}
            spec:
              podSelector: {matchLabels: {app: b}}
              ingress:
              - from: [{podSelector: {matchLabels: {app: a}}}, {ipBlock: {cidr: 10.1.0.0/16}}]
                ports: [{port: 80, protocol: TCP}]
            ---
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: {name: q, namespace: x}
            spec:
              endpointSelector: {matchLabels: {app: b}}
              ingress:
              - fromEndpoints: [{matchLabels: {app: a}}]
                toPorts: [{ports: [{port: "80", protocol: TCP}]}]
            """;

    private static final String PROBE =
            "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80}\n";

    private static final String STATUS =
            """
            {"version":"0","nodeName":"n","pid":1,"startedAt":"2026-01-01T00:00:00Z",\
            "manifestFolders":["f"],"policyRevision":1,"policyCompileNs":1000000,\
            "endpoints":1,"problems":[]}""";

    private static final String ENDPOINTS =
            """
            [{"name":"x/a","state":"READY","identity":256,"addresses":["10.0.0.1"],\
            "labels":["app=a"],"policyRevision":1,"message":""}]""";

    private TrainingRun() {}

    /**
     * Started by scripts/sluice --train-aot-cache.
     *
     * @param arguments which of the two, {@code commands} or {@code daemon}
     */
    public static void main(final String... arguments) throws Exception {
        final Path folder = Files.createTempDirectory("sluice-training");
        try {
            switch (arguments[0]) {
                case "commands" -> commands(folder);
                case "daemon" -> daemon(folder);
                default -> throw new IllegalArgumentException(arguments[0]);
            }
        } finally {
            try (Stream<Path> files = Files.walk(folder)) {
                for (final Path left : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(left);
                }
            }
        }
        // A real one to its end, with the process's streams and exit.
        SluiceCli.main("version");
    }

    private static void commands(final Path folder) throws IOException {
        final String file = Files.writeString(folder.resolve("world.yaml"), WORLD).toString();
        final String nowhere = folder.resolve("no.sock").toString();
        run("version");
        run("version", "-o", "json");
        run("-h");
        run("policy", "eval", "-h");
        run("policy", "validate", "-f", file);
        run(
                "policy",
                "eval",
                "-f",
                file,
                "--from",
                "x/a",
                "--to",
                "x/b",
                "--port",
                "80/TCP",
                "--explain");
        run("policy", "eval", "-f", file, "--probes", "-", "-o", "jsonl");
        run("policy", "matrix", "-f", file, "--port", "80/TCP");
        run("policy", "matrix", "-f", file, "--port", "80/TCP", "-o", "yaml");
        run("policy", "selector", "a == 'b' && has(c)", "-l", "a=b");
        run("observe", "--socket", nowhere);
        run("get", "netpol", "-A", "--socket", nowhere);
        final Path socket = folder.resolve("api.sock");
        try (ServerSocketChannel daemon = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            daemon.bind(UnixDomainSocketAddress.of(socket));
            Thread.ofPlatform().daemon().start(() -> answer(daemon));
            ask(socket);
            run("status", "-o", "json", "--socket", socket.toString());
            run("drops", "--socket", socket.toString());
        }
    }

    /** Answers every request of a connection each, until the channel is closed. */
    private static void answer(final ServerSocketChannel daemon) {
        try {
            while (true) {
                try (SocketChannel connection = daemon.accept()) {
                    final ByteBuffer request = ByteBuffer.allocate(4096);
                    connection.read(request);
                    final String head = new String(request.array(), 0, request.position(), UTF_8);
                    final String body = head.startsWith("GET /v1/status ") ? STATUS : ENDPOINTS;
                    connection.write(
                            UTF_8.encode(
                                    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                                            .formatted(body.length(), body)));
                }
            }
        } catch (final IOException e) {
            // The end of the run closes the channel.
        }
    }

    private static void daemon(final Path folder) throws Exception {
        run("run", "-h");
        StartTraining.run(
                folder,
                Files.writeString(
                        Files.createDirectory(folder.resolve("objects")).resolve("world.yaml"),
                        WORLD),
                new Servers(ApiServer::start, HubbleServer::start, FlowExports::start),
                TrainingRun::ask);
    }

    private static void ask(final Path socket) {
        run("status", "--socket", socket.toString());
        run("endpoint", "list", "--socket", socket.toString());
        run("get", "netpol", "-A", "--socket", socket.toString());
    }

    private static void run(final String... arguments) {
        final Console console =
                new Console(
                        new ByteArrayInputStream(PROBE.getBytes(UTF_8)),
                        new PrintWriter(new StringWriter()),
                        new PrintWriter(new StringWriter()),
                        false,
                        Map.of(),
                        Clock.systemUTC());
        SluiceCli.run(console, arguments);
    }
}
