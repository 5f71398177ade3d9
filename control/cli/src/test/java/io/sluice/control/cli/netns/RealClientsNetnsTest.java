package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Programs as they are, with the resolvers of two C libraries, under rules about names: nginx is
 * {@code api.stripe.com} behind the uplink, dnsmasq knows where.
 *
 * <p>Pod {@code kube} has the file that the daemon wrote, and so asks the switch's resolver with
 * the search list of a cluster. The others were told otherwise: {@code plain} asks dnsmasq, {@code
 * six} the same over IPv6, {@code two} a server that is silent and then dnsmasq.
 */
@Tag("netns")
class RealClientsNetnsTest {
    private static final String API = "10.77.1.1";
    private static final String API6 = "2001:db8:77::1:1";
    private static final String GUESSED = "10.77.1.2";
    private static final String EVIL = "10.77.1.3";

    /** More than 512 octets; as many as the FQDN cache keeps of a name. */
    private static final int MANY = 50;

    /** More than 1,232 octets, and than the MTU. */
    private static final int LONG = 100;

    private static final String POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: names, namespace: app }
            spec:
              endpointSelector: {}
              egress:
              - toEndpoints:
                - matchLabels:
                    k8s:io.kubernetes.pod.namespace: kube-system
                    k8s-app: kube-dns
                toPorts:
                - ports: [{ port: "53", protocol: ANY }]
                  rules:
                    dns: [{ matchPattern: "*.stripe.com" }, { matchPattern: "**.example.com" }]
              - toCIDR: [198.51.100.0/24, "2001:db8:51::/64"]
                toPorts:
                - ports: [{ port: "53", protocol: ANY }]
                  rules:
                    dns: [{ matchPattern: "*.stripe.com" }, { matchPattern: "**.example.com" }]
              - toFQDNs:
                - matchName: api.stripe.com
                - matchName: pay.stripe.com
                - matchPattern: "*.example.com"
                toPorts:
                - ports: [{ port: "443", protocol: TCP }]
            """;

    private static final String MUSL = "musl-gcc";

    @TempDir private static Path folder;
    private static TestNode node;
    private static HttpsSite site;

    @BeforeAll
    static void start() throws IOException {
        node = new TestNode("dns: { resolver: { servers: [" + Outside.RESOLVER + "] } }");
        node.addPod("kube", 11);
        node.addPod("plain", 12);
        node.addPod("six", 13);
        node.addPod("two", 14);
        node.saveResolvConf("plain", nameservers(Outside.RESOLVER));
        node.saveResolvConf("six", nameservers(Outside.RESOLVER6));
        node.saveResolvConf("two", nameservers(Outside.SILENT_RESOLVER, Outside.RESOLVER));
        final Outside outside = new Outside(node);
        final List<String> hosts = new ArrayList<>();
        hosts.add("api.stripe.com," + API + "," + API6);
        hosts.add("pay.stripe.com," + GUESSED);
        hosts.add("evil.example.org," + EVIL);
        IntStream.rangeClosed(1, MANY).forEach(i -> hosts.add("many.example.com,10.77.2." + i));
        IntStream.rangeClosed(1, LONG).forEach(i -> hosts.add("long.example.com,10.77.3." + i));
        IntStream.rangeClosed(1, 200)
                .forEach(i -> hosts.add("n" + i + ".flight.example.com,10.77.4." + i));
        outside.dnsmasq(hosts.toArray(String[]::new));
        site = HttpsSite.start(node, "outside", folder);
        node.save("policy.yaml", POLICY);
        node.startDaemon("kube", "plain", "six", "two");
    }

    @AfterAll
    static void stop() {
        try {
            assertThat(node.metric("sluice_dns_wrong_drops_total")).isZero();
        } finally {
            node.close();
        }
    }

    private static String nameservers(final String... addresses) {
        return "nameserver %s\noptions timeout:1 attempts:2\n"
                .formatted(String.join("\nnameserver ", addresses));
    }

    private static Command curl(final String pod, final String... arguments) {
        final List<String> line =
                new ArrayList<>(
                        List.of(
                                "curl",
                                "-sS",
                                "--connect-timeout",
                                "2",
                                "--cacert",
                                site.authority()));
        line.addAll(List.of(arguments));
        return node.in(pod, line.toArray(String[]::new));
    }

    /** Whether somebody who knows the address already gets through, without a query. */
    private static boolean reaches(final String pod, final String name, final String address) {
        final Command curl =
                curl(pod, "--resolve", name + ":443:" + address, "https://" + name + "/");
        assertThat(curl.exit()).as("done, or timed out: %s", curl.output()).isIn(0, 28);
        return curl.exit() == 0;
    }

    /** The program that asks musl's resolver; skips the test where there is no musl. */
    private static String muslProgram() {
        assumeTrue(
                Command.run("sh", "-c", "command -v gcc && command -v " + MUSL).exit() == 0,
                "musl's resolver is not tried: no gcc or no "
                        + MUSL
                        + " (scripts/bootstrap installs it)");
        final Path program = folder.resolve("resolve-musl");
        if (!Files.exists(program)) {
            Command.need(
                    MUSL,
                    "-static",
                    "-o",
                    program.toString(),
                    TestNode.resource("resolve.c").toString());
        }
        return program.toString();
    }

    @ParameterizedTest
    @ValueSource(strings = {"kube", "plain", "six", "two"})
    void curlReachesApiStripeComWithGlibc(final String pod) {
        assertThat(curl(pod, "-4", "https://api.stripe.com/").output())
                .isEqualTo(HttpsSite.GREETING);
        assertThat(curl(pod, "-6", "https://api.stripe.com/").output())
                .isEqualTo(HttpsSite.GREETING);
    }

    @Test
    void wgetAndNslookupDoAsWell() {
        assertThat(
                        node.in(
                                        "kube",
                                        "wget",
                                        "-q",
                                        "-O",
                                        "-",
                                        "--tries=1",
                                        "--ca-certificate=" + site.authority(),
                                        "https://api.stripe.com/")
                                .output())
                .isEqualTo(HttpsSite.GREETING);
        assertThat(node.in("kube", "nslookup", "api.stripe.com").output())
                .contains("Address: " + API, "Address: " + API6);
        assertThat(node.in("kube", "nslookup", "evil.example.org").output()).contains("REFUSED");
    }

    /** It stops at REFUSED: the search list of a cluster must not meet one before the name. */
    @ParameterizedTest
    @ValueSource(strings = {"kube", "plain", "six", "two"})
    void muslsResolverConnectsAtFirstTryOverBothFamilies(final String pod) {
        assertThat(node.in(pod, muslProgram(), "api.stripe.com", "443").output().lines())
                .containsExactlyInAnyOrder("connected " + API, "connected " + API6);
    }

    @Test
    void aNameThatIsNotAllowedResolvesWithNeitherLibrary() {
        assertThat(curl("kube", "https://evil.example.org/").exit()).as("glibc").isEqualTo(6);
        assertThat(curl("plain", "https://evil.example.org/").exit()).as("glibc").isEqualTo(6);
        assertThat(reaches("kube", "evil.example.org", EVIL)).as("guessed").isFalse();
        assertThat(node.in("plain", muslProgram(), "evil.example.org", "443").output())
                .startsWith("unknown: ");
    }

    @Test
    void anAddressIsClosedUntilItsNameWasAskedForAndThenOpen() {
        assertThat(reaches("plain", "pay.stripe.com", GUESSED)).as("guessed").isFalse();
        assertThat(curl("plain", "https://pay.stripe.com/").output()).isEqualTo(HttpsSite.GREETING);
        assertThat(reaches("plain", "pay.stripe.com", GUESSED)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"kube", "plain", "six"})
    void aTruncatedAnswerComesOverTcpAndOpensAllItsAddresses(final String pod) {
        assertThat(
                        node.in(pod, "dig", "+noedns", "+ignore", "+search", "many.example.com")
                                .output())
                .contains(" tc ");
        assertThat(node.in(pod, "getent", "ahostsv4", "many.example.com").output().lines())
                .filteredOn(line -> line.contains("STREAM"))
                .hasSize(MANY);
        assertThat(reaches(pod, "many.example.com", "10.77.2.1")).isTrue();
        assertThat(reaches(pod, "many.example.com", "10.77.2." + MANY)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"plain", "six"})
    void anAnswerThatWouldComeInFragmentsIsTruncatedInstead(final String pod) {
        final long fragments = node.dropped("DNS_NOT_WHOLE");
        assertThat(
                        node.in(
                                        pod,
                                        "dig",
                                        "+bufsize=4096",
                                        "+ignore",
                                        "+time=3",
                                        "+tries=1",
                                        "long.example.com")
                                .output())
                .contains(" tc ");
        assertThat(node.in(pod, "dig", "+bufsize=4096", "long.example.com").output())
                .contains("ANSWER: " + LONG + ",")
                .contains("(TCP)");
        assertThat(node.dropped("DNS_NOT_WHOLE")).isEqualTo(fragments);
    }

    /** Retransmits, mixed case and EDNS, and no answer awaited in between. */
    @Test
    void manyQueriesInFlightAreAllAnswered() {
        assertThat(node.names("plain", "flight", Outside.RESOLVER, "flight.example.com", "200"))
                .isEqualTo("answered 200 of 200, case kept 200");
    }
}
