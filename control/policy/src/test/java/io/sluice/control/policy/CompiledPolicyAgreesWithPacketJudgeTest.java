package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

final class CompiledPolicyAgreesWithPacketJudgeTest {
    private static final int WORLDS = 120;

    private record Traffic(String protocol, String port, int number, int portNumber) {}

    private static final List<Traffic> TRAFFIC =
            List.of(
                    new Traffic("TCP", "79", IpProtocol.TCP, 79),
                    new Traffic("TCP", "80", IpProtocol.TCP, 80),
                    new Traffic("TCP", "81", IpProtocol.TCP, 81),
                    new Traffic("TCP", "82", IpProtocol.TCP, 82),
                    new Traffic("UDP", "80", IpProtocol.UDP, 80),
                    new Traffic("UDP", "81", IpProtocol.UDP, 81),
                    new Traffic("SCTP", "80", IpProtocol.SCTP, 80),
                    new Traffic("ICMP", "", IpProtocol.ICMP, 8 << 8),
                    new Traffic("ICMPv6", "", IpProtocol.ICMPV6, 128 << 8),
                    new Traffic("47", "", 47, 0));

    @Test
    void everyPacketOfEveryRandomWorldGetsTheVerdictOfItsRules() throws ProbeException {
        int allowed = 0;
        int denied = 0;
        for (int seed = 0; seed < WORLDS; seed++) {
            final String manifests = RandomWorld.manifests(seed);
            final ReadResult read = ManifestReader.read("seed-" + seed, manifests);
            assertThat(read.problems()).filteredOn(Problem::isError).as(manifests).isEmpty();
            final World world = World.of(read.objects());
            final PacketJudge judge = new PacketJudge(world);
            final PolicyEvaluator evaluator =
                    new PolicyEvaluator(
                            world,
                            PolicyCompiler.compile(
                                    world, new IdentityAllocator(), PolicyOptions.DEFAULTS));
            for (final PacketJudge.Packet packet : packets(world)) {
                final Traffic traffic = TRAFFIC.get(trafficOf(packet));
                final boolean seen =
                        evaluator
                                .evaluate(
                                        Probe.of(
                                                packet.from().toString(),
                                                packet.to().toString(),
                                                traffic.protocol,
                                                traffic.port))
                                .allowed();
                final boolean expected = judge.allows(packet);
                assertThat(seen)
                        .as("seed %d: %s %s%n%s", seed, packet, traffic, manifests)
                        .isEqualTo(expected);
                allowed += expected ? 1 : 0;
                denied += expected ? 0 : 1;
            }
        }
        // A generator that only makes worlds where everything passes would prove nothing.
        assertThat(allowed).isGreaterThan(10_000);
        assertThat(denied).isGreaterThan(10_000);
    }

    private static List<PacketJudge.Packet> packets(final World world) {
        final Set<IpAddress> addresses = new TreeSet<>();
        world.pods().forEach(pod -> addresses.addAll(pod.addresses()));
        RandomWorld.OUTSIDE.forEach(text -> addresses.add(IpAddress.parse(text).orElseThrow()));
        addresses.add(IpAddress.parse(RandomWorld.NODE_ADDRESS).orElseThrow());
        final List<PacketJudge.Packet> packets = new ArrayList<>();
        for (final IpAddress from : addresses) {
            for (final IpAddress to : addresses) {
                final boolean judged =
                        from.isIpv4() == to.isIpv4()
                                && (world.podAt(from).isPresent() || world.podAt(to).isPresent());
                for (final Traffic traffic : TRAFFIC) {
                    final boolean ofOtherFamily =
                            traffic.number == (to.isIpv4() ? IpProtocol.ICMPV6 : IpProtocol.ICMP);
                    if (judged && !ofOtherFamily) {
                        packets.add(
                                new PacketJudge.Packet(
                                        from, to, traffic.number, traffic.portNumber));
                    }
                }
            }
        }
        return packets;
    }

    private static int trafficOf(final PacketJudge.Packet packet) {
        for (int i = 0; i < TRAFFIC.size(); i++) {
            if (TRAFFIC.get(i).number == packet.protocol()
                    && TRAFFIC.get(i).portNumber == packet.port()) {
                return i;
            }
        }
        throw new AssertionError(packet);
    }
}
