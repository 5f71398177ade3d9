package io.sluice.dataplane.table;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Native memory for the nodes of one {@link Ipcache}: blocks of whole 64-byte lines.
 *
 * <p>Blocks are cut from chunks and come back into a free list per size; a chunk is never given
 * back before the heap is unreachable, so the heap is as large as the most that was ever used at
 * one time. New blocks are not cleared. Thread: the ipcache's writer.
 */
final class NodeHeap {
    /** Unit of allocation and alignment: a cache line. */
    static final int LINE_BYTES = 64;

    /** Largest block: a flat node. */
    static final int BLOCK_LINES_MAX = 32;

    /** One huge page, and small beside the 1 MiB of the root tables. */
    private static final long CHUNK_BYTES = 2 << 20;

    private final Arena arena = Arena.ofAuto();
    private final List<MemorySegment> chunks = new ArrayList<>();
    private final LongStack[] free = new LongStack[BLOCK_LINES_MAX + 1];
    private long next;
    private long end;
    private long bytes;
    private long usedBytes;

    NodeHeap() {
        for (int lines = 0; lines < free.length; lines++) {
            free[lines] = new LongStack();
        }
    }

    /** Memory outside the blocks, cleared, that lives as long as the heap. */
    long allocateForGood(final long size) {
        final MemorySegment chunk = arena.allocate(size, LINE_BYTES);
        chunks.add(chunk);
        bytes += size;
        usedBytes += size;
        return chunk.address();
    }

    /**
     * A block; its contents are undefined.
     *
     * @param lines size in lines, 1 to {@link #BLOCK_LINES_MAX}
     */
    long allocate(final int lines) {
        usedBytes += (long) lines * LINE_BYTES;
        if (!free[lines].isEmpty()) {
            return free[lines].pop();
        }
        final long size = (long) lines * LINE_BYTES;
        if (end - next < size) {
            // The rest of the old chunk becomes the largest blocks that fit.
            while (end - next >= LINE_BYTES) {
                final int rest = (int) Math.min((end - next) / LINE_BYTES, BLOCK_LINES_MAX);
                free[rest].push(next);
                next += (long) rest * LINE_BYTES;
            }
            final MemorySegment chunk = arena.allocate(CHUNK_BYTES, LINE_BYTES);
            chunks.add(chunk);
            bytes += CHUNK_BYTES;
            next = chunk.address();
            end = next + CHUNK_BYTES;
        }
        final long block = next;
        next += size;
        return block;
    }

    /** Takes a block back; nobody may read it any more. */
    void free(final long block, final int lines) {
        usedBytes -= (long) lines * LINE_BYTES;
        free[lines].push(block);
    }

    /** Bytes taken from the system. */
    long bytes() {
        return bytes;
    }

    /** Bytes of it in use. */
    long usedBytes() {
        return usedBytes;
    }
}
