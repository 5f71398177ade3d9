package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.HostEndpoint;
import io.sluice.control.policy.CalicoPolicy.Profile;
import io.sluice.control.policy.HostStatement.Stage;
import io.sluice.control.policy.PolicyEntry.Reason;
import io.sluice.control.policy.RuleChain.IndexedRule;
import io.sluice.control.policy.RuleChain.Part;
import io.sluice.control.policy.Traffic.Ports;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Policy of the nodes themselves: Cilium's host policies and Calico's host endpoints.
 *
 * <p>Theory of operation. A {@link Host} is one end of a node: the node, and the host endpoint that
 * stands for the asked address, if any does. What is asked about its own traffic, in this order:
 *
 * <pre>
 *   host endpoint: failsafe ports     allowed
 *                  doNotTrack         what a tier leaves goes on; not at all interfaces
 *                  preDNAT, ingress   what a tier leaves goes on
 *   both:          other policies     tiers as for pods; Cilium's in tier default at order 1000
 *   host endpoint: profiles, one by one, then denied
 *   else:          the default verdict
 * </pre>
 *
 * <p>Traffic that a node forwards between its pods and other places is asked about at the interface
 * through which it comes in, and at the one through which it goes out:
 *
 * <pre>
 *   in:   doNotTrack, preDNAT         but not at failsafe ports; what they allow goes on to "out"
 *         applyOnForward, ingress     no failsafe ports, no profiles: what no tier denies goes on
 *   out:  applyOnForward, egress      the same
 * </pre>
 *
 * <p>A host endpoint of all interfaces is that of the pods' own interfaces and of the loopback,
 * too: what a pod sends comes in through it, what it gets goes out through it, and what a node
 * sends to itself does both. One of a named interface meets only what enters or leaves the node.
 * Between a node and its own pods only doNotTrack and preDNAT are asked, of what the pods send: the
 * others never are, so that a node reaches its pods whatever policy is in place.
 *
 * <p>Follows Calico's documentation (reference/host-endpoints/summary.mdx and pre-dnat.mdx,
 * reference/resources/hostendpoint.mdx) and Felix: the order of tables in {@code
 * felix/rules/static.go}, of a chain in {@code endpoints.go} {@code endpointIptablesChain}, which
 * chain an interface has in {@code dispatch.go} {@code hostDispatchChains} (the same in its BPF
 * mode, {@code felix/bpf/polprog/pol_prog_builder.go} {@code Rules}); {@code
 * defaultEndpointToHostAction} is taken to be {@code ACCEPT}. A profile that is not there denies:
 * {@code felix/calc/active_rules_calculator.go} {@code DummyDropRules}.
 *
 * <p>Cilium's host policies are about packets from and to the node's own addresses, those that it
 * exchanges with its own pods included, and about no others: {@code
 * Documentation/security/policy/host.rst}, {@code bpf/lib/host_firewall.h}. Within the node there
 * are none.
 *
 * <p>Which host endpoint an address of a node belongs to: the first by name of an interface that
 * expects it; else that of all interfaces; else the first of an interface which expects no address.
 * Nothing says which interface traffic is forwarded through: it is taken to be that of the node's
 * first address; where no address is known, that of all interfaces, else the first by name.
 *
 * <p>Limits: not compiled, but made when asked for, and remembered: as many programs as pairs of
 * peers and ends were asked about. Replies of untracked flows are not judged. No data plane
 * enforces any of this.
 *
 * <p>Immutable to the outside, any thread.
 */
final class HostPolicies {
    private static final String ALL_INTERFACES = "*";
    private static final String DEFAULT_ALLOW = "projectcalico-default-allow";
    private static final String RESERVED_HOST = LabelMatch.SOURCE_RESERVED + "host";
    private static final String RESERVED_REMOTE_NODE = LabelMatch.SOURCE_RESERVED + "remote-node";

    /** Calico: FailsafeInboundHostPorts, FailsafeOutboundHostPorts, as they are by default. */
    private static final List<Traffic> FAILSAFE_INGRESS = failsafes(Set.of(68), true);

