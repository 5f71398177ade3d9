package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;

/**
 * Random clusters as manifests, small enough that every rule has a fair chance to matter: three
 * namespaces, three label keys of two values, two ports, addresses out of two prefixes of each
 * family. {@link RandomPolicies} writes the policies.
 */
final class RandomWorld {
    static final List<String> OUTSIDE =
            List.of(
                    "192.0.2.1",
                    "192.0.2.130",
                    "198.51.100.7",
                    "10.1.0.77",
                    "2001:db8::5",
                    "2001:db8:1::6");
    static final List<String> NODES =
            List.of("10.1.0.254", "10.1.1.254", "fd00::254", "fd00:1::254");

    /** Addresses that no Node object lists, but a host endpoint may expect. */
    static final List<String> SECOND_INTERFACES =
            List.of("10.1.0.253", "10.1.1.253", "192.0.2.253");

    private static final int POD_COUNT = 6;
    private static final int POLICY_COUNT_MAX = 8;

    private final Dice dice;
    private final StringBuilder text = new StringBuilder();

    private RandomWorld(final Dice dice) {
        this.dice = dice;
    }

    /** The manifests of one world, as one text of many documents. */
    static String manifests(final long seed) {
        final Dice dice = new Dice(seed);
        final RandomWorld world = new RandomWorld(dice);
        world.addNamespaces();
        world.addNodes();
        world.addPods();
        world.addServices();
        world.addAddressSets();
        world.addTiers();
        final RandomPolicies policies = new RandomPolicies(dice);
        if (dice.percent(policies.hostsPercent())) {
            world.addHostEndpoints(policies);
        }
        final int count = 1 + dice.below(POLICY_COUNT_MAX);
        for (int i = 0; i < count; i++) {
            world.add(policies.next());
        }
        return world.text.toString();
    }

    private void add(final String document) {
        text.append("---\n").append(document).append('\n');
    }

    private void addNamespaces() {
        for (final String namespace : List.of("n0", "n1")) {
            add(
                    "{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s}%s}}"
                            .formatted(
                                    namespace,
                                    labels(),
                                    audited("projectcalico.org/policy-audit-mode: Enabled")));
        }
        // n2 has pods and policies, but no Namespace object.
        for (final String namespace : List.of("n0", "n1", "n2")) {
            for (final String account : List.of("s0", "s1")) {
                if (dice.percent(70)) {
                    add(
                            """
                            {apiVersion: v1, kind: ServiceAccount,
                             metadata: {name: %s, namespace: %s, labels: {%s}}}"""
                                    .formatted(account, namespace, labels()));
                }
            }
        }
    }

    /** Now and then all policies of an endpoint are only audited. */
    private String audited(final String annotation) {
        return dice.percent(4) ? ", annotations: {" + annotation + "}" : "";
    }

    private String labels() {
        final List<String> labels = new ArrayList<>();
        for (final String key : List.of("a", "b", "c")) {
            if (dice.percent(65)) {
                labels.add(key + ": v" + dice.below(2));
            }
        }
        return String.join(", ", labels);
    }

    private void addNodes() {
        for (int i = 0; i < 2; i++) {
            add(
                    """
                    {apiVersion: v1, kind: Node, metadata: {name: node-%d, labels: {%s}%s},
                     status: {addresses: [{type: InternalIP, address: %s},
                      {type: InternalIP, address: '%s'}]}}"""
                            .formatted(
                                    i,
                                    labels(),
                                    audited("sluice.io/audit: 'true'"),
                                    NODES.get(i),
                                    NODES.get(i + 2)));
        }
    }

