package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

final class ArpTest {
    private static final int ETHERNET = VnetHeader.BYTES;
    private static final int ARP = ETHERNET + Ethernet.BYTES;

    @Test
    void readsARequest() {
        final MemorySegment frame = Samples.frame(Samples.ARP_REQUEST);

        assertThat(Arp.check(frame, ARP, 28)).isEqualTo(WireFault.NONE);
        assertThat(Arp.operation(frame, ARP)).isEqualTo(Arp.REQUEST);
        assertThat(Arp.senderMac(frame, ARP)).isEqualTo(Samples.POD_MAC);
        assertThat(Arp.senderAddress(frame, ARP)).isEqualTo(0x0a000005);
        assertThat(Arp.targetMac(frame, ARP)).isZero();
        assertThat(Arp.targetAddress(frame, ARP)).isEqualTo(0xa9fe0101);
        assertThat(Arp.isDuplicateAddressProbe(frame, ARP)).isFalse();
    }

    @Test
    void aRequestBecomesItsReply() {
        final MemorySegment frame = Samples.frame(Samples.ARP_REQUEST);
        VnetHeader.setNeedsChecksum(frame, 0, 34, 6);

        Arp.turnIntoReply(frame, ETHERNET, Samples.SWITCH_MAC);

        assertThat(Samples.hex(frame, 52)).isEqualTo(Samples.hex(Samples.ARP_REPLY));
        assertThat(VnetHeader.flags(frame, 0)).isZero();
    }

    @Test
    void aRequestWithoutSenderAddressIsAProbe() {
        final MemorySegment frame = Samples.frame(Samples.ARP_REQUEST);
        BigEndian.put32(frame, ARP + 14, 0);

        assertThat(Arp.isDuplicateAddressProbe(frame, ARP)).isTrue();
    }

    @Test
    void otherHardwareProtocolsAndLengthsAreRefused() {
        for (final int at : new int[] {0, 1, 2, 3, 4, 5}) {
            final MemorySegment frame = Samples.frame(Samples.ARP_REQUEST);
            BigEndian.put8(frame, ARP + at, BigEndian.u8(frame, ARP + at) + 1);
            assertThat(Arp.check(frame, ARP, 28)).as("byte %d", at).isEqualTo(WireFault.BAD_ARP);
        }
    }

    @Test
    void aGroupCannotBeTheSender() {
        final MemorySegment frame = Samples.frame(Samples.ARP_REQUEST);
        BigEndian.put48(frame, ARP + 8, Ethernet.BROADCAST);

        assertThat(Arp.check(frame, ARP, 28)).isEqualTo(WireFault.BAD_ARP);
    }
}
