package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.sluice.control.policy.Question.Packet;
import io.sluice.control.policy.Question.PacketEnd;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The compiled policy against {@link PacketJudge}, in random worlds of all kinds.
 *
 * <p>{@code -Dsluice.worlds=N} judges more worlds than a build does, {@code -Dsluice.seed=S} begins
 * with another one: the seed of a failure alone repeats it.
 */
final class CompiledPolicyAgreesWithPacketJudgeTest {
    private static final int WORLD_COUNT = Integer.getInteger("sluice.worlds", 2_000);
    private static final long FIRST_SEED = Long.getLong("sluice.seed", 0);
    private static final int PACKETS_PER_WORLD = 100;

    /** The port of a packet whose probe names none. */
    private static final int EPHEMERAL_PORT = 49_152;

    private record Transport(int protocol, int port) {}

    private static final List<Transport> TRAFFIC =
            List.of(
                    new Transport(IpProtocol.TCP, 79),
                    new Transport(IpProtocol.TCP, 80),
                    new Transport(IpProtocol.TCP, 80),
                    new Transport(IpProtocol.TCP, 81),
                    new Transport(IpProtocol.TCP, 82),
                    new Transport(IpProtocol.UDP, 80),
                    new Transport(IpProtocol.UDP, 81),
                    new Transport(IpProtocol.SCTP, 80),
                    new Transport(47, 0));

    /** To ports of which some are failsafe ports of host endpoints, in one direction or both. */
    private static final List<Transport> TRAFFIC_OF_NODES =
            List.of(
                    new Transport(IpProtocol.TCP, 22),
                    new Transport(IpProtocol.UDP, 22),
                    new Transport(IpProtocol.UDP, 53),
                    new Transport(IpProtocol.UDP, 67),
                    new Transport(IpProtocol.UDP, 68),
                    new Transport(IpProtocol.TCP, 179),
                    new Transport(IpProtocol.TCP, 2379),
                    new Transport(IpProtocol.TCP, 2380),
                    new Transport(IpProtocol.TCP, 5473),
                    new Transport(IpProtocol.TCP, 6443),
                    new Transport(IpProtocol.TCP, 6666),
                    new Transport(IpProtocol.TCP, 6667));

    private static final List<Transport> ICMP_TRAFFIC =
            List.of(
                    new Transport(IpProtocol.ICMP, 8 * 256),
                    new Transport(IpProtocol.ICMP, 3 * 256 + 1));
    private static final Transport ICMPV6_ECHO = new Transport(IpProtocol.ICMPV6, 128 * 256);

    @Test
    void everyPacketOfEveryRandomWorldGetsTheVerdictOfItsRules() {
        final Map<String, Integer> packetsByAuthor = new TreeMap<>();
        for (long seed = FIRST_SEED; seed < FIRST_SEED + WORLD_COUNT; seed++) {
            final Dice dice = new Dice(-seed - 1);
            final String manifests = RandomWorld.manifests(seed);
            final String before = dice.percent(50) ? "" : before(seed, manifests, dice);
            final ReadResult read = ManifestReader.read("world.yaml", manifests);
            assertThat(read.problems()).filteredOn(Problem::isError).as(manifests).isEmpty();
            final World world = World.of(read.objects());
            final List<Packet> packets = packets(world, dice);
            final Sides sides = new Sides(before, world);
            for (final Packet packet : packets) {
                if (!sides.complaint(packet).isEmpty()) {
                    fail(report(seed, before, manifests, packet));
                }
                countAuthors(sides.enforced.judge(packet), packetsByAuthor);
            }
        }
        System.out.println("random worlds: " + WORLD_COUNT + ", authors: " + packetsByAuthor);
        // A generator in whose worlds some kind never decides would prove nothing about it.
        if (WORLD_COUNT >= 1_000) {
            assertThat(packetsByAuthor.keySet())
                    .contains(
                            "ALLOW AdminNetworkPolicy",
                            "ALLOW BaselineAdminNetworkPolicy",
                            "ALLOW CiliumClusterwideNetworkPolicy",
                            "ALLOW CiliumNetworkPolicy",
                            "ALLOW ClusterNetworkPolicy",
                            "ALLOW GlobalNetworkPolicy",
                            "ALLOW NetworkPolicy",
                            "ALLOW NetworkPolicy.projectcalico.org",
                            "ALLOW default",
                            "ALLOW own",
                            "DENY AdminNetworkPolicy",
                            "DENY BaselineAdminNetworkPolicy",
                            "DENY CiliumClusterwideNetworkPolicy",
                            "DENY CiliumNetworkPolicy",
                            "DENY ClusterNetworkPolicy",
                            "DENY GlobalNetworkPolicy",
                            "DENY NetworkPolicy.projectcalico.org",
                            "DENY end",
                            "ALLOW node/cilium/CiliumClusterwideNetworkPolicy",
                            "ALLOW node/forward/GlobalNetworkPolicy",
                            "ALLOW node/normal/CiliumClusterwideNetworkPolicy",
                            "ALLOW node/normal/GlobalNetworkPolicy",
                            "ALLOW node/normal/Profile",
                            "ALLOW node/normal/failsafe",
                            "ALLOW node/preDNAT/GlobalNetworkPolicy",
                            "ALLOW node/untracked/GlobalNetworkPolicy",
                            "DENY node/cilium/CiliumClusterwideNetworkPolicy",
                            "DENY node/cilium/end",
                            "DENY node/forward/GlobalNetworkPolicy",
                            "DENY node/forward/end",
                            "DENY node/normal/CiliumClusterwideNetworkPolicy",
                            "DENY node/normal/GlobalNetworkPolicy",
                            "DENY node/normal/Profile",
                            "DENY node/normal/end",
                            "DENY node/normal/profile",
                            "DENY node/preDNAT/GlobalNetworkPolicy",
                            "DENY node/untracked/GlobalNetworkPolicy");
            // Nodes are spoken of in fewer worlds, and step by step.
            packetsByAuthor.forEach(
                    (author, count) ->
                            assertThat(count)
                                    .as(author)
                                    .isGreaterThanOrEqualTo(
                                            WORLD_COUNT / (author.contains("node/") ? 200 : 10)));
        }
    }

