package io.sluice.dataplane;

import static io.sluice.dataplane.DropReason.CT_TRUNCATED_OR_INVALID_HEADER;
import static io.sluice.dataplane.DropReason.FRAGMENT_MALFORMED;
import static io.sluice.dataplane.DropReason.INVALID_IPV6_EXTENSION_HEADER;
import static io.sluice.dataplane.DropReason.INVALID_PACKET;
import static io.sluice.dataplane.DropReason.NONE;
import static io.sluice.dataplane.DropReason.UNKNOWN_CONNECTION_TRACKING_STATE;
import static io.sluice.dataplane.DropReason.UNSUPPORTED_L2_PROTOCOL;
import static io.sluice.dataplane.DropReason.UNSUPPORTED_L3_PROTOCOL;

import io.sluice.conntrack.TcpSegment;
import io.sluice.conntrack.Tuple;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.Icmp;
import io.sluice.dataplane.wire.Icmp6;
import io.sluice.dataplane.wire.IpProtocol;
import io.sluice.dataplane.wire.Ipv4;
import io.sluice.dataplane.wire.Ipv6;
import io.sluice.dataplane.wire.Ipv6Extensions;
import io.sluice.dataplane.wire.Sctp;
import io.sluice.dataplane.wire.Tcp;
import io.sluice.dataplane.wire.Udp;
import io.sluice.dataplane.wire.VnetHeader;
import io.sluice.dataplane.wire.WireFault;
import java.lang.foreign.MemorySegment;

/**
 * Reads every header of a packet once and writes what it found into the {@link Packet} cursor.
 *
 * <p>IPv4 and IPv6 meet here: the tuple has 128-bit addresses, and no later step asks for the
 * family. Everything malformed leaves with a reason of its own; what a receiver could read
 * differently from us counts as malformed. Upper checksums are not verified: the receiver does, and
 * frames from a local TAP carry partial ones.
 *
 * <p>Thread: the lane's.
 */
final class HeaderParser {
    private final Ipv6Extensions extensions = new Ipv6Extensions();
    private final Ipv6Extensions quotedExtensions = new Ipv6Extensions();

    /** Fills the cursor as far as the headers are well formed. */
    DropReason parse(final Packet packet) {
        final MemorySegment frame = packet.memory();
        if (Ethernet.check(frame, packet.l2, packet.frameBytes()) != WireFault.NONE) {
            return UNSUPPORTED_L2_PROTOCOL;
        }
        packet.sourceMac = Ethernet.source(frame, packet.l2);
        packet.destinationMac = Ethernet.destination(frame, packet.l2);
        packet.etherType = Ethernet.type(frame, packet.l2);
        packet.l3 = packet.l2 + Ethernet.BYTES;
        packet.knownUpTo = Packet.Known.ETHERNET;

        return switch (packet.etherType) {
            case Ethernet.IPV4 -> wholeIfSuper(packet, parseIpv4(packet, frame));
            case Ethernet.IPV6 -> wholeIfSuper(packet, parseIpv6(packet, frame));
            case Ethernet.ARP -> NONE;
            case Ethernet.VLAN, Ethernet.VLAN_AD -> UNSUPPORTED_L2_PROTOCOL;
            default -> UNSUPPORTED_L3_PROTOCOL;
        };
    }

    /** A super-frame stands for whole packets; no kernel makes one of a fragment. */
    private static DropReason wholeIfSuper(final Packet packet, final DropReason parsed) {
        return packet.fragment != Packet.Fragment.NONE
                        && VnetHeader.isSuperFrame(packet.memory(), packet.start)
                ? FRAGMENT_MALFORMED
                : parsed;
    }

    private DropReason parseIpv4(final Packet packet, final MemorySegment frame) {
        final int l3 = packet.l3;
        final WireFault fault = Ipv4.check(frame, l3, packet.end - l3);
        if (fault != WireFault.NONE) {
            return fault == WireFault.BAD_FRAGMENT ? FRAGMENT_MALFORMED : INVALID_PACKET;
        }
        if (!Ipv4.isChecksumValid(frame, l3) || Ipv4.hasSourceRoute(frame, l3)) {
            return INVALID_PACKET;
        }
        packet.end = l3 + Ipv4.totalLength(frame, l3);
        packet.l4 = l3 + Ipv4.headerLength(frame, l3);
        packet.ttl = Ipv4.ttl(frame, l3);
        ipv4Addresses(packet.tuple, frame, l3);
        packet.knownUpTo = Packet.Known.ADDRESSES;

        if (Ipv4.isFragment(frame, l3)) {
            packet.fragmentId = Ipv4.id(frame, l3);
            if (Ipv4.fragmentOffsetBytes(frame, l3) != 0) {
                packet.fragment = Packet.Fragment.LATER;
                return NONE;
            }
            packet.fragment = Packet.Fragment.FIRST;
        }
        return parseTransport(packet, frame);
    }

