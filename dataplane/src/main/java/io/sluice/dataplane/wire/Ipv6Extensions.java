package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * Walk over the extension headers of one IPv6 packet (RFC 8200 section 4) to its upper protocol.
 *
 * <p>Known headers are hop-by-hop options, routing, fragment, destination options and
 * authentication. Anything else, ESP, mobility and "no next header" included, ends the chain and is
 * the upper protocol: policy sees a protocol without ports. The options inside are not read.
 *
 * <p>Refused are chains that a receiver could read differently from us, or that lead elsewhere than
 * to the destination that policy judges: hop-by-hop not first (RFC 8200 section 4.1), a second
 * fragment header, a type 0 routing header (RFC 5095), any routing header with segments left, a
 * first fragment without the whole chain (RFC 7112, it shows as TRUNCATED), more than {@link
 * #HEADERS_MAX} headers.
 *
 * <p>A reused cursor: fields are valid after a walk that answered NONE, until the next. Thread:
 * owned by one lane.
 */
public final class Ipv6Extensions {
    /**
     * Headers walked before giving up. RFC 8200 section 4.1 allows six of the known kinds in a
     * packet: each once, destination options twice.
     */
    public static final int HEADERS_MAX = 8;

    /** Value of {@link #fragmentProtocol} in a packet without a fragment header. */
    private static final int NO_FRAGMENT = -1;

    private static final int NEXT_HEADER = 0;
    private static final int LENGTH = 1;
    private static final int ROUTING_TYPE = 2;
    private static final int SEGMENTS_LEFT = 3;
    private static final int FRAGMENT_OFFSET = 2;
    private static final int FRAGMENT_ID = 4;
    private static final int FRAGMENT_BYTES = 8;
    private static final int MORE_FRAGMENTS = 1;

    /** Upper protocol, 0 to 255; of a fragment that is not the first, {@link #fragmentProtocol}. */
    public int protocol;

    /** Where the upper header starts, in bytes in the segment. */
    public long upperOffset;

    /** Bytes of upper header and payload in this packet; 0 is possible. */
    public int upperBytes;

    /** Place of this payload in the whole packet's, in bytes; 0 for the first or only one. */
    public int fragmentOffsetBytes;

    public boolean moreFragments;

    /** Identification of a fragment; 0 if the packet has no fragment header. */
    public int fragmentId;

    /**
     * Next header of the fragment header, the same in all fragments of a packet, which {@link
     * #protocol} is not where destination options come behind it; -1 without a fragment header.
     */
    public int fragmentProtocol;

    /** Whether more packets belong to this one. An atomic fragment (RFC 6946) is whole. */
    public boolean isFragment() {
        return fragmentOffsetBytes != 0 || moreFragments;
    }

    /** Walks a packet that {@link Ipv6#check} has passed. */
    public WireFault walk(final MemorySegment frame, final long l3) {
        final int packetBytes = Ipv6.BYTES + Ipv6.payloadLength(frame, l3);
        final WireFault fault = walkQuoted(frame, l3, packetBytes);
        if (fault == WireFault.NONE && isFragment()) {
            return checkFragment(packetBytes);
        }
        return fault;
    }

    /**
     * Walks what is there of a packet that {@link Ipv6#checkQuoted} has passed.
     *
     * @param availableBytes quoted bytes from {@code l3}
     */
    public WireFault walkQuoted(
            final MemorySegment frame, final long l3, final int availableBytes) {
        protocol = Ipv6.nextHeader(frame, l3);
        fragmentOffsetBytes = 0;
        moreFragments = false;
        fragmentId = 0;
        fragmentProtocol = NO_FRAGMENT;

        int at = Ipv6.BYTES;
        for (int headers = 0; isExtension(protocol); headers++) {
            if (headers == HEADERS_MAX) {
                return WireFault.TOO_MANY_EXTENSIONS;
            }
            if (at + 8 > availableBytes) {
                return WireFault.TRUNCATED;
            }
            final long header = l3 + at;
            final int headerBytes =
                    switch (protocol) {
                        case IpProtocol.FRAGMENT -> FRAGMENT_BYTES;
                        case IpProtocol.AUTHENTICATION ->
                                (BigEndian.u8(frame, header + LENGTH) + 2) << 2;
                        default -> (BigEndian.u8(frame, header + LENGTH) + 1) << 3;
                    };
            if (at + headerBytes > availableBytes) {
                return WireFault.TRUNCATED;
            }
            final WireFault fault = look(frame, header, headers);
            if (fault != WireFault.NONE) {
                return fault;
            }
            protocol = BigEndian.u8(frame, header + NEXT_HEADER);
            at += headerBytes;
            if (fragmentOffsetBytes != 0) {
                break; // What follows continues the first fragment: there is no header to read.
            }
        }
        upperOffset = l3 + at;
        upperBytes = availableBytes - at;
        return WireFault.NONE;
    }

    private WireFault look(final MemorySegment frame, final long header, final int index) {
        return switch (protocol) {
            case IpProtocol.HOP_BY_HOP -> index == 0 ? WireFault.NONE : WireFault.BAD_EXTENSION;
            case IpProtocol.ROUTING -> lookAtRouting(frame, header);
            case IpProtocol.FRAGMENT -> lookAtFragment(frame, header);
            default -> WireFault.NONE;
        };
    }

    private static WireFault lookAtRouting(final MemorySegment frame, final long header) {
        final boolean typeZero = BigEndian.u8(frame, header + ROUTING_TYPE) == 0;
        final boolean furtherHops = BigEndian.u8(frame, header + SEGMENTS_LEFT) != 0;
        return typeZero || furtherHops ? WireFault.SOURCE_ROUTE : WireFault.NONE;
    }

    private WireFault lookAtFragment(final MemorySegment frame, final long header) {
        if (fragmentProtocol != NO_FRAGMENT) {
            return WireFault.BAD_EXTENSION;
        }
        final int word = BigEndian.u16(frame, header + FRAGMENT_OFFSET);
        fragmentOffsetBytes = word & 0xfff8;
        moreFragments = (word & MORE_FRAGMENTS) != 0;
        fragmentId = BigEndian.u32(frame, header + FRAGMENT_ID);
        fragmentProtocol = BigEndian.u8(frame, header + NEXT_HEADER);
        return WireFault.NONE;
    }

    /** RFC 8200 section 4.5: whole 8-byte units but in the last, and 65,535 bytes in all. */
    private WireFault checkFragment(final int packetBytes) {
        final int partBytes = packetBytes - Ipv6.BYTES;
        final boolean wholeUnits = !moreFragments || (partBytes & 7) == 0;
        final boolean fits = fragmentOffsetBytes + upperBytes <= Ipv4.PACKET_BYTES_MAX;
        return upperBytes > 0 && wholeUnits && fits ? WireFault.NONE : WireFault.BAD_FRAGMENT;
    }

    private static boolean isExtension(final int protocol) {
        return switch (protocol) {
            case IpProtocol.HOP_BY_HOP,
                    IpProtocol.ROUTING,
                    IpProtocol.FRAGMENT,
                    IpProtocol.AUTHENTICATION,
                    IpProtocol.DESTINATION_OPTIONS ->
                    true;
            default -> false;
        };
    }
}
