package io.sluice.control.policy;

import io.sluice.control.policy.RandomPolicies.Theme;
import java.util.ArrayList;
import java.util.List;

/** Random NetworkPolicy and GlobalNetworkPolicy objects of projectcalico.org, staged ones too. */
final class RandomCalicoPolicies {
    private static final List<String> IPV4 =
            RandomPolicies.CIDRS.stream().filter(cidr -> cidr.indexOf(':') < 0).toList();
    private static final List<String> IPV6 =
            RandomPolicies.CIDRS.stream().filter(cidr -> cidr.indexOf(':') >= 0).toList();

    private final Dice dice;
    private final RandomNames names;
    private final Theme theme;

    RandomCalicoPolicies(final Dice dice, final RandomNames names, final Theme theme) {
        this.dice = dice;
        this.names = names;
        this.theme = theme;
    }

    /** Which end of the packet an entity is about. */
    private enum End {
        SOURCE,
        DESTINATION
    }

    /** The manifest of one more policy. */
    String next() {
        final boolean global = dice.percent(50);
        final String written = global ? "GlobalNetworkPolicy" : "NetworkPolicy";
        final String name = global ? names.clusterwide() : names.namespaced();
        return names.mayBeStaged(
                (kind, action) ->
                        switch (kind) {
                            case ENFORCED ->
                                    """
                                    {apiVersion: projectcalico.org/v3, kind: %s,
                                     metadata: {%s%s}, spec: {%s}}"""
                                            .formatted(
                                                    written,
                                                    name,
                                                    names.annotations(),
                                                    spec(global));
                            case STAGED ->
                                    """
                                    {apiVersion: projectcalico.org/v3, kind: Staged%s,
                                     metadata: {%s}, spec: {%s}}"""
                                            .formatted(
                                                    written,
                                                    name,
                                                    RandomPolicies.staged(action, spec(global)));
                        });
    }

    /** The manifest of a profile. */
    String profile(final String name, final String labelsToApply) {
        return """
        {apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: %s},
         spec: {labelsToApply: {%s}, ingress: [%s], egress: [%s]}}"""
                .formatted(
                        name,
                        labelsToApply,
                        dice.several(3, () -> rule(PolicyDirection.INGRESS)),
                        dice.several(3, () -> rule(PolicyDirection.EGRESS)));
    }

    /** When host endpoints ask a policy. */
    private enum HostStep {
        LOCAL(""),
        FORWARD("applyOnForward: true"),
        UNTRACKED("applyOnForward: true, doNotTrack: true"),
        PRE_DNAT("applyOnForward: true, preDNAT: true");

        final String fields;

        HostStep(final String fields) {
            this.fields = fields;
        }
    }

    private String spec(final boolean global) {
        final List<String> spec = new ArrayList<>();
        final HostStep step =
                global && dice.percent(theme.percent(Theme.HOSTS))
                        ? dice.oneOf(List.of(HostStep.values()))
                        : HostStep.LOCAL;
        spec.add(step.fields);
        spec.add(
                "tier: "
                        + (dice.percent(8)
                                ? dice.oneOf("kube-admin", "kube-baseline")
                                : dice.oneOf("default", "default", "alpha", "late", "zeta")));
        spec.add(
                dice.oneOf(
                        "",
                        "order: -1",
                        "order: 10",
                        "order: 999.5",
                        "order: 1000",
                        "order: 1000.5"));
        spec.add("selector: \"" + selector() + "\"");
        if (global && dice.percent(30)) {
            spec.add("namespaceSelector: \"" + namespaceSelector() + "\"");
        }
        if (dice.percent(theme.percent(Theme.ACCOUNTS))) {
            spec.add("serviceAccountSelector: \"" + accountSelector() + "\"");
        }
        if (step == HostStep.PRE_DNAT) {
            spec.add("ingress: [" + dice.several(3, () -> rule(PolicyDirection.INGRESS)) + "]");
            spec.removeIf(String::isEmpty);
            return String.join(", ", spec);
        }
        spec.add(dice.oneOf("", "", "types: [Ingress, Egress]", "types: [Egress]"));
        final int directions = dice.below(5);
        if (directions != 1) {
            spec.add("ingress: [" + dice.several(3, () -> rule(PolicyDirection.INGRESS)) + "]");
        }
        if (directions != 0) {
            spec.add("egress: [" + dice.several(3, () -> rule(PolicyDirection.EGRESS)) + "]");
        }
        spec.removeIf(String::isEmpty);
        return String.join(", ", spec);
    }

    private String selector() {
        return dice.percent(20)
                ? dice.oneOf(
                        "(%s) || (%s)".formatted(term(), term()),
                        "%s && %s".formatted(term(), term()),
                        "!(%s)".formatted(term()))
                : term();
    }

    private String term() {
        final String key = dice.oneOf("a", "b", "c");
        final String value = "'v" + dice.below(2) + "'";
        return switch (dice.below(13)) {
            case 0, 1, 2 -> "all()";
            case 3 -> "has(" + key + ")";
            case 4 -> "!has(" + key + ")";
            case 5 -> key + " == " + value;
            case 6 -> key + " != " + value;
            case 7 -> key + " in {" + value + ", 'other'}";
            case 8 -> key + " not in {" + value + "}";
            case 9 -> key + " starts with 'v'";
            case 10 -> key + " ends with '" + dice.below(2) + "'";
            case 11 -> "projectcalico.org/namespace == 'n" + dice.below(3) + "'";
            default -> "projectcalico.org/serviceaccount == 's" + dice.below(2) + "'";
        };
    }

