package io.sluice.dnsproxy.wire;

import java.net.InetAddress;
import java.net.UnknownHostException;

/**
 * An IP address: 128 bits, IPv4 mapped into {@code ::ffff:0:0/96}, as in a conntrack tuple.
 * Immutable.
 *
 * @param high first eight octets
 * @param low last eight octets
 */
public record Address(long high, long low) implements Comparable<Address> {
    private static final long MAPPED = 0xffffL << 32;

    /** From four octets in network order. */
    public static Address ofIpv4(final int bits) {
        return new Address(0, MAPPED | (bits & 0xffffffffL));
    }

    /**
     * From text: dotted quad or RFC 4291 form, never a host name.
     *
     * @throws IllegalArgumentException if it is neither
     */
    public static Address parse(final String text) {
        final byte[] octets;
        try {
            octets = InetAddress.ofLiteral(text).getAddress();
        } catch (final IllegalArgumentException notAnAddress) {
            throw new IllegalArgumentException("\"" + text + "\": not an address", notAnAddress);
        }
        return of(octets);
    }

    /**
     * From 4 or 16 octets in network order.
     *
     * @throws IllegalArgumentException for another length
     */
    public static Address of(final byte[] octets) {
        if (octets.length != 4 && octets.length != 16) {
            throw new IllegalArgumentException("an address has 4 or 16 octets: " + octets.length);
        }
        long high = 0;
        long low = octets.length == 4 ? 0xffff : 0;
        for (int i = 0; i < octets.length; i++) {
            if (octets.length == 16 && i < 8) {
                high = high << 8 | (octets[i] & 0xff);
            } else {
                low = low << 8 | (octets[i] & 0xff);
            }
        }
        return new Address(high, low);
    }

    /** Whether it is an IPv4 address. */
    public boolean isIpv4() {
        return high == 0 && low >>> 32 == 0xffff;
    }

    /** 4 octets for IPv4, else 16, network order. */
    public byte[] octets() {
        final int length = isIpv4() ? 4 : 16;
        final byte[] octets = new byte[length];
        for (int i = 0; i < length; i++) {
            final int shift = 8 * (length - 1 - i);
            octets[i] = (byte) (shift >= 64 ? high >>> (shift - 64) : low >>> shift);
        }
        return octets;
    }

    /** As the JDK's class, for sockets. */
    public InetAddress toInetAddress() {
        try {
            return InetAddress.getByAddress(octets());
        } catch (final UnknownHostException impossible) {
            throw new IllegalStateException("octets() has 4 or 16 octets", impossible);
        }
    }

    @Override
    public int compareTo(final Address other) {
        final int highs = Long.compareUnsigned(high, other.high);
        return highs != 0 ? highs : Long.compareUnsigned(low, other.low);
    }

    /** Dotted quad, or the canonical form of RFC 5952 section 4. */
    @Override
    public String toString() {
        final StringBuilder text = new StringBuilder(39);
        if (isIpv4()) {
            for (int shift = 24; shift >= 0; shift -= 8) {
                text.append(low >>> shift & 0xff).append(shift > 0 ? "." : "");
            }
            return text.toString();
        }
        int zerosAt = -1;
        int zeros = 1;
        for (int i = 0; i < 8; i++) {
            int run = 0;
            while (i + run < 8 && group(i + run) == 0) {
                run++;
            }
            if (run > zeros) {
                zerosAt = i;
                zeros = run;
            }
        }
        for (int i = 0; i < 8; i++) {
            if (i == zerosAt) {
                text.append("::");
                i += zeros - 1;
            } else {
                text.append(i > 0 && text.charAt(text.length() - 1) != ':' ? ":" : "");
                text.append(Integer.toHexString(group(i)));
            }
        }
        return text.toString();
    }

    private int group(final int index) {
        final long half = index < 4 ? high : low;
        return (int) (half >>> (48 - 16 * (index & 3)) & 0xffff);
    }
}
