package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

final class EthernetTest {
    private static final int ETHERNET = VnetHeader.BYTES;

    @Test
    void readsAddressesAndType() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);

        assertThat(Ethernet.check(frame, ETHERNET, 14)).isEqualTo(WireFault.NONE);
        assertThat(Ethernet.check(frame, ETHERNET, 13)).isEqualTo(WireFault.TRUNCATED);
        assertThat(Ethernet.destination(frame, ETHERNET)).isEqualTo(Samples.SWITCH_MAC);
        assertThat(Ethernet.source(frame, ETHERNET)).isEqualTo(Samples.POD_MAC);
        assertThat(Ethernet.type(frame, ETHERNET)).isEqualTo(Ethernet.IPV4);
    }

    @Test
    void writesAddressesWithTheirHighBitsAndTypeBesideEachOther() {
        final MemorySegment frame = MemorySegment.ofArray(new byte[24]);

        Ethernet.setDestination(frame, ETHERNET, 0xfedc_ba98_7654L);
        Ethernet.setSource(frame, ETHERNET, 0x8000_0000_0001L);
        Ethernet.setType(frame, ETHERNET, Ethernet.VLAN_AD);

        assertThat(Samples.hex(frame, 24)).isEqualTo("fedcba98765480000000000188a8");
    }

    @Test
    void theGroupBitTellsMulticastFromOneStation() {
        assertThat(Ethernet.isMulticast(Ethernet.BROADCAST)).isTrue();
        assertThat(Ethernet.isMulticast(MacAddress.parse("33:33:00:00:00:01"))).isTrue();
        assertThat(Ethernet.isMulticast(MacAddress.parse("01:00:5e:00:00:fb"))).isTrue();
        assertThat(Ethernet.isMulticast(Samples.SWITCH_MAC)).isFalse();
    }

    @Test
    void macTextReadsBackAsItself() {
        assertThat(MacAddress.format(MacAddress.parse("02:53:4c:00:00:01")))
                .isEqualTo("02:53:4c:00:00:01");
        assertThat(MacAddress.format(MacAddress.parse("FE:DC:BA:98:76:50")))
                .isEqualTo("fe:dc:ba:98:76:50");
        assertThat(MacAddress.parse("02:53:4c:00:00:01")).isEqualTo(Samples.SWITCH_MAC);
    }

    @Test
    void otherMacTextIsRefusedWithWhatIsAccepted() {
        for (final String text :
                new String[] {
                    "",
                    "02:53:4c:00:00",
                    "2:53:4c:0:0:1",
                    "02-53-4c-00-00-01",
                    "02:53:4c:00:00:0g",
                    "02:53:4c:00:00:01:",
                    "02:53:4c:00:00:-1"
                }) {
            assertThatThrownBy(() -> MacAddress.parse(text))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("\"" + text + "\" is not a MAC address")
                    .hasMessageContaining("02:53:4c:00:00:01");
        }
    }
}
