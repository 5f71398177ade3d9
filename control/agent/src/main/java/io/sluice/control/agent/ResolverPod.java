package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.World;
import java.util.List;

/**
 * The switch's own resolver as policies see it: the pod {@code kube-system/kube-dns}, with the
 * label by which policies written for a cluster know it.
 *
 * <p>Objects come first: a world that has a pod of that name, or at one of its addresses, keeps it,
 * and the switch resolves nothing.
 */
final class ResolverPod {
    /** Its name. */
    static final ObjectRef REF = ObjectRef.pod("kube-system", "kube-dns");

    private static final String MANIFEST =
            """
            apiVersion: v1
            kind: Pod
            metadata:
              name: kube-dns
              namespace: kube-system
              labels: { k8s-app: kube-dns }
            """;

    private static final Pod POD =
            (Pod) ManifestReader.read("resolver", MANIFEST).objects().getFirst();

    private ResolverPod() {}

    /** The world with the resolver in it, if it has an address and nothing is in its place. */
    static World addTo(final World world, final List<IpAddress> addresses) {
        final boolean isFree =
                world.lookup(REF).isEmpty()
                        && addresses.stream().allMatch(address -> world.podAt(address).isEmpty());
        return addresses.isEmpty() || !isFree
                ? world
                : world.with(List.of(POD.withAddresses(addresses)));
    }

    /** Whether the pod of that name is ours. */
    static boolean isIn(final World world) {
        return world.lookup(REF)
                .map(found -> found.meta().where().equals(POD.meta().where()))
                .orElse(false);
    }
}
