package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Small and very large devices; TCP crosses as super-frames either way. */
@Tag("netns")
class MtuNetnsTest {
    private static final int CLIENT = 11;
    private static final int SERVER = 12;

    /** Headers of an unfragmented ping: 20 + 8 bytes over IPv4, 40 + 8 over IPv6. */
    private static final int PING_HEADER_IPV4 = 28;

    private static final int PING_HEADER_IPV6 = 48;

    @ParameterizedTest
    @ValueSource(ints = {1500, 65000})
    void framesOfTheWholeMtuAndBulkDataArriveIntact(final int mtu) {
        try (TestNode node = new TestNode("mtu: " + mtu)) {
            node.addPod("client", CLIENT);
            node.addPod("server", SERVER);
            node.startDaemon("client", "server");
            node.serve("server", "sum:8080", "udp:9000");

            assertThat(node.in("client", "ip", "-o", "link", "show", "dev", "eth0").output())
                    .contains("mtu " + mtu);
            assertThat(unfragmentedPing(node, mtu - PING_HEADER_IPV4, TestNode.ipv4(SERVER)))
                    .isTrue();
            assertThat(unfragmentedPing(node, mtu - PING_HEADER_IPV6, TestNode.ipv6(SERVER)))
                    .isTrue();
            assertThat(unfragmentedPing(node, mtu - PING_HEADER_IPV4 + 1, TestNode.ipv4(SERVER)))
                    .as("one byte too much")
                    .isFalse();
            for (final String address :
                    new String[] {TestNode.ipv4(SERVER), TestNode.ipv6(SERVER)}) {
                assertThat(node.peer("client", "sum", address, "8080", "20000000"))
                        .isEqualTo("same");
                assertThat(node.peer("client", "udp", address, "9000", "60000"))
                        .isEqualTo("answered");
            }
        }
    }

    private static boolean unfragmentedPing(
            final TestNode node, final int dataBytes, final String address) {
        final String size = Integer.toString(dataBytes);
        return node.in(
                                "client", "ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s",
                                size, address)
                        .exit()
                == 0;
    }
}
