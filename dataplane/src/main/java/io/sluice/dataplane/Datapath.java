package io.sluice.dataplane;

import static io.sluice.dataplane.DropReason.CT_MAP_INSERTION_FAILED;
import static io.sluice.dataplane.DropReason.DNS_FLOW_GONE;
import static io.sluice.dataplane.DropReason.DNS_NOT_WHOLE;
import static io.sluice.dataplane.DropReason.DNS_RING_FULL;
import static io.sluice.dataplane.DropReason.EP_NOT_READY;
import static io.sluice.dataplane.DropReason.NONE;
import static io.sluice.dataplane.DropReason.NO_SERVICE_AT_RESOLVER;
import static io.sluice.dataplane.DropReason.PORT_REFUSED_FRAME;
import static io.sluice.dataplane.DropReason.STALE_OR_UNROUTABLE_IP;
import static io.sluice.dataplane.DropReason.UNKNOWN_CONNECTION_TRACKING_STATE;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowEntry;
import io.sluice.conntrack.FlowKey;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.conntrack.FragmentTable;
import io.sluice.conntrack.Tuple;
import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.wire.IpProtocol;
import io.sluice.dataplane.wire.Tcp;
import io.sluice.dataplane.wire.UdpMessage;
import io.sluice.dataplane.wire.VnetHeader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.agrona.concurrent.MessageHandler;
import org.jspecify.annotations.Nullable;

/**
 * One packet's way through the switch, in the order it happens. Read this file first.
 *
 * <pre>
 *   port -> parse -> answer? -> guard -> hop limit -> fragments -> conntrack -> identity -> policy -> forward -> port
 *                                                                                                  -> redirect -> proxy
 *                                                                                                  -> punt -> DNS agent
 * </pre>
 *
 * <p>Each packet meets one of three ends: it is <em>forwarded</em> to another port,
 * <em>answered</em> by the switch itself (ARP, neighbour discovery, ping to the gateway), or
 * <em>dropped</em> for a {@link DropReason}. A datagram of a flow under DNS rules is
 * <em>punted</em> before: the DNS agent judges it, and {@link #takeBack} brings it to its end. A
 * step answers {@code NONE} to go on, or the reason to stop. {@link #stop} is the only place that
 * counts a drop, so {@code packets in = forwarded + answered + sum of drops + still punted} holds
 * by construction, and a test asserts it.
 *
 * <p>Tables are read from one snapshot taken per batch: all its packets are judged by the same
 * policy revision. The opening packet of a flow is judged, and so is the first one after a policy
 * change, whichever side sends it; all others follow their flow's verdict. A flow that a change
 * forbids stays in the conntrack table with the verdict DENY until it times out: that keeps both of
 * its directions shut, and opens them again if the policy comes back.
 *
 * <p>A TCP flow whose requests somebody has to read is <em>redirected</em>: what its two sides send
 * goes to the L7 proxy, and what the proxy sends goes to them. {@link ProxyLegs} tells how. Once
 * redirected, a flow stays so while it is allowed, because its connection ends in the proxy. A flow
 * that a policy change begins to redirect in its middle is unknown to the proxy, whose kernel
 * resets both sides.
 *
 * <p>While somebody traces, {@link #note} takes down each packet at its end, from what the steps
 * left in its cursor; no step knows of it.
 *
 * <p>Thread: the lane's. The conntrack table and the ipcache may be others' too, and see to their
 * own order; nothing else here is shared. Nothing is allocated.
 */
final class Datapath {
    /** Where resolvers listen (RFC 1035 section 4.2). */
    private static final int DNS_PORT = 53;

    /** A cursor for each packet of a batch. */
    private final Packet[] packets = new Packet[PacketBatch.FRAMES_MAX];

    private final HeaderParser headers = new HeaderParser();
    private final SwitchResponder responder;
    private final AddressGuard guard;
    private final FragmentTracker fragments;
    private final Conntrack conntrack;
    private final ProxyLegs legs;
    private final Forwarder forwarder;
    private final Ports ports;
    private final PuntRing punts;
    private final LaneCounters counters;
    private final FlowEvents events;

