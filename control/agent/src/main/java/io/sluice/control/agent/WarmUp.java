package io.sluice.control.agent;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.FragmentTable;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEvents;
import io.sluice.dataplane.ForwardingLoop;
import io.sluice.dataplane.Gateway;
import io.sluice.dataplane.LaneCounters;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.linux.FramePair;
import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.Tun;
import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.port.Port;
import io.sluice.dataplane.port.TapOptions;
import io.sluice.dataplane.port.TapPort;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import io.sluice.dataplane.wire.IpAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.status.CountersManager;

/**
 * Makes the virtual machine compile the packet path before the first real packet.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A process that has just started interprets the packet path at some 20 us a packet; it takes
 * tens of thousands of packets until all of it is compiled. A process that takes over from a
 * running one must not begin like that: the packets that come meanwhile fill the devices' queues.
 * So it first forwards made-up packets, of the kinds that are common, through a switch of its own
 * that nobody else sees: the same classes and system calls, with pairs of sockets in the place of
 * the devices.
 *
 * <p>What it leaves behind is compiled code only: it has tables, counters and ports of its own, and
 * frees them.
 *
 * <p>Thread: one.
 */
final class WarmUp implements AutoCloseable {
    /** Packets until the hot methods have been compiled with what was learned of them. */
    private static final int PACKETS = 60_000;

    /** A pair of sockets holds at least as many small frames. */
    private static final int FRAMES_PER_TURN = 32;

    /** Flows of each kind: opened at first, then followed. */
    private static final int FLOWS = 64;

    private static final int ALLOWED = 256;
    private static final int MTU = 1500;
    private static final int TCP = 6;
    private static final int UDP = 17;
    private static final long CLIENT_MAC = 0x0200_0000_0001L;
    private static final long SERVER_MAC = 0x0200_0000_0002L;
    private static final List<IpAddress> CLIENT = addresses("192.0.2.1", "2001:db8::1");
    private static final List<IpAddress> SERVER = addresses("192.0.2.2", "2001:db8::2");

    /** A pair of sockets in the place of a device, with its far end in our hands. */
    record Pair(TapPort tap, Tun farEnd) implements PortFactory.Device {
        static Pair open(final String name, final long mac, final int mtuBytes) {
            final FramePair pair = FramePair.open();
            return new Pair(
                    TapPort.adopt(
                            new TapOptions(
                                    name,
                                    NetworkNamespace.current(),
                                    mac,
                                    mtuBytes,
                                    TapOptions.Lifetime.PORT),
                            List.of(pair.one())),
                    Tun.adopt(name, pair.other()));
        }

        @Override
        public Port port() {
            return tap;
        }

        @Override
        public boolean isReplaced() {
            return false;
        }

        @Override
        public void remove() {
            tap.close();
            farEnd.close();
        }
    }

    /** A port of the switch, and the far end of its device. */
    private record Side(CountedPort port, Tun device, List<byte[]> frames) {}

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment buffer = arena.allocate(PacketBatch.FRAME_BYTES_MAX, Long.BYTES);
    private final Conntrack conntrack;
    private final FragmentTable fragments = FragmentTable.open(1);
    private final ForwardingLoop loop;
    private final Side client;
    private final Side server;
    private long nowNs = 1;

    private WarmUp() {
        conntrack = Conntrack.open(smallTable(), 1);
        loop =
                new ForwardingLoop(
                        Gateway.DEFAULT,
                        conntrack,
                        fragments,
                        new LaneCounters(
                                new CountersManager(
                                        new UnsafeBuffer(ByteBuffer.allocateDirect(1 << 19)),
                                        new UnsafeBuffer(ByteBuffer.allocateDirect(1 << 17)))),
                        FlowEvents.NONE,
                        (port, index) -> {});
        client = side("client", CLIENT_MAC, CLIENT, SERVER, 32_768, 443);
        server = side("server", SERVER_MAC, SERVER, CLIENT, 443, 32_768);
    }

    private static ConntrackConfig smallTable() {
        final ConntrackConfig defaults = ConntrackConfig.defaults();
        return new ConntrackConfig(
                4 * FLOWS,
                4 * FLOWS,
                defaults.tcpSynTimeoutNs(),
                defaults.tcpEstablishedTimeoutNs(),
                defaults.tcpFinWaitTimeoutNs(),
                defaults.tcpClosingTimeoutNs(),
                defaults.udpUnrepliedTimeoutNs(),
                defaults.udpRepliedTimeoutNs(),
                defaults.udpStreamTimeoutNs(),
                defaults.icmpTimeoutNs(),
                defaults.otherTimeoutNs(),
                defaults.tcpLoose(),
                defaults.tcpWindowCheck());
    }

    /** Forwards made-up packets until the path is compiled: about a second of one processor. */
    static void run() {
        try (WarmUp warmUp = new WarmUp()) {
            warmUp.open();
            for (int sent = 0; sent < PACKETS; sent += 2 * FRAMES_PER_TURN) {
                warmUp.turn(sent);
            }
        }
    }

    private void open() {
        final PolicyMap map = policyMap();
        await(
                loop.proxy()
                        .publishTables(
                                new Tables(
                                        1,
                                        List.of(
                                                Endpoint.workload(
                                                        CLIENT_MAC, MTU, CLIENT, map, map),
                                                Endpoint.workload(
                                                        SERVER_MAC, MTU, SERVER, map, map)),
                                        ipcache())));
        await(loop.proxy().addPort(0, client.port));
        await(loop.proxy().addPort(1, server.port));
    }

