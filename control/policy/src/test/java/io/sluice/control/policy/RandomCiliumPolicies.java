package io.sluice.control.policy;

import io.sluice.control.policy.RandomPolicies.Theme;
import java.util.ArrayList;
import java.util.List;

/** Random CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy objects. */
final class RandomCiliumPolicies {
    private final Dice dice;
    private final RandomNames names;
    private final Theme theme;

    RandomCiliumPolicies(final Dice dice, final RandomNames names, final Theme theme) {
        this.dice = dice;
        this.names = names;
        this.theme = theme;
    }

    /** The manifest of one more policy. */
    String next() {
        final boolean clusterwide = dice.percent(35);
        final String kind = clusterwide ? "CiliumClusterwideNetworkPolicy" : "CiliumNetworkPolicy";
        final String name = clusterwide ? names.clusterwide() : names.namespaced();
        final String rules =
                dice.percent(80)
                        ? "spec: " + rule(clusterwide)
                        : "specs: [" + rule(clusterwide) + ", " + rule(clusterwide) + "]";
        return "{apiVersion: cilium.io/v2, kind: %s, metadata: {%s%s}, %s}"
                .formatted(kind, name, names.annotations(), rules);
    }

    private String rule(final boolean clusterwide) {
        final List<String> parts = new ArrayList<>();
        final boolean ofNodes = clusterwide && dice.percent(theme.percent(Theme.HOSTS));
        parts.add(
                (ofNodes ? "nodeSelector: " : "endpointSelector: ")
                        + RandomPolicies.selector(dice));
        final int directions = dice.below(3);
        if (directions != 1) {
            parts.add(entries("ingress", "from"));
        }
        if (directions != 0) {
            parts.add(entries("egress", "to"));
        }
        if (dice.percent(30)) {
            parts.add(
                    "enableDefaultDeny: {%s: %s}"
                            .formatted(
                                    dice.oneOf("ingress", "egress"), dice.oneOf("true", "false")));
        }
        return "{" + String.join(", ", parts) + "}";
    }

    private String entries(final String list, final String prefix) {
        final String allow = list + ": [" + dice.several(2, () -> allowEntry(prefix)) + "]";
        final String deny = list + "Deny: [" + entry(prefix, 60) + "]";
        return switch (dice.below(5)) {
            case 0 -> deny;
            case 1 -> allow + ", " + deny;
            default -> allow;
        };
    }

    private String allowEntry(final String prefix) {
        return dice.percent(5) ? "{}" : entry(prefix, 50);
    }

    private String entry(final String prefix, final int portsPercent) {
        final List<String> parts = new ArrayList<>();
        parts.add(peers(prefix));
        if (dice.percent(portsPercent)) {
            parts.add(
                    dice.percent(75)
                            ? "toPorts: [{ports: [" + dice.several(2, this::port) + "]}]"
                            : "icmps: [{fields: [" + dice.several(2, this::icmp) + "]}]");
        }
        parts.removeIf(String::isEmpty);
        // {} would allow nothing, and a deny entry of that form denies nothing.
        return parts.isEmpty()
                ? "{" + prefix + "Entities: [all]}"
                : "{" + String.join(", ", parts) + "}";
    }

    private String peers(final String prefix) {
        if (dice.percent(theme.percent(Theme.ADDRESS_SETS))) {
            return prefix + "CIDRSet: [" + dice.several(2, this::cidrGroup) + "]";
        }
        if (prefix.equals("to") && dice.percent(theme.percent(Theme.SERVICES))) {
            return "toServices: [" + service() + "]";
        }
        return switch (dice.below(11)) {
            case 0 -> prefix + "Endpoints: []";
            case 1, 2, 3 -> prefix + "Endpoints: [" + dice.several(2, this::peer) + "]";
            case 4, 5 -> prefix + "Entities: [" + dice.several(2, this::entity) + "]";
            case 6, 7 ->
                    prefix
                            + "CIDRSet: ["
                            + dice.several(
                                    2, () -> "{cidr: " + RandomPolicies.cidrWithExcept(dice) + "}")
                            + "]";
            case 8 -> prefix + "CIDR: ['" + dice.oneOf(RandomPolicies.CIDRS) + "']";
            case 9 -> prefix + "Nodes: [" + RandomPolicies.selector(dice) + "]";
            default -> "";
        };
    }

    private String peer() {
        final String namespace = "n" + dice.below(3);
        final String value = "v" + dice.below(2);
        if (dice.percent(theme.percent(Theme.ACCOUNTS))) {
            return "{matchLabels: {io.cilium.k8s.policy.serviceaccount: s" + dice.below(2) + "}}";
        }
        return switch (dice.below(9)) {
            case 0 -> "{matchLabels: {'k8s:io.kubernetes.pod.namespace': " + namespace + "}}";
            case 1 ->
                    "{matchLabels: {io.kubernetes.pod.namespace: %s, a: %s}}"
                            .formatted(namespace, value);
            case 2 -> "{matchLabels: {'k8s:io.cilium.k8s.namespace.labels.a': " + value + "}}";
            case 3 ->
                    "{matchExpressions: [{key: 'reserved:%s', operator: Exists}]}"
                            .formatted(dice.oneOf("world", "remote-node", "world-ipv4", "host"));
            case 4 -> "{matchLabels: {'%s:b': %s}}".formatted(dice.oneOf("k8s", "any"), value);
            default -> RandomPolicies.selector(dice);
        };
    }

    private String entity() {
        return dice.oneOf(
                "all",
                "world",
                "world",
                "cluster",
                "cluster",
                "host",
                "remote-node",
                "kube-apiserver",
                "none");
    }

    private String cidrGroup() {
        return dice.percent(50)
                ? "{cidrGroupRef: group-%d}".formatted(dice.below(3))
                : "{cidrGroupSelector: %s%s}"
                        .formatted(
                                RandomPolicies.selector(dice),
                                dice.oneOf("", ", except: ['192.0.2.128/25']"));
    }

    private String service() {
        return dice.oneOf(
                "{k8sService: {serviceName: pods, namespace: n0}}",
                "{k8sService: {serviceName: outside, namespace: n1}}",
                "{k8sService: {serviceName: outside}}",
                "{k8sServiceSelector: {selector: " + RandomPolicies.selector(dice) + "}}");
    }

    private String port() {
        return dice.oneOf(
                "{port: '80'}",
                "{port: '80', protocol: TCP}",
                "{port: '0', protocol: UDP}",
                "{port: '79', endPort: 81, protocol: TCP}",
                "{port: web, protocol: TCP}",
                "{port: dns}",
                "{protocol: ANY}");
    }

    private String icmp() {
        return dice.oneOf("{type: 8}", "{family: IPv6, type: EchoRequest}", "{type: 3}");
    }
}
