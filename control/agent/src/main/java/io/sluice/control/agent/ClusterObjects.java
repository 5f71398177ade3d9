package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.KubeObject.EndpointSlice;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.World;
import io.sluice.dnsproxy.resolver.ClusterWorld;
import io.sluice.dnsproxy.wire.Address;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Pods and services of the live world, as the resolver sees them.
 *
 * <p>Pods behind a headless service have no host names here: objects are read without them.
 *
 * <p>Thread: any; each answer is from one world.
 */
final class ClusterObjects implements ClusterWorld {
    private static final Map<Integer, String> PROTOCOLS = Map.of(6, "tcp", 17, "udp", 132, "sctp");

    private final Supplier<World> world;
    private final List<AddressPool> pools;

    ClusterObjects(final Supplier<World> world, final List<AddressPool> pools) {
        this.world = world;
        this.pools = pools;
    }

    @Override
    public boolean hasNamespace(final String namespace) {
        final World now = world.get();
        return now.lookup(new ObjectRef("Namespace", "", namespace)).isPresent()
                || now.pods().stream().anyMatch(pod -> pod.meta().namespace().equals(namespace));
    }

    @Override
    public ClusterWorld.@Nullable Service service(final String namespace, final String name) {
        final World now = world.get();
        final KubeObject.Service service =
                (KubeObject.Service)
                        now.lookup(new ObjectRef("Service", namespace, name)).orElse(null);
        if (service == null) {
            return null;
        }
        return new ClusterWorld.Service(
                service.clusterIps().stream().map(ClusterObjects::address).toList(),
                service.ports().stream()
                        .map(
                                port ->
                                        new ClusterWorld.Port(
                                                port.name(),
                                                PROTOCOLS.getOrDefault(port.protocol(), ""),
                                                service.clusterIps().isEmpty()
                                                        ? port.target()
                                                        : port.port()))
                        .toList(),
                service.clusterIps().isEmpty() ? backends(now, service) : List.of());
    }

    private static List<Backend> backends(final World now, final KubeObject.Service service) {
        final String namespace = service.meta().namespace();
        final Set<List<Address>> found = new LinkedHashSet<>();
        if (!service.selector().isEmpty()) {
            for (final Pod pod : now.pods()) {
                if (pod.isEndpoint()
                        && pod.meta().namespace().equals(namespace)
                        && pod.meta()
                                .labels()
                                .entrySet()
                                .containsAll(service.selector().entrySet())) {
                    found.add(pod.addresses().stream().map(ClusterObjects::address).toList());
                }
            }
        }
        for (final EndpointSlice slice : now.all(EndpointSlice.class)) {
            if (slice.service().equals(service.meta().name())
                    && slice.meta().namespace().equals(namespace)) {
                slice.addresses().forEach(each -> found.add(List.of(address(each))));
            }
        }
        final List<Backend> backends = new ArrayList<>();
        found.forEach(addresses -> backends.add(new Backend(null, addresses)));
        return backends;
    }

    @Override
    public boolean hasPod(final String namespace, final Address address) {
        return world.get()
                .podAt(policyAddress(address))
                .filter(pod -> pod.meta().namespace().equals(namespace))
                .isPresent();
    }

    @Override
    public @Nullable Owner owner(final Address address) {
        final IpAddress wanted = policyAddress(address);
        for (final KubeObject.Service service : world.get().all(KubeObject.Service.class)) {
            if (service.clusterIps().contains(wanted)) {
                return new Owner(service.meta().namespace(), service.meta().name(), null);
            }
        }
        return null;
    }

    @Override
    public boolean isOfCluster(final Address address) {
        final IpAddress wanted = policyAddress(address);
        return pools.stream().anyMatch(pool -> pool.prefix().contains(wanted))
                || world.get().podAt(wanted).isPresent()
                || owner(address) != null;
    }

    private static Address address(final IpAddress address) {
        return new Address(address.high(), address.low());
    }

    private static IpAddress policyAddress(final Address address) {
        return new IpAddress(address.high(), address.low());
    }
}
