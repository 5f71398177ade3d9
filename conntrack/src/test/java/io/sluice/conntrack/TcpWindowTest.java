package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.ACK;
import static io.sluice.conntrack.Conversation.FIN;
import static io.sluice.conntrack.Conversation.RST;
import static io.sluice.conntrack.Conversation.START_NS;
import static io.sluice.conntrack.Conversation.SYN;
import static io.sluice.conntrack.Conversation.TCP;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Which segments move a flow, by their numbers. Sequence numbers wrap in all of them. */
final class TcpWindowTest {
    private static final Tuple CLIENT = Conversation.ipv4(TCP, 0x0a000001, 40_000, 0x0a000002, 80);

    /** The client's first number; 1000 bytes later it wraps. */
    private static final int C = -1000;

    /** The server's first number. */
    private static final int S = Integer.MAX_VALUE - 1000;

    private static final int WINDOW = 500;
    private static final int SCALE = 7;

    private final Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 1);
    private final TcpSegment segment = new TcpSegment();

    @AfterEach
    void close() {
        table.close();
    }

    @Test
    void aResetFromOffThePathDoesNotEndAConnection() {
        handshake(SCALE, SCALE);
        for (int guess = 0; guess < 1000; guess++) {
            // Numbers that are not within 64,000 bytes of what is expected.
            server(RST, S + 1 + 100_000 + guess * 4_000_000, 0, 0);
            client(RST | ACK, C + 1 - 70_000 - guess * 4_000_000, S + 1, 0);
        }
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        server(FIN | ACK, S + 1 + 1_000_000, C + 1, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
    }

    @Test
    void aResetInTheWindowEndsIt() {
        handshake(SCALE, SCALE);
        client(ACK, C + 1, S + 1, 300);
        client(RST, C + 301, 0, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aResetBelowWhatWasAcknowledgedIsNotBelieved() {
        handshake(SCALE, SCALE);
        client(ACK, C + 1, S + 1, 3000);
        server(ACK, S + 1, C + 3001, 0);
        client(RST, C + 3000, 0, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        client(RST, C + 3001, 0, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aRefusalOfASynCarriesItsAcknowledgment() {
        client(SYN, C, 0, 0);
        server(RST | ACK, 0, C + 77, 0);
        assertThat(state()).isEqualTo(FlowState.SYN_SENT);
        server(RST | ACK, 0, C + 1, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aLongTransferIsBelievedToItsEnd() {
        handshake(SCALE, SCALE);
        int sent = C + 1;
        for (int i = 0; i < 5000; i++) {
            client(ACK, sent, S + 1, 60_000);
            sent += 60_000;
            server(ACK, S + 1, sent, 0);
            // A repetition, and a late acknowledgment.
            client(ACK, sent - 60_000, S + 1, 60_000);
            server(ACK, S + 1, sent - 60_000, 0);
        }
        client(FIN | ACK, sent, S + 1, 0);
        assertThat(state()).isEqualTo(FlowState.FIN_WAIT);
        server(FIN | ACK, S + 1, sent + 1, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSING);
    }

    @Test
    void aScaleCountsOnlyIfBothSidesNameOne() {
        handshake(SCALE, TcpSegment.NO_SCALE);
        client(FIN | ACK, C + 1 + 600, S + 1, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        client(FIN | ACK, C + 1 + 400, S + 1, 0);
        assertThat(state()).isEqualTo(FlowState.FIN_WAIT);
    }

    @Test
    void anotherSynWithOtherNumbersHoldsUntilOneWasAnswered() {
        client(SYN, C, 0, 0);
        client(SYN, C + 123_456_789, 0, 0);
        server(SYN | ACK, S, C + 123_456_790, 0);
        assertThat(state()).isEqualTo(FlowState.SYN_RECEIVED);
    }

    @Test
    void aPickedUpConnectionLearnsBothSides() {
        client(ACK, C, S, 100);
        server(ACK, S, C + 100, 100);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        // 500 at the largest scale are 8 million bytes.
        server(RST, S + 100 + 9_000_000, 0, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        server(RST, S + 100, 0, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void whatIsNotBelievedIsCountedAndKeepsTheDeadline() {
        handshake(SCALE, SCALE);
        table.lookup(CLIENT, RST, START_NS + 5);
        final long deadlineNs = table.entry().deadlineNs();
        server(RST, S + 1_000_000, 0, 0);
        table.lookup(CLIENT, ACK, START_NS + 5);
        assertThat(table.entry().deadlineNs()).isEqualTo(deadlineNs);
    }

    private void handshake(final int clientScale, final int serverScale) {
        segment.windowScale = clientScale;
        client(SYN, C, 0, 0);
        segment.windowScale = serverScale;
        server(SYN | ACK, S, C + 1, 0);
        segment.windowScale = TcpSegment.NO_SCALE;
        client(ACK, C + 1, S + 1, 0);
        server(ACK, S + 1, C + 1, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
    }

    private void client(final int flags, final int sequence, final int ack, final int payload) {
        send(CLIENT, flags, sequence, ack, payload);
    }

    private void server(final int flags, final int sequence, final int ack, final int payload) {
        send(Conversation.reversed(CLIENT), flags, sequence, ack, payload);
    }

    private void send(
            final Tuple tuple,
            final int flags,
            final int sequence,
            final int ack,
            final int payload) {
        segment.sequence = sequence;
        segment.acknowledgment = ack;
        segment.window = WINDOW;
        segment.payloadBytes = payload;
        final ConntrackState direction = table.lookup(tuple, flags, START_NS);
        if (direction == ConntrackState.NEW) {
            table.create(tuple, flags, START_NS);
        }
        table.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 1);
        table.advance(direction, flags, segment, 100, 1, START_NS);
    }

    private FlowState state() {
        table.lookup(CLIENT, ACK, START_NS);
        return table.entry().state();
    }
}
