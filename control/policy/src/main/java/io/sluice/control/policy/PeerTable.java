package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The peers of a world: which prefixes there are, what policy can see of the addresses in each, and
 * the identity that stands for it.
 *
 * <p>Prefixes are: every address of a pod or node, every prefix that a policy names (excepts
 * included), every address of the API server, and the two of length 0. An address belongs to its
 * longest prefix, and so the policy prefixes around the address are exactly those around that
 * prefix: they become part of the facts, and a rule about a prefix is a set lookup.
 *
 * <p>Two addresses of one pod can differ in the policy prefixes around them; then the pod has two
 * identities.
 */
final class PeerTable {
    private static final String RESERVED_WORLD = LabelMatch.SOURCE_RESERVED + "world";

    private final World world;
    private final PolicyOptions options;
    private final IdentityAllocator allocator;
    private final Map<PeerFacts.Kind, PrefixSet> prefixesByKind = new HashMap<>();
    private final Map<Cidr, PeerFacts> factsByPrefix = new LinkedHashMap<>();
    private final Map<ObjectRef, PeerFacts> factsByPod = new LinkedHashMap<>();
    private final Map<PeerFacts, Integer> numbers = new LinkedHashMap<>();
    private final Map<String, Map<String, String>> namespaceLabels = new HashMap<>();
    private final Set<IpAddress> apiServers = new HashSet<>();

    PeerTable(
            final World world,
            final PolicyOptions options,
            final IdentityAllocator allocator,
            final Map<PeerFacts.Kind, Set<Cidr>> policyPrefixes) {
        this.world = world;
        this.options = options;
        this.allocator = allocator;
        for (final PeerFacts.Kind kind : PeerFacts.Kind.values()) {
            prefixesByKind.put(kind, new PrefixSet(policyPrefixes.getOrDefault(kind, Set.of())));
        }
        for (final KubeObject.EndpointSlice slice : world.all(KubeObject.EndpointSlice.class)) {
            if (slice.service().equals("kubernetes")
                    && slice.meta().namespace().equals("default")) {
                apiServers.addAll(slice.addresses());
            }
        }
        allocator.beginCompile();
        addPods();
        addNodes();
        addWorld(policyPrefixes);
    }

    private void addPods() {
        for (final Pod pod : world.pods()) {
            if (!pod.isEndpoint()) {
                continue;
            }
            final Map<String, String> labels = podLabels(pod);
            final Set<Pod.NamedPort> ports = Set.copyOf(pod.ports());
            for (final IpAddress address : pod.addresses()) {
                final Cidr host = Cidr.host(address);
                final PeerFacts facts =
                        intern(
                                new PeerFacts(
                                        PeerFacts.Kind.POD,
                                        labels,
                                        "",
                                        ports,
                                        around(PeerFacts.Kind.POD, host)));
                factsByPod.putIfAbsent(pod.ref(), facts);
                factsByPrefix.putIfAbsent(host, facts);
            }
            factsByPod.computeIfAbsent(
                    pod.ref(),
                    _ -> intern(new PeerFacts(PeerFacts.Kind.POD, labels, "", ports, Set.of())));
        }
    }

    private PeerFacts intern(final PeerFacts facts) {
        numbers.computeIfAbsent(facts, f -> allocator.number(IdentityAllocator.Range.CLUSTER, f));
        return facts;
    }

    private Map<String, String> podLabels(final Pod pod) {
        final String namespace = pod.meta().namespace();
        final Map<String, String> labels = new TreeMap<>();
        pod.meta()
                .labels()
                .forEach(
                        (key, value) -> {
                            if (!PeerFacts.isDerivedKey(key)) {
                                labels.put(LabelMatch.SOURCE_K8S + key, value);
                            }
                        });
        namespaceLabels
                .computeIfAbsent(namespace, world::namespaceLabels)
                .forEach(
                        (key, value) ->
                                labels.put(
                                        LabelMatch.SOURCE_K8S
                                                + PeerFacts.NAMESPACE_LABEL_PREFIX
                                                + key,
                                        value));
        labels.put(LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_KEY, namespace);
        labels.put(LabelMatch.SOURCE_K8S + PeerFacts.CLUSTER_KEY, options.clusterName());
        labels.put(LabelMatch.SOURCE_K8S + PeerFacts.SERVICE_ACCOUNT_KEY, pod.serviceAccountName());
        return labels;
    }

