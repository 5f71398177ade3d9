package io.sluice.conntrack;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * Memory of a table: anonymous, or a file that outlives the process.
 *
 * <p>Theory of operation. The kernel gives 2 MiB pages only to memory that lies at a multiple of 2
 * MiB, which neither the allocator of the virtual machine nor its file mappings promise. So a range
 * that is 2 MiB too long is reserved first and the memory mapped into its aligned part. Then 2 MiB
 * pages are asked for (madvise MADV_HUGEPAGE). For a file, every page is made now
 * (MADV_POPULATE_WRITE) so that no packet waits for one, and then collapsed into 2 MiB pages
 * (MADV_COLLAPSE, Linux 6.1, which asks for no mount option of the tmpfs) and mapped again.
 * Anonymous memory is made when it is first touched. All advice is optional: where the kernel
 * refuses, the pages are small ones and all works.
 *
 * <p>Two ways lead to the bytes. {@link #segment} checks bounds and that the memory is still there:
 * for everybody who reads from outside. {@link #ALL} at {@link #address} checks nothing, and costs
 * a plain load in compiled code: for lanes, which are stopped before the memory goes.
 *
 * <p>Thread: any.
 */
final class TableMemory implements AutoCloseable {
    /** Every address; the coordinates of a byte in it are 0 and its address. */
    static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    static final long HUGE_PAGE_BYTES = 1L << 21;

    /** A cache line; parts of a table begin at one. */
    static final int LINE_SHIFT = 6;

    /**
     * Numbers of lines that user space can have: addresses of 47 bits, on AArch64 of 48 at most.
     */
    private static final long LINES_MASK = (1L << (48 - LINE_SHIFT)) - 1;

    // include/uapi/asm-generic/mman-common.h and fcntl.h; the same on x86-64 and AArch64.
    private static final int PROT_NONE = 0;
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_SHARED = 0x01;
    private static final int MAP_PRIVATE = 0x02;
    private static final int MAP_FIXED = 0x10;
    private static final int MAP_ANONYMOUS = 0x20;
    private static final int MAP_NORESERVE = 0x4000;
    private static final int MADV_HUGEPAGE = 14;
    private static final int MADV_POPULATE_WRITE = 23;
    private static final int MADV_COLLAPSE = 25;
    private static final int O_RDWR = 2;
    private static final int O_CLOEXEC = 0x80000;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle MMAP =
            bind(
                    "mmap",
                    FunctionDescriptor.of(
                            JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT,
                            JAVA_LONG));
    private static final MethodHandle MUNMAP =
            bind("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle MADVISE =
            bind("madvise", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    private static final MethodHandle OPEN =
            bind(
                    "open",
                    FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT),
                    Linker.Option.firstVariadicArg(2));
    private static final MethodHandle CLOSE =
            bind("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));

    private final Arena arena;
    private final MemorySegment segment;

    private TableMemory(final long sizeBytes, final int fd) throws IOException {
        final long reservedBytes = sizeBytes + HUGE_PAGE_BYTES;
        final long reserved =
                mmap(0, reservedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
        if (reserved == -1) {
            throw new IOException("cannot reserve " + reservedBytes + " bytes of addresses");
        }
        final long at = (reserved + HUGE_PAGE_BYTES - 1) & -HUGE_PAGE_BYTES;
        final int how = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
        if (mmap(at, sizeBytes, PROT_READ_WRITE, how | MAP_FIXED, fd) == -1) {
            munmap(reserved, reservedBytes);
            throw new IOException("cannot map " + sizeBytes + " bytes");
        }
        if (sizeBytes >= HUGE_PAGE_BYTES) {
            madvise(at, sizeBytes, MADV_HUGEPAGE);
        }
        if (fd >= 0) {
            // Without this a full file system would end the process at some later store.
            if (madvise(at, sizeBytes, MADV_POPULATE_WRITE) != 0) {
                munmap(reserved, reservedBytes);
                throw new IOException("no room for " + sizeBytes + " bytes, or Linux before 5.14");
            }
            madvise(at, sizeBytes & -HUGE_PAGE_BYTES, MADV_COLLAPSE);
            // Pages that were collapsed are no longer mapped, and would be at their first use.
            madvise(at, sizeBytes, MADV_POPULATE_WRITE);
        }
        arena = Arena.ofShared();
        segment =
                MemorySegment.ofAddress(at)
                        .reinterpret(sizeBytes, arena, gone -> munmap(reserved, reservedBytes));
    }

    /**
     * Zeroed memory of this process alone.
     *
     * @throws IllegalStateException if there are not so many addresses
     */
    static TableMemory anonymous(final long sizeBytes) {
        try {
            return new TableMemory(sizeBytes, -1);
        } catch (final IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * The bytes of a file, as long as they are asked for.
     *
     * @param file exists and is {@code sizeBytes} long
     */
    static TableMemory mapped(final Path file, final long sizeBytes) throws IOException {
        final int fd = open(file);
        if (fd < 0) {
            throw new IOException("cannot open " + file);
        }
        try {
            return new TableMemory(sizeBytes, fd);
        } finally {
            close(fd);
        }
    }

    /** The memory with all checks. */
    MemorySegment segment() {
        return segment;
    }

    /** Where it begins in {@link #ALL}: a multiple of 2 MiB. */
    long address() {
        return segment.address();
    }

    /**
     * Address of a line of {@link #ALL}, from its number. All that lanes read and write at constant
     * offsets from here costs a plain load or store: from mask and shift the compiler knows that
     * the address is no less than 0, far below the end, and a multiple of 64, and leaves out the
     * checks of bounds and alignment that it makes of an address it knows nothing of (five
     * instructions each, half of a lookup).
     */
    static long lineAddress(final long line) {
        return (line & LINES_MASK) << LINE_SHIFT;
    }

    /** Gives the memory back; readers inside {@link #segment} get an exception. */
    @Override
    public void close() {
        arena.close();
    }

    private static MethodHandle bind(
            final String name, final FunctionDescriptor type, final Linker.Option... options) {
        return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), type, options);
    }

    private static long mmap(
            final long at, final long bytes, final int protection, final int how, final int fd) {
        try {
            return (long) MMAP.invokeExact(at, bytes, protection, how, fd, 0L);
        } catch (final Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static void munmap(final long at, final long bytes) {
        try {
            // Refused only for ranges that never were mapped.
            final int ignored = (int) MUNMAP.invokeExact(at, bytes);
        } catch (final Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static int madvise(final long at, final long bytes, final int advice) {
        try {
            return (int) MADVISE.invokeExact(at, bytes, advice);
        } catch (final Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static int open(final Path file) {
        try (Arena own = Arena.ofConfined()) {
            return (int) OPEN.invokeExact(own.allocateFrom(file.toString()), O_RDWR | O_CLOEXEC);
        } catch (final Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static void close(final int fd) {
        try {
            final int ignored = (int) CLOSE.invokeExact(fd);
        } catch (final Throwable e) {
            throw new AssertionError(e);
        }
    }
}