    private static final List<Traffic> FAILSAFE_EGRESS = failsafes(Set.of(53, 67), false);

    /** A node's own end where its address does not matter, as it does not to Cilium's rules. */
    private static final PeerFacts SOMEBODY =
            new PeerFacts(PeerFacts.Kind.NODE, Map.of(), "", Set.of(), Set.of(), Set.of());

    static final PolicyTier PROFILES =
            new PolicyTier("profile", true, Double.POSITIVE_INFINITY, false);

    /**
     * One end of a node.
     *
     * @param node name of the node
     * @param endpoint the host endpoint that stands for it
     * @param nodeLabels labels of the node, by their sources
     * @param endpointLabels labels of the host endpoint, those that its profiles add included
     * @param audited whether its policies are reported only
     */
    record Host(
            String node,
            Optional<HostEndpoint> endpoint,
            Map<String, String> nodeLabels,
            Map<String, String> endpointLabels,
            boolean audited) {
        /** The node without a host endpoint: what its own pods meet. */
        Host bare() {
            return new Host(node, Optional.empty(), nodeLabels, Map.of(), audited);
        }
    }

    /** What traffic is asked about. */
    enum Way {
        /** Of the node itself. */
        LOCAL,
        /** From the node to itself. */
        LOOPBACK,
        /** From a pod to its own node, before it gets there. */
        RECEIVED,
        /** From a pod or to one, and not from or to its own node. */
        FORWARD
    }

    /**
     * Where an end of traffic is.
     *
     * @param pod whether it is a pod
     * @param node the node it is or is on; empty where that is unknown, or it is outside
     * @param host the end of the node that it is, if it is one
     */
    record Place(boolean pod, String node, Optional<Host> host) {
        /**
         * Whether it is a pod on a node; one of which nothing says where it is, is taken to be on
         * the node of its peer.
         */
        private boolean isPodOn(final String other) {
            return pod && (node.isEmpty() || node.equals(other));
        }
    }

    /**
     * Something that a node is asked about traffic between two ends.
     *
     * @param direction of the rules that are asked, which need not be that of the end that asks
     * @param peer the end that the rules see as their peer
     */
    record Asked(Side side, PolicyDirection direction, PeerFacts peer) {}

    /**
     * One direction of an end.
     *
     * @param host the end
     * @param way what traffic it is asked about
     * @param own what policy sees of the end itself
     * @param statements in the order they are asked, those that are not enforced included
     * @param failsafes the ports that are always open come first
     * @param chain what is asked
     * @param pending the same if the staged policies were enforced, where any concerns the end
     */
    record Side(
            Host host,
            Way way,
            PeerFacts own,
            List<PolicyStatement> statements,
            List<PolicyRule> failsafes,
            RuleChain chain,
            Optional<RuleChain> pending) {}

    private record SideKey(Host host, Way way, PolicyDirection direction, PeerFacts own) {}

    private record ProgramKey(RuleChain chain, PeerFacts peer) {}

    /** A statement with its rules indexed. */
    private record Indexed(HostStatement host, Part part) {}

    /** The ends of all nodes, and what is said about them. */
    private record Ends(
            Map<String, Host> byNode,
            Map<IpAddress, Host> byAddress,
            Map<String, Host> ofAllInterfaces,
            Map<String, Host> uplinks,
            Map<String, Set<IpAddress>> addresses,
            List<Indexed> statements,
            Set<ObjectRef> replaced) {}

    private final World world;
    private final PolicyOptions options;
    private final List<HostStatement> statements;
    private final PeerSets sets = new PeerSets();

    /**
     * What was asked for. Of two threads that add to one of these at once one is forgotten, and
     * asks again.
     */
    private volatile PersistentMap<SideKey, Side> sides = PersistentMap.empty();

    private volatile PersistentMap<ProgramKey, VerdictProgram> programs = PersistentMap.empty();

    /** Made when first asked for. */
    private volatile @Nullable Ends ends;

