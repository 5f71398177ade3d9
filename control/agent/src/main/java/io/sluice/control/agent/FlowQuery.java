package io.sluice.control.agent;

import java.time.Instant;
import java.util.List;
import java.util.function.Predicate;

/**
 * Which of the flows that are kept are wanted, oldest first.
 *
 * @param filter what a flow must be
 * @param clauses keys of {@link FlowKeys}: a flow that the filter takes has one of each clause
 * @param sides conditions that every flow meets which the filter takes
 * @param since least time
 * @param until greatest time
 * @param end from which end they are counted
 * @param count flows at most
 */
public record FlowQuery(
        Predicate<Flow> filter,
        List<long[]> clauses,
        List<SideCondition> sides,
        Instant since,
        Instant until,
        End end,
        int count) {
    /** Nothing is known of the sides. */
    public FlowQuery(
            final Predicate<Flow> filter,
            final List<long[]> clauses,
            final Instant since,
            final Instant until,
            final End end,
            final int count) {
        this(filter, clauses, List.of(), since, until, end, count);
    }

    /** From which end flows are counted. */
    public enum End {
        /** The oldest of them. */
        FIRST,
        /** The latest of them. */
        LAST
    }

    /** Everything that is kept. */
    public static final FlowQuery ALL =
            new FlowQuery(
                    flow -> true,
                    List.of(),
                    Instant.MIN,
                    Instant.MAX,
                    End.FIRST,
                    Integer.MAX_VALUE);

    /** Whether a flow is wanted, count aside. */
    public boolean matches(final Flow flow) {
        return !flow.time().isBefore(since) && !flow.time().isAfter(until) && filter.test(flow);
    }
}
