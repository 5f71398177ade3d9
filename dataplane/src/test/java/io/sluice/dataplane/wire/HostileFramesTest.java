package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Whatever a frame holds, checks followed by accessors and answers stay inside it. The memory ends
 * where the frame ends, so that a read or write behind it throws.
 */
final class HostileFramesTest {
    private static final long SEED = 20_260_101;
    private static final int FLIPS_PER_SAMPLE = 4_000;

    private final Ipv6Extensions extensions = new Ipv6Extensions();
    private final Ipv6Extensions quotedExtensions = new Ipv6Extensions();
    private final Ipv4Fragmenter fragmenter = new Ipv4Fragmenter();
    private final MemorySegment message =
            MemorySegment.ofArray(new byte[IcmpError.FRAME_BYTES_MAX]);

    /** Whether the last frame got as far as an upper header. */
    private boolean upperHeaderSeen;

    private long sink;

    @Test
    void everySampleIsReadToItsUpperHeader() {
        for (final String sample : Samples.ALL) {
            final MemorySegment frame = Samples.frame(sample);
            read(frame);
            assertThat(upperHeaderSeen || isArp(frame) || isLaterFragment(sample))
                    .as(sample)
                    .isTrue();
        }
        assertThat(sink).as("what the accessors read").isNotZero();
    }

    @Test
    void framesCutAtEveryLengthAreReadWithoutLeavingThem() {
        for (final String sample : Samples.ALL) {
            final byte[] whole = Samples.frame(sample).toArray(ValueLayout.JAVA_BYTE);
            for (int length = 0; length <= whole.length; length++) {
                read(MemorySegment.ofArray(Arrays.copyOf(whole, length)));
            }
        }
    }

    @Test
    void framesCutAtEveryLengthWithHonestLengthFieldsAreReadWithoutLeavingThem() {
        final int l3 = VnetHeader.BYTES + Ethernet.BYTES;
        for (final String sample : Samples.ALL) {
            final byte[] whole = Samples.frame(sample).toArray(ValueLayout.JAVA_BYTE);
            for (int length = l3 + 40; length <= whole.length; length++) {
                final MemorySegment frame = MemorySegment.ofArray(Arrays.copyOf(whole, length));
                switch (Ethernet.type(frame, VnetHeader.BYTES)) {
                    case Ethernet.IPV4 -> BigEndian.put16(frame, l3 + 2, length - l3);
                    case Ethernet.IPV6 -> BigEndian.put16(frame, l3 + 4, length - l3 - 40);
                    default -> {}
                }
                read(frame);
            }
        }
    }

    @Test
    void framesWithFlippedBytesAreReadWithoutLeavingThem() {
        final Random random = new Random(SEED);
        for (final String sample : Samples.ALL) {
            final byte[] whole = Samples.frame(sample).toArray(ValueLayout.JAVA_BYTE);
            for (int round = 0; round < FLIPS_PER_SAMPLE; round++) {
                final byte[] bytes = whole.clone();
                for (int flips = 1 + random.nextInt(6); flips > 0; flips--) {
                    // Half of the flips hit the 60 bytes where lengths and types are.
                    final int reach = random.nextBoolean() ? bytes.length : 70;
                    final int at = random.nextInt(Math.min(reach, bytes.length));
                    bytes[at] = (byte) random.nextInt();
                }
                try {
                    read(MemorySegment.ofArray(bytes));
                } catch (final RuntimeException e) {
                    throw new AssertionError(
                            "seed %d, sample %s, round %d".formatted(SEED, sample, round), e);
                }
            }
        }
    }

    @Test
    void framesOfNoiseAreReadWithoutLeavingThem() {
        final Random random = new Random(SEED);
        for (int round = 0; round < 50_000; round++) {
            final byte[] bytes = new byte[random.nextInt(200)];
            random.nextBytes(bytes);
            if (bytes.length > VnetHeader.BYTES + 20) {
                // Noise rarely has an EtherType and a version: help it.
                final boolean ipv4 = random.nextBoolean();
                bytes[VnetHeader.BYTES + 12] = (byte) (ipv4 ? 0x08 : 0x86);
                bytes[VnetHeader.BYTES + 13] = (byte) (ipv4 ? 0x00 : 0xdd);
                bytes[VnetHeader.BYTES + 14] = (byte) (ipv4 ? 0x45 : 0x60);
                bytes[VnetHeader.BYTES + (ipv4 ? 16 : 18)] = 0;
            }
            read(MemorySegment.ofArray(bytes));
        }
    }

