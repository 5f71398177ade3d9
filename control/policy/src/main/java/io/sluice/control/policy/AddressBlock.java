package io.sluice.control.policy;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * The addresses whose longest prefix, of a set of prefixes, is one and the same: the prefix without
 * the more specific ones. The blocks of the prefixes of two ipcaches are what neither of them tells
 * apart.
 *
 * @param ranges its addresses, sorted; those of endpoints inside the prefix are not cut out, so
 *     that a network with a thousand endpoints still reads as one
 * @param member one of its addresses that is no endpoint's
 */
record AddressBlock(List<AddressRange> ranges, IpAddress member) {
    /** A prefix whose more specific ones are being collected. */
    private record Open(Cidr prefix, List<AddressRange> inner, List<AddressRange> endpoints) {}

    /**
     * The blocks of prefixes.
     *
     * @param prefixes all prefixes, those of endpoints may be among them
     * @param endpoints host prefixes of endpoints, which are in no block; a block that would hold
     *     nothing else is left out
     */
    static List<AddressBlock> of(final Collection<Cidr> prefixes, final Set<Cidr> endpoints) {
        final TreeSet<Cidr> all = new TreeSet<>(prefixes);
        all.addAll(endpoints);
        final List<AddressBlock> blocks = new ArrayList<>();
        // In this order a prefix comes directly before those it contains.
        final Deque<Open> around = new ArrayDeque<>();
        for (final Cidr prefix : all) {
            while (!around.isEmpty() && !around.getLast().prefix.contains(prefix)) {
                close(around.removeLast(), blocks);
            }
            final boolean endpoint = endpoints.contains(prefix);
            if (!around.isEmpty()) {
                (endpoint ? around.getLast().endpoints : around.getLast().inner)
                        .add(AddressRange.of(prefix));
            }
            if (!endpoint) {
                around.addLast(new Open(prefix, new ArrayList<>(), new ArrayList<>()));
            }
        }
        while (!around.isEmpty()) {
            close(around.removeLast(), blocks);
        }
        return blocks;
    }

    private static void close(final Open open, final List<AddressBlock> blocks) {
        final List<AddressRange> ranges =
                AddressRange.subtract(List.of(AddressRange.of(open.prefix)), open.inner);
        final List<AddressRange> free = AddressRange.subtract(ranges, open.endpoints);
        if (!free.isEmpty()) {
            blocks.add(new AddressBlock(ranges, free.getFirst().first()));
        }
    }
}
