package io.sluice.control.agent;

import io.sluice.dataplane.Tables;
import io.sluice.dataplane.TraceRing;
import io.sluice.dataplane.port.Port;
import java.util.List;
import java.util.Map;

/**
 * The lanes, as control commands them. Each call returns once all lanes have carried it out, so
 * what a call takes from them is nobody's any more.
 *
 * <p>{@link LaneMailbox} does so across threads; a test turns the lane itself.
 *
 * <p>Thread: control.
 */
interface LaneControl {
    /** Judges every packet from the next batch on by these tables. */
    void publish(Tables tables);

    /** Gives each lane its part of the ports, by index, all in one turn of it. */
    void open(Map<Integer, Port> ports);

    /**
     * Takes all ports and the conntrack table from the lanes, until they are given a port again.
     */
    void suspend();

    /** How many lanes there are. Thread: any. */
    int count();

    /**
     * Takes down what packets meet, in the place of what was traced before. Thread: any.
     *
     * @param rings one for each lane, or none to end it
     */
    void trace(List<TraceRing> rings);

    /** Takes a port from the lanes, which never touch it again; one they have let go of is none. */
    void close(int index);

    /** Takes a port, of which one lane has let go by itself, from the others. */
    void closeElsewhere(int index);
}