    /** The tuple of a flow as its initiator sees it, while the flow is judged again. */
    private final Tuple initiatorTuple = new Tuple();

    /** The keys of this batch that were made. */
    private final FlowKey[] touched = new FlowKey[PacketBatch.FRAMES_MAX];

    /** Keeps the loads of {@link #touch} from being left out as useless. */
    @SuppressWarnings("UnusedVariable")
    private long touchedLines;

    /** Where a datagram that comes back lies while it is brought to its end. */
    private final PacketBatch returned;

    private final MessageHandler onReturned;

    /** Null unless somebody traces. */
    private @Nullable TraceRing trace;

    // Of the turn, for onReturned.
    private Tables returnTables = Tables.EMPTY;
    private long returnNs;

    // Written by identify.
    private int initiatorPort;
    private int responderPort;

    Datapath(
            final Gateway gateway,
            final Conntrack conntrack,
            final FragmentTable fragmentTable,
            final Ports ports,
            final PuntRing punts,
            final LaneCounters counters,
            final FlowEvents events,
            final Arena arena) {
        this.responder = new SwitchResponder(gateway, ports, counters);
        this.guard = new AddressGuard(gateway);
        this.fragments = new FragmentTracker(fragmentTable);
        this.conntrack = conntrack;
        this.legs = new ProxyLegs(conntrack.anotherCursor());
        this.forwarder = new Forwarder(gateway, ports, counters, arena);
        this.ports = ports;
        this.punts = punts;
        this.returned = new PacketBatch(arena);
        this.onReturned = punts.handlerOf(this::onReturned);
        this.counters = counters;
        this.events = events;
        Arrays.setAll(packets, i -> new Packet());
        Arrays.setAll(touched, i -> packets[i].flowKey);
    }

    /**
     * Walks every packet of the batch to its end, in three short passes. Of each packet the first
     * does everything up to conntrack, and the third the rest: read {@link #admit}, then {@link
     * #walk}. The second only fetches memory that the third will need, for all packets at once.
     *
     * @param inPort index of the port the batch came from
     * @param tables snapshot to judge by
     * @param nowNs the lane's clock
     */
    void process(final PacketBatch batch, final int inPort, final Tables tables, final long nowNs) {
        final int count = batch.count();
        if (count == 0) {
            return;
        }
        final Endpoint sender = tables.endpoint(inPort);
        final @Nullable TraceRing tracing = trace;
        long bytes = 0;
        for (int i = 0; i < count; i++) {
            final Packet packet = packets[i];
            packet.moveTo(batch, i, inPort);
            packet.policyRevision = tables.policyRevision();
            packet.direction = sideOf(sender);
            bytes += packet.frameBytes();
            packet.admission = admit(packet, sender, tables, nowNs);
        }
        counters.received(count, bytes);

        touch(count);

        for (int i = 0; i < count; i++) {
            final Packet packet = packets[i];
            DropReason reason = NONE;
            if (!packet.isAnswered) {
                reason =
                        packet.admission == NONE
                                ? walk(packet, sender, tables, nowNs)
                                : packet.admission;
                if (reason != NONE) {
                    stop(packet, reason, nowNs);
                }
            }
            if (tracing != null) {
                note(tracing, packet, sender, reason, nowNs);
            }
        }
        counters.publish();
    }

    private void stop(final Packet packet, final DropReason reason, final long nowNs) {
        counters.dropped(reason, packet.direction, packet.frameBytes());
        events.dropped(packet, reason, nowNs);
    }

    /**
     * Takes packets down from the next one on.
     *
     * @param ring null to take none down
     */
    void trace(final @Nullable TraceRing ring) {
        trace = ring;
    }

    private void note(
            final TraceRing tracing,
            final Packet packet,
            final Endpoint sender,
            final DropReason reason,
            final long nowNs) {
        final TraceRecord.End end =
                reason != NONE
                        ? TraceRecord.End.DROPPED
                        : packet.isAnswered ? TraceRecord.End.ANSWERED : endOf(packet, sender);
        tracing.note(packet, reason, end, false, nowNs);
    }