    private void addPods() {
        for (int i = 0; i < POD_COUNT; i++) {
            final int network = dice.below(2);
            final String ipv4 = "{ip: 10.1.%d.%d}".formatted(network, i + 1);
            final String ipv6 =
                    "{ip: 'fd00:%s:%d'}".formatted(network == 0 ? "" : network + ":", i + 1);
            final String addresses = dice.percent(75) ? ipv4 + ", " + ipv6 : ipv4;
            add(
                    """
                    {apiVersion: v1, kind: Pod,
                     metadata: {name: p%d, namespace: n%d, labels: {%s}%s},
                     spec: {%s%scontainers: [{name: c, ports: [%s]}]},
                     status: {podIPs: [%s]}}"""
                            .formatted(
                                    i,
                                    dice.below(3),
                                    labels(),
                                    audited("sluice.io/audit: 'true'"),
                                    dice.oneOf(
                                            "nodeName: node-0, ",
                                            "nodeName: node-0, ",
                                            "nodeName: node-1, ",
                                            "nodeName: node-1, ",
                                            "nodeName: node-9, ",
                                            ""),
                                    dice.oneOf(
                                            "",
                                            "serviceAccountName: s0, ",
                                            "serviceAccountName: s1, "),
                                    ports(),
                                    addresses));
        }
        if (dice.percent(10)) {
            add(
                    """
                    {apiVersion: v1, kind: Pod, metadata: {name: on-host, namespace: n0},
                     spec: {nodeName: node-0, hostNetwork: true,
                      containers: [{name: c, ports: [%s]}]}, status: {podIPs: [{ip: %s}]}}"""
                            .formatted(ports(), NODES.get(0)));
        }
        if (dice.percent(10)) {
            add(
                    """
                    {apiVersion: v1, kind: Pod, metadata: {name: ended, namespace: n0},
                     status: {phase: Succeeded, podIPs: [{ip: %s}]}}"""
                            .formatted(dice.oneOf("10.1.0.1", "10.1.1.2", "10.1.0.77")));
        }
    }

    private String ports() {
        final List<String> ports = new ArrayList<>();
        if (dice.percent(80)) {
            ports.add("{name: web, protocol: TCP, containerPort: 8" + dice.below(2) + "}");
        }
        if (dice.percent(40)) {
            ports.add("{name: dns, protocol: UDP, containerPort: 8" + dice.below(2) + "}");
        }
        if (dice.percent(20)) {
            ports.add("{name: web, protocol: UDP, containerPort: 80}");
        }
        return String.join(", ", ports);
    }

    /** One service of pods, one of addresses outside, and often the API server's. */
    private void addServices() {
        add(
                """
                {apiVersion: v1, kind: Service, metadata: {name: pods, namespace: n0,
                 labels: {%s}}, spec: {selector: {%s: v%d}, ports: [%s]}}"""
                        .formatted(
                                labels(),
                                dice.oneOf("a", "b"),
                                dice.below(2),
                                dice.several(2, this::servicePort)));
        if (dice.percent(60)) {
            addSlice("n0", "pods", dice.several(3, () -> "10.1." + dice.below(2) + "." + pod()));
        }
        add(
                """
                {apiVersion: v1, kind: Service, metadata: {name: outside, namespace: n1,
                 labels: {%s}}}"""
                        .formatted(labels()));
        addSlice(
                "n1",
                "outside",
                dice.several(2, () -> dice.oneOf("192.0.2.1", "198.51.100.7", "10.1.0.1")));
        if (dice.percent(50)) {
            addSlice("default", "kubernetes", dice.oneOf("192.0.2.130", "10.1.1.254"));
        }
    }

    private String servicePort() {
        return dice.oneOf(
                "{name: a, port: 80}",
                "{name: b, port: 443, targetPort: 81}",
                "{name: c, port: 443, targetPort: web}",
                "{name: d, protocol: UDP, port: 53, targetPort: dns}",
                "{name: e, protocol: UDP, port: 81}");
    }

    private int pod() {
        return 1 + dice.below(POD_COUNT);
    }

    private void addSlice(final String namespace, final String service, final String addresses) {
        add(
                """
                {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
                 metadata: {name: %s-1, namespace: %s, labels: {kubernetes.io/service-name: %s}},
                 endpoints: [{addresses: [%s]}], ports: [%s]}"""
                        .formatted(
                                service,
                                namespace,
                                service,
                                addresses,
                                dice.several(
                                        2,
                                        () ->
                                                "{protocol: %s, port: 8%d}"
                                                        .formatted(
                                                                dice.oneOf("TCP", "TCP", "UDP"),
                                                                dice.below(2)))));
    }

