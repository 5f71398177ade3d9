package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Random clusters and policies as manifests, small enough that every rule has a fair chance to
 * matter: three namespaces, a handful of labels, addresses out of two /16.
 */
final class RandomWorld {
    static final List<String> OUTSIDE =
            List.of("192.0.2.1", "192.0.2.130", "198.51.100.7", "10.1.200.1", "2001:db8::5");
    static final String NODE_ADDRESS = "10.1.0.254";

    private static final List<String> CIDRS =
            List.of(
                    "0.0.0.0/0",
                    "::/0",
                    "10.0.0.0/8",
                    "10.1.0.0/16",
                    "10.1.0.0/24",
                    "10.1.0.2/32",
                    "192.0.2.0/24",
                    "192.0.2.128/25",
                    "2001:db8::/32",
                    "fd00::/16",
                    "10.1.0.254/32");

    private final Random random;
    private final StringBuilder text = new StringBuilder();

    private RandomWorld(final long seed) {
        this.random = new Random(seed);
    }

    static String manifests(final long seed) {
        final RandomWorld world = new RandomWorld(seed);
        world.addCluster();
        final int policies = 1 + world.random.nextInt(5);
        for (int i = 0; i < policies; i++) {
            if (world.random.nextBoolean()) {
                world.addNetworkPolicy(i);
            } else {
                world.addCiliumPolicy(i);
            }
        }
        return world.text.toString();
    }

    private void addCluster() {
        for (final String namespace : List.of("n0", "n1")) {
            text.append(
                    """
                    ---
                    {apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s}}}
                    """
                            .formatted(namespace, labels()));
        }
        text.append(
                """
                ---
                {apiVersion: v1, kind: Node, metadata: {name: node},
                 status: {addresses: [{type: InternalIP, address: %s}]}}
                """
                        .formatted(NODE_ADDRESS));
        for (int i = 0; i < 6; i++) {
            text.append(
                    """
                    ---
                    {apiVersion: v1, kind: Pod,
                     metadata: {name: p%d, namespace: n%d, labels: {%s}},
                     spec: {nodeName: %s, containers: [{name: c, ports: [
                       {name: web, containerPort: %d, protocol: TCP}]}]},
                     status: {podIPs: [{ip: 10.1.%d.%d}, {ip: 'fd00::%d'}]}}
                    """
                            .formatted(
                                    i,
                                    random.nextInt(3),
                                    labels(),
                                    random.nextBoolean() ? "node" : "elsewhere",
                                    80 + random.nextInt(2),
                                    random.nextInt(2),
                                    i + 1,
                                    i + 1));
        }
    }

    private String labels() {
        final List<String> labels = new ArrayList<>();
        for (final String key : List.of("a", "b", "c")) {
            if (random.nextInt(3) > 0) {
                labels.add(key + ": v" + random.nextInt(2));
            }
        }
        return String.join(", ", labels);
    }

    private String selector() {
        final int kind = random.nextInt(5);
        final String key = List.of("a", "b", "c").get(random.nextInt(3));
        final String value = "v" + random.nextInt(2);
        return switch (kind) {
            case 0 -> "{}";
            case 1 -> "{matchLabels: {" + key + ": " + value + "}}";
            case 2 -> "{matchExpressions: [{key: " + key + ", operator: Exists}]}";
            case 3 ->
                    "{matchExpressions: [{key: "
                            + key
                            + ", operator: NotIn, values: ["
                            + value
                            + "]}]}";
            default -> "{matchExpressions: [{key: " + key + ", operator: DoesNotExist}]}";
        };
    }

    private String cidr() {
        return CIDRS.get(random.nextInt(CIDRS.size()));
    }

    private String except(final String cidr) {
        final Cidr outer = Cidr.parse(cidr).orElseThrow();
        final List<String> inside =
                CIDRS.stream()
                        .filter(text -> !text.equals(cidr))
                        .filter(text -> outer.contains(Cidr.parse(text).orElseThrow()))
                        .toList();
        return inside.isEmpty() || random.nextBoolean()
                ? ""
                : ", except: ['" + inside.get(random.nextInt(inside.size())) + "']";
    }

    private void addNetworkPolicy(final int index) {
        final StringBuilder spec = new StringBuilder("podSelector: " + selector());
        final int types = random.nextInt(4);
        if (types == 1) {
            spec.append(", policyTypes: [Egress]");
        } else if (types == 2) {
            spec.append(", policyTypes: [Ingress, Egress]");
        }
        spec.append(", ingress: [").append(repeat(() -> networkRule("from"))).append("]");
        if (random.nextBoolean()) {
            spec.append(", egress: [").append(repeat(() -> networkRule("to"))).append("]");
        }
        text.append(
                """
                ---
                {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy,
                 metadata: {name: k%d, namespace: n%d}, spec: {%s}}
                """
                        .formatted(index, random.nextInt(3), spec));
    }

