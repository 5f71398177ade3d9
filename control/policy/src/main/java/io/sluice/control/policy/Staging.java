package io.sluice.control.policy;

/**
 * Whether a policy is enforced, or only computed beside what is ({@code spec.stagedAction} of the
 * staged kinds of projectcalico.org/v3).
 */
public enum Staging {
    /** Enforced. */
    ENFORCED,
    /** Would be there, in place of the enforced policy of its name. */
    SET,
    /** The enforced policy of its name would be gone. */
    DELETE,
    /** Written by a recommender that still learns; as {@link #SET}. */
    LEARN,
    /** Has no effect, not even on what would be. */
    IGNORE
}
