package io.sluice.control.policy;

import io.sluice.control.policy.DiffTraffic.Reach;
import io.sluice.control.policy.HostPolicies.Host;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * One of the two worlds of a comparison: what it knows of an end, and what passes between two.
 *
 * <p>Thread: that of the comparison.
 */
final class DiffWorld {
    private static final int NO_ADDRESS = -1;

    /**
     * One direction of an endpoint.
     *
     * @param chain what answers for names, where policies of either world ask for any; two chains
     *     can have equal maps as long as no address has a name
     */
    private record Side(PolicyMap map, Optional<RuleChain> chain) {}

    /** Which policies count. */
    enum View {
        ENFORCED,
        /** As if the staged policies were enforced. */
        STAGED
    }

    /**
     * Where an end is, as far as policies of nodes make that matter.
     *
     * @param pod whether it is a pod
     * @param node the node it is or is on; empty where unknown, or outside
     * @param ipv4 the end of the node at its IPv4 address, if it is one
     * @param ipv6 the end of the node at its IPv6 address, if it is one
     * @param judged whether policy has a say in the traffic of the node itself
     */
    private record Place(
            boolean pod, String node, Optional<Host> ipv4, Optional<Host> ipv6, boolean judged) {
        private static final Place NOWHERE =
                new Place(false, "", Optional.empty(), Optional.empty(), false);

        private HostPolicies.Place at(final boolean ipv4Family) {
            return new HostPolicies.Place(pod, node, ipv4Family ? ipv4 : ipv6);
        }
    }

    /**
     * What the world knows of an end. Equal ends have equal connections.
     *
     * @param egress empty where the end is no endpoint
     * @param ingress empty where the end is no endpoint
     * @param stagedEgress as if the staged policies were enforced, where they count
     * @param stagedIngress as if the staged policies were enforced, where they count
     * @param ipv4 identity of its IPv4 address, -1 if it has none
     * @param ipv6 identity of its IPv6 address, -1 if it has none
     * @param primary identity where the family does not matter: that of an end without an address,
     *     or the end's towards one
     * @param name name that the address was learned from; empty for none
     * @param place where it is; the same for all where nothing is said about nodes
     */
    record End(
            Optional<Side> egress,
            Optional<Side> ingress,
            Optional<Side> stagedEgress,
            Optional<Side> stagedIngress,
            int ipv4,
            int ipv6,
            int primary,
            String name,
            Place place) {
        /** An end that does not exist in the world. */
        static final End ABSENT = ofNoEndpoint(NO_ADDRESS, NO_ADDRESS, NO_ADDRESS, "");

        private static End ofNoEndpoint(
                final int ipv4, final int ipv6, final int primary, final String name) {
            return new End(
                    Optional.empty(),
                    Optional.empty(),
                    Optional.empty(),
                    Optional.empty(),
                    ipv4,
                    ipv6,
                    primary,
                    name,
                    Place.NOWHERE);
        }

        /** Whether it is a node that policy has a say in. */
        boolean isJudgedNode() {
            return place.judged;
        }

        private End at(final Place where) {
            return new End(
                    egress, ingress, stagedEgress, stagedIngress, ipv4, ipv6, primary, name, where);
        }

        private Optional<Side> side(final PolicyDirection direction, final View view) {
            return switch (direction) {
                case EGRESS -> view == View.STAGED ? stagedEgress.or(() -> egress) : egress;
                case INGRESS -> view == View.STAGED ? stagedIngress.or(() -> ingress) : ingress;
            };
        }

        boolean isAbsent() {
            return primary == NO_ADDRESS;
        }

        private boolean hasNoAddress() {
            return ipv4 == NO_ADDRESS && ipv6 == NO_ADDRESS;
        }
    }

    private final World world;
    private final PolicySet policies;
    private final DiffTraffic traffic;
    private final View view;
    private boolean namesMatter;

    /**
     * One of the two worlds.
     *
     * @param view by which ends are told apart
     */
    DiffWorld(
            final World world,
            final PolicySet policies,
            final DiffTraffic traffic,
            final View view) {
        this.world = world;
        this.policies = policies;
        this.traffic = traffic;
        this.view = view;
    }

    World world() {
        return world;
    }

    PolicySet policies() {
        return policies;
    }

    /** Names and patterns that rules of endpoints ask for, as they are written. */
    Set<String> names() {
        final Set<String> names = new TreeSet<>();
        final Set<PolicyStatement> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        for (final Pod pod : world.pods()) {
            policies.side(pod.ref(), PolicyDirection.EGRESS).stream()
                    .flatMap(side -> side.statements().stream())
                    .filter(seen::add)
                    .flatMap(statement -> statement.rules().stream())
                    .forEach(rule -> PeerMatch.visit(rule.peers(), match -> add(match, names)));
        }
        return names;
    }

    private static void add(final PeerMatch match, final Set<String> names) {
        if (match instanceof final PeerMatch.Named named) {
            final String text = named.pattern().toString();
            names.add(text.endsWith(".") ? text.substring(0, text.length() - 1) : text);
        }
    }

    /** To be told before the first end is asked for: the other world's policies may have names. */
    void regardNames() {
        namesMatter = true;
    }