    private String networkRule(final String field) {
        final List<String> parts = new ArrayList<>();
        if (random.nextInt(4) > 0) {
            parts.add(field + ": [" + repeat(this::networkPeer) + "]");
        }
        if (random.nextInt(3) > 0) {
            parts.add("ports: [" + repeat(this::networkPort) + "]");
        }
        return "{" + String.join(", ", parts) + "}";
    }

    private String networkPeer() {
        return switch (random.nextInt(4)) {
            case 0 -> "{podSelector: " + selector() + "}";
            case 1 -> "{namespaceSelector: " + selector() + "}";
            case 2 -> "{namespaceSelector: " + selector() + ", podSelector: " + selector() + "}";
            default -> {
                final String cidr = cidr();
                yield "{ipBlock: {cidr: '" + cidr + "'" + except(cidr) + "}}";
            }
        };
    }

    private String networkPort() {
        return switch (random.nextInt(5)) {
            case 0 -> "{port: 80}";
            case 1 -> "{protocol: UDP}";
            case 2 -> "{port: 79, endPort: 81}";
            case 3 -> "{port: web}";
            default -> "{protocol: UDP, port: 81}";
        };
    }

    private void addCiliumPolicy(final int index) {
        final boolean clusterwide = random.nextInt(3) == 0;
        final List<String> parts = new ArrayList<>();
        for (final String list : List.of("ingress", "egress")) {
            final String prefix = list.equals("ingress") ? "from" : "to";
            if (random.nextBoolean()) {
                parts.add(list + ": [" + ciliumRule(prefix) + ", " + ciliumRule(prefix) + "]");
            }
            if (random.nextInt(3) == 0) {
                parts.add(list + "Deny: [" + ciliumRule(prefix) + "]");
            }
        }
        if (parts.isEmpty()) {
            parts.add("ingress: [{}]");
        }
        if (random.nextInt(3) == 0) {
            parts.add("enableDefaultDeny: {ingress: " + random.nextBoolean() + "}");
        }
        text.append(
                """
                ---
                {apiVersion: cilium.io/v2, kind: %s, metadata: {name: c%d%s},
                 spec: {endpointSelector: %s, %s}}
                """
                        .formatted(
                                clusterwide
                                        ? "CiliumClusterwideNetworkPolicy"
                                        : "CiliumNetworkPolicy",
                                index,
                                clusterwide ? "" : ", namespace: n" + random.nextInt(3),
                                selector(),
                                String.join(", ", parts)));
    }

    private String ciliumRule(final String prefix) {
        final List<String> parts = new ArrayList<>();
        final int peer = random.nextInt(7);
        switch (peer) {
            case 0 -> parts.add(prefix + "Endpoints: []");
            case 1, 2 -> parts.add(prefix + "Endpoints: [" + repeat(this::selector) + "]");
            case 3 ->
                    parts.add(
                            prefix
                                    + "Entities: ["
                                    + List.of(
                                                    "all",
                                                    "world",
                                                    "cluster",
                                                    "host",
                                                    "remote-node",
                                                    "world-ipv6",
                                                    "none")
                                            .get(random.nextInt(7))
                                    + "]");
            case 4 -> {
                final String cidr = cidr();
                parts.add(prefix + "CIDRSet: [{cidr: '" + cidr + "'" + except(cidr) + "}]");
            }
            case 5 -> parts.add(prefix + "CIDR: ['" + cidr() + "']");
            default -> {}
        }
        switch (random.nextInt(4)) {
            case 0 -> parts.add("toPorts: [{ports: [" + repeat(this::ciliumPort) + "]}]");
            case 1 ->
                    parts.add("icmps: [{fields: [{type: 8}, {family: IPv6, type: EchoRequest}]}]");
            default -> {}
        }
        return "{" + String.join(", ", parts) + "}";
    }

    private String ciliumPort() {
        return switch (random.nextInt(5)) {
            case 0 -> "{port: '80'}";
            case 1 -> "{port: '0', protocol: UDP}";
            case 2 -> "{port: '79', endPort: 81, protocol: TCP}";
            case 3 -> "{port: web, protocol: TCP}";
            default -> "{protocol: ANY}";
        };
    }

    private interface Part {
        String make();
    }

    private String repeat(final Part part) {
        return random.nextBoolean() ? part.make() : part.make() + ", " + part.make();
    }
}
