package io.sluice.l7proxy;

/** Where reports go. */
@FunctionalInterface
public interface L7Sink {
    /** Takes a report. Called on event loops: must not block, and must not throw. */
    void report(L7Event event);
}
