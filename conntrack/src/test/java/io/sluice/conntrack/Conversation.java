package io.sluice.conntrack;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Two hosts on a table: what each sends is looked up, opened where NEW, and let pass. */
final class Conversation {
    static final int FIN = 0x01;
    static final int SYN = 0x02;
    static final int RST = 0x04;
    static final int PSH = 0x08;
    static final int ACK = 0x10;

    static final int ICMP = 1;
    static final int TCP = 6;
    static final int UDP = 17;
    static final int ICMPV6 = 58;
    static final int SCTP = 132;

    /** Far from 0 and shortly before the clock's sign changes: deadlines lie beyond it. */
    static final long START_NS = Long.MAX_VALUE - TimeUnit.SECONDS.toNanos(5);

    static final int FRAME_BYTES = 100;

    final Conntrack table;
    long nowNs = START_NS;

    private final Tuple request;

    Conversation(final Conntrack table, final Tuple request) {
        this.table = table;
        this.request = request;
    }

    static Tuple tuple(
            final int protocol,
            final long sourceHigh,
            final long sourceLow,
            final int sourcePort,
            final long destinationHigh,
            final long destinationLow,
            final int destinationPort) {
        final Tuple tuple = new Tuple();
        tuple.protocol = protocol;
        tuple.sourceHigh = sourceHigh;
        tuple.sourceLow = sourceLow;
        tuple.sourcePort = sourcePort;
        tuple.destinationHigh = destinationHigh;
        tuple.destinationLow = destinationLow;
        tuple.destinationPort = destinationPort;
        return tuple;
    }

    /** Between two IPv4 addresses. */
    static Tuple ipv4(
            final int protocol,
            final int source,
            final int sourcePort,
            final int destination,
            final int destinationPort) {
        return tuple(
                protocol,
                0,
                Tuple.mapped(source),
                sourcePort,
                0,
                Tuple.mapped(destination),
                destinationPort);
    }

    static Tuple reversed(final Tuple tuple) {
        return tuple(
                tuple.protocol,
                tuple.destinationHigh,
                tuple.destinationLow,
                tuple.destinationPort,
                tuple.sourceHigh,
                tuple.sourceLow,
                tuple.sourcePort);
    }

    /** The reply to an echo request. */
    static Tuple echoReply(final Tuple request) {
        final Tuple reply = reversed(request);
        reply.echoReply = true;
        return reply;
    }

    /** A packet of the side that speaks first. */
    ConntrackState initiatorSends(final int tcpFlags) {
        return send(request, tcpFlags);
    }

    /** A packet of the other side. */
    ConntrackState responderSends(final int tcpFlags) {
        return send(reversed(request), tcpFlags);
    }

    ConntrackState send(final Tuple tuple, final int tcpFlags) {
        final ConntrackState state = table.lookup(tuple, tcpFlags, nowNs);
        if (state == ConntrackState.NEW) {
            assertThat(table.create(tuple, tcpFlags, nowNs)).isNotNull();
            table.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 1);
        }
        if (state != ConntrackState.INVALID) {
            table.advance(state, tcpFlags, FRAME_BYTES, 1, nowNs);
        }
        return state;
    }

    void handshake() {
        initiatorSends(SYN);
        responderSends(SYN | ACK);
        initiatorSends(ACK);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
    }

    void passes(final long seconds) {
        nowNs += TimeUnit.SECONDS.toNanos(seconds);
    }

    FlowState state() {
        return flow().state();
    }

    /** The only flow of the table that is alive. */
    FlowSnapshot flow() {
        final List<FlowSnapshot> flows = flows();
        assertThat(flows).hasSize(1);
        return flows.getFirst();
    }

    List<FlowSnapshot> flows() {
        final List<FlowSnapshot> flows = new ArrayList<>();
        table.forEach(nowNs, flows::add);
        return flows;
    }

    /** Seconds without a packet after which the flow is gone; the clock stays. */
    long secondsLeft() {
        return TimeUnit.NANOSECONDS.toSeconds(flow().expiresInNs());
    }
}
