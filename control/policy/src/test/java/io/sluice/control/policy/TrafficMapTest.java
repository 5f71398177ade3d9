package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class TrafficMapTest {
    private static final TrafficMap<Boolean> NOTHING = TrafficMap.always(false);
    private static final TrafficMap<Boolean> EVERYTHING = TrafficMap.always(true);

    private static TrafficMap<Boolean> ports(final int protocol, final int from, final int to) {
        return TrafficMap.box(protocol, from, to, 0, VerdictProgram.PORT_MAX);
    }

    private static TrafficMap<Boolean> union(
            final TrafficMap<Boolean> one, final TrafficMap<Boolean> other) {
        return one.combine(other, (a, b) -> a || b);
    }

    private static TrafficMap<Boolean> intersection(
            final TrafficMap<Boolean> one, final TrafficMap<Boolean> other) {
        return one.combine(other, (a, b) -> a && b);
    }

    private static TrafficMap<Boolean> difference(
            final TrafficMap<Boolean> one, final TrafficMap<Boolean> other) {
        return one.combine(other, (a, b) -> a && !b);
    }

    /** The slow truth: what a map says of one packet, read off its ranges one by one. */
    private static boolean contains(
            final TrafficMap<Boolean> set, final int protocol, final int port, final int source) {
        for (final TrafficMap.Range<List<TrafficMap.Range<Boolean>>> range : set.ports(protocol)) {
            for (final TrafficMap.Range<Boolean> sources : range.value()) {
                if (range.from() <= port
                        && port <= range.to()
                        && sources.from() <= source
                        && source <= sources.to()) {
                    return sources.value();
                }
            }
        }
        throw new AssertionError("not covered: " + protocol + " " + port + " " + source);
    }

    @Test
    void setsThatSayTheSameAreEqualHoweverTheyWereMade() {
        assertThat(union(ports(IpProtocol.TCP, 1, 5), ports(IpProtocol.TCP, 6, 9)))
                .isEqualTo(ports(IpProtocol.TCP, 1, 9));
        assertThat(
                        union(
                                TrafficMap.box(IpProtocol.UDP, 53, 53, 0, 1023),
                                TrafficMap.box(IpProtocol.UDP, 53, 53, 1024, 65535)))
                .isEqualTo(ports(IpProtocol.UDP, 53, 53));
        assertThat(difference(ports(IpProtocol.TCP, 1, 9), EVERYTHING)).isEqualTo(NOTHING);
        assertThat(
                        union(
                                difference(EVERYTHING, ports(IpProtocol.SCTP, 7, 7)),
                                ports(IpProtocol.SCTP, 7, 7)))
                .isEqualTo(EVERYTHING);
    }

    @Test
    void whatAProtocolHasNoPortsForDoesNotTellItsPacketsApart() {
        assertThat(TrafficMap.box(47, 0, 0, 0, 0)).isEqualTo(ports(47, 0, 65535));
        assertThat(ports(47, 80, 80)).isEqualTo(NOTHING);
        assertThat(TrafficMap.box(IpProtocol.ICMP, 2048, 2048, 0, 0))
                .isEqualTo(ports(IpProtocol.ICMP, 2048, 2048));
        assertThat(TrafficMap.box(IpProtocol.TCP, 80, 80, 0, 0))
                .isNotEqualTo(ports(IpProtocol.TCP, 80, 80));
    }

    @Test
    void aProtocolIsTakenFromAnotherMapOrForgotten() {
        final TrafficMap<Boolean> web = ports(IpProtocol.TCP, 80, 80);

        assertThat(EVERYTHING.withProtocol(IpProtocol.TCP, web).withoutProtocol(IpProtocol.TCP))
                .isEqualTo(EVERYTHING);
        assertThat(NOTHING.withProtocol(IpProtocol.TCP, web)).isEqualTo(web);
        assertThat(web.withProtocol(IpProtocol.TCP, NOTHING)).isEqualTo(NOTHING);
    }

    @Test
    void operationsOnRandomSetsAgreeWithThemPacketByPacket() {
        final Random random = new Random(1);
        for (int round = 0; round < 300; round++) {
            final TrafficMap<Boolean> one = random(random);
            final TrafficMap<Boolean> other = random(random);
            final TrafficMap<Boolean> union = union(one, other);
            final TrafficMap<Boolean> intersection = intersection(one, other);
            final TrafficMap<Boolean> difference = difference(one, other);
            for (final int protocol : List.of(IpProtocol.TCP, IpProtocol.UDP, IpProtocol.ICMP)) {
                for (int port = 0; port < 9; port++) {
                    for (int source = 0; source < 9; source++) {
                        final boolean inOne = contains(one, protocol, port, source);
                        final boolean inOther = contains(other, protocol, port, source);
                        assertThat(contains(union, protocol, port, source))
                                .isEqualTo(inOne || inOther);
                        assertThat(contains(intersection, protocol, port, source))
                                .isEqualTo(inOne && inOther);
                        assertThat(contains(difference, protocol, port, source))
                                .isEqualTo(inOne && !inOther);
                    }
                }
            }
            assertThat(union(difference, intersection)).isEqualTo(one);
        }
    }

    private static TrafficMap<Boolean> random(final Random random) {
        TrafficMap<Boolean> set = random.nextBoolean() ? NOTHING : EVERYTHING;
        for (int i = 0; i < 4; i++) {
            final int from = random.nextInt(8);
            final int source = random.nextInt(8);
            final TrafficMap<Boolean> box =
                    TrafficMap.box(
                            List.of(IpProtocol.TCP, IpProtocol.UDP, IpProtocol.ICMP)
                                    .get(random.nextInt(3)),
                            from,
                            from + random.nextInt(8 - from),
                            source,
                            source + random.nextInt(8 - source));
            set = random.nextBoolean() ? union(set, box) : difference(set, box);
        }
        return set;
    }

    @Test
    void textNamesPortsTypesSourcesAndWhatIsLeftOut() {
        final List<String> texts = new ArrayList<>();
        for (final TrafficMap<Boolean> set :
                List.of(
                        NOTHING,
                        EVERYTHING,
                        union(ports(IpProtocol.TCP, 80, 80), ports(IpProtocol.TCP, 8000, 8010)),
                        union(ports(IpProtocol.TCP, 0, 65535), ports(IpProtocol.UDP, 53, 53)),
                        difference(EVERYTHING, ports(IpProtocol.TCP, 22, 22)),
                        ports(47, 0, 0),
                        ports(IpProtocol.ICMP, 0, 65535),
                        ports(IpProtocol.ICMP, 8 << 8, (8 << 8) + 255),
                        ports(IpProtocol.ICMPV6, (3 << 8) + 4, (6 << 8) + 1),
                        union(
                                TrafficMap.box(IpProtocol.UDP, 53, 53, 1024, 65535),
                                ports(IpProtocol.UDP, 123, 123)))) {
            texts.add(TrafficText.of(set));
        }

        assertThat(texts)
                .containsExactly(
                        "No Connections",
                        "All Connections",
                        "TCP 80,8000-8010",
                        "TCP,UDP 53",
                        "All Connections except TCP 22",
                        "protocol 47",
                        "ICMP",
                        "ICMP type 8",
                        "ICMPv6 type 3 code 4-255,type 4-5,type 6 code 0-1",
                        "UDP 53 (source port 1024-65535),UDP 123");
    }
}
