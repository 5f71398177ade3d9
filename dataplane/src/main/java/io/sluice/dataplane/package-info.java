/**
 * The packet path. Read {@link io.sluice.dataplane.Datapath} first: it walks a packet from the port
 * it came from to its end, and every other class here is a step that it calls, or the loop around
 * it.
 */
@NullMarked
package io.sluice.dataplane;

import org.jspecify.annotations.NullMarked;
