package io.sluice.dataplane;

import io.sluice.conntrack.FlowCopy;
import io.sluice.conntrack.FlowEnds;
import io.sluice.conntrack.FlowEntry;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.dataplane.table.Endpoint;

/**
 * Why a flow that was tracked is no more, with a stable number. A flow ends when the conntrack
 * table forgets it: a closed TCP connection some seconds after its last packet, because repetitions
 * may still come.
 *
 * <p>Metrics, JSON and gRPC use number and name; {@link #label} is the word on the command line.
 */
public enum FlowEnd {
    /** TCP: both sides have sent FIN. */
    CLOSED(1, "closed"),

    /** TCP: one side has sent RST. */
    RESET(2, "reset"),

    /** No packet came within the time-out of its state. */
    TIMED_OUT(3, "timed-out"),

    /** A policy change forbade it: what came since was dropped. */
    CUT(4, "cut"),

    /**
     * It made way for a new flow in a nearly full table: nobody had answered it, or its handshake
     * was not complete.
     */
    EVICTED(5, "evicted"),

    /**
     * One of its endpoints was removed. Where its other side's packets were judged after that, it
     * is {@link #CUT} instead if policy forbids the address that is nobody's any more.
     */
    ENDPOINT_REMOVED(6, "endpoint-removed");

    private final int code;
    private final String label;

    FlowEnd(final int code, final String label) {
        this.code = code;
        this.label = label;
    }

    /** Stable number, from 1. */
    public int code() {
        return code;
    }

    /** Name in counters and filters. */
    public String label() {
        return label;
    }

    /** Which end it was that a flow came to, by the tables of now. */
    static FlowEnd of(final FlowCopy flow, final FlowEnds.Exit exit, final Tables tables) {
        if (flow.verdict == FlowVerdict.DENY) {
            return flow.dropReason == DropReason.EP_NOT_READY.code() ? ENDPOINT_REMOVED : CUT;
        }
        return switch (flow.state) {
            case CLOSING -> CLOSED;
            case CLOSED -> RESET;
            case SYN_SENT,
                    SYN_RECEIVED,
                    ESTABLISHED,
                    PICKED_UP,
                    FIN_WAIT,
                    CLOSE_WAIT,
                    UNREPLIED,
                    REPLIED,
                    STREAM -> {
                if (exit == FlowEnds.Exit.EVICTED) {
                    yield EVICTED;
                }
                yield isGone(flow.initiatorPort, tables) || isGone(flow.responderPort, tables)
                        ? ENDPOINT_REMOVED
                        : TIMED_OUT;
            }
        };
    }

    /** Before the first publication nobody knows. */
    private static boolean isGone(final int port, final Tables tables) {
        return port != FlowEntry.NO_PORT
                && tables.policyRevision() != Tables.EMPTY.policyRevision()
                && tables.endpoint(port).kind() == Endpoint.Kind.NONE;
    }
}
