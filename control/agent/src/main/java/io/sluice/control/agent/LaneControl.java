package io.sluice.control.agent;

import io.sluice.dataplane.Tables;
import io.sluice.dataplane.TraceRing;
import io.sluice.dataplane.port.Port;
import java.util.Map;
import java.util.Optional;

/**
 * The lane, as control commands it. Each call returns once the lane has carried it out.
 *
 * <p>{@link LaneMailbox} does so across threads; a test turns the lane itself.
 *
 * <p>Thread: control.
 */
interface LaneControl {
    /** Judges every packet from the next batch on by these tables. */
    void publish(Tables tables);

    /** Gives the lane ports, by index, all in one turn. */
    void open(Map<Integer, Port> ports);

    /** Takes all ports and the conntrack table from the lane, until it is given a port again. */
    void suspend();

    /**
     * Takes down what packets meet, in the place of what was traced before; empty to end it.
     * Thread: any.
     */
    void trace(Optional<TraceRing> ring);

    /** Takes a port from the lane, which never touches it again; one it has let go of is none. */
    void close(int index);
}
