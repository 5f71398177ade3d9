package io.sluice.dnsproxy;

/** The two clocks that names need. Any thread. */
public interface DnsClock {
    /** For time-outs: ms from any start, never set back. */
    long monotonicMs();

    /** For what outlives the process: ms since 1970. */
    long epochMs();
}
