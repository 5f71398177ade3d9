package io.sluice.control.policy;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Numbers of identities, the same for the same facts as long as the allocator lives.
 *
 * <p>The daemon keeps one allocator for its life and hands it to every compile, so that a number in
 * yesterday's flow still means the same peer today. Facts that have not occurred in the last {@link
 * #COMPILES_REMEMBERED} compiles are forgotten: pods come and go with labels of their own, and
 * without that the table would grow for ever. A forgotten number is given out again only after all
 * others of its range.
 *
 * <p>An {@link IdentityMemory} carries the numbers over restarts. Those recalled from it are taken,
 * whether or not their peers come back, until they are forgotten as all others are.
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

        static Optional<Range> of(final int number) {
            for (final Range range : values()) {
                if (number >= range.first && number < range.end) {
                    return Optional.of(range);
                }
            }
            return Optional.empty();
        }

        /** The next number, the first after the last. */
        private int after(final int number) {
            return number + 1 < end ? number + 1 : first;
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

    private final IdentityMemory memory;
    private final Map<Range, Numbers> ranges = new HashMap<>();
    // Numbers of an earlier process whose peers have not been seen yet, by the text of their facts.
    private final Map<String, Integer> recalled = new HashMap<>();
    private long compile;

    /** Numbers that end with the allocator. */
    public IdentityAllocator() {
        this(IdentityMemory.NONE);
    }

    /** Numbers that go on from where an earlier allocator with this memory ended. */
    public IdentityAllocator(final IdentityMemory memory) {
        this.memory = memory;
        memory.recall().forEach(this::recall);
    }

    private void recall(final String facts, final int number) {
        final Optional<Range> range = Range.of(number);
        if (range.isEmpty()) {
            memory.forget(number);
            return;
        }
        final Numbers numbers = numbers(range.get());
        recalled.put(facts, number);
        numbers.used.add(number);
        if (number >= numbers.next) {
            numbers.next = range.get().after(number);
        }
    }

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
                                    forget(numbers, allocation.number);
                                }
                                return old;
                            });
        }
        if (compile > COMPILES_REMEMBERED && !recalled.isEmpty()) {
            recalled.values()
                    .forEach(number -> forget(numbers(Range.of(number).orElseThrow()), number));
            recalled.clear();
        }
    }

    private void forget(final Numbers numbers, final int number) {
        numbers.used.remove(number);
        memory.forget(number);
    }

    private Numbers numbers(final Range range) {
        return ranges.computeIfAbsent(range, r -> new Numbers(r.first));
    }

    /**
     * The number of a peer.
     *
     * @param key what makes the peer what it is; equal keys have one number
     * @param text of the key, equal for equal keys only; asked for when the key is new
     * @throws IllegalStateException if the range is used up, which takes 16 million peers
     */
    int number(final Range range, final Object key, final Supplier<String> text) {
        final Numbers numbers = numbers(range);
        final Allocation known = numbers.allocations.get(key);
        final int number = known == null ? recallOrGive(range, numbers, text.get()) : known.number;
        numbers.allocations.put(key, new Allocation(number, compile));
        return number;
    }

    private int recallOrGive(final Range range, final Numbers numbers, final String text) {
        final Integer before = recalled.remove(text);
        if (before != null) {
            return before;
        }
        final int number = unused(range, numbers);
        memory.remember(text, number);
        return number;
    }

    private static int unused(final Range range, final Numbers numbers) {
        if (numbers.used.size() >= range.end - range.first) {
            throw new IllegalStateException("no identity number left for " + range);
        }
        while (numbers.used.contains(numbers.next)) {
            numbers.next = range.after(numbers.next);
        }
        final int number = numbers.next;
        numbers.used.add(number);
        numbers.next = range.after(number);
        return number;
    }
}