    /** How a packet ended that was neither dropped nor answered. */
    private TraceRecord.End endOf(final Packet packet, final Endpoint sender) {
        if (packet.outPort == Tables.PROXY_PORT) {
            return TraceRecord.End.REDIRECTED;
        }
        if (sender.kind() == Endpoint.Kind.PROXY || packet.quotesPacket || packet.standsAlone) {
            return TraceRecord.End.FORWARDED;
        }
        // Nothing was looked up since: only redirected flows look at others' entries.
        return conntrack.entry().verdict() == FlowVerdict.PUNT
                ? TraceRecord.End.PUNTED
                : TraceRecord.End.FORWARDED;
    }

    /** Everything that can be said of a packet without its flow. */
    private DropReason admit(
            final Packet packet, final Endpoint sender, final Tables tables, final long nowNs) {
        DropReason reason = headers.parse(packet);
        if (reason != NONE) {
            return reason;
        }

        if (responder.concerns(packet)) {
            reason = responder.answer(packet, sender, tables);
            packet.isAnswered = reason == NONE;
            return reason;
        }

        reason = guard.verify(packet, sender, tables.ipcache());
        if (reason != NONE) {
            return reason;
        }

        reason = forwarder.checkHopLimit(packet, sender, nowNs);
        if (reason != NONE) {
            return reason;
        }

        return fragments.resolve(packet, nowNs);
    }

    /** Fetches the flows of all packets, so that they wait for memory together. */
    private void touch(final int count) {
        int keys = 0;
        for (int i = 0; i < count; i++) {
            final Packet packet = packets[i];
            if (packet.admission == NONE && !packet.isAnswered) {
                conntrack.prepare(packet.tuple, packet.flowKey);
                touched[keys++] = packet.flowKey;
            }
        }
        touchedLines = conntrack.touch(touched, keys);
    }

    private DropReason walk(
            final Packet packet, final Endpoint sender, final Tables tables, final long nowNs) {
        if (sender.kind() == Endpoint.Kind.PROXY) {
            leaveListener(packet, nowNs);
        }
        packet.conntrackState = track(packet, sender, nowNs);
        return switch (packet.conntrackState) {
            case NEW -> openFlow(packet, sender, tables, nowNs);
            case ESTABLISHED, REPLY, RELATED ->
                    continueFlow(packet, conntrack.entry(), sender, tables, nowNs);
            case INVALID -> UNKNOWN_CONNECTION_TRACKING_STATE;
        };
    }

    /**
     * A packet of the proxy to a client is one of the flow that the client opened, from here on.
     */
    private void leaveListener(final Packet packet, final long nowNs) {
        if (!ProxyLegs.isFromListener(packet.tuple)) {
            return;
        }
        final int serverPort = legs.serverPort(packet.tuple, nowNs);
        if (serverPort != ProxyLegs.NO_PORT) {
            packet.tuple.sourcePort = serverPort;
            Tcp.setSourcePort(packet.memory(), packet.l4, serverPort, isChecksumPartial(packet));
            conntrack.prepare(packet.tuple, packet.flowKey);
        }
    }

    private static boolean isChecksumPartial(final Packet packet) {
        return VnetHeader.needsChecksum(packet.memory(), packet.start);
    }

    /** Packets of the uplink are on their way into an endpoint, those of a workload out of it. */
    private static TrafficDirection sideOf(final Endpoint sender) {
        return sender.kind() == Endpoint.Kind.UPLINK
                ? TrafficDirection.INGRESS
                : TrafficDirection.EGRESS;
    }

