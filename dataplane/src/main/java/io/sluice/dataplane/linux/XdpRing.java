package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/**
 * One of the four rings between an AF_XDP socket and the kernel, seen from the user's side
 * (net/xdp/xsk_queue.h, Documentation/networking/af_xdp.rst).
 *
 * <p>Two counters that only grow, modulo 2^32, and entries at {@code counter & (size - 1)}. Who
 * produces writes entries and then its counter with release order; who consumes reads that counter
 * with acquire order, then the entries, and then moves its own counter with release order, by which
 * the places are free again. Each side keeps a copy of the other's counter, and looks only when the
 * copy says that there is nothing to do: the counters' cache lines move between processors once per
 * batch.
 *
 * <p>Entries are 8 bytes, a frame's address, in the fill and the completion ring, and 16 bytes,
 * {@code struct xdp_desc}, in the RX and the TX ring. The user produces into fill and TX.
 *
 * <p>Thread: the port's lane.
 */
final class XdpRing {
    /** Entry of a fill or completion ring, in bytes. */
    static final int ADDRESS_BYTES = 8;

    /** {@code struct xdp_desc}: u64 address, u32 length, u32 options. */
    static final int DESCRIPTOR_BYTES = 16;

    /** Flag of a ring: its kernel side sleeps until it is woken. */
    private static final int NEED_WAKEUP = 1;

    private static final VarHandle COUNTER = JAVA_INT.varHandle();

    /**
     * Every address. The mapping lives until its socket is closed, which is after the lane has let
     * go of the port; a constant segment costs no look at its bounds and at its session.
     */
    private static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    // Addresses.
    private final long producerAt;
    private final long consumerAt;
    private final long flagsAt;
    private final long entriesAt;
    private final int mask;
    private final int entryShift;

    /** Where the user's next entry is, and what of it the kernel has been told. */
    private int next;

    /** The kernel's counter as last seen. */
    private int seen;

    /**
     * @param memory the mapping, or plain memory of the same layout; outlives the ring
     * @param producerAt of the producer's counter, in bytes; so the others
     * @param size entries, a power of 2
     * @param entryBytes {@link #ADDRESS_BYTES} or {@link #DESCRIPTOR_BYTES}
     */
    XdpRing(
            final MemorySegment memory,
            final long producerAt,
            final long consumerAt,
            final long flagsAt,
            final long entriesAt,
            final int size,
            final int entryBytes) {
        this.producerAt = memory.address() + producerAt;
        this.consumerAt = memory.address() + consumerAt;
        this.flagsAt = memory.address() + flagsAt;
        this.entriesAt = memory.address() + entriesAt;
        this.mask = size - 1;
        this.entryShift = Integer.numberOfTrailingZeros(entryBytes);
        // Both are equal in a ring that is new.
        this.next = MEMORY.get(JAVA_INT, this.producerAt);
        this.seen = next;
    }

    /** Puts an address into the next place, which must be free. */
    void putAddress(final long address) {
        MEMORY.set(JAVA_LONG, entry(next), address);
        next++;
    }

    /** Puts a descriptor into the next place, which must be free. */
    void putDescriptor(final long address, final int lengthBytes, final int options) {
        final long entry = entry(next);
        MEMORY.set(JAVA_LONG, entry, address);
        MEMORY.set(JAVA_INT, entry + 8, lengthBytes);
        MEMORY.set(JAVA_INT, entry + 12, options);
        next++;
    }

    /** Shows the kernel what was put. */
    void publish() {
        COUNTER.setRelease(MEMORY, producerAt, next);
    }

    /** Of a ring that the user produces into: entries that the kernel has not taken yet. */
    int pending() {
        seen = (int) COUNTER.getAcquire(MEMORY, consumerAt);
        return next - seen;
    }

    /** Of a ring that the kernel produces into: entries that wait. */
    int available() {
        final int available = seen - next;
        if (available > 0) {
            return available;
        }
        seen = (int) COUNTER.getAcquire(MEMORY, producerAt);
        return seen - next;
    }

    /** Address of the n-th entry that waits. */
    long address(final int n) {
        return MEMORY.get(JAVA_LONG, entry(next + n));
    }

    /** Length of the n-th entry that waits, in bytes. */
    int length(final int n) {
        return MEMORY.get(JAVA_INT, entry(next + n) + 8);
    }

    /** Options of the n-th entry that waits. */
    int options(final int n) {
        return MEMORY.get(JAVA_INT, entry(next + n) + 12);
    }

    /** Gives the places of the first n entries back to the kernel. */
    void release(final int n) {
        next += n;
        COUNTER.setRelease(MEMORY, consumerAt, next);
    }

    /** Whether the kernel's side of this ring waits for a system call. */
    boolean needsWakeup() {
        return ((int) COUNTER.getAcquire(MEMORY, flagsAt) & NEED_WAKEUP) != 0;
    }

    private long entry(final int index) {
        return entriesAt + ((long) (index & mask) << entryShift);
    }
}
