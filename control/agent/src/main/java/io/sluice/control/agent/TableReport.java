package io.sluice.control.agent;

/**
 * How full a table of the data plane is.
 *
 * @param name as Cilium calls the map that does the same, where it has one
 * @param entries what it holds now: flows, prefixes; of policy maps, how many there are
 * @param capacity entries at most; 0 where memory is the only limit
 * @param bytes native memory it takes
 */
public record TableReport(String name, long entries, long capacity, long bytes) {
    /** Share of the capacity in use, 0 to 1; 0 for a table without one. */
    public double pressure() {
        return capacity == 0 ? 0 : (double) entries / capacity;
    }
}
