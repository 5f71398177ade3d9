package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.HostEndpoint;
import io.sluice.control.policy.Question.Host;
import io.sluice.control.policy.Question.Packet;
import io.sluice.control.policy.Question.PacketEnd;
import io.sluice.control.policy.TierJudge.TierEnd;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * What nodes say about packets of their own and about those that they forward, step by step as the
 * packet goes through them. Read {@link #judge(Packet, PacketEnd, PacketEnd)} first.
 *
 * <p>From Calico's documentation (reference/host-endpoints/summary, pre-dnat and forwarded;
 * reference/resources/hostendpoint) and, where that is silent, from the chains that Felix writes
 * (felix/rules/static.go, dispatch.go, endpoints.go). A host endpoint of all interfaces is that of
 * the pods' interfaces, too, and of the loopback; one of a named interface is not.
 *
 * <p>From Cilium's (Documentation/security/policy/host.rst, bpf/lib/host_firewall.h): host policies
 * are about packets from and to addresses of the node, whatever the other end is, and never about
 * those that it forwards.
 *
 * <p>Which interface has an address is known of those only that expect it. So these conventions,
 * which are Sluice's: an address belongs to the first by name of the node's host endpoints of an
 * interface that expect it; else to that of all interfaces; else to the first of an interface which
 * expects no address. A node forwards through the interface of its first address.
 */
final class HostJudge {
    private record Port(int protocol, int number) {}

    /** FelixConfiguration failsafeInboundHostPorts and failsafeOutboundHostPorts by default. */
    private static final Set<Port> FAILSAFE_BOTH =
            Set.of(
                    new Port(IpProtocol.TCP, 179),
                    new Port(IpProtocol.TCP, 2379),
                    new Port(IpProtocol.TCP, 2380),
                    new Port(IpProtocol.TCP, 5473),
                    new Port(IpProtocol.TCP, 6443),
                    new Port(IpProtocol.TCP, 6666),
                    new Port(IpProtocol.TCP, 6667));

    private static final Set<Port> FAILSAFE_IN =
            Set.of(new Port(IpProtocol.TCP, 22), new Port(IpProtocol.UDP, 68));
    private static final Set<Port> FAILSAFE_OUT =
            Set.of(new Port(IpProtocol.UDP, 53), new Port(IpProtocol.UDP, 67));

    private final World world;
    private final Predicate<KubeObject.Node> spared;
    private final CalicoJudge calico;
    private final TierJudge untracked;
    private final TierJudge preDnat;
    private final TierJudge normal;
    private final TierJudge forward;

    /**
     * The nodes of a world.
     *
     * @param counts which policies of the world are there
     * @param spared nodes about which nothing is enforced
     */
    HostJudge(
            final World world,
            final Predicate<KubeObject.Policy> counts,
            final Predicate<KubeObject.Node> spared) {
        this.world = world;
        this.spared = spared;
        this.calico = new CalicoJudge(world);
        this.untracked =
                new TierJudge(
                        world,
                        counts.and(
                                policy -> policy instanceof final CalicoPolicy c && c.doNotTrack()),
                        TierEnd.GOES_ON);
        this.preDnat =
                new TierJudge(
                        world,
                        counts.and(policy -> policy instanceof final CalicoPolicy c && c.preDnat()),
                        TierEnd.GOES_ON);
        this.normal =
                new TierJudge(world, counts.and(HostJudge::isNormal), TierEnd.BY_DEFAULT_ACTION);
        this.forward =
                new TierJudge(
                        world,
                        counts.and(HostJudge::isNormal)
                                .and(p -> p instanceof final CalicoPolicy c && c.applyOnForward()),
                        TierEnd.BY_DEFAULT_ACTION);
    }

    /** Whether it is of the filter table: all policies that endpoints have are. */
    static boolean isNormal(final KubeObject.Policy policy) {
        return !(policy instanceof final CalicoPolicy c && (c.doNotTrack() || c.preDnat()));
    }

    /** What the nodes on the way say, all of which must let it pass. */
    List<Ruling> judge(final Packet packet, final PacketEnd from, final PacketEnd to) {
        final List<Ruling> rulings = new ArrayList<>();
        final Set<String> nodes = new LinkedHashSet<>(List.of(from.nodeName(), to.nodeName()));
        for (final String node : nodes) {
            if (!node.isEmpty()) {
                new AtNode(packet, from, to, node, rulings).judge();
            }
        }
        return rulings;
    }