    /** Asked for every probe. */
    private final boolean isEmpty;

    HostPolicies(
            final World world, final PolicyOptions options, final List<HostStatement> statements) {
        this.world = world;
        this.options = options;
        this.statements = List.copyOf(statements);
        this.isEmpty = statements.isEmpty() && world.all(HostEndpoint.class).isEmpty();
    }

    private static List<Traffic> failsafes(final Set<Integer> udp, final boolean ssh) {
        final Set<Integer> tcp = new HashSet<>(Set.of(179, 2379, 2380, 5473, 6443, 6666, 6667));
        if (ssh) {
            tcp.add(22);
        }
        final List<Traffic> traffic = new ArrayList<>();
        tcp.stream()
                .sorted()
                .forEach(port -> traffic.add(Traffic.of(IpProtocol.TCP, Ports.of(port, port))));
        udp.stream()
                .sorted()
                .forEach(port -> traffic.add(Traffic.of(IpProtocol.UDP, Ports.of(port, port))));
        return List.copyOf(traffic);
    }

    /**
     * Labels that selectors see of a host endpoint: its own, and those that its profiles add. Of
     * profiles that add the same one, the first counts.
     */
    static Map<String, String> labels(final World world, final HostEndpoint endpoint) {
        final Map<String, String> labels = new HashMap<>();
        labels.putAll(endpoint.meta().labels());
        for (final String name : endpoint.profiles()) {
            world.lookup(new ObjectRef("Profile", "", name))
                    .map(Profile.class::cast)
                    .ifPresent(profile -> profile.labelsToApply().forEach(labels::putIfAbsent));
        }
        return Map.copyOf(labels);
    }

    /** Whether nothing is said about any node. */
    boolean isEmpty() {
        return isEmpty;
    }

    /**
     * Enforced policies that select a host endpoint in a direction, in the order they are asked.
     */
    List<KubeObject> policiesSelecting(
            final HostEndpoint endpoint, final PolicyDirection direction) {
        final Host host =
                new Host(
                        endpoint.node(),
                        Optional.of(endpoint),
                        Map.of(),
                        labels(world, endpoint),
                        false);
        return ends().statements.stream()
                .filter(indexed -> indexed.host.selects() instanceof HostStatement.OfHostEndpoints)
                .filter(indexed -> indexed.host.selects().matches(host))
                .map(indexed -> indexed.host.statement())
                .filter(statement -> statement.direction() == direction)
                .filter(statement -> statement.staging() == Staging.ENFORCED)
                .filter(statement -> !statement.isAudited())
                .map(PolicyStatement::policy)
                .distinct()
                .toList();
    }

    /**
     * What policies of nodes do to the surprise of their author, and rules of them that cannot both
     * be carried out, which are errors.
     */
    List<Problem> problems() {
        final Set<Problem> found = new LinkedHashSet<>();
        for (final HostEndpoint endpoint : world.all(HostEndpoint.class)) {
            for (final String profile : endpoint.profiles()) {
                if (!profile.equals(DEFAULT_ALLOW)
                        && world.lookup(new ObjectRef("Profile", "", profile)).isEmpty()) {
                    found.add(
                            Problem.warning(
                                    endpoint.where(),
                                    "spec.profiles",
                                    endpoint.ref()
                                            + ": there is no Profile "
                                            + profile
                                            + ": it denies what no policy decides"));
                }
            }
        }
        if (statements.stream().anyMatch(HostPolicies::asksProxy)) {
            for (final Host host : ends().byNode.values()) {
                for (final PolicyDirection direction : PolicyDirection.values()) {
                    final SideKey key = new SideKey(host.bare(), Way.LOCAL, direction, SOMEBODY);
                    found.addAll(L7Conflicts.of(side(key).chain));
                }
            }
        }
        return List.copyOf(found);
    }

    private static boolean asksProxy(final HostStatement host) {
        return host.statement().rules().stream().anyMatch(rule -> rule.l7().isPresent());
    }

