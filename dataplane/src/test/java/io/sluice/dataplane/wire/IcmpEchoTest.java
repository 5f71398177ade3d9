package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class IcmpEchoTest {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;

    @Test
    void anIpv4RequestBecomesItsReply() {
        final MemorySegment frame = Samples.frame(Samples.ICMP4_ECHO);
        Ipv4.setTtl(frame, L3, 3);

        assertThat(IcmpEcho.turnIntoReplyIpv4(frame, 0, L3, L3 + 20)).isEqualTo(WireFault.NONE);

        assertThat(Samples.hex(frame, (int) frame.byteSize()))
                .isEqualTo(Samples.hex(Samples.ICMP4_ECHO_REPLY));
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

    @Test
    void aLargeRequestIsAnsweredFragmentByFragment() {
        // One request of 1,000 data bytes in two fragments; the reply must be right as a whole.
        final byte[] message = new byte[1008];
        new Random(8).nextBytes(message);
        message[0] = (byte) Icmp.ECHO_REQUEST;
        message[1] = 0;
        message[2] = 0;
        message[3] = 0;
        final MemorySegment request = MemorySegment.ofArray(message);
        BigEndian.put16(request, 2, Checksum.finish(Checksum.sum(request, 0, 1008)));

        final MemorySegment first = fragment(message, 0, 808, true);
        final MemorySegment last = fragment(message, 808, 200, false);
        assertThat(IcmpEcho.turnIntoReplyIpv4(first, 0, L3, L3 + 20)).isEqualTo(WireFault.NONE);
        IcmpEcho.turnLaterFragmentIpv4(last, 0, L3);

        final MemorySegment reply = MemorySegment.ofArray(new byte[1008]);
        MemorySegment.copy(first, L3 + 20, reply, 0, 808);
        MemorySegment.copy(last, L3 + 20, reply, 808, 200);
        assertThat(Icmp.type(reply, 0)).isEqualTo(Icmp.ECHO_REPLY);
        assertThat(Icmp.isChecksumValid(reply, 0, 1008)).isTrue();
        for (final MemorySegment part : new MemorySegment[] {first, last}) {
            assertThat(Ipv4.isChecksumValid(part, L3)).isTrue();
            assertThat(Ipv4.destination(part, L3)).isEqualTo(0x0a000005);
            assertThat(Ethernet.destination(part, 10)).isEqualTo(Samples.POD_MAC);
        }
    }

    private static MemorySegment fragment(
            final byte[] message, final int from, final int bytes, final boolean more) {
        final MemorySegment frame = MemorySegment.ofArray(new byte[L3 + 20 + bytes]);
        MemorySegment.copy(Samples.frame(Samples.ICMP4_ECHO), 0, frame, 0, L3 + 20);
        Ipv4.setFragment(frame, L3, 20, 20 + bytes, from, more);
        MemorySegment.copy(message, from, frame, ValueLayout.JAVA_BYTE, L3 + 20, bytes);
        return frame;
    }
}
