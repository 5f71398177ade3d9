package io.sluice.dataplane.port;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.port.TapOptions.Lifetime;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class TapOptionsTest {
    private static final long MAC = 0x0253_4c00_0001L;

    @Test
    void macAddressIsWrittenAsPeopleWriteIt() {
        assertThat(options("eth0", MAC, 1500).macText()).isEqualTo("02:53:4c:00:00:01");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", ".", "..", "-x", "a b", "a/b", "sixteen-letters-", "eth0;x", "eth\n0"})
    void namesThatTheKernelOrIpWouldMisreadAreRefused(final String name) {
        assertThatThrownBy(() -> options(name, MAC, 1500))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("1 to 15");
    }

    @ParameterizedTest
    @ValueSource(longs = {0, -1, 0x0100_5e00_0001L, 0xffff_ffff_ffffL, 0x1_0253_4c00_0001L})
    void macAddressesThatNoDeviceCanHaveAreRefused(final long mac) {
        assertThatThrownBy(() -> options("eth0", mac, 1500))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("unicast");
    }

    @ParameterizedTest
    @ValueSource(ints = {67, 65_522, 0, -1})
    void mtuOutOfRangeIsRefusedWithTheRange(final int mtu) {
        assertThatThrownBy(() -> options("eth0", MAC, mtu))
                .hasMessage("device eth0: mtu " + mtu + " is out of range, 68 to 65521");
    }

    @ParameterizedTest
    @ValueSource(ints = {68, 65_521})
    void mtuAtItsLimitsIsAccepted(final int mtu) {
        assertThat(options("eth0", MAC, mtu).mtu()).isEqualTo(mtu);
    }

    private static TapOptions options(final String device, final long mac, final int mtu) {
        return new TapOptions(device, null, mac, mtu, Lifetime.PORT);
    }
}
