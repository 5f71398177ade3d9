package io.sluice.control.policy;

import java.util.List;

/**
 * What one policy, or profile, says about nodes in one direction.
 *
 * @param statement the rules and their place; its subject is nobody: no pod is meant
 * @param selects the ends of nodes that it is about
 * @param stage when it is asked
 * @param onForward whether it is also asked about traffic that the node only forwards
 */
record HostStatement(PolicyStatement statement, Selection selects, Stage stage, boolean onForward) {
    /**
     * Stages of traffic at a host endpoint, in their order (Calico: raw, mangle and filter table).
     */
    enum Stage {
        /** {@code doNotTrack}: the end of a tier leaves the rest to the next stage. */
        UNTRACKED,
        /** {@code preDNAT}, ingress only: the end of a tier leaves the rest to the next stage. */
        PRE_DNAT,
        /** All other policies. */
        NORMAL,
        /** Profiles, for what no tier decided. */
        PROFILE
    }

    /** Which ends of nodes are meant. */
    sealed interface Selection {
        boolean matches(HostPolicies.Host host);
    }

    /** Nodes by their labels: Cilium's {@code nodeSelector}. */
    record OfNodes(List<LabelMatch> requirements) implements Selection {
        @Override
        public boolean matches(final HostPolicies.Host host) {
            return requirements.stream()
                    .allMatch(requirement -> requirement.matches(host.nodeLabels()));
        }
    }

    /** Host endpoints by their labels: Calico's {@code selector}. */
    record OfHostEndpoints(CalicoSelector selector) implements Selection {
        @Override
        public boolean matches(final HostPolicies.Host host) {
            return host.endpoint().isPresent()
                    && selector.matchesOutsideNamespaces(host.endpointLabels());
        }
    }

    /** Host endpoints that name the profile. */
    record OfProfile(String name) implements Selection {
        @Override
        public boolean matches(final HostPolicies.Host host) {
            return host.endpoint()
                    .map(endpoint -> endpoint.profiles().contains(name))
                    .orElse(false);
        }
    }
}
