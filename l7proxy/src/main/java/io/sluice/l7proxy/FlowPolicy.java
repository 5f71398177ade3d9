package io.sluice.l7proxy;

/** Rules for one flow. */
@FunctionalInterface
public interface FlowPolicy {
    /**
     * The rules of now. Asked for each request, and by tunnels for each piece of their traffic:
     * must not block, and should be one volatile read. Any thread.
     */
    FlowRules now();
}