    private void addAddressSets() {
        for (int i = 0; i < 2; i++) {
            add(
                    """
                    {apiVersion: cilium.io/v2, kind: CiliumCIDRGroup,
                     metadata: {name: group-%d, labels: {%s}}, spec: {externalCIDRs: [%s]}}"""
                            .formatted(i, labels(), dice.several(2, () -> quotedCidr(dice))));
        }
        for (int i = 0; i < 2; i++) {
            if (dice.percent(60)) {
                add(
                        """
                        {apiVersion: projectcalico.org/v3, kind: GlobalNetworkSet,
                         metadata: {name: everywhere-%d, labels: {%s}}, spec: {nets: [%s]}}"""
                                .formatted(i, labels(), dice.several(2, () -> quotedCidr(dice))));
            }
        }
        if (dice.percent(60)) {
            add(
                    """
                    {apiVersion: projectcalico.org/v3, kind: NetworkSet,
                     metadata: {name: ours, namespace: n%d, labels: {%s}}, spec: {nets: [%s]}}"""
                            .formatted(
                                    dice.below(3),
                                    labels(),
                                    dice.several(2, () -> quotedCidr(dice))));
        }
    }

    private static String quotedCidr(final Dice dice) {
        return "'" + dice.oneOf(RandomPolicies.CIDRS) + "'";
    }

    /** Profiles, and for most nodes one or two host endpoints; node-9 has no Node object. */
    private void addHostEndpoints(final RandomPolicies policies) {
        for (final String name : List.of("profile-0", "profile-1")) {
            if (dice.percent(85)) {
                add(policies.profile(name, labels()));
            }
        }
        for (final int node : List.of(0, 1, 9)) {
            final int count = dice.oneOf(List.of(0, 1, 1, 1, 2, 2, 3));
            for (int i = 0; i < count; i++) {
                addHostEndpoint(node, dice.oneOf("a", "h", "z") + node + i);
            }
        }
    }

    private void addHostEndpoint(final int node, final String name) {
        final String interfaceName = dice.oneOf("'*'", "'*'", "eth0", "eth1", "");
        final List<String> addresses = new ArrayList<>();
        if (node == 9) {
            addresses.add("'" + SECOND_INTERFACES.get(2) + "'");
        } else {
            addresses.add("'" + NODES.get(node) + "'");
            addresses.add("'" + NODES.get(node + 2) + "'");
            addresses.add("'" + SECOND_INTERFACES.get(node) + "'");
        }
        final boolean expects = interfaceName.isEmpty() || dice.percent(60);
        final String profile =
                dice.oneOf(
                        "",
                        "projectcalico-default-allow",
                        "projectcalico-default-allow",
                        "profile-0",
                        "profile-0, profile-1",
                        "profile-1, projectcalico-default-allow");
        add(
                """
                {apiVersion: projectcalico.org/v3, kind: HostEndpoint,
                 metadata: {name: %s, labels: {%s}},
                 spec: {node: node-%d, %s%s profiles: [%s], ports: [%s]}}"""
                        .formatted(
                                name,
                                labels(),
                                node,
                                interfaceName.isEmpty()
                                        ? ""
                                        : "interfaceName: " + interfaceName + ",",
                                expects
                                        ? "expectedIPs: ["
                                                + dice.several(2, () -> dice.oneOf(addresses))
                                                + "],"
                                        : "",
                                profile,
                                dice.percent(50)
                                        ? "{name: web, protocol: TCP, port: 8" + dice.below(2) + "}"
                                        : ""));
    }

    /** Names on both sides of the built-in ones: equal orders are decided by name. */
    private void addTiers() {
        for (final String name : List.of("alpha", "late", "zeta")) {
            // Policies name the tier all the same; one without an object comes last.
            if (dice.percent(70)) {
                final String order =
                        dice.oneOf(
                                "",
                                "",
                                "",
                                "order: -3.5, ",
                                "order: 5, ",
                                "order: 1000, ",
                                "order: 2000, ",
                                "order: 1000000, ",
                                "order: 10000000, ");
                add(
                        """
                        {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: %s},
                         spec: {%sdefaultAction: %s}}"""
                                .formatted(name, order, dice.oneOf("Deny", "Pass")));
            }
        }
    }
}
