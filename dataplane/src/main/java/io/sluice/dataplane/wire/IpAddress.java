package io.sluice.dataplane.wire;

/**
 * One IP address and its text. Both families share 128 bits, IPv4 addresses are mapped ({@code
 * ::ffff:a.b.c.d}, RFC 4291 section 2.5.5.2), as in conntrack tuples.
 *
 * <p>In text an IPv4 address is written as one: {@code ::ffff:10.0.0.1} is refused, so that an
 * address has one spelling and no IPv6 rule touches IPv4 traffic unseen.
 *
 * <p>Not for the packet path: it allocates. Immutable; any thread.
 *
 * @param high first 64 bits
 * @param low last 64 bits
 */
public record IpAddress(long high, long low) {
    private static final long MAPPED_LOW = 0xffffL << 32;
    private static final int GROUPS = 8;

    /**
     * The mapped address.
     *
     * @param ipv4 first byte most significant
     */
    public static IpAddress ofIpv4(final int ipv4) {
        return new IpAddress(0, MAPPED_LOW | Integer.toUnsignedLong(ipv4));
    }

    /**
     * Strict: IPv4 is four decimal numbers without leading zeros, IPv6 is as in RFC 4291 section
     * 2.2 without a zone.
     *
     * @throws IllegalArgumentException one line saying what is wrong and what is accepted
     */
    public static IpAddress parse(final String text) {
        return text.indexOf(':') < 0 ? ofIpv4(parseIpv4(text, text)) : parseIpv6(text);
    }

    public boolean isIpv4() {
        return Ipv6.isMapped(high, low);
    }

    /** The IPv4 address; only where {@link #isIpv4}. */
    public int ipv4() {
        return (int) low;
    }

    /** The canonical text: dotted, or as in RFC 5952. */
    @Override
    public String toString() {
        return format(high, low);
    }

    /** The canonical text of an address in two halves: dotted, or as in RFC 5952. */
    public static String format(final long high, final long low) {
        return Ipv6.isMapped(high, low) ? formatIpv4((int) low) : formatIpv6(high, low);
    }

    private static String formatIpv4(final int ipv4) {
        return (ipv4 >>> 24)
                + "."
                + ((ipv4 >>> 16) & 0xff)
                + "."
                + ((ipv4 >>> 8) & 0xff)
                + "."
                + (ipv4 & 0xff);
    }

    private static String formatIpv6(final long high, final long low) {
        int runStart = -1;
        int runLength = 1; // A single zero group is not shortened (RFC 5952 section 4.2.2).
        for (int i = 0; i < GROUPS; i++) {
            int length = 0;
            while (i + length < GROUPS && group(high, low, i + length) == 0) {
                length++;
            }
            if (length > runLength) {
                runStart = i;
                runLength = length;
            }
            i += length;
        }
        final StringBuilder text = new StringBuilder(39);
        int i = 0;
        while (i < GROUPS) {
            if (i == runStart) {
                text.append("::");
                i += runLength;
                continue;
            }
            if (i > 0 && text.charAt(text.length() - 1) != ':') {
                text.append(':');
            }
            text.append(Integer.toHexString(group(high, low, i)));
            i++;
        }
        return text.toString();
    }

    private static int group(final long high, final long low, final int index) {
        return (int) ((index < 4 ? high : low) >>> (48 - 16 * (index & 3))) & 0xffff;
    }

    /**
     * @param whole the text the message names
     */
    private static int parseIpv4(final String text, final String whole) {
        int address = 0;
        int at = 0;
        for (int part = 0; part < 4; part++) {
            if (part > 0) {
                if (at >= text.length() || text.charAt(at) != '.') {
                    throw bad(whole, "an IPv4 address has four numbers with dots");
                }
                at++;
            }
            final int start = at;
            int number = 0;
            while (at < text.length() && isDecimal(text.charAt(at)) && at - start < 4) {
                number = 10 * number + text.charAt(at) - '0';
                at++;
            }
            if (at == start) {
                throw bad(whole, "an IPv4 address has four numbers with dots");
            }
            if (at - start > 1 && text.charAt(start) == '0') {
                throw bad(whole, "numbers have no leading zeros");
            }
            if (number > 255) {
                throw bad(whole, "each number is 0 to 255");
            }
            address = (address << 8) | number;
        }
        if (at != text.length()) {
            throw bad(whole, "an IPv4 address has four numbers with dots");
        }
        return address;
    }

