package io.sluice.dnsproxy.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class AddressTest {
    @ParameterizedTest
    @CsvSource({
        "192.0.2.1, 192.0.2.1, true",
        "255.255.255.255, 255.255.255.255, true",
        "::ffff:192.0.2.1, 192.0.2.1, true",
        "::, ::, false",
        "::1, ::1, false",
        "2001:db8::1, 2001:db8::1, false",
        "2001:db8:0:0:1:0:0:1, 2001:db8::1:0:0:1, false",
        "2001:db8:0:1:1:1:1:1, 2001:db8:0:1:1:1:1:1, false",
        "fe80:0:0:0:1:0:0:0, fe80::1:0:0:0, false",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, false"
    })
    void printsCanonically(final String text, final String printed, final boolean isIpv4) {
        final Address address = Address.parse(text);
        assertThat(address).hasToString(printed);
        assertThat(address.isIpv4()).isEqualTo(isIpv4);
        assertThat(Address.of(address.octets())).isEqualTo(address);
        assertThat(Address.of(address.toInetAddress().getAddress())).isEqualTo(address);
    }

    @Test
    void hostNamesAreNoAddresses() {
        assertThatThrownBy(() -> Address.parse("localhost"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("localhost");
    }
}
