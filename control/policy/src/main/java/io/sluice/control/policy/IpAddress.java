package io.sluice.control.policy;

import java.net.Inet6Address;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * An IP address as manifests write it, in the form packets are judged by: 128 bits in two
 * big-endian longs, IPv4 mapped ({@code ::ffff:a.b.c.d}, RFC 4291 section 2.5.5.2).
 *
 * @param high bits 127 to 64
 * @param low bits 63 to 0
 */
public record IpAddress(long high, long low) implements Comparable<IpAddress> {
    private static final long IPV4_MAPPED_LOW = 0x0000_ffff_0000_0000L;

    public static IpAddress ofIpv4(final int address) {
        return new IpAddress(0, IPV4_MAPPED_LOW | Integer.toUnsignedLong(address));
    }

    /**
     * Reads an address strictly: no leading zeros, no zone, no brackets, no IPv4-mapped IPv6. What
     * the looser readers of other programs make of such text differs, and a policy must mean one
     * thing.
     */
    public static Optional<IpAddress> parse(final String text) {
        return text.indexOf(':') >= 0 ? parseIpv6(text) : parseIpv4(text);
    }

    private static Optional<IpAddress> parseIpv4(final String text) {
        int address = 0;
        int octets = 0;
        int position = 0;
        while (position < text.length()) {
            final int start = position;
            int octet = 0;
            while (position < text.length()
                    && text.charAt(position) >= '0'
                    && text.charAt(position) <= '9'
                    && position - start < 3) {
                octet = octet * 10 + text.charAt(position) - '0';
                position++;
            }
            final boolean leadingZero = position - start > 1 && text.charAt(start) == '0';
            if (position == start || octet > 255 || leadingZero) {
                return Optional.empty();
            }
            address = address << 8 | octet;
            octets++;
            if (position < text.length()) {
                final boolean moreExpected = text.charAt(position) == '.' && octets < 4;
                position++;
                if (!moreExpected || position == text.length()) {
                    return Optional.empty();
                }
            }
        }
        return octets == 4 ? Optional.of(ofIpv4(address)) : Optional.empty();
    }

    private static Optional<IpAddress> parseIpv6(final String text) {
        for (int i = 0; i < text.length(); i++) {
            final char c = text.charAt(i);
            final boolean legal = c == ':' || c == '.' || Character.digit(c, 16) >= 0;
            if (!legal || c > 'f') {
                return Optional.empty();
            }
        }
        try {
            final ByteBuffer bytes = ByteBuffer.wrap(Inet6Address.ofLiteral(text).getAddress());
            if (bytes.remaining() != 16) {
                return Optional.empty();
            }
            final IpAddress address = new IpAddress(bytes.getLong(), bytes.getLong());
            return address.isIpv4() ? Optional.empty() : Optional.of(address);
        } catch (final IllegalArgumentException notAnAddress) {
            return Optional.empty();
        }
    }

    public boolean isIpv4() {
        return high == 0 && low >>> 32 == 0xffffL;
    }

    /** Bits of an address of this family: 32 or 128. */
    public int familyBits() {
        return isIpv4() ? 32 : 128;
    }

    @Override
    public int compareTo(final IpAddress other) {
        final int order = Long.compareUnsigned(high, other.high);
        return order == 0 ? Long.compareUnsigned(low, other.low) : order;
    }

    /** Dotted quad, or the canonical IPv6 text of RFC 5952. */
    @Override
    public String toString() {
        if (isIpv4()) {
            return (low >>> 24 & 0xff)
                    + "."
                    + (low >>> 16 & 0xff)
                    + "."
                    + (low >>> 8 & 0xff)
                    + "."
                    + (low & 0xff);
        }
        // RFC 5952 section 4.2: the longest run of two or more zero groups, the first of equals.
        int runStart = -1;
        int runLength = 1;
        for (int start = 0; start < 8; start++) {
            int end = start;
            while (end < 8 && group(end) == 0) {
                end++;
            }
            if (end - start > runLength) {
                runStart = start;
                runLength = end - start;
            }
        }
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            if (i == runStart) {
                text.append("::");
                i += runLength - 1;
                continue;
            }
            if (!text.isEmpty() && text.charAt(text.length() - 1) != ':') {
                text.append(':');
            }
            text.append(Integer.toHexString(group(i)));
        }
        return text.toString();
    }

    private int group(final int index) {
        final long half = index < 4 ? high : low;
        return (int) (half >>> (48 - 16 * (index & 3)) & 0xffff);
    }
}