    /** One packet at one of the nodes on its way. */
    private final class AtNode {
        private final Packet packet;
        private final PacketEnd from;
        private final PacketEnd to;
        private final String name;
        private final List<Ruling> rulings;
        private final Optional<KubeObject.Node> node;
        private final List<HostEndpoint> endpoints;

        AtNode(
                final Packet packet,
                final PacketEnd from,
                final PacketEnd to,
                final String name,
                final List<Ruling> rulings) {
            this.packet = packet;
            this.from = from;
            this.to = to;
            this.name = name;
            this.rulings = rulings;
            this.node =
                    world.all(KubeObject.Node.class).stream()
                            .filter(n -> n.meta().name().equals(name))
                            .findFirst();
            this.endpoints =
                    world.all(HostEndpoint.class).stream()
                            .filter(endpoint -> endpoint.node().equals(name))
                            .sorted(Comparator.comparing(endpoint -> endpoint.meta().name()))
                            .toList();
        }

        void judge() {
            if (node.filter(spared).isPresent()) {
                return;
            }
            if (isHost(from) && isHost(to)) {
                all().ifPresent(
                                endpoint -> {
                                    send(endpoint, Optional.empty());
                                    deliver(endpoint, Optional.empty());
                                });
            } else if (isHost(from)) {
                final Optional<HostEndpoint> out = isPodHere(to) ? Optional.empty() : at(from);
                out.ifPresentOrElse(
                        endpoint -> send(endpoint, labels()), () -> cilium(PolicyDirection.EGRESS));
            } else if (isHost(to)) {
                final Optional<HostEndpoint> in = isPodHere(from) ? Optional.empty() : at(to);
                in.ifPresentOrElse(
                        endpoint -> deliver(endpoint, labels()),
                        () -> cilium(PolicyDirection.INGRESS));
                if (isPodHere(from)) {
                    all().ifPresent(this::receive);
                }
            } else {
                final Optional<HostEndpoint> in = isPodHere(from) ? all() : uplink();
                final Optional<HostEndpoint> out = isPodHere(to) ? all() : uplink();
                if (in.isPresent() && receive(in.get()) == Received.GOES_ON) {
                    forward(in.get(), PolicyDirection.INGRESS);
                }
                out.ifPresent(endpoint -> forward(endpoint, PolicyDirection.EGRESS));
            }
        }

        private Optional<Map<String, String>> labels() {
            return Optional.of(node.map(n -> n.meta().labels()).orElse(Map.of()));
        }

        private boolean isHost(final PacketEnd end) {
            return end.host().equals(name);
        }

        /** A pod that does not say where it is, is taken to be here. */
        private boolean isPodHere(final PacketEnd end) {
            return end.pod()
                    .filter(p -> p.nodeName().isEmpty() || p.nodeName().equals(name))
                    .isPresent();
        }

        private Optional<HostEndpoint> all() {
            return endpoints.stream().filter(HostJudge::isOfAll).findFirst();
        }

        private Optional<HostEndpoint> at(final PacketEnd end) {
            return at(end.address());
        }

        private Optional<HostEndpoint> at(final IpAddress address) {
            final Stream<HostEndpoint> named = endpoints.stream().filter(e -> !isOfAll(e));
            return named.filter(e -> e.expectedIps().contains(address))
                    .findFirst()
                    .or(this::all)
                    .or(
                            () ->
                                    endpoints.stream()
                                            .filter(e -> e.expectedIps().isEmpty())
                                            .findFirst());
        }

        private Optional<HostEndpoint> uplink() {
            final List<IpAddress> addresses =
                    node.map(KubeObject.Node::addresses).orElse(List.of());
            return addresses.isEmpty()
                    ? all().or(() -> endpoints.stream().findFirst())
                    : at(addresses.getFirst());
        }

        private enum Received {
            /** Denied, or allowed by a policy that later steps heed. */
            DECIDED,
            GOES_ON
        }

