package io.sluice.control.agent.api;

import io.sluice.control.agent.Flow;

/**
 * Where a delivered packet was seen, with Hubble's names and numbers (flow.proto
 * TraceObservationPoint). Only points that a packet of this switch can reach.
 */
enum TracePoint {
    TO_HOST("to-host", 2, 2),
    TO_ENDPOINT("to-endpoint", 101, 0),
    TO_NETWORK("to-network", 11, 11);

    private static final int HOST_IDENTITY = 1;

    private final String word;
    private final int number;
    private final int subType;

    TracePoint(final String word, final int number, final int subType) {
        this.word = word;
        this.number = number;
        this.subType = subType;
    }

    static TracePoint of(final Flow flow) {
        if (flow.destination().endpointId() != 0) {
            return TO_ENDPOINT;
        }
        return flow.destination().identity() == HOST_IDENTITY ? TO_HOST : TO_NETWORK;
    }

    static TracePoint named(final String word) {
        for (final TracePoint point : values()) {
            if (point.word.equals(word)) {
                return point;
            }
        }
        throw FlowFilter.wrong("type", "trace:" + word, "trace:to-endpoint, to-host or to-network");
    }

    /** Word of hubble observe: {@code to-endpoint}. */
    String word() {
        return word;
    }

    /** Number of the enum of flow.proto. */
    int number() {
        return number;
    }

    /** {@code event_type.sub_type}: the monitor's own number of the point. */
    int subType() {
        return subType;
    }
}