    private static boolean isArp(final MemorySegment frame) {
        return Ethernet.type(frame, VnetHeader.BYTES) == Ethernet.ARP;
    }

    private static boolean isLaterFragment(final String sample) {
        return sample.equals(Samples.UDP4_LAST_FRAGMENT)
                || sample.equals(Samples.UDP6_LAST_FRAGMENT);
    }

    /** Everything the switch may do to a frame, in its order. */
    private void read(final MemorySegment frame) {
        upperHeaderSeen = false;
        final int frameBytes = (int) frame.byteSize();
        if (VnetHeader.check(frame, 0, frameBytes) != WireFault.NONE
                || Ethernet.check(frame, VnetHeader.BYTES, frameBytes - VnetHeader.BYTES)
                        != WireFault.NONE) {
            return;
        }
        sink += VnetHeader.gsoSize(frame, 0) + VnetHeader.headerLength(frame, 0);
        final long l3 = VnetHeader.BYTES + Ethernet.BYTES;
        final int availableBytes = (int) (frameBytes - l3);
        switch (Ethernet.type(frame, VnetHeader.BYTES)) {
            case Ethernet.ARP -> readArp(frame, l3, availableBytes);
            case Ethernet.IPV4 -> readIpv4(frame, l3, availableBytes);
            case Ethernet.IPV6 -> readIpv6(frame, l3, availableBytes);
            default -> {}
        }
    }

    private void readArp(final MemorySegment frame, final long arp, final int availableBytes) {
        if (Arp.check(frame, arp, availableBytes) == WireFault.NONE) {
            sink += Arp.operation(frame, arp) + Arp.senderAddress(frame, arp);
            sink += Arp.targetMac(frame, arp) + Arp.targetAddress(frame, arp);
            Arp.turnIntoReply(frame, VnetHeader.BYTES, Samples.SWITCH_MAC);
        }
    }

    private void readIpv4(final MemorySegment frame, final long l3, final int availableBytes) {
        if (Ipv4.check(frame, l3, availableBytes) != WireFault.NONE) {
            return;
        }
        sink += Ipv4.isChecksumValid(frame, l3) ? 1 : 0;
        sink += Ipv4.hasSourceRoute(frame, l3) ? 1 : 0;
        final int headerLength = Ipv4.headerLength(frame, l3);
        final long l4 = l3 + headerLength;
        final int upperBytes = Ipv4.totalLength(frame, l3) - headerLength;
        final boolean first = Ipv4.fragmentOffsetBytes(frame, l3) == 0;
        if (first) {
            readUpper(frame, Ipv4.protocol(frame, l3), l3, l4, upperBytes);
        }
        if (IcmpError.mayAnswerIpv4(frame, VnetHeader.BYTES, l3)) {
            sink +=
                    IcmpError.PACKET_TOO_BIG.writeIpv4(
                            message, 0, frame, l3, Samples.SWITCH_MAC, 0xa9fe0101, 1400);
        }
        final MemorySegment out = MemorySegment.ofArray(new byte[(int) l3 + 76]);
        if (fragmenter.start(frame, 0, l3, 76, out, 0)) {
            while (fragmenter.next()) {
                sink += fragmenter.frameBytes();
            }
        }
        if (first
                && upperHeaderSeen
                && Ipv4.protocol(frame, l3) == IpProtocol.ICMP
                && Icmp.type(frame, l4) == Icmp.ECHO_REQUEST) {
            final WireFault fault = IcmpEcho.turnIntoReplyIpv4(frame, 0, l3, l4);
            sink += fault == WireFault.NONE ? 1 : 0;
        }
        Ipv4.decrementTtl(frame, l3);
    }

    private void readIpv6(final MemorySegment frame, final long l3, final int availableBytes) {
        if (Ipv6.check(frame, l3, availableBytes) != WireFault.NONE
                || extensions.walk(frame, l3) != WireFault.NONE) {
            return;
        }
        final long l4 = extensions.upperOffset;
        final boolean first = extensions.fragmentOffsetBytes == 0;
        if (first) {
            readUpper(frame, extensions.protocol, l3, l4, extensions.upperBytes);
        }
        if (IcmpError.PACKET_TOO_BIG.mayAnswerIpv6(frame, VnetHeader.BYTES, l3, extensions)) {
            sink +=
                    IcmpError.PACKET_TOO_BIG.writeIpv6(
                            message, 0, frame, l3, Samples.SWITCH_MAC, 0xfe80L << 48, 1, 1400);
        }
        if (first && upperHeaderSeen && extensions.protocol == IpProtocol.ICMP6) {
            answerIcmp6(frame, l3, l4);
        }
        Ipv6.decrementHopLimit(frame, l3);
    }

