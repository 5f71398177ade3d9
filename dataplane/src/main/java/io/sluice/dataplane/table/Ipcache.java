package io.sluice.dataplane.table;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.lang.ref.Reference;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The ipcache: longest-prefix map from IP prefix to identity and port, changed in place while lanes
 * look addresses up.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A trie of 64-bit words in native memory. The first 16 address bits index a root table per
 * family (512 KiB each); every further node decides by 8 bits. A word is the answer (a leaf) or
 * leads to a node:
 *
 * <pre>
 *   leaf    0, 8 bits prefix length + 1 (0 = no prefix), 16 bits port, 31 bits identity
 *   node    1, address of the node, its kind in the low 2 bits
 *
 *   SPARSE  4 x long bitmap of the values at which a run of equal words begins,
 *           long with 4 x 16 bits: runs before each bitmap word, then a word per run
 *   FLAT    256 words; stands for a SPARSE node of more than 24 runs
 *   SKIP    long count of bytes (1 to 7), long the bytes, word if the address has others,
 *           word if it has these
 * </pre>
 *
 * <p>Every node is complete: a shorter prefix is written into all words that no longer one owns, so
 * the first leaf met is the answer and the depth of the walk is bounded by the address. An IPv4
 * pod's own address takes three words, an IPv6 one some four to six (a SKIP node spans the bytes
 * that all prefixes around share). Why this and not others: a table of 2^24 words (DIR-24-8) alone
 * costs 128 MiB as soon as a default route is set and does nothing for IPv6; a hash probe per
 * prefix length costs as many misses as there are lengths, and an answer put together from several
 * probes can mix two states; a bare poptrie is rebuilt more widely on a change.
 *
 * <h2>Many IPv4 prefixes: the block table</h2>
 *
 * <p>Among hundreds of thousands of IPv4 prefixes the trie's nodes lie in memory, and a lookup
 * waits for two of their lines and for branches that depend on them. So above {@value
 * #BLOCK_TABLE_ABOVE} IPv4 prefixes the nodes below the IPv4 root move into a {@link BlockTable}:
 * each becomes a FLAT node, a <i>block</i>, whose place the upper 16 bits of the address tell. A
 * lookup reads the word of its /24 there, without the root: one load, then a node if the prefix is
 * longer. A /16 without a longer prefix has no block; its words read 0, and the lookup goes through
 * the root. A /16 moves when a prefix longer than it is added, and with every change of IPv4 the
 * next {@value #MOVES_PER_CHANGE} of the others. A block stays a block, and the table a table, also
 * when prefixes go.
 *
 * <h2>Why no reader sees a wrong answer</h2>
 *
 * <p>One writer, any number of readers without locks. The writer changes single words (release
 * stores), or builds a node aside and then sets the one word that leads to it; the node it replaces
 * is left as it was. Consider the walk of one address, which reads a chain of words down to a leaf.
 * Each node it visits was part of the trie at some moment after the walk began: the root always is,
 * and a node read from a word of a part of the trie was part of it at that moment; if the node
 * holding the word had been taken out already, its words are those of the moment it was taken out,
 * which was during the walk. So the leaf read was the trie's answer at some moment between the
 * beginning and the end of the walk. An update of a prefix that covers many words changes them one
 * after the other, but the words of one address once: every address answers the old value, then the
 * new one, and nothing else. Different addresses may change at different moments of an update.
 *
 * <p>A lookup may also begin at a word of a block. A block is filled with what the trie says of its
 * addresses, and the trie is not changed meanwhile; then the root leads to it, and for good: it is
 * never emptied, replaced or used for something else. So a word of a block that is not 0 is at any
 * time what the trie says of its /24, and a walk from it is a walk from a part of the trie. A word
 * that is 0 says nothing about the trie, and the walk begins at the root.
 *
 * <p>Memory of replaced nodes is given out again only after every lane has passed a batch boundary:
 * {@link #seal} marks a moment, {@link #reclaim} says that every lane has been between two batches
 * since. Until then they wait.
 *
 * <h2>Costs and limits</h2>
 *
 * <p>An update touches the words that the prefix covers: one node for a pod's address, all words
 * below for a prefix that is short and full of others (a default route around 500,000 prefixes:
 * tens of milliseconds). Those are stores by control; no lane waits. Memory: 1 MiB for the roots;
 * 64 bytes for a prefix alone in its /24, 8 to 16 bytes where many share one, 2 KiB for a full one
 * and for a block, at most 128 MiB for all blocks, in pages of 2 MiB where the system has them; and
 * 48 to 96 bytes of heap for the {@link PrefixTable}. No fixed number of prefixes. Identities have
 * 31 bits, ports 0 to 32767.
 *
 * <p>Thread: {@link #put}, {@link #remove}, {@link #seal}, {@link #reclaim} control, one; {@link
 * #lookup} any. Words of memory freed while a lane is late would be read as garbage: never reclaim
 * without the boundary.
 */
public final class Ipcache {
    /** {@link #port(long)} of a prefix that no port leads to. */
    public static final int NO_PORT = -1;

    /** Length of an IPv4 address's prefix bits in the mapped space. */
    public static final int IPV4_PREFIX_BASE = 96;

    private static final int IPV4_ROOT_END = IPV4_PREFIX_BASE + 16;
    private static final int IPV6_ROOT_END = 16;
    private static final int ROOT_WORDS = 1 << 16;
    private static final int NODE_WORDS = 256;

    private static final long MISS = 0xffffL << 31;
    private static final long KIND_MASK = 3;
    private static final long ADDRESS_MASK = 0x7fff_ffff_ffff_ffc0L;
    private static final long NODE = 1L << 63;
    private static final int SPARSE = 0;
    private static final int FLAT = 1;
    private static final int SKIP = 2;

    private static final int SPARSE_HEADER_BYTES = 40;

    /** 40 + 24 x 8 = 232 bytes: four lines, of which a walk reads two. */
    private static final int SPARSE_RUNS_MAX = 24;

    private static final int FLAT_LINES = NODE_WORDS * 8 / NodeHeap.LINE_BYTES;

    /**
     * Up to here the trie's nodes lie in the processor's caches and it is as fast as a block table,
     * or faster, in a tenth of the memory (scattered prefixes; decision 034 has the figures).
     */
    private static final int BLOCK_TABLE_ABOVE = 1 << 17;

    /** 32 KiB to write, some 10 us; after 4,096 changes all have moved. */
    private static final int MOVES_PER_CHANGE = 16;

    private static final int SKIP_BYTES_MAX = 7;
    private static final int SKIP_OTHERWISE = 16;
    private static final int SKIP_CHILD = 24;

    // All memory: nodes lead to each other by address. Only words that put and remove wrote are
    // followed.
    private static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
    private static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle();

    private final NodeHeap heap = new NodeHeap();
    private final long ipv4Root;
    private final long ipv6Root;

    /**
     * {@link BlockTable#address}, 0 until there is one. Written once by the writer, volatile so
     * that a lane sees it in time; a lane that does not yet takes the way through the root.
     */
    private volatile long blocks;

    // Below: the writer's.
    private final PrefixTable prefixes = new PrefixTable();
    private final int[] ipv4Lengths = new int[129];
    private final int[] ipv6Lengths = new int[129];
    private final int blockTableAbove;
    private int ipv4Prefixes;
    private @Nullable BlockTable blockTable;
    // Index of the next /16 whose node is to move into its block.
    private int nextToMove;
    // Per depth of the walk, so that a node can be built while one above it is being changed.
    private final long[][] scratch = new long[17][NODE_WORDS];
    // Address and kind of replaced nodes, the oldest first; sealed ones may be reclaimed.
    private LongStack replaced = new LongStack();
    private LongStack sealed = new LongStack();

    private long prefixHigh;
    private long prefixLow;
    private int prefixLength;
    private long newLeaf;
    private boolean removes;

    /** An empty ipcache: every address is a miss. */
    public Ipcache() {
        this(BLOCK_TABLE_ABOVE);
    }

    /**
     * As {@link #Ipcache()}, with a bound of one's own.
     *
     * @param blockTableAbove IPv4 prefixes above which there is a block table, 0 or more
     */
    public Ipcache(final int blockTableAbove) {
        this.blockTableAbove = blockTableAbove;
        ipv4Root = heap.allocateForGood(8L * ROOT_WORDS);
        ipv6Root = heap.allocateForGood(8L * ROOT_WORDS);
        for (int i = 0; i < ROOT_WORDS; i++) {
            set(ipv4Root + 8L * i, MISS);
            set(ipv6Root + 8L * i, MISS);
        }
    }

    /**
     * The longest prefix that contains the address.
     *
     * @return identity and port, read with {@link #identity} and {@link #port}; identity 0
     *     (unknown) and {@link #NO_PORT} on a miss
     */
    public long lookup(final long high, final long low) {
        try {
            return high == 0 && low >>> 32 == 0xffffL
                    ? lookupIpv4((int) low)
                    : lookupIpv6(high, low);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * {@link #lookup} of many IPv4 addresses: the walks do not depend on each other, so their cache
     * misses overlap.
     *
     * @param addresses the addresses
     * @param answers receives the answers
     * @param count how many, from index 0
     */
    public void lookupIpv4(final int[] addresses, final long[] answers, final int count) {
        try {
            final long table = blocks;
            if (table != 0) {
                lookupInBlocks(table, addresses, answers, count);
                return;
            }
            for (int i = 0; i < count; i++) {
                answers[i] = get(ipv4Root + ((long) (addresses[i] >>> 16) << 3));
            }
            // A branch on a word that is still on its way from memory would hold up all that come
            // after it: fetch the lines of the first node without one, then walk.
            for (int i = 0; i < count; i++) {
                final long isNode = answers[i] >> 63;
                final long isFlat = -(answers[i] & FLAT) & isNode;
                final long node = (answers[i] & ADDRESS_MASK & isNode) | (ipv4Root & ~isNode);
                get(node + ((addresses[i] >>> 5 & 0x7f8) & isFlat));
            }
            for (int i = 0; i < count; i++) {
                if (answers[i] < 0) {
                    answers[i] = walk(answers[i], 0, mapped(addresses[i]), IPV4_ROOT_END);
                }
            }
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Most answers are one load, so that all loads of a batch are on their way together. */
    private void lookupInBlocks(
            final long table, final int[] addresses, final long[] answers, final int count) {
        for (int i = 0; i < count; i++) {
            // Opaque: a leaf leads to no other memory, and what leads on is read again.
            answers[i] = (long) WORD.getOpaque(MEMORY, blockWord(table, addresses[i]));
        }
        for (int i = 0; i < count; i++) {
            if (answers[i] <= 0) {
                answers[i] = lookupIpv4(addresses[i]);
            }
        }
    }

    private static long blockWord(final long table, final int address) {
        return table + ((long) (address >>> 8) << 3);
    }

    private long lookupIpv4(final int address) {
        final long table = blocks;
        if (table == 0) {
            return lookupFromRoot(address);
        }
        final long word = get(blockWord(table, address));
        return word > 0 ? word : lookupBelow(word, address);
    }

    /** The answer where a block's word is none: it was never written, or leads to a node. */
    private long lookupBelow(final long word, final int address) {
        return word == 0
                ? lookupFromRoot(address)
                : walk(word, 0, mapped(address), IPV4_ROOT_END + 8);
    }

    private long lookupFromRoot(final int address) {
        final long word = get(ipv4Root + ((long) (address >>> 16) << 3));
        return word >= 0 ? word : walk(word, 0, mapped(address), IPV4_ROOT_END);
    }

    private static long mapped(final int ipv4) {
        return 0xffff_0000_0000L | (ipv4 & 0xffff_ffffL);
    }

    private long lookupIpv6(final long high, final long low) {
        final long word = get(ipv6Root + ((high >>> 48) << 3));
        return word >= 0 ? word : walk(word, high, low, IPV6_ROOT_END);
    }

    /** From a word that leads to a node to the leaf, the first {@code from} bits being decided. */
    private static long walk(final long first, final long high, final long low, final int from) {
        long word = first;
        int at = from;
        do {
            final long node = word & ADDRESS_MASK;
            final int kind = (int) (word & KIND_MASK);
            if (kind == SPARSE) {
                word = get(sparseWord(node, byteAt(high, low, at)));
                at += 8;
            } else if (kind == FLAT) {
                word = get(node + ((long) byteAt(high, low, at) << 3));
                at += 8;
            } else {
                final int bytes = (int) getPlain(node);
                if (bytesAt(high, low, at, bytes) == getPlain(node + 8)) {
                    word = get(node + SKIP_CHILD);
                    at += bytes * 8;
                } else {
                    word = get(node + SKIP_OTHERWISE);
                }
            }
        } while (word < 0);
        return word;
    }

    /** Address of the word for a value of a SPARSE node. */
    private static long sparseWord(final long node, final int value) {
        final int group = value >>> 6;
        final long starts = getPlain(node + 8L * group);
        final long before = getPlain(node + 32) >>> (group * 16) & 0xffff;
        // Runs that begin up to the value; the first begins at 0, so there is one.
        final long run = before + Long.bitCount(starts << (63 - (value & 63))) - 1;
        return node + SPARSE_HEADER_BYTES + run * 8;
    }

    /** Identity in an answer of {@link #lookup}. */
    public static int identity(final long answer) {
        return (int) answer & 0x7fff_ffff;
    }

    /** Index of the port that leads to the address, or {@link #NO_PORT}. */
    public static int port(final long answer) {
        return (short) (answer >>> 31);
    }

    /** Length of the prefix in an answer of {@link #lookup}, 0 to 128; -1 for a miss. */
    public static int length(final long answer) {
        return (int) (answer >>> 47) - 1;
    }

    /** Prefixes in the table. Thread: control. */
    public int size() {
        return prefixes.size();
    }

    /** Native memory, in bytes. Thread: control. */
    public long bytes() {
        return heap.bytes() + (blockTable == null ? 0 : blockTable.bytes());
    }

    /** Native memory in use, in bytes, with what waits for {@link #reclaim}. Thread: control. */
    public long usedBytes() {
        return heap.usedBytes() + blockBytes();
    }

    /** What of {@link #usedBytes} the blocks of many IPv4 prefixes are. Thread: control. */
    long blockBytes() {
        return blockTable == null ? 0 : blockTable.usedBytes();
    }

    /** Heap memory of the writer's list of prefixes, in bytes. Thread: control. */
    public long prefixBytes() {
        return prefixes.bytes();
    }

    /**
     * Adds a prefix, or gives it another answer.
     *
     * @param length in the 128-bit space, 0 to 128 (an IPv4 /24 is 120)
     * @param identity 0 to 2^31 - 1
     * @param port index of the port that leads there, 0 to 32767, or {@link #NO_PORT}
     */
    public void put(
            final long high, final long low, final int length, final int identity, final int port) {
        if (length < 0 || length > 128) {
            throw new IllegalArgumentException("prefix length " + length + ": 0 to 128");
        }
        if (identity < 0) {
            throw new IllegalArgumentException("identity " + identity + ": 0 to 2^31-1");
        }
        if (port < NO_PORT || port > Short.MAX_VALUE) {
            throw new IllegalArgumentException("port " + port + ": -1 to 32767");
        }
        final long leaf = (length + 1L) << 47 | (port & 0xffffL) << 31 | identity;
        final long maskedHigh = high & highMask(length);
        final long maskedLow = low & lowMask(length);
        final boolean ipv4 = isIpv4(maskedHigh, maskedLow, length);
        if (ipv4 && ipv4Prefixes >= blockTableAbove && blockTable == null) {
            blockTable = new BlockTable();
            blocks = blockTable.address();
        }
        final long before = prefixes.put(maskedHigh, maskedLow, length, leaf);
        if (before == leaf) {
            return;
        }
        if (before == 0) {
            lengths(maskedHigh, maskedLow, length)[length]++;
            ipv4Prefixes += ipv4 ? 1 : 0;
        }
        apply(maskedHigh, maskedLow, length, leaf, false);
    }

    /**
     * Removes a prefix; its addresses get the answer of the next shorter one.
     *
     * @param length in the 128-bit space, 0 to 128
     * @return whether it was there
     */
    public boolean remove(final long high, final long low, final int length) {
        final long maskedHigh = high & highMask(length);
        final long maskedLow = low & lowMask(length);
        if (prefixes.remove(maskedHigh, maskedLow, length) == 0) {
            return false;
        }
        lengths(maskedHigh, maskedLow, length)[length]--;
        ipv4Prefixes -= isIpv4(maskedHigh, maskedLow, length) ? 1 : 0;
        apply(maskedHigh, maskedLow, length, cover(maskedHigh, maskedLow, length), true);
        return true;
    }

    /** Leaf of the longest prefix shorter than this one. */
    private long cover(final long high, final long low, final int length) {
        final boolean ipv4 = isIpv4(high, low, length);
        final int[] lengths = lengths(high, low, length);
        for (int shorter = length - 1; shorter >= (ipv4 ? IPV4_PREFIX_BASE : 0); shorter--) {
            if (lengths[shorter] > 0) {
                final long leaf =
                        prefixes.get(high & highMask(shorter), low & lowMask(shorter), shorter);
                if (leaf != 0) {
                    return leaf;
                }
            }
        }
        return MISS;
    }

    /**
     * Takes note of the nodes replaced so far. Once every lane has been between two batches after
     * this call, {@link #reclaim} may follow.
     */
    public void seal() {
        while (!replaced.isEmpty()) {
            sealed.push(replaced.pop());
        }
    }

    /** Gives the memory of the sealed nodes back for new ones. */
    public void reclaim() {
        while (!sealed.isEmpty()) {
            final long word = sealed.pop();
            heap.free(word & ADDRESS_MASK, lines(word));
        }
    }

    /** Replaced nodes that are not reclaimed yet. */
    public int waitingNodes() {
        return replaced.size() + sealed.size();
    }

    private void apply(
            final long high,
            final long low,
            final int length,
            final long leaf,
            final boolean isRemoval) {
        prefixHigh = high;
        prefixLow = low;
        prefixLength = length;
        newLeaf = leaf;
        removes = isRemoval;
        final boolean ipv4 = isIpv4(high, low, length);
        final long root = ipv4 ? ipv4Root : ipv6Root;
        final int end = ipv4 ? IPV4_ROOT_END : IPV6_ROOT_END;
        final int index = ipv4 ? (int) (low >>> 16) & 0xffff : (int) (high >>> 48);
        if (ipv4) {
            moveOn(length > end && !isRemoval ? index : -1);
        }
        if (length > end) {
            update(root + 8L * index, change(get(root + 8L * index), end, 0));
            return;
        }
        final int last = index + (1 << (end - length)) - 1;
        for (int i = index; i <= last; i++) {
            update(root + 8L * i, coverAll(get(root + 8L * i)));
        }
    }

    /**
     * Moves nodes of IPv4 into their blocks: the one that is about to be changed, and the next few
     * of the others.
     *
     * @param changed index of the /16 that gets a longer prefix, or -1
     */
    private void moveOn(final int changed) {
        final BlockTable table = blockTable;
        if (table == null) {
            return;
        }
        if (changed >= 0) {
            move(table, changed);
        }
        for (int moved = 0; moved < MOVES_PER_CHANGE && nextToMove < ROOT_WORDS; moved++) {
            if (get(ipv4Root + 8L * nextToMove) < 0) {
                move(table, nextToMove);
            }
            nextToMove++;
        }
    }

    /** The node of a /16, or a FLAT one of its leaf, into its block; answers stay as they are. */
    private void move(final BlockTable table, final int index) {
        final long slot = ipv4Root + 8L * index;
        final long word = get(slot);
        if (word < 0 && isBlock(word & ADDRESS_MASK)) {
            return;
        }
        final long[] words = scratch[0];
        if (word >= 0) {
            Arrays.fill(words, word);
        } else {
            for (int i = 0; i < NODE_WORDS; i++) {
                words[i] = childIpv4(word, i);
            }
            replaced.push(word);
        }
        final long block = table.block(index);
        for (int i = 0; i < NODE_WORDS; i++) {
            set(block + 8L * i, words[i]);
        }
        set(slot, NODE | block | FLAT);
    }

    /**
     * Word of an IPv4 node for a value; its SKIP spans one byte, more an IPv4 prefix cannot need.
     */
    private static long childIpv4(final long word, final int value) {
        final long node = word & ADDRESS_MASK;
        return switch ((int) (word & KIND_MASK)) {
            case SPARSE -> get(sparseWord(node, value));
            case FLAT -> get(node + 8L * value);
            default -> get(node + (getPlain(node + 8) == value ? SKIP_CHILD : SKIP_OTHERWISE));
        };
    }

    private static void update(final long address, final long word) {
        if (get(address) != word) {
            set(address, word);
        }
    }

    /** Word for a slot that lies in the prefix; nodes below it are changed in place. */
    private long coverAll(final long word) {
        if (word >= 0) {
            final int length = length(word);
            return (removes ? length == prefixLength : length <= prefixLength) ? newLeaf : word;
        }
        final long node = word & ADDRESS_MASK;
        switch ((int) (word & KIND_MASK)) {
            case SPARSE -> {
                final int runs = runs(node);
                for (int i = 0; i < runs; i++) {
                    final long at = node + SPARSE_HEADER_BYTES + 8L * i;
                    update(at, coverAll(get(at)));
                }
            }
            case FLAT -> {
                for (int i = 0; i < NODE_WORDS; i++) {
                    final long before = get(node + 8L * i);
                    final long after = coverAll(before);
                    if (after != before) {
                        set(node + 8L * i, after);
                    }
                }
            }
            default -> {
                update(node + SKIP_OTHERWISE, coverAll(get(node + SKIP_OTHERWISE)));
                update(node + SKIP_CHILD, coverAll(get(node + SKIP_CHILD)));
            }
        }
        return word;
    }

    /**
     * Word for the slot of {@code at} decided bits in which the prefix lies, being longer. If it is
     * another than before, the caller's store of it publishes the nodes below.
     */
    private long change(final long word, final int at, final int depth) {
        if (word >= 0) {
            return removes ? word : branch(word, at, depth);
        }
        return switch ((int) (word & KIND_MASK)) {
            case SPARSE -> changeSparse(word, at, depth);
            case FLAT -> changeFlat(word, at, depth);
            default -> changeSkip(word, at, depth);
        };
    }

    /** Nodes for the first longer prefix within a leaf. */
    private long branch(final long leaf, final int at, final int depth) {
        final int bytes = Math.min((prefixLength - at - 1) / 8, SKIP_BYTES_MAX);
        if (bytes > 0) {
            final long key = bytesAt(prefixHigh, prefixLow, at, bytes);
            return skip(bytes, key, leaf, branch(leaf, at + bytes * 8, depth));
        }
        final long[] words = scratch[depth];
        Arrays.fill(words, leaf);
        fill(words, at);
        return node(words, at);
    }

    /** Sets the prefix's own values of a node in which it ends. */
    private void fill(final long[] words, final int at) {
        final int first = byteAt(prefixHigh, prefixLow, at);
        final int last = first + (1 << (at + 8 - prefixLength)) - 1;
        for (int i = first; i <= last; i++) {
            words[i] = coverAll(words[i]);
        }
    }

    private long changeSparse(final long word, final int at, final int depth) {
        final long node = word & ADDRESS_MASK;
        if (prefixLength > at + 8) {
            final long slot = sparseWord(node, byteAt(prefixHigh, prefixLow, at));
            final long before = get(slot);
            if (before < 0) {
                final long after = change(before, at + 8, depth + 1);
                if (after < 0) {
                    update(slot, after);
                    return word;
                }
                final long[] words = expand(word, depth);
                words[byteAt(prefixHigh, prefixLow, at)] = after;
                return replace(word, node(words, at));
            }
        }
        return rebuild(word, at, depth);
    }

    private long changeFlat(final long word, final int at, final int depth) {
        final long node = word & ADDRESS_MASK;
        final int first = byteAt(prefixHigh, prefixLow, at);
        if (prefixLength > at + 8) {
            final long slot = node + 8L * first;
            update(slot, change(get(slot), at + 8, depth + 1));
        } else {
            final int last = first + (1 << (at + 8 - prefixLength)) - 1;
            for (int i = first; i <= last; i++) {
                update(node + 8L * i, coverAll(get(node + 8L * i)));
            }
        }
        if (removes && !isBlock(node)) {
            // Back to SPARSE well below the bound, so that a prefix that comes and goes does not
            // rebuild the node each time.
            final long[] words = expand(word, depth);
            if (countRuns(words) <= SPARSE_RUNS_MAX / 2) {
                return replace(word, node(words, at));
            }
        }
        return word;
    }

    private long changeSkip(final long word, final int at, final int depth) {
        final long node = word & ADDRESS_MASK;
        final int bytes = (int) getPlain(node);
        final long key = getPlain(node + 8);
        final int end = at + bytes * 8;
        if (prefixLength > end && bytesAt(prefixHigh, prefixLow, at, bytes) == key) {
            final long child = change(get(node + SKIP_CHILD), end, depth + 1);
            if (child >= 0 && child == get(node + SKIP_OTHERWISE)) {
                return replace(word, child);
            }
            update(node + SKIP_CHILD, child);
            return word;
        }
        // The first byte becomes a node of its own, then it is tried again.
        final long otherwise = get(node + SKIP_OTHERWISE);
        final long child = get(node + SKIP_CHILD);
        final long rest =
                bytes == 1
                        ? child
                        : skip(bytes - 1, key & (1L << (8 * (bytes - 1))) - 1, otherwise, child);
        final long[] words = scratch[depth];
        Arrays.fill(words, otherwise);
        words[(int) (key >>> (8 * (bytes - 1)))] = rest;
        final long opened = replace(word, node(words, at));
        return opened >= 0 ? change(opened, at, depth) : changeSparse(opened, at, depth);
    }

    /** A node with the prefix put in or taken out, in place of one that is left as it is. */
    private long rebuild(final long word, final int at, final int depth) {
        final long[] words = expand(word, depth);
        if (prefixLength > at + 8) {
            final int value = byteAt(prefixHigh, prefixLow, at);
            words[value] = change(words[value], at + 8, depth + 1);
        } else {
            fill(words, at);
        }
        return replace(word, node(words, at));
    }

    private long replace(final long old, final long with) {
        replaced.push(old);
        return with;
    }

    private long[] expand(final long word, final int depth) {
        final long node = word & ADDRESS_MASK;
        final long[] words = scratch[depth];
        final boolean isFlat = (word & KIND_MASK) == FLAT;
        for (int i = 0; i < NODE_WORDS; i++) {
            words[i] = get(isFlat ? node + 8L * i : sparseWord(node, i));
        }
        return words;
    }

    private boolean isBlock(final long node) {
        final BlockTable table = blockTable;
        return table != null && table.contains(node);
    }

    private static int countRuns(final long[] words) {
        int runs = 1;
        for (int i = 1; i < NODE_WORDS; i++) {
            runs += words[i] != words[i - 1] ? 1 : 0;
        }
        return runs;
    }

    /**
     * The node for the words of a slot of {@code at} decided bits; the word itself when all are the
     * leaf of one prefix around the slot. (Two prefixes within it may have equal leaves too; those
     * must stay apart, or one could not be removed.)
     */
    private long node(final long[] words, final int at) {
        final int runs = countRuns(words);
        if (runs == 1 && words[0] >= 0 && length(words[0]) <= at) {
            return words[0];
        }
        if (runs > SPARSE_RUNS_MAX) {
            final long node = heap.allocate(FLAT_LINES);
            for (int i = 0; i < NODE_WORDS; i++) {
                setPlain(node + 8L * i, words[i]);
            }
            return NODE | node | FLAT;
        }
        final long node = heap.allocate(sparseLines(runs));
        long before = 0;
        int run = 0;
        for (int group = 0; group < 4; group++) {
            before |= (long) run << (group * 16);
            long starts = 0;
            for (int bit = 0; bit < 64; bit++) {
                final int value = group * 64 + bit;
                if (value == 0 || words[value] != words[value - 1]) {
                    starts |= 1L << bit;
                    setPlain(node + SPARSE_HEADER_BYTES + 8L * run++, words[value]);
                }
            }
            setPlain(node + 8L * group, starts);
        }
        setPlain(node + 32, before);
        return NODE | node | SPARSE;
    }

    private long skip(final int bytes, final long key, final long otherwise, final long child) {
        final long node = heap.allocate(1);
        setPlain(node, bytes);
        setPlain(node + 8, key);
        setPlain(node + SKIP_OTHERWISE, otherwise);
        setPlain(node + SKIP_CHILD, child);
        return NODE | node | SKIP;
    }

    private static int lines(final long word) {
        return switch ((int) (word & KIND_MASK)) {
            case SPARSE -> sparseLines(runs(word & ADDRESS_MASK));
            case FLAT -> FLAT_LINES;
            default -> 1;
        };
    }

    private static int sparseLines(final int runs) {
        return (SPARSE_HEADER_BYTES + 8 * runs + NodeHeap.LINE_BYTES - 1) / NodeHeap.LINE_BYTES;
    }

    private static int runs(final long node) {
        return (int) (getPlain(node + 32) >>> 48) + Long.bitCount(getPlain(node + 24));
    }

    private int[] lengths(final long high, final long low, final int length) {
        return isIpv4(high, low, length) ? ipv4Lengths : ipv6Lengths;
    }

    private static boolean isIpv4(final long high, final long low, final int length) {
        return length >= IPV4_PREFIX_BASE && high == 0 && low >>> 32 == 0xffffL;
    }

    private static int byteAt(final long high, final long low, final int at) {
        return (int) ((at < 64 ? high : low) >>> (56 - (at & 63))) & 255;
    }

    /** The next bytes of an address as a number. */
    private static long bytesAt(final long high, final long low, final int at, final int bytes) {
        final int shift = at & 63;
        final long from = at < 64 ? high : low;
        final long aligned =
                shift == 0 || at >= 64 ? from << shift : from << shift | low >>> (64 - shift);
        return aligned >>> (64 - 8 * bytes);
    }

    private static long highMask(final int length) {
        return length == 0 ? 0 : length >= 64 ? -1L : -1L << (64 - length);
    }

    private static long lowMask(final int length) {
        return length <= 64 ? 0 : -1L << (128 - length);
    }

    private static long get(final long address) {
        return (long) WORD.getAcquire(MEMORY, address);
    }

    private static void set(final long address, final long word) {
        WORD.setRelease(MEMORY, address, word);
    }

    private static long getPlain(final long address) {
        return MEMORY.get(ValueLayout.JAVA_LONG, address);
    }

    private static void setPlain(final long address, final long word) {
        MEMORY.set(ValueLayout.JAVA_LONG, address, word);
    }

    /** An ipcache and its first prefixes in one expression. Thread: one. */
    public static final class Builder {
        private final Ipcache ipcache = new Ipcache();

        /** As {@link Ipcache#put}. */
        public Builder add(
                final long high,
                final long low,
                final int length,
                final int identity,
                final int port) {
            ipcache.put(high, low, length, identity, port);
            return this;
        }

        /** The ipcache. */
        public Ipcache build() {
            return ipcache;
        }
    }
}
