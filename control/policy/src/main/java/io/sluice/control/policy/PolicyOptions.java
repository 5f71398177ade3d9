package io.sluice.control.policy;

import java.util.List;
import java.util.Set;

/**
 * What the compiler is told beside the world.
 *
 * @param clusterName value of the label {@code io.cilium.k8s.policy.cluster}
 * @param nodeName name of this node; empty offline, where every pod is on the node its manifest
 *     names
 * @param defaultVerdict answer where no policy answered
 * @param cidrMatches peers beside the world that CIDR rules of Cilium policies match ({@code
 *     policyCIDRMatchMode})
 * @param hostAddresses addresses of this node beside those of its Node object, the gateway's
 *     included
 * @param audit whether every endpoint is audited: policy is computed and reported, not enforced
 */
public record PolicyOptions(
        String clusterName,
        String nodeName,
        DefaultVerdict defaultVerdict,
        Set<CidrMatch> cidrMatches,
        List<IpAddress> hostAddresses,
        boolean audit) {
    /** What holds where no policy answered. */
    public enum DefaultVerdict {
        ALLOW,
        DENY
    }

    /** Peers that CIDR rules of Cilium policies can be told to match. */
    public enum CidrMatch {
        PODS,
        NODES
    }

    public static final PolicyOptions DEFAULTS =
            new PolicyOptions("default", "", DefaultVerdict.ALLOW, Set.of(), List.of(), false);

    public PolicyOptions {
        cidrMatches = Set.copyOf(cidrMatches);
        hostAddresses = List.copyOf(hostAddresses);
    }

    /** What a chain of rules ends with. */
    PolicyEntry nothingAnswered() {
        return switch (defaultVerdict) {
            case ALLOW -> PolicyEntry.allow(Author.DEFAULT);
            case DENY -> PolicyEntry.deny(PolicyEntry.Reason.POLICY_DENIED, Author.DEFAULT);
        };
    }

    public PolicyOptions withNode(final String name, final List<IpAddress> addresses) {
        return new PolicyOptions(clusterName, name, defaultVerdict, cidrMatches, addresses, audit);
    }
}