    private void answerIcmp6(final MemorySegment frame, final long l3, final long l4) {
        switch (Icmp6.type(frame, l4)) {
            case Icmp6.ECHO_REQUEST -> {
                final WireFault fault = IcmpEcho.turnIntoReplyIpv6(frame, 0, l3, l4);
                sink += fault == WireFault.NONE ? 1 : 0;
            }
            case Icmp6.NEIGHBOR_SOLICITATION -> {
                if (NeighborDiscovery.checkSolicitation(frame, 0, l3, l4, extensions.upperBytes)
                        == WireFault.NONE) {
                    sink += NeighborDiscovery.sourceLinkAddress(frame, l4, extensions.upperBytes);
                    final MemorySegment room =
                            MemorySegment.ofArray(new byte[(int) Math.max(frame.byteSize(), 96)]);
                    MemorySegment.copy(frame, 0, room, 0, frame.byteSize());
                    sink +=
                            NeighborDiscovery.turnIntoAdvertisement(
                                    room, 0, l3, l4, Samples.SWITCH_MAC);
                }
            }
            default -> {}
        }
    }

    private void readUpper(
            final MemorySegment frame,
            final int protocol,
            final long l3,
            final long l4,
            final int upperBytes) {
        switch (protocol) {
            case IpProtocol.TCP -> {
                if (Tcp.check(frame, l4, upperBytes) == WireFault.NONE) {
                    upperHeaderSeen = true;
                    sink += Tcp.flags(frame, l4) + Tcp.acknowledgment(frame, l4);
                    // The last byte of the header is promised to be there.
                    sink += BigEndian.u8(frame, l4 + Tcp.headerLength(frame, l4) - 1);
                }
            }
            case IpProtocol.UDP -> {
                if (Udp.checkFirstFragment(frame, l4, upperBytes) == WireFault.NONE) {
                    upperHeaderSeen = true;
                    sink += Udp.destinationPort(frame, l4);
                }
                if (Udp.check(frame, l4, upperBytes) == WireFault.NONE) {
                    sink += BigEndian.u8(frame, l4 + Udp.length(frame, l4) - 1);
                }
            }
            case IpProtocol.SCTP -> {
                if (Sctp.check(frame, l4, upperBytes) == WireFault.NONE) {
                    upperHeaderSeen = true;
                    sink += Sctp.destinationPort(frame, l4);
                }
            }
            case IpProtocol.ICMP -> {
                if (Icmp.check(frame, l4, upperBytes) == WireFault.NONE) {
                    upperHeaderSeen = true;
                    sink += Icmp.isChecksumValid(frame, l4, upperBytes) ? 1 : 0;
                    if (Icmp.isError(Icmp.type(frame, l4))) {
                        readQuoted(frame, Icmp.quotedOffset(l4), upperBytes - Icmp.BYTES);
                    }
                }
            }
            case IpProtocol.ICMP6 -> {
                if (Icmp6.check(frame, l4, upperBytes) == WireFault.NONE) {
                    upperHeaderSeen = true;
                    sink += Icmp6.isChecksumValid(frame, l3, l4, upperBytes) ? 1 : 0;
                    if (Icmp6.isError(Icmp6.type(frame, l4))) {
                        readQuoted(frame, Icmp6.quotedOffset(l4), upperBytes - Icmp6.BYTES);
                    }
                }
            }
            default -> {}
        }
    }

    private void readQuoted(final MemorySegment frame, final long l3, final int availableBytes) {
        if (Ipv4.checkQuoted(frame, l3, availableBytes) == WireFault.NONE) {
            final int headerLength = Ipv4.headerLength(frame, l3);
            if (availableBytes - headerLength >= Icmp.QUOTED_TRANSPORT_BYTES) {
                sink += Tcp.destinationPort(frame, l3 + headerLength);
                sink += Icmp.echoId(frame, l3 + headerLength);
            }
        }
        if (Ipv6.checkQuoted(frame, l3, availableBytes) == WireFault.NONE
                && quotedExtensions.walkQuoted(frame, l3, availableBytes) == WireFault.NONE
                && quotedExtensions.upperBytes >= Icmp.QUOTED_TRANSPORT_BYTES) {
            sink += Tcp.destinationPort(frame, quotedExtensions.upperOffset);
            sink += Icmp6.echoId(frame, quotedExtensions.upperOffset);
        }
    }
}
