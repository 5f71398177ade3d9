package io.sluice.dataplane.table;

/**
 * What a policy map answers: a verdict, the reason where it denies, and the rule that decided.
 *
 * <p>Packed into a long, because the packet path stores and compares it: bits 0-15 the code of the
 * drop reason (0 = allowed), bits 16-47 the rule, an index into the list of rule authors that
 * control keeps for the revision, bit 48 whether a proxy has to read what passes, bit 49 whether
 * the DNS agent has.
 */
public final class PolicyEntry {
    private static final long REDIRECT = 1L << 48;
    private static final long PUNT = 1L << 49;

    private PolicyEntry() {}

    /** An entry that allows. */
    public static long allow(final int rule) {
        return Integer.toUnsignedLong(rule) << 16;
    }

    /** An entry that allows as far as headers tell: a proxy reads the flow and asks the rest. */
    public static long redirect(final int rule) {
        return allow(rule) | REDIRECT;
    }

    /** An entry that allows as far as headers tell: the DNS agent reads each datagram. */
    public static long punt(final int rule) {
        return allow(rule) | PUNT;
    }

    /**
     * An entry that denies.
     *
     * @param reasonCode code of the drop reason, 1 to 65535
     */
    public static long deny(final int reasonCode, final int rule) {
        return Integer.toUnsignedLong(rule) << 16 | reasonCode;
    }

    /** Whether the entry lets the flow pass. */
    public static boolean allows(final long entry) {
        return (entry & 0xffffL) == 0;
    }

    /** Whether a proxy has to read the flow; never where the entry denies. */
    public static boolean redirects(final long entry) {
        return (entry & REDIRECT) != 0;
    }

    /** Whether the DNS agent has to read the flow; never where the entry denies. */
    public static boolean punts(final long entry) {
        return (entry & PUNT) != 0;
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
