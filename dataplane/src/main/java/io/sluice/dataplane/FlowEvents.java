package io.sluice.dataplane;

import io.sluice.conntrack.FlowCopy;

/**
 * Where the lane reports what it decided: the verdict of every new flow, every drop, and the end of
 * every flow.
 *
 * <p>Thread: called on the lane; must not block, lock or allocate. A receiver that cannot keep up
 * loses events, and counts them; it never slows the lane.
 */
public interface FlowEvents {
    /** Nobody is told. */
    FlowEvents NONE =
            new FlowEvents() {
                @Override
                public void opened(final Packet packet, final long nowNs) {}

                @Override
                public void dropped(
                        final Packet packet, final DropReason reason, final long nowNs) {}

                @Override
                public void ended(final FlowCopy flow, final FlowEnd end, final long nowNs) {}
            };

    /**
     * A flow was opened, or opened again after the policy let it pass once more, and its packet has
     * left; so has an ICMP message that stands alone, and is a flow of its own here.
     *
     * @param packet the packet that opened it; valid only during the call
     * @param nowNs the lane's clock
     */
    void opened(Packet packet, long nowNs);

    /**
     * A packet was dropped.
     *
     * @param packet as far as it was understood (see {@link Packet#knownUpTo}); valid only during
     *     the call
     */
    void dropped(Packet packet, DropReason reason, long nowNs);

    /**
     * A tracked flow is no more. Also of flows that {@link #opened} did not tell of: those of a
     * daemon before, and those whose opening packet found its port shut after all.
     *
     * @param flow with all that passed of it; valid only during the call
     * @param nowNs the lane's clock
     */
    void ended(FlowCopy flow, FlowEnd end, long nowNs);
}
