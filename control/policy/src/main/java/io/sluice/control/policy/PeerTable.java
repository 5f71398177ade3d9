package io.sluice.control.policy;

import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * The peers of a world: which prefixes there are, what policy can see of the addresses in each, and
 * the identity that stands for it.
 *
 * <p>Prefixes are: every address of a pod or node, every prefix that a policy names (excepts
 * included), every address of the API server, every address that was learned from a name which some
 * policy asks for, and the two of length 0. An address belongs to its longest prefix, and so the
 * policy prefixes around the address are exactly those around that prefix: they become part of the
 * facts, and a rule about a prefix is a set lookup.
 *
 * <p>Two addresses of one pod can differ in the policy prefixes around them; then the pod has two
 * identities.
 *
 * <p>{@link #rebuild} starts anew, which nodes and new policy prefixes need; {@link #update} does
 * what pods need that came, went or changed, and learned names. Either way {@link #takeChanges}
 * says which facts appeared and vanished.
 *
 * <p>Thread: that of the compiler.
 */
final class PeerTable {
    private static final String RESERVED_WORLD = LabelMatch.SOURCE_RESERVED + "world";

    /**
     * What policy can see of a pod.
     *
     * @param primary at its primary address
     * @param ipv4 at its IPv4 address, if it has one
     * @param ipv6 at its IPv6 address, if it has one
     */
    record PodFacts(PeerFacts primary, Optional<PeerFacts> ipv4, Optional<PeerFacts> ipv6) {}

    /** Facts that no address had before, and facts that none has any more. */
    record Changes(List<PeerFacts> added, List<PeerFacts> removed) {}

    private static final PodFacts NO_POD =
            new PodFacts(
                    new PeerFacts(PeerFacts.Kind.POD, Map.of(), "", Set.of(), Set.of(), Set.of()),
                    Optional.empty(),
                    Optional.empty());

    private final PolicyOptions options;
    private final IdentityAllocator allocator;
    private World world = World.EMPTY;
    private Universe universe = Universe.EMPTY;
    private final Map<PeerFacts.Kind, PrefixSet> prefixesByKind =
            new EnumMap<>(PeerFacts.Kind.class);
    private final Set<IpAddress> apiServers = new HashSet<>();
    private final Map<IpAddress, Set<Pod.NamedPort>> hostPorts = new HashMap<>();
    private final Map<IpAddress, PeerFacts> factsByNodeAddress = new LinkedHashMap<>();
    private final TreeMap<Cidr, PeerFacts> factsByPrefix = new TreeMap<>();
    private final Map<ObjectRef, PodFacts> factsByPod = new HashMap<>();

    /** The same with numbers, for the snapshots; and how many prefixes of each length there are. */
    private PersistentMap<Cidr, Integer> numberByPrefix = PersistentMap.empty();

    private final int[] ipv4PrefixesByLength = new int[33];
    private final int[] ipv6PrefixesByLength = new int[129];

    private final Map<PeerFacts, Integer> numbers = new HashMap<>();
    private PersistentMap<Integer, PeerFacts> factsByNumber = PersistentMap.empty();
    private final Map<PeerFacts, Integer> uses = new HashMap<>();
    private final LinkedHashSet<PeerFacts> added = new LinkedHashSet<>();
    private final LinkedHashSet<PeerFacts> removed = new LinkedHashSet<>();
    private final Map<String, Map<String, String>> namespaceLabels = new HashMap<>();

    /** Addresses under which a pod was last seen: they have to be looked at when it moves. */
    private final Map<ObjectRef, List<IpAddress>> addressesByPod = new HashMap<>();

    /** What has the number of the host. */
    private Optional<PeerFacts> host = Optional.empty();

    /**
     * What the rules of all policies ask about addresses.
     *
     * @param prefixes prefixes by the kinds of peers that rules match them against
     * @param patterns names and patterns of names
     * @param names the same, to be asked at once
     */
    record Universe(
            Map<PeerFacts.Kind, Set<Cidr>> prefixes,
            Set<NamePattern> patterns,
            NamePatternIndex names)
            implements PolicySet.NameUniverse {
        static final Universe EMPTY = new Universe(Map.of(), Set.of(), NamePatternIndex.NONE);

        @Override
        public Set<NamePattern> patternsOf(final List<String> learned) {
            return matching(names, learned);
        }
    }

    PeerTable(final PolicyOptions options, final IdentityAllocator allocator) {
        this.options = options;
        this.allocator = allocator;
    }

    /** What became of the numbers of peers that stayed. */
    enum Numbers {
        KEPT,
        /** Another peer is the host now. */
        MOVED
    }

    /** Everything anew. */
    Numbers rebuild(final World next, final Universe asked) {
        world = next;
        universe = asked;
        namespaceLabels.clear();
        for (final PeerFacts.Kind kind : PeerFacts.Kind.values()) {
            prefixesByKind.put(kind, new PrefixSet(asked.prefixes().getOrDefault(kind, Set.of())));
        }
        apiServers.clear();
        for (final KubeObject.EndpointSlice slice : world.all(KubeObject.EndpointSlice.class)) {
            if (slice.service().equals("kubernetes")
                    && slice.meta().namespace().equals("default")) {
                apiServers.addAll(slice.addresses());
            }
        }
        hostPorts.clear();
        for (final CalicoPolicy.HostEndpoint endpoint :
                world.all(CalicoPolicy.HostEndpoint.class)) {
            for (final IpAddress address : endpoint.expectedIps()) {
                if (!endpoint.ports().isEmpty()) {
                    hostPorts
                            .computeIfAbsent(address, _ -> new HashSet<>())
                            .addAll(endpoint.ports());
                }
            }
        }
        allocator.beginCompile();
        final Numbers kept = rebuildNodes();
        final Set<ObjectRef> pods = new LinkedHashSet<>(factsByPod.keySet());
        world.pods().forEach(pod -> pods.add(pod.ref()));
        final Set<Cidr> prefixes = new LinkedHashSet<>();
        for (final ObjectRef pod : pods) {
            updatePod(pod, prefixes);
        }
        prefixes.addAll(factsByPrefix.keySet());
        factsByNodeAddress.keySet().forEach(address -> prefixes.add(Cidr.host(address)));
        final Set<Cidr> worldPrefixes = new TreeSet<>();
        asked.prefixes().values().forEach(worldPrefixes::addAll);
        worldPrefixes.add(Cidr.ALL_IPV4);
        worldPrefixes.add(Cidr.ALL_IPV6);
        apiServers.forEach(address -> worldPrefixes.add(Cidr.host(address)));
        hostPorts.keySet().forEach(address -> worldPrefixes.add(Cidr.host(address)));
        world.names().keySet().forEach(address -> worldPrefixes.add(Cidr.host(address)));
        prefixes.addAll(worldPrefixes);
        prefixes.forEach(this::refresh);
        // Numbers that are in use must not be forgotten by the allocator.
        numbers.forEach((facts, _) -> number(facts));
        return kept;
    }

    /**
     * Pods and addresses of which something has changed.
     *
     * @param changed pods that came, went, or changed, or whose namespace or service account did
     * @param renamed addresses that were learned from other names; their pods are among the changed
     */
    void update(
            final World next,
            final Collection<ObjectRef> changed,
            final Collection<IpAddress> renamed) {
        world = next;
        namespaceLabels.clear();
        final Set<Cidr> prefixes = new LinkedHashSet<>();
        changed.forEach(pod -> updatePod(pod, prefixes));
        renamed.forEach(address -> prefixes.add(Cidr.host(address)));
        prefixes.forEach(this::refresh);
    }

    /** Whether a node has this address: what it is then needs {@link #rebuild}. */
    boolean isNode(final IpAddress address) {
        return factsByNodeAddress.containsKey(address);
    }

    /** What has appeared and vanished since this was last asked. */
    Changes takeChanges() {
        final Changes changes = new Changes(List.copyOf(added), List.copyOf(removed));
        added.clear();
        removed.clear();
        return changes;
    }

    private void updatePod(final ObjectRef ref, final Set<Cidr> prefixes) {
        final Optional<PodFacts> before = Optional.ofNullable(factsByPod.remove(ref));
        final Optional<Pod> pod = world.lookup(ref).map(Pod.class::cast).filter(Pod::isEndpoint);
        final Optional<PodFacts> after = pod.map(this::podFacts);
        after.ifPresent(facts -> factsByPod.put(ref, facts));
        after.ifPresent(facts -> use(facts.primary()));
        before.ifPresent(facts -> release(facts.primary()));
        for (final IpAddress address : addressesByPod.getOrDefault(ref, List.of())) {
            prefixes.add(Cidr.host(address));
        }
        if (pod.isPresent()) {
            addressesByPod.put(ref, pod.get().addresses());
            pod.get().addresses().forEach(address -> prefixes.add(Cidr.host(address)));
        } else {
            addressesByPod.remove(ref);
        }
    }

    private PodFacts podFacts(final Pod pod) {
        final Map<String, String> labels = podLabels(pod);
        Optional<PeerFacts> ipv4 = Optional.empty();
        Optional<PeerFacts> ipv6 = Optional.empty();
        Optional<PeerFacts> primary = Optional.empty();
        for (final IpAddress address : pod.addresses()) {
            final PeerFacts facts = podFacts(pod, labels, address);
            if (address.isIpv4() && ipv4.isEmpty()) {
                ipv4 = Optional.of(facts);
            } else if (!address.isIpv4() && ipv6.isEmpty()) {
                ipv6 = Optional.of(facts);
            }
            if (primary.isEmpty()) {
                primary = Optional.of(facts);
            }
        }
        return new PodFacts(
                primary.orElseGet(
                        () ->
                                new PeerFacts(
                                        PeerFacts.Kind.POD,
                                        labels,
                                        "",
                                        Set.copyOf(pod.ports()),
                                        Set.of(),
                                        Set.of())),
                ipv4,
                ipv6);
    }

    private PeerFacts podFacts(
            final Pod pod, final Map<String, String> labels, final IpAddress address) {
        return new PeerFacts(
                PeerFacts.Kind.POD,
                labels,
                "",
                Set.copyOf(pod.ports()),
                around(PeerFacts.Kind.POD, Cidr.host(address)),
                names(address));
    }

    private Map<String, String> podLabels(final Pod pod) {
        final String namespace = pod.meta().namespace();
        final Map<String, String> labels = new HashMap<>();
        pod.meta()
                .labels()
                .forEach(
                        (key, value) -> {
                            if (!PeerFacts.isDerivedKey(key)) {
                                labels.put(LabelMatch.SOURCE_K8S + key, value);
                            }
                        });
        labels.putAll(namespaceLabels.computeIfAbsent(namespace, this::namespaceLabels));
        labels.put(LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_KEY, namespace);
        labels.put(LabelMatch.SOURCE_K8S + PeerFacts.CLUSTER_KEY, options.clusterName());
        labels.put(LabelMatch.SOURCE_K8S + PeerFacts.SERVICE_ACCOUNT_KEY, pod.serviceAccountName());
        world.lookup(new ObjectRef("ServiceAccount", namespace, pod.serviceAccountName()))
                .ifPresent(
                        account ->
                                account.meta()
                                        .labels()
                                        .forEach(
                                                (key, value) ->
                                                        labels.put(
                                                                LabelMatch.SOURCE_ACCOUNT + key,
                                                                value)));
        return labels;
    }

    private Map<String, String> namespaceLabels(final String namespace) {
        final Map<String, String> labels = new HashMap<>();
        world.namespaceLabels(namespace)
                .forEach(
                        (key, value) ->
                                labels.put(
                                        LabelMatch.SOURCE_K8S
                                                + PeerFacts.NAMESPACE_LABEL_PREFIX
                                                + key,
                                        value));
        return labels;
    }

    private Numbers rebuildNodes() {
        factsByNodeAddress.clear();
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
            hosts.add(
                    nodeFacts(
                            options.nodeName(),
                            "host",
                            hostLabels,
                            Set.of(),
                            Set.of(),
                            ApiServer.NO,
                            Set.of()));
        }
        final Optional<PeerFacts> before = host;
        final PeerFacts now = before.filter(hosts::contains).orElse(hosts.getFirst());
        final Numbers kept =
                before.isPresent() && !before.get().equals(now) ? Numbers.MOVED : Numbers.KEPT;
        host = Optional.of(now);
        setNumber(now, Identity.HOST);
        use(now);
        before.ifPresent(this::release);
        for (final KubeObject.Node node : world.all(KubeObject.Node.class)) {
            if (!isThisNode(node)) {
                for (final IpAddress address : node.addresses()) {
                    addNode(address, node.meta().name(), "remote-node", node.meta().labels());
                }
            }
        }
        return kept;
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
        final PeerFacts facts =
                nodeFacts(
                        name,
                        reserved,
                        nodeLabels,
                        hostPorts.getOrDefault(address, Set.of()),
                        around(PeerFacts.Kind.NODE, Cidr.host(address)),
                        apiServers.contains(address) ? ApiServer.YES : ApiServer.NO,
                        names(address));
        factsByNodeAddress.putIfAbsent(address, facts);
        return facts;
    }

    private static PeerFacts nodeFacts(
            final String name,
            final String reserved,
            final Map<String, String> nodeLabels,
            final Set<Pod.NamedPort> ports,
            final Set<Cidr> prefixes,
            final ApiServer apiServer,
            final Set<NamePattern> names) {
        final Map<String, String> labels = new HashMap<>();
        nodeLabels.forEach((key, value) -> labels.put(LabelMatch.SOURCE_NODE + key, value));
        labels.put(LabelMatch.SOURCE_RESERVED + reserved, "");
        if (apiServer == ApiServer.YES) {
            labels.put(LabelMatch.SOURCE_RESERVED + "kube-apiserver", "");
        }
        return new PeerFacts(PeerFacts.Kind.NODE, labels, name, ports, prefixes, names);
    }

    /** Looks again what a prefix is, after something about it has changed. */
    private void refresh(final Cidr prefix) {
        final Optional<PeerFacts> after = factsAt(prefix);
        after.ifPresent(this::use);
        final Optional<PeerFacts> before = Optional.ofNullable(factsByPrefix.remove(prefix));
        after.ifPresent(facts -> factsByPrefix.put(prefix, facts));
        numberByPrefix =
                after.isPresent()
                        ? numberByPrefix.with(prefix, numberOf(after.get()))
                        : numberByPrefix.without(prefix);
        final int[] byLength = prefix.isIpv4() ? ipv4PrefixesByLength : ipv6PrefixesByLength;
        byLength[prefix.lengthBits()] += (after.isPresent() ? 1 : 0) - (before.isPresent() ? 1 : 0);
        before.ifPresent(this::release);
    }

    private Optional<PeerFacts> factsAt(final Cidr prefix) {
        if (prefix.lengthBits() == prefix.network().familyBits()) {
            final IpAddress address = prefix.network();
            final Optional<Pod> pod = world.podAt(address);
            if (pod.isPresent()) {
                final PodFacts facts = factsByPod.getOrDefault(pod.get().ref(), NO_POD);
                final Optional<PeerFacts> ofFamily = address.isIpv4() ? facts.ipv4() : facts.ipv6();
                if (ofFamily.isPresent()) {
                    return ofFamily;
                }
            }
            final Optional<PeerFacts> node = Optional.ofNullable(factsByNodeAddress.get(address));
            if (node.isPresent()) {
                return node;
            }
            if (apiServers.contains(address)
                    || hostPorts.containsKey(address)
                    || !names(address).isEmpty()) {
                return Optional.of(worldFacts(prefix));
            }
        }
        final boolean asked =
                prefix.lengthBits() == 0
                        || universe.prefixes().values().stream()
                                .anyMatch(prefixes -> prefixes.contains(prefix));
        return asked ? Optional.of(worldFacts(prefix)) : Optional.empty();
    }

    private PeerFacts worldFacts(final Cidr prefix) {
        final boolean isHost = prefix.lengthBits() == prefix.network().familyBits();
        final Set<Cidr> around = around(PeerFacts.Kind.WORLD, prefix);
        final Map<String, String> labels = new HashMap<>();
        labels.put(RESERVED_WORLD, "");
        labels.put(RESERVED_WORLD + (prefix.isIpv4() ? "-ipv4" : "-ipv6"), "");
        final Set<NamePattern> names = isHost ? names(prefix.network()) : Set.of();
        // An address that only a name brought here is like all others of the name: a label of its
        // own would make it an identity of its own, and every answer would change every map.
        final Cidr narrowest =
                around.stream()
                        .max(PeerTable::narrower)
                        .orElse(names.isEmpty() ? prefix : Cidr.ALL_IPV4);
        if (narrowest.lengthBits() > 0) {
            labels.put("cidr:" + narrowest, "");
        }
        if (isHost && apiServers.contains(prefix.network())) {
            labels.put(LabelMatch.SOURCE_RESERVED + "kube-apiserver", "");
        }
        return new PeerFacts(
                PeerFacts.Kind.WORLD,
                labels,
                "",
                isHost ? hostPorts.getOrDefault(prefix.network(), Set.of()) : Set.of(),
                around,
                names);
    }

    private static int narrower(final Cidr one, final Cidr other) {
        return Integer.compare(one.lengthBits(), other.lengthBits());
    }

    private Set<NamePattern> names(final IpAddress address) {
        final Set<String> learned = world.names().getOrDefault(address, Set.of());
        return learned.isEmpty() ? Set.of() : matching(universe.names(), learned);
    }

    /** Patterns that match one of some names. */
    static Set<NamePattern> matching(
            final NamePatternIndex patterns, final Collection<String> names) {
        final Set<NamePattern> matched = new HashSet<>();
        for (final String name : names) {
            patterns.forEachMatch(name.endsWith(".") ? name : name + ".", matched::add);
        }
        return matched;
    }

    private Set<Cidr> around(final PeerFacts.Kind kind, final Cidr prefix) {
        final PrefixSet prefixes = prefixesByKind.get(kind);
        return prefixes == null ? Set.of() : Set.copyOf(prefixes.containing(prefix));
    }

    private void use(final PeerFacts facts) {
        if (uses.merge(facts, 1, Integer::sum) == 1) {
            if (!numbers.containsKey(facts)) {
                setNumber(facts, number(facts));
            }
            if (!removed.remove(facts)) {
                added.add(facts);
            }
        }
    }

    private void release(final PeerFacts facts) {
        if (uses.merge(facts, -1, Integer::sum) == 0) {
            uses.remove(facts);
            if (added.remove(facts)) {
                forget(facts);
            } else {
                removed.add(facts);
            }
        }
    }

    /** Forgets the numbers of facts that {@link #takeChanges} said have vanished. */
    void forget(final PeerFacts facts) {
        final Integer number = numbers.remove(facts);
        if (number != null && facts.equals(factsByNumber.get(number))) {
            factsByNumber = factsByNumber.without(number);
        }
    }

    private void setNumber(final PeerFacts facts, final int number) {
        final Integer before = numbers.put(facts, number);
        if (before != null) {
            factsByNumber = factsByNumber.without(before);
        }
        factsByNumber = factsByNumber.with(number, facts);
    }

    private int number(final PeerFacts facts) {
        return switch (facts.kind()) {
            case POD ->
                    allocator.number(IdentityAllocator.Range.CLUSTER, facts, facts::canonicalText);
            case NODE ->
                    host.filter(facts::equals).isPresent()
                            ? Identity.HOST
                            : allocator.number(
                                    IdentityAllocator.Range.NODE, facts, facts::canonicalText);
            case WORLD -> {
                final boolean ipv4 = facts.labels().containsKey(RESERVED_WORLD + "-ipv4");
                final boolean plain =
                        facts.labels().size() == 2
                                && facts.names().isEmpty()
                                && facts.ports().isEmpty();
                yield plain
                        ? ipv4 ? Identity.WORLD_IPV4 : Identity.WORLD_IPV6
                        : allocator.number(
                                IdentityAllocator.Range.CIDR, facts, facts::canonicalText);
            }
        };
    }

    /** Number of facts that some address has. */
    int numberOf(final PeerFacts facts) {
        final Integer number = numbers.get(facts);
        if (number == null) {
            throw new IllegalStateException("no number for " + facts);
        }
        return number;
    }

    Map<ObjectRef, PodFacts> pods() {
        return factsByPod;
    }

    /** The peers as they are now, those that have vanished but are not forgotten included. */
    PeerSnapshot snapshot() {
        return new PeerSnapshot(
                factsByNumber,
                numberByPrefix,
                lengths(ipv4PrefixesByLength),
                lengths(ipv6PrefixesByLength));
    }

    private static int[] lengths(final int[] prefixesByLength) {
        return IntStream.iterate(prefixesByLength.length - 1, length -> length >= 0, i -> i - 1)
                .filter(length -> prefixesByLength[length] > 0)
                .toArray();
    }

    /** Identity numbers of all facts. */
    Map<PeerFacts, Integer> numbers() {
        return numbers;
    }
}
