package io.sluice.conntrack;

/**
 * Hash of addresses and ports under a secret seed.
 *
 * <p>Whoever sends packets chooses the keys of the tables here. With a hash that is the same in
 * every process they could choose keys that all meet in one place. Each pair of words is therefore
 * added to two secret words before they are multiplied (the NH construction of UMAC, RFC 4418
 * section 5.2.2, here with 64-bit words and the 128-bit products folded): without the seed the
 * chance that two given keys meet is that of accident. Against somebody who can measure the table's
 * timing while probing it nothing is claimed.
 *
 * <p>Immutable. Thread: any.
 */
final class KeyedHash {
    /** Increment of SplitMix64, which stretches the seed (Steele, Lea, Flood 2014). */
    private static final long GOLDEN_GAMMA = 0x9e3779b97f4a7c15L;

    private final long key0;
    private final long key1;
    private final long key2;
    private final long key3;
    private final long key4;
    private final long key5;

    KeyedHash(final long seed) {
        key0 = stretched(seed, 1);
        key1 = stretched(seed, 2);
        key2 = stretched(seed, 3);
        key3 = stretched(seed, 4);
        key4 = stretched(seed, 5);
        key5 = stretched(seed, 6);
    }

    /** All 64 bits are usable. */
    long of(final long aHigh, final long aLow, final long bHigh, final long bLow, final long word) {
        final long sum =
                folded(aHigh + key0, aLow + key1)
                        + folded(bHigh + key2, bLow + key3)
                        + folded(word + key4, key5);
        return folded(sum, GOLDEN_GAMMA);
    }

    /** The same for two words. */
    long of(final long first, final long second) {
        return folded(folded(first + key0, second + key1), GOLDEN_GAMMA);
    }

    private static long folded(final long x, final long y) {
        return x * y ^ Math.unsignedMultiplyHigh(x, y);
    }

    private static long stretched(final long seed, final int index) {
        long z = seed + index * GOLDEN_GAMMA;
        z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
        z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
        return z ^ z >>> 31;
    }
}
