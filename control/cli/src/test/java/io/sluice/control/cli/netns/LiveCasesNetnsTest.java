package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code sluice test --live}: {@code server} lets the client in on two TCP ports, one of which has
 * a server, on two UDP ports, and for ping.
 */
@Tag("netns")
class LiveCasesNetnsTest {
    private static final int CLIENT = 11;
    private static final int SERVER = 12;

    private static TestNode node;

    @TempDir private Path folder = Path.of("");

    @BeforeAll
    static void start() {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("server", SERVER);
        node.save(
                "policies.yaml",
                """
                apiVersion: cilium.io/v2
                kind: CiliumNetworkPolicy
                metadata: { name: server, namespace: app }
                spec:
                  endpointSelector: { matchLabels: { app: server } }
                  ingress:
                    - fromEndpoints: [{ matchLabels: { app: client } }]
                      toPorts:
                        - ports:
                            - { port: "8080", protocol: TCP }
                            - { port: "8081", protocol: TCP }
                            - { port: "9000", protocol: UDP }
                            - { port: "9001", protocol: UDP }
                    - fromEndpoints: [{ matchLabels: { app: client } }]
                      icmps:
                        - fields:
                            - { family: IPv4, type: EchoRequest }
                """);
        node.startDaemon("client", "server");
        node.serve("server", "tcp:8080", "tcp:8082", "udp:9000", "udp:9002");
    }

    @AfterAll
    static void stop() {
        node.close();
    }

    private Command test(final String tests) throws IOException {
        final Path file = Files.writeString(folder.resolve("cases.yaml"), "tests:\n" + tests);
        return Command.run(
                List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        "io.sluice.control.cli.SluiceCli",
                        "test",
                        "--live",
                        "--socket",
                        node.socket().toString(),
                        "-f",
                        file.toString()));
    }

    @Test
    void whatConnectionsShowIsWhatIsExpected() throws IOException {
        final Command run =
                test(
                        """
                        - {from: app/client, to: app/server, port: 8080, expect: allowed}
                        - {name: refused is let through, from: app/client, to: app/server, port: 8081, expect: allowed}
                        - {name: a server that is not reached, from: app/client, to: app/server, port: 8082, expect: denied}
                        - {from: app/client, to: 'fd00:10:244::12', port: 8080, expect: allowed}
                        - {from: app/client, to: 'fd00:10:244::12', port: 8082, expect: denied}
                        - {from: app/client, to: app/server, port: 9000/UDP, expect: allowed}
                        - {name: the ICMP error comes back, from: app/client, to: app/server, port: 9001/UDP, expect: allowed}
                        - {from: app/client, to: app/server, port: ICMP, expect: allowed}
                        - {from: app/client, to: app/server, port: ICMPv6, expect: denied}
                        - {from: app/client, to: app/server, port: 8082, http: GET /, expect: denied}
                        - {from: app/client, to: app/server, port: 54/UDP, dns: a.example, expect: denied}
                        """);

        assertThat(run.output()).isEqualTo("11 passed, 0 failed, 0 not judged");
        assertThat(run.exit()).isZero();
    }

    @Test
    void whatDiffersFailsAndWhatCannotBeSeenIsNotJudged() throws IOException {
        final Command run =
                test(
                        """
                        - {name: open, from: app/client, to: app/server, port: 8080, expect: denied}
                        - {name: closed, from: app/client, to: app/server, port: 8082, expect: allowed}
                        - {name: silent, from: app/client, to: app/server, port: 9002/UDP, expect: denied}
                        - {name: elsewhere, from: 192.0.2.1, to: app/server, port: 8080, expect: denied}
                        - {name: unnamed, from: app/client, to: app/server, port: http, expect: denied}
                        """);

        assertThat(run.output().lines())
                .satisfiesExactly(
                        line -> assertThat(line).endsWith("expected denied, is allowed: connected"),
                        line -> assertThat(line).endsWith("expected allowed, is denied: timed out"),
                        line ->
                                assertThat(line)
                                        .endsWith("not judged: silent: dropped, or not answered"),
                        line -> assertThat(line).contains("192.0.2.1 is no endpoint"),
                        line -> assertThat(line).endsWith("app/server has no port http"),
                        line -> assertThat(line).isEqualTo("0 passed, 2 failed, 3 not judged"));
        assertThat(run.exit()).isEqualTo(1);
    }
}
