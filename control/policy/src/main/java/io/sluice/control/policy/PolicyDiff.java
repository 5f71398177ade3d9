package io.sluice.control.policy;

import io.sluice.control.policy.DiffWorld.View;
import java.util.ArrayList;
import java.util.List;

/**
 * Which connections appear, vanish or change from one set of objects to another.
 *
 * <p>Verdict programs are compared, for all ports at once, not samples of traffic: the list is
 * empty if and only if no packet gets another answer, neither now nor if the staged policies were
 * enforced.
 *
 * @param changes of what is enforced, by source and destination, pods first; then those that there
 *     would be with the staged policies, where these are others
 */
public record PolicyDiff(List<Change> changes) {
    /** Whether a connection is different that another rule decides in the same way. */
    public enum Authors {
        /** Only what passes counts. */
        IGNORED,
        /** Who decides counts as well: tier, policy and rule, wherever they are written. */
        COMPARED
    }

    /** What becomes of connections. */
    public enum Type {
        /** None passed. */
        ADDED,
        /** None passes any more. */
        REMOVED,
        /** Others pass than before, or others decide. */
        CHANGED
    }

    /**
     * Ends that have a change in common.
     *
     * @param text all of them in one phrase
     * @param members one text each: {@code namespace/name} of a pod, a prefix or range of
     *     addresses, the name of a node
     */
    public record Ends(String text, List<String> members) {}

    /**
     * One change. It is true of every pair of a source and a destination, apart from a pod and
     * itself, which no policy governs.
     *
     * @param before what passed, as {@code TCP 80,443,UDP 53}, {@code No Connections}
     * @param after what passes
     * @param notes what there is to say besides: the family it is true for, who decides
     */
    public record Change(
            Type type,
            Ends sources,
            Ends destinations,
            String before,
            String after,
            List<String> notes) {}

    public PolicyDiff {
        changes = List.copyOf(changes);
    }

    /**
     * Compares two worlds, each with the policies compiled from it.
     *
     * @param authors whether it matters who decides
     */
    public static PolicyDiff of(
            final World before,
            final PolicySet policiesBefore,
            final World after,
            final PolicySet policiesAfter,
            final Authors authors) {
        final DiffTraffic traffic = new DiffTraffic(authors);
        final List<Change> changes = new ArrayList<>();
        for (final View view : View.values()) {
            if (view == View.ENFORCED || hasStaged(before) || hasStaged(after)) {
                changes.addAll(
                        new WorldComparison(
                                        new DiffWorld(before, policiesBefore, traffic, view),
                                        new DiffWorld(after, policiesAfter, traffic, view),
                                        traffic,
                                        view)
                                .changes());
            }
        }
        return new PolicyDiff(changes);
    }

    private static boolean hasStaged(final World world) {
        return world.all(KubeObject.Policy.class).stream()
                .anyMatch(policy -> PolicyStatement.stagedTargetOf(policy).isPresent());
    }

    public boolean isEmpty() {
        return changes.isEmpty();
    }
}