    /** A world which shares most objects with the next one, and has others of their names. */
    private static String before(final long seed, final String manifests, final Dice dice) {
        final List<String> documents = new ArrayList<>();
        for (final String document : manifests.split("---\n", -1)) {
            if (dice.percent(75)) {
                documents.add(document);
            }
        }
        for (final String document : RandomWorld.manifests(~seed).split("---\n", -1)) {
            if (dice.percent(25)) {
                documents.add(document);
            }
        }
        return String.join("---\n", documents);
    }

    /** The engine and the judges over one world. */
    private static final class Sides {
        final PacketJudge enforced;
        private final World world;
        private final PacketJudge audited;
        private final PacketJudge staged;

        /** Empty if the compiler failed, for which {@link #failure} is the reason. */
        private Optional<PolicyEvaluator> engine = Optional.empty();

        private String failure = "";

        /**
         * Both sides over a world.
         *
         * @param before manifests of the world that the compiler saw before; empty for none
         * @param world the world
         */
        Sides(final String before, final World world) {
            this.world = world;
            this.enforced = PacketJudge.ofEnforced(world);
            this.audited = PacketJudge.ofEnforcedAndAudited(world);
            this.staged = PacketJudge.ofEnforcedAndStaged(world);
            final PolicyCompiler compiler =
                    new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
            try {
                if (!before.isEmpty()) {
                    compiler.update(World.of(ManifestReader.read("before.yaml", before).objects()));
                }
                engine = Optional.of(new PolicyEvaluator(world, compiler.update(world)));
            } catch (final RuntimeException e) {
                failure =
                        "the compiler fails: "
                                + e
                                + Stream.of(e.getStackTrace())
                                        .limit(5)
                                        .map(frame -> "\n  at " + frame)
                                        .collect(Collectors.joining());
            }
        }

        /** What engine and judges say differently about a packet; empty if nothing. */
        String complaint(final Packet packet) {
            if (engine.isEmpty()) {
                return failure;
            }
            final PacketJudge.Answer answer = enforced.judge(packet);
            if (!isAsked(packet)) {
                return answer.nodes().isEmpty() ? "" : "judge, of nodes: " + answer.nodes();
            }
            final Evaluation seen = evaluation(packet);
            if (seen.allowed() != answer.allowed()) {
                return "judge, of what is enforced: " + answer;
            }
            final PacketJudge.Answer unaudited = audited.judge(packet);
            final boolean audit = answer.allowed() && !unaudited.allowed();
            if (audit != (seen.verdict() == Evaluation.Verdict.AUDIT)) {
                return "judge, without audit: " + unaudited;
            }
            final PacketJudge.Answer unstaged = staged.judge(packet);
            final boolean pending =
                    seen.pending().map(Evaluation.Pending::allowed).orElse(seen.allowed());
            return pending == unstaged.allowed() ? "" : "judge, with what is staged: " + unstaged;
        }

        /** Packets between nodes that no policy speaks of are no question to the engine. */
        private boolean isAsked(final Packet packet) {
            if (world.podAt(packet.from()).isPresent() || world.podAt(packet.to()).isPresent()) {
                return true;
            }
            try {
                engine.orElseThrow().evaluate(probe(packet));
                return true;
            } catch (final ProbeException e) {
                return !String.valueOf(e.getMessage()).endsWith("no policy applies between them");
            }
        }

        Evaluation evaluation(final Packet packet) {
            try {
                return engine.orElseThrow().evaluate(probe(packet));
            } catch (final ProbeException e) {
                throw new AssertionError(packet.toString(), e);
            }
        }

        List<String> explanation(final Packet packet) {
            try {
                return engine.orElseThrow().explain(probe(packet)).lines();
            } catch (final ProbeException e) {
                throw new AssertionError(packet.toString(), e);
            }
        }
    }

