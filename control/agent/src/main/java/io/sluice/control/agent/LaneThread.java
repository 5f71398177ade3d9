package io.sluice.control.agent;

import io.sluice.dataplane.ForwardingLoop;
import io.sluice.dataplane.Lane;
import io.sluice.dataplane.LaneCounters;

/**
 * A lane and what it turns.
 *
 * <p>Thread: any.
 */
record LaneThread(Lane lane, ForwardingLoop loop, LaneCounters counters) {}
