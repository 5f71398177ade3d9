package io.sluice.l7proxy;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;

/** Counters of one proxy. Any thread: event loops add, everyone reads. */
public final class ProxyCounters {
    private final Map<ProxyCounter, LongAdder> counts = new EnumMap<>(ProxyCounter.class);
    private final AtomicInteger openConnections = new AtomicInteger();

    /** All at zero. */
    public ProxyCounters() {
        for (final ProxyCounter counter : ProxyCounter.values()) {
            counts.put(counter, new LongAdder());
        }
    }

    /** Adds one. */
    public void count(final ProxyCounter counter) {
        add(counter, 1);
    }

    /** Adds some. */
    public void add(final ProxyCounter counter, final long n) {
        adder(counter).add(n);
    }

    private LongAdder adder(final ProxyCounter counter) {
        final LongAdder adder = counts.get(counter);
        if (adder == null) {
            throw new IllegalStateException("no counter " + counter);
        }
        return adder;
    }

    /** How often since the start. */
    public long value(final ProxyCounter counter) {
        return adder(counter).sum();
    }

    /** Client connections that have a place now: until the server's side is closed, too. */
    public int openConnections() {
        return openConnections.get();
    }

    /** Takes a place for one more connection; false if {@code most} are open already. */
    boolean takePlace(final int most) {
        if (openConnections.incrementAndGet() > most) {
            openConnections.decrementAndGet();
            return false;
        }
        return true;
    }

    void givePlaceBack() {
        openConnections.decrementAndGet();
    }
}
