package io.sluice.dnsproxy.resolver;

import io.sluice.dnsproxy.wire.Address;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What the resolver must know of services and pods. Any thread; answers from one moment. */
public interface ClusterWorld {
    /**
     * A port of a service.
     *
     * @param name as in the object, maybe empty
     * @param protocol {@code tcp}, {@code udp} or {@code sctp}
     * @param port 1 to 65535: of the service, or of the pods if it is headless
     */
    record Port(String name, String protocol, int port) {}

    /**
     * A ready pod behind a service.
     *
     * @param hostname its {@code spec.hostname}; null if it has none
     * @param addresses IPv4, IPv6 or both
     */
    record Backend(@Nullable String hostname, List<Address> addresses) {}

    /**
     * A service.
     *
     * @param clusterAddresses its own; empty if it is headless
     * @param backends asked for if it is headless only
     */
    record Service(List<Address> clusterAddresses, List<Port> ports, List<Backend> backends) {
        boolean isHeadless() {
            return clusterAddresses.isEmpty();
        }
    }

    /**
     * Where an address belongs.
     *
     * @param namespace of the service
     * @param service its name
     * @param hostname of the pod in a headless service; null for the service's own address
     */
    record Owner(String namespace, String service, @Nullable String hostname) {}

    /** Whether the namespace exists. */
    boolean hasNamespace(String namespace);

    /** The service, or null. Names are in lower case. */
    @Nullable Service service(String namespace, String name);

    /** Whether a pod of this namespace has this address. */
    boolean hasPod(String namespace, Address address);

    /** Whose service's address it is, or null. */
    @Nullable Owner owner(Address address);

    /** Whether an address could be the cluster's: others are asked upstream. */
    boolean isOfCluster(Address address);
}
