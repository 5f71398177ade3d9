package io.sluice.conntrack;

/**
 * Who is told of every flow that leaves the table but by {@link Conntrack#close(FlowEntry)}: so
 * flows opened = flows told of + flows closed + flows there, and what was counted for flows told of
 * and flows there is all that {@link Conntrack#advance} was told.
 *
 * <p>Thread: the lane's whose view forgets the flow; called between two changes of the table, so it
 * may read the table but must not change it, and neither block nor allocate.
 */
@FunctionalInterface
public interface FlowEnds {
    /** How a flow left the table; what had become of it before is its state and verdict. */
    enum Exit {
        /** Its deadline had passed. */
        EXPIRED,
        /** A packet opened another flow of the same tuple: this one was over, or cut. */
        REPLACED,
        /** It was expendable, and the table nearly full. */
        EVICTED
    }

    /**
     * A flow has left the table.
     *
     * @param flow as it was last; valid only during the call
     * @param nowNs the lane's clock
     */
    void ended(FlowCopy flow, Exit exit, long nowNs);
}
