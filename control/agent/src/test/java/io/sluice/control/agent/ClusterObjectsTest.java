package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.World;
import io.sluice.dnsproxy.resolver.ClusterWorld;
import io.sluice.dnsproxy.wire.Address;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Objects as users write them, as the resolver sees them. */
class ClusterObjectsTest {
    private static final String OBJECTS =
            """
            apiVersion: v1
            kind: Namespace
            metadata: { name: empty }
            ---
            apiVersion: v1
            kind: Pod
            metadata: { name: web-1, namespace: shop, labels: { app: web, tier: front } }
            status: { podIP: 10.244.0.11, podIPs: [{ ip: 10.244.0.11 }, { ip: "fd00:10:244::11" }] }
            ---
            apiVersion: v1
            kind: Pod
            metadata: { name: web-2, namespace: shop, labels: { app: web } }
            status: { podIP: 10.244.0.12, podIPs: [{ ip: 10.244.0.12 }] }
            ---
            apiVersion: v1
            kind: Pod
            metadata: { name: web-3, namespace: other, labels: { app: web } }
            status: { podIP: 10.244.0.13, podIPs: [{ ip: 10.244.0.13 }] }
            ---
            apiVersion: v1
            kind: Pod
            metadata: { name: web-4, namespace: shop, labels: { app: web } }
            spec: { hostNetwork: true }
            status: { podIP: 192.0.2.7, podIPs: [{ ip: 192.0.2.7 }] }
            ---
            apiVersion: v1
            kind: Service
            metadata: { name: web, namespace: shop }
            spec:
              clusterIP: 10.96.1.1
              clusterIPs: [10.96.1.1, "fd00:10:96::1"]
              selector: { app: web }
              ports:
              - { name: http, port: 80, targetPort: 8080 }
              - { name: gossip, port: 7946, protocol: UDP }
            ---
            apiVersion: v1
            kind: Service
            metadata: { name: peers, namespace: shop }
            spec:
              clusterIP: None
              selector: { app: web }
              ports: [{ name: http, port: 80, targetPort: 8080 }]
            ---
            apiVersion: v1
            kind: Service
            metadata: { name: listed, namespace: shop }
            spec: { clusterIP: None, ports: [{ port: 5432 }] }
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata:
              name: listed-1
              namespace: shop
              labels: { kubernetes.io/service-name: listed }
            addressType: IPv4
            endpoints: [{ addresses: [192.0.2.1] }, { addresses: [192.0.2.2] }]
            ports: [{ port: 5432 }]
            """;

    private final AtomicReference<World> world =
            new AtomicReference<>(World.of(Manifests.read(OBJECTS)));
    private final ClusterObjects objects =
            new ClusterObjects(
                    world::get,
                    List.of(new AddressPool(Cidr.parse("10.244.0.0/24").orElseThrow())));

    private static Address address(final String text) {
        return Address.parse(text);
    }

    private ClusterWorld.Service service(final String namespace, final String name) {
        return Objects.requireNonNull(objects.service(namespace, name));
    }

    private List<List<Address>> backends(final String name) {
        return service("shop", name).backends().stream()
                .map(ClusterWorld.Backend::addresses)
                .toList();
    }

    @Test
    void aNamespaceIsThereByItsObjectOrByAPod() {
        assertThat(objects.hasNamespace("empty")).isTrue();
        assertThat(objects.hasNamespace("other")).isTrue();
        assertThat(objects.hasNamespace("nowhere")).isFalse();
    }

    @Test
    void aServiceHasItsOwnAddressesAndPortsAndNoBackends() {
        assertThat(service("shop", "web"))
                .isEqualTo(
                        new ClusterWorld.Service(
                                List.of(address("10.96.1.1"), address("fd00:10:96::1")),
                                List.of(
                                        new ClusterWorld.Port("http", "tcp", 80),
                                        new ClusterWorld.Port("gossip", "udp", 7946)),
                                List.of()));
        assertThat(objects.service("shop", "other")).isNull();
        assertThat(objects.service("other", "web")).isNull();
    }

    @Test
    void aHeadlessServiceIsThePodsOfItsNamespaceThatItSelectsAtTheirOwnPort() {
        assertThat(backends("peers"))
                .containsExactlyInAnyOrder(
                        List.of(address("10.244.0.11"), address("fd00:10:244::11")),
                        List.of(address("10.244.0.12")));
        assertThat(service("shop", "peers").ports())
                .containsExactly(new ClusterWorld.Port("http", "tcp", 8080));
    }

    @Test
    void aHeadlessServiceWithoutSelectorIsWhatItsSlicesList() {
        assertThat(backends("listed"))
                .containsExactlyInAnyOrder(
                        List.of(address("192.0.2.1")), List.of(address("192.0.2.2")));
    }

    @Test
    void aPodIsFoundByItsAddressInItsOwnNamespaceOnly() {
        assertThat(objects.hasPod("shop", address("10.244.0.11"))).isTrue();
        assertThat(objects.hasPod("shop", address("fd00:10:244::11"))).isTrue();
        assertThat(objects.hasPod("other", address("10.244.0.11"))).isFalse();
        assertThat(objects.hasPod("shop", address("10.244.0.99"))).isFalse();
    }

    @Test
    void anAddressOfAServiceHasAnOwner() {
        assertThat(objects.owner(address("fd00:10:96::1")))
                .isEqualTo(new ClusterWorld.Owner("shop", "web", null));
        assertThat(objects.owner(address("10.244.0.11"))).as("a pod's").isNull();
    }

    @Test
    void poolsPodsAndServicesAreTheClustersAndOthersAreAskedUpstream() {
        assertThat(objects.isOfCluster(address("10.244.0.200"))).as("of the pool").isTrue();
        assertThat(objects.isOfCluster(address("fd00:10:244::11"))).as("a pod's").isTrue();
        assertThat(objects.isOfCluster(address("10.96.1.1"))).as("a service's").isTrue();
        assertThat(objects.isOfCluster(address("198.51.100.1"))).isFalse();
    }

    @Test
    void eachAnswerIsOfTheWorldOfNow() {
        world.set(World.of(List.of()));
        assertThat(objects.service("shop", "web")).isNull();
        assertThat(objects.hasNamespace("shop")).isFalse();
        assertThat(objects.isOfCluster(address("10.96.1.1"))).isFalse();
    }
}
