package io.sluice.control.policy.lint;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.World;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Finds pitfalls in policies that are right as text: what most likely is not what their author
 * meant. A wrong finding costs more than a missed one, so a check that cannot see enough (no pods,
 * namespaces whose labels nothing tells) stays silent.
 *
 * <p>Checks look at the objects and at the compiled policy, both through {@link LintedWorld}; each
 * family of checks is one file. Every check has its folder {@code examples/lint/ID}.
 *
 * <p>Thread: any, stateless.
 */
public final class PolicyLint {
    /** Annotation of a policy: ids of checks, separated by commas, that pass it over. */
    public static final String IGNORE_ANNOTATION = "sluice.io/lint-ignore";

    private PolicyLint() {}

    /**
     * Findings about a world, by place.
     *
     * @param world a world without problems
     * @param options as the daemon would compile it with
     * @param wanted the checks to make
     */
    public static List<Finding> lint(
            final World world, final PolicyOptions options, final Set<LintCheck> wanted) {
        final LintedWorld linted = new LintedWorld(world, options);
        final List<Finding> found = new ArrayList<>();
        NameResolutionChecks.run(linted, found);
        SelectorChecks.run(linted, found);
        FirstDefaultDenyCheck.run(linted, found);
        DefaultDenyChecks.run(linted, found);
        RuleChecks.run(linted, found);
        OrderChecks.run(linted, found);
        ProxyChecks.run(linted, found);
        NodeChecks.run(linted, found);
        AddressChecks.run(linted, found);
        return new LinkedHashSet<>(found)
                .stream()
                        .filter(finding -> wanted.contains(finding.check()))
                        .filter(finding -> !isExplained(found, wanted, finding))
                        .filter(finding -> !isIgnored(world, finding))
                        .sorted(
                                Comparator.comparing((Finding finding) -> finding.where().file())
                                        .thenComparingInt(finding -> finding.where().line())
                                        .thenComparingInt(finding -> finding.where().column())
                                        .thenComparing(Finding::check)
                                        .thenComparing(Finding::message))
                        .toList();
    }

    /** A slip says already why its podSelector matches nothing. */
    private static boolean isExplained(
            final List<Finding> found, final Set<LintCheck> wanted, final Finding finding) {
        return finding.check() == LintCheck.SELECTOR_MATCHES_NOTHING
                && wanted.contains(LintCheck.AND_OR_SLIP)
                && found.stream()
                        .anyMatch(
                                other ->
                                        other.check() == LintCheck.AND_OR_SLIP
                                                && other.where().equals(finding.where()));
    }

    private static boolean isIgnored(final World world, final Finding finding) {
        return world.lookup(finding.object())
                .map(KubeObject::meta)
                .map(meta -> meta.annotations().getOrDefault(IGNORE_ANNOTATION, ""))
                .map(ids -> List.of(ids.split("[,\\s]+", -1)).contains(finding.check().id()))
                .orElse(false);
    }
}
