package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.ObjectRef;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The policies of {@code examples/seeds} that have rules for HTTP, gRPC and Kafka, on real traffic:
 * every request of their cases is made, between the pods of their world, and gets what the case
 * says. Who was asked knows the address of who asked, and nothing of what was denied.
 *
 * <p>The world's Pods are taken as they are but for the node, which becomes this one, and the
 * annotation that plugs them in.
 */
@Tag("netns")
class SeedRequestsNetnsTest {
    private static final Path SEEDS = Path.of("../../examples/seeds");
    private static final long ANSWER_MS = 60_000;

    /** Name and namespace as world.yaml has them, and the first of the addresses. */
    private static final Pattern POD =
            Pattern.compile("(?s)metadata: \\{name: ([^,]+), namespace: ([^,]+),.*ip: ([0-9.]+)}");

    private static final Pattern CASE =
            Pattern.compile(
                    "\\{.*from: ([^,]+), to: ([a-z-]+/[a-z-]+), port: ([^,/]+)(?:/TCP)?,(.*)}");

    private static final Pattern HTTP = Pattern.compile("http: '?([A-Z]+) ([^,' ]+)");
    private static final Pattern KAFKA = Pattern.compile("kafka: ([a-z]+)(?::([^,]+))?");

    @TempDir private static Path folder;
    private static TestNode node;

    @BeforeAll
    static void start() {
        node = new TestNode("pool: { ipv4: 10.244.0.0/16 }");
        node.startDaemon();
    }

    @AfterAll
    static void stop() {
        node.close();
    }

    /** A line of cases.yaml. */
    private record Case(String from, String to, String port, String rest) {
        boolean isAllowed() {
            return rest.contains("expect: allowed");
        }

        /** Method and path; empty if the line is about something else. */
        List<String> http() {
            return HTTP.matcher(rest)
                    .results()
                    .findFirst()
                    .map(found -> List.of(found.group(1), found.group(2)))
                    .orElse(List.of());
        }
    }

    /** One folder of the seeds in the daemon, until it is closed. */
    private static final class Live implements AutoCloseable {
        private final TestNode node;
        private final String world;
        private final String policy;
        private final TreeMap<String, String> addresses = new TreeMap<>();
        private final List<Running> programs = new ArrayList<>();
        final List<Case> cases;

        Live(final TestNode node, final Path seed) throws IOException {
            this.node = node;
            cases =
                    Files.readAllLines(seed.resolve("cases.yaml")).stream()
                            .flatMap(line -> CASE.matcher(line).results())
                            .map(
                                    found ->
                                            new Case(
                                                    found.group(1),
                                                    found.group(2),
                                                    found.group(3),
                                                    found.group(4)))
                            .toList();
            final Set<String> asked = new LinkedHashSet<>();
            cases.forEach(one -> asked.addAll(List.of(one.from, one.to)));
            world =
                    Arrays.stream(
                                    Files.readString(seed.resolveSibling("world.yaml"))
                                            .split("\n---\n", -1))
                            .map(
                                    object ->
                                            POD.matcher(object)
                                                    .results()
                                                    .filter(pod -> asked.contains(path(pod)))
                                                    .findFirst()
                                                    .map(pod -> plugged(object, pod))
                                                    .orElse(object))
                            .collect(Collectors.joining("\n---\n"));
            policy = Files.readString(seed.resolve("policy.yaml"));
            node.apply(world);
            addresses.keySet().forEach(path -> node.awaitState("READY", ref(path)));
            node.apply(policy);
        }

        private static String path(final MatchResult pod) {
            return pod.group(2) + "/" + pod.group(1);
        }

        private static ObjectRef ref(final String path) {
            return ObjectRef.pod(
                    path.substring(0, path.indexOf('/')), path.substring(path.indexOf('/') + 1));
        }

        static String namespace(final String path) {
            return path.replace('/', '.');
        }

        private String plugged(final String object, final MatchResult pod) {
            final String path = path(pod);
            addresses.put(path, pod.group(3));
            final String namespace = node.addNamespace(namespace(path));
            return object.replaceAll("nodeName: [a-z0-9-]+", "nodeName: test-node")
                    .replace(
                            "metadata: {",
                            "metadata: {annotations: {sluice.io/netns: " + namespace + "}, ");
        }

        String address(final String path) {
            return addresses.getOrDefault(path, "");
        }

        /** A program that ends with this. */
        Running endsWithThis(final Running program) {
            programs.add(program);
            return program;
        }