        /** Raw and mangle table, PREROUTING. */
        private Received receive(final HostEndpoint endpoint) {
            final Question question =
                    question(PolicyDirection.INGRESS, Optional.of(endpoint), Optional.empty());
            if (isFailsafe(PolicyDirection.INGRESS)) {
                return Received.GOES_ON;
            }
            // A host endpoint of all interfaces does not support untracked policy.
            if (!isOfAll(endpoint) && isFinal("untracked", untracked.judge(question))) {
                return Received.DECIDED;
            }
            return isFinal("preDNAT", preDnat.judge(question))
                    ? Received.DECIDED
                    : Received.GOES_ON;
        }

        /** A packet for the node itself. */
        private void deliver(
                final HostEndpoint endpoint, final Optional<Map<String, String>> nodeLabels) {
            if (isFailsafe(PolicyDirection.INGRESS)) {
                add("normal", Ruling.allow("failsafe"));
            } else if (receive(endpoint) == Received.GOES_ON) {
                filter(question(PolicyDirection.INGRESS, Optional.of(endpoint), nodeLabels));
            }
        }

        /** A packet of the node itself. */
        private void send(
                final HostEndpoint endpoint, final Optional<Map<String, String>> nodeLabels) {
            final Question question =
                    question(PolicyDirection.EGRESS, Optional.of(endpoint), nodeLabels);
            if (isFailsafe(PolicyDirection.EGRESS)) {
                add("normal", Ruling.allow("failsafe"));
            } else if (isOfAll(endpoint) || !isFinal("untracked", untracked.judge(question))) {
                filter(question);
            }
        }

        /** Filter table, INPUT and OUTPUT: tiers, profiles, denied. */
        private void filter(final Question question) {
            if (isFinal("normal", normal.judge(question))) {
                return;
            }
            final HostEndpoint endpoint = ((Host) question.subject()).endpoint().orElseThrow();
            for (final String profile : endpoint.profiles()) {
                if (isFinal("normal", judgeProfile(profile, question))) {
                    return;
                }
            }
            add("normal", Ruling.deny("end of profiles"));
        }

        private Ruling judgeProfile(final String profile, final Question question) {
            if (profile.equals("projectcalico-default-allow")) {
                return Ruling.allow("profile");
            }
            // felix/calc/active_rules_calculator.go: one that is not there denies.
            return world.all(CalicoPolicy.Profile.class).stream()
                    .filter(p -> p.meta().name().equals(profile))
                    .findFirst()
                    .map(p -> calico.judge(p, question))
                    .orElseGet(() -> Ruling.deny("profile"));
        }

        /** Filter table, FORWARD: tiers; what none of them denies goes on. */
        private void forward(final HostEndpoint endpoint, final PolicyDirection direction) {
            final Question question = question(direction, Optional.of(endpoint), Optional.empty());
            isFinal("forward", forward.judge(question));
        }

        /** Where there is no host endpoint there still is the host firewall of Cilium. */
        private void cilium(final PolicyDirection direction) {
            isFinal("cilium", normal.judge(question(direction, Optional.empty(), labels())));
        }

        private Question question(
                final PolicyDirection direction,
                final Optional<HostEndpoint> endpoint,
                final Optional<Map<String, String>> nodeLabels) {
            final boolean ingress = direction == PolicyDirection.INGRESS;
            return new Question(
                    packet,
                    direction,
                    new Host(endpoint, nodeLabels),
                    ingress ? to : from,
                    ingress ? from : to);
        }

        private boolean isFailsafe(final PolicyDirection direction) {
            final Port port = new Port(packet.protocol(), packet.port());
            return FAILSAFE_BOTH.contains(port)
                    || (direction == PolicyDirection.INGRESS ? FAILSAFE_IN : FAILSAFE_OUT)
                            .contains(port);
        }

        private boolean isFinal(final String step, final Ruling ruling) {
            return switch (ruling.kind()) {
                case ALLOW, DENY -> {
                    add(step, ruling);
                    yield true;
                }
                case PASS, NO_RULE, NOT_SELECTED -> false;
            };
        }

        private void add(final String step, final Ruling ruling) {
            rulings.add(new Ruling(ruling.kind(), "node/" + step + "/" + ruling.by()));
        }
    }

    private static boolean isOfAll(final HostEndpoint endpoint) {
        return endpoint.interfaceName().equals("*");
    }
}
