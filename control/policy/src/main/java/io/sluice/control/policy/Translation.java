package io.sluice.control.policy;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * A policy in the compiler's form.
 *
 * @param statements what it says about pods
 * @param hosts what it says about nodes
 * @param reads objects beside the policy itself that this was made from: when one of them changes,
 *     the policy is translated again
 * @param warnings what the policy does not do, or does to the surprise of its author
 * @param prefixes prefixes of rules that match no endpoint, to be warned about where one has such
 *     an address
 */
record Translation(
        List<PolicyStatement> statements,
        List<HostStatement> hosts,
        Set<Reads> reads,
        List<Problem> warnings,
        List<WorldPrefix> prefixes) {
    /** Sorts of objects that a policy can be made from. */
    enum Reads {
        CIDR_GROUPS,
        SERVICES,
        NETWORK_SETS,
        TIERS,
        SECRETS;

        /** The sorts that an object belongs to, by the kind of its reference. */
        static Set<Reads> of(final String kind) {
            return switch (kind) {
                case "CiliumCIDRGroup" -> EnumSet.of(CIDR_GROUPS);
                case "Service", "EndpointSlice" -> EnumSet.of(SERVICES);
                case "NetworkSet", "GlobalNetworkSet", "HostEndpoint", "Profile", "Namespace" ->
                        EnumSet.of(NETWORK_SETS);
                case "Secret" -> EnumSet.of(SECRETS);
                case "Tier" -> EnumSet.of(TIERS);
                default -> EnumSet.noneOf(Reads.class);
            };
        }
    }

    /** A prefix of a rule that goes by address, but not by the addresses of endpoints. */
    record WorldPrefix(ObjectRef policy, SourceLocation where, Cidr cidr, List<Cidr> except) {}

    /** Whether it has more than statements about pods. */
    boolean isRemarkable() {
        return !warnings.isEmpty() || !prefixes.isEmpty() || !hosts.isEmpty();
    }

    static Translation of(final List<PolicyStatement> statements) {
        return new Translation(statements, List.of(), Set.of(), List.of(), List.of());
    }
}
