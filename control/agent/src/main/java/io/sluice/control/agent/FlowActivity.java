package io.sluice.control.agent;

import java.util.List;

/**
 * How much there is to observe.
 *
 * @param held flows in memory
 * @param capacity flows that the memory holds at most
 * @param firstSequence number of the first flow of this daemon
 * @param seen flows since the daemon started
 * @param perSecond flows a second over the last minute
 * @param namespaces that had flows within the last hour, by name
 */
public record FlowActivity(
        int held,
        int capacity,
        long firstSequence,
        long seen,
        double perSecond,
        List<String> namespaces) {
    public FlowActivity {
        namespaces = List.copyOf(namespaces);
    }
}
