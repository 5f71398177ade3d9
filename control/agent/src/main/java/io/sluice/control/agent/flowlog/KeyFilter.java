package io.sluice.control.agent.flowlog;

import java.nio.ByteBuffer;
import java.util.List;
import org.agrona.collections.LongHashSet;

/**
 * Which keys a block may have: a Bloom filter, so that a question for something rare does not read
 * the blocks that cannot have it.
 *
 * <p>Keys are 64-bit hashes whose bits are as good as random ({@link #key}). With {@link
 * #BITS_PER_KEY} bits a key and {@link #PROBES} probes a filter is wrong for one question in a
 * hundred, and then only costs time. A filter without bits says "maybe" to everything.
 *
 * <p>Immutable.
 */
public final class KeyFilter {
    /** Says "maybe" to everything. */
    public static final KeyFilter ALL = new KeyFilter(new long[0]);

    private static final int BITS_PER_KEY = 10;
    private static final int PROBES = 6;

    /** 4,096 flows that have nothing in common; a fuller filter is no longer than this. */
    private static final int BITS_MAX = 1 << 16;

    private static final int BITS_MIN = 1 << 9;

    private final long[] words;

    private KeyFilter(final long[] words) {
        this.words = words;
    }

    /** A filter that has exactly these keys, and rarely any other. */
    public static KeyFilter of(final LongHashSet keys) {
        final int wanted = Math.clamp((long) keys.size() * BITS_PER_KEY, BITS_MIN, BITS_MAX);
        final int bits = Integer.highestOneBit(wanted - 1) << 1;
        final long[] words = new long[bits / Long.SIZE];
        final LongHashSet.LongIterator iterator = keys.iterator();
        while (iterator.hasNext()) {
            final long key = iterator.nextValue();
            for (int probe = 0; probe < PROBES; probe++) {
                final int bit = bit(key, probe, bits);
                words[bit >>> 6] |= 1L << bit;
            }
        }
        return new KeyFilter(words);
    }

    private static int bit(final long key, final int probe, final int bits) {
        // Kirsch and Mitzenmacher 2006: two hashes make as many as are needed.
        return ((int) key + probe * ((int) (key >>> 32) | 1)) & (bits - 1);
    }

    /** The hash of a kind of key and its value. */
    public static long key(final int kind, final String value) {
        long hash = 0xcbf29ce484222325L ^ kind;
        for (int i = 0; i < value.length(); i++) {
            hash = (hash ^ value.charAt(i)) * 0x100000001b3L;
        }
        return mix(hash);
    }

    /** The hash of a kind of key and a number. */
    public static long key(final int kind, final long value) {
        return mix(value * 0x9e3779b97f4a7c15L + kind);
    }

    /** The finalizer of MurmurHash3: every bit of the input changes half of those of the output. */
    private static long mix(final long value) {
        long hash = value;
        hash = (hash ^ (hash >>> 33)) * 0xff51afd7ed558ccdL;
        hash = (hash ^ (hash >>> 33)) * 0xc4ceb9fe1a85ec53L;
        return hash ^ (hash >>> 33);
    }

    private boolean mayHave(final long key) {
        final int bits = words.length * Long.SIZE;
        for (int probe = 0; probe < PROBES; probe++) {
            final int bit = bit(key, probe, bits);
            if ((words[bit >>> 6] & 1L << bit) == 0) {
                return false;
            }
        }
        return true;
    }

    /**
     * Whether an entry of the block may answer a question.
     *
     * @param clauses of each, an entry that answers has one of the keys
     */
    public boolean mayAnswer(final List<long[]> clauses) {
        if (words.length == 0) {
            return true;
        }
        for (final long[] clause : clauses) {
            boolean found = false;
            for (int i = 0; i < clause.length && !found; i++) {
                found = mayHave(clause[i]);
            }
            if (!found) {
                return false;
            }
        }
        return true;
    }

    int bytes() {
        return words.length * Long.BYTES;
    }

    void write(final ByteBuffer into) {
        for (final long word : words) {
            into.putLong(word);
        }
    }

    /** Reads as many bytes as were written. */
    static KeyFilter read(final ByteBuffer from, final int bytes) {
        final long[] words = new long[bytes / Long.BYTES];
        for (int i = 0; i < words.length; i++) {
            words[i] = from.getLong();
        }
        return new KeyFilter(words);
    }
}
