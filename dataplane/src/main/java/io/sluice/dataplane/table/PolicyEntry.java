package io.sluice.dataplane.table;

/**
 * What a policy map answers: a verdict, the reason where it denies, and the rule that decided.
 *
 * <p>Packed into a long, because the packet path stores and compares it: bits 0-15 the code of the
 * drop reason (0 = allowed), bits 16-47 the rule, an index into the list of rule authors that
 * control keeps for the revision, bits 48-50 the {@link #DNS listener} that has to look inside what
 * the entry allows (0 = none).
 */
public final class PolicyEntry {
    /** Listener of queries for names. */
    public static final int DNS = 4;

    private static final int LISTENER_SHIFT = 48;
    private static final long LISTENER_MASK = 7;

    private PolicyEntry() {}

    /** An entry that allows. */
    public static long allow(final int rule) {
        return Integer.toUnsignedLong(rule) << 16;
    }

    /**
     * An entry that denies.
     *
     * @param reasonCode code of the drop reason, 1 to 65535
     */
    public static long deny(final int reasonCode, final int rule) {
        return Integer.toUnsignedLong(rule) << 16 | reasonCode;
    }

    /**
     * An entry that allows what a listener lets pass.
     *
     * @param listener {@link #DNS}
     */
    public static long redirect(final int listener, final int rule) {
        return (long) listener << LISTENER_SHIFT | allow(rule);
    }

    /** The listener that looks inside, or 0. */
    public static int listener(final long entry) {
        return (int) (entry >>> LISTENER_SHIFT & LISTENER_MASK);
    }

    /** Whether the entry lets the flow pass. */
    public static boolean allows(final long entry) {
        return (entry & 0xffffL) == 0;
    }

    /** Code of the drop reason; 0 where the entry allows. */
    public static int reasonCode(final long entry) {
        return (int) (entry & 0xffffL);
    }

    /** Index of the author of this answer in the revision's list of rule authors. */
    public static int rule(final long entry) {
        return (int) (entry >>> 16);
    }
}
