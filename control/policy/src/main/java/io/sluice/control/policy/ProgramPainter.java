package io.sluice.control.policy;

import io.sluice.control.policy.VerdictProgram.Interval;
import io.sluice.control.policy.VerdictProgram.ProtocolProgram;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Builds a verdict program by painting: rules come strongest first, and each colours what no rule
 * before it has coloured. So the program says for every packet what the first matching rule says,
 * which is the meaning of an ordered list of rules, and needs no second idea of precedence.
 *
 * <p>Thread: that of the compiler; one painter per program.
 */
final class ProgramPainter {
    /** Part of the port space; not yet coloured if the entry is UNPAINTED. */
    private static final PolicyEntry UNPAINTED = PolicyEntry.allow(Author.DEFAULT);

    private final TreeMap<Integer, List<Interval>> protocols = new TreeMap<>();
    private PolicyEntry others = UNPAINTED;

    /** Colours every packet that is left. */
    void paintAll(final PolicyEntry entry) {
        for (final Integer protocol : List.copyOf(protocols.keySet())) {
            paint(protocol, 0, VerdictProgram.PORT_MAX, entry);
        }
        if (isUnpainted(others)) {
            others = entry;
        }
    }

    /** Colours what is left of a range of ports of one protocol. */
    void paint(final int protocol, final int from, final int to, final PolicyEntry entry) {
        if (!protocols.containsKey(protocol) && !isUnpainted(others)) {
            return;
        }
        final List<Interval> before =
                protocols.getOrDefault(
                        protocol, List.of(new Interval(0, VerdictProgram.PORT_MAX, UNPAINTED)));
        final List<Interval> after = new ArrayList<>(before.size() + 2);
        for (final Interval interval : before) {
            if (!isUnpainted(interval.entry()) || interval.to() < from || interval.from() > to) {
                after.add(interval);
                continue;
            }
            if (interval.from() < from) {
                after.add(new Interval(interval.from(), from - 1, UNPAINTED));
            }
            after.add(
                    new Interval(
                            Math.max(interval.from(), from), Math.min(interval.to(), to), entry));
            if (interval.to() > to) {
                after.add(new Interval(to + 1, interval.to(), UNPAINTED));
            }
        }
        protocols.put(protocol, after);
    }

    /** The program; what is still left gets the last colour. */
    VerdictProgram finish(final PolicyEntry last) {
        paintAll(last);
        final List<ProtocolProgram> programs = new ArrayList<>();
        for (final Map.Entry<Integer, List<Interval>> protocol : protocols.entrySet()) {
            final List<Interval> merged = merged(protocol.getValue());
            final boolean likeOthers = merged.size() == 1 && merged.get(0).entry().equals(others);
            if (!likeOthers) {
                programs.add(new ProtocolProgram(protocol.getKey(), merged));
            }
        }
        return new VerdictProgram(List.copyOf(programs), others);
    }

    private static List<Interval> merged(final List<Interval> intervals) {
        final List<Interval> merged = new ArrayList<>();
        for (final Interval interval : intervals) {
            final Interval last = merged.isEmpty() ? null : merged.get(merged.size() - 1);
            if (last != null && last.entry().equals(interval.entry())) {
                merged.set(
                        merged.size() - 1, new Interval(last.from(), interval.to(), last.entry()));
            } else {
                merged.add(interval);
            }
        }
        return List.copyOf(merged);
    }

    // Identity, not equality: a real entry may say the same as the marker does.
    @SuppressWarnings("ReferenceEquality")
    private static boolean isUnpainted(final PolicyEntry entry) {
        return entry == UNPAINTED;
    }
}