    private String namespaceSelector() {
        return dice.oneOf(
                "all()",
                "projectcalico.org/name == 'n" + dice.below(3) + "'",
                "kubernetes.io/metadata.name != 'n" + dice.below(3) + "'",
                "has(a)",
                "b == 'v" + dice.below(2) + "'");
    }

    private String accountSelector() {
        return dice.oneOf("all()", "has(a)", "a == 'v0'", "!has(b)");
    }

    private String rule(final PolicyDirection direction) {
        final List<String> parts = new ArrayList<>();
        parts.add(
                "action: " + dice.oneOf("Allow", "Allow", "Allow", "Deny", "Deny", "Pass", "Log"));
        final boolean ipv4 = dice.percent(70);
        if (dice.percent(10)) {
            parts.add("ipVersion: " + (ipv4 ? 4 : 6));
        }
        final String protocol =
                dice.oneOf(
                        "", "", "", "TCP", "TCP", "TCP", "UDP", "SCTP", ipv4 ? "ICMP" : "ICMPv6");
        final boolean ports =
                protocol.equals("TCP") || protocol.equals("UDP") || protocol.equals("SCTP");
        if (!protocol.isEmpty()) {
            parts.add("protocol: " + protocol);
        } else if (dice.percent(25)) {
            parts.add(dice.oneOf("protocol: 47", "notProtocol: TCP", "notProtocol: 17"));
        }
        if (protocol.startsWith("ICMP")) {
            parts.add(icmp(ipv4 ? 8 : 128));
        }
        final boolean ingress = direction == PolicyDirection.INGRESS;
        if (dice.percent(ingress ? 75 : 20)) {
            parts.add("source: {" + entity(End.SOURCE, direction, ipv4, ports) + "}");
        }
        if (dice.percent(ingress ? 20 : 75)) {
            parts.add("destination: {" + entity(End.DESTINATION, direction, ipv4, ports) + "}");
        }
        parts.removeIf(String::isEmpty);
        return "{" + String.join(", ", parts) + "}";
    }

    private String icmp(final int echo) {
        return dice.oneOf(
                "",
                "icmp: {type: " + echo + "}",
                "icmp: {type: 3, code: 1}",
                "notICMP: {type: " + echo + ", code: 0}",
                "notICMP: {type: 3}");
    }

    /** Fields of {@code source} or {@code destination}. */
    private String entity(
            final End end,
            final PolicyDirection direction,
            final boolean ipv4,
            final boolean ports) {
        final List<String> parts = new ArrayList<>();
        final boolean peer = (end == End.SOURCE) == (direction == PolicyDirection.INGRESS);
        if (peer && dice.percent(theme.percent(Theme.SERVICES))) {
            // A destination service brings its own ports.
            parts.add(
                    dice.oneOf(
                            "services: {name: pods, namespace: n0}",
                            "services: {name: outside, namespace: n1}"));
            if (end == End.SOURCE && ports && dice.percent(30)) {
                parts.add("ports: [" + dice.several(2, () -> port(end)) + "]");
            }
            return String.join(", ", parts);
        }
        if (peer && dice.percent(theme.percent(Theme.ADDRESS_SETS))) {
            parts.add(
                    dice.oneOf(
                            "namespaceSelector: global()",
                            "selector: \"" + selector() + "\"",
                            "notSelector: \"" + selector() + "\""));
        } else if (dice.percent(theme.percent(Theme.ACCOUNTS))) {
            parts.add("serviceAccounts: {" + accounts() + "}");
        } else {
            addConditions(parts, ipv4 ? IPV4 : IPV6);
        }
        if (ports && dice.percent(end == End.SOURCE ? 15 : 50)) {
            parts.add("ports: [" + dice.several(2, () -> port(end)) + "]");
        }
        if (ports && dice.percent(10)) {
            parts.add("notPorts: [" + port(end) + "]");
        }
        return String.join(", ", parts);
    }

    /** Any of them together: all must hold. */
    private void addConditions(final List<String> parts, final List<String> nets) {
        if (dice.percent(25)) {
            parts.add("nets: [" + dice.several(2, () -> "'" + dice.oneOf(nets) + "'") + "]");
        }
        if (dice.percent(10)) {
            // The first of each list is everything, which nothing is outside of.
            parts.add("notNets: ['" + dice.oneOf(nets.subList(1, nets.size())) + "']");
        }
        if (dice.percent(35)) {
            parts.add("selector: \"" + selector() + "\"");
        }
        if (dice.percent(12)) {
            parts.add("notSelector: \"" + selector() + "\"");
        }
        if (dice.percent(20)) {
            parts.add("namespaceSelector: \"" + namespaceSelector() + "\"");
        }
        if (dice.percent(6)) {
            parts.add("serviceAccounts: {" + accounts() + "}");
        }
    }

    private String accounts() {
        return dice.oneOf(
                "names: [s0]",
                "names: [s0, s1]",
                "selector: \"" + accountSelector() + "\"",
                "names: [s1], selector: \"" + accountSelector() + "\"");
    }

    private String port(final End end) {
        return end == End.SOURCE
                ? dice.oneOf("49152", "'49000:50000'", "80", "web")
                : dice.oneOf("80", "81", "'79:80'", "web", "dns");
    }
}
