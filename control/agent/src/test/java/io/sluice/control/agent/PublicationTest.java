package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.pod;
import static io.sluice.control.agent.Manifests.podAt;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.PolicyTables.NodeSide;
import io.sluice.control.agent.PolicyTables.PlannedEndpoint;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.World;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.table.PolicyMap;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a publication leaves behind, and what it does not touch. */
class PublicationTest {
    private static final String A = "10.244.0.2";
    private static final String B = "10.244.0.3";
    private static final NodeSide NODE =
            new NodeSide(Ipcache.NO_PORT, 0, List.of(), Set.of(), List.of());

    @TempDir private Path folder;
    private SwitchInOneThread sluice;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
    }

    @AfterEach
    void stop() throws Exception {
        sluice.close();
    }

    @Test
    void memoryStaysFlatOverTenThousandPublications() {
        sluice.folder(podAt("a", A), podAt("b", B));
        final List<PlannedEndpoint> endpoints =
                sluice.reconciler.snapshot().endpoints().stream()
                        .map(view -> new PlannedEndpoint(view.id(), view.spec()))
                        .toList();
        final List<World> worlds = IntStream.range(0, 20).mapToObj(PublicationTest::world).toList();
        final List<Long> policyBytes = new ArrayList<>();
        final List<Long> ipcacheBytes = new ArrayList<>();
        for (int i = 0; i < 10_000; i++) {
            sluice.publisher.publish(
                    worlds.get(i % worlds.size()), endpoints, NODE, PolicyOptions.DEFAULTS);
            policyBytes.add(PolicyMap.bytesOfAll());
            ipcacheBytes.add(sluice.publisher.sizes().ipcacheBytes());
            if (i % 100 == 0) {
                // World i opens port 8000 + i.
                sluice.send("a", A, B, 8000 + i % worlds.size());
                assertThat(sluice.received("b")).as("judged by world %d", i).isTrue();
            }
        }
        // The identities of the world before are still in the maps: the first has none before it.
        for (int i = 2 * worlds.size(); i < 10_000; i++) {
            assertThat(policyBytes.get(i))
                    .as("bytes after publication %d", i)
                    .isEqualTo(policyBytes.get(worlds.size() + i % worlds.size()));
        }
        // The ipcache keeps what it has taken: nothing more is taken after the first round.
        assertThat(ipcacheBytes.getLast()).isEqualTo(ipcacheBytes.get(worlds.size()));
    }

    /** One port of b is open to a, and networks that no other of these worlds names to all. */
    private static World world(final int number) {
        final StringBuilder networks = new StringBuilder();
        for (int i = 0; i <= number; i++) {
            networks.append(
                    "%n    - {from: [{ipBlock: {cidr: 198.18.%d.%d/32}}], ports: [{port: 443}]}"
                            .formatted(number, i));
        }
        return World.of(
                Manifests.read(
                        String.join(
                                "\n---\n",
                                podAt("a", A),
                                podAt("b", B),
                                """
                                apiVersion: networking.k8s.io/v1
                                kind: NetworkPolicy
                                metadata: {name: b, namespace: shop}
                                spec:
                                  podSelector: {matchLabels: {app: b}}
                                  policyTypes: [Ingress]
                                  ingress:
                                    - from: [{podSelector: {matchLabels: {app: a}}}]
                                      ports: [{protocol: UDP, port: %d}]"""
                                                .formatted(8000 + number)
                                        + networks)));
    }

    @Test
    void whatAFailedPublicationLaidOutIsFreedByTheNextThatSucceeds() {
        sluice.folder(pod("a"), pod("b"), allow("a", 80));
        final long before = PolicyMap.bytesOfAll();

        sluice.unanswered = "publish 2";
        assertThatThrownBy(() -> sluice.folder(pod("a"), pod("b"), allow("a", 81)))
                .isInstanceOf(RequestException.class);
        assertThat(PolicyMap.bytesOfAll()).as("the lane may have either").isGreaterThan(before);

        sluice.unanswered = "";
        sluice.folder(pod("a"), pod("b"), allow("a", 82));
        assertThat(PolicyMap.bytesOfAll()).isEqualTo(before);
    }

    @Test
    void aPolicyOfKnownIdentitiesIsOnePublicationAndLeavesTheMapsOfOthers() {
        sluice.folder(pod("a"), pod("b"), pod("c"), allow("a", 80));
        final long revision = sluice.publisher.live().revision();
        final List<Decision> decisions = sluice.publisher.live().decisions();
        sluice.journal.clear();

        sluice.folder(pod("a"), pod("b"), pod("c"), allow("a", 81));

        assertThat(sluice.journal).containsExactly("publish " + (revision + 1));
        assertThat(sluice.publisher.live().decisions())
                .as("numbers that events of a moment ago speak of")
                .startsWith(decisions.toArray(new Decision[0]));
        sluice.send("a", A, B, 81);
        assertThat(sluice.received("b")).isTrue();
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isFalse();
    }

    @Test
    void whatManyChangesLeaveBehindIsBounded() {
        // So many identities that maps are copied.
        final String networks =
                allow("far", 443).replace("name: p", "name: many")
                        + IntStream.range(0, 300)
                                .mapToObj(
                                        i ->
                                                "    - {from: [{ipBlock: {cidr: 198.18.%d.%d/32}}]}%n"
                                                        .formatted(i / 256, i % 256))
                                .collect(Collectors.joining());
        sluice.folder(podAt("a", A), podAt("b", B), networks, allow("a", 1));
        final long before = PolicyMap.bytesOfAll();
        for (int i = 0; i < 3_000; i++) {
            final int port = 1 + i % 1_500;
            // Its place in the file is another, so who decides is, too.
            sluice.folder(
                    podAt("a", A), podAt("b", B), networks, "#\n".repeat(i), allow("a", port));
            assertThat(PolicyMap.bytesOfAll()).isLessThan(2 * before);
            assertThat(sluice.publisher.live().decisions().size()).isLessThan(2_000);
            if (i % 100 == 0) {
                sluice.send("a", A, B, port);
                assertThat(sluice.received("b")).as("port %d", port).isTrue();
                sluice.send("a", A, B, port + 1);
                assertThat(sluice.received("b")).isFalse();
            }
        }
    }

    /** The map of ports without an endpoint is the resolver's, too. */
    @Test
    void nothingThatOthersHaveIsFreedWithTheResolver() {
        final String ownDns =
                remote("kube-dns", "dns", "10.9.0.53")
                        .replace("namespace: shop", "namespace: kube-system");
        sluice.folder(pod("a"), ownDns);
        sluice.folder(pod("a"));
        final long bytes = PolicyMap.bytesOfAll();

        sluice.folder(pod("a"), ownDns);
        sluice.folder(pod("a"));

        assertThat(PolicyMap.bytesOfAll()).isEqualTo(bytes);
    }

    @Test
    void anotherAddressOfAKnownIdentityIsOnePublicationWithTheMapsInForce() {
        sluice.folder(pod("b"), allow("far", 80), remote("far-1", "far", "10.9.0.1"));
        final long bytes = PolicyMap.bytesOfAll();
        sluice.journal.clear();

        sluice.folder(
                pod("b"),
                allow("far", 80),
                remote("far-1", "far", "10.9.0.1"),
                remote("far-2", "far", "10.9.0.2"));

        assertThat(sluice.journal).containsExactly("publish 2");
        assertThat(PolicyMap.bytesOfAll()).isEqualTo(bytes);
        sluice.send(MemoryPorts.UPLINK, "10.9.0.2", "10.244.0.2", 80);
        assertThat(sluice.received("b")).as("the new address is let in").isTrue();
        sluice.send(MemoryPorts.UPLINK, "10.9.0.2", "10.244.0.2", 81);
        assertThat(sluice.received("b")).isFalse();
    }

    @Test
    void anIdentityThatIsNewToTheMapsIsInThemBeforeTheIpcacheAnswersIt() {
        sluice.folder(pod("b"), allow("far", 80), remote("far-1", "far", "10.9.0.1"));
        sluice.journal.clear();

        sluice.folder(
                pod("b"),
                allow("far", 80),
                remote("far-1", "far", "10.9.0.1"),
                remote("near-1", "near", "10.9.0.2"));

        assertThat(sluice.journal).containsExactly("publish 1", "publish 2");
    }

    @Test
    void anIdentityThatLeavesKeepsWhatItWasAllowedUntilTheIpcacheHasLetGoOfIt() {
        sluice.folder(
                pod("b"),
                allow("far", 80),
                remote("far-1", "far", "10.9.0.1"),
                remote("near-1", "near", "10.9.0.2"));

        // The lane has the new maps; the ipcache still answers what it did.
        final List<Boolean> between = new ArrayList<>();
        sluice.afterPublish =
                command -> {
                    if (command.equals("publish 1")) {
                        sluice.send(MemoryPorts.UPLINK, "10.9.0.1", "10.244.0.2", 80);
                        between.add(sluice.received("b"));
                        sluice.send(MemoryPorts.UPLINK, "10.9.0.1", "10.244.0.2", 81);
                        between.add(sluice.received("b"));
                    }
                };
        sluice.folder(pod("b"), allow("far", 82), remote("near-1", "near", "10.9.0.2"));

        assertThat(between).containsExactly(true, false);
        sluice.send(MemoryPorts.UPLINK, "10.9.0.1", "10.244.0.2", 80);
        assertThat(sluice.received("b")).as("now it is the world's").isFalse();
    }

    private static String allow(final String app, final int port) {
        return """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: p, namespace: shop}
        spec:
          podSelector: {matchLabels: {app: b}}
          policyTypes: [Ingress]
          ingress:
            - from: [{podSelector: {matchLabels: {app: %s}}}]
              ports: [{protocol: UDP, port: %d}]
        """
                .formatted(app, port);
    }

    private static String remote(final String name, final String app, final String address) {
        return """
        apiVersion: v1
        kind: Pod
        metadata: {name: %s, namespace: shop, labels: {app: %s}}
        spec: {nodeName: node-2}
        status: {podIPs: [{ip: "%s"}]}
        """
                .formatted(name, app, address);
    }
}
