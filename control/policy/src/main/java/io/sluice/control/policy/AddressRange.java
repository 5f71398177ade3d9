package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * Addresses of one family, from the first to the last.
 *
 * @param first lowest address
 * @param last highest address, inclusive
 */
public record AddressRange(IpAddress first, IpAddress last) implements Comparable<AddressRange> {
    public static AddressRange of(final Cidr prefix) {
        final int hostBits = prefix.network().familyBits() - prefix.lengthBits();
        final long high = hostBits <= 64 ? 0 : hostBits == 128 ? -1L : (1L << (hostBits - 64)) - 1;
        final long low = hostBits >= 64 ? -1L : (1L << hostBits) - 1;
        return new AddressRange(
                prefix.network(),
                new IpAddress(prefix.network().high() | high, prefix.network().low() | low));
    }

    /**
     * What is left of ranges without others.
     *
     * @param ranges sorted and disjoint
     * @param removed sorted and disjoint
     */
    static List<AddressRange> subtract(
            final List<AddressRange> ranges, final List<AddressRange> removed) {
        final List<AddressRange> left = new ArrayList<>();
        int next = 0;
        for (final AddressRange range : ranges) {
            IpAddress from = range.first;
            boolean used = false;
            while (next < removed.size() && removed.get(next).first.compareTo(range.last) <= 0) {
                final AddressRange hole = removed.get(next);
                if (hole.last.compareTo(from) >= 0) {
                    if (hole.first.compareTo(from) > 0) {
                        left.add(new AddressRange(from, before(hole.first)));
                    }
                    if (hole.last.compareTo(range.last) >= 0) {
                        used = true;
                        break;
                    }
                    from = after(hole.last);
                }
                next++;
            }
            if (!used) {
                left.add(new AddressRange(from, range.last));
            }
        }
        return left;
    }

    /** Sorted, with neighbours of one family joined. */
    static List<AddressRange> joined(final Collection<AddressRange> ranges) {
        final List<AddressRange> joined = new ArrayList<>();
        for (final AddressRange range : ranges.stream().sorted().toList()) {
            final AddressRange last = joined.isEmpty() ? range : joined.getLast();
            if (!joined.isEmpty()
                    && last.first.isIpv4() == range.first.isIpv4()
                    && after(last.last).equals(range.first)) {
                joined.set(joined.size() - 1, new AddressRange(last.first, range.last));
            } else {
                joined.add(range);
            }
        }
        return joined;
    }

    private static IpAddress after(final IpAddress address) {
        final long low = address.low() + 1;
        return new IpAddress(low == 0 ? address.high() + 1 : address.high(), low);
    }

    private static IpAddress before(final IpAddress address) {
        return new IpAddress(
                address.low() == 0 ? address.high() - 1 : address.high(), address.low() - 1);
    }

    /** IPv4 before IPv6, then by address. */
    @Override
    public int compareTo(final AddressRange other) {
        if (first.isIpv4() != other.first.isIpv4()) {
            return first.isIpv4() ? -1 : 1;
        }
        final int order = first.compareTo(other.first);
        return order == 0 ? last.compareTo(other.last) : order;
    }

    /** A prefix where it is one, {@code first-last} otherwise. */
    @Override
    public String toString() {
        for (int length = 0; length <= first.familyBits(); length++) {
            final Cidr prefix = Cidr.host(first).widened(length);
            if (prefix.network().equals(first) && of(prefix).last.equals(last)) {
                return prefix.toString();
            }
        }
        return first + "-" + last;
    }
}
