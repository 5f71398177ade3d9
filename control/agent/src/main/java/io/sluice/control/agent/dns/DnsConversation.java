package io.sluice.control.agent.dns;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.sluice.dnsproxy.DnsFlow;
import io.sluice.dnsproxy.wire.Address;
import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.Link;
import java.net.InetSocketAddress;
import org.jspecify.annotations.Nullable;

/**
 * DNS over TCP through the L7 proxy: messages are cut out of the streams (two octets of length
 * before each, RFC 1035 section 4.2.2), judged by the same exchange as those over UDP, and passed
 * on, answered or left out one by one.
 *
 * <p>Several queries may be on their way, and answers come in any order (RFC 7766). A stream that
 * ends passes its end on when everything that came before is judged. A message that may not pass
 * and has no answer ends the connection: a stream cannot leave a query unanswered quietly.
 *
 * <p>Bounds: a message of 65,535 octets each way that is not complete yet; queries in flight as for
 * UDP.
 *
 * <p>Thread: the link's event loop; the exchange answers on the DNS agent's, and is handed back.
 */
public final class DnsConversation implements Conversation {
    private static final int LENGTH_BYTES = 2;

    private final Link link;
    private final TcpMessages agent;
    private final @Nullable DnsFlow flow;
    private final ByteBuf fromClient = Unpooled.buffer();
    private final ByteBuf fromServer = Unpooled.buffer();

    /** Messages that the agent has. */
    private int judging;

    private boolean clientEnded;
    private boolean serverEnded;

    /**
     * Reads a connection.
     *
     * @param agent judges its messages
     */
    public DnsConversation(final Link link, final TcpMessages agent) {
        this.link = link;
        this.agent = agent;
        this.flow =
                agent.endpointAt(address(link.flow().client()))
                        .map(
                                endpoint ->
                                        new DnsFlow(
                                                endpoint,
                                                DnsFlow.Transport.TCP,
                                                address(link.flow().client()),
                                                link.flow().client().getPort(),
                                                address(link.flow().server()),
                                                link.flow().server().getPort()))
                        .orElse(null);
    }

    private static Address address(final InetSocketAddress end) {
        return Address.of(end.getAddress().getAddress());
    }

    @Override
    public void onClientBytes(final ByteBuf bytes) {
        if (flow == null) {
            bytes.release();
            link.reset();
            return;
        }
        append(fromClient, bytes);
        for (byte[] query = next(fromClient); query != null; query = next(fromClient)) {
            judging++;
            agent.onQuery(flow, query, new MessageOutcome(query));
        }
    }

    @Override
    public void onServerBytes(final ByteBuf bytes) {
        if (flow == null) {
            bytes.release();
            return;
        }
        append(fromServer, bytes);
        for (byte[] answer = next(fromServer); answer != null; answer = next(fromServer)) {
            judging++;
            agent.onAnswer(flow, answer, new MessageOutcome(answer));
        }
    }

    private static void append(final ByteBuf to, final ByteBuf bytes) {
        to.writeBytes(bytes);
        bytes.release();
    }

    private static byte @Nullable [] next(final ByteBuf stream) {
        if (stream.readableBytes() < LENGTH_BYTES) {
            return null;
        }
        final int length = stream.getUnsignedShort(stream.readerIndex());
        if (stream.readableBytes() < LENGTH_BYTES + length) {
            return null;
        }
        final byte[] message = new byte[length];
        stream.skipBytes(LENGTH_BYTES).readBytes(message).discardReadBytes();
        return message;
    }

    /** Thread: the DNS agent's, but for what it hands to the loop. */
    private final class MessageOutcome implements TcpMessages.Outcome {
        private final byte[] message;

        private MessageOutcome(final byte[] message) {
            this.message = message;
        }

        @Override
        public void forward() {
            end(() -> link.toServer(framed(message)));
        }

        @Override
        public void answer(final byte[] reply) {
            end(() -> link.toClient(framed(reply)));
        }

        @Override
        public void drop() {
            end(link::reset);
        }

        private void end(final Runnable action) {
            link.execute(
                    () -> {
                        judging--;
                        if (!link.isOver()) {
                            action.run();
                            passEndsOn();
                        }
                    });
        }
    }

    private ByteBuf framed(final byte[] message) {
        return link.buffer(LENGTH_BYTES + message.length)
                .writeShort(message.length)
                .writeBytes(message);
    }

    private void passEndsOn() {
        if (judging > 0) {
            return;
        }
        if (clientEnded) {
            link.endToServer();
        }
        if (serverEnded) {
            link.endToClient();
        }
    }

    @Override
    public void onClientEnd() {
        clientEnded = true;
        passEndsOn();
    }

    @Override
    public void onServerEnd() {
        serverEnded = true;
        passEndsOn();
    }

    @Override
    public void onConnectFailed() {
        link.reset();
    }

    @Override
    public void onDeadline() {}

    @Override
    public void onClientDrained() {}

    @Override
    public void onClosed() {
        fromClient.release();
        fromServer.release();
    }
}