    /**
     * An ICMP error is about the flow of the packet it quotes, if it goes to that packet's sender,
     * and comes from its receiver or from a router: there are none among the workloads. ICMP
     * messages that stand alone have no flow: their tuple, without an identifier, could be mistaken
     * for that of an echo.
     *
     * <p>The proxy opens no flow: even its SYN to the server is one of the flow that was sent to
     * it.
     */
    private ConntrackState track(final Packet packet, final Endpoint sender, final long nowNs) {
        if (sender.kind() == Endpoint.Kind.PROXY) {
            return packet.isIcmp()
                    ? ConntrackState.INVALID
                    : conntrack.lookupKnown(packet.flowKey, nowNs);
        }
        if (packet.quotesPacket) {
            final boolean credible =
                    packet.quotesItsReceiver()
                            && (sender.kind() == Endpoint.Kind.UPLINK || packet.quotesItsSender());
            return credible
                    ? conntrack.lookupRelated(packet.quoted, nowNs)
                    : ConntrackState.INVALID;
        }
        if (packet.standsAlone) {
            return ConntrackState.NEW;
        }
        return conntrack.lookup(packet.flowKey, packet.tcpFlags, nowNs);
    }

    private DropReason openFlow(
            final Packet packet, final Endpoint sender, final Tables tables, final long nowNs) {
        identify(packet, packet.tuple, tables.ipcache());
        packet.outPort = responderPort;
        if (packet.outPort == Ipcache.NO_PORT || packet.outPort == packet.inPort) {
            return STALE_OR_UNROUTABLE_IP;
        }

        final Endpoint receiver = tables.endpoint(packet.outPort);
        final DropReason denied =
                judge(packet, packet.tuple, packet.policyPort(), sender, receiver);
        if (denied != NONE) {
            return denied;
        }

        if (packet.standsAlone) {
            final DropReason stopped = forwarder.forward(packet, sender, receiver, nowNs);
            return stopped == NONE ? tell(packet, nowNs) : stopped;
        }
        final boolean isRedirected = wantsProxy(packet);
        final int listener = isRedirected ? legs.join(packet.tuple, nowNs) : ProxyLegs.NO_PORT;
        if (isRedirected && listener == ProxyLegs.NO_PORT) {
            return CT_MAP_INSERTION_FAILED;
        }
        final @Nullable FlowEntry flow = conntrack.create(packet.flowKey, packet.tcpFlags, nowNs);
        if (flow == null) {
            return CT_MAP_INSERTION_FAILED;
        }
        // The verdict last: another lane that finds the flow without judges it for itself.
        flow.recordSides(
                packet.inPort, packet.sourceIdentity, packet.outPort, packet.destinationIdentity);
        recordVerdict(packet, flow, NONE, listener);
        final DropReason stopped = passOn(packet, flow, true, sender, tables, nowNs);
        return stopped == NONE ? tell(packet, nowNs) : stopped;
    }

    /** Whether one of the two sides asks for a proxy to read the flow. */
    private static boolean wantsProxy(final Packet packet) {
        return PolicyEntry.redirects(packet.egressEntry)
                || PolicyEntry.redirects(packet.ingressEntry);
    }

    private DropReason tell(final Packet packet, final long nowNs) {
        events.opened(packet, nowNs);
        return NONE;
    }

    /**
     * The flow was judged when it opened; it is judged again only if the policy has changed since.
     * Its ports were found by the same snapshot, so they are as good as the verdict. A flow that
     * was cut is judged for every packet, so that each drop names the rule.
     */
    private DropReason continueFlow(
            final Packet packet,
            final FlowEntry flow,
            final Endpoint sender,
            final Tables tables,
            final long nowNs) {
        final boolean wasDenied = flow.verdict() == FlowVerdict.DENY;
        final DropReason stopped = follow(packet, flow, sender, tables, nowNs);
        if (stopped != NONE) {
            return stopped;
        }
        final DropReason left =
                passOn(packet, flow, isTowardsResponder(packet, flow), sender, tables, nowNs);
        return wasDenied && left == NONE ? tell(packet, nowNs) : left;
    }

    /** An ICMP error travels against the packet it quotes. */
    private static boolean isTowardsResponder(final Packet packet, final FlowEntry flow) {
        return packet.quotesPacket == flow.isReply();
    }

