package io.sluice.control.agent;

import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.CiliumPolicy.PeerNames;
import io.sluice.control.policy.CiliumPolicy.Restriction;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * The classic failure of names in policies, said when they are loaded: {@code toFQDNs}, and no DNS
 * rule anywhere, so that nobody reads the answers that the names would be learned from. Whether the
 * rules fit pod by pod is {@code sluice policy lint}'s to tell.
 *
 * <p>Pure; any thread. Costs a look at each rule.
 */
final class NameWarnings {
    private NameWarnings() {}

    /** One warning for each rule with names, where no policy has DNS rules. */
    static List<Problem> of(final List<KubeObject> objects) {
        final List<Problem> warnings = new ArrayList<>();
        for (final KubeObject object : objects) {
            if (object instanceof final CiliumPolicy policy) {
                if (entries(policy).anyMatch(NameWarnings::hasDnsRules)) {
                    return List.of();
                }
                entries(policy)
                        .filter(entry -> entry.peers() instanceof PeerNames)
                        .forEach(
                                entry ->
                                        warnings.add(
                                                Problem.warning(
                                                        entry.where(),
                                                        "toFQDNs",
                                                        "no policy has DNS rules (toPorts with"
                                                                + " rules.dns), so these names are"
                                                                + " never learned and nothing"
                                                                + " matches: see sluice policy"
                                                                + " lint")));
            }
        }
        return List.copyOf(warnings);
    }

    private static Stream<CiliumPolicy.Entry> entries(final CiliumPolicy policy) {
        return policy.rules().stream()
                .flatMap(rule -> rule.side(PolicyDirection.EGRESS).allow().stream());
    }

    private static boolean hasDnsRules(final CiliumPolicy.Entry entry) {
        return entry.ports().stream().anyMatch(port -> port.restriction() == Restriction.DNS);
    }
}