    /** The end that an address is; empty where it is no node's. */
    Optional<Host> at(final IpAddress address) {
        return Optional.ofNullable(ends().byAddress.get(address));
    }

    /** The end that the first address of a node is, or that its traffic without address meets. */
    Optional<Host> ofNode(final String name) {
        return Optional.ofNullable(ends().byNode.get(name));
    }

    /** Addresses of a node: its own, and those that its host endpoints expect. */
    Set<IpAddress> addressesOf(final String node) {
        return ends().addresses.getOrDefault(node, Set.of());
    }

    /** Names of the nodes about which something is said, sorted. */
    List<String> judged() {
        if (isEmpty()) {
            return List.of();
        }
        final Set<String> names = new LinkedHashSet<>();
        ends().byAddress.values().stream().filter(this::judges).forEach(h -> names.add(h.node()));
        ends().byNode.values().stream().filter(this::judges).forEach(h -> names.add(h.node()));
        return names.stream().sorted().toList();
    }

    /** Whether policy says anything about an end. */
    boolean judges(final Host host) {
        return host.endpoint().isPresent()
                || ends().statements.stream()
                        .anyMatch(indexed -> indexed.host.selects().matches(host));
    }

    /**
     * What the node of one end is asked about traffic between two, where policy has a say in it;
     * all of it must allow. Of a node's own end the first is what its own policy says.
     *
     * @param end the end whose node is asked: the source for EGRESS
     */
    List<Asked> asked(
            final PolicyDirection end,
            final Place from,
            final PeerFacts fromFacts,
            final Place to,
            final PeerFacts toFacts) {
        if (isEmpty()) {
            return List.of();
        }
        final boolean egress = end == PolicyDirection.EGRESS;
        final Place own = egress ? from : to;
        final Place peer = egress ? to : from;
        final List<SideKey> keys = new ArrayList<>();
        if (own.host.isPresent()) {
            addOfNode(end, own.host.get(), peer, keys, egress ? fromFacts : toFacts);
        } else if (own.pod) {
            addOfPod(end, own, peer, keys, fromFacts, toFacts);
        }
        final List<Asked> asked = new ArrayList<>();
        for (final SideKey key : keys) {
            final Side side = side(key);
            if (!side.statements.isEmpty() || key.way == Way.LOCAL || key.way == Way.LOOPBACK) {
                final PeerFacts facts =
                        key.direction == PolicyDirection.EGRESS ? toFacts : fromFacts;
                asked.add(
                        new Asked(
                                side,
                                key.direction,
                                key.way == Way.LOCAL ? seenFrom(key.host.node(), facts) : facts));
            }
        }
        return asked;
    }

    private void addOfNode(
            final PolicyDirection end,
            final Host host,
            final Place peer,
            final List<SideKey> keys,
            final PeerFacts ownFacts) {
        final Optional<Host> all = Optional.ofNullable(ends().ofAllInterfaces.get(host.node()));
        if (peer.host.isPresent() && peer.node.equals(host.node())) {
            all.ifPresent(h -> keys.add(new SideKey(h, Way.LOOPBACK, end, ownFacts)));
            return;
        }
        final boolean ownPod = peer.isPodOn(host.node());
        final Host met = ownPod ? host.bare() : host;
        if (judges(met)) {
            keys.add(new SideKey(met, Way.LOCAL, end, ownFacts));
        }
        if (ownPod && end == PolicyDirection.INGRESS) {
            all.ifPresent(h -> keys.add(new SideKey(h, Way.RECEIVED, end, ownFacts)));
        }
    }

