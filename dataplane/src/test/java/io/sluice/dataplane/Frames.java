package io.sluice.dataplane;

import io.sluice.dataplane.wire.IpAddress;
import java.nio.ByteBuffer;

/**
 * Ethernet frames as a host would send them, written byte by byte and without the code under test,
 * and the few fields that tests read back.
 */
final class Frames {
    static final int SYN = 0x02;
    static final int ACK = 0x10;
    static final int SYN_ACK = 0x12;
    static final int FIN_ACK = 0x11;
    static final int RST = 0x04;

    private static final int TCP = 6;
    private static final int UDP = 17;
    private static final int ICMP = 1;
    private static final int ICMP6 = 58;

    private Frames() {}

    /** A host: its MAC and its address. */
    record Host(long mac, String address) {
        byte[] bytes() {
            final IpAddress parsed = IpAddress.parse(address);
            return parsed.isIpv4()
                    ? ByteBuffer.allocate(4).putInt(parsed.ipv4()).array()
                    : ByteBuffer.allocate(16).putLong(parsed.high()).putLong(parsed.low()).array();
        }

        boolean isIpv4() {
            return IpAddress.parse(address).isIpv4();
        }
    }

    static byte[] tcp(
            final Host from,
            final int sourcePort,
            final Host to,
            final int destinationPort,
            final int flags,
            final int payloadBytes) {
        final ByteBuffer tcp = ByteBuffer.allocate(20 + payloadBytes);
        tcp.putShort((short) sourcePort).putShort((short) destinationPort);
        // All segments begin at 1000 and acknowledge a SYN at 1000: credible in any order.
        tcp.putInt(1000).putInt(1001).put((byte) 0x50).put((byte) flags).putShort((short) 65535);
        return ip(from, to, TCP, 64, true, transport(from, to, TCP, 16, tcp.array()));
    }

    static byte[] udp(
            final Host from,
            final int sourcePort,
            final Host to,
            final int destinationPort,
            final int payloadBytes) {
        return ip(
                from,
                to,
                UDP,
                64,
                true,
                datagram(from, sourcePort, to, destinationPort, payloadBytes));
    }

    static byte[] udp(
            final Host from,
            final int sourcePort,
            final Host to,
            final int destinationPort,
            final byte[] data) {
        final ByteBuffer udp = ByteBuffer.allocate(8 + data.length);
        udp.putShort((short) sourcePort).putShort((short) destinationPort);
        udp.putShort((short) (8 + data.length)).putShort((short) 0).put(data);
        return ip(from, to, UDP, 64, true, transport(from, to, UDP, 6, udp.array()));
    }

    /** A UDP datagram that must not, or may, be fragmented on its way. */
    static byte[] udpThatMayBeFragmented(
            final Host from, final Host to, final int destinationPort, final int payloadBytes) {
        return ip(
                from, to, UDP, 64, false, datagram(from, 4000, to, destinationPort, payloadBytes));
    }

    private static byte[] datagram(
            final Host from,
            final int sourcePort,
            final Host to,
            final int destinationPort,
            final int payloadBytes) {
        final ByteBuffer udp = ByteBuffer.allocate(8 + payloadBytes);
        udp.putShort((short) sourcePort).putShort((short) destinationPort);
        udp.putShort((short) (8 + payloadBytes));
        return transport(from, to, UDP, 6, udp.array());
    }

    static byte[] echoRequest(final Host from, final Host to, final int id, final int ttl) {
        return echo(from, to, from.isIpv4() ? 8 : 128, id, ttl);
    }

    static byte[] echoReply(final Host from, final Host to, final int id) {
        return echo(from, to, from.isIpv4() ? 0 : 129, id, 64);
    }

    static byte[] timestampRequest(final Host from, final Host to) {
        return echo(from, to, 13, 0, 64);
    }

    private static byte[] echo(
            final Host from, final Host to, final int type, final int id, final int ttl) {
        final ByteBuffer icmp = ByteBuffer.allocate(64);
        icmp.put((byte) type).put((byte) 0).putShort((short) 0).putShort((short) id);
        return ip(
                from,
                to,
                icmpOf(from),
                ttl,
                true,
                transport(from, to, icmpOf(from), 2, icmp.array()));
    }