        @Override
        public void close() {
            programs.forEach(Running::close);
            node.deleteObjects(policy);
            node.deleteObjects(world);
            addresses.keySet().forEach(path -> node.deleteNamespace(namespace(path)));
        }
    }

    /** Every request by curl, and every other TCP connection of the cases between pods. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "cilium-in-practice/07-http",
                "cilium-in-practice/15-card-data",
                "complete-guide/05-http",
                "complete-guide/15-microservice",
                "kubernetes-network-policies/12-http",
                "native-and-cilium/05-http",
                "policy-skills/03-http"
            })
    void httpRequestsGetWhatTheirCasesSay(final String seed) throws IOException {
        try (Live live = new Live(node, SEEDS.resolve(seed))) {
            final TreeMap<String, Path> logs = new TreeMap<>();
            for (final Case one : live.cases) {
                if (!one.http().isEmpty() && !logs.containsKey(one.to)) {
                    logs.put(one.to, serve(live, one.to, one.port));
                }
            }
            assertThat(logs).isNotEmpty();

            final List<String> lines = new ArrayList<>(List.of("tests:"));
            for (final String line : Files.readAllLines(SEEDS.resolve(seed + "/cases.yaml"))) {
                if (line.startsWith("- ") && CASE.matcher(line).find() && !line.contains("dns")) {
                    lines.add(line);
                }
            }
            final Path cases = Files.write(folder.resolve("cases.yaml"), lines);
            assertThat(node.sluice("test", "--live", "-f", cases.toString()))
                    .isEqualTo((lines.size() - 1) + " passed, 0 failed, 0 not judged");
            for (final var log : logs.entrySet()) {
                assertThat(Files.readAllLines(log.getValue()))
                        .containsExactlyInAnyOrderElementsOf(
                                live.cases.stream()
                                        .filter(one -> one.to.equals(log.getKey()))
                                        .filter(one -> one.isAllowed() && !one.http().isEmpty())
                                        .map(
                                                one ->
                                                        live.address(one.from)
                                                                + " "
                                                                + String.join(" ", one.http()))
                                        .toList());
            }
        }
    }

    /** An nginx that says yes to everything; its log. */
    private static Path serve(final Live live, final String path, final String port)
            throws IOException {
        final Path own = Files.createTempDirectory(folder, "nginx");
        final Path config = own.resolve("nginx.conf");
        Files.writeString(
                config,
                """
                user root;
                worker_processes 1;
                daemon off;
                pid %1$s/nginx.pid;
                error_log stderr warn;
                events {}
                http {
                  log_format seen '$remote_addr $request_method $request_uri';
                  access_log off;
                  client_body_temp_path %1$s/body;
                  proxy_temp_path %1$s/proxy;
                  fastcgi_temp_path %1$s/fastcgi;
                  uwsgi_temp_path %1$s/uwsgi;
                  scgi_temp_path %1$s/scgi;
                  server {
                    listen %2$s;
                    access_log %1$s/access.log seen;
                    return 200 "yes\\n";
                  }
                  server { listen 127.0.0.1:1; return 200; }
                }
                """
                        .formatted(own, port));
        final String namespace = Live.namespace(path);
        live.endsWithThis(node.start(namespace, "nginx", "-e", "stderr", "-c", config.toString()));
        TestNode.await(
                "nginx listens",
                () -> node.in(namespace, "curl", "-s", "http://127.0.0.1:1/").exit() == 0);
        return own.resolve("access.log");
    }