    private void addOfPod(
            final PolicyDirection end,
            final Place pod,
            final Place peer,
            final List<SideKey> keys,
            final PeerFacts fromFacts,
            final PeerFacts toFacts) {
        final String node = pod.node.isEmpty() ? peer.node : pod.node;
        if (node.isEmpty() || (peer.host.isPresent() && peer.node.equals(node))) {
            return;
        }
        final Optional<Host> ownInterface = Optional.ofNullable(ends().ofAllInterfaces.get(node));
        final Optional<Host> uplink =
                peer.isPodOn(node)
                        ? Optional.empty()
                        : Optional.ofNullable(ends().uplinks.get(node));
        final boolean sends = end == PolicyDirection.EGRESS;
        (sends ? ownInterface : uplink)
                .ifPresent(
                        in ->
                                keys.add(
                                        new SideKey(
                                                in,
                                                Way.FORWARD,
                                                PolicyDirection.INGRESS,
                                                toFacts)));
        (sends ? uplink : ownInterface)
                .ifPresent(
                        out ->
                                keys.add(
                                        new SideKey(
                                                out,
                                                Way.FORWARD,
                                                PolicyDirection.EGRESS,
                                                fromFacts)));
    }

    /** What a chain says to a peer. */
    VerdictProgram program(final RuleChain chain, final PeerFacts peer) {
        final ProgramKey key = new ProgramKey(chain, peer);
        final VerdictProgram known = programs.get(key);
        if (known != null) {
            return known;
        }
        final VerdictProgram program = chain.program(chain.matching(peer), peer.ports());
        programs = programs.with(key, program);
        return program;
    }

    /** A peer as it is seen from a node: the others are remote, whichever node this one is. */
    static PeerFacts seenFrom(final String node, final PeerFacts peer) {
        if (peer.kind() != PeerFacts.Kind.NODE
                || peer.nodeName().equals(node)
                || !peer.labels().containsKey(RESERVED_HOST)) {
            return peer;
        }
        final Map<String, String> labels = new HashMap<>(peer.labels());
        labels.remove(RESERVED_HOST);
        labels.put(RESERVED_REMOTE_NODE, "");
        return new PeerFacts(
                peer.kind(), labels, peer.nodeName(), peer.ports(), peer.prefixes(), peer.names());
    }

    // Ends.

    private Ends ends() {
        final Ends made = ends;
        return made == null ? makeEnds() : made;
    }

    private synchronized Ends makeEnds() {
        final Ends before = ends;
        if (before != null) {
            return before;
        }
        final Map<String, List<Host>> endpointsByNode = new LinkedHashMap<>();
        final Map<String, Set<IpAddress>> addresses = new LinkedHashMap<>();
        final Map<String, Host> bareByNode = new LinkedHashMap<>();
        for (final KubeObject.Node node : world.all(KubeObject.Node.class)) {
            final String name = node.meta().name();
            bareByNode.put(name, bare(node));
            addresses.put(name, new LinkedHashSet<>(node.addresses()));
        }
        final Map<IpAddress, Host> byAddress = new LinkedHashMap<>();
        final List<HostEndpoint> sorted = new ArrayList<>(world.all(HostEndpoint.class));
        sorted.sort(Comparator.comparing(endpoint -> endpoint.meta().name()));
        for (final HostEndpoint endpoint : sorted) {
            final Host bare = bareByNode.computeIfAbsent(endpoint.node(), this::unknownNode);
            final Host host =
                    new Host(
                            bare.node,
                            Optional.of(endpoint),
                            bare.nodeLabels,
                            labels(world, endpoint),
                            bare.audited);
            endpointsByNode.computeIfAbsent(bare.node, _ -> new ArrayList<>()).add(host);
            addresses
                    .computeIfAbsent(bare.node, _ -> new LinkedHashSet<>())
                    .addAll(endpoint.expectedIps());
            if (!endpoint.interfaceName().equals(ALL_INTERFACES)) {
                endpoint.expectedIps().forEach(address -> byAddress.putIfAbsent(address, host));
            }
        }
        final Map<String, Host> byNode = new LinkedHashMap<>();
        final Map<String, Host> ofAllInterfaces = new HashMap<>();
        final Map<String, Host> uplinks = new HashMap<>();
        bareByNode.forEach(
                (name, bare) -> {
                    final List<Host> endpoints = endpointsByNode.getOrDefault(name, List.of());
                    final Optional<Host> all = ofAllInterfaces(endpoints);
                    final Host unclaimed = all.or(() -> ofNoAddress(endpoints)).orElse(bare);
                    final Set<IpAddress> own = addresses.getOrDefault(name, Set.of());
                    own.forEach(address -> byAddress.putIfAbsent(address, unclaimed));
                    final Host main =
                            own.stream()
                                    .findFirst()
                                    .map(address -> byAddress.getOrDefault(address, unclaimed))
                                    .orElse(unclaimed);
                    byNode.put(name, main);
                    all.ifPresent(host -> ofAllInterfaces.put(name, host));
                    uplink(name, main, endpoints).ifPresent(host -> uplinks.put(name, host));
                });
        // A staged policy replaces that of its name also where it says nothing about nodes itself.
        final Set<ObjectRef> replaced = new HashSet<>();
        for (final CalicoPolicy policy : world.all(CalicoPolicy.class)) {
            PolicyStatement.stagedTargetOf(policy).ifPresent(replaced::add);
        }
        final Ends made =
                new Ends(
                        byNode,
                        byAddress,
                        ofAllInterfaces,
                        uplinks,
                        addresses,
                        indexed(),
                        Set.copyOf(replaced));
        ends = made;
        return made;
    }

