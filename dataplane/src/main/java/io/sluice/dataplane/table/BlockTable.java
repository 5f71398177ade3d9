package io.sluice.dataplane.table;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A word for every IPv4 /24, in blocks of 256 for each /16: where an {@link Ipcache} of many
 * prefixes keeps the nodes that its IPv4 root leads to.
 *
 * <p>128 MiB of addresses, of which only what is written becomes memory: by huge pages of 2 MiB
 * where the system has them (1,024 blocks each), else by the page. A word that was never written
 * reads 0. Thread: {@link #block} the ipcache's writer; the words are the ipcache's to order.
 */
final class BlockTable {
    /** Words of a block: the /24 of a /16. */
    static final int BLOCK_WORDS = 256;

    private static final long BLOCK_BYTES = 8L * BLOCK_WORDS;
    private static final int BLOCKS = 1 << 16;
    private static final long TABLE_BYTES = BLOCKS * BLOCK_BYTES;
    private static final int BLOCKS_OF_PAGE_SHIFT =
            Long.numberOfTrailingZeros(NativeMemory.HUGE_PAGE_BYTES / BLOCK_BYTES);

    private final MemorySegment memory;
    private final boolean[] pages = new boolean[BLOCKS >> BLOCKS_OF_PAGE_SHIFT];
    private int touchedPages;
    private int blocks;

    /**
     * Reserves the addresses; they are given back when nobody can reach the table any more.
     *
     * @throws OutOfMemoryError when the system gives none
     */
    BlockTable() {
        memory = NativeMemory.reserve(TABLE_BYTES, Arena.ofAuto());
    }

    /** Address of the word of 0.0.0.0/24; those of the others follow in order. */
    long address() {
        return memory.address();
    }

    boolean contains(final long node) {
        return Long.compareUnsigned(node - memory.address(), TABLE_BYTES) < 0;
    }

    /**
     * The block of a /16 that has none yet, to be written.
     *
     * @param index upper 16 bits of the addresses
     */
    long block(final int index) {
        final int page = index >>> BLOCKS_OF_PAGE_SHIFT;
        if (!pages[page]) {
            pages[page] = true;
            touchedPages++;
        }
        blocks++;
        return memory.address() + index * BLOCK_BYTES;
    }

    /** Memory behind what was written, in bytes, when all of it is huge pages; else it is less. */
    long bytes() {
        return touchedPages * NativeMemory.HUGE_PAGE_BYTES;
    }

    /** Bytes of the blocks in use. */
    long usedBytes() {
        return blocks * BLOCK_BYTES;
    }
}
