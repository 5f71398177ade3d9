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
    private static final int CLIENT_START = Integer.valueOf(-1000);

    /** The server's first number. */
    private static final int SERVER_START = Integer.valueOf(Integer.MAX_VALUE - 1000);

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
            server(RST, SERVER_START + 1 + 100_000 + guess * 4_000_000, 0, 0);
            client(RST | ACK, CLIENT_START + 1 - 70_000 - guess * 4_000_000, SERVER_START + 1, 0);
        }
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        server(FIN | ACK, SERVER_START + 1 + 1_000_000, CLIENT_START + 1, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
    }

    @Test
    void aResetInTheWindowEndsIt() {
        handshake(SCALE, SCALE);
        client(ACK, CLIENT_START + 1, SERVER_START + 1, 300);
        client(RST, CLIENT_START + 301, 0, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aResetBelowWhatWasAcknowledgedIsNotBelieved() {
        handshake(SCALE, SCALE);
        client(ACK, CLIENT_START + 1, SERVER_START + 1, 3000);
        server(ACK, SERVER_START + 1, CLIENT_START + 3001, 0);
        client(RST, CLIENT_START + 3000, 0, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        client(RST, CLIENT_START + 3001, 0, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aRefusalOfASynCarriesItsAcknowledgment() {
        client(SYN, CLIENT_START, 0, 0);
        server(RST | ACK, 0, CLIENT_START + 77, 0);
        assertThat(state()).isEqualTo(FlowState.SYN_SENT);
        server(RST | ACK, 0, CLIENT_START + 1, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aLongTransferIsBelievedToItsEnd() {
        handshake(SCALE, SCALE);
        int sent = CLIENT_START + 1;
        for (int i = 0; i < 5000; i++) {
            client(ACK, sent, SERVER_START + 1, 60_000);
            sent += 60_000;
            server(ACK, SERVER_START + 1, sent, 0);
            // A repetition, and a late acknowledgment.
            client(ACK, sent - 60_000, SERVER_START + 1, 60_000);
            server(ACK, SERVER_START + 1, sent - 60_000, 0);
        }
        client(FIN | ACK, sent, SERVER_START + 1, 0);
        assertThat(state()).isEqualTo(FlowState.FIN_WAIT);
        server(FIN | ACK, SERVER_START + 1, sent + 1, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSING);
    }

    @Test
    void aScaleCountsOnlyIfBothSidesNameOne() {
        handshake(SCALE, TcpSegment.NO_SCALE);
        client(FIN | ACK, CLIENT_START + 1 + 600, SERVER_START + 1, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        client(FIN | ACK, CLIENT_START + 1 + 400, SERVER_START + 1, 0);
        assertThat(state()).isEqualTo(FlowState.FIN_WAIT);
    }

    @Test
    void anotherSynWithOtherNumbersHoldsUntilOneWasAnswered() {
        client(SYN, CLIENT_START, 0, 0);
        client(SYN, CLIENT_START + 123_456_789, 0, 0);
        server(SYN | ACK, SERVER_START, CLIENT_START + 123_456_790, 0);
        assertThat(state()).isEqualTo(FlowState.SYN_RECEIVED);
    }

    @Test
    void aPickedUpConnectionLearnsBothSides() {
        client(ACK, CLIENT_START, SERVER_START, 100);
        server(ACK, SERVER_START, CLIENT_START + 100, 100);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        // 500 at the largest scale are 8 million bytes.
        server(RST, SERVER_START + 100 + 9_000_000, 0, 0);
        assertThat(state()).isEqualTo(FlowState.ESTABLISHED);
        server(RST, SERVER_START + 100, 0, 0);
        assertThat(state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void whatIsNotBelievedIsCountedAndKeepsTheDeadline() {
        handshake(SCALE, SCALE);
        table.lookup(CLIENT, RST, START_NS + 5);
        final long deadlineNs = table.entry().deadlineNs();
        server(RST, SERVER_START + 1_000_000, 0, 0);
        table.lookup(CLIENT, ACK, START_NS + 5);
        assertThat(table.entry().deadlineNs()).isEqualTo(deadlineNs);
    }

    private void handshake(final int clientScale, final int serverScale) {
        segment.windowScale = clientScale;
        client(SYN, CLIENT_START, 0, 0);
        segment.windowScale = serverScale;
        server(SYN | ACK, SERVER_START, CLIENT_START + 1, 0);
        segment.windowScale = TcpSegment.NO_SCALE;
        client(ACK, CLIENT_START + 1, SERVER_START + 1, 0);
        server(ACK, SERVER_START + 1, CLIENT_START + 1, 0);
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