    /** Every call by grpc-java; what is no gRPC call, by curl. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "cilium-in-practice/09-grpc",
                "kubernetes-network-policies/14-grpc-corrected"
            })
    void callsOfGrpcGetWhatTheirCasesSay(final String seed) throws IOException {
        final String port = seed.endsWith("09-grpc") ? "50051" : "9090";
        try (Live live = new Live(node, SEEDS.resolve(seed))) {
            final String server = live.cases.getFirst().to;
            final Running log =
                    live.endsWithThis(
                            node.startJava(
                                    Live.namespace(server),
                                    GrpcPeer.class,
                                    "serve",
                                    live.address(server),
                                    port));
            log.await("ready", ANSWER_MS);
            final List<String> expected = new ArrayList<>();
            final List<String> seen = new ArrayList<>();
            final Map<String, Running> channels = new HashMap<>();
            for (final Case one : live.cases) {
                final String method = one.http().getFirst();
                final String path = one.http().getLast();
                expected.add(path + " " + (one.isAllowed() ? "OK 1 re: hello" : "denied"));
                if (!method.equals("POST")) {
                    seen.add(path + " " + curl(live, one, port, method));
                    continue;
                }
                final Running channel =
                        channels.computeIfAbsent(
                                one.from,
                                from ->
                                        live.endsWithThis(
                                                node.startJava(
                                                        Live.namespace(from),
                                                        GrpcPeer.class,
                                                        "call",
                                                        live.address(server),
                                                        port,
                                                        "10")));
                channel.write(path.substring(1));
                seen.add(
                        path
                                + " "
                                + channel.line(ANSWER_MS)
                                        .orElse("nothing")
                                        .replaceAll(
                                                "(PERMISSION_DENIED|DEADLINE_EXC).*", "denied"));
            }
            assertThat(seen).isEqualTo(expected);
            assertThat(log.output().lines().skip(1))
                    .hasSameSizeAs(live.cases.stream().filter(Case::isAllowed).toList())
                    .allMatch(
                            line ->
                                    line.startsWith(
                                            live.address(live.cases.getFirst().from) + ":"));
        }
    }

    private static String curl(
            final Live live, final Case one, final String port, final String method) {
        final String status =
                node.in(
                                Live.namespace(one.from),
                                "curl",
                                "-sS",
                                "--http2-prior-knowledge",
                                "-o",
                                "/dev/null",
                                "-w",
                                "%{http_code}",
                                "-X",
                                method,
                                "http://"
                                        + live.address(one.to)
                                        + ":"
                                        + port
                                        + one.http().getLast())
                        .output();
        return status.equals("403") ? "denied" : status;
    }

    @Test
    void clientsOfKafkaGetWhatTheirCasesSay() throws IOException {
        try (Live live = new Live(node, SEEDS.resolve("cilium-in-practice/08-kafka"))) {
            final String server = "streaming/kafka";
            final Running broker =
                    live.endsWithThis(
                            node.startJava(
                                    Live.namespace(server),
                                    KafkaPeer.class,
                                    "broker",
                                    live.address(server),
                                    "9092",
                                    folder.toString()));
            broker.await("ready", ANSWER_MS);
            for (final String topic : List.of("orders", "invoices")) {
                broker.write("create " + topic);
                broker.await("created", ANSWER_MS);
                broker.write("produce " + topic + " first");
                broker.await("produced", ANSWER_MS);
            }
            final List<String> expected = new ArrayList<>();
            final List<String> seen = new ArrayList<>();
            final Map<String, Running> clients = new HashMap<>();
            for (final Case one : live.cases) {
                final MatchResult asked =
                        KAFKA.matcher(one.rest).results().findFirst().orElseThrow();
                final String what = one.from + " " + asked.group();
                expected.add(what + (one.isAllowed() ? " allowed" : " denied"));
                seen.add(what + " " + ask(live, one, asked, clients));
            }
            assertThat(seen).isEqualTo(expected);
            for (final String client : List.of("order-service", "settlement-service")) {
                assertThat(broker.output())
                        .contains(
                                "\"connection\":\"%s:9092-%s:"
                                        .formatted(
                                                live.address(server),
                                                live.address("streaming/" + client)));
            }
            assertThat(broker.output()).doesNotContain("-" + live.address("streaming/reporting"));
        }
    }

    private static String ask(
            final Live live,
            final Case one,
            final MatchResult asked,
            final Map<String, Running> clients) {
        final String broker = live.address(one.to);
        if (one.rest.contains("by: 'end of tier")) {
            return node.peer(Live.namespace(one.from), "tcp", broker, "9092")
                    .replaceAll("^timed out$", "denied");
        }
        final Running client =
                clients.computeIfAbsent(one.from, from -> client(live, from, broker));
        client.write(
                switch (asked.group(1)) {
                    case "produce" -> "produce " + asked.group(2) + " text";
                    case "joingroup" -> "join group orders";
                    default -> asked.group(1) + " " + asked.group(2);
                });
        final String answer = client.line(ANSWER_MS).orElse("nothing at all");
        return answer.matches("(Topic|Group)AuthorizationException")
                ? "denied"
                : answer.matches("produced|first.*|1 partitions") ? "allowed" : answer;
    }

    private static Running client(final Live live, final String path, final String broker) {
        final String namespace = Live.namespace(path);
        return live.endsWithThis(
                        node.startJava(namespace, KafkaPeer.class, "client", broker, "9092"))
                .await("ready", ANSWER_MS);
    }
}
