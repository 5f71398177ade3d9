package io.sluice.control.agent;

import java.util.function.Predicate;

/**
 * What every flow that a filter takes has at one of its ends. A block of stored flows names each
 * side once, so this is asked once for each side and not for each flow.
 *
 * @param end which end
 * @param matches of a side whose port is 0: the port is not asked about
 */
public record SideCondition(End end, Predicate<FlowPeer> matches) {
    /** Ends of a flow. */
    public enum End {
        SOURCE,
        DESTINATION,
        /** One of the two at least. */
        EITHER
    }
}
