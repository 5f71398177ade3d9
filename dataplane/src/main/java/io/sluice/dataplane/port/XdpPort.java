package io.sluice.dataplane.port;

import io.sluice.dataplane.linux.Errno;
import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.VethPair;
import io.sluice.dataplane.linux.XdpQueues;
import io.sluice.dataplane.linux.XdpSocket;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.OpenChecksum;
import io.sluice.dataplane.wire.Segmenter;
import io.sluice.dataplane.wire.VnetHeader;
import io.sluice.dataplane.wire.WireFault;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A port whose far end is a veth device in a pod's namespace, read and written through AF_XDP.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Purpose. Packets per second: no system call per frame, where {@link TapPort} needs one. For
 * bulk TCP a TAP is faster: it passes super-frames of 64 KiB, and here every packet passes alone.
 *
 * <p>Devices. {@link VethPair}: the pod's end is what the pod sees as {@code eth0}; to the peer, in
 * our namespace, an {@link XdpSocket} is bound for each of its {@link XdpQueues}. Read them for who
 * owns a frame when, and for what happens at each limit. A batch takes from the queues in turn; all
 * frames leave by the first.
 *
 * <p>Copies. A frame is copied from the socket's memory into the batch, and from the batch into the
 * memory of the socket that it leaves by. A memory common to all ports would save both, some 5 ns
 * of a packet of 64 bytes beside the kernel's 1,000 (the veth driver copies every frame that a
 * program redirects, and AF_XDP in copy mode once more each way), and would tie frames of one port
 * to the progress of all others.
 *
 * <p>Checksums. What a pod's kernel has left open is found by {@link OpenChecksum} and noted in the
 * virtio-net header, as a TAP would; an open checksum leaves open, named in the socket's metadata,
 * where the kernel takes that, and is completed by us where not.
 *
 * <p>Super-frames come from TAP ports. {@link Segmenter} cuts them; all packets of one are sent, or
 * from the first for which there is no room on none.
 *
 * <p>Sending is held back until {@link #flush}: one system call for a batch. What the device does
 * not take stays in the socket's ring and goes with a later flush; when no frame is free, {@link
 * #send} refuses.
 *
 * <p>The end of the device shows in a system call that is made every {@link #LOOKS_PER_CHECK} looks
 * in which there was nothing.
 *
 * <p>Thread: see {@link Port}.
 */
public final class XdpPort implements Port {
    /** Largest IP packet, in bytes; what a batch has room for. */
    public static final int MTU_MAX = 65_521;

    /** An idle lane looks every 50 ms; a busy one every microsecond or less. */
    private static final int LOOKS_PER_CHECK = 16;

    /** Pieces of a packet that the kernel takes: MAX_SKB_FRAGS of include/linux/skbuff.h. */
    private static final int PIECES_MAX = 17;

    /** One VLAN tag, which the parser refuses; it is received to be counted. */
    private static final int VLAN_TAG_BYTES = 4;

    private final XdpOptions options;
    private final VethPair pair;
    private final XdpQueues queues;
    private final XdpSocket[] sockets;

    /** The one that sends. */
    private final XdpSocket socket;

    private final OpenChecksum checksums = new OpenChecksum();
    private final Segmenter segmenter = new Segmenter();
    private final AtomicLong cutFrames = new AtomicLong();
    private final Arena arena = Arena.ofShared();
    private final long[] pieces = new long[PIECES_MAX];

    /** Where a segment lies that is sent in pieces. */
    private final MemorySegment longSegment;

    /** The queue that is looked at first, so that none waits behind another's flood. */
    private int firstQueue;

    private int emptyLooks;
    private volatile long droppedBeforeClose;
    private volatile boolean closed;

    private XdpPort(final XdpOptions options, final VethPair pair, final XdpQueues queues) {
        this.options = options;
        this.pair = pair;
        this.queues = queues;
        this.sockets = queues.sockets().toArray(XdpSocket[]::new);
        this.socket = sockets[0];
        this.longSegment = arena.allocate(PacketBatch.FRAME_BYTES_MAX, 64);
    }

    /**
     * Makes the pair of devices, or finds it again, and opens the socket.
     *
     * @throws LinuxException where the devices cannot be, or somebody else reads the peer (EBUSY)
     * @throws XdpUnavailableException where there is no AF_XDP to be had; nothing is left behind
     */
    public static XdpPort open(final XdpOptions options) throws XdpUnavailableException {
        final VethPair pair =
                VethPair.open(
                        options.peer(),
                        options.namespace(),
                        options.device(),
                        options.macText(),
                        options.mtu(),
                        options.queues());
        try {
            return new XdpPort(
                    options,
                    pair,
                    XdpQueues.open(
                            options.peer(),
                            options.queues(),
                            Ethernet.BYTES + VLAN_TAG_BYTES + options.mtu(),
                            options.mode(),
                            options.busyPollUs()));
        } catch (final LinuxException e) {
            if (e.is(Errno.EBUSY)) {
                throw e;
            }
            pair.remove();
            throw new XdpUnavailableException(e);
        }
    }

    @Override
    public String name() {
        return options.device();
    }

    @Override
    public int mtu() {
        return options.mtu();
    }

    @Override
    public int pollFd() {
        return closed ? -1 : queues.pollFd();
    }

    @Override
    public boolean isCheapToReceive() {
        return true;
    }

    @Override
    public boolean holdsFrames() {
        return true;
    }

    @Override
    public void flush() {
        socket.flush();
    }

    /** Whether the program runs in the device's driver; else in the kernel's generic code. */
    public boolean isNative() {
        return queues.isNative();
    }

    /** Whether checksums leave open; else they are completed by us. */
    public boolean leavesChecksumsOpen() {
        return socket.completesChecksums();
    }

    /** Frames that the kernel took and the pod's end refused. Thread: any. */
    public long droppedByDevice() {
        return socket.droppedByDevice();
    }

    /**
     * Frames of the pod for which there was no room, or that were too long; the last figure after
     * the end. Thread: any.
     */
    public long droppedOnReceive() {
        if (closed) {
            return droppedBeforeClose;
        }
        long dropped = 0;
        for (final XdpSocket each : sockets) {
            dropped += each.droppedOnReceive();
        }
        // A socket that was closed in the meantime said 0.
        return closed ? droppedBeforeClose : dropped;
    }

    @Override
    public long lostByKernel() {
        return droppedOnReceive() + droppedByDevice();
    }

    /** Super-frames that were cut. Thread: any. */
    public long cutFrames() {
        return cutFrames.get();
    }

    @Override
    public int receive(final PacketBatch batch) {
        int looked = 0;
        int waiting = 0;
        int frames = 0;
        while (looked < sockets.length && batch.hasRoom()) {
            final XdpSocket from = sockets[firstQueue];
            firstQueue = firstQueue + 1 < sockets.length ? firstQueue + 1 : 0;
            looked++;
            final int here = from.received();
            if (here > 0) {
                waiting += here;
                frames += receive(batch, from, here);
            }
        }
        if (waiting == 0) {
            return lookWhetherGone();
        }
        emptyLooks = 0;
        return frames;
    }

    /** Three passes: none waits for memory that the one before could have asked for. */
    private int receive(final PacketBatch batch, final XdpSocket from, final int waiting) {
        from.fetch(Math.min(waiting, PacketBatch.FRAMES_MAX));
        final int before = batch.count();
        int taken = 0;
        while (taken < waiting && batch.hasRoom()) {
            final int pieces = piecesAt(from, taken, waiting);
            if (pieces == 0) {
                break;
            }
            copyIn(batch, from, taken, pieces);
            taken += pieces;
        }
        from.release(taken);
        for (int i = before; i < batch.count(); i++) {
            checksums.describe(batch.memory(), batch.offset(i), batch.length(i));
        }
        return batch.count() - before;
    }

    /** Descriptors of the packet that begins at the n-th; 0 if not all are there. */
    private static int piecesAt(final XdpSocket from, final int first, final int waiting) {
        for (int i = first; i < waiting; i++) {
            if (!from.continues(i)) {
                return i - first + 1;
            }
        }
        return 0;
    }

    /** Adds a packet to the batch; one that is longer than any may be is left out. */
    private static void copyIn(
            final PacketBatch batch, final XdpSocket from, final int first, final int pieces) {
        final int vnet = batch.nextOffset();
        int at = VnetHeader.BYTES;
        for (int i = first; i < first + pieces; i++) {
            final int length = from.length(i);
            if (at + length > PacketBatch.FRAME_BYTES_MAX) {
                return;
            }
            FrameCopy.copy(
                    from.umemAddress() + from.address(i),
                    batch.memory().address() + vnet + at,
                    length);
            at += length;
        }
        batch.add(at);
    }

    private int lookWhetherGone() {
        if (++emptyLooks < LOOKS_PER_CHECK) {
            return 0;
        }
        emptyLooks = 0;
        return socket.isGone() ? GONE : 0;
    }

    @Override
    public boolean send(final MemorySegment memory, final long offset, final int length) {
        if (!VnetHeader.isSuperFrame(memory, offset)) {
            return sendWhole(memory, offset, length);
        }
        if (!segmenter.start(memory, offset, length)) {
            return false;
        }
        cutFrames.setRelease(cutFrames.getPlain() + 1);
        while (segmenter.hasNext()) {
            if (!sendSegment()) {
                return false;
            }
        }
        return true;
    }

    private boolean sendSegment() {
        final int length = segmenter.nextBytes();
        if (length - VnetHeader.BYTES > socket.txRoomBytes()) {
            segmenter.next(longSegment, 0);
            return sendWhole(longSegment, 0, length);
        }
        final long frame = socket.takeFrame();
        if (frame == XdpSocket.NONE) {
            return false;
        }
        segmenter.next(socket.umem(), frame - VnetHeader.BYTES);
        return post(frame, length);
    }

    private boolean sendWhole(final MemorySegment memory, final long offset, final int length) {
        if (length - VnetHeader.BYTES > socket.txRoomBytes()) {
            return sendInPieces(memory, offset, length);
        }
        final long frame = socket.takeFrame();
        if (frame == XdpSocket.NONE) {
            return false;
        }
        FrameCopy.copy(
                memory.address() + offset, socket.umemAddress() + frame - VnetHeader.BYTES, length);
        return post(frame, length);
    }

    /** Posts the frame that lies in the socket's memory with its virtio-net header before it. */
    private boolean post(final long frame, final int length) {
        final MemorySegment umem = socket.umem();
        final long vnet = frame - VnetHeader.BYTES;
        final int frameBytes = length - VnetHeader.BYTES;
        if (!VnetHeader.needsChecksum(umem, vnet)) {
            socket.post(frame, frameBytes, 0);
        } else if (canLeaveOpen(umem, vnet, frameBytes)) {
            socket.postOpenChecksum(
                    frame,
                    frameBytes,
                    0,
                    VnetHeader.checksumStart(umem, vnet),
                    VnetHeader.checksumOffset(umem, vnet));
        } else if (VnetHeader.completeChecksum(umem, vnet, length) == WireFault.NONE) {
            socket.post(frame, frameBytes, 0);
        } else {
            socket.giveBack(frame);
            return false;
        }
        return true;
    }

    /** The kernel stops at a descriptor whose checksum lies outside of its piece. */
    private boolean canLeaveOpen(
            final MemorySegment memory, final long vnet, final int pieceBytes) {
        return socket.completesChecksums()
                && VnetHeader.checksumStart(memory, vnet)
                                + VnetHeader.checksumOffset(memory, vnet)
                                + Short.BYTES
                        <= pieceBytes;
    }

    /** A frame longer than a chunk: one descriptor for each chunk, all of them or none. */
    private boolean sendInPieces(final MemorySegment memory, final long offset, final int length) {
        final int frameBytes = length - VnetHeader.BYTES;
        final int room = socket.txRoomBytes();
        final int count = (frameBytes + room - 1) / room;
        if (count > PIECES_MAX) {
            return false;
        }
        final boolean isOpen =
                VnetHeader.needsChecksum(memory, offset) && canLeaveOpen(memory, offset, room);
        if (!isOpen && VnetHeader.completeChecksum(memory, offset, length) != WireFault.NONE) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            pieces[i] = socket.takeFrame();
            if (pieces[i] == XdpSocket.NONE) {
                while (i-- > 0) {
                    socket.giveBack(pieces[i]);
                }
                return false;
            }
        }
        for (int i = 0; i < count; i++) {
            final int done = i * room;
            final int part = Math.min(room, frameBytes - done);
            final int more = i < count - 1 ? XdpSocket.CONTINUES : 0;
            MemorySegment.copy(
                    memory, offset + VnetHeader.BYTES + done, socket.umem(), pieces[i], part);
            if (i == 0 && isOpen) {
                socket.postOpenChecksum(
                        pieces[i],
                        part,
                        more,
                        VnetHeader.checksumStart(memory, offset),
                        VnetHeader.checksumOffset(memory, offset));
            } else {
                socket.post(pieces[i], part, more);
            }
        }
        return true;
    }

    /** Lets go of the device. The pair stays, and may be opened again. */
    @Override
    public void close() {
        if (!closed) {
            droppedBeforeClose = droppedOnReceive();
            closed = true;
            queues.close();
            arena.close();
        }
    }

    /** Lets go of the device and removes both ends, with addresses and routes. */
    public void release() {
        close();
        pair.remove();
    }
}
