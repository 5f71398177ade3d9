package io.sluice.dataplane;

import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowKey;
import io.sluice.conntrack.TcpSegment;
import io.sluice.conntrack.Tuple;
import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.IpProtocol;
import java.lang.foreign.MemorySegment;

/**
 * Cursor over one packet of a batch: where its headers lie and what the steps have found out.
 *
 * <p>{@link HeaderParser} fills the header fields once; later steps read them and never look at
 * header bytes again. What a field means depends on how far the packet came: see {@link
 * #knownUpTo}.
 *
 * <p>Thread: owned by one lane; reused for every packet.
 */
public final class Packet {
    /** How far the packet was understood; each step implies the ones before. */
    public enum Known {
        /** Only the frame and the port it came from. */
        FRAME,
        /** Ethernet addresses and type. */
        ETHERNET,
        /** IP addresses, protocol, TTL, fragment facts. */
        ADDRESSES,
        /** Ports, TCP flags, ICMP type: the whole tuple. */
        TUPLE,
        /** Identities and ports of both sides. */
        SIDES,
        /** The answers of the policy maps. */
        POLICY
    }

    /** What part of a datagram this packet is. */
    public enum Fragment {
        /** The whole datagram. */
        NONE,
        /** The first fragment: it carries the transport header. */
        FIRST,
        /** A later fragment: no transport header. */
        LATER
    }

    private MemorySegment memory = MemorySegment.NULL;

    /** Start of the virtio-net header in {@link #memory()}, in bytes. */
    public int start;

    /** Length with the virtio-net header, in bytes. */
    public int length;

    /** Start of the Ethernet header. */
    public int l2;

    /** Start of the IP header, or of the ARP message. */
    public int l3;

    /** Start of the transport header; only where {@link #fragment} is not LATER. */
    public int l4;

    /** End of the IP packet (Ethernet padding is behind it). */
    public int end;

    /** Index of the port the packet came from. */
    public int inPort;

    /** Index of the port that leads to the destination. */
    public int outPort;

    /** How far the packet was understood. */
    public Known knownUpTo = Known.FRAME;

    public int etherType;
    public long sourceMac;
    public long destinationMac;

    /** TTL or hop limit. */
    public int ttl;

    public Fragment fragment = Fragment.NONE;

    /** Identification of the datagram; only where {@link #fragment} is not NONE. */
    public int fragmentId;

    /** The tuple of this packet; of the fragment's datagram once its ports were found. */
    public final Tuple tuple = new Tuple();

    /** TCP flags; 0 for other protocols. */
    public int tcpFlags;

    /** Numbers of the TCP header; only where {@link #tcpFlags} are those of a header. */
    public final TcpSegment segment = new TcpSegment();

    /** ICMP type * 256 + code; 0 for other protocols. */
    public int icmpTypeCode;

    /**
     * Whether this is an ICMP message that opens no flow: not an echo. One that quotes no packet
     * either (router messages, timestamps) is judged for itself.
     */
    public boolean standsAlone;

    public boolean isEchoRequest;

    /** Whether this is an ICMP error that quotes a packet, whose tuple is in {@link #quoted}. */
    public boolean quotesPacket;

    /** Tuple of the packet that an ICMP error quotes, as that packet's sender sent it. */
    public final Tuple quoted = new Tuple();

    /** The tuple as the conntrack table looks it up. */
    final FlowKey flowKey = new FlowKey();

    /** Why the packet was not admitted, or NONE. */
    DropReason admission = DropReason.NONE;

    /** Whether the switch has answered the packet, so that it goes no further. */
    boolean isAnswered;

    /** What the packet is to the conntrack table. */
    public ConntrackState conntrackState = ConntrackState.NEW;

    public int sourceIdentity;
    public int destinationIdentity;

    /** Answer of the sender's egress map, a {@link io.sluice.dataplane.table.PolicyEntry}. */
    public long egressEntry;

    /** Answer of the receiver's ingress map. */
    public long ingressEntry;

    /** Whether the DNS agent has to read the flow, for a rule's sake or as its server. */
    public boolean isForAgent;

    /** The direction whose map denied, or the side of the switch where the packet stopped. */
    public TrafficDirection direction = TrafficDirection.EGRESS;

    /** Snapshot the packet was judged by. */
    public int policyRevision;

    void moveTo(final PacketBatch batch, final int index, final int port) {
        memory = batch.memory();
        start = batch.offset(index);
        length = batch.length(index);
        l2 = start + PacketBatch.VNET_HEADER_BYTES;
        end = start + length;
        inPort = port;
        outPort = -1;
        knownUpTo = Known.FRAME;
        fragment = Fragment.NONE;
        tcpFlags = 0;
        icmpTypeCode = 0;
        standsAlone = false;
        isEchoRequest = false;
        tuple.echoReply = false;
        quotesPacket = false;
        isAnswered = false;
        conntrackState = ConntrackState.NEW;
        sourceIdentity = 0;
        destinationIdentity = 0;
        egressEntry = 0;
        ingressEntry = 0;
        isForAgent = false;
        direction = TrafficDirection.EGRESS;
    }

    /** The frame has other data now. */
    void resize(final int frameLength) {
        length = frameLength;
        end = start + length;
    }

    /** The buffer that all offsets count in. */
    public MemorySegment memory() {
        return memory;
    }

    /** Length of the frame without its virtio-net header, in bytes. */
    public int frameBytes() {
        return length - PacketBatch.VNET_HEADER_BYTES;
    }

    /** Length of the IP packet, in bytes. */
    public int ipBytes() {
        return end - l3;
    }

    /** Whether an ICMP error goes to the sender of the packet it quotes, as it must (RFC 792). */
    boolean quotesItsReceiver() {
        return quoted.sourceLow == tuple.destinationLow
                && quoted.sourceHigh == tuple.destinationHigh;
    }

    /** Whether an ICMP error comes from the receiver of the packet it quotes, not from a router. */
    boolean quotesItsSender() {
        return quoted.destinationLow == tuple.sourceLow
                && quoted.destinationHigh == tuple.sourceHigh;
    }

    /** Whether the frame carries IPv4; meaningless before ADDRESSES. */
    public boolean isIpv4() {
        return etherType == Ethernet.IPV4;
    }

    /** Whether this is ICMP or ICMPv6. */
    public boolean isIcmp() {
        return tuple.protocol == IpProtocol.ICMP || tuple.protocol == IpProtocol.ICMP6;
    }

    /** What policy is asked about: the destination port, or the ICMP type and code. */
    public int policyPort() {
        return isIcmp() ? icmpTypeCode : tuple.destinationPort;
    }
}
