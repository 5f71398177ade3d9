package io.sluice.control.policy.recommend;

import java.util.Set;

/**
 * What is to be drafted.
 *
 * @param kind of policy
 * @param namespaces whose pods get policies; empty for all but {@code kube-system}
 * @param requests whether L7 rules are drafted, where requests were seen; Cilium's kind alone has
 *     them
 * @param audited whether the policies are annotated to be audited: reported, not enforced
 * @param addressesMax addresses outside for one port of a workload that are named one by one, 1 or
 *     more
 */
public record RecommendOptions(
        Kind kind, Set<String> namespaces, boolean requests, boolean audited, int addressesMax) {
    /** Kinds of policy. */
    public enum Kind {
        NETWORK_POLICY,
        CILIUM_NETWORK_POLICY
    }

    public RecommendOptions {
        namespaces = Set.copyOf(namespaces);
    }

    boolean wants(final String namespace) {
        return namespaces.isEmpty()
                ? !namespace.equals("kube-system")
                : namespaces.contains(namespace);
    }
}
