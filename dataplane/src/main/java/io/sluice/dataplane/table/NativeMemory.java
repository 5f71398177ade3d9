package io.sluice.dataplane.table;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.atomic.AtomicLong;

/**
 * malloc(3) and free(3), for tables whose end is known: a shared arena would stop every thread for
 * a handshake when it is closed, and one left to the garbage collector is freed only when the heap
 * fills, which a switch that allocates nothing may never see. Any thread.
 */
final class NativeMemory {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle ALIGNED_ALLOC =
            LINKER.downcallHandle(
                    LINKER.defaultLookup().findOrThrow("aligned_alloc"),
                    FunctionDescriptor.of(
                            ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
    private static final MethodHandle FREE =
            LINKER.downcallHandle(
                    LINKER.defaultLookup().findOrThrow("free"),
                    FunctionDescriptor.ofVoid(ValueLayout.ADDRESS));

    private static final MethodHandle MMAP =
            LINKER.downcallHandle(
                    LINKER.defaultLookup().findOrThrow("mmap"),
                    FunctionDescriptor.of(
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_INT,
                            ValueLayout.JAVA_INT,
                            ValueLayout.JAVA_INT,
                            ValueLayout.JAVA_LONG));
    private static final MethodHandle MUNMAP =
            LINKER.downcallHandle(
                    LINKER.defaultLookup().findOrThrow("munmap"),
                    FunctionDescriptor.of(
                            ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
    private static final MethodHandle MADVISE =
            LINKER.downcallHandle(
                    LINKER.defaultLookup().findOrThrow("madvise"),
                    FunctionDescriptor.of(
                            ValueLayout.JAVA_INT,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_INT));

    /** Of x86-64, and of arm64 with pages of 4 KiB. */
    static final long HUGE_PAGE_BYTES = 2 << 20;

    // include/uapi/asm-generic/mman-common.h, mman.h
    private static final int PROT_READ_WRITE = 1 | 2;
    private static final int MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x02 | 0x20 | 0x4000;
    private static final int MADV_HUGEPAGE = 14;

    private static final AtomicLong BYTES = new AtomicLong();

    private NativeMemory() {}

    /**
     * Cleared memory, aligned to a cache line.
     *
     * @param size in bytes
     * @throws OutOfMemoryError when the system has none
     */
    static MemorySegment allocate(final long size) {
        return raw(size).fill((byte) 0);
    }

    /**
     * Memory that begins with a copy of another block; what comes behind is cleared.
     *
     * @param size in bytes, no less than that of the block
     * @throws OutOfMemoryError when the system has none
     */
    static MemorySegment copyOf(final MemorySegment block, final long size) {
        final MemorySegment copy = raw(size);
        MemorySegment.copy(block, 0, copy, 0, block.byteSize());
        copy.asSlice(block.byteSize()).fill((byte) 0);
        return copy;
    }

    /**
     * Cleared memory that costs nothing until it is written (mmap(2), MAP_NORESERVE), in huge pages
     * where the system has them. Not part of {@link #bytes}.
     *
     * @param size in bytes, a multiple of {@link #HUGE_PAGE_BYTES}
     * @param arena how long it lives
     * @throws OutOfMemoryError when the system gives no addresses
     */
    static MemorySegment reserve(final long size, final Arena arena) {
        final long whole = size + HUGE_PAGE_BYTES;
        try {
            final long start =
                    (long)
                            MMAP.invokeExact(
                                    0L,
                                    whole,
                                    PROT_READ_WRITE,
                                    MAP_PRIVATE_ANONYMOUS_NORESERVE,
                                    -1,
                                    0L);
            if (start == -1) {
                throw new OutOfMemoryError("no addresses for " + whole + " bytes");
            }
            final MemorySegment all =
                    MemorySegment.ofAddress(start)
                            .reinterpret(whole, arena, mapped -> unmap(mapped.address(), whole));
            final long aligned = start + HUGE_PAGE_BYTES - 1 & -HUGE_PAGE_BYTES;
            // Without huge pages (EINVAL) it is as good, only slower.
            final int _ = (int) MADVISE.invokeExact(aligned, size, MADV_HUGEPAGE);
            return all.asSlice(aligned - start, size);
        } catch (final OutOfMemoryError e) {
            throw e;
        } catch (final Throwable e) {
            throw new AssertionError("mmap and madvise throw nothing", e);
        }
    }

    private static void unmap(final long address, final long size) {
        try {
            final int _ = (int) MUNMAP.invokeExact(address, size);
        } catch (final Throwable e) {
            throw new AssertionError("munmap throws nothing", e);
        }
    }

    private static MemorySegment raw(final long size) {
        final long whole = (size + NodeHeap.LINE_BYTES - 1) & -NodeHeap.LINE_BYTES;
        final MemorySegment block;
        try {
            block = (MemorySegment) ALIGNED_ALLOC.invokeExact((long) NodeHeap.LINE_BYTES, whole);
        } catch (final Throwable e) {
            throw new AssertionError("aligned_alloc throws nothing", e);
        }
        if (block.address() == 0) {
            throw new OutOfMemoryError("no native memory for " + whole + " bytes");
        }
        BYTES.addAndGet(whole);
        return block.reinterpret(whole);
    }

    /** Gives a block of {@link #allocate} back; nobody may read it any more. */
    static void free(final MemorySegment block) {
        BYTES.addAndGet(-block.byteSize());
        try {
            FREE.invokeExact(block);
        } catch (final Throwable e) {
            throw new AssertionError("free throws nothing", e);
        }
    }

    /** Bytes allocated and not freed. */
    static long bytes() {
        return BYTES.get();
    }
}
