package io.sluice.control.policy;

import java.util.AbstractMap;
import java.util.AbstractSet;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * An immutable hash map of which a changed copy shares all that did not change.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A compressed hash-array mapped prefix tree (CHAMP; Steindorfer and Vinju, OOPSLA 2015). A node
 * answers for five bits of the hash: for each of their 32 values it holds nothing, one entry, or a
 * node of the next five bits. Two bit maps say which; entries stand in front, nodes behind. {@link
 * #with} copies the nodes from the root to the entry, some hundred bytes for thousands of entries.
 * Below the last bit of the hash, entries of equal hash stand in a row.
 *
 * <p>A node below the root holds at least two entries, so equal contents make equal trees but for
 * the order of a row. {@link #equals} and {@link #forEachChange} therefore compare node by node and
 * pass over those that both trees share: two versions of a map are compared in the time of what
 * changed between them.
 *
 * <p>The order of iteration follows the hashes. Null is neither key nor value. Any thread.
 */
public final class PersistentMap<K, V> extends AbstractMap<K, V> {
    private static final int BITS_PER_LEVEL = 5;
    private static final int LEVEL_MASK = (1 << BITS_PER_LEVEL) - 1;

    private static final Node NO_ENTRIES = new Node(0, 0, new Object[0]);
    private static final PersistentMap<?, ?> EMPTY = new PersistentMap<>(NO_ENTRIES, 0);

    private final Node root;
    private final int size;

    private PersistentMap(final Node root, final int size) {
        this.root = root;
        this.size = size;
    }

    /**
     * One step of the tree.
     *
     * @param entries bit n: an entry for value n of this level's bits; 0 in a row
     * @param nodes bit n: a node for value n; 0 in a row
     * @param slots key, value, key, value, ..., node, node
     */
    // Slots are never written after the node was made, nor handed out.
    @SuppressWarnings("ArrayRecordComponent")
    private record Node(int entries, int nodes, Object[] slots) {
        int entryCount() {
            return isRow() ? slots.length / 2 : Integer.bitCount(entries);
        }

        /** Whether it stands below the last bit of the hash. */
        boolean isRow() {
            return entries == 0 && nodes == 0;
        }

        int entryAt(final int bit) {
            return 2 * Integer.bitCount(entries & bit - 1);
        }

        int nodeAt(final int bit) {
            return 2 * Integer.bitCount(entries) + Integer.bitCount(nodes & bit - 1);
        }

        Node node(final int index) {
            return (Node) slots[index];
        }
    }

    /** What became of one key. */
    interface Change<K, V> {
        /**
         * A key that has another value, is new, or is gone.
         *
         * @param before null if the key is new
         * @param after null if the key is gone
         */
        void accept(K key, @Nullable V before, @Nullable V after);
    }

    /** The empty map. */
    @SuppressWarnings("unchecked")
    public static <K, V> PersistentMap<K, V> empty() {
        return (PersistentMap<K, V>) EMPTY;
    }

    static <K, V> PersistentMap<K, V> copyOf(final Map<? extends K, ? extends V> map) {
        PersistentMap<K, V> copy = empty();
        for (final Entry<? extends K, ? extends V> entry : map.entrySet()) {
            copy = copy.with(entry.getKey(), entry.getValue());
        }
        return copy;
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public boolean containsKey(final Object key) {
        return find(key) != null;
    }

    @Override
    public @Nullable V get(final Object key) {
        return find(key);
    }

    @Override
    public V getOrDefault(final Object key, final V otherwise) {
        final V found = find(key);
        return found == null ? otherwise : found;
    }

    @SuppressWarnings("unchecked")
    private @Nullable V find(final Object key) {
        Node node = root;
        int hash = hash(key);
        while (!node.isRow()) {
            final int bit = 1 << (hash & LEVEL_MASK);
            if ((node.entries & bit) != 0) {
                final int at = node.entryAt(bit);
                return node.slots[at].equals(key) ? (V) node.slots[at + 1] : null;
            }
            if ((node.nodes & bit) == 0) {
                return null;
            }
            node = node.node(node.nodeAt(bit));
            hash >>>= BITS_PER_LEVEL;
        }
        final int at = indexInRow(node, key);
        return at < 0 ? null : (V) node.slots[at + 1];
    }

    /** This map with a key at a value. */
    public PersistentMap<K, V> with(final K key, final V value) {
        final Node next = size == 0 ? single(hash(key), key, value) : put(root, 0, key, value);
        if (isSame(next, root)) {
            return this;
        }
        return new PersistentMap<>(next, containsKey(key) ? size : size + 1);
    }

    /** This map without a key. */
    public PersistentMap<K, V> without(final K key) {
        if (!containsKey(key)) {
            return this;
        }
        return size == 1 ? empty() : new PersistentMap<>(remove(root, 0, key), size - 1);
    }

    private static Node single(final int hash, final Object key, final Object value) {
        return new Node(1 << (hash & LEVEL_MASK), 0, new Object[] {key, value});
    }

    private static Node put(
            final Node node, final int shift, final Object key, final Object value) {
        if (node.isRow()) {
            final int at = indexInRow(node, key);
            return at < 0
                    ? new Node(0, 0, inserted(node.slots, 0, key, value))
                    : withSlot(node, at + 1, value);
        }
        final int bit = 1 << (hash(key) >>> shift & LEVEL_MASK);
        if ((node.nodes & bit) != 0) {
            final int at = node.nodeAt(bit);
            return withSlot(node, at, put(node.node(at), shift + BITS_PER_LEVEL, key, value));
        }
        final int at = node.entryAt(bit);
        if ((node.entries & bit) == 0) {
            return new Node(node.entries | bit, node.nodes, inserted(node.slots, at, key, value));
        }
        if (node.slots[at].equals(key)) {
            return withSlot(node, at + 1, value);
        }
        final Node both =
                pair(node.slots[at], node.slots[at + 1], key, value, shift + BITS_PER_LEVEL);
        final int entries = node.entries & ~bit;
        final int nodes = node.nodes | bit;
        final Object[] slots = new Object[node.slots.length - 1];
        final int nodeAt = 2 * Integer.bitCount(entries) + Integer.bitCount(nodes & bit - 1);
        System.arraycopy(node.slots, 0, slots, 0, at);
        System.arraycopy(node.slots, at + 2, slots, at, nodeAt - at);
        slots[nodeAt] = both;
        System.arraycopy(node.slots, nodeAt + 2, slots, nodeAt + 1, node.slots.length - nodeAt - 2);
        return new Node(entries, nodes, slots);
    }

    /** The least tree of two keys that agree in the bits so far. */
    private static Node pair(
            final Object key1,
            final Object value1,
            final Object key2,
            final Object value2,
            final int shift) {
        if (shift >= Integer.SIZE) {
            return new Node(0, 0, new Object[] {key1, value1, key2, value2});
        }
        final int bit1 = 1 << (hash(key1) >>> shift & LEVEL_MASK);
        final int bit2 = 1 << (hash(key2) >>> shift & LEVEL_MASK);
        if (bit1 == bit2) {
            final Node below = pair(key1, value1, key2, value2, shift + BITS_PER_LEVEL);
            return new Node(0, bit1, new Object[] {below});
        }
        // As numbers without sign: bit 31 is the last.
        return Integer.compareUnsigned(bit1, bit2) < 0
                ? new Node(bit1 | bit2, 0, new Object[] {key1, value1, key2, value2})
                : new Node(bit1 | bit2, 0, new Object[] {key2, value2, key1, value1});
    }

    /** Without a key that is there; below the root, the answer holds an entry at least. */
    private static Node remove(final Node node, final int shift, final Object key) {
        if (node.isRow()) {
            return afterRow(removed(node.slots, indexInRow(node, key)), shift);
        }
        final int bit = 1 << (hash(key) >>> shift & LEVEL_MASK);
        if ((node.entries & bit) != 0) {
            return new Node(
                    node.entries & ~bit, node.nodes, removed(node.slots, node.entryAt(bit)));
        }
        final int at = node.nodeAt(bit);
        final Node below = remove(node.node(at), shift + BITS_PER_LEVEL, key);
        if (below.nodes != 0 || below.entryCount() != 1) {
            return withSlot(node, at, below);
        }
        // One entry is left below: it moves up.
        final int entries = node.entries | bit;
        final int entryAt = 2 * Integer.bitCount(entries & bit - 1);
        final Object[] slots = new Object[node.slots.length + 1];
        System.arraycopy(node.slots, 0, slots, 0, entryAt);
        slots[entryAt] = below.slots[0];
        slots[entryAt + 1] = below.slots[1];
        System.arraycopy(node.slots, entryAt, slots, entryAt + 2, at - entryAt);
        System.arraycopy(node.slots, at + 1, slots, at + 2, node.slots.length - at - 1);
        return new Node(entries, node.nodes & ~bit, slots);
    }

    /** A row of one entry is none: as a node that is about to move up. */
    private static Node afterRow(final Object[] slots, final int shift) {
        return slots.length > 2
                ? new Node(0, 0, slots)
                : new Node(1 << (hash(slots[0]) >>> shift & LEVEL_MASK), 0, slots);
    }

    private static int indexInRow(final Node row, final Object key) {
        for (int i = 0; i < row.slots.length; i += 2) {
            if (row.slots[i].equals(key)) {
                return i;
            }
        }
        return -1;
    }

    private static Node withSlot(final Node node, final int at, final Object content) {
        if (isSame(node.slots[at], content)) {
            return node;
        }
        final Object[] slots = node.slots.clone();
        slots[at] = content;
        return new Node(node.entries, node.nodes, slots);
    }

    private static Object[] inserted(
            final Object[] slots, final int at, final Object key, final Object value) {
        final Object[] more = new Object[slots.length + 2];
        System.arraycopy(slots, 0, more, 0, at);
        more[at] = key;
        more[at + 1] = value;
        System.arraycopy(slots, at, more, at + 2, slots.length - at);
        return more;
    }

    private static Object[] removed(final Object[] slots, final int at) {
        final Object[] less = new Object[slots.length - 2];
        System.arraycopy(slots, 0, less, 0, at);
        System.arraycopy(slots, at + 2, less, at, less.length - at);
        return less;
    }

    private static int hash(final Object key) {
        final int hash = key.hashCode();
        return hash ^ hash >>> 16;
    }

    // Only spares work on what is shared.
    @SuppressWarnings("ReferenceEquality")
    private static boolean isSame(final @Nullable Object one, final @Nullable Object other) {
        return one == other;
    }

    // Walking.

    @Override
    public void forEach(final BiConsumer<? super K, ? super V> action) {
        walk(root, action);
    }

    @SuppressWarnings("unchecked")
    private static <K, V> void walk(
            final Node node, final BiConsumer<? super K, ? super V> action) {
        final int end = 2 * node.entryCount();
        for (int i = 0; i < end; i += 2) {
            action.accept((K) node.slots[i], (V) node.slots[i + 1]);
        }
        for (int i = end; i < node.slots.length; i++) {
            walk(node.node(i), action);
        }
    }

    @Override
    public Set<Entry<K, V>> entrySet() {
        return new AbstractSet<>() {
            @Override
            public Iterator<Entry<K, V>> iterator() {
                return new Entries<>(root);
            }

            @Override
            public int size() {
                return size;
            }
        };
    }

    private static final class Entries<K, V> implements Iterator<Entry<K, V>> {
        private final ArrayDeque<Node> ahead = new ArrayDeque<>();
        private Node node;
        private int next;

        Entries(final Node root) {
            this.node = root;
            descend();
        }

        /** Stops at the next entry, if there is one. */
        private void descend() {
            while (next == 2 * node.entryCount()) {
                for (int i = node.slots.length - 1; i >= next; i--) {
                    ahead.push(node.node(i));
                }
                if (ahead.isEmpty()) {
                    return;
                }
                node = ahead.pop();
                next = 0;
            }
        }

        @Override
        public boolean hasNext() {
            return next < 2 * node.entryCount();
        }

        @Override
        @SuppressWarnings("unchecked")
        public Entry<K, V> next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            final Entry<K, V> entry = Map.entry((K) node.slots[next], (V) node.slots[next + 1]);
            next += 2;
            descend();
            return entry;
        }
    }

    // Comparing.

    @Override
    public boolean equals(final @Nullable Object object) {
        if (object instanceof final PersistentMap<?, ?> other) {
            return size == other.size && isEqual(root, other.root);
        }
        return super.equals(object);
    }

    @Override
    public int hashCode() {
        return super.hashCode();
    }

    private static boolean isEqual(final Node one, final Node other) {
        if (isSame(one, other)) {
            return true;
        }
        if (one.entries != other.entries
                || one.nodes != other.nodes
                || one.slots.length != other.slots.length) {
            return false;
        }
        if (one.isRow()) {
            for (int i = 0; i < one.slots.length; i += 2) {
                final int at = indexInRow(other, one.slots[i]);
                if (at < 0 || !one.slots[i + 1].equals(other.slots[at + 1])) {
                    return false;
                }
            }
            return true;
        }
        final int end = 2 * one.entryCount();
        for (int i = 0; i < end; i++) {
            if (!isSame(one.slots[i], other.slots[i]) && !one.slots[i].equals(other.slots[i])) {
                return false;
            }
        }
        for (int i = end; i < one.slots.length; i++) {
            if (!isEqual(one.node(i), other.node(i))) {
                return false;
            }
        }
        return true;
    }

    /** Tells what changed since an earlier version: keys new, gone, or of another value. */
    void forEachChange(final PersistentMap<K, V> earlier, final Change<K, V> change) {
        changes(earlier.root, root, change);
    }

    private void changes(final Node before, final Node after, final Change<K, V> change) {
        if (isSame(before, after)) {
            return;
        }
        if (before.isRow() || after.isRow()) {
            compareAll(before, after, change);
            return;
        }
        int bits = before.entries | before.nodes | after.entries | after.nodes;
        while (bits != 0) {
            final int bit = Integer.lowestOneBit(bits);
            bits ^= bit;
            if ((before.nodes & after.nodes & bit) != 0) {
                changes(before.node(before.nodeAt(bit)), after.node(after.nodeAt(bit)), change);
            } else {
                compareAll(below(before, bit), below(after, bit), change);
            }
        }
    }

    /** What a node holds for one value of its bits, as a node. */
    private static Node below(final Node node, final int bit) {
        if ((node.nodes & bit) != 0) {
            return node.node(node.nodeAt(bit));
        }
        if ((node.entries & bit) == 0) {
            return NO_ENTRIES;
        }
        final int at = node.entryAt(bit);
        return new Node(bit, 0, new Object[] {node.slots[at], node.slots[at + 1]});
    }

    /** Two nodes of which one is an entry, a row or nothing: they hold little. */
    private void compareAll(final Node before, final Node after, final Change<K, V> change) {
        final PersistentMap<K, V> old = flat(before);
        final PersistentMap<K, V> now = flat(after);
        final Consumer<K> tell =
                key -> {
                    final V was = old.find(key);
                    final V is = now.find(key);
                    if (was == null || is == null || !(isSame(was, is) || was.equals(is))) {
                        change.accept(key, was, is);
                    }
                };
        old.forEach((key, _) -> tell.accept(key));
        now.forEach(
                (key, _) -> {
                    if (!old.containsKey(key)) {
                        tell.accept(key);
                    }
                });
    }

    private static <K, V> PersistentMap<K, V> flat(final Node node) {
        final Map<K, V> entries = new HashMap<>();
        PersistentMap.<K, V>walk(node, entries::put);
        return copyOf(entries);
    }
}
