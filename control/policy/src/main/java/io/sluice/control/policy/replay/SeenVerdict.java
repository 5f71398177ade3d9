package io.sluice.control.policy.replay;

/** What became of a flow, by Hubble's names. */
public enum SeenVerdict {
    FORWARDED,
    /** A proxy read it; as a connection it passed. */
    REDIRECTED,
    /** It passed, though audited policies deny it. */
    AUDIT,
    DROPPED;

    /** Whether it passed. */
    public boolean isAllowed() {
        return this != DROPPED;
    }
}
