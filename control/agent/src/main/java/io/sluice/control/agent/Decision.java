package io.sluice.control.agent;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.PolicyEntry;
import java.util.Optional;

/**
 * Who decided what a data-plane policy entry says: what its rule number stands for.
 *
 * @param by author of the entry
 * @param audited who would have denied what passes, if the audited policies were enforced; empty
 *     where they would let it pass as well
 */
record Decision(Author by, Optional<Author> audited) {
    static final Decision DEFAULT = new Decision(Author.DEFAULT, Optional.empty());

    static Decision of(final PolicyEntry entry) {
        return new Decision(
                entry.by(),
                entry.isAudit() ? entry.audited().map(PolicyEntry::by) : Optional.empty());
    }
}
