package io.sluice.control.policy;

import io.sluice.control.policy.PolicyEntry.Verdict;
import io.sluice.control.policy.Traffic.Box;
import io.sluice.control.policy.Traffic.Range;
import io.sluice.control.policy.VerdictProgram.Interval;
import io.sluice.control.policy.VerdictProgram.ProtocolProgram;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.UnaryOperator;

/**
 * Builds a verdict program by painting: rules come in the order they are asked, and each colours
 * what no rule before it has coloured. So the program says for every packet what the first matching
 * rule says, which is the meaning of an ordered list of rules, and needs no second idea of
 * precedence.
 *
 * <p>Every part of the space of (protocol, source port, destination port) is in one of five states:
 *
 * <pre>
 *   BLANK    no rule has decided yet; Log rules and HTTP rules that matched are remembered
 *   PASSED   a rule has passed it to the next tier: blank again when the tier ends
 *   SKIPPED  rules are not about it until they resume: then blank again
 *   MERGING  allowed by a policy of the additive group: more rules of the group may add to it
 *   DONE     decided, with its entry
 * </pre>
 *
 * <p>Thread: that of the compiler; one canvas per program.
 */
final class Canvas {
    private enum State {
        BLANK,
        PASSED,
        SKIPPED,
        MERGING,
        DONE
    }

    /** An L7 rule of an ordered policy: decides the requests that it matches, not the others. */
    private record Clause(L7Rules rules, Author by) {}

    /** Part of the space. The entry counts in MERGING and DONE only. */
    private record Cell(State state, PolicyEntry entry, List<Author> logs, List<Clause> clauses) {
        static final Cell BLANK =
                new Cell(State.BLANK, PolicyEntry.allow(Author.DEFAULT), List.of(), List.of());

        Cell decided(final PolicyEntry decision) {
            PolicyEntry result = decision;
            for (int i = clauses.size() - 1; i >= 0; i--) {
                result = PolicyEntry.redirect(clauses.get(i).rules, result, clauses.get(i).by);
            }
            return new Cell(State.DONE, result.withLogs(logs), List.of(), List.of());
        }

        Cell in(final State next) {
            return new Cell(next, entry, logs, clauses);
        }
    }

    /** Destination ports with the same slices. */
    private record Column(int from, int to, List<Slice> slices) {}

    /** Source ports with the same cell. */
    private record Slice(int from, int to, Cell cell) {}

    private final TreeMap<Integer, List<Column>> protocols = new TreeMap<>();
    private Cell others = Cell.BLANK;

    /** Decides what is left of some packets. */
    void decide(final List<Box> boxes, final PolicyEntry entry) {
        paint(boxes, cell -> cell.state == State.BLANK ? cell.decided(entry) : cell);
    }

    /** Leaves what is left of some packets to the next tier. */
    void pass(final List<Box> boxes) {
        paint(boxes, cell -> cell.state == State.BLANK ? cell.in(State.PASSED) : cell);
    }

    /** Leaves what is left of some packets alone until {@link #resume}. */
    void skip(final List<Box> boxes) {
        paint(boxes, cell -> cell.state == State.BLANK ? cell.in(State.SKIPPED) : cell);
    }

    void resume() {
        paintAll(cell -> cell.state == State.SKIPPED ? cell.in(State.BLANK) : cell);
    }

    /** Remembers that a Log rule saw what is left of some packets. */
    void log(final List<Box> boxes, final Author by) {
        paint(
                boxes,
                cell ->
                        cell.state == State.BLANK
                                ? new Cell(
                                        State.BLANK, cell.entry, with(cell.logs, by), cell.clauses)
                                : cell);
    }

    /** Decides the requests that match in what is left of some packets. */
    void decideRequests(final List<Box> boxes, final L7Rules rules, final Author by) {
        paint(
                boxes,
                cell ->
                        cell.state == State.BLANK
                                ? new Cell(
                                        State.BLANK,
                                        cell.entry,
                                        cell.logs,
                                        with(cell.clauses, new Clause(rules, by)))
                                : cell);
    }

    /**
     * Adds a rule of the additive group to what is left of some packets, or was allowed by another
     * rule of the group.
     */
    void allow(final List<Box> boxes, final Optional<L7Rules> l7, final Author by) {
        final PolicyEntry own =
                l7.map(rules -> PolicyEntry.redirect(rules, refusal(by), by))
                        .orElseGet(() -> PolicyEntry.allow(by));
        paint(
                boxes,
                cell ->
                        switch (cell.state) {
                            case BLANK -> new Cell(State.MERGING, own, cell.logs, cell.clauses);
                            case MERGING ->
                                    new Cell(
                                            State.MERGING,
                                            merge(cell.entry, own),
                                            cell.logs,
                                            cell.clauses);
                            case PASSED, SKIPPED, DONE -> cell;
                        });
    }