    private DropReason parseIpv6(final Packet packet, final MemorySegment frame) {
        final int l3 = packet.l3;
        if (Ipv6.check(frame, l3, packet.end - l3) != WireFault.NONE) {
            return INVALID_PACKET;
        }
        packet.end = l3 + Ipv6.BYTES + Ipv6.payloadLength(frame, l3);
        packet.ttl = Ipv6.hopLimit(frame, l3);
        ipv6Addresses(packet.tuple, frame, l3);
        packet.knownUpTo = Packet.Known.ADDRESSES;

        final WireFault fault = extensions.walk(frame, l3);
        if (fault != WireFault.NONE) {
            return fault == WireFault.BAD_FRAGMENT
                    ? FRAGMENT_MALFORMED
                    : INVALID_IPV6_EXTENSION_HEADER;
        }
        packet.tuple.protocol = extensions.protocol;
        packet.l4 = (int) extensions.upperOffset;

        if (extensions.isFragment()) {
            packet.fragmentId = extensions.fragmentId;
            if (extensions.fragmentOffsetBytes != 0) {
                packet.fragment = Packet.Fragment.LATER;
                return NONE;
            }
            // Later fragments name only the fragment header's next header. A chain that goes on
            // behind it would let first and later fragments disagree about the protocol.
            if (extensions.fragmentProtocol != extensions.protocol) {
                return INVALID_IPV6_EXTENSION_HEADER;
            }
            packet.fragment = Packet.Fragment.FIRST;
        }
        return parseTransport(packet, frame);
    }

    private DropReason parseQuoted(final Packet packet, final MemorySegment frame, final int at) {
        final int available = packet.end - at;
        final Tuple quoted = packet.quoted;
        quoted.echoReply = false;
        int upper = at;
        if (packet.etherType == Ethernet.IPV4) {
            if (Ipv4.checkQuoted(frame, at, available) != WireFault.NONE
                    || Ipv4.fragmentOffsetBytes(frame, at) != 0) {
                return UNKNOWN_CONNECTION_TRACKING_STATE;
            }
            ipv4Addresses(quoted, frame, at);
            upper += Ipv4.headerLength(frame, at);
        } else {
            if (Ipv6.checkQuoted(frame, at, available) != WireFault.NONE
                    || quotedExtensions.walkQuoted(frame, at, available) != WireFault.NONE
                    || quotedExtensions.fragmentOffsetBytes != 0) {
                return UNKNOWN_CONNECTION_TRACKING_STATE;
            }
            ipv6Addresses(quoted, frame, at);
            quoted.protocol = quotedExtensions.protocol;
            upper = (int) quotedExtensions.upperOffset;
        }
        if (packet.end - upper < Icmp.QUOTED_TRANSPORT_BYTES) {
            return UNKNOWN_CONNECTION_TRACKING_STATE;
        }
        quotedPorts(quoted, frame, upper);
        packet.quotesPacket = true;
        return NONE;
    }

    private static void quotedPorts(final Tuple quoted, final MemorySegment frame, final int l4) {
        switch (quoted.protocol) {
            case IpProtocol.TCP, IpProtocol.UDP, IpProtocol.SCTP -> {
                // All three begin with the source and the destination port.
                quoted.sourcePort = Udp.sourcePort(frame, l4);
                quoted.destinationPort = Udp.destinationPort(frame, l4);
            }
            case IpProtocol.ICMP, IpProtocol.ICMP6 -> {
                quoted.sourcePort = Icmp.echoId(frame, l4);
                quoted.destinationPort = quoted.sourcePort;
                quoted.echoReply = isEchoReply(quoted.protocol, Icmp.type(frame, l4));
            }
            default -> {
                quoted.sourcePort = 0;
                quoted.destinationPort = 0;
            }
        }
    }