    private static IpAddress parseIpv6(final String text) {
        if (text.indexOf('%') >= 0) {
            throw bad(text, "a zone is not accepted");
        }
        final int gap = text.indexOf("::");
        if (gap >= 0 && text.indexOf("::", gap + 1) >= 0) {
            throw bad(text, "\"::\" may stand once");
        }
        final int[] head = new int[GROUPS];
        final int[] tail = new int[GROUPS];
        final int headCount;
        int tailCount = 0;
        if (gap < 0) {
            headCount = parseGroups(text, 0, text.length(), head, true);
            if (headCount != GROUPS) {
                throw bad(text, "an IPv6 address has eight groups, or \"::\" for those that are 0");
            }
        } else {
            headCount = parseGroups(text, 0, gap, head, false);
            tailCount = parseGroups(text, gap + 2, text.length(), tail, true);
            if (headCount + tailCount >= GROUPS) {
                throw bad(text, "\"::\" stands for at least one group of eight");
            }
        }
        System.arraycopy(tail, 0, head, GROUPS - tailCount, tailCount);
        final IpAddress address = new IpAddress(join(head, 0), join(head, 4));
        if (address.isIpv4()) {
            throw bad(text, "write an IPv4 address as " + address);
        }
        return address;
    }

    /** Groups found between the two places of the text, 0 to 8. */
    private static int parseGroups(
            final String text,
            final int from,
            final int to,
            final int[] groups,
            final boolean mayEndInIpv4) {
        int count = 0;
        int at = from;
        while (at < to) {
            final int colon = text.indexOf(':', at);
            final int end = colon < 0 || colon > to ? to : colon;
            final boolean lastGroup = end == to;
            if (lastGroup && mayEndInIpv4 && text.indexOf('.', at) >= 0) {
                if (count > GROUPS - 2) {
                    throw bad(text, "an IPv6 address has eight groups");
                }
                final int ipv4 = parseIpv4(text.substring(at, end), text);
                groups[count++] = ipv4 >>> 16;
                groups[count++] = ipv4 & 0xffff;
                return count;
            }
            if (count == GROUPS) {
                throw bad(text, "an IPv6 address has eight groups");
            }
            groups[count++] = parseGroup(text, at, end);
            if (lastGroup) {
                return count;
            }
            at = end + 1;
            if (at == to) {
                throw bad(text, "a single \":\" stands between groups");
            }
        }
        return count;
    }

    private static int parseGroup(final String text, final int from, final int to) {
        if (to == from || to - from > 4) {
            throw bad(text, "a group has one to four hexadecimal digits");
        }
        int group = 0;
        for (int i = from; i < to; i++) {
            final char c = text.charAt(i);
            final int digit = c < 0x80 ? Character.digit(c, 16) : -1;
            if (digit < 0) {
                throw bad(text, "a group has one to four hexadecimal digits");
            }
            group = (group << 4) | digit;
        }
        return group;
    }

    private static long join(final int[] groups, final int from) {
        return ((long) groups[from] << 48)
                | ((long) groups[from + 1] << 32)
                | ((long) groups[from + 2] << 16)
                | groups[from + 3];
    }

    private static boolean isDecimal(final char c) {
        return c >= '0' && c <= '9';
    }

    private static IllegalArgumentException bad(final String text, final String why) {
        return new IllegalArgumentException("\"" + text + "\" is not an IP address: " + why);
    }
}
