package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * An AF_XDP socket on one queue of a device, with the memory its frames lie in
 * (include/uapi/linux/if_xdp.h, net/xdp/xsk.c, Documentation/networking/af_xdp.rst). {@link
 * XdpQueues} opens them, and leads frames to them.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Purpose. Frames of a device without a system call for each: the kernel writes those that
 * arrive into memory of ours, the <i>umem</i>, and takes those that leave from there; four rings
 * ({@link XdpRing}) say whose a frame is.
 *
 * <p>Memory. One umem per socket, in chunks of 2 or 4 KiB: {@link #RX_FRAMES} to receive into and
 * {@link #TX_FRAMES} to send from, 6 or 12 MiB, on huge pages where the system has some free. The
 * two kinds never mix, so that a device that does not send cannot keep others from being received.
 *
 * <p>States of a frame. To receive: <i>fill</i> (the kernel may write into it), <i>rx</i> (it has,
 * and the caller reads), and back to fill by {@link #release}. To send: <i>free</i> (on a stack:
 * the one used last is still in the cache), taken by {@link #takeFrame}, <i>tx</i> (posted),
 * <i>completion</i> (the kernel has let go of it), and back to free. Both rings of a direction have
 * a place for every frame of it, so no ring is ever full before the frames have run out.
 *
 * <p>Copy mode. A veth device has no zero-copy mode. The kernel copies a frame in when it arrives,
 * on the processor of who sent it; to send it makes a socket buffer of a copy, in a system call for
 * the whole batch. The number of frames of such a call is bounded by the kernel (32) unless
 * XDP_MAX_TX_SKB_BUDGET raises it (6.17); {@link #flush} calls again until all have gone or nothing
 * moves.
 *
 * <p>At the limits. Nothing to fill: the kernel drops what arrives, counted by {@link
 * #droppedOnReceive}. No frame to send from, as completions are late: {@link #takeFrame} says so.
 * The device refuses: the frame is lost in the kernel and counted by {@link #droppedByDevice}. The
 * device is down: frames stay posted until none is free. The device is gone: {@link #isGone}. The
 * socket's memory accounting is raised so that it never is the limit.
 *
 * <p>What a kernel lacks. Checksum metadata (6.8): {@link #completesChecksums} is false and the
 * caller does it. Frames in several pieces (6.6): refused at {@link #open} if they are needed.
 *
 * <p>Thread: {@link #open} and {@link #close} any, {@link #droppedByDevice}, {@link
 * #completesChecksums} any; the rest the lane's.
 */
public final class XdpSocket implements AutoCloseable {
    /** Frames that can wait to be received, as many as arrive in 20 ms of 100,000 a second. */
    public static final int RX_FRAMES = 2_048;

    /** Frames on their way out: several batches. */
    public static final int TX_FRAMES = 1_024;

    /** Before a frame that is sent: a cache line, the metadata within it, in bytes. */
    public static final int TX_HEADROOM_BYTES = 64;

    /** Option of a descriptor: the packet goes on in the next one. */
    public static final int CONTINUES = 1;

    /** Answer of {@link #takeFrame}. */
    public static final long NONE = -1;

    /** What the kernel keeps free before every frame (XDP_PACKET_HEADROOM). */
    private static final int XDP_PACKET_HEADROOM = 256;

    private static final int SMALL_CHUNK_BYTES = 2_048;
    private static final int LARGE_CHUNK_BYTES = 4_096;
    private static final long HUGE_PAGE_BYTES = 2L << 20;
    private static final int MAP_HUGETLB = 0x40000;

    // include/uapi/linux/if_xdp.h
    private static final int SOL_XDP = 283;
    private static final int XDP_MMAP_OFFSETS = 1;
    private static final int XDP_RX_RING = 2;
    private static final int XDP_TX_RING = 3;
    private static final int XDP_UMEM_REG = 4;
    private static final int XDP_UMEM_FILL_RING = 5;
    private static final int XDP_UMEM_COMPLETION_RING = 6;
    private static final int XDP_STATISTICS = 7;
    private static final int XDP_MAX_TX_SKB_BUDGET = 9;
    private static final int XDP_COPY = 1 << 1;
    private static final int XDP_USE_NEED_WAKEUP = 1 << 3;
    private static final int XDP_USE_SG = 1 << 4;
    private static final long PGOFF_RX_RING = 0;
    private static final long PGOFF_TX_RING = 0x8000_0000L;
    private static final long PGOFF_FILL_RING = 0x1_0000_0000L;
    private static final long PGOFF_COMPLETION_RING = 0x1_8000_0000L;
    private static final int UMEM_TX_METADATA_LEN = 1 << 2;
    private static final int TX_METADATA = 1 << 1;
    private static final long TXMD_FLAGS_CHECKSUM = 1 << 1;

    /** {@code struct xsk_tx_metadata} has 24 bytes; a multiple of 8 that leaves it some growth. */
    private static final int METADATA_BYTES = 32;

    private final String device;
    private final int queue;
    private final int fd;
    private final int chunkBytes;
    private final Deque<Runnable> cleanup = new ArrayDeque<>();
    private final long[] freeFrames = new long[TX_FRAMES];
    private int freeCount;
    private int posted;

    /** Keeps the reads of {@link #fetch} from being taken for useless. */
    @SuppressWarnings("UnusedVariable")
    private int fetched;

    private MemorySegment umem = MemorySegment.NULL;
    private long umemAddress;
    private XdpRing fill;
    private XdpRing rx;
    private XdpRing tx;
    private XdpRing completion;
    private boolean completesChecksums;
    private final boolean busyPoll;
    private volatile long droppedByDevice;
    private volatile boolean closed;

    private XdpSocket(
            final String device,
            final int queue,
            final int fd,
            final int chunkBytes,
            final int busyPollUs) {
        this.device = device;
        this.queue = queue;
        this.fd = fd;
        this.chunkBytes = chunkBytes;
        this.busyPoll = busyPollUs > 0;
        cleanup.push(() -> Libc.close(fd));
        try {
            completesChecksums = registerUmem();
            ring(XDP_UMEM_FILL_RING, RX_FRAMES, "fill ring");
            ring(XDP_UMEM_COMPLETION_RING, TX_FRAMES, "completion ring");
            ring(XDP_RX_RING, RX_FRAMES, "RX ring");
            ring(XDP_TX_RING, TX_FRAMES, "TX ring");
            try (Arena arena = Arena.ofConfined()) {
                final MemorySegment offsets = arena.allocate(128, 8);
                final int got =
                        Libc.getsockopt(
                                fd,
                                SOL_XDP,
                                XDP_MMAP_OFFSETS,
                                offsets,
                                arena.allocateFrom(JAVA_INT, 128));
                if (got < 0) {
                    throw refused("XDP_MMAP_OFFSETS", got);
                }
                // struct xdp_mmap_offsets: rx, tx, fill, completion.
                rx = map(offsets, 0, PGOFF_RX_RING, RX_FRAMES, XdpRing.DESCRIPTOR_BYTES);
                tx = map(offsets, 1, PGOFF_TX_RING, TX_FRAMES, XdpRing.DESCRIPTOR_BYTES);
                fill = map(offsets, 2, PGOFF_FILL_RING, RX_FRAMES, XdpRing.ADDRESS_BYTES);
                completion =
                        map(offsets, 3, PGOFF_COMPLETION_RING, TX_FRAMES, XdpRing.ADDRESS_BYTES);
            }
        } catch (final RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * Opens a socket on a device of the calling thread's namespace. It can send; what it receives
     * is a program's to say.
     *
     * @param queue of the device, from 0
     * @param frameBytes longest Ethernet frame to be received or sent
     * @param busyPollUs how long a look at an empty ring may do the kernel's receive work on the
     *     lane's own thread (SO_BUSY_POLL), in microseconds; 0 for not at all
     * @throws LinuxException where the kernel has no AF_XDP (EAFNOSUPPORT), the process lacks
     *     CAP_NET_RAW (EPERM), somebody else has a socket there (EBUSY), the device has no such
     *     queue (EINVAL), or frames of this length are not to be had
     */
    static XdpSocket open(
            final String device, final int queue, final int frameBytes, final int busyPollUs) {
        final int fd = Libc.socket(Libc.AF_XDP, Libc.SOCK_RAW | Libc.SOCK_CLOEXEC);
        if (Errno.EAFNOSUPPORT.is(fd)) {
            throw LinuxException.of(
                    "open an AF_XDP socket", fd, "use a kernel with CONFIG_XDP_SOCKETS");
        }
        if (fd < 0) {
            throw LinuxException.of("open an AF_XDP socket", fd, "run as root or with CAP_NET_RAW");
        }
        final boolean inPieces = frameBytes > SMALL_CHUNK_BYTES - XDP_PACKET_HEADROOM;
        final XdpSocket socket =
                new XdpSocket(
                        device,
                        queue,
                        fd,
                        inPieces ? LARGE_CHUNK_BYTES : SMALL_CHUNK_BYTES,
                        busyPollUs);
        try {
            socket.tune(busyPollUs);
            socket.offerAllFrames();
            socket.bind(inPieces);
        } catch (final RuntimeException e) {
            socket.close();
            throw e;
        }
        return socket;
    }

    /** Descriptor to poll for frames. */
    public int fd() {
        return fd;
    }

    /** The memory that addresses count in. */
    public MemorySegment umem() {
        return umem;
    }

    /** Where that memory begins. */
    public long umemAddress() {
        return umemAddress;
    }

    /** Room for a frame, or a piece of one, that is sent, in bytes. */
    public int txRoomBytes() {
        return chunkBytes - TX_HEADROOM_BYTES;
    }

    /** Whether the kernel completes checksums that {@link #postOpenChecksum} names. */
    public boolean completesChecksums() {
        return completesChecksums;
    }

    /** Descriptors that wait to be read. */
    public int received() {
        final int waiting = rx.available();
        if (waiting > 0 || !busyPoll) {
            return waiting;
        }
        final long _ = Libc.receiveNothing(fd, Libc.MSG_DONTWAIT);
        return rx.available();
    }

    /**
     * Reads a byte of each of the first n. Another processor wrote them: here their cache lines are
     * asked for one behind the other, and come together; a copy of each would wait for its own.
     */
    public void fetch(final int n) {
        int sum = 0;
        for (int i = 0; i < n; i++) {
            sum += umem.get(JAVA_BYTE, rx.address(i));
        }
        fetched = sum;
    }

    /** Where in the umem the n-th of them lies. */
    public long address(final int n) {
        return rx.address(n);
    }

    /** Its length, in bytes. */
    public int length(final int n) {
        return rx.length(n);
    }

    /** Whether its packet goes on in the next one. */
    public boolean continues(final int n) {
        return (rx.options(n) & CONTINUES) != 0;
    }

    /** Gives the first n back to be filled again. */
    public void release(final int n) {
        for (int i = 0; i < n; i++) {
            fill.putAddress(rx.address(i) & -chunkBytes);
        }
        rx.release(n);
        fill.publish();
    }

    /**
     * Takes a frame to send from.
     *
     * @return where in the umem its Ethernet header goes, or {@link #NONE}; {@link
     *     #TX_HEADROOM_BYTES} before it are the caller's too
     */
    public long takeFrame() {
        if (freeCount == 0) {
            reap();
            if (freeCount == 0) {
                flush();
                if (freeCount == 0) {
                    return NONE;
                }
            }
        }
        return freeFrames[--freeCount] + TX_HEADROOM_BYTES;
    }

    /** Gives a frame back that was taken and not posted. */
    public void giveBack(final long address) {
        freeFrames[freeCount++] = address - TX_HEADROOM_BYTES;
    }

    /**
     * Posts a frame, or a piece of one, that was taken; it leaves with {@link #flush}.
     *
     * @param options 0 or {@link #CONTINUES}
     */
    public void post(final long address, final int lengthBytes, final int options) {
        tx.putDescriptor(address, lengthBytes, options);
        posted++;
    }

    /**
     * The same for the first piece of a frame whose checksum the kernel is to complete.
     *
     * @param checksumStart where the sum begins, in bytes from the Ethernet header
     * @param checksumOffset where the field lies from there; it holds the pseudo header's sum
     */
    public void postOpenChecksum(
            final long address,
            final int lengthBytes,
            final int options,
            final int checksumStart,
            final int checksumOffset) {
        // struct xsk_tx_metadata: u64 flags, u16 csum_start, u16 csum_offset.
        final long metadata = address - METADATA_BYTES;
        umem.set(JAVA_LONG, metadata, TXMD_FLAGS_CHECKSUM);
        umem.set(JAVA_SHORT, metadata + 8, (short) checksumStart);
        umem.set(JAVA_SHORT, metadata + 10, (short) checksumOffset);
        post(address, lengthBytes, options | TX_METADATA);
    }

    /** Sends what was posted, as far as the device takes it now. */
    public void flush() {
        if (posted == 0) {
            return;
        }
        tx.publish();
        int pending = tx.pending();
        while (pending > 0 && tx.needsWakeup()) {
            final long sent = Libc.sendNothing(fd, Libc.MSG_DONTWAIT);
            if (Errno.EBUSY.is(sent)) {
                // The device has dropped one frame; the others wait.
                countDrop();
            }
            final int left = tx.pending();
            if (left == pending) {
                break;
            }
            pending = left;
        }
        posted = pending;
        reap();
    }

    /** Whether the device can never deliver again; a system call. */
    public boolean isGone() {
        final long answer = Libc.receiveNothing(fd, Libc.MSG_DONTWAIT);
        // xsk_check_common (net/xdp/xsk.c): ENETDOWN while the device is down, ENXIO once unbound.
        return Errno.ENXIO.is(answer) || Errno.EBADF.is(answer);
    }

    /** Frames that the kernel took and the device refused. Thread: any. */
    public long droppedByDevice() {
        return droppedByDevice;
    }

    /**
     * Frames that arrived while none was left to fill, or that were too long. Thread: any.
     *
     * @return 0 after the end
     */
    public long droppedOnReceive() {
        try (Arena arena = Arena.ofConfined()) {
            // struct xdp_statistics: rx_dropped, rx_invalid_descs, tx_invalid_descs, rx_ring_full,
            // rx_fill_ring_empty_descs, tx_ring_empty_descs.
            final MemorySegment statistics = arena.allocate(48, 8);
            final int got =
                    Libc.getsockopt(
                            fd,
                            SOL_XDP,
                            XDP_STATISTICS,
                            statistics,
                            arena.allocateFrom(JAVA_INT, 48));
            return got < 0 || closed
                    ? 0
                    : statistics.get(JAVA_LONG, 0) + statistics.get(JAVA_LONG, 24);
        }
    }

    /** Closes the socket and frees the memory; a second call does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            cleanup.forEach(Runnable::run);
        }
    }

    // Only the lane writes.
    @SuppressWarnings("NonAtomicVolatileUpdate")
    private void countDrop() {
        droppedByDevice++;
    }

    private void reap() {
        final int done = completion.available();
        for (int i = 0; i < done; i++) {
            freeFrames[freeCount++] = completion.address(i) & -chunkBytes;
        }
        if (done > 0) {
            completion.release(done);
        }
    }

    /** Answers whether the kernel takes checksum metadata. */
    private boolean registerUmem() {
        final long bytes = (long) (RX_FRAMES + TX_FRAMES) * chunkBytes;
        umemAddress = mapUmem(bytes);
        umem = MemorySegment.ofAddress(umemAddress).reinterpret(bytes);
        try (Arena arena = Arena.ofConfined()) {
            // struct xdp_umem_reg: u64 addr, u64 len, u32 chunk_size, headroom, flags,
            // tx_metadata_len.
            final MemorySegment registration = arena.allocate(32, 8);
            registration.set(JAVA_LONG, 0, umem.address());
            registration.set(JAVA_LONG, 8, bytes);
            registration.set(JAVA_INT, 16, chunkBytes);
            registration.set(JAVA_INT, 20, 0);
            registration.set(JAVA_INT, 24, UMEM_TX_METADATA_LEN);
            registration.set(JAVA_INT, 28, METADATA_BYTES);
            if (Libc.setsockopt(fd, SOL_XDP, XDP_UMEM_REG, registration) >= 0) {
                return true;
            }
            registration.set(JAVA_INT, 24, 0);
            registration.set(JAVA_INT, 28, 0);
            final int set = Libc.setsockopt(fd, SOL_XDP, XDP_UMEM_REG, registration);
            if (set < 0) {
                throw LinuxException.of(
                        "AF_XDP on " + device + ": register " + (bytes >> 20) + " MiB",
                        set,
                        "raise the limit of locked memory (ulimit -l), or run with CAP_IPC_LOCK");
            }
            return false;
        }
    }

    /** Huge pages if the system has set some aside, else whatever it can make huge. */
    private long mapUmem(final long bytes) {
        final int protection = Libc.PROT_READ | Libc.PROT_WRITE;
        final int flags = Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS;
        final long huge =
                Libc.mmap(bytes, protection, flags | MAP_HUGETLB | Libc.MAP_POPULATE, -1, 0);
        if (huge > 0) {
            cleanup.addLast(() -> Libc.munmap(huge, bytes));
            return huge;
        }
        final long all = bytes + HUGE_PAGE_BYTES;
        final long address = Libc.mmap(all, protection, flags, -1, 0);
        if (address < 0) {
            throw refused("memory", address);
        }
        cleanup.addLast(() -> Libc.munmap(address, all));
        final long aligned = (address + HUGE_PAGE_BYTES - 1) & -HUGE_PAGE_BYTES;
        // Without huge pages it works as well.
        final int _ = Libc.madvise(aligned, bytes, Libc.MADV_HUGEPAGE);
        return aligned;
    }

    private void ring(final int option, final int size, final String what) {
        try (Arena arena = Arena.ofConfined()) {
            final int set =
                    Libc.setsockopt(fd, SOL_XDP, option, arena.allocateFrom(JAVA_INT, size));
            if (set < 0) {
                throw refused(what, set);
            }
        }
    }

    private XdpRing map(
            final MemorySegment offsets,
            final int index,
            final long pageOffset,
            final int size,
            final int entryBytes) {
        // struct xdp_ring_offset: u64 producer, consumer, desc, flags.
        final long at = index * 32L;
        final long entriesAt = offsets.get(JAVA_LONG, at + 16);
        final long bytes = entriesAt + (long) size * entryBytes;
        final long address =
                Libc.mmap(
                        bytes,
                        Libc.PROT_READ | Libc.PROT_WRITE,
                        Libc.MAP_SHARED | Libc.MAP_POPULATE,
                        fd,
                        pageOffset);
        if (address < 0) {
            throw refused("map a ring", address);
        }
        cleanup.addLast(() -> Libc.munmap(address, bytes));
        return new XdpRing(
                MemorySegment.ofAddress(address).reinterpret(bytes),
                offsets.get(JAVA_LONG, at),
                offsets.get(JAVA_LONG, at + 8),
                offsets.get(JAVA_LONG, at + 24),
                entriesAt,
                size,
                entryBytes);
    }

    /** What only makes it faster is not asked whether it worked. */
    private void tune(final int busyPollUs) {
        option(SOL_XDP, XDP_MAX_TX_SKB_BUDGET, TX_FRAMES);
        // A socket buffer of one frame counts as some 2 KiB, of several pieces as all of them.
        option(Libc.SOL_SOCKET, Libc.SO_SNDBUFFORCE, TX_FRAMES * chunkBytes);
        if (busyPoll) {
            option(Libc.SOL_SOCKET, Libc.SO_PREFER_BUSY_POLL, 1);
            option(Libc.SOL_SOCKET, Libc.SO_BUSY_POLL, busyPollUs);
            option(Libc.SOL_SOCKET, Libc.SO_BUSY_POLL_BUDGET, 64);
        }
    }

    private void option(final int level, final int option, final int value) {
        try (Arena arena = Arena.ofConfined()) {
            final int _ = Libc.setsockopt(fd, level, option, arena.allocateFrom(JAVA_INT, value));
        }
    }

    private void offerAllFrames() {
        for (int i = 0; i < RX_FRAMES; i++) {
            fill.putAddress((long) i * chunkBytes);
        }
        fill.publish();
        for (int i = TX_FRAMES - 1; i >= 0; i--) {
            freeFrames[freeCount++] = (long) (RX_FRAMES + i) * chunkBytes;
        }
    }

    private void bind(final boolean inPieces) {
        final int index = Libc.deviceIndex(device);
        if (index < 0) {
            throw refused("find the device", index);
        }
        try (Arena arena = Arena.ofConfined()) {
            // struct sockaddr_xdp: u16 family, u16 flags, u32 ifindex, u32 queue_id,
            // u32 shared_umem_fd.
            final MemorySegment address = arena.allocate(16, 4);
            address.set(JAVA_SHORT, 0, (short) Libc.AF_XDP);
            address.set(
                    JAVA_SHORT,
                    2,
                    (short) (XDP_COPY | XDP_USE_NEED_WAKEUP | (inPieces ? XDP_USE_SG : 0)));
            address.set(JAVA_INT, 4, index);
            address.set(JAVA_INT, 8, queue);
            final int bound = Libc.bind(fd, address);
            if (Errno.EBUSY.is(bound)) {
                throw LinuxException.of(
                        "bind an AF_XDP socket to " + device,
                        bound,
                        "another process has one there");
            }
            if (bound < 0) {
                throw refused(
                        inPieces ? "bind for frames in several pieces (kernel 6.6)" : "bind",
                        bound);
            }
        }
    }

    private LinuxException refused(final String tried, final long result) {
        return LinuxException.of("AF_XDP on " + device + ": " + tried, result);
    }
}
