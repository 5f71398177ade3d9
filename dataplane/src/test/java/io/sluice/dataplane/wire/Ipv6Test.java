package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

final class Ipv6Test {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;
    private static final long FD00 = 0xfd00_0000_0000_0000L;

    @Test
    void readsEveryField() {
        final MemorySegment frame = Samples.frame(Samples.TCP6);

        assertThat(Ipv6.check(frame, L3, 63)).isEqualTo(WireFault.NONE);
        assertThat(Ipv6.payloadLength(frame, L3)).isEqualTo(23);
        assertThat(Ipv6.nextHeader(frame, L3)).isEqualTo(IpProtocol.TCP);
        assertThat(Ipv6.hopLimit(frame, L3)).isEqualTo(64);
        assertThat(Ipv6.sourceHigh(frame, L3)).isEqualTo(FD00);
        assertThat(Ipv6.sourceLow(frame, L3)).isEqualTo(5);
        assertThat(Ipv6.destinationHigh(frame, L3)).isEqualTo(FD00);
        assertThat(Ipv6.destinationLow(frame, L3)).isEqualTo(9);
        assertThat(
                        Checksum.isValid(
                                Checksum.add(
                                        Ipv6.pseudoHeaderSum(frame, L3, IpProtocol.TCP, 23),
                                        Checksum.sum(frame, L3 + 40, 23))))
                .isTrue();
    }

    @Test
    void loweringTheHopLimitChangesNothingElse() {
        final MemorySegment frame = Samples.frame(Samples.TCP6);

        Ipv6.decrementHopLimit(frame, L3);

        assertThat(Ipv6.hopLimit(frame, L3)).isEqualTo(63);
        Ipv6.setHopLimit(frame, L3, 64);
        assertThat(Samples.hex(frame, 87)).isEqualTo(Samples.hex(Samples.TCP6));
    }

    @Test
    void lengthsAndVersionThatContradictTheFrameAreRefused() {
        final MemorySegment frame = Samples.frame(Samples.TCP6);
        assertThat(Ipv6.check(frame, L3, 39)).isEqualTo(WireFault.TRUNCATED);
        assertThat(Ipv6.check(frame, L3, 62)).isEqualTo(WireFault.BAD_TOTAL_LENGTH);
        assertThat(Ipv6.checkQuoted(frame, L3, 48)).isEqualTo(WireFault.NONE);

        BigEndian.put8(frame, L3, 0x45);
        assertThat(Ipv6.check(frame, L3, 63)).isEqualTo(WireFault.BAD_VERSION);
    }

    @Test
    void anIpv4AddressInAnIpv6HeaderIsRefusedAtEitherEnd() {
        for (final int at : new int[] {8, 24}) {
            final MemorySegment frame = Samples.frame(Samples.TCP6);
            BigEndian.put64(frame, L3 + at, 0);
            BigEndian.put64(frame, L3 + at + 8, 0x0000_ffff_0a00_0005L);
            assertThat(Ipv6.check(frame, L3, 63)).isEqualTo(WireFault.MAPPED_ADDRESS);
            assertThat(Ipv6.checkQuoted(frame, L3, 63)).isEqualTo(WireFault.MAPPED_ADDRESS);
        }
    }

    @Test
    void jumbogramsAreRefused() {
        final MemorySegment frame = Samples.frame(Samples.UDP6_EXTENSIONS);
        BigEndian.put16(frame, L3 + 4, 0);

        assertThat(Ipv6.check(frame, L3, 74)).isEqualTo(WireFault.JUMBO_PAYLOAD);
    }

    @Test
    void addressScopesEndWhereTheirPrefixesEnd() {
        assertThat(Ipv6.isMulticast(0xff02_0000_0000_0000L)).isTrue();
        assertThat(Ipv6.isMulticast(0xfeff_ffff_ffff_ffffL)).isFalse();
        assertThat(Ipv6.isLinkLocal(0xfe80_0000_0000_0000L)).isTrue();
        assertThat(Ipv6.isLinkLocal(0xfebf_ffff_ffff_ffffL)).isTrue();
        assertThat(Ipv6.isLinkLocal(0xfec0_0000_0000_0000L)).isFalse();
        assertThat(Ipv6.isUnspecified(0, 0)).isTrue();
        assertThat(Ipv6.isUnspecified(0, 1)).isFalse();
        assertThat(Ipv6.isLoopback(0, 1)).isTrue();
        assertThat(Ipv6.isLoopback(1, 1)).isFalse();
    }
}
