package io.sluice.control.agent;

/** Whether a change is made, or only checked and answered as if it were. */
public enum ChangeMode {
    /** The change is made. */
    CHANGE,
    /** Everything is checked, nothing is changed ({@code --dry-run=server}). */
    DRY_RUN
}