    /** What forwards the traffic of a node's pods, if it is a host endpoint. */
    private Optional<Host> uplink(final String node, final Host main, final List<Host> endpoints) {
        final boolean known =
                world.lookup(new ObjectRef("Node", "", node))
                        .map(KubeObject.Node.class::cast)
                        .filter(object -> !object.addresses().isEmpty())
                        .isPresent();
        return known
                ? Optional.of(main).filter(host -> host.endpoint().isPresent())
                : ofAllInterfaces(endpoints).or(() -> endpoints.stream().findFirst());
    }

    private Host bare(final KubeObject.Node node) {
        final Map<String, String> labels = new HashMap<>();
        node.meta()
                .labels()
                .forEach(
                        (key, value) -> {
                            labels.put(LabelMatch.SOURCE_K8S + key, value);
                            labels.put(LabelMatch.SOURCE_NODE + key, value);
                        });
        labels.put(RESERVED_HOST, "");
        return new Host(
                node.meta().name(),
                Optional.empty(),
                Map.copyOf(labels),
                Map.of(),
                options.audit() || Audit.isAudited(node.meta()));
    }

    private Host unknownNode(final String name) {
        return new Host(
                name, Optional.empty(), Map.of(RESERVED_HOST, ""), Map.of(), options.audit());
    }

    private static Optional<Host> ofAllInterfaces(final List<Host> hosts) {
        return hosts.stream().filter(host -> isInterface(host, ALL_INTERFACES::equals)).findFirst();
    }

    private static Optional<Host> ofNoAddress(final List<Host> hosts) {
        return hosts.stream()
                .filter(
                        host ->
                                isInterface(host, name -> !name.equals(ALL_INTERFACES))
                                        && host.endpoint()
                                                .map(HostEndpoint::expectedIps)
                                                .orElse(List.of())
                                                .isEmpty())
                .findFirst();
    }

    private static boolean isInterface(final Host host, final Predicate<String> asked) {
        return host.endpoint().map(HostEndpoint::interfaceName).filter(asked).isPresent();
    }

    private List<Indexed> indexed() {
        final List<Indexed> indexed = new ArrayList<>();
        final List<HostStatement> all = new ArrayList<>(statements);
        final Set<String> profiles = new LinkedHashSet<>();
        world.all(HostEndpoint.class).forEach(endpoint -> profiles.addAll(endpoint.profiles()));
        for (final String profile : profiles) {
            if (world.lookup(new ObjectRef("Profile", "", profile)).isEmpty()) {
                all.addAll(ofNoObject(profile));
            }
        }
        for (final HostStatement host : all) {
            final List<IndexedRule> rules = new ArrayList<>();
            for (final PolicyRule rule : host.statement().rules()) {
                rules.add(new IndexedRule(rule, sets.acquire(rule.peers())));
            }
            indexed.add(new Indexed(host, new Part(host.statement(), List.copyOf(rules))));
        }
        indexed.sort(
                Comparator.comparing((Indexed one) -> one.host.stage())
                        .thenComparing(one -> one.host.statement().place()));
        return List.copyOf(indexed);
    }

