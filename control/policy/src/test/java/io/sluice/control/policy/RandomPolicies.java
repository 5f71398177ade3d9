package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;

/** Random policies of all kinds, for the clusters of {@link RandomWorld}. */
final class RandomPolicies {
    static final List<String> CIDRS =
            List.of(
                    "0.0.0.0/0",
                    "10.0.0.0/8",
                    "10.1.0.0/16",
                    "10.1.0.0/24",
                    "10.1.0.0/30",
                    "10.1.0.2/32",
                    "10.1.0.254/32",
                    "192.0.2.0/24",
                    "192.0.2.128/25",
                    "::/0",
                    "2001:db8::/32",
                    "fd00::/16",
                    "fd00:1::/64");

    /**
     * What the policies of one world speak of more than others do. A service account, say, matters
     * only where several choices meet: were all worlds alike, hardly one would need it.
     */
    enum Theme {
        LABELS,
        ACCOUNTS,
        ADDRESS_SETS,
        SERVICES,
        HOSTS;

        /** The chance of something that is rare in worlds of other themes. */
        int percent(final Theme here) {
            return this == here ? 50 : 6;
        }
    }

    private final Dice dice;
    private final Theme theme;
    private final RandomNames names;
    private final RandomCalicoPolicies calico;
    private final RandomCiliumPolicies cilium;
    private boolean baselineWritten;

    RandomPolicies(final Dice dice) {
        this.dice = dice;
        this.theme = dice.oneOf(List.of(Theme.values()));
        this.names = new RandomNames(dice);
        this.calico = new RandomCalicoPolicies(dice, names, theme);
        this.cilium = new RandomCiliumPolicies(dice, names, theme);
    }

    /** The chance that the world has host endpoints. */
    int hostsPercent() {
        return theme == Theme.HOSTS ? 95 : 15;
    }

    /** The manifest of a profile. */
    String profile(final String name, final String labelsToApply) {
        return calico.profile(name, labelsToApply);
    }

    /** The manifest of one more policy. */
    String next() {
        if (theme != Theme.LABELS && dice.percent(40)) {
            return dice.percent(70) ? calico.next() : cilium.next();
        }
        return switch (dice.below(4)) {
            case 0 -> networkPolicy();
            case 1 -> cilium.next();
            case 2 -> calico.next();
            default -> adminPolicy();
        };
    }

    /** A label selector about the labels of {@link RandomWorld}. */
    static String selector(final Dice dice) {
        final String key = dice.oneOf("a", "b", "c");
        final String value = "v" + dice.below(2);
        return switch (dice.below(6)) {
            case 0, 1 -> "{}";
            case 2 -> "{matchLabels: {%s: %s}}".formatted(key, value);
            case 3 -> "{matchExpressions: [{key: %s, operator: Exists}]}".formatted(key);
            case 4 ->
                    "{matchExpressions: [{key: %s, operator: NotIn, values: [%s]}]}"
                            .formatted(key, value);
            default -> "{matchExpressions: [{key: %s, operator: DoesNotExist}]}".formatted(key);
        };
    }

    /** {@code 'cidr'}, or with {@code , except: [...]} behind it. */
    static String cidrWithExcept(final Dice dice) {
        final String cidr = dice.oneOf(CIDRS);
        final Cidr outer = Cidr.parse(cidr).orElseThrow();
        final List<String> inside =
                CIDRS.stream()
                        .filter(text -> !text.equals(cidr))
                        .filter(text -> outer.contains(Cidr.parse(text).orElseThrow()))
                        .toList();
        return inside.isEmpty() || dice.percent(50)
                ? "'" + cidr + "'"
                : "'%s', except: ['%s']".formatted(cidr, dice.oneOf(inside));
    }

    private String selector() {
        return selector(dice);
    }

    private String networkPolicy() {
        final String name = names.namespaced();
        return names.mayBeStaged(
                (kind, action) ->
                        switch (kind) {
                            case ENFORCED ->
                                    """
                                    {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy,
                                     metadata: {%s%s}, spec: {%s}}"""
                                            .formatted(name, names.annotations(), networkSpec());
                            case STAGED ->
                                    """
                                    {apiVersion: projectcalico.org/v3,
                                     kind: StagedKubernetesNetworkPolicy,
                                     metadata: {%s}, spec: {%s}}"""
                                            .formatted(name, staged(action, networkSpec()));
                        });
    }

    /** What a spec of some {@code stagedAction} holds: a deletion has no content of its own. */
    static String staged(final String action, final String spec) {
        return switch (action) {
            case "" -> spec;
            case "Delete" -> "stagedAction: Delete";
            default -> "stagedAction: " + action + ", " + spec;
        };
    }

    private String networkSpec() {
        final List<String> spec = new ArrayList<>();
        spec.add("podSelector: " + selector());
        spec.add(dice.oneOf("", "", "policyTypes: [Egress]", "policyTypes: [Ingress, Egress]"));
        spec.add(dice.oneOf("", "ingress: []", "ingress: [" + networkRules("from") + "]"));
        spec.add(dice.oneOf("", "", "egress: [" + networkRules("to") + "]"));
        spec.removeIf(String::isEmpty);
        return String.join(", ", spec);
    }

