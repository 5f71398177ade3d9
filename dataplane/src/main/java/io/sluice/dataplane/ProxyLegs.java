package io.sluice.dataplane;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowEntry;
import io.sluice.conntrack.FlowKey;
import io.sluice.conntrack.Tuple;

/**
 * How connections to the L7 proxy are told apart: which listener port stands for which server port.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A flow from client C:c to server S:s that policy redirects becomes two TCP connections, both
 * of which end in the proxy's namespace. The client's goes to a listener there, which accepts for
 * every address; the proxy makes the server's from the client's own address and port. So only one
 * number has to change on the way, and only on the client's side:
 *
 * <pre>
 *   client  C:c > S:s  - switch -  C:c > S:listener  proxy
 *   client  S:s > C:c  - switch -  S:listener > C:c  proxy
 *                                  C:c > S:s         proxy  - switch -  C:c > S:s  server
 *                                  S:s > C:c         proxy  - switch -  S:s > C:c  server
 * </pre>
 *
 * <p>All four belong to one flow in the conntrack table, that of C:c and S:s. What comes from the
 * proxy goes on to client or server, what comes from them goes to the proxy. The listener's port of
 * the flow stands in its entry. The way back, from (C:c, S, listener) to s, is a second entry, the
 * <em>leg</em>, under the IP protocol number 255, which is reserved (RFC 5237's registry), so no
 * packet's flow is mistaken for one. It lives as long as its flow: whoever moves the deadline of
 * the flow moves that of the leg.
 *
 * <p>Limit: {@value #LISTENERS} connections at a time from one port of a client to different ports
 * of one server, for which each needs another listener port. Linux gives a source port to
 * connections of several destinations only when it runs out of others.
 *
 * <p>In a file the legs survive the process, as flows do: a client whose connection ended with the
 * proxy that held it gets the reset of the namespace's kernel from the port that it knows.
 *
 * <p>Several lanes may make legs at the same time: a leg is whole from its first moment, and the
 * first one under a listener's number stays, so that two connections never share a leg.
 *
 * <p>Thread: one each; the legs themselves are in the table, which all share.
 */
public final class ProxyLegs {
    /** Listener ports: this one and those after it. */
    public static final int FIRST_LISTENER = 15_001;

    /** How many listener ports there are. */
    public static final int LISTENERS = 8;

    /** Answer where there is no port. */
    public static final int NO_PORT = 0;

    private static final int LEG_PROTOCOL = 255;

    private final Conntrack legs;
    private final Tuple leg = new Tuple();
    private final FlowKey key = new FlowKey();

    /**
     * @param view of the table of the flows, for this object alone
     */
    public ProxyLegs(final Conntrack view) {
        this.legs = view;
        leg.protocol = LEG_PROTOCOL;
    }

    /**
     * The listener port for a flow: that of its leg, or of a new one.
     *
     * @param flow as its client sends it
     * @return {@link #NO_PORT} if the table is full, or all listener ports stand for other ports of
     *     this server
     */
    int join(final Tuple flow, final long nowNs) {
        for (int listener = FIRST_LISTENER; listener < FIRST_LISTENER + LISTENERS; listener++) {
            if (!find(flow, listener, nowNs) && !create(flow.destinationPort, nowNs)) {
                return NO_PORT;
            }
            // Also of a leg just made: another lane may have made it first, for another port.
            if (legs.entry().proxyPort() == flow.destinationPort) {
                return listener;
            }
        }
        return NO_PORT;
    }

    /**
     * The listener port of a flow that has a leg.
     *
     * @param flow as its client sends it
     */
    int joined(final Tuple flow, final long nowNs) {
        for (int listener = FIRST_LISTENER; listener < FIRST_LISTENER + LISTENERS; listener++) {
            if (find(flow, listener, nowNs) && legs.entry().proxyPort() == flow.destinationPort) {
                return listener;
            }
        }
        return NO_PORT;
    }

    /**
     * Keeps the leg of a flow as long as the flow; makes it again if it has gone.
     *
     * @param flow as its client sends it
     */
    void keep(final Tuple flow, final FlowEntry entry, final long nowNs) {
        final boolean isThere =
                find(flow, entry.proxyPort(), nowNs) || create(flow.destinationPort, nowNs);
        if (isThere && legs.entry().proxyPort() == flow.destinationPort) {
            legs.keepUntil(entry.deadlineNs());
        }
    }

    /** Whether an entry of the table is a leg, and so no flow. */
    static boolean isLeg(final Tuple entry) {
        return entry.protocol == LEG_PROTOCOL;
    }

    /** Whether a packet from the proxy is on its way to a client. */
    static boolean isFromListener(final Tuple packet) {
        return packet.sourcePort >= FIRST_LISTENER
                && packet.sourcePort < FIRST_LISTENER + LISTENERS;
    }

    /**
     * The port that a client knows its server by.
     *
     * @param packet from a listener to the client
     * @return {@link #NO_PORT} without a leg
     */
    int serverPort(final Tuple packet, final long nowNs) {
        setLeg(
                packet.destinationHigh,
                packet.destinationLow,
                packet.destinationPort,
                packet.sourceHigh,
                packet.sourceLow,
                packet.sourcePort);
        return legs.lookupKnown(key, nowNs) == ConntrackState.ESTABLISHED
                ? legs.entry().proxyPort()
                : NO_PORT;
    }

    /**
     * The port of the server that a client means who was accepted at a listener.
     *
     * @param clientHigh upper half of the client's address, mapped for IPv4
     * @param serverHigh upper half of the address at which it was accepted
     * @return {@link #NO_PORT} without a leg
     */
    public int serverPort(
            final long clientHigh,
            final long clientLow,
            final int clientPort,
            final long serverHigh,
            final long serverLow,
            final int listener,
            final long nowNs) {
        setLeg(clientHigh, clientLow, clientPort, serverHigh, serverLow, listener);
        return legs.lookupKnown(key, nowNs) == ConntrackState.ESTABLISHED
                ? legs.entry().proxyPort()
                : NO_PORT;
    }

    private boolean find(final Tuple flow, final int listener, final long nowNs) {
        setLeg(
                flow.sourceHigh,
                flow.sourceLow,
                flow.sourcePort,
                flow.destinationHigh,
                flow.destinationLow,
                listener);
        return legs.lookupKnown(key, nowNs) == ConntrackState.ESTABLISHED;
    }

    /**
     * Makes the leg that was not found, or finds that of another lane after all. A listener answers
     * at once, so it counts as answered.
     */
    private boolean create(final int serverPort, final long nowNs) {
        if (legs.createIfAbsent(key, serverPort, nowNs) == null) {
            return false;
        }
        legs.advance(ConntrackState.REPLY, 0, 0, 0, nowNs);
        return true;
    }

    private void setLeg(
            final long clientHigh,
            final long clientLow,
            final int clientPort,
            final long serverHigh,
            final long serverLow,
            final int listener) {
        leg.sourceHigh = clientHigh;
        leg.sourceLow = clientLow;
        leg.sourcePort = clientPort;
        leg.destinationHigh = serverHigh;
        leg.destinationLow = serverLow;
        leg.destinationPort = listener;
        legs.prepare(leg, key);
    }
}
