package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

final class Ipv4Test {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;

    @Test
    void readsEveryField() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);

        assertThat(Ipv4.check(frame, L3, 33)).isEqualTo(WireFault.NONE);
        assertThat(Ipv4.headerLength(frame, L3)).isEqualTo(20);
        assertThat(Ipv4.totalLength(frame, L3)).isEqualTo(33);
        assertThat(Ipv4.id(frame, L3)).isEqualTo(0x1234);
        assertThat(Ipv4.dontFragment(frame, L3)).isFalse();
        assertThat(Ipv4.moreFragments(frame, L3)).isFalse();
        assertThat(Ipv4.isFragment(frame, L3)).isFalse();
        assertThat(Ipv4.ttl(frame, L3)).isEqualTo(64);
        assertThat(Ipv4.protocol(frame, L3)).isEqualTo(IpProtocol.UDP);
        assertThat(Ipv4.source(frame, L3)).isEqualTo(0x0a000005);
        assertThat(Ipv4.destination(frame, L3)).isEqualTo(0x0a000009);
        assertThat(Ipv4.isChecksumValid(frame, L3)).isTrue();
        assertThat(Ipv4.hasOptions(frame, L3)).isFalse();
        assertThat(Ipv4.dontFragment(Samples.frame(Samples.TCP4_SYN), L3)).isTrue();
    }

    @Test
    void readsThePlaceOfAFragment() {
        final MemorySegment first = Samples.frame(Samples.UDP4_FIRST_FRAGMENT);
        final MemorySegment last = Samples.frame(Samples.UDP4_LAST_FRAGMENT);

        assertThat(Ipv4.check(first, L3, 92)).isEqualTo(WireFault.NONE);
        assertThat(Ipv4.isFragment(first, L3)).isTrue();
        assertThat(Ipv4.moreFragments(first, L3)).isTrue();
        assertThat(Ipv4.fragmentOffsetBytes(first, L3)).isZero();
        assertThat(Ipv4.check(last, L3, 33)).isEqualTo(WireFault.NONE);
        assertThat(Ipv4.isFragment(last, L3)).isTrue();
        assertThat(Ipv4.moreFragments(last, L3)).isFalse();
        assertThat(Ipv4.fragmentOffsetBytes(last, L3)).isEqualTo(72);
    }

    @Test
    void aFlippedBitMakesTheChecksumInvalid() {
        for (int bit = 0; bit < 160; bit++) {
            final MemorySegment frame = Samples.frame(Samples.UDP4);
            flip(frame, L3 + bit / 8, 1 << bit % 8);
            if (Ipv4.check(frame, L3, 33) == WireFault.NONE) {
                assertThat(Ipv4.isChecksumValid(frame, L3)).as("bit %d", bit).isFalse();
            }
        }
    }

    @Test
    void loweringTheTtlKeepsTheChecksumRightAtEveryValue() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);
        Ipv4.setTtl(frame, L3, 255);
        for (int ttl = 255; ttl > 0; ttl--) {
            assertThat(Ipv4.ttl(frame, L3)).isEqualTo(ttl);
            assertThat(Ipv4.isChecksumValid(frame, L3)).as("ttl %d", ttl).isTrue();
            Ipv4.decrementTtl(frame, L3);
        }
        assertThat(Ipv4.ttl(frame, L3)).isZero();
        assertThat(Ipv4.protocol(frame, L3)).isEqualTo(IpProtocol.UDP);
    }

    @Test
    void writingAnAddressAndTheChecksumGivesAValidHeader() {
        final MemorySegment frame = Samples.frame(Samples.UDP4_OPTIONS);
        Ipv4.setSource(frame, L3, 0xc0a80001);
        Ipv4.setDestination(frame, L3, 0xc0a800c7);
        assertThat(Ipv4.isChecksumValid(frame, L3)).isFalse();

        Ipv4.writeChecksum(frame, L3);

        assertThat(Ipv4.isChecksumValid(frame, L3)).isTrue();
        assertThat(Ipv4.source(frame, L3)).isEqualTo(0xc0a80001);
        assertThat(Ipv4.destination(frame, L3)).isEqualTo(0xc0a800c7);
    }

    @Test
    void lengthsAndVersionThatContradictTheFrameAreRefused() {
        assertThat(faultAfter(0, 0x65)).isEqualTo(WireFault.BAD_VERSION);
        assertThat(faultAfter(0, 0x44)).isEqualTo(WireFault.BAD_HEADER_LENGTH);
        assertThat(faultAfter(0, 0x4f)).isEqualTo(WireFault.TRUNCATED);
        assertThat(faultAfter(3, 19)).isEqualTo(WireFault.BAD_TOTAL_LENGTH);
        assertThat(faultAfter(3, 20)).isEqualTo(WireFault.NONE);
        assertThat(faultAfter(3, 34)).isEqualTo(WireFault.BAD_TOTAL_LENGTH);
        assertThat(Ipv4.check(Samples.frame(Samples.UDP4), L3, 19)).isEqualTo(WireFault.TRUNCATED);
    }

    @Test
    void aFragmentBeyondTheLargestPacketIsRefused() {
        final MemorySegment frame = Samples.frame(Samples.UDP4_LAST_FRAGMENT);
        // 20 + 65,496 + 13 = 65,529 fits, 8 more do not.
        BigEndian.put16(frame, L3 + 6, 65_496 / 8);
        assertThat(Ipv4.check(frame, L3, 33)).isEqualTo(WireFault.NONE);
        BigEndian.put16(frame, L3 + 6, 65_504 / 8);
        assertThat(Ipv4.check(frame, L3, 33)).isEqualTo(WireFault.BAD_FRAGMENT);
    }

    @Test
    void aFragmentThatIsNotTheLastHasWholeUnits() {
        final MemorySegment frame = Samples.frame(Samples.UDP4_LAST_FRAGMENT);
        for (int payloadBytes = 1; payloadBytes <= 13; payloadBytes++) {
            Ipv4.setFragment(frame, L3, 20, 20 + payloadBytes, 72, true);
            assertThat(Ipv4.check(frame, L3, 33))
                    .as("%d bytes", payloadBytes)
                    .isEqualTo(payloadBytes == 8 ? WireFault.NONE : WireFault.BAD_FRAGMENT);
        }
    }

    @Test
    void aFragmentThatWouldOverwriteTcpFlagsIsRefused() {
        final MemorySegment frame = Samples.frame(Samples.UDP4_LAST_FRAGMENT);
        BigEndian.put16(frame, L3 + 6, 1);
        assertThat(Ipv4.check(frame, L3, 33)).isEqualTo(WireFault.NONE);

        BigEndian.put8(frame, L3 + 9, IpProtocol.TCP);
        assertThat(Ipv4.check(frame, L3, 33)).isEqualTo(WireFault.BAD_FRAGMENT);
    }

    @Test
    void aQuotedHeaderMayLackItsPayload() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);

        assertThat(Ipv4.checkQuoted(frame, L3, 28)).isEqualTo(WireFault.NONE);
        assertThat(Ipv4.check(frame, L3, 28)).isEqualTo(WireFault.BAD_TOTAL_LENGTH);
    }

    @Test
    void sourceRoutesAreFoundAmongOtherOptions() {
        assertThat(hasSourceRoute("07070400000000 94040000 00")).isFalse();
        assertThat(hasSourceRoute("01010101 07070400000000 01")).isFalse();
        assertThat(hasSourceRoute("01010101 01 83 07 04 0a000001")).isTrue();
        assertThat(hasSourceRoute("89 07 04 0a000001 00 00000000")).isTrue();
        assertThat(hasSourceRoute("00 89 07 04 0a000001 00000000")).isFalse();
    }

    @Test
    void optionsThatCannotBeWalkedCountAsSourceRoute() {
        assertThat(hasSourceRoute("07000400000000 94040000 00")).isTrue();
        assertThat(hasSourceRoute("07010400000000 94040000 00")).isTrue();
        assertThat(hasSourceRoute("070d0400000000 94040000 00")).isTrue();
        assertThat(hasSourceRoute("0101010101010101010101 07")).isTrue();
    }

    @Test
    void martianSourcesAreThoseNoSingleHostCanHave() {
        assertThat(Ipv4.isMartianSource(0)).isTrue();
        assertThat(Ipv4.isMartianSource(0x7f000001)).isTrue();
        assertThat(Ipv4.isMartianSource(0xe0000001)).isTrue();
        assertThat(Ipv4.isMartianSource(0xffffffff)).isTrue();
        assertThat(Ipv4.isMartianSource(0x0a000005)).isFalse();
        assertThat(Ipv4.isMartianSource(0xdfffffff)).isFalse();
        assertThat(Ipv4.isMulticast(0xefffffff)).isTrue();
        assertThat(Ipv4.isMulticast(0xf0000000)).isFalse();
        assertThat(Ipv4.isLoopback(0x7fffffff)).isTrue();
        assertThat(Ipv4.isLoopback(0x80000001)).isFalse();
    }

    private static WireFault faultAfter(final int at, final int octet) {
        final MemorySegment frame = Samples.frame(Samples.UDP4);
        BigEndian.put8(frame, L3 + at, octet);
        return Ipv4.check(frame, L3, 33);
    }

    /** Twelve option bytes behind a header. */
    private static boolean hasSourceRoute(final String options) {
        final MemorySegment frame = Samples.frame(Samples.UDP4_OPTIONS);
        MemorySegment.copy(MemorySegment.ofArray(Samples.bytes(options)), 0, frame, L3 + 20, 12);
        return Ipv4.hasSourceRoute(frame, L3);
    }

    private static void flip(final MemorySegment frame, final long at, final int bits) {
        BigEndian.put8(frame, at, BigEndian.u8(frame, at) ^ bits);
    }
}
