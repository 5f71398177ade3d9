package io.sluice.control.agent;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.FlowSnapshot;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.World;
import io.sluice.dnsproxy.cache.FlowUse;
import io.sluice.dnsproxy.wire.Address;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Which addresses tracked flows use, for names whose time is over.
 *
 * <p>The conntrack table is found by whole tuples, so who uses an address is found by a walk over
 * all flows, some 50 ns each. The walk is done by {@link #look} on any thread, before addresses are
 * let go of; its result holds for the pass that follows ({@link #take}, {@link #drop}). Outside of
 * a pass the answer is "perhaps", which keeps an address until the next: a flow that opened a
 * moment ago must not be cut for want of a look.
 *
 * <p>Thread: {@link #look} any; the rest the DNS agent's.
 */
final class FlowAddresses implements FlowUse {
    /** Two ends of flows, in no order: who is the endpoint is for the question to say. */
    private record Ends(long aHigh, long aLow, long bHigh, long bLow) {}

    private final Conntrack conntrack;
    private final LongSupplier clockNs;
    private final Supplier<World> world;
    private Set<Ends> used = Set.of();
    private boolean isKnown;

    FlowAddresses(
            final Conntrack conntrack, final LongSupplier clockNs, final Supplier<World> world) {
        this.conntrack = conntrack;
        this.clockNs = clockNs;
        this.world = world;
    }

    /** What a look found. */
    static final class Look {
        private final Set<Ends> used = new HashSet<>();

        private void add(final FlowSnapshot flow) {
            if (flow.verdict() == FlowVerdict.DENY) {
                // Knocking at a closed door does not keep it open.
                return;
            }
            used.add(
                    new Ends(
                            flow.initiatorHigh(),
                            flow.initiatorLow(),
                            flow.responderHigh(),
                            flow.responderLow()));
        }
    }

    /** Walks over all flows. Thread: any. */
    Look look() {
        final Look look = new Look();
        conntrack.forEach(clockNs.getAsLong(), look::add);
        return look;
    }

    /** Answers from a look, until {@link #drop}. */
    void take(final Look look) {
        used = look.used;
        isKnown = true;
    }

    /** The look is of the past. */
    void drop() {
        used = Set.of();
        isKnown = false;
    }

    @Override
    public boolean isUsed(final String endpoint, final Address address) {
        if (!isKnown) {
            return true;
        }
        for (final IpAddress own :
                world.get()
                        .lookup(DnsPolicy.pod(endpoint))
                        .map(Pod.class::cast)
                        .map(Pod::addresses)
                        .orElse(List.of())) {
            if (used.contains(new Ends(own.high(), own.low(), address.high(), address.low()))
                    || used.contains(
                            new Ends(address.high(), address.low(), own.high(), own.low()))) {
                return true;
            }
        }
        return false;
    }
}