    /** What policy of now says of the flow, and where the packet is to go. */
    private DropReason follow(
            final Packet packet,
            final FlowEntry flow,
            final Endpoint sender,
            final Tables tables,
            final long nowNs) {
        if (flow.verdict() == FlowVerdict.DENY
                || flow.policyRevision() != tables.policyRevision()) {
            judgeAgain(packet, flow, tables, nowNs);
        }

        final boolean towardsResponder = isTowardsResponder(packet, flow);
        packet.outPort = towardsResponder ? flow.responderPort() : flow.initiatorPort();
        packet.sourceIdentity =
                towardsResponder ? flow.initiatorIdentity() : flow.responderIdentity();
        packet.destinationIdentity =
                towardsResponder ? flow.responderIdentity() : flow.initiatorIdentity();
        if (flow.verdict() == FlowVerdict.DENY) {
            conntrack.touchDenied(nowNs);
            return DropReason.ofCode(flow.dropReason());
        }
        if (packet.outPort == Ipcache.NO_PORT || packet.outPort == packet.inPort) {
            return STALE_OR_UNROUTABLE_IP;
        }
        return sender.kind() == Endpoint.Kind.PROXY && flow.verdict() != FlowVerdict.REDIRECT
                ? UNKNOWN_CONNECTION_TRACKING_STATE
                : NONE;
    }

    /** Both sides as the tables know them now; the flow's verdict is what policy says now. */
    private void judgeAgain(
            final Packet packet, final FlowEntry flow, final Tables tables, final long nowNs) {
        flow.initiatorTuple(initiatorTuple);
        identify(packet, initiatorTuple, tables.ipcache());
        flow.recordSides(
                initiatorPort, packet.sourceIdentity, responderPort, packet.destinationIdentity);

        DropReason denied =
                judge(
                        packet,
                        initiatorTuple,
                        HeaderParser.policyPortOfFlow(initiatorTuple),
                        tables.endpoint(initiatorPort),
                        tables.endpoint(responderPort));
        int listener = ProxyLegs.NO_PORT;
        if (denied == NONE) {
            listener = listenerOf(packet, flow, nowNs);
            if (listener == ProxyLegs.NO_PORT && wantsProxy(packet)) {
                denied = CT_MAP_INSERTION_FAILED;
            }
        }
        recordVerdict(packet, flow, denied, listener);
    }

    /** A flow whose connection ends in the proxy goes there, whether policy still asks or not. */
    private int listenerOf(final Packet packet, final FlowEntry flow, final long nowNs) {
        if (flow.verdict() == FlowVerdict.REDIRECT) {
            return flow.proxyPort();
        }
        if (wantsProxy(packet)) {
            return legs.join(initiatorTuple, nowNs);
        }
        return flow.verdict() == FlowVerdict.DENY && initiatorTuple.protocol == IpProtocol.TCP
                ? legs.joined(initiatorTuple, nowNs)
                : ProxyLegs.NO_PORT;
    }

    /** Who the two sides are, and which ports lead to them: the longest prefixes say. */
    private void identify(final Packet packet, final Tuple tuple, final Ipcache ipcache) {
        final long initiator = ipcache.lookup(tuple.sourceHigh, tuple.sourceLow);
        final long responder = ipcache.lookup(tuple.destinationHigh, tuple.destinationLow);
        packet.sourceIdentity = Ipcache.identity(initiator);
        packet.destinationIdentity = Ipcache.identity(responder);
        packet.knownUpTo = Packet.Known.SIDES;
        initiatorPort = Ipcache.port(initiator);
        responderPort = Ipcache.port(responder);
    }

