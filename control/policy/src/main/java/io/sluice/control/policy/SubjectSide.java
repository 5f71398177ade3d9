package io.sluice.control.policy;

import io.sluice.control.policy.RuleChain.Difference;
import io.sluice.control.policy.RuleChain.IndexedRule;
import io.sluice.control.policy.RuleChain.Part;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * One direction of endpoints that are alike, while the compiler works on it.
 *
 * <p>Identity is what counts. Thread: that of the compiler.
 */
final class SubjectSide {
    /**
     * What came out of it. Immutable.
     *
     * @param statements that select the endpoint, in order; those that are not enforced included
     * @param chain what is asked, in order
     * @param map what it compiles to
     * @param pending the same if the staged policies were enforced, where any concern the endpoint
     * @param conflicts rules that cannot both be carried out
     */
    record Result(
            List<PolicyStatement> statements,
            RuleChain chain,
            PolicyMap map,
            Optional<Pending> pending,
            List<Problem> conflicts) {}

    /** What would hold if the staged policies were enforced. */
    record Pending(RuleChain chain, PolicyMap map) {}

    private final Subjects.Subject subject;
    private final PolicyDirection direction;
    private Optional<Result> result = Optional.empty();
    private List<Part> selecting = List.of();
    private final Set<PeerSets.PeerSet> used = new HashSet<>();

    SubjectSide(final Subjects.Subject subject, final PolicyDirection direction) {
        this.subject = subject;
        this.direction = direction;
    }

    Subjects.Subject subject() {
        return subject;
    }

    PolicyDirection direction() {
        return direction;
    }

    Optional<Result> result() {
        return result;
    }

    /** What {@link #result} was made from: all that select the endpoint, in order. */
    List<Part> selecting() {
        return selecting;
    }

    void set(final List<Part> from, final Result next) {
        selecting = from;
        result = Optional.of(next);
        release();
        use(next.chain().rules());
        next.pending().ifPresent(pending -> use(pending.chain().rules()));
    }

    /** As {@link #set}, where the chain differs from the one before in these rules only. */
    void set(final List<Part> from, final Result next, final Difference difference) {
        selecting = from;
        result = Optional.of(next);
        use(difference.added());
        for (final IndexedRule gone : difference.gone()) {
            final PeerSets.PeerSet peers = gone.peers();
            if (next.chain().rules().stream().noneMatch(rule -> isSame(rule.peers(), peers))) {
                peers.users().remove(this);
                used.remove(peers);
            }
        }
    }

    // Identity is what counts.
    @SuppressWarnings("ReferenceEquality")
    private static boolean isSame(final PeerSets.PeerSet one, final PeerSets.PeerSet other) {
        return one == other;
    }

    /** Replaces the maps, the chain being the same. */
    void patch(final Result next) {
        result = Optional.of(next);
    }

    private void use(final List<IndexedRule> rules) {
        for (final IndexedRule rule : rules) {
            if (rule.peers().users().add(this)) {
                used.add(rule.peers());
            }
        }
    }

    /** Lets go of the conditions it uses. */
    void release() {
        used.forEach(set -> set.users().remove(this));
        used.clear();
    }

    /** Whether a rule of it asks for the named ports of peers. */
    boolean asksForNames() {
        return result.map(
                        made ->
                                made.chain().asksForNames()
                                        || made.pending()
                                                .map(pending -> pending.chain().asksForNames())
                                                .orElse(false))
                .orElse(false);
    }
}
