package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.CIDR_OVER_ENDPOINTS;
import static io.sluice.control.policy.lint.LintCheck.METADATA_ADDRESS_OPEN;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyMap;
import io.sluice.control.policy.PolicyOptions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/** Addresses: those that CIDR rules do not match, and one that should be out of reach. */
final class AddressChecks {
    /** Instance metadata of the large clouds, over HTTP. */
    private static final String METADATA_ADDRESS = "169.254.169.254";

    private static final int HTTP_PORT = 80;

    private final LintedWorld linted;
    private final List<Finding> found;

    private AddressChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final AddressChecks checks = new AddressChecks(linted, found);
        checks.cidrOverEndpoints();
        checks.metadataAddressOpen();
    }

    private void cidrOverEndpoints() {
        if (linted.options().cidrMatches().contains(PolicyOptions.CidrMatch.PODS)) {
            return;
        }
        for (final KubeObject.Policy policy : linted.allPolicies()) {
            if (policy instanceof final CiliumPolicy cilium) {
                for (final CiliumPolicy.Rule rule : cilium.rules()) {
                    for (final CiliumPolicy.Side side : List.of(rule.ingress(), rule.egress())) {
                        side.allow().forEach(entry -> cidrOverEndpoints(cilium, entry));
                        side.deny().forEach(entry -> cidrOverEndpoints(cilium, entry));
                    }
                }
            }
        }
    }

    private void cidrOverEndpoints(final CiliumPolicy policy, final CiliumPolicy.Entry entry) {
        if (!(entry.peers() instanceof final CiliumPolicy.PeerCidrs cidrs)) {
            return;
        }
        for (final CiliumPolicy.CidrRule rule : cidrs.cidrs()) {
            for (final Cidr cidr : prefixes(rule)) {
                final Optional<Pod> covered = covered(cidr, rule.except());
                if (covered.isPresent()) {
                    final Finding finding =
                            Finding.at(
                                    entry.where(),
                                    policy,
                                    CIDR_OVER_ENDPOINTS,
                                    policy.ref()
                                            + ": "
                                            + cidr
                                            + " covers addresses of pods ("
                                            + covered.get().ref().path()
                                            + "), but CIDR rules do not match pods",
                                    "select the pods by label (toEndpoints, fromEndpoints) beside"
                                            + " the CIDR");
                    // Most who write it mean the world, which is what it matches.
                    found.add(cidr.lengthBits() == 0 ? finding.asInfo() : finding);
                    return;
                }
            }
        }
    }

    private List<Cidr> prefixes(final CiliumPolicy.CidrRule rule) {
        return switch (rule) {
            case final CiliumPolicy.CidrPrefix prefix -> List.of(prefix.cidr());
            case final CiliumPolicy.CidrGroupName name ->
                    linted.world().all(KubeObject.CiliumCidrGroup.class).stream()
                            .filter(group -> group.meta().name().equals(name.name()))
                            .flatMap(group -> group.cidrs().stream())
                            .toList();
            case final CiliumPolicy.CidrGroupLabels labels ->
                    linted.world().all(KubeObject.CiliumCidrGroup.class).stream()
                            .filter(group -> labels.selector().matches(group.meta().labels()))
                            .flatMap(group -> group.cidrs().stream())
                            .toList();
        };
    }

    private Optional<Pod> covered(final Cidr cidr, final List<Cidr> except) {
        return linted.world().pods().stream()
                .filter(Pod::isEndpoint)
                .filter(
                        pod ->
                                pod.addresses().stream()
                                        .anyMatch(
                                                address ->
                                                        cidr.contains(address)
                                                                && except.stream()
                                                                        .noneMatch(
                                                                                taken ->
                                                                                        taken
                                                                                                .contains(
                                                                                                        address))))
                .findFirst();
    }

    private void metadataAddressOpen() {
        final Map<Author, List<Pod>> byRule = new LinkedHashMap<>();
        final TreeSet<String> open = new TreeSet<>();
        Optional<Pod> first = Optional.empty();
        final IpAddress address = IpAddress.parse(METADATA_ADDRESS).orElseThrow();
        final int identity = linted.policies().identityAt(address).number();
        for (final Pod pod : linted.endpoints()) {
            final Optional<PolicyMap> map =
                    linted.policies().policyMap(pod.ref(), PolicyDirection.EGRESS);
            if (map.isEmpty()) {
                continue;
            }
            final PolicyEntry entry =
                    map.get()
                            .program(identity)
                            .lookup(IpProtocol.TCP, LintedWorld.SOURCE_PORT, HTTP_PORT);
            if (!entry.isAllowed()) {
                continue;
            }
            if (map.get().isIsolated() && entry.by().origin() == Author.Origin.RULE) {
                byRule.computeIfAbsent(entry.by(), _ -> new ArrayList<>()).add(pod);
            } else if (!map.get().isIsolated() && !linted.isWitness(pod)) {
                open.add(pod.meta().namespace());
                first = first.or(() -> Optional.of(pod));
            }
        }
        byRule.forEach(this::reportRule);
        first.ifPresent(
                pod ->
                        found.add(
                                Finding.of(
                                                pod,
                                                METADATA_ADDRESS_OPEN,
                                                METADATA_ADDRESS
                                                        + " (cloud metadata) is reachable from pods"
                                                        + " whose egress no policy isolates, in "
                                                        + (open.size() == 1
                                                                ? "namespace "
                                                                : "namespaces ")
                                                        + LintedWorld.listed(List.copyOf(open)),
                                                "isolate their egress, or deny the address for the"
                                                        + " whole cluster")
                                        .asInfo()));
    }

    private void reportRule(final Author by, final List<Pod> pods) {
        linted.world()
                .lookup(new ObjectRef(by.kind(), by.namespace(), by.name()))
                .ifPresent(
                        policy ->
                                found.add(
                                        Finding.at(
                                                linted.whereOf(policy, by),
                                                policy,
                                                METADATA_ADDRESS_OPEN,
                                                policy.ref()
                                                        + " lets "
                                                        + linted.names(pods)
                                                        + " reach "
                                                        + METADATA_ADDRESS
                                                        + ", where clouds give out credentials",
                                                "take the address out (ipBlock.except,"
                                                        + " toCIDRSet.except, notNets), or name"
                                                        + " what is needed")));
    }
}
