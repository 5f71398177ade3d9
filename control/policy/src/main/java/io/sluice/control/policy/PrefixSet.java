package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * A set of prefixes that can say which of them contain an address.
 *
 * <p>A lookup cuts the address to each length that occurs in the set, at most 33 for IPv4 and 129
 * for IPv6, so its cost does not depend on the number of prefixes.
 */
final class PrefixSet {
    private final Set<Cidr> prefixes;
    private final List<Integer> ipv4Lengths;
    private final List<Integer> ipv6Lengths;

    PrefixSet(final Collection<Cidr> prefixes) {
        this.prefixes = new HashSet<>(prefixes);
        this.ipv4Lengths = lengths(true);
        this.ipv6Lengths = lengths(false);
    }

    private List<Integer> lengths(final boolean ipv4) {
        final TreeSet<Integer> lengths = new TreeSet<>();
        for (final Cidr prefix : prefixes) {
            if (prefix.isIpv4() == ipv4) {
                lengths.add(prefix.lengthBits());
            }
        }
        return List.copyOf(lengths);
    }

    /** The prefixes of the set that contain the whole of another, itself included; widest first. */
    List<Cidr> containing(final Cidr inner) {
        final List<Cidr> containing = new ArrayList<>();
        for (final int length : inner.isIpv4() ? ipv4Lengths : ipv6Lengths) {
            if (length > inner.lengthBits()) {
                break;
            }
            final Cidr candidate = inner.widened(length);
            if (prefixes.contains(candidate)) {
                containing.add(candidate);
            }
        }
        return containing;
    }
}