    /** Both ends have a say: the sender's egress map first, then the receiver's ingress map. */
    private DropReason judge(
            final Packet packet,
            final Tuple tuple,
            final int policyPort,
            final Endpoint initiator,
            final Endpoint responder) {
        if (initiator.kind() == Endpoint.Kind.NONE || responder.kind() == Endpoint.Kind.NONE) {
            return EP_NOT_READY;
        }
        counters.policyVerdict();
        packet.knownUpTo = Packet.Known.POLICY;

        packet.direction = TrafficDirection.EGRESS;
        packet.egressEntry =
                initiator
                        .egress()
                        .lookup(
                                packet.destinationIdentity,
                                tuple.protocol,
                                tuple.sourcePort,
                                policyPort);
        if (!PolicyEntry.allows(packet.egressEntry)) {
            return DropReason.ofCode(PolicyEntry.reasonCode(packet.egressEntry));
        }

        packet.direction = TrafficDirection.INGRESS;
        packet.ingressEntry =
                responder
                        .ingress()
                        .lookup(
                                packet.sourceIdentity,
                                tuple.protocol,
                                tuple.sourcePort,
                                policyPort);
        if (!PolicyEntry.allows(packet.ingressEntry)) {
            return DropReason.ofCode(PolicyEntry.reasonCode(packet.ingressEntry));
        }

        final boolean toResolver = responder.kind() == Endpoint.Kind.RESOLVER;
        packet.isForAgent =
                tuple.protocol == IpProtocol.UDP
                        && (toResolver || PolicyEntry.punts(packet.egressEntry));
        return toResolver && !isServed(packet, policyPort) ? NO_SERVICE_AT_RESOLVER : NONE;
    }

    /** The resolver is reached through the DNS agent, and through the proxy where one reads. */
    private static boolean isServed(final Packet packet, final int policyPort) {
        return policyPort == DNS_PORT && (packet.isForAgent || wantsProxy(packet));
    }

    /** What was decided for the flow, by which revision, for all packets to come. */
    private static void recordVerdict(
            final Packet packet,
            final FlowEntry flow,
            final DropReason denied,
            final int listener) {
        flow.recordVerdict(
                verdict(packet, denied, listener), listener, denied.code(), packet.policyRevision);
    }

    private static FlowVerdict verdict(
            final Packet packet, final DropReason denied, final int listener) {
        if (denied != NONE) {
            return FlowVerdict.DENY;
        }
        if (listener != ProxyLegs.NO_PORT) {
            return FlowVerdict.REDIRECT;
        }
        return packet.isForAgent ? FlowVerdict.PUNT : FlowVerdict.ALLOW;
    }

    /**
     * To the DNS agent, if it has to read the datagram, or out.
     *
     * @param towardsResponder whether the packet goes to who did not open the flow
     */
    private DropReason passOn(
            final Packet packet,
            final FlowEntry flow,
            final boolean towardsResponder,
            final Endpoint sender,
            final Tables tables,
            final long nowNs) {
        return flow.verdict() == FlowVerdict.PUNT && !packet.quotesPacket
                ? punt(packet, towardsResponder ? Punt.Way.TO_RESPONDER : Punt.Way.TO_INITIATOR)
                : leave(packet, flow, towardsResponder, sender, tables, nowNs);
    }

    /**
     * To the other side, or to the proxy if the flow is redirected and the packet does not come
     * from there. The flow's trackers see only packets that really leave, and of a redirected flow
     * those of the client's connection: the one that the proxy makes to the server has other
     * numbers.
     */
    private DropReason leave(
            final Packet packet,
            final FlowEntry flow,
            final boolean towardsResponder,
            final Endpoint sender,
            final Tables tables,
            final long nowNs) {
        final boolean isRedirected = flow.verdict() == FlowVerdict.REDIRECT;
        final boolean toProxy = isRedirected && sender.kind() != Endpoint.Kind.PROXY;
        if (toProxy) {
            packet.outPort = Tables.PROXY_PORT;
            if (towardsResponder) {
                enterListener(packet, flow.proxyPort());
            }
        }
        final DropReason stopped =
                forwarder.forward(packet, sender, tables.endpoint(packet.outPort), nowNs);
        final boolean isTracked = !isRedirected || towardsResponder == toProxy;
        if (stopped == NONE && isTracked && !packet.quotesPacket) {
            conntrack.advance(
                    packet.conntrackState,
                    packet.tcpFlags,
                    packet.fragment == Packet.Fragment.LATER ? null : packet.segment,
                    packet.ipBytes(),
                    1,
                    nowNs);
            if (isRedirected) {
                flow.initiatorTuple(initiatorTuple);
                legs.keep(initiatorTuple, flow, nowNs);
            }
        }
        return stopped;
    }

