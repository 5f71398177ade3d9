package io.sluice.dataplane.wire;

/**
 * A block of IP addresses of one family (CIDR), and its text.
 *
 * <p>Both families share 128 bits as in {@link IpAddress}: 10.0.0.0/8 has 104 leading bits. An IPv6
 * prefix never contains an IPv4 address, not even {@code ::/0}, whose bits cover the mapped ones.
 *
 * <p>Immutable; any thread.
 *
 * @param high first 64 bits of the address; bits behind the prefix are 0
 * @param low last 64 bits of the address; bits behind the prefix are 0
 * @param prefixLength leading bits that count, 0 to 128
 */
public record IpPrefix(long high, long low, int prefixLength) {
    /** Leading bits that every mapped IPv4 address shares. */
    public static final int IPV4_BITS = 96;

    /**
     * Checks the components.
     *
     * @throws IllegalArgumentException for a length out of range or bits behind the prefix
     */
    public IpPrefix {
        if (prefixLength < 0 || prefixLength > 128) {
            throw new IllegalArgumentException("prefix length " + prefixLength + ": 0 to 128");
        }
        if ((high & ~maskHigh(prefixLength)) != 0 || (low & ~maskLow(prefixLength)) != 0) {
            throw new IllegalArgumentException(
                    IpAddress.format(high, low) + " has bits behind a prefix of " + prefixLength);
        }
    }

    /** The block of one address. */
    public static IpPrefix of(final IpAddress address) {
        return new IpPrefix(address.high(), address.low(), 128);
    }

    /** The block of the given length around an address, in 128-bit space. */
    public static IpPrefix around(final IpAddress address, final int prefixLength) {
        return new IpPrefix(
                address.high() & maskHigh(prefixLength),
                address.low() & maskLow(prefixLength),
                prefixLength);
    }

    /**
     * Strict: the address must be the first of the block.
     *
     * @param text such as {@code 10.0.0.0/8} or {@code 2001:db8::/32}
     * @throws IllegalArgumentException one line saying what is wrong and what is accepted
     */
    public static IpPrefix parse(final String text) {
        final IpAddress address = parseAddress(text);
        final IpPrefix prefix = parseAround(text);
        if (address.high() != prefix.high || address.low() != prefix.low) {
            throw new IllegalArgumentException(
                    "\"" + text + "\" has bits set behind its prefix: write " + prefix);
        }
        return prefix;
    }

    /**
     * The block around any address in it: {@code 10.1.2.3/8} is 10.0.0.0/8.
     *
     * @throws IllegalArgumentException one line saying what is wrong and what is accepted
     */
    public static IpPrefix parseAround(final String text) {
        final IpAddress address = parseAddress(text);
        final int familyBits = address.isIpv4() ? IPV4_BITS : 0;
        final String digits = text.substring(text.indexOf('/') + 1);
        final int length = parseLength(digits);
        if (length < 0 || length > 128 - familyBits) {
            throw new IllegalArgumentException(
                    "\""
                            + text
                            + "\" is not a CIDR block: the prefix length is 0 to "
                            + (128 - familyBits));
        }
        return around(address, familyBits + length);
    }

    public boolean isIpv4() {
        return prefixLength >= IPV4_BITS && Ipv6.isMapped(high, low);
    }

    /** Whether the address is in the block. */
    public boolean contains(final long addressHigh, final long addressLow) {
        return (addressHigh & maskHigh(prefixLength)) == high
                && (addressLow & maskLow(prefixLength)) == low
                && isIpv4() == Ipv6.isMapped(addressHigh, addressLow);
    }

    public boolean contains(final IpAddress address) {
        return contains(address.high(), address.low());
    }

    /** Whether every address of the other block is in this one; a block contains itself. */
    public boolean contains(final IpPrefix other) {
        return other.prefixLength >= prefixLength
                && other.isIpv4() == isIpv4()
                && (other.high & maskHigh(prefixLength)) == high
                && (other.low & maskLow(prefixLength)) == low;
    }

    /** Prefix length as written: 0 to 32 for IPv4, 0 to 128 for IPv6. */
    public int lengthInFamily() {
        return isIpv4() ? prefixLength - IPV4_BITS : prefixLength;
    }

    /** The canonical text, read back by {@link #parse}. */
    @Override
    public String toString() {
        return IpAddress.format(high, low) + "/" + lengthInFamily();
    }

    private static IpAddress parseAddress(final String text) {
        final int slash = text.indexOf('/');
        if (slash < 0) {
            throw new IllegalArgumentException(
                    "\"" + text + "\" is not a CIDR block: ADDRESS/LENGTH is accepted");
        }
        return IpAddress.parse(text.substring(0, slash));
    }

    /** One to three digits without a leading zero, or -1. */
    private static int parseLength(final String digits) {
        if (digits.isEmpty()
                || digits.length() > 3
                || (digits.length() > 1 && digits.charAt(0) == '0')) {
            return -1;
        }
        int length = 0;
        for (int i = 0; i < digits.length(); i++) {
            final char c = digits.charAt(i);
            if (c < '0' || c > '9') {
                return -1;
            }
            length = 10 * length + c - '0';
        }
        return length;
    }

    private static long maskHigh(final int prefixLength) {
        return prefixLength >= 64 ? -1L : prefixLength == 0 ? 0L : -1L << (64 - prefixLength);
    }

    private static long maskLow(final int prefixLength) {
        return prefixLength <= 64 ? 0L : -1L << (128 - prefixLength);
    }
}
