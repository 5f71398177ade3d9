package io.sluice.dataplane.table;

import io.sluice.dataplane.wire.IpAddress;
import java.util.List;

/**
 * What the lane knows of the workload behind a port: its addresses and its two policy maps.
 *
 * <p>Identities are not here: they belong to addresses, and stand in the {@link Ipcache}. A policy
 * prefix may hold one address of a workload and not the other.
 *
 * <p>The uplink is an endpoint too: it stands for the node and everything behind it, and its maps
 * allow all. Immutable; any thread.
 */
public final class Endpoint {
    /** What is behind the port. */
    public enum Kind {
        /** No endpoint: packets to and from this port are not let through. */
        NONE,
        /** One workload; sends only from its own addresses. */
        WORKLOAD,
        /** The node and the world behind it; sends from any address that is no local endpoint's. */
        UPLINK,
        /** The switch's own resolver: what is sent to it is answered by the DNS agent. */
        RESOLVER,
        /** The L7 proxy's namespace, which speaks for both ends of redirected flows. */
        PROXY
    }

    /**
     * Of endpoints whose maps decide nothing. 203 is EP_NOT_READY. Never to be freed: every port
     * index without an endpoint has it.
     */
    public static final PolicyMap DENY_ALL = PolicyMap.always(PolicyEntry.deny(203, 0));

    /** Stands at every port index without an endpoint. */
    public static final Endpoint NONE =
            new Endpoint(Kind.NONE, 0, 0, List.of(), DENY_ALL, DENY_ALL);

    private final Kind kind;
    private final long mac;
    private final int mtu;
    private final long[] addressHighs;
    private final long[] addressLows;
    private final PolicyMap egress;
    private final PolicyMap ingress;

    private Endpoint(
            final Kind kind,
            final long mac,
            final int mtu,
            final List<IpAddress> addresses,
            final PolicyMap egress,
            final PolicyMap ingress) {
        this.kind = kind;
        this.mac = mac;
        this.mtu = mtu;
        this.addressHighs = addresses.stream().mapToLong(IpAddress::high).toArray();
        this.addressLows = addresses.stream().mapToLong(IpAddress::low).toArray();
        this.egress = egress;
        this.ingress = ingress;
    }

    /**
     * A workload.
     *
     * @param mac MAC of its device, in the low 48 bits
     * @param mtu largest IP packet its device takes, in bytes
     * @param addresses the addresses it may send from
     */
    public static Endpoint workload(
            final long mac,
            final int mtu,
            final List<IpAddress> addresses,
            final PolicyMap egress,
            final PolicyMap ingress) {
        return new Endpoint(Kind.WORKLOAD, mac, mtu, addresses, egress, ingress);
    }

    /**
     * The uplink.
     *
     * @param mac MAC of the node's side of the device
     */
    public static Endpoint uplink(final long mac, final int mtu) {
        final PolicyMap allowAll = PolicyMap.always(PolicyEntry.allow(0));
        return new Endpoint(Kind.UPLINK, mac, mtu, List.of(), allowAll, allowAll);
    }

    /** The switch's own resolver. No port leads to it, and it opens no flows. */
    public static Endpoint resolver(final PolicyMap ingress) {
        return new Endpoint(Kind.RESOLVER, 0, 0, List.of(), DENY_ALL, ingress);
    }

    /**
     * The proxy's namespace. Its maps are never asked: it opens no flows.
     *
     * @param mac MAC of the device on the proxy's side
     */
    public static Endpoint proxy(final long mac, final int mtu) {
        return new Endpoint(Kind.PROXY, mac, mtu, List.of(), DENY_ALL, DENY_ALL);
    }

    public Kind kind() {
        return kind;
    }

    /** MAC of the device on the workload's side. */
    public long mac() {
        return mac;
    }

    /** Largest IP packet the device takes, in bytes. */
    public int mtu() {
        return mtu;
    }

    /** What the workload may send, by the identity of the receiver. */
    public PolicyMap egress() {
        return egress;
    }

    /** What the workload may be sent, by the identity of the sender. */
    public PolicyMap ingress() {
        return ingress;
    }

    /** Whether the workload may use this source address. */
    public boolean hasAddress(final long high, final long low) {
        for (int i = 0; i < addressLows.length; i++) {
            if (addressLows[i] == low && addressHighs[i] == high) {
                return true;
            }
        }
        return false;
    }
}