    private String networkRules(final String field) {
        return dice.several(2, () -> networkRule(field));
    }

    private String networkRule(final String field) {
        final List<String> parts = new ArrayList<>();
        if (dice.percent(80)) {
            parts.add(field + ": [" + dice.several(2, this::networkPeer) + "]");
        }
        if (dice.percent(60)) {
            parts.add("ports: [" + dice.several(2, this::networkPort) + "]");
        }
        return "{" + String.join(", ", parts) + "}";
    }

    private String networkPeer() {
        return switch (dice.below(4)) {
            case 0 -> "{podSelector: " + selector() + "}";
            case 1 -> "{namespaceSelector: " + selector() + "}";
            case 2 -> "{namespaceSelector: " + selector() + ", podSelector: " + selector() + "}";
            default -> "{ipBlock: {cidr: " + cidrWithExcept(dice) + "}}";
        };
    }

    private String networkPort() {
        return dice.oneOf(
                "{port: 80}",
                "{protocol: UDP}",
                "{port: 79, endPort: 81}",
                "{port: web}",
                "{protocol: UDP, port: dns}",
                "{protocol: SCTP}",
                "{protocol: UDP, port: 81}");
    }

    private String adminPolicy() {
        final String name = names.clusterwide();
        final int priority = dice.oneOf(List.of(0, 7, 7, 1000));
        final int kind = dice.below(4);
        if (kind == 0) {
            return """
            {apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy,
             metadata: {%s%s}, spec: {priority: %d, %s}}"""
                    .formatted(
                            name,
                            names.annotations(),
                            priority,
                            adminSpec("ports", true, "Allow", "Deny", "Pass"));
        }
        if (kind == 1 && !baselineWritten) {
            baselineWritten = true;
            return """
            {apiVersion: policy.networking.k8s.io/v1alpha1, kind: BaselineAdminNetworkPolicy,
             metadata: {name: default%s}, spec: {%s}}"""
                    .formatted(names.annotations(), adminSpec("ports", true, "Allow", "Deny"));
        }
        return """
        {apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy,
         metadata: {%s%s}, spec: {tier: %s, priority: %d, %s}}"""
                .formatted(
                        name,
                        names.annotations(),
                        kind == 3 ? "Admin" : "Baseline",
                        priority,
                        adminSpec("protocols", false, "Accept", "Deny", "Pass"));
    }

    private String adminSpec(final String ports, final boolean first, final String... actions) {
        final List<String> parts = new ArrayList<>();
        parts.add(
                "subject: "
                        + (dice.percent(50)
                                ? "{namespaces: " + selector() + "}"
                                : "{pods: " + podsOfNamespaces() + "}"));
        final int directions = dice.below(3);
        if (directions != 1) {
            parts.add(adminRules("ingress", "from", ports, first, actions));
        }
        if (directions != 0) {
            parts.add(adminRules("egress", "to", ports, first, actions));
        }
        return String.join(", ", parts);
    }

    private String podsOfNamespaces() {
        return "{namespaceSelector: " + selector() + ", podSelector: " + selector() + "}";
    }

    private String adminRules(
            final String list,
            final String field,
            final String ports,
            final boolean first,
            final String... actions) {
        return list + ": [" + dice.several(3, () -> adminRule(field, ports, first, actions)) + "]";
    }

    private String adminRule(
            final String field, final String ports, final boolean first, final String... actions) {
        // A port by name is on a pod; rules about addresses may not ask for one.
        final boolean addresses = field.equals("to") && dice.percent(40);
        final String peers = dice.several(2, () -> addresses ? addressPeer() : adminPeer());
        final String written =
                dice.percent(60)
                        ? ", "
                                + ports
                                + ": ["
                                + dice.several(
                                        2,
                                        () ->
                                                first
                                                        ? firstVersionPort(addresses)
                                                        : secondVersionPort(addresses))
                                + "]"
                        : "";
        return "{action: %s, %s: [%s]%s}".formatted(dice.oneOf(actions), field, peers, written);
    }

    private String adminPeer() {
        return dice.percent(50)
                ? "{namespaces: " + selector() + "}"
                : "{pods: " + podsOfNamespaces() + "}";
    }

    private String addressPeer() {
        return dice.percent(70)
                ? "{networks: [%s]}".formatted(dice.several(2, () -> "'" + dice.oneOf(CIDRS) + "'"))
                : "{nodes: " + selector() + "}";
    }

    private String firstVersionPort(final boolean addresses) {
        return dice.oneOf(
                "{portNumber: {protocol: TCP, port: 80}}",
                "{portNumber: {protocol: UDP, port: 81}}",
                "{portRange: {protocol: TCP, start: 79, end: 80}}",
                addresses ? "{portNumber: {protocol: SCTP, port: 80}}" : "{namedPort: web}");
    }

    private String secondVersionPort(final boolean addresses) {
        return dice.oneOf(
                "{tcp: {destinationPort: {number: 80}}}",
                "{udp: {destinationPort: {number: 81}}}",
                "{tcp: {destinationPort: {range: {start: 79, end: 80}}}}",
                addresses
                        ? "{sctp: {destinationPort: {number: 80}}}"
                        : "{destinationNamedPort: web}");
    }
}
