package io.sluice.control.cli;

import io.sluice.control.agent.Servers;
import io.sluice.control.agent.StartTraining;
import io.sluice.control.agent.api.ApiServer;
import io.sluice.control.agent.export.FlowExports;
import io.sluice.control.agent.hubble.HubbleServer;
import java.io.ByteArrayInputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Comparator;
import java.util.Map;
import java.util.stream.Stream;

/**
 * What the build runs once to record the classes that short commands load (JEP 483, JEP 514): each
 * class of the start path linked ahead of time is one less to parse at every start.
 *
 * <p>The daemon starts here too, with pairs of sockets in the place of devices, so that a build
 * needs no privileges.
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

    private TrainingRun() {}

    /** Started by scripts/sluice --train-aot-cache. */
    public static void main(final String... arguments) throws Exception {
        final Path folder = Files.createTempDirectory("sluice-training");
        final Path world = Files.writeString(folder.resolve("world.yaml"), WORLD);
        final String file = world.toString();
        final String socket = folder.resolve("no.sock").toString();
        try {
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
            run("status", "--socket", socket);
            run("endpoint", "list", "--socket", socket);
            run("observe", "--socket", socket);
            run("get", "netpol", "-A", "--socket", socket);
            StartTraining.run(
                    folder,
                    Files.writeString(
                            Files.createDirectory(folder.resolve("objects")).resolve("world.yaml"),
                            WORLD),
                    new Servers(ApiServer::start, HubbleServer::start, FlowExports::start),
                    TrainingRun::ask);
        } finally {
            try (Stream<Path> files = Files.walk(folder)) {
                for (final Path left : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(left);
                }
            }
        }
    }

    private static void ask(final Path socket) {
        run("status", "--socket", socket.toString());
        run("endpoint", "list", "--socket", socket.toString());
        run("get", "netpol", "-A", "--socket", socket.toString());
    }

    private static void run(final String... arguments) {
        final Console console =
                new Console(
                        new ByteArrayInputStream(PROBE.getBytes(StandardCharsets.UTF_8)),
                        new PrintWriter(new StringWriter()),
                        new PrintWriter(new StringWriter()),
                        false,
                        Map.of(),
                        Clock.systemUTC());
        SluiceCli.run(console, arguments);
    }
}
