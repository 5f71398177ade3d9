package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.World;
import io.sluice.dataplane.PacketFilter;
import io.sluice.dataplane.PacketFilter.Address;
import io.sluice.dataplane.PacketFilter.And;
import io.sluice.dataplane.PacketFilter.EtherType;
import io.sluice.dataplane.PacketFilter.Not;
import io.sluice.dataplane.PacketFilter.Or;
import io.sluice.dataplane.PacketFilter.PortNumber;
import io.sluice.dataplane.PacketFilter.Protocol;
import io.sluice.dataplane.PacketFilter.Side;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PacketExpressionTest {
    private static final World WORLD =
            World.of(
                    Manifests.read(
                            Manifests.pod(
                                            "web",
                                            "status: {podIPs: [{ip: 10.244.0.11}, {ip:"
                                                    + " \"fd00::11\"}]}")
                                    + "---\n"
                                    + Manifests.pod("late")));

    private static final Protocol TCP = new Protocol(6);
    private static final Protocol UDP = new Protocol(17);
    private static final PortNumber PORT_80 = new PortNumber(Side.EITHER, 80);

    private static Address address(final Side side, final String text) {
        final IpAddress address = IpAddress.parse(text).orElseThrow();
        return new Address(side, address.high(), address.low());
    }

    private static PacketFilter parse(final String text) {
        return PacketExpression.parse(text, WORLD);
    }

    static Stream<Arguments> expressions() {
        return Stream.of(
                Arguments.of("", new PacketFilter.All()),
                Arguments.of(" \t", new PacketFilter.All()),
                Arguments.of("tcp", TCP),
                Arguments.of("sctp", new Protocol(132)),
                Arguments.of("icmp", new Protocol(1)),
                Arguments.of("icmp6", new Protocol(58)),
                Arguments.of("arp", new EtherType(0x0806)),
                Arguments.of("ip", new EtherType(0x0800)),
                Arguments.of("ip6", new EtherType(0x86dd)),
                Arguments.of("port 80", PORT_80),
                Arguments.of("src port 80", new PortNumber(Side.SOURCE, 80)),
                Arguments.of("dst port 0", new PortNumber(Side.DESTINATION, 0)),
                Arguments.of("host 10.0.0.1", address(Side.EITHER, "10.0.0.1")),
                Arguments.of("10.0.0.1", address(Side.EITHER, "10.0.0.1")),
                Arguments.of("src 10.0.0.1", address(Side.SOURCE, "10.0.0.1")),
                Arguments.of("dst host fd00::1", address(Side.DESTINATION, "fd00::1")),
                Arguments.of(
                        "src pod shop/web",
                        new Or(
                                address(Side.SOURCE, "10.244.0.11"),
                                address(Side.SOURCE, "fd00::11"))),
                Arguments.of("tcp and port 80", new And(TCP, PORT_80)),
                Arguments.of("tcp && port 80", new And(TCP, PORT_80)),
                Arguments.of("tcp port 80", new And(TCP, PORT_80)),
                Arguments.of("tcp or udp", new Or(TCP, UDP)),
                Arguments.of("tcp||udp", new Or(TCP, UDP)),
                Arguments.of("not tcp", new Not(TCP)),
                Arguments.of("!tcp", new Not(TCP)),
                Arguments.of("not not tcp", new Not(new Not(TCP))),
                Arguments.of("tcp or udp and port 80", new Or(TCP, new And(UDP, PORT_80))),
                Arguments.of("(tcp or udp) and port 80", new And(new Or(TCP, UDP), PORT_80)),
                Arguments.of("(tcp or udp) port 80", new And(new Or(TCP, UDP), PORT_80)),
                Arguments.of("not tcp and udp", new And(new Not(TCP), UDP)),
                Arguments.of("not (tcp and udp)", new Not(new And(TCP, UDP))));
    }

    @ParameterizedTest
    @MethodSource("expressions")
    void meansWhatPcapWouldMean(final String text, final PacketFilter filter) {
        assertThat(parse(text)).isEqualTo(filter);
    }

    @ParameterizedTest
    @CsvSource({
        "tpc, 'position 1: \"tpc\": accepted: tcp, udp,'",
        "tcpp, did you mean tcp?",
        "tcp and, 'position 8: the text ends: accepted: tcp,'",
        "tcp udp), 'position 8: \")\": accepted: and, or, the end of the text'",
        "(tcp, 'position 5: the text ends: accepted: and, or, )'",
        "(tcp], 'position 2: \"tcp]\"'",
        "port http, 'position 6: \"http\": accepted: a number from 0 to 65535'",
        "port 65536, 'position 6: \"65536\"'",
        "port, 'position 5: the text ends: accepted: a number'",
        "host web, 'position 6: \"web\": accepted: an address as 10.0.0.1 or fd00::1'",
        "src, 'position 4: the text ends: accepted: host ADDRESS'",
        "src tcp, 'position 5: \"tcp\"'",
        "pod shop/wbe, 'position 5: there is no pod shop/wbe: did you mean shop/web?'",
        "pod web, 'there is no pod default/web'",
        "pod shop/late, 'position 5: \"shop/late\": the pod has no address yet'",
        "tcp & udp, 'position 5: \"&\"'",
        "tcp xor udp, 'position 5: \"xor\": accepted: and, or, the end of the text'",
        "or tcp, 'position 1: \"or\"'",
        "not, 'position 4: the text ends'",
        "(), 'position 2: \")\"'",
    })
    void namesThePositionAndWhatIsAccepted(final String text, final String message) {
        assertThatThrownBy(() -> parse(text))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> assertThat(e.reason()).isEqualTo(RequestException.Reason.INVALID))
                .hasMessageContaining("match: ")
                .hasMessageContaining(message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"(", "!", "not "})
    void refusesWhatNestsTooDeep(final String nesting) {
        final String close = nesting.equals("(") ? ")" : "";
        final int most = PacketExpression.DEPTH_MAX;
        assertThat(parse(nesting.repeat(most) + "tcp" + close.repeat(most))).isNotNull();
        assertThatThrownBy(() -> parse(nesting.repeat(most + 1) + "tcp" + close.repeat(most + 1)))
                .hasMessageContaining("nested deeper than 64");
    }

    @Test
    void refusesWhatIsTooLong() {
        final String most = "tcp ".repeat(PacketExpression.LENGTH_MAX / 4);
        assertThat(parse(most)).isNotNull();
        assertThatThrownBy(() -> parse(most + " ")).hasMessageContaining("4097 characters");
    }

    /** Any text is a filter or a refusal with a position in it. */
    @Test
    void anyTextIsAnswered() {
        final Random random = new Random(7);
        final String[] words = {
            "tcp",
            "udp",
            "and",
            "or",
            "not",
            "(",
            ")",
            "!",
            "src",
            "dst",
            "port",
            "80",
            "host",
            "10.0.0.1",
            "pod",
            "shop/web",
            "&&",
            "||",
            "&",
            "x",
            "\u00e4",
            "icmp6"
        };
        for (int i = 0; i < 20_000; i++) {
            final StringBuilder text = new StringBuilder();
            for (int word = random.nextInt(12); word > 0; word--) {
                text.append(words[random.nextInt(words.length)])
                        .append(random.nextBoolean() ? " " : "");
            }
            try {
                assertThat(parse(text.toString())).isNotNull();
            } catch (final RequestException e) {
                final String message = String.valueOf(e.getMessage());
                final int position =
                        Integer.parseInt(message.replaceFirst("match: position (\\d+): .*", "$1"));
                assertThat(position).as(text.toString()).isBetween(1, text.length() + 1);
            }
        }
    }
}