    /** A pod; absent if it is no endpoint here. */
    End pod(final ObjectRef ref) {
        final Optional<Pod> pod = world.lookup(ref).map(Pod.class::cast).filter(Pod::isEndpoint);
        final Optional<PolicySet.Subject> subject = policies.subject(ref);
        if (pod.isEmpty() || subject.isEmpty()) {
            return End.ABSENT;
        }
        int ipv4 = NO_ADDRESS;
        int ipv6 = NO_ADDRESS;
        for (final IpAddress address : pod.get().addresses()) {
            final int identity = policies.numberAt(address);
            if (address.isIpv4()) {
                ipv4 = identity;
            } else {
                ipv6 = identity;
            }
        }
        return new End(
                Optional.of(side(subject.get().egress())),
                Optional.of(side(subject.get().ingress())),
                staged(subject.get().egress()),
                staged(subject.get().ingress()),
                ipv4,
                ipv6,
                subject.get().identity(),
                "",
                policies.hosts().isEmpty()
                        ? Place.NOWHERE
                        : new Place(
                                true,
                                pod.get().nodeName(),
                                Optional.empty(),
                                Optional.empty(),
                                false));
    }

    private Side side(final SubjectSide.Result side) {
        return new Side(side.map(), namesMatter ? Optional.of(side.chain()) : Optional.empty());
    }

    private Optional<Side> staged(final SubjectSide.Result side) {
        return view == View.STAGED
                ? side.pending()
                        .map(
                                pending ->
                                        new Side(
                                                pending.map(),
                                                namesMatter
                                                        ? Optional.of(pending.chain())
                                                        : Optional.empty()))
                : Optional.empty();
    }

    /** An address that is no endpoint's. */
    End address(final IpAddress address) {
        final int identity = policies.numberAt(address);
        final End end =
                End.ofNoEndpoint(
                        address.isIpv4() ? identity : NO_ADDRESS,
                        address.isIpv4() ? NO_ADDRESS : identity,
                        identity,
                        "");
        final Optional<Host> host =
                policies.hosts().isEmpty() ? Optional.empty() : policies.hosts().at(address);
        return host.map(
                        node ->
                                end.at(
                                        new Place(
                                                false,
                                                node.node(),
                                                address.isIpv4() ? host : Optional.empty(),
                                                address.isIpv4() ? Optional.empty() : host,
                                                policies.hosts().judges(node))))
                .orElse(end);
    }

    /**
     * An address that no prefix of a policy holds, learned from a name; from none if it is empty.
     */
    End learned(final String name) {
        return End.ofNoEndpoint(
                Identity.WORLD_IPV4, Identity.WORLD_IPV6, Identity.WORLD_IPV4, name);
    }

    /** The endpoints' own node, where nothing says at what address it is. */
    End hostWithoutAddress() {
        return End.ofNoEndpoint(NO_ADDRESS, NO_ADDRESS, Identity.HOST, "");
    }

    boolean hostHasAddress() {
        return policies.ipcache().stream().anyMatch(entry -> entry.identity() == Identity.HOST);
    }

    /** What passes from one end to another, which is not the same pod. */
    Reach reach(final End from, final End to, final View counted) {
        if (from.isAbsent() || to.isAbsent()) {
            return traffic.nothing();
        }
        if (from.hasNoAddress() || to.hasNoAddress()) {
            final int either = passing(from, to, from.primary, to.primary, counted);
            return new Reach(either, either);
        }
        return traffic.reach(
                passing(from, to, from.ipv4, to.ipv4, counted),
                passing(from, to, from.ipv6, to.ipv6, counted));
    }

    private int passing(
            final End from,
            final End to,
            final int fromIdentity,
            final int toIdentity,
            final View counted) {
        if (fromIdentity == NO_ADDRESS || toIdentity == NO_ADDRESS) {
            return DiffTraffic.NO_FAMILY;
        }
        return traffic.both(
                allowed(PolicyDirection.EGRESS, from, fromIdentity, to, toIdentity, counted),
                allowed(PolicyDirection.INGRESS, from, fromIdentity, to, toIdentity, counted));
    }

    /** What one end, and its node, let pass. */
    private int allowed(
            final PolicyDirection direction,
            final End from,
            final int fromIdentity,
            final End to,
            final int toIdentity,
            final View counted) {
        final boolean egress = direction == PolicyDirection.EGRESS;
        int passing =
                egress
                        ? allowed(from.side(direction, counted), toIdentity, to.name)
                        : allowed(to.side(direction, counted), fromIdentity, from.name);
        if (policies.hosts().isEmpty()) {
            return passing;
        }
        final PeerFacts fromFacts = factsOf(fromIdentity);
        final PeerFacts toFacts = factsOf(toIdentity);
        for (final HostPolicies.Asked asked :
                policies.hosts()
                        .asked(
                                direction,
                                from.place.at(from.ipv4 == fromIdentity),
                                fromFacts,
                                to.place.at(to.ipv4 == toIdentity),
                                to.name.isEmpty() ? toFacts : policies.learned(toFacts, to.name))) {
            final RuleChain enforced = asked.side().chain();
            final RuleChain chain =
                    counted == View.STAGED ? asked.side().pending().orElse(enforced) : enforced;
            final int own = traffic.of(policies.hosts().program(chain, asked.peer()));
            passing = passing == traffic.notAnEndpoint() ? own : traffic.both(passing, own);
        }
        return passing;
    }

    private PeerFacts factsOf(final int identity) {
        return policies.facts(identity)
                .orElseThrow(() -> new IllegalStateException("no facts of " + identity));
    }

    private int allowed(final Optional<Side> side, final int peer, final String name) {
        if (side.isEmpty()) {
            return traffic.notAnEndpoint();
        }
        final Optional<RuleChain> chain = side.get().chain;
        final Optional<PeerFacts> facts = policies.facts(peer);
        if (name.isEmpty() || chain.isEmpty() || facts.isEmpty()) {
            return traffic.of(side.get().map.program(peer));
        }
        final PeerFacts learned = policies.learned(facts.get(), name);
        return traffic.of(chain.get().program(chain.get().matching(learned), learned.ports()));
    }
}
