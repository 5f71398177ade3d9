package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The resolver that programs of a pod find. */
@Tag("netns")
class ResolvConfNetnsTest {
    private static final String OWN = "nameserver 192.0.2.53\n";

    private TestNode node = new TestNode();

    @AfterEach
    void stop() {
        node.close();
    }

    private void twoPods() {
        node.addPod("client", 11);
        node.addPod("told", 12);
        node.saveResolvConf("told", OWN);
    }

    private String seenBy(final String pod) {
        return node.in(pod, "cat", "/etc/resolv.conf").output();
    }

    @Test
    void podsAskTheSwitchUnlessTheyAreToldOtherwise() {
        twoPods();
        final Running daemon = node.startDaemon("client", "told");

        assertThat(seenBy("client"))
                .contains(
                        """
                        nameserver 10.96.0.10
                        search app.svc.cluster.local svc.cluster.local cluster.local
                        options ndots:5\
                        """);
        assertThat(node.in("client", "getent", "hosts", "kube-dns.kube-system.svc").exit())
                .as("no such service, and an answer that says so")
                .isEqualTo(2);
        assertThat(seenBy("told") + "\n").isEqualTo(OWN);

        node.delete("client.yaml");
        TestNode.await(
                "the endpoint is gone",
                () -> !node.get("/v1/endpoints").toString().contains("\"client\""));
        assertThat(node.resolvConf("client")).doesNotExist();
        node.savePod("client", 11);
        node.awaitState("READY", "client");
        assertThat(node.resolvConf("client")).exists();

        daemon.stop("KILL");
        final Running second = node.startDaemon("client", "told");
        assertThat(node.resolvConf("client")).as("taken over").exists();
        second.stop("TERM");
        assertThat(node.resolvConf("client").getParent()).doesNotExist();
        assertThat(node.resolvConf("told")).hasContent(OWN);
    }

    @Test
    void noneIsToldOfAResolverThatIsNotToBeInPods() {
        node.close();
        node = new TestNode("dns: { resolver: { inPods: false } }");
        twoPods();
        node.startDaemon("client", "told");

        assertThat(node.resolvConf("client")).doesNotExist();
        assertThat(node.resolvConf("told")).hasContent(OWN);
    }
}
