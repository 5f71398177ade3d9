package io.sluice.l7proxy.kafka;

import java.util.concurrent.atomic.AtomicLong;

/** Bytes that all connections together hold of messages that are not complete. Thread: any. */
final class HeldBytes {
    private final long most;
    private final AtomicLong held = new AtomicLong();

    HeldBytes(final long most) {
        this.most = most;
    }

    /** Counts a change, also one beyond what all may hold. */
    void change(final long by) {
        held.addAndGet(by);
    }

    /** Whether it is more than all may hold. */
    boolean isOver() {
        return held.get() > most;
    }

    long now() {
        return held.get();
    }
}