    private void addNodes() {
        final Set<IpAddress> hostAddresses = new LinkedHashSet<>(options.hostAddresses());
        Map<String, String> hostLabels = Map.of();
        for (final KubeObject.Node node : world.all(KubeObject.Node.class)) {
            if (isThisNode(node)) {
                hostAddresses.addAll(node.addresses());
                hostLabels = node.meta().labels();
            }
        }
        final List<PeerFacts> hosts = new ArrayList<>();
        for (final IpAddress address : hostAddresses) {
            hosts.add(addNode(address, options.nodeName(), "host", hostLabels));
        }
        if (hosts.isEmpty()) {
            // The node exists even where nothing says at what address.
            hosts.add(nodeFacts(options.nodeName(), "host", hostLabels, Set.of(), ApiServer.NO));
        }
        for (final PeerFacts host : hosts) {
            numbers.computeIfAbsent(
                    host,
                    facts ->
                            numbers.containsValue(Identity.HOST)
                                    ? allocator.number(IdentityAllocator.Range.NODE, facts)
                                    : Identity.HOST);
        }
        for (final KubeObject.Node node : world.all(KubeObject.Node.class)) {
            if (!isThisNode(node)) {
                for (final IpAddress address : node.addresses()) {
                    final PeerFacts facts =
                            addNode(
                                    address,
                                    node.meta().name(),
                                    "remote-node",
                                    node.meta().labels());
                    numbers.computeIfAbsent(
                            facts, f -> allocator.number(IdentityAllocator.Range.NODE, f));
                }
            }
        }
    }

    private boolean isThisNode(final KubeObject.Node node) {
        return node.meta().name().equals(options.nodeName());
    }

    private enum ApiServer {
        YES,
        NO
    }

    private PeerFacts addNode(
            final IpAddress address,
            final String name,
            final String reserved,
            final Map<String, String> nodeLabels) {
        final Cidr host = Cidr.host(address);
        final PeerFacts facts =
                nodeFacts(
                        name,
                        reserved,
                        nodeLabels,
                        around(PeerFacts.Kind.NODE, host),
                        apiServers.contains(address) ? ApiServer.YES : ApiServer.NO);
        factsByPrefix.putIfAbsent(host, facts);
        return facts;
    }

    private static PeerFacts nodeFacts(
            final String name,
            final String reserved,
            final Map<String, String> nodeLabels,
            final Set<Cidr> prefixes,
            final ApiServer apiServer) {
        final Map<String, String> labels = new TreeMap<>();
        nodeLabels.forEach((key, value) -> labels.put(LabelMatch.SOURCE_NODE + key, value));
        labels.put(LabelMatch.SOURCE_RESERVED + reserved, "");
        if (apiServer == ApiServer.YES) {
            labels.put(LabelMatch.SOURCE_RESERVED + "kube-apiserver", "");
        }
        return new PeerFacts(PeerFacts.Kind.NODE, labels, name, Set.of(), prefixes);
    }

    private void addWorld(final Map<PeerFacts.Kind, Set<Cidr>> policyPrefixes) {
        final Set<Cidr> prefixes = new TreeSet<>();
        policyPrefixes.values().forEach(prefixes::addAll);
        prefixes.add(Cidr.ALL_IPV4);
        prefixes.add(Cidr.ALL_IPV6);
        apiServers.forEach(address -> prefixes.add(Cidr.host(address)));
        for (final Cidr prefix : prefixes) {
            if (factsByPrefix.containsKey(prefix)) {
                continue;
            }
            final PeerFacts facts = worldFacts(prefix);
            factsByPrefix.put(prefix, facts);
            numbers.computeIfAbsent(facts, _ -> worldNumber(prefix));
        }
    }

    private PeerFacts worldFacts(final Cidr prefix) {
        final Map<String, String> labels = new TreeMap<>();
        labels.put(RESERVED_WORLD, "");
        labels.put(RESERVED_WORLD + (prefix.isIpv4() ? "-ipv4" : "-ipv6"), "");
        if (prefix.lengthBits() > 0) {
            labels.put("cidr:" + prefix, "");
        }
        final boolean isHost = prefix.lengthBits() == prefix.network().familyBits();
        if (isHost && apiServers.contains(prefix.network())) {
            labels.put(LabelMatch.SOURCE_RESERVED + "kube-apiserver", "");
        }
        return new PeerFacts(
                PeerFacts.Kind.WORLD, labels, "", Set.of(), around(PeerFacts.Kind.WORLD, prefix));
    }

    private int worldNumber(final Cidr prefix) {
        if (prefix.lengthBits() > 0) {
            return allocator.number(IdentityAllocator.Range.CIDR, prefix);
        }
        return prefix.isIpv4() ? Identity.WORLD_IPV4 : Identity.WORLD_IPV6;
    }

    private Set<Cidr> around(final PeerFacts.Kind kind, final Cidr prefix) {
        final PrefixSet prefixes = prefixesByKind.get(kind);
        return prefixes == null ? Set.of() : Set.copyOf(prefixes.containing(prefix));
    }

    /** Facts of the endpoints at their primary address. */
    Map<ObjectRef, PeerFacts> pods() {
        return factsByPod;
    }

    Map<Cidr, PeerFacts> prefixes() {
        return factsByPrefix;
    }

    /** Identity numbers of all facts. */
    Map<PeerFacts, Integer> numbers() {
        return numbers;
    }
}