    private static void enterListener(final Packet packet, final int listener) {
        if (packet.fragment != Packet.Fragment.LATER && !packet.quotesPacket) {
            Tcp.setDestinationPort(packet.memory(), packet.l4, listener, isChecksumPartial(packet));
        }
    }

    // Datagrams of flows under DNS rules.

    /** Only a whole message can be judged; what is cut or glued together cannot. */
    private DropReason punt(final Packet packet, final Punt.Way way) {
        if (packet.fragment != Packet.Fragment.NONE
                || VnetHeader.isSuperFrame(packet.memory(), packet.start)) {
            return DNS_NOT_WHOLE;
        }
        if (!punts.offer(packet, way)) {
            return DNS_RING_FULL;
        }
        counters.punted();
        return NONE;
    }

    /**
     * Brings datagrams that the DNS agent has judged to their end.
     *
     * @return how many
     */
    int takeBack(final Tables tables, final long nowNs) {
        returnTables = tables;
        returnNs = nowNs;
        final int taken = punts.takeReturned(onReturned);
        counters.publish();
        return taken;
    }

    private void onReturned(
            final PuntRing.Step step,
            final DropReason dropped,
            final int inPort,
            final MemorySegment ring,
            final long frameOffset,
            final int frameBytes,
            final long dataOffset,
            final int dataBytes) {
        counters.returned();
        returned.clear();
        MemorySegment.copy(ring, frameOffset, returned.memory(), 0, frameBytes);
        returned.add(frameBytes);
        final Packet packet = packets[0];
        final Endpoint sender = returnTables.endpoint(inPort);
        packet.moveTo(returned, 0, inPort);
        packet.policyRevision = returnTables.policyRevision();
        packet.direction = sideOf(sender);
        DropReason reason = headers.parse(packet);
        if (reason == NONE) {
            final MemorySegment data = ring.asSlice(dataOffset, dataBytes);
            reason =
                    switch (step) {
                        case RELEASE -> release(packet, sender);
                        case REPLACE -> {
                            packet.resize(
                                    UdpMessage.replaceData(
                                            packet.memory(),
                                            packet.start,
                                            packet.l3,
                                            packet.l4,
                                            data));
                            yield release(packet, sender);
                        }
                        case ANSWER -> answer(packet, data);
                        case DROP -> dropped;
                    };
        }
        if (reason != NONE) {
            stop(packet, reason, returnNs);
        }
        if (trace != null) {
            trace.note(packet, reason, endOfReturned(step, reason), true, returnNs);
        }
    }

    private static TraceRecord.End endOfReturned(
            final PuntRing.Step step, final DropReason reason) {
        if (reason != NONE) {
            return TraceRecord.End.DROPPED;
        }
        return step == PuntRing.Step.ANSWER ? TraceRecord.End.ANSWERED : TraceRecord.End.FORWARDED;
    }

    /** The rest of the way, by the policy of now; the flow itself was opened by the punt. */
    private DropReason release(final Packet packet, final Endpoint sender) {
        conntrack.prepare(packet.tuple, packet.flowKey);
        packet.conntrackState = track(packet, sender, returnNs);
        if (packet.conntrackState != ConntrackState.ESTABLISHED
                && packet.conntrackState != ConntrackState.REPLY) {
            return DNS_FLOW_GONE;
        }
        final FlowEntry flow = conntrack.entry();
        final DropReason stopped = follow(packet, flow, sender, returnTables, returnNs);
        return stopped == NONE
                ? leave(
                        packet,
                        flow,
                        isTowardsResponder(packet, flow),
                        sender,
                        returnTables,
                        returnNs)
                : stopped;
    }

    private DropReason answer(final Packet packet, final MemorySegment data) {
        if (!ports.isOpen(packet.inPort)) {
            return EP_NOT_READY;
        }
        final int length =
                UdpMessage.turnIntoAnswer(
                        packet.memory(), packet.start, packet.l3, packet.l4, data);
        if (!ports.at(packet.inPort).send(packet.memory(), packet.start, length)) {
            return PORT_REFUSED_FRAME;
        }
        counters.answered();
        return NONE;
    }
}
