package io.sluice.dataplane.port;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.entry;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class PodInterfaceTest {
    @Test
    void podWithBothFamiliesGetsHostAddressesAndOneGatewayPerFamily() {
        assertThat(pod("10.244.0.5", "fd00:10:244::5").lines())
                .containsExactly(
                        "link set dev lo up",
                        "addr replace 10.244.0.5/32 dev eth0",
                        "addr replace fd00:10:244::5/128 dev eth0 nodad",
                        "link set dev eth0 up",
                        "route replace 169.254.1.1 dev eth0 scope link",
                        "route replace default via 169.254.1.1 dev eth0",
                        "route replace default via fe80::1 dev eth0");
    }

    @Test
    void podWithOneFamilyHearsNothingOfTheOther() {
        assertThat(pod("10.244.0.5", null).lines()).noneMatch(line -> line.contains("::"));
        assertThat(pod("10.244.0.5", null).settings())
                .containsOnly(entry("net/ipv6/conf/eth0/disable_ipv6", "1"));
        assertThat(pod(null, "fd00::5").lines()).noneMatch(line -> line.contains("169.254"));
    }

    @Test
    void ipv6IsSwitchedOnAndDuplicateDetectionOffBeforeTheAddressIsGiven() {
        assertThat(pod(null, "fd00::5").settings())
                .containsEntry("net/ipv6/conf/eth0/disable_ipv6", "0")
                .containsEntry("net/ipv6/conf/eth0/accept_dad", "0");
    }

    @Test
    void podWithoutAddressIsRefused() {
        assertThatThrownBy(() -> pod(null, null))
                .hasMessage(
                        "device eth0: no address: give an IPv4 address, an IPv6 address or both");
    }

    private static PodInterface pod(final @Nullable String ipv4, final @Nullable String ipv6) {
        return new PodInterface("eth0", ipv4, ipv6, "169.254.1.1", "fe80::1");
    }
}
