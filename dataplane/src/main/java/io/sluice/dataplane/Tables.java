package io.sluice.dataplane;

import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import java.util.List;

/**
 * Everything the lanes judge by: endpoints with their policy maps, and the ipcache.
 *
 * <p>Endpoints and maps are a snapshot: control publishes a new one whole, and a batch is judged by
 * one. Of several lanes one may have a snapshot for some microseconds before another; each step of
 * a change waits until all have it, and what it replaces is freed after that. The ipcache is shared
 * by all snapshots and changed in place, so two packets of one batch may see it before and after a
 * change. What keeps the two consistent is the order of a change:
 *
 * <ol>
 *   <li>tables under the old revision, whose maps know the identities that the ipcache answers now
 *       and those it will answer;
 *   <li>the ipcache;
 *   <li>the same maps under the new revision.
 * </ol>
 *
 * <p>So a map never misses an identity that the ipcache answers (if it did, the packet would be
 * dropped), open flows go on by the verdict of the old revision until the whole change is there,
 * and a flow that opens in between is judged again. A change that leaves the ipcache as it is needs
 * the last step only. Immutable but for the ipcache; any thread.
 */
public final class Tables {
    /** Index of the port that leads to the L7 proxy: above those of all endpoints. */
    public static final int PROXY_PORT = ForwardingLoop.PORTS_MAX - 1;

    /** Index of the switch's own resolver, to which no port leads. */
    public static final int RESOLVER_PORT = ForwardingLoop.PORTS_MAX - 2;

    /** Judges nothing and forwards nothing: what a lane starts with. */
    public static final Tables EMPTY = new Tables(0, List.of(), new Ipcache.Builder().build());

    private final int policyRevision;
    private final Endpoint[] endpoints;
    private final Endpoint proxy;
    private final Ipcache ipcache;

    /**
     * @param policyRevision number of this snapshot, counting up from 1
     * @param endpoints by port index; {@link Endpoint#NONE} where a port has no endpoint
     * @param proxy behind {@link #PROXY_PORT}
     * @param ipcache knows every endpoint's address and every prefix that policy names
     */
    public Tables(
            final int policyRevision,
            final List<Endpoint> endpoints,
            final Endpoint proxy,
            final Ipcache ipcache) {
        this.policyRevision = policyRevision;
        this.endpoints = endpoints.toArray(new Endpoint[0]);
        this.proxy = proxy;
        this.ipcache = ipcache;
    }

    /** Tables of a switch without a proxy: flows that policy redirects are dropped. */
    public Tables(final int policyRevision, final List<Endpoint> endpoints, final Ipcache ipcache) {
        this(policyRevision, endpoints, Endpoint.NONE, ipcache);
    }

    /** The same tables under another number: open flows are judged again. */
    public Tables withRevision(final int revision) {
        return new Tables(revision, List.of(endpoints), proxy, ipcache);
    }

    /** Number of this snapshot. */
    public int policyRevision() {
        return policyRevision;
    }

    /** The endpoint behind a port; {@link Endpoint#NONE} for any index without one. */
    public Endpoint endpoint(final int port) {
        if (port >= 0 && port < endpoints.length) {
            return endpoints[port];
        }
        return port == PROXY_PORT ? proxy : Endpoint.NONE;
    }

    /** Prefix to identity and port. */
    public Ipcache ipcache() {
        return ipcache;
    }
}
