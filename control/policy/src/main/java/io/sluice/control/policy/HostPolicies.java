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
 *                  doNotTrack         what a tier leaves goes on
 *                  preDNAT, ingress   what a tier leaves goes on
 *   both:          other policies     tiers as for pods; Cilium's in tier default at order 1000
 *   host endpoint: profiles, then denied
 *   else:          the default verdict
 * </pre>
 *
 * <p>Traffic that a node forwards between its pods and other places is asked about at its host
 * endpoint: doNotTrack and preDNAT of ingress behind the failsafe ports, each of which can only
 * deny; then the policies with {@code applyOnForward}, without failsafe ports and profiles.
 *
 * <p>Follows Calico's {@code felix/rules/endpoints.go} and {@code static.go}: traffic between a
 * node and its own pods meets no host endpoint. Cilium's host policies do apply to it.
 *
 * <p>Which host endpoint an address belongs to: the one that expects it; else, of the address's
 * node, that of all interfaces, else that of an interface without expected addresses. What is
 * forwarded goes through that of all interfaces, else that of the node's first address, else the
 * node's first.
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
    private enum Way {
        /** Of the node itself. */
        LOCAL,
        FORWARD_UNTRACKED,
        FORWARD_PRE_DNAT,
        FORWARD
    }

    private static final Map<PolicyDirection, List<Way>> FORWARDED =
            Map.of(
                    PolicyDirection.INGRESS,
                    List.of(Way.FORWARD_UNTRACKED, Way.FORWARD_PRE_DNAT, Way.FORWARD),
                    PolicyDirection.EGRESS,
                    List.of(Way.FORWARD));

    /**
     * One direction of an end.
     *
     * @param statements in the order they are asked, those that are not enforced included
     * @param failsafes the ports that are always open come first
     * @param chain what is asked
     * @param pending the same if the staged policies were enforced, where any concerns the end
     */
    record Side(
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
            Map<String, Host> forwarding,
            Map<String, Set<IpAddress>> addresses,
            List<Indexed> statements,
            Map<ObjectRef, Set<ObjectRef>> stagedFor) {}

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

    /** Labels that selectors see of a host endpoint: its own, and those that its profiles add. */
    static Map<String, String> labels(final World world, final HostEndpoint endpoint) {
        final Map<String, String> labels = new HashMap<>();
        for (final String name : endpoint.profiles()) {
            world.lookup(new ObjectRef("Profile", "", name))
                    .map(Profile.class::cast)
                    .ifPresent(profile -> labels.putAll(profile.labelsToApply()));
        }
        labels.putAll(endpoint.meta().labels());
        return Map.copyOf(labels);
    }

    /** Whether nothing is said about any node. */
    boolean isEmpty() {
        return isEmpty;
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

    /** The end that forwards the traffic of a node's pods; empty where policy has no say in it. */
    private Optional<Host> forwarding(final String node) {
        return Optional.ofNullable(ends().forwarding.get(node));
    }

    /**
     * What is asked about traffic of the node itself.
     *
     * @param own facts of the node's own address
     */
    Side local(final Host host, final PolicyDirection direction, final PeerFacts own) {
        return side(new SideKey(host, Way.LOCAL, direction, own));
    }

    /**
     * What is asked about traffic between a pod and other places, where the pod's node has a host
     * endpoint; all of it must allow.
     *
     * @param node the pod's
     * @param own facts of the pod
     */
    List<Side> forwarded(final String node, final PolicyDirection direction, final PeerFacts own) {
        if (node.isEmpty() || isEmpty()) {
            return List.of();
        }
        final Optional<Host> host = forwarding(node);
        if (host.isEmpty()) {
            return List.of();
        }
        final List<Side> asked = new ArrayList<>();
        for (final Way way : FORWARDED.getOrDefault(direction, List.of())) {
            final Side side = side(new SideKey(host.get(), way, direction, own));
            if (!side.statements.isEmpty()) {
                asked.add(side);
            }
        }
        return asked;
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
        for (final HostEndpoint endpoint : world.all(HostEndpoint.class)) {
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
            endpoint.expectedIps().forEach(address -> byAddress.putIfAbsent(address, host));
        }
        final Map<String, Host> byNode = new LinkedHashMap<>();
        final Map<String, Host> forwarding = new HashMap<>();
        bareByNode.forEach(
                (name, bare) -> {
                    final List<Host> endpoints = endpointsByNode.getOrDefault(name, List.of());
                    final Host unclaimed =
                            ofAllInterfaces(endpoints)
                                    .or(() -> ofNoAddress(endpoints))
                                    .orElse(bare);
                    final Set<IpAddress> own = addresses.getOrDefault(name, Set.of());
                    own.forEach(address -> byAddress.putIfAbsent(address, unclaimed));
                    final Host main =
                            own.stream()
                                    .findFirst()
                                    .map(address -> byAddress.getOrDefault(address, unclaimed))
                                    .orElse(unclaimed);
                    byNode.put(name, main);
                    ofAllInterfaces(endpoints)
                            .or(() -> Optional.of(main).filter(h -> h.endpoint().isPresent()))
                            .or(() -> endpoints.stream().findFirst())
                            .ifPresent(host -> forwarding.put(name, host));
                });
        final Map<ObjectRef, Set<ObjectRef>> stagedFor = new HashMap<>();
        for (final HostStatement statement : statements) {
            statement
                    .statement()
                    .stagedTarget()
                    .ifPresent(
                            target ->
                                    stagedFor
                                            .computeIfAbsent(target, _ -> new LinkedHashSet<>())
                                            .add(statement.statement().policy().ref()));
        }
        final Ends made = new Ends(byNode, byAddress, forwarding, addresses, indexed(), stagedFor);
        ends = made;
        return made;
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
                                isInterface(host, name -> !name.isEmpty())
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
        if (world.lookup(new ObjectRef("Profile", "", DEFAULT_ALLOW)).isEmpty()) {
            all.addAll(defaultAllow());
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

    /** Calico has this profile without anybody writing it. */
    private static List<HostStatement> defaultAllow() {
        final Profile profile =
                new Profile(
                        new ObjectMeta(
                                new ObjectRef("Profile", "", DEFAULT_ALLOW),
                                "projectcalico.org/v3",
                                SourceLocation.NONE,
                                Map.of(),
                                Map.of(),
                                Map.of()),
                        List.of(),
                        List.of(),
                        Map.of());
        final List<HostStatement> statements = new ArrayList<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            final PolicyRule rule =
                    PolicyRule.allow(
                            PeerMatch.EVERYONE,
                            List.of(),
                            Author.ofRule(
                                    PROFILES.name(),
                                    profile,
                                    direction.field(),
                                    0,
                                    SourceLocation.NONE));
            statements.add(ofProfile(profile, direction, List.of(rule)));
        }
        return statements;
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
                    && isAsked(host, key.way)
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
            final boolean replaced = ends().stagedFor.containsKey(statement.policy().ref());
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
                key.way == Way.FORWARD ? List.of() : failsafes(key.host, key.direction);
        return new Side(
                selecting.stream().map(indexed -> indexed.host.statement()).toList(),
                failsafes.stream().map(IndexedRule::rule).toList(),
                chain(key, failsafes, enforced),
                staged ? Optional.of(chain(key, failsafes, pending)) : Optional.empty());
    }

    private static boolean isAsked(final HostStatement host, final Way way) {
        return switch (way) {
            case LOCAL -> true;
            case FORWARD_UNTRACKED -> host.stage() == Stage.UNTRACKED;
            case FORWARD_PRE_DNAT -> host.stage() == Stage.PRE_DNAT;
            case FORWARD -> host.stage() == Stage.NORMAL && host.onForward();
        };
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
            stages.add(new RuleChain.Stage(parts, stage == Stage.NORMAL));
        }
        final Optional<PolicyEntry> lastWord =
                key.way == Way.LOCAL
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
                key.host.endpoint().map(HostEndpoint::ports).map(Set::copyOf).orElse(Set.of()),
                failsafes,
                stages,
                lastWord,
                key.host.audited,
                key.way == Way.LOCAL
                        ? options.nothingAnswered()
                        : PolicyEntry.allow(Author.DEFAULT));
    }
}
