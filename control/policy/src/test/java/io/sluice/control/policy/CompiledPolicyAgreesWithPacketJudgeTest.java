package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.sluice.control.policy.Question.Packet;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
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
    private static final int PACKETS_PER_WORLD = 120;

    /** The port of a packet whose probe names none. */
    private static final int EPHEMERAL_PORT = 49_152;

    private record Traffic(int protocol, int port) {}

    private static final List<Traffic> TRAFFIC =
            List.of(
                    new Traffic(IpProtocol.TCP, 79),
                    new Traffic(IpProtocol.TCP, 80),
                    new Traffic(IpProtocol.TCP, 80),
                    new Traffic(IpProtocol.TCP, 81),
                    new Traffic(IpProtocol.TCP, 82),
                    new Traffic(IpProtocol.UDP, 80),
                    new Traffic(IpProtocol.UDP, 81),
                    new Traffic(IpProtocol.SCTP, 80),
                    new Traffic(47, 0));
    private static final List<Traffic> ICMP_TRAFFIC =
            List.of(
                    new Traffic(IpProtocol.ICMP, 8 * 256),
                    new Traffic(IpProtocol.ICMP, 3 * 256 + 1));
    private static final Traffic ICMPV6_ECHO = new Traffic(IpProtocol.ICMPV6, 128 * 256);

    @Test
    void everyPacketOfEveryRandomWorldGetsTheVerdictOfItsRules() {
        final Map<String, Integer> packetsByAuthor = new TreeMap<>();
        for (long seed = FIRST_SEED; seed < FIRST_SEED + WORLD_COUNT; seed++) {
            final String manifests = RandomWorld.manifests(seed);
            final Sides sides = new Sides(manifests);
            assertThat(sides.errors).as("seed %d%n%s", seed, manifests).isEmpty();
            for (final Packet packet : packets(sides.world, new Dice(seed))) {
                final PacketJudge.Answer answer = sides.judge.judge(packet);
                if (sides.evaluation(packet).allowed() != answer.allowed()) {
                    fail(report(seed, manifests, packet));
                }
                countAuthors(answer, packetsByAuthor);
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
                            "DENY end");
            assertThat(packetsByAuthor.values()).allMatch(count -> count >= WORLD_COUNT / 10);
        }
    }

    /** The engine and the judge over one world. */
    private static final class Sides {
        final List<Problem> errors;
        final World world;
        private final PacketJudge judge;
        private final PolicyEvaluator engine;

        Sides(final String manifests) {
            final ReadResult read = ManifestReader.read("world.yaml", manifests);
            this.errors = read.problems().stream().filter(Problem::isError).toList();
            this.world = World.of(read.objects());
            this.judge = PacketJudge.ofEnforced(world);
            this.engine =
                    new PolicyEvaluator(
                            world,
                            PolicyCompiler.compile(
                                    world, new IdentityAllocator(), PolicyOptions.DEFAULTS));
        }

        private Evaluation evaluation(final Packet packet) {
            try {
                return engine.evaluate(probe(packet));
            } catch (final ProbeException e) {
                throw new AssertionError(packet.toString(), e);
            }
        }
    }

    private static void countAuthors(
            final PacketJudge.Answer answer, final Map<String, Integer> packetsByAuthor) {
        for (final Ruling ruling : List.of(answer.egress(), answer.ingress())) {
            final String author = ruling.kind() + " " + ruling.by().split(" ", 2)[0];
            packetsByAuthor.merge(author, 1, Integer::sum);
        }
    }

    private static Probe probe(final Packet packet) {
        final boolean icmp = IpProtocol.isIcmp(packet.protocol());
        return new Probe(
                packet.from().toString(),
                packet.to().toString(),
                IpProtocol.nameOf(packet.protocol()),
                IpProtocol.hasPorts(packet.protocol()) ? Integer.toString(packet.port()) : "",
                icmp ? packet.port() / 256 : Probe.NOT_GIVEN,
                icmp ? packet.port() % 256 : Probe.NOT_GIVEN,
                Map.of());
    }

    private static String report(final long seed, final String manifests, final Packet packet) {
        final String minimal =
                MinimalCase.of(manifests, candidate -> isDisagreement(candidate, packet));
        final Sides sides = new Sides(minimal);
        final StringBuilder report = new StringBuilder();
        report.append("seed ").append(seed).append(": ").append(probe(packet)).append('\n');
        report.append("judge:  ").append(sides.judge.judge(packet)).append('\n');
        report.append("engine: ").append(sides.evaluation(packet)).append('\n');
        try {
            sides.engine
                    .explain(probe(packet))
                    .forEach(line -> report.append("  ").append(line).append('\n'));
        } catch (final ProbeException e) {
            throw new AssertionError(packet.toString(), e);
        }
        return report.append(minimal).toString();
    }

    private static boolean isDisagreement(final String manifests, final Packet packet) {
        final Sides sides = new Sides(manifests);
        final boolean judged =
                sides.world.podAt(packet.from()).isPresent()
                        || sides.world.podAt(packet.to()).isPresent();
        return judged
                && sides.errors.isEmpty()
                && sides.evaluation(packet).allowed() != sides.judge.judge(packet).allowed();
    }

    private static List<Packet> packets(final World world, final Dice dice) {
        final Set<IpAddress> pods = new TreeSet<>();
        world.pods().stream().filter(Pod::isEndpoint).forEach(pod -> pods.addAll(pod.addresses()));
        final Set<IpAddress> all = new TreeSet<>(pods);
        RandomWorld.OUTSIDE.forEach(text -> all.add(IpAddress.parse(text).orElseThrow()));
        RandomWorld.NODES.forEach(text -> all.add(IpAddress.parse(text).orElseThrow()));
        final List<Packet> packets = new ArrayList<>();
        while (packets.size() < PACKETS_PER_WORLD) {
            final IpAddress pod = dice.oneOf(List.copyOf(pods));
            final IpAddress other = dice.oneOf(List.copyOf(dice.percent(50) ? pods : all));
            final boolean self = world.podAt(pod).equals(world.podAt(other));
            if (pod.isIpv4() == other.isIpv4() && (!self || dice.percent(10))) {
                packets.add(dice.percent(50) ? packet(pod, other, dice) : packet(other, pod, dice));
            }
        }
        return packets;
    }

    private static Packet packet(final IpAddress from, final IpAddress to, final Dice dice) {
        final boolean icmp = dice.percent(15);
        final Traffic traffic =
                !icmp ? dice.oneOf(TRAFFIC) : to.isIpv4() ? dice.oneOf(ICMP_TRAFFIC) : ICMPV6_ECHO;
        return new Packet(
                from,
                to,
                traffic.protocol,
                traffic.port,
                IpProtocol.hasPorts(traffic.protocol) ? EPHEMERAL_PORT : 0);
    }
}
