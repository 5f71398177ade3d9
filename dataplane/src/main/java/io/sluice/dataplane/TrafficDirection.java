package io.sluice.dataplane;

/** Policy direction, seen from the endpoint that a verdict is about. */
public enum TrafficDirection {
    /** The endpoint sends. */
    EGRESS("egress"),
    /** The endpoint is sent to. */
    INGRESS("ingress");

    private final String label;

    TrafficDirection(final String label) {
        this.label = label;
    }

    /** Name in counters and metrics. */
    public String label() {
        return label;
    }
}