    private static PolicyEntry refusal(final Author by) {
        return PolicyEntry.deny(PolicyEntry.Reason.POLICY_DENIED, by);
    }

    /**
     * Two allows of the additive group. A plain one beside L7 rules lets every request pass, and
     * the proxy sees them all the same (Cilium: {@code mergePortProto}). Of two parsers the one
     * that Cilium gives precedence stays; the same peers never get here with two, that is refused
     * before.
     */
    private static PolicyEntry merge(final PolicyEntry one, final PolicyEntry other) {
        if (one.redirect().isEmpty() && other.redirect().isEmpty()) {
            return one;
        }
        if (one.redirect().isEmpty()) {
            return merge(other, one);
        }
        final L7Rules rules = one.redirect().get().rules();
        if (other.redirect().isEmpty()) {
            return PolicyEntry.redirect(
                    L7Rules.union(rules, L7Rules.ofEverything(rules.parser())),
                    one.redirect().get().otherwise(),
                    one.by());
        }
        final L7Rules added = other.redirect().get().rules();
        if (rules.parser() != added.parser()) {
            return rules.parser().compareTo(added.parser()) < 0 ? one : other;
        }
        return PolicyEntry.redirect(
                L7Rules.union(rules, added), one.redirect().get().otherwise(), one.by());
    }

    /** Closes the additive group: what its rules allow is decided. */
    void endGroup() {
        paintAll(cell -> cell.state == State.MERGING ? cell.decided(cell.entry) : cell);
    }

    /** Closes a tier: what is left gets its last word if it has one, what was passed goes on. */
    void endTier(final Optional<PolicyEntry> lastWord) {
        paintAll(
                cell ->
                        switch (cell.state) {
                            case BLANK -> lastWord.map(cell::decided).orElse(cell);
                            case PASSED -> cell.in(State.BLANK);
                            case SKIPPED, MERGING, DONE -> cell;
                        });
    }

    private static <T> List<T> with(final List<T> list, final T item) {
        final List<T> longer = new ArrayList<>(list);
        longer.add(item);
        return List.copyOf(longer);
    }

    private void paint(final List<Box> boxes, final UnaryOperator<Cell> colour) {
        for (final Box box : boxes) {
            if (box.protocol() != Traffic.EVERY_PROTOCOL) {
                paint(box.protocol(), box.source(), box.destination(), colour);
                continue;
            }
            for (final int excepted : box.notProtocols()) {
                protocols.computeIfAbsent(excepted, _ -> columns(others));
            }
            for (final Integer protocol : List.copyOf(protocols.keySet())) {
                if (!box.notProtocols().contains(protocol)) {
                    paint(protocol, Range.ALL, Range.ALL, colour);
                }
            }
            others = colour.apply(others);
        }
    }

    private void paintAll(final UnaryOperator<Cell> colour) {
        protocols.replaceAll((_, columns) -> painted(columns, Range.ALL, Range.ALL, colour));
        others = colour.apply(others);
    }

    private void paint(
            final int protocol,
            final Range source,
            final Range destination,
            final UnaryOperator<Cell> colour) {
        final List<Column> before = protocols.getOrDefault(protocol, List.of());
        protocols.put(
                protocol,
                painted(before.isEmpty() ? columns(others) : before, source, destination, colour));
    }

    private static List<Column> columns(final Cell cell) {
        return List.of(
                new Column(
                        0,
                        VerdictProgram.PORT_MAX,
                        List.of(new Slice(0, VerdictProgram.PORT_MAX, cell))));
    }

    private static List<Column> painted(
            final List<Column> columns,
            final Range source,
            final Range destination,
            final UnaryOperator<Cell> colour) {
        final List<Column> after = new ArrayList<>(columns.size() + 2);
        for (final Column column : columns) {
            if (column.to < destination.from() || column.from > destination.to()) {
                after.add(column);
                continue;
            }
            final int from = Math.max(column.from, destination.from());
            final int to = Math.min(column.to, destination.to());
            if (column.from < from) {
                after.add(new Column(column.from, from - 1, column.slices));
            }
            after.add(new Column(from, to, painted(column.slices, source, colour)));
            if (column.to > to) {
                after.add(new Column(to + 1, column.to, column.slices));
            }
        }
        return after;
    }