    private static void countAuthors(
            final PacketJudge.Answer answer, final Map<String, Integer> packetsByAuthor) {
        answer.rulings()
                .map(ruling -> ruling.kind() + " " + ruling.by().split(" ", 2)[0])
                .forEach(author -> packetsByAuthor.merge(author, 1, Integer::sum));
    }

    private static Probe probe(final Packet packet) {
        final boolean ports = IpProtocol.hasPorts(packet.protocol());
        final boolean icmp = IpProtocol.isIcmp(packet.protocol());
        return new Probe(
                packet.from().toString(),
                packet.to().toString(),
                IpProtocol.nameOf(packet.protocol()),
                ports ? Integer.toString(packet.port()) : "",
                packet.sourcePort() == EPHEMERAL_PORT || !ports
                        ? Probe.NOT_GIVEN
                        : packet.sourcePort(),
                icmp ? packet.port() / 256 : Probe.NOT_GIVEN,
                icmp ? packet.port() % 256 : Probe.NOT_GIVEN,
                Map.of());
    }

    private static String report(
            final long seed, final String before, final String manifests, final Packet packet) {
        final boolean atOnce = isWrong("", manifests, packet);
        final String minimal =
                MinimalCase.of(manifests, cut -> isWrong(atOnce ? "" : before, cut, packet));
        final String minimalBefore =
                atOnce ? "" : MinimalCase.of(before, cut -> isWrong(cut, minimal, packet));
        final Sides sides =
                new Sides(
                        minimalBefore,
                        World.of(ManifestReader.read("world.yaml", minimal).objects()));
        final StringBuilder report = new StringBuilder();
        report.append("seed ").append(seed).append(": ").append(probe(packet)).append('\n');
        report.append(sides.complaint(packet)).append('\n');
        if (sides.engine.isPresent()) {
            report.append("engine: ").append(sides.evaluation(packet)).append('\n');
            sides.explanation(packet)
                    .forEach(line -> report.append("  ").append(line).append('\n'));
        }
        report.append(minimal);
        if (!atOnce) {
            report.append("but only if the compiler saw this before:\n").append(minimalBefore);
        }
        return report.toString();
    }

    private static boolean isWrong(
            final String before, final String manifests, final Packet packet) {
        final ReadResult read = ManifestReader.read("world.yaml", manifests);
        final World world = World.of(read.objects());
        return read.problems().stream().noneMatch(Problem::isError)
                && !(isOutside(packet.from(), world) && isOutside(packet.to(), world))
                && !new Sides(before, world).complaint(packet).isEmpty();
    }

    private static boolean isOutside(final IpAddress address, final World world) {
        final PacketEnd end = PacketEnd.at(address, world);
        return end.pod().isEmpty() && end.host().isEmpty();
    }

    private static List<Packet> packets(final World world, final Dice dice) {
        final Set<IpAddress> pods = new TreeSet<>();
        world.pods().stream().filter(Pod::isEndpoint).forEach(pod -> pods.addAll(pod.addresses()));
        final Set<IpAddress> nodes = new TreeSet<>();
        world.all(KubeObject.Node.class).forEach(node -> nodes.addAll(node.addresses()));
        world.all(CalicoPolicy.HostEndpoint.class)
                .forEach(endpoint -> nodes.addAll(endpoint.expectedIps()));
        final Set<IpAddress> all = new TreeSet<>(pods);
        all.addAll(nodes);
        RandomWorld.OUTSIDE.forEach(text -> all.add(IpAddress.parse(text).orElseThrow()));
        RandomWorld.SECOND_INTERFACES.forEach(text -> all.add(IpAddress.parse(text).orElseThrow()));
        final boolean hosts = !world.all(CalicoPolicy.HostEndpoint.class).isEmpty();
        final List<Packet> packets = new ArrayList<>();
        while (packets.size() < PACKETS_PER_WORLD) {
            final IpAddress one =
                    dice.oneOf(List.copyOf(dice.percent(hosts ? 50 : 10) ? nodes : pods));
            final IpAddress other = dice.oneOf(List.copyOf(dice.percent(40) ? pods : all));
            final boolean self =
                    world.podAt(one).isPresent() && world.podAt(one).equals(world.podAt(other));
            if (one.isIpv4() == other.isIpv4() && (!self || dice.percent(10))) {
                packets.add(dice.percent(50) ? packet(one, other, dice) : packet(other, one, dice));
            }
        }
        return packets;
    }

    private static Packet packet(final IpAddress from, final IpAddress to, final Dice dice) {
        final boolean icmp = dice.percent(15);
        final Transport transport =
                !icmp
                        ? dice.oneOf(dice.percent(85) ? TRAFFIC : TRAFFIC_OF_NODES)
                        : to.isIpv4() ? dice.oneOf(ICMP_TRAFFIC) : ICMPV6_ECHO;
        return new Packet(
                from,
                to,
                transport.protocol,
                transport.port,
                !IpProtocol.hasPorts(transport.protocol)
                        ? 0
                        : dice.percent(75)
                                ? EPHEMERAL_PORT
                                : dice.oneOf(List.of(80, 81, 1024, 49_500, 50_001)));
    }
}
