package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

final class IcmpEchoTest {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;

    @Test
    void anIpv4RequestBecomesItsReply() {
        final MemorySegment frame = Samples.frame(Samples.ICMP4_ECHO);
        Ipv4.setTtl(frame, L3, 3);
        BigEndian.put8(frame, 0, VnetHeader.DATA_VALID);

        assertThat(IcmpEcho.turnIntoReplyIpv4(frame, 0, L3, L3 + 20)).isEqualTo(WireFault.NONE);

        assertThat(Samples.hex(frame, (int) frame.byteSize()))
                .isEqualTo(Samples.hex(Samples.ICMP4_ECHO_REPLY));
        assertThat(VnetHeader.flags(frame, 0)).as("the kernel is to check it anew").isZero();
    }

    @Test
    void anIpv6RequestBecomesItsReply() {
        final MemorySegment frame = Samples.frame(Samples.ICMP6_ECHO);
        Ipv6.setHopLimit(frame, L3, 3);

        assertThat(IcmpEcho.turnIntoReplyIpv6(frame, 0, L3, L3 + 40)).isEqualTo(WireFault.NONE);

        assertThat(Samples.hex(frame, (int) frame.byteSize()))
                .isEqualTo(Samples.hex(Samples.ICMP6_ECHO_REPLY));
    }

    @Test
    void aPartialChecksumIsCompletedAndTheHeaderCleared() {
        final MemorySegment frame = Samples.frame(Samples.ICMP6_ECHO);
        VnetHeader.setNeedsChecksum(frame, 0, Ethernet.BYTES + 40, 2);
        BigEndian.put16(frame, L3 + 42, Ipv6.pseudoHeaderSum(frame, L3, IpProtocol.ICMP6, 15));

        assertThat(IcmpEcho.turnIntoReplyIpv6(frame, 0, L3, L3 + 40)).isEqualTo(WireFault.NONE);

        assertThat(Samples.hex(frame, (int) frame.byteSize()))
                .isEqualTo(Samples.hex(Samples.ICMP6_ECHO_REPLY));
        assertThat(frame.asSlice(0, 10).toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
    }

    @Test
    void aDamagedRequestBecomesADamagedReply() {
        final MemorySegment frame = Samples.frame(Samples.ICMP4_ECHO);
        BigEndian.put8(frame, frame.byteSize() - 1, 0x21);

        assertThat(IcmpEcho.turnIntoReplyIpv4(frame, 0, L3, L3 + 20)).isEqualTo(WireFault.NONE);

        assertThat(Icmp.isChecksumValid(frame, L3 + 20, 15)).isFalse();
        assertThat(Ipv4.isChecksumValid(frame, L3)).isTrue();
    }

    @Test
    void aSenselessChecksumPlaceLeavesTheFrameAlone() {
        final MemorySegment frame = Samples.frame(Samples.ICMP4_ECHO);
        VnetHeader.setNeedsChecksum(frame, 0, 60_000, 2);
        final byte[] before = frame.toArray(ValueLayout.JAVA_BYTE);

        assertThat(IcmpEcho.turnIntoReplyIpv4(frame, 0, L3, L3 + 20))
                .isEqualTo(WireFault.BAD_CHECKSUM_START);

        assertThat(frame.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(before);
    }
}
