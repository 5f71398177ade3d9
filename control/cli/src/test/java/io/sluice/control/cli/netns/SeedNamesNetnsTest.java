package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.ObjectRef;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The policies about names of {@code examples/seeds}, word for word, in force on real traffic. */
@Tag("netns")
class SeedNamesNetnsTest {
    private static final String KUBE_DNS = "10.96.0.10";
    private static final String HTTPS = "443";

    /** Each its own address; all of them accept at port 443. */
    private static final List<String> NAMES =
            List.of(
                    "api.stripe.com",
                    "files.stripe.com",
                    "stripe.com",
                    "api.pagar.me",
                    "api.sendgrid.com",
                    "fcm.googleapis.com",
                    "storage.googleapis.com",
                    "api.twilio.com",
                    "api.tosspayments.com",
                    "tosspayments.com",
                    "a.b.tosspayments.com",
                    "api.pgprovider.com",
                    "ledger.internal.example.com",
                    "s3.amazonaws.com",
                    "s3.eu-west-1.amazonaws.com",
                    "attacker.example");

    private static TestNode node;

    @BeforeAll
    static void start() throws IOException {
        node = new TestNode("dns: { resolver: { servers: [" + Outside.RESOLVER + "] } }");
        pod("production", "payment-service", 11);
        pod("production", "notification-service", 12);
        pod("payments", "pg-gateway", 13);
        pod("cde-payments", "payments-api", 14);
        pod("default", "api-server", 15);
        pod("staging", "payment-service", 16);
        final List<String> hosts = new ArrayList<>();
        NAMES.forEach(name -> hosts.add(name + "," + address(name)));
        new Outside(node).dnsmasq(hosts.toArray(String[]::new));
        node.serve("outside", "tcp:" + HTTPS, "tcp:80");
        node.save("payment.yaml", seed("native-and-cilium/06-names"));
        node.save("notification.yaml", seed("native-and-cilium/07-notifications"));
        node.save("gateway.yaml", seed("cilium-in-practice/10-names"));
        node.save("card-data.yaml", seed("cilium-in-practice/15-card-data"));
        node.save("names-only.yaml", seed("policy-skills/04-dns"));
        node.save(
                "stripe-and-amazon.yaml",
                seed("complete-guide/06-names")
                        .replace("namespace: production", "namespace: staging"));
        node.startDaemon();
        for (final String path :
                List.of(
                        "production/payment-service",
                        "production/notification-service",
                        "payments/pg-gateway",
                        "cde-payments/payments-api",
                        "default/api-server",
                        "staging/payment-service")) {
            final String[] words = path.split("/", -1);
            node.awaitState("READY", ObjectRef.pod(words[0], words[1]));
        }
    }

    @AfterAll
    static void stop() {
        try {
            assertThat(node.metric("sluice_dns_wrong_drops_total")).isZero();
        } finally {
            node.close();
        }
    }

    private static void pod(final String namespace, final String name, final int number) {
        final String home = namespace + "-" + name;
        node.addNamespace(home);
        node.save(
                home + ".yaml",
                """
                apiVersion: v1
                kind: Pod
                metadata:
                  name: %2$s
                  namespace: %1$s
                  labels: { app: %2$s }
                  annotations: { sluice.io/netns: %3$s }
                status: { podIP: %4$s }
                """
                        .formatted(namespace, name, node.namespace(home), TestNode.ipv4(number)));
    }

    private static String seed(final String folder) throws IOException {
        return Files.readString(
                TestNode.root().resolve("examples/seeds").resolve(folder).resolve("policy.yaml"));
    }

    private static String address(final String name) {
        return "10.77.5." + (NAMES.indexOf(name) + 1);
    }

    /** The address, or why there is none. */
    private static String ask(final String pod, final String name, final String... options) {
        final List<String> line =
                new ArrayList<>(List.of("dig", "@" + KUBE_DNS, "+tries=1", "+time=2", name));
        line.addAll(List.of(options));
        final String output = node.in(pod, line.toArray(String[]::new)).output();
        if (NAMES.contains(name) && output.contains("\t" + address(name))) {
            return address(name);
        }
        for (final String status : List.of("REFUSED", "NXDOMAIN", "NOERROR")) {
            if (output.contains("status: " + status)) {
                return status;
            }
        }
        return "silent";
    }

