package io.sluice.dataplane;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.FlowCopy;
import io.sluice.conntrack.FlowEnds;
import io.sluice.conntrack.FragmentTable;
import io.sluice.dataplane.DatapathProxy.AddPorts;
import io.sluice.dataplane.DatapathProxy.Command;
import io.sluice.dataplane.DatapathProxy.PublishTables;
import io.sluice.dataplane.DatapathProxy.RemovePort;
import io.sluice.dataplane.DatapathProxy.Suspend;
import io.sluice.dataplane.DatapathProxy.Trace;
import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.port.Port;
import java.lang.foreign.Arena;
import java.util.function.ObjIntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * One turn of a lane: commands, then a batch from every port, then what the DNS agent gives back,
 * then a step of expiry. Of several lanes each has a loop, with its part of every port ({@link
 * Port#ofLane}); what loops have in common are flows, ipcache and policy maps, which see to their
 * own order.
 *
 * <p>The same object runs on the lane's thread in production ({@link Lane}) and inside a test's own
 * thread with an in-memory port and a clock of the test's making.
 *
 * <p>Thread: one, the lane's; {@link #proxy} may be called from any.
 */
public final class ForwardingLoop implements AutoCloseable {
    /**
     * Ports of a lane: a node has 110 pods by default and rarely over 500; 4096 is a bound on port
     * indexes, not memory (8 bytes each).
     */
    public static final int PORTS_MAX = 4096;

    /** Commands taken per turn, so that a burst of them cannot hold up packets. */
    private static final int COMMANDS_PER_TURN = 16;

    /**
     * Conntrack slots visited per turn under load. A turn takes some 100 us then: a table of 2 M
     * slots is visited once in 3 s, well under the shortest time-out (10 s).
     */
    private static final int EXPIRY_SLOTS_PER_TURN = 64;

    /**
     * In turns without packets a slot is due every 2.4 us: a table of 2 M slots is visited once in
     * 5 s, however often the lane turns, and an empty slot costs 1/64 of a step.
     */
    private static final int EXPIRY_SLOT_NS = 2_400;

    /** Slots visited in one of them: those of a sleep of 50 ms, 100 us of a full table. */
    private static final int EXPIRY_SLOTS_PER_IDLE_TURN = 20_480;

    private final Datapath datapath;
    private final Conntrack conntrack;
    private final LaneCounters counters;
    private final FlowEvents events;
    private final Arena arena = Arena.ofShared();
    private final PacketBatch batch = new PacketBatch(arena);
    private final Ports ports = new Ports();
    private final DatapathProxy proxy = new DatapathProxy(ports::wake);
    private final PuntRing punts = new PuntRing(ports::wake);
    private final ObjIntConsumer<Port> portGone;
    private Tables tables = Tables.EMPTY;

    /**
     * Whether ports and conntrack are somebody else's, as before the first port is added; see
     * {@link DatapathProxy#suspend}.
     */
    private boolean suspended = true;

    /** Lane's clock at the last step of expiry. */
    private long expiredNs;

    /**
     * @param conntrack the lane's view of the flows; other lanes have theirs
     * @param fragments the lane's own
     * @param counters the lane's own
     * @param events told by all lanes
     * @param portGone told a port whose device has gone, and its index; the loop has let go of it,
     *     and by the time the news arrives the index may be another port's
     */
    public ForwardingLoop(
            final Gateway gateway,
            final Conntrack conntrack,
            final FragmentTable fragments,
            final LaneCounters counters,
            final FlowEvents events,
            final ObjIntConsumer<Port> portGone) {
        this.conntrack = conntrack;
        this.counters = counters;
        this.events = events;
        this.portGone = portGone;
        conntrack.tellEnds(this::onEnd);
        this.datapath =
                new Datapath(gateway, conntrack, fragments, ports, punts, counters, events, arena);
    }

    /**
     * One turn; never blocks.
     *
     * @param nowNs the lane's clock
     * @return packets and commands handled, and flows that expired; 0 when there was nothing to do
     */
    public int doWork(final long nowNs) {
        int work = drainMailbox();
        ports.look();
        // Backwards, because a port that is gone gives its place to the last one.
        for (int i = ports.count() - 1; i >= 0; i--) {
            if (ports.isReady(i)) {
                work += receiveFrom(ports.indexAt(i), nowNs);
            }
        }
        if (suspended) {
            return work;
        }
        work += datapath.takeBack(tables, nowNs);
        ports.flush();
        // What expired is work: as long as there is more of it, an idle lane does not sleep.
        return work + expire(nowNs, work == 0);
    }

    private int expire(final long nowNs, final boolean isIdle) {
        final long due = isIdle ? (nowNs - expiredNs) / EXPIRY_SLOT_NS : 0;
        expiredNs = nowNs;
        return conntrack.expire(
                nowNs, Math.clamp(due, EXPIRY_SLOTS_PER_TURN, EXPIRY_SLOTS_PER_IDLE_TURN));
    }

    /** A flow has left the table: in a step of expiry, or because a new one needed its place. */
    private void onEnd(final FlowCopy flow, final FlowEnds.Exit exit, final long nowNs) {
        if (ProxyLegs.isLeg(flow.tuple)) {
            return;
        }
        final FlowEnd end = FlowEnd.of(flow, exit, tables);
        counters.ended(end);
        events.ended(flow, end, nowNs);
    }

    private int receiveFrom(final int index, final long nowNs) {
        batch.clear();
        final Port port = ports.at(index);
        if (port.receive(batch) == Port.GONE) {
            ports.remove(index);
            portGone.accept(port, index);
            return 1;
        }
        datapath.process(batch, index, tables, nowNs);
        ports.flush();
        punts.wakeAgent();
        return batch.count();
    }

    /**
     * Waits until a port has frames, a datagram comes back or a command comes.
     *
     * @param timeoutMs longest wait
     */
    void await(final int timeoutMs) {
        punts.setLaneSleeps(true);
        // While it is suspended what comes back stays where it is.
        ports.await(!suspended && punts.hasReturned() ? 0 : timeoutMs);
        punts.setLaneSleeps(false);
    }

    /** Control's way to this loop. Thread: any. */
    public DatapathProxy proxy() {
        return proxy;
    }

    /** The DNS agent's way to this loop. Thread: the DNS agent's. */
    public PuntRing punts() {
        return punts;
    }

    private int drainMailbox() {
        int commands = 0;
        while (commands < COMMANDS_PER_TURN) {
            final @Nullable Command command = proxy.mailbox().poll();
            if (command == null) {
                break;
            }
            commands++;
            switch (command) {
                case PublishTables publish -> {
                    tables = publish.tables();
                    publish.done().complete(null);
                }
                case AddPorts add -> {
                    suspended = false;
                    add.ports().forEach(ports::add);
                    add.done().complete(null);
                }
                case RemovePort remove -> {
                    ports.remove(remove.index());
                    remove.done().complete(null);
                }
                case Suspend suspend -> {
                    ports.removeAll();
                    suspended = true;
                    suspend.done().complete(null);
                }
                case Trace trace -> {
                    datapath.trace(trace.ring().orElse(null));
                    trace.done().complete(null);
                }
            }
        }
        return commands;
    }

    /** Ends a wait. Thread: any. */
    void wake() {
        ports.wake();
    }

    /** Frees the packet buffers; the ports and the conntrack table belong to who made them. */
    @Override
    public void close() {
        ports.close();
        arena.close();
    }
}
