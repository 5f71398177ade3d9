package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * Cuts an IPv4 packet that does not fit a link into fragments that do (RFC 791 section 3.2), one at
 * a time into memory of the caller's.
 *
 * <p>A partial upper checksum is completed in the packet first, as the fragments' receiver can only
 * check the whole. A packet that is itself a fragment is cut further. The first fragment keeps all
 * options, later ones those with the copied bit. Super-frames are not cut here: they stand for
 * packets that fit already, or whose sender must be told.
 *
 * <p>The packet must stay as it is between {@link #start} and the last {@link #next}. Nothing is
 * allocated. Thread: owned by one lane.
 */
public final class Ipv4Fragmenter {
    /** In the option type: goes into every fragment. */
    private static final int OPTION_COPIED = 0x80;

    private MemorySegment frame = MemorySegment.NULL;
    private MemorySegment out = MemorySegment.NULL;
    private long l3;
    private long outOffset;
    private int mtu;
    private int headerLength;
    private int payloadBytes;
    private int doneBytes;
    private int frameBytes;

    /**
     * Begins a packet in an untagged frame.
     *
     * @param l3 start of a checked IPv4 header, 24 bytes behind {@code vnet}
     * @param mtu largest fragment, in bytes
     * @param out at least 24 + {@code mtu} bytes from {@code outOffset}, apart from the packet
     * @return false if the packet must not be cut: it says "don't fragment", is a super-frame,
     *     names a senseless checksum place, or the MTU is below 68
     */
    public boolean start(
            final MemorySegment frame,
            final long vnet,
            final long l3,
            final int mtu,
            final MemorySegment out,
            final long outOffset) {
        final int totalLength = Ipv4.totalLength(frame, l3);
        if (mtu < Ipv4.MTU_MIN
                || Ipv4.dontFragment(frame, l3)
                || VnetHeader.isSuperFrame(frame, vnet)
                || VnetHeader.completeChecksum(frame, vnet, (int) (l3 - vnet) + totalLength)
                        != WireFault.NONE) {
            payloadBytes = 0;
            doneBytes = 0;
            return false;
        }
        this.frame = frame;
        this.out = out;
        this.l3 = l3;
        this.outOffset = outOffset;
        this.mtu = mtu;
        this.headerLength = Ipv4.headerLength(frame, l3);
        this.payloadBytes = totalLength - headerLength;
        this.doneBytes = 0;
        return true;
    }

    /**
     * Writes the next fragment.
     *
     * @return false if there is none left
     */
    public boolean next() {
        if (doneBytes >= payloadBytes) {
            return false;
        }
        final long ip = writeHeaders();
        final int fragmentHeaderLength = Ipv4.headerLength(out, ip);

        final int leftBytes = payloadBytes - doneBytes;
        final int roomBytes = mtu - fragmentHeaderLength;
        final boolean last = leftBytes <= roomBytes;
        final int partBytes = last ? leftBytes : roomBytes & -8;

        MemorySegment.copy(
                frame, l3 + headerLength + doneBytes, out, ip + fragmentHeaderLength, partBytes);
        Ipv4.setFragment(
                out,
                ip,
                fragmentHeaderLength,
                fragmentHeaderLength + partBytes,
                Ipv4.fragmentOffsetBytes(frame, l3) + doneBytes,
                !last || Ipv4.moreFragments(frame, l3));
        doneBytes += partBytes;
        frameBytes = (int) (ip - outOffset) + fragmentHeaderLength + partBytes;
        return true;
    }

    /** Length of the fragment just written with its virtio-net header, in bytes. */
    public int frameBytes() {
        return frameBytes;
    }

    /** Everything before the payload but lengths, place and checksum; answers the IP header. */
    private long writeHeaders() {
        VnetHeader.clear(out, outOffset);
        final long ethernet = outOffset + VnetHeader.BYTES;
        final long ip = ethernet + Ethernet.BYTES;
        MemorySegment.copy(
                frame, l3 - Ethernet.BYTES, out, ethernet, Ethernet.BYTES + Ipv4.BYTES_MIN);
        final int optionsBytes =
                doneBytes == 0 ? copyAllOptions(ip) : copyOptionsOfLaterFragments(ip);
        Ipv4.setFragment(out, ip, Ipv4.BYTES_MIN + optionsBytes, 0, 0, false);
        return ip;
    }

    private int copyAllOptions(final long ip) {
        final int optionsBytes = headerLength - Ipv4.BYTES_MIN;
        MemorySegment.copy(frame, l3 + Ipv4.BYTES_MIN, out, ip + Ipv4.BYTES_MIN, optionsBytes);
        return optionsBytes;
    }

    /** Bytes written, filled up with "end of options" to a multiple of 4. */
    private int copyOptionsOfLaterFragments(final long ip) {
        int written = 0;
        int at = Ipv4.BYTES_MIN;
        while (at < headerLength) {
            final int option = BigEndian.u8(frame, l3 + at);
            final int optionBytes = Ipv4.optionBytes(frame, l3, at, headerLength);
            if (option == Ipv4.OPTION_END || optionBytes == 0) {
                break;
            }
            if ((option & OPTION_COPIED) != 0) {
                MemorySegment.copy(frame, l3 + at, out, ip + Ipv4.BYTES_MIN + written, optionBytes);
                written += optionBytes;
            }
            at += optionBytes;
        }
        while ((written & 3) != 0) {
            BigEndian.put8(out, ip + Ipv4.BYTES_MIN + written, Ipv4.OPTION_END);
            written++;
        }
        return written;
    }
}
