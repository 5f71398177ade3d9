package io.sluice.control.policy;

import java.util.Optional;

/**
 * An IP prefix as manifests write it.
 *
 * @param network lowest address; the bits beyond the prefix are 0
 * @param lengthBits 0 to 32 for IPv4, 0 to 128 for IPv6, counted in the prefix's own family
 */
public record Cidr(IpAddress network, int lengthBits) implements Comparable<Cidr> {
    public static final Cidr ALL_IPV4 = new Cidr(IpAddress.ofIpv4(0), 0);
    public static final Cidr ALL_IPV6 = new Cidr(new IpAddress(0, 0), 0);

    public Cidr {
        if (lengthBits < 0 || lengthBits > network.familyBits()) {
            throw new IllegalArgumentException("prefix length " + lengthBits + " of " + network);
        }
        if (!masked(network, lengthBits).equals(network)) {
            throw new IllegalArgumentException(network + " has bits beyond /" + lengthBits);
        }
    }

    /** The prefix of some length that holds an address. */
    public static Cidr around(final IpAddress address, final int lengthBits) {
        return new Cidr(masked(address, lengthBits), lengthBits);
    }

    /** The prefix that holds only this address. */
    public static Cidr host(final IpAddress address) {
        return new Cidr(address, address.familyBits());
    }

    /**
     * Reads {@code address/length}. Bits beyond the prefix are cleared; {@link #hasHostBits} tells
     * whether there were any, for readers that refuse them.
     */
    public static Optional<Cidr> parse(final String text) {
        final int slash = text.indexOf('/');
        if (slash < 0) {
            return Optional.empty();
        }
        final Optional<IpAddress> address = IpAddress.parse(text.substring(0, slash));
        final int length = parseLength(text.substring(slash + 1));
        if (address.isEmpty() || length < 0 || length > address.get().familyBits()) {
            return Optional.empty();
        }
        return Optional.of(new Cidr(masked(address.get(), length), length));
    }

    /** Whether the text, which {@link #parse} accepts, has bits set beyond its prefix. */
    public static boolean hasHostBits(final String text) {
        final Optional<Cidr> cidr = parse(text);
        final Optional<IpAddress> address = IpAddress.parse(text.substring(0, text.indexOf('/')));
        return cidr.isPresent() && !cidr.get().network.equals(address.get());
    }

    private static int parseLength(final String text) {
        if (text.isEmpty() || text.length() > 3 || (text.length() > 1 && text.charAt(0) == '0')) {
            return -1;
        }
        int length = 0;
        for (int i = 0; i < text.length(); i++) {
            final char digit = text.charAt(i);
            if (digit < '0' || digit > '9') {
                return -1;
            }
            length = length * 10 + digit - '0';
        }
        return length;
    }

    private static IpAddress masked(final IpAddress address, final int lengthBits) {
        final int bits = lengthBits + 128 - address.familyBits();
        final long high = bits >= 64 ? -1L : bits == 0 ? 0 : -1L << (64 - bits);
        final long low = bits <= 64 ? 0 : bits == 128 ? -1L : -1L << (128 - bits);
        return new IpAddress(address.high() & high, address.low() & low);
    }

    public boolean isIpv4() {
        return network.isIpv4();
    }

    /** Whether the address is of this family and inside the prefix. */
    public boolean contains(final IpAddress address) {
        return address.isIpv4() == isIpv4() && masked(address, lengthBits).equals(network);
    }

    /** Whether every address of the other prefix is in this one; a prefix contains itself. */
    public boolean contains(final Cidr other) {
        return other.lengthBits >= lengthBits && contains(other.network);
    }

    /** This prefix cut to fewer bits: the prefix of that length which contains it. */
    public Cidr widened(final int toLengthBits) {
        return new Cidr(masked(network, toLengthBits), toLengthBits);
    }

    /** IPv4 before IPv6, then by address, then wide before narrow. */
    @Override
    public int compareTo(final Cidr other) {
        if (isIpv4() != other.isIpv4()) {
            return isIpv4() ? -1 : 1;
        }
        final int order = network.compareTo(other.network);
        return order == 0 ? Integer.compare(lengthBits, other.lengthBits) : order;
    }

    @Override
    public String toString() {
        return network + "/" + lengthBits;
    }
}
