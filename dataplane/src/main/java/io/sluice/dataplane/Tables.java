package io.sluice.dataplane;

import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import java.util.List;

/**
 * Everything the lane judges by: one consistent snapshot of endpoints, ipcache and policy.
 *
 * <p>Control builds a new one for every change and publishes it whole; a batch is judged by one
 * snapshot. Immutable; any thread.
 */
public final class Tables {
    /** Judges nothing and forwards nothing: what a lane starts with. */
    public static final Tables EMPTY = new Tables(0, List.of(), new Ipcache.Builder().build());

    private final int policyRevision;
    private final Endpoint[] endpoints;
    private final Ipcache ipcache;

    /**
     * @param policyRevision number of this snapshot, counting up from 1
     * @param endpoints by port index; {@link Endpoint#NONE} where a port has no endpoint
     * @param ipcache knows every endpoint's address and every prefix that policy names
     */
    public Tables(final int policyRevision, final List<Endpoint> endpoints, final Ipcache ipcache) {
        this.policyRevision = policyRevision;
        this.endpoints = endpoints.toArray(new Endpoint[0]);
        this.ipcache = ipcache;
    }

    /** Number of this snapshot. */
    public int policyRevision() {
        return policyRevision;
    }

    /** The endpoint behind a port; {@link Endpoint#NONE} for any index without one. */
    public Endpoint endpoint(final int port) {
        return port >= 0 && port < endpoints.length ? endpoints[port] : Endpoint.NONE;
    }

    /** Prefix to identity and port. */
    public Ipcache ipcache() {
        return ipcache;
    }
}