    private void await(final CompletableFuture<Void> done) {
        while (!done.isDone()) {
            loop.doWork(nowNs);
        }
    }

    private void turn(final int sent) {
        for (int i = 0; i < FRAMES_PER_TURN; i++) {
            write(client, sent / 2 + i);
            write(server, sent / 2 + i);
        }
        nowNs += 1_000_000;
        loop.doWork(nowNs);
        drain(client.device);
        drain(server.device);
    }

    private void write(final Side side, final int number) {
        final byte[] frame = side.frames.get(number % side.frames.size());
        buffer.copyFrom(MemorySegment.ofArray(frame));
        side.device.write(buffer.address(), frame.length);
    }

    private void drain(final Tun device) {
        long read;
        do {
            read = device.read(buffer.address(), PacketBatch.FRAME_BYTES_MAX);
        } while (read > 0);
    }

    @Override
    public void close() {
        for (final Side side : List.of(client, server)) {
            side.port.close();
            side.device.close();
        }
        loop.close();
        fragments.close();
        conntrack.close();
        arena.close();
    }

    private static Side side(
            final String name,
            final long mac,
            final List<IpAddress> own,
            final List<IpAddress> other,
            final int sourcePort,
            final int destinationPort) {
        final Pair pair = Pair.open(name, mac, MTU);
        final List<byte[]> frames = new ArrayList<>();
        for (int i = 0; i < FLOWS; i++) {
            for (int family = 0; family < own.size(); family++) {
                for (final int protocol : new int[] {TCP, UDP}) {
                    frames.add(
                            frame(
                                    mac,
                                    own.get(family),
                                    other.get(family),
                                    protocol,
                                    sourcePort >= 32_768 ? sourcePort + i : sourcePort,
                                    destinationPort >= 32_768
                                            ? destinationPort + i
                                            : destinationPort));
                }
            }
        }
        return new Side(new CountedPort(pair.tap), pair.farEnd, frames);
    }

    /** A frame with its virtio-net header, an open checksum as a sender's, and no payload. */
    private static byte[] frame(
            final long mac,
            final IpAddress source,
            final IpAddress destination,
            final int protocol,
            final int sourcePort,
            final int destinationPort) {
        final boolean ipv4 = source.isIpv4();
        final int ipBytes = ipv4 ? 20 : 40;
        final int transportBytes = protocol == TCP ? 20 : 8;
        final ByteBuffer frame =
                ByteBuffer.allocate(PacketBatch.VNET_HEADER_BYTES + 14 + ipBytes + transportBytes);
        frame.position(PacketBatch.VNET_HEADER_BYTES);
        putMac(frame, Gateway.DEFAULT.mac());
        putMac(frame, mac);
        if (ipv4) {
            frame.putShort((short) 0x0800);
            final int header = frame.position();
            frame.putInt(0x4500_0000 | ipBytes + transportBytes).putInt(0x0001_4000);
            frame.put((byte) 64).put((byte) protocol).putShort((short) 0);
            frame.putInt(source.ipv4()).putInt(destination.ipv4());
            frame.putShort(header + 10, (short) ipv4Checksum(frame, header));
        } else {
            frame.putShort((short) 0x86dd);
            frame.putInt(0x6000_0000).putShort((short) transportBytes);
            frame.put((byte) protocol).put((byte) 64);
            frame.putLong(source.high()).putLong(source.low());
            frame.putLong(destination.high()).putLong(destination.low());
        }
        frame.putShort((short) sourcePort).putShort((short) destinationPort);
        if (protocol == TCP) {
            frame.putInt(1).putInt(1).putShort((short) 0x5010).putShort((short) 0xffff);
        } else {
            frame.putShort((short) transportBytes);
        }
        return frame.array();
    }

    private static int ipv4Checksum(final ByteBuffer frame, final int header) {
        int sum = 0;
        for (int i = 0; i < 20; i += 2) {
            sum += Short.toUnsignedInt(frame.getShort(header + i));
        }
        while (sum > 0xffff) {
            sum = (sum & 0xffff) + (sum >>> 16);
        }
        return ~sum & 0xffff;
    }

    private static void putMac(final ByteBuffer frame, final long mac) {
        frame.putShort((short) (mac >>> 32)).putInt((int) mac);
    }

    private static PolicyMap policyMap() {
        final List<PolicyMap.Interval> ports = new ArrayList<>();
        for (int first = 0; first <= 0xffff; first += 4096) {
            ports.add(new PolicyMap.Interval(first, PolicyEntry.allow(0)));
        }
        return new PolicyMap.Builder(PolicyEntry.deny(DropReason.POLICY_DENIED.code(), 0))
                .program(
                        ALLOWED,
                        new PolicyMap.Program(
                                PolicyEntry.deny(DropReason.POLICY_DENIED.code(), 0),
                                List.of(
                                        new PolicyMap.ProtocolPorts(TCP, ports),
                                        new PolicyMap.ProtocolPorts(UDP, ports))))
                .build();
    }

    private static Ipcache ipcache() {
        final Ipcache.Builder builder = new Ipcache.Builder();
        CLIENT.forEach(address -> builder.add(address.high(), address.low(), 128, ALLOWED, 0));
        SERVER.forEach(address -> builder.add(address.high(), address.low(), 128, ALLOWED, 1));
        return builder.build();
    }

    private static List<IpAddress> addresses(final String ipv4, final String ipv6) {
        return List.of(IpAddress.parse(ipv4), IpAddress.parse(ipv6));
    }
}