    /** An ICMP error about a packet that {@code quotedFrame} carried. */
    static byte[] icmpError(
            final Host from,
            final Host to,
            final int type,
            final int code,
            final byte[] quotedFrame) {
        final int quoted = Math.min(quotedFrame.length - 14, 128);
        final ByteBuffer icmp = ByteBuffer.allocate(8 + quoted);
        icmp.put((byte) type).put((byte) code).putShort((short) 0).putInt(0);
        icmp.put(quotedFrame, 14, quoted);
        return ip(
                from,
                to,
                icmpOf(from),
                64,
                true,
                transport(from, to, icmpOf(from), 2, icmp.array()));
    }

    private static int icmpOf(final Host host) {
        return host.isIpv4() ? ICMP : ICMP6;
    }

    /** A fragment of a UDP datagram; the first one (offset 0) carries the UDP header. */
    static byte[] udpFragment(
            final Host from,
            final Host to,
            final int destinationPort,
            final int id,
            final int offsetBytes,
            final boolean more,
            final int payloadBytes) {
        final ByteBuffer payload = ByteBuffer.allocate(payloadBytes);
        if (offsetBytes == 0) {
            payload.putShort((short) 4000).putShort((short) destinationPort).putShort((short) 9000);
        }
        if (from.isIpv4()) {
            final byte[] frame = ip(from, to, UDP, 64, false, payload.array());
            final ByteBuffer header = ByteBuffer.wrap(frame);
            header.putShort(14 + 4, (short) id);
            header.putShort(14 + 6, (short) (offsetBytes / 8 | (more ? 0x2000 : 0)));
            header.putShort(14 + 10, (short) 0);
            header.putShort(14 + 10, (short) checksum(frame, 14, 20, 0));
            return frame;
        }
        final ByteBuffer withHeader = ByteBuffer.allocate(8 + payloadBytes);
        withHeader.put((byte) UDP).put((byte) 0).putShort((short) (offsetBytes | (more ? 1 : 0)));
        withHeader.putInt(id).put(payload.array());
        return ip(from, to, 44, 64, false, withHeader.array());
    }

    /** Whether it is an IP packet that is a fragment of a datagram. */
    static boolean isFragment(final byte[] frame) {
        return switch (etherType(frame)) {
            case 0x0800 -> (ByteBuffer.wrap(frame).getShort(14 + 6) & 0x3fff) != 0;
            case 0x86dd -> frame[14 + 6] == 44;
            default -> false;
        };
    }

    static byte[] arpRequest(final Host from, final String target) {
        final ByteBuffer frame = ByteBuffer.allocate(42);
        ethernet(frame, 0xffff_ffff_ffffL, from.mac(), 0x0806);
        frame.putShort((short) 1).putShort((short) 0x0800).put((byte) 6).put((byte) 4);
        frame.putShort((short) 1);
        mac(frame, from.mac());
        frame.put(from.bytes());
        mac(frame, 0);
        frame.putInt(IpAddress.parse(target).ipv4());
        return frame.array();
    }

    static byte[] neighborSolicitation(final Host from, final String target) {
        final IpAddress wanted = IpAddress.parse(target);
        final Host group =
                new Host(
                        0x3333_ff00_0000L | (wanted.low() & 0xff_ffffL),
                        IpAddress.format(
                                0xff02_0000_0000_0000L,
                                0x1_ff00_0000L | (wanted.low() & 0xff_ffffL)));
        final ByteBuffer icmp = ByteBuffer.allocate(32);
        icmp.put((byte) 135).put((byte) 0).putShort((short) 0).putInt(0);
        icmp.putLong(wanted.high()).putLong(wanted.low()).put((byte) 1).put((byte) 1);
        mac(icmp, from.mac());
        final byte[] message = transport(from, group, ICMP6, 2, icmp.array());
        final byte[] frame = ip(from, group, ICMP6, 255, true, message);
        final ByteBuffer header = ByteBuffer.wrap(frame);
        mac(header, group.mac());
        return frame;
    }