    private static String connect(final String pod, final String name, final String port) {
        return node.peer(pod, "tcp", address(name), port);
    }

    private static void mayVisit(final String pod, final String name) {
        assertThat(ask(pod, name)).isEqualTo(address(name));
        assertThat(connect(pod, name, HTTPS)).as(name).contains("answered");
    }

    /**
     * For names that no other pod of this test asks for: what is learned is open to whom it is
     * named.
     */
    private static void mayVisitOnceAskedFor(final String pod, final String name) {
        assertThat(connect(pod, name, HTTPS)).as("%s, not asked for", name).contains("timed out");
        mayVisit(pod, name);
    }

    private static void mayAskOnly(final String pod, final String name) {
        assertThat(ask(pod, name)).isEqualTo(address(name));
        assertThat(connect(pod, name, HTTPS)).as(name).contains("timed out");
    }

    private static void mayNotAsk(final String pod, final String name) {
        assertThat(ask(pod, name)).as(name).isEqualTo("REFUSED");
        assertThat(connect(pod, name, HTTPS)).as(name).contains("timed out");
    }

    @Test
    void paymentsTalkWithTwoNamesAndAskForTheirDomainsOnly() {
        final String pod = "production-payment-service";
        mayVisit(pod, "api.stripe.com");
        mayVisitOnceAskedFor(pod, "api.pagar.me");
        mayAskOnly(pod, "files.stripe.com");
        mayNotAsk(pod, "stripe.com");
        mayNotAsk(pod, "attacker.example");
        assertThat(connect(pod, "api.stripe.com", "80")).as("HTTPS only").contains("timed out");
        assertThat(ask(pod, "api.stripe.com", "+tcp")).as("the rule is of UDP").isEqualTo("silent");
        assertThat(ask(pod, "api.stripe.com.production.svc.cluster.local"))
                .as("of a search list")
                .isEqualTo("NXDOMAIN");
    }

    @Test
    void notificationsTalkWithThreeNames() {
        final String pod = "production-notification-service";
        mayVisitOnceAskedFor(pod, "api.sendgrid.com");
        mayVisitOnceAskedFor(pod, "fcm.googleapis.com");
        mayVisit(pod, "api.twilio.com");
        mayAskOnly(pod, "storage.googleapis.com");
        mayNotAsk(pod, "api.stripe.com");
    }

    @Test
    void theGatewayMayAskForAnythingAndVisitWhatIsNamed() {
        final String pod = "payments-pg-gateway";
        mayVisit(pod, "api.stripe.com");
        mayVisitOnceAskedFor(pod, "api.tosspayments.com");
        mayAskOnly(pod, "tosspayments.com");
        mayAskOnly(pod, "a.b.tosspayments.com");
        mayAskOnly(pod, "attacker.example");
    }

    @Test
    void cardDataGoesToOneProviderOnly() {
        final String pod = "cde-payments-payments-api";
        mayVisitOnceAskedFor(pod, "api.pgprovider.com");
        mayAskOnly(pod, "ledger.internal.example.com");
        mayNotAsk(pod, "attacker.example");
    }

    @Test
    void whoMayOnlyAskMayVisitNothing() {
        mayAskOnly("default-api-server", "api.stripe.com");
        mayAskOnly("default-api-server", "attacker.example");
    }

    @Test
    void aStarIsOneLabel() {
        final String pod = "staging-payment-service";
        mayVisit(pod, "files.stripe.com");
        mayVisitOnceAskedFor(pod, "s3.amazonaws.com");
        mayNotAsk(pod, "stripe.com");
        mayNotAsk(pod, "s3.eu-west-1.amazonaws.com");
        assertThat(ask(pod, "s3.amazonaws.com", "+tcp"))
                .as("ANY is TCP as well")
                .isNotEqualTo("silent");
    }
}