    private static List<Slice> painted(
            final List<Slice> slices, final Range source, final UnaryOperator<Cell> colour) {
        final List<Slice> after = new ArrayList<>(slices.size());
        for (final Slice slice : slices) {
            if (slice.to < source.from() || slice.from > source.to()) {
                after.add(slice);
                continue;
            }
            final int from = Math.max(slice.from, source.from());
            final int to = Math.min(slice.to, source.to());
            if (slice.from < from) {
                after.add(new Slice(slice.from, from - 1, slice.cell));
            }
            after.add(new Slice(from, to, colour.apply(slice.cell)));
            if (slice.to > to) {
                after.add(new Slice(to + 1, slice.to, slice.cell));
            }
        }
        return after;
    }

    /** The program; what is still left gets the last entry. */
    VerdictProgram finish(final PolicyEntry last) {
        endTier(Optional.of(last));
        final List<ProtocolProgram> programs = new ArrayList<>();
        for (final Map.Entry<Integer, List<Column>> protocol : protocols.entrySet()) {
            final List<Interval> intervals = intervals(protocol.getValue());
            final boolean likeOthers =
                    intervals.size() == 1 && intervals.getFirst().entry().equals(others.entry);
            if (!likeOthers) {
                programs.add(new ProtocolProgram(protocol.getKey(), intervals));
            }
        }
        return new VerdictProgram(List.copyOf(programs), others.entry);
    }

    private static List<Interval> intervals(final List<Column> columns) {
        final List<Column> merged = new ArrayList<>();
        for (final Column column : columns) {
            final List<Slice> slices = merged(column.slices);
            final Column last = merged.isEmpty() ? new Column(-1, -1, List.of()) : merged.getLast();
            if (last.slices.equals(slices)) {
                merged.set(merged.size() - 1, new Column(last.from, column.to, slices));
            } else {
                merged.add(new Column(column.from, column.to, slices));
            }
        }
        final List<Interval> intervals = new ArrayList<>();
        for (final Column column : merged) {
            for (final Slice slice : column.slices) {
                intervals.add(
                        new Interval(
                                column.from, column.to, slice.from, slice.to, slice.cell.entry));
            }
        }
        return List.copyOf(intervals);
    }

    private static List<Slice> merged(final List<Slice> slices) {
        final List<Slice> merged = new ArrayList<>();
        for (final Slice slice : slices) {
            if (!merged.isEmpty() && merged.getLast().cell.entry.equals(slice.cell.entry)) {
                merged.set(
                        merged.size() - 1, new Slice(merged.getLast().from, slice.to, slice.cell));
            } else {
                merged.add(slice);
            }
        }
        return merged;
    }

    /**
     * Two programs as one: the first holds, and says beside it where the second differs in what it
     * lets pass, or in whom it asks.
     */
    static VerdictProgram audited(final VerdictProgram enforced, final VerdictProgram audit) {
        if (enforced.equals(audit)) {
            return enforced;
        }
        final Canvas canvas = new Canvas();
        canvas.others = done(compared(enforced.otherProtocols(), audit.otherProtocols()));
        final TreeMap<Integer, Boolean> listed = new TreeMap<>();
        enforced.protocols().forEach(program -> listed.put(program.protocol(), true));
        audit.protocols().forEach(program -> listed.put(program.protocol(), true));
        for (final int protocol : listed.keySet()) {
            canvas.protocols.put(protocol, columns(done(enforced.otherProtocols())));
            for (final Interval interval : intervals(enforced, protocol)) {
                canvas.paint(
                        protocol,
                        new Range(interval.sourceFrom(), interval.sourceTo()),
                        new Range(interval.from(), interval.to()),
                        _ -> done(interval.entry()));
            }
            for (final Interval interval : intervals(audit, protocol)) {
                canvas.paint(
                        protocol,
                        new Range(interval.sourceFrom(), interval.sourceTo()),
                        new Range(interval.from(), interval.to()),
                        cell -> done(compared(cell.entry, interval.entry())));
            }
        }
        return canvas.finish(PolicyEntry.allow(Author.DEFAULT));
    }

    private static List<Interval> intervals(final VerdictProgram program, final int protocol) {
        for (final ProtocolProgram candidate : program.protocols()) {
            if (candidate.protocol() == protocol) {
                return candidate.intervals();
            }
        }
        return List.of(
                new Interval(
                        0,
                        VerdictProgram.PORT_MAX,
                        0,
                        VerdictProgram.PORT_MAX,
                        program.otherProtocols()));
    }

    private static Cell done(final PolicyEntry entry) {
        return new Cell(State.DONE, entry, List.of(), List.of());
    }

    /** An entry with what the audited policies would say beside it, where that differs. */
    static PolicyEntry compared(final PolicyEntry enforced, final PolicyEntry audit) {
        final boolean differs =
                enforced.verdict() != audit.verdict()
                        || (enforced.verdict() == Verdict.REDIRECT
                                && !enforced.redirect().equals(audit.redirect()));
        return differs ? enforced.withAudited(audit) : enforced;
    }
}
