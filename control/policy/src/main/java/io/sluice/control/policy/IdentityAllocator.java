package io.sluice.control.policy;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Numbers of identities, the same for the same facts as long as the allocator lives.
 *
 * <p>The daemon keeps one allocator for its life and hands it to every compile, so that a number in
 * yesterday's flow still means the same peer today. Facts that have not occurred in the last {@link
 * #COMPILES_REMEMBERED} compiles are forgotten: pods come and go with labels of their own, and
 * without that the table would grow for ever. A forgotten number is given out again only after all
 * others of its range.
 *
 * <p>Thread: that of the compiler.
 */
public final class IdentityAllocator {
    /** A rolling update recompiles a few times per pod; this outlasts one of a hundred pods. */
    static final int COMPILES_REMEMBERED = 1024;

    /** A range of numbers that one sort of peers shares. */
    enum Range {
        CLUSTER(Identity.CLUSTER_FIRST, Identity.CIDR_FIRST - 1),
        CIDR(Identity.CIDR_FIRST, Identity.NODE_FIRST - 1),
        NODE(Identity.NODE_FIRST, Identity.NODE_END);

        private final int first;
        private final int end;

        Range(final int first, final int end) {
            this.first = first;
            this.end = end;
        }
    }

    private record Allocation(int number, long lastCompile) {}

    private static final class Numbers {
        private final Map<Object, Allocation> allocations = new HashMap<>();
        private final Set<Integer> used = new HashSet<>();
        private int next;

        Numbers(final int next) {
            this.next = next;
        }
    }

    private final Map<Range, Numbers> ranges = new HashMap<>();
    private long compile;

    /** Starts a compile; forgets what earlier ones no longer used. */
    void beginCompile() {
        compile++;
        for (final Numbers numbers : ranges.values()) {
            numbers.allocations
                    .values()
                    .removeIf(
                            allocation -> {
                                final boolean old =
                                        compile - allocation.lastCompile > COMPILES_REMEMBERED;
                                if (old) {
                                    numbers.used.remove(allocation.number);
                                }
                                return old;
                            });
        }
    }

    /**
     * The number of a peer.
     *
     * @param key what makes the peer what it is; equal keys have one number
     * @throws IllegalStateException if the range is used up, which takes 16 million peers
     */
    int number(final Range range, final Object key) {
        final Numbers numbers = ranges.computeIfAbsent(range, r -> new Numbers(r.first));
        final Allocation known = numbers.allocations.get(key);
        final int number = known == null ? unused(range, numbers) : known.number;
        numbers.allocations.put(key, new Allocation(number, compile));
        return number;
    }

    private static int unused(final Range range, final Numbers numbers) {
        if (numbers.used.size() >= range.end - range.first) {
            throw new IllegalStateException("no identity number left for " + range);
        }
        while (numbers.used.contains(numbers.next)) {
            numbers.next = numbers.next + 1 < range.end ? numbers.next + 1 : range.first;
        }
        final int number = numbers.next;
        numbers.used.add(number);
        numbers.next = number + 1 < range.end ? number + 1 : range.first;
        return number;
    }
}