    /** The frame with another source MAC. */
    static byte[] withSourceMac(final byte[] frame, final long mac) {
        final ByteBuffer copy = ByteBuffer.wrap(frame.clone());
        copy.position(6);
        mac(copy, mac);
        return copy.array();
    }

    static long destinationMac(final byte[] frame) {
        return ByteBuffer.wrap(frame).getLong(0) >>> 16;
    }

    static int etherType(final byte[] frame) {
        return Short.toUnsignedInt(ByteBuffer.wrap(frame).getShort(12));
    }

    static int ttl(final byte[] frame) {
        return Byte.toUnsignedInt(frame[etherType(frame) == 0x0800 ? 14 + 8 : 14 + 7]);
    }

    static int icmpType(final byte[] frame) {
        return Byte.toUnsignedInt(frame[etherType(frame) == 0x0800 ? 34 : 54]);
    }

    static int icmpMtu(final byte[] frame) {
        return etherType(frame) == 0x0800
                ? Short.toUnsignedInt(ByteBuffer.wrap(frame).getShort(40))
                : ByteBuffer.wrap(frame).getInt(58);
    }

    static int ipBytes(final byte[] frame) {
        return frame.length - 14;
    }

    private static byte[] ip(
            final Host from,
            final Host to,
            final int protocol,
            final int ttl,
            final boolean dontFragment,
            final byte[] payload) {
        final boolean ipv4 = from.isIpv4();
        final ByteBuffer frame = ByteBuffer.allocate(14 + (ipv4 ? 20 : 40) + payload.length);
        ethernet(frame, Gateway.DEFAULT.mac(), from.mac(), ipv4 ? 0x0800 : 0x86dd);
        if (ipv4) {
            frame.put((byte) 0x45).put((byte) 0).putShort((short) (20 + payload.length));
            frame.putShort((short) 1).putShort((short) (dontFragment ? 0x4000 : 0));
            frame.put((byte) ttl).put((byte) protocol).putShort((short) 0);
            frame.put(from.bytes()).put(to.bytes());
            frame.putShort(14 + 10, (short) checksum(frame.array(), 14, 20, 0));
        } else {
            frame.putInt(0x6000_0000).putShort((short) payload.length);
            frame.put((byte) protocol).put((byte) ttl).put(from.bytes()).put(to.bytes());
        }
        frame.put(payload);
        return frame.array();
    }

    /** Writes the checksum into an upper header. */
    private static byte[] transport(
            final Host from,
            final Host to,
            final int protocol,
            final int checksumOffset,
            final byte[] message) {
        int pseudo = 0;
        if (protocol != ICMP) {
            pseudo = sum(from.bytes(), 0, from.bytes().length, 0);
            pseudo = sum(to.bytes(), 0, to.bytes().length, pseudo) + protocol + message.length;
        }
        ByteBuffer.wrap(message)
                .putShort(checksumOffset, (short) checksum(message, 0, message.length, pseudo));
        return message;
    }

    private static int checksum(
            final byte[] bytes, final int offset, final int length, final int start) {
        int sum = sum(bytes, offset, length, start);
        while (sum > 0xffff) {
            sum = (sum & 0xffff) + (sum >>> 16);
        }
        return ~sum & 0xffff;
    }

    private static int sum(
            final byte[] bytes, final int offset, final int length, final int start) {
        int sum = start;
        for (int i = 0; i < length; i++) {
            final int value = Byte.toUnsignedInt(bytes[offset + i]);
            sum += (i & 1) == 0 ? value << 8 : value;
        }
        return sum;
    }

    private static void ethernet(
            final ByteBuffer frame, final long destination, final long source, final int type) {
        mac(frame, destination);
        mac(frame, source);
        frame.putShort((short) type);
    }

    private static void mac(final ByteBuffer frame, final long mac) {
        frame.putShort((short) (mac >>> 32)).putInt((int) mac);
    }
}