    /** A profile that nobody wrote: Calico itself has one, and any other denies. */
    private static List<HostStatement> ofNoObject(final String name) {
        final Profile profile =
                new Profile(
                        new ObjectMeta(
                                new ObjectRef("Profile", "", name),
                                "projectcalico.org/v3",
                                SourceLocation.NONE,
                                Map.of(),
                                Map.of(),
                                Map.of()),
                        List.of(),
                        List.of(),
                        Map.of());
        final boolean exists = name.equals(DEFAULT_ALLOW);
        final List<HostStatement> made = new ArrayList<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            final PolicyRule rule =
                    new PolicyRule(
                            PeerMatch.EVERYONE,
                            PeerMatch.EVERYONE,
                            List.of(),
                            exists ? PolicyRule.Effect.ALLOW : PolicyRule.Effect.DENY,
                            Optional.empty(),
                            exists
                                    ? Author.ofRule(
                                            PROFILES.name(),
                                            profile,
                                            direction.field(),
                                            0,
                                            SourceLocation.NONE)
                                    : Author.ofHostEndpoint(
                                            Author.Origin.MISSING_PROFILE, profile));
            made.add(ofProfile(profile, direction, List.of(rule)));
        }
        return made;
    }

    /** What a profile says in one direction. */
    static HostStatement ofProfile(
            final Profile profile, final PolicyDirection direction, final List<PolicyRule> rules) {
        return new HostStatement(
                new PolicyStatement(
                        profile,
                        new PolicyStatement.Place(PROFILES, 0, profile.meta().name(), false),
                        PeerMatch.NOBODY,
                        direction,
                        false,
                        rules),
                new HostStatement.OfProfile(profile.meta().name()),
                Stage.PROFILE,
                false);
    }

    // Sides.

    private Side side(final SideKey key) {
        final Side known = sides.get(key);
        if (known != null) {
            return known;
        }
        final Side side = makeSide(key);
        sides = sides.with(key, side);
        return side;
    }

    private Side makeSide(final SideKey key) {
        final List<Indexed> selecting = new ArrayList<>();
        for (final Indexed indexed : ends().statements) {
            final HostStatement host = indexed.host;
            if (host.statement().direction() == key.direction
                    && isAsked(host, key)
                    && host.selects().matches(key.host)) {
                final List<IndexedRule> fitting =
                        indexed.part.rules().stream()
                                .filter(rule -> rule.rule().local().matches(key.own))
                                .toList();
                selecting.add(new Indexed(host, new Part(host.statement(), fitting)));
            }
        }
        sortProfiles(key.host, selecting);
        final List<Indexed> enforced = new ArrayList<>();
        final List<Indexed> pending = new ArrayList<>();
        boolean staged = false;
        for (final Indexed indexed : selecting) {
            final PolicyStatement statement = indexed.host.statement();
            final boolean replaced = ends().replaced.contains(statement.policy().ref());
            switch (statement.staging()) {
                case ENFORCED -> {
                    enforced.add(indexed);
                    staged |= replaced;
                    if (!replaced && !statement.isAudited()) {
                        pending.add(indexed);
                    }
                }
                case SET, LEARN -> {
                    pending.add(indexed);
                    staged = true;
                }
                case DELETE, IGNORE -> {}
            }
        }
        final List<IndexedRule> failsafes =
                key.way == Way.FORWARD && key.direction == PolicyDirection.EGRESS
                        ? List.of()
                        : failsafes(key.host, key.direction);
        return new Side(
                key.host,
                key.way,
                key.own,
                selecting.stream().map(indexed -> indexed.host.statement()).toList(),
                failsafes.stream().map(IndexedRule::rule).toList(),
                chain(key, failsafes, enforced),
                staged ? Optional.of(chain(key, failsafes, pending)) : Optional.empty());
    }

    private static boolean isAsked(final HostStatement host, final SideKey key) {
        if (host.stage() == Stage.UNTRACKED && isInterface(key.host, ALL_INTERFACES::equals)) {
            return false;
        }
        final boolean early = host.stage() == Stage.UNTRACKED || host.stage() == Stage.PRE_DNAT;
        return switch (key.way) {
            case LOCAL -> true;
            case LOOPBACK -> !(host.selects() instanceof HostStatement.OfNodes);
            case RECEIVED -> early;
            case FORWARD -> forwarded(host, key, early);
        };
    }

    /** Whether it is asked about what comes in, or goes out, to be forwarded. */
    private static boolean forwarded(
            final HostStatement host, final SideKey key, final boolean early) {
        return early
                ? key.direction == PolicyDirection.INGRESS
                : host.stage() == Stage.NORMAL && host.onForward();
    }

    /** Profiles are asked in the order in which the host endpoint names them. */
    private static void sortProfiles(final Host host, final List<Indexed> selecting) {
        final List<String> named = host.endpoint().map(HostEndpoint::profiles).orElse(List.of());
        selecting.sort(
                Comparator.comparing((Indexed indexed) -> indexed.host.stage())
                        .thenComparingInt(
                                indexed ->
                                        indexed.host.stage() == Stage.PROFILE
                                                ? named.indexOf(
                                                        indexed.host
                                                                .statement()
                                                                .policy()
                                                                .meta()
                                                                .name())
                                                : 0));
    }

    private List<IndexedRule> failsafes(final Host host, final PolicyDirection direction) {
        if (host.endpoint().isEmpty()) {
            return List.of();
        }
        final PolicyRule rule =
                PolicyRule.allow(
                        PeerMatch.EVERYONE,
                        direction == PolicyDirection.INGRESS ? FAILSAFE_INGRESS : FAILSAFE_EGRESS,
                        Author.ofHostEndpoint(Author.Origin.FAILSAFE, host.endpoint().get()));
        return List.of(new IndexedRule(rule, everyone()));
    }

    private synchronized PeerSets.PeerSet everyone() {
        return sets.acquire(PeerMatch.EVERYONE);
    }

    private RuleChain chain(
            final SideKey key, final List<IndexedRule> failsafes, final List<Indexed> selecting) {
        final List<RuleChain.Stage> stages = new ArrayList<>();
        for (final Stage stage : Stage.values()) {
            final List<Part> parts =
                    selecting.stream()
                            .filter(indexed -> indexed.host.stage() == stage)
                            .map(Indexed::part)
                            .toList();
            switch (stage) {
                case UNTRACKED, PRE_DNAT -> stages.add(new RuleChain.Stage(parts, false));
                case NORMAL -> stages.add(new RuleChain.Stage(parts, true));
                // What a profile passes goes to the next one.
                case PROFILE ->
                        parts.forEach(
                                part -> stages.add(new RuleChain.Stage(List.of(part), false)));
            }
        }
        final boolean own = key.way == Way.LOCAL || key.way == Way.LOOPBACK;
        final Optional<PolicyEntry> lastWord =
                own
                        ? key.host
                                .endpoint()
                                .map(
                                        endpoint ->
                                                PolicyEntry.deny(
                                                        Reason.POLICY_DENIED,
                                                        Author.ofHostEndpoint(
                                                                Author.Origin.END_OF_PROFILES,
                                                                endpoint)))
                        : Optional.empty();
        return RuleChain.ofHost(
                key.direction,
                key.own.ports(),
                new RuleChain.Opening(
                        failsafes,
                        key.way == Way.FORWARD
                                ? RuleChain.OpeningEffect.SKIPS_EARLY_STAGES
                                : RuleChain.OpeningEffect.ALLOWS),
                stages,
                lastWord,
                key.host.audited,
                own ? options.nothingAnswered() : PolicyEntry.allow(Author.DEFAULT));
    }
}