    private DropReason parseTransport(final Packet packet, final MemorySegment frame) {
        final int l4 = packet.l4;
        final int available = packet.end - l4;
        final Tuple tuple = packet.tuple;
        WireFault fault = WireFault.NONE;
        tuple.sourcePort = 0;
        tuple.destinationPort = 0;
        packet.knownUpTo = Packet.Known.TUPLE;

        switch (tuple.protocol) {
            case IpProtocol.TCP -> {
                fault = Tcp.check(frame, l4, available);
                if (fault == WireFault.NONE) {
                    tuple.sourcePort = Tcp.sourcePort(frame, l4);
                    tuple.destinationPort = Tcp.destinationPort(frame, l4);
                    packet.tcpFlags = Tcp.flags(frame, l4);
                    parseSegment(packet, frame, l4);
                }
            }
            case IpProtocol.UDP -> {
                fault =
                        packet.fragment == Packet.Fragment.FIRST
                                ? Udp.checkFirstFragment(frame, l4, available)
                                : Udp.check(frame, l4, available);
                if (fault == WireFault.NONE) {
                    tuple.sourcePort = Udp.sourcePort(frame, l4);
                    tuple.destinationPort = Udp.destinationPort(frame, l4);
                }
            }
            case IpProtocol.SCTP -> {
                fault = Sctp.check(frame, l4, available);
                if (fault == WireFault.NONE) {
                    tuple.sourcePort = Sctp.sourcePort(frame, l4);
                    tuple.destinationPort = Sctp.destinationPort(frame, l4);
                }
            }
            case IpProtocol.ICMP -> {
                fault =
                        packet.etherType == Ethernet.IPV4
                                ? Icmp.check(frame, l4, available)
                                : WireFault.BAD_VERSION;
                if (fault == WireFault.NONE) {
                    return parseIcmp(packet, frame, l4);
                }
            }
            case IpProtocol.ICMP6 -> {
                fault =
                        packet.etherType == Ethernet.IPV6
                                ? Icmp6.check(frame, l4, available)
                                : WireFault.BAD_VERSION;
                if (fault == WireFault.NONE) {
                    return parseIcmp(packet, frame, l4);
                }
            }
            default -> {}
        }
        if (fault != WireFault.NONE) {
            packet.knownUpTo = Packet.Known.ADDRESSES;
            return CT_TRUNCATED_OR_INVALID_HEADER;
        }
        return NONE;
    }

    /** The options of a SYN are read, and of no other segment: only there the scale counts. */
    private static void parseSegment(final Packet packet, final MemorySegment frame, final int l4) {
        final TcpSegment segment = packet.segment;
        segment.sequence = Tcp.sequence(frame, l4);
        segment.acknowledgment = Tcp.acknowledgment(frame, l4);
        segment.window = Tcp.window(frame, l4);
        segment.payloadBytes = packet.end - l4 - Tcp.headerLength(frame, l4);
        segment.windowScale =
                (packet.tcpFlags & Tcp.SYN) == 0 ? TcpSegment.NO_SCALE : Tcp.windowScale(frame, l4);
    }

    /** ICMP and ICMPv6 have type, code and echo identifier in the same places. */
    private DropReason parseIcmp(final Packet packet, final MemorySegment frame, final int l4) {
        icmpKind(packet, Icmp.type(frame, l4) << 8 | Icmp.code(frame, l4));
        if (packet.isEchoRequest || packet.tuple.echoReply) {
            packet.tuple.sourcePort = Icmp.echoId(frame, l4);
            packet.tuple.destinationPort = packet.tuple.sourcePort;
            return NONE;
        }
        return isIcmpError(packet.tuple.protocol, packet.icmpTypeCode >>> 8)
                ? parseQuoted(packet, frame, (int) Icmp.quotedOffset(l4))
                : NONE;
    }

    /** Notes type and code, and what follows from them. */
    static void icmpKind(final Packet packet, final int typeCode) {
        final int type = typeCode >>> 8;
        final int protocol = packet.tuple.protocol;
        packet.icmpTypeCode = typeCode;
        packet.isEchoRequest =
                type == (protocol == IpProtocol.ICMP ? Icmp.ECHO_REQUEST : Icmp6.ECHO_REQUEST);
        packet.tuple.echoReply = isEchoReply(protocol, type);
        packet.standsAlone = !packet.isEchoRequest && !packet.tuple.echoReply;
    }

    private static boolean isEchoReply(final int protocol, final int type) {
        return type == (protocol == IpProtocol.ICMP ? Icmp.ECHO_REPLY : Icmp6.ECHO_REPLY);
    }

    private static boolean isIcmpError(final int protocol, final int type) {
        return protocol == IpProtocol.ICMP ? Icmp.isError(type) : Icmp6.isError(type);
    }

    /** What policy was asked about when this flow opened; of ICMP, only echo opens flows. */
    static int policyPortOfFlow(final Tuple initiator) {
        return switch (initiator.protocol) {
            case IpProtocol.ICMP -> Icmp.ECHO_REQUEST << 8;
            case IpProtocol.ICMP6 -> Icmp6.ECHO_REQUEST << 8;
            default -> initiator.destinationPort;
        };
    }

    private static void ipv4Addresses(final Tuple tuple, final MemorySegment frame, final int l3) {
        tuple.protocol = Ipv4.protocol(frame, l3);
        tuple.sourceHigh = Tuple.IPV4_MAPPED_HIGH;
        tuple.sourceLow = Tuple.mapped(Ipv4.source(frame, l3));
        tuple.destinationHigh = Tuple.IPV4_MAPPED_HIGH;
        tuple.destinationLow = Tuple.mapped(Ipv4.destination(frame, l3));
    }

    private static void ipv6Addresses(final Tuple tuple, final MemorySegment frame, final int l3) {
        tuple.sourceHigh = Ipv6.sourceHigh(frame, l3);
        tuple.sourceLow = Ipv6.sourceLow(frame, l3);
        tuple.destinationHigh = Ipv6.destinationHigh(frame, l3);
        tuple.destinationLow = Ipv6.destinationLow(frame, l3);
    }
}
