package io.sluice.dataplane.wire;

/**
 * Text of MAC addresses: six two-digit hexadecimal bytes with colons. Everywhere else a MAC address
 * is the low 48 bits of a long.
 *
 * <p>Not for the packet path: it allocates. Any thread.
 */
public final class MacAddress {
    private static final int TEXT_LENGTH = 17;

    private MacAddress() {}

    /**
     * Reads the text.
     *
     * @param text such as {@code 02:53:4c:00:00:01}; upper case is accepted
     * @throws IllegalArgumentException one line saying what is wrong
     */
    public static long parse(final String text) {
        if (text.length() != TEXT_LENGTH) {
            throw notAMac(text);
        }
        long mac = 0;
        for (int i = 0; i < TEXT_LENGTH; i++) {
            final char c = text.charAt(i);
            if (i % 3 == 2) {
                if (c != ':') {
                    throw notAMac(text);
                }
            } else {
                final int digit = c < 0x80 ? Character.digit(c, 16) : -1;
                if (digit < 0) {
                    throw notAMac(text);
                }
                mac = (mac << 4) | digit;
            }
        }
        return mac;
    }

    /** The canonical text: lower case. */
    public static String format(final long mac) {
        final StringBuilder text = new StringBuilder(TEXT_LENGTH);
        for (int shift = 40; shift >= 0; shift -= 8) {
            final int octet = (int) (mac >>> shift) & 0xff;
            text.append(Character.forDigit(octet >>> 4, 16));
            text.append(Character.forDigit(octet & 0xf, 16));
            if (shift > 0) {
                text.append(':');
            }
        }
        return text.toString();
    }

    private static IllegalArgumentException notAMac(final String text) {
        return new IllegalArgumentException(
                "\""
                        + text
                        + "\" is not a MAC address: six two-digit hexadecimal bytes with colons are"
                        + " accepted, such as 02:53:4c:00:00:01");
    }
}
