package io.sluice.l7proxy.http2;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.util.collection.IntObjectHashMap;
import io.netty.util.collection.IntObjectMap;
import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.http.common.HttpJudge;
import io.sluice.l7proxy.http.common.HttpJudgement;
import io.sluice.l7proxy.http.common.JudgedRequest;
import io.sluice.l7proxy.http2.Half.Progress;
import io.sluice.l7proxy.http2.Http2Leg.Flood;
import io.sluice.l7proxy.rule.HttpRequest;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One connection's streams, in the order in which things happen. Read this file first.
 *
 * <pre>
 *   client -> frames -> HEADERS -> judge -> HEADERS -> server       up
 *                |                   +-> 403 or grpc-status 7
 *                +----> DATA -> windows -> DATA ---->  server
 *   client <- DATA, trailers <- windows <- frames <-   server       down
 * </pre>
 *
 * <p><b>Theory of operation.</b> Client and server each have an HTTP/2 connection with the proxy
 * ({@link Http2Leg}). A request's head is read whole, checked ({@link Http2Head}), judged by the
 * rules of this moment ({@link HttpJudge}), and forwarded on a stream of the same number: numbers
 * only have to rise, so denied ones leave gaps and nothing has to be mapped. Data passes frame by
 * frame, never gathered ({@link Half}). SETTINGS, PING and WINDOW_UPDATE are each leg's own
 * business; RST_STREAM and GOAWAY pass on with their codes. Priorities are not passed on (RFC 9113,
 * 5.3.1 has done away with them).
 *
 * <p><i>Denied</i>: 403, to gRPC trailers alone with grpc-status 7, while other streams go on; if
 * the request has not ended, RST_STREAM with NO_ERROR follows (RFC 9113, 8.1). <i>Malformed</i>:
 * RST_STREAM with the fault's code, on both legs if the head was forwarded. What cannot be read at
 * all, and floods, end the connection with GOAWAY, and the server gets RST_STREAM for what it has.
 * <i>Audited</i>: as if allowed.
 *
 * <p><i>Limits of the server</i>: its SETTINGS arrive when a client may have begun many streams; a
 * lower limit of streams is passed on to the client, and what is beyond it is refused by
 * REFUSED_STREAM, which is safe to try again. Extended CONNECT (RFC 8441) is offered to the client
 * once the server offers it, and judged with the method CONNECT. Streams of CONNECT are tunnels:
 * judged again when the rules have changed, and reset if they are no longer allowed.
 *
 * <p><i>Ends.</i> After the server's GOAWAY, or once it is gone, the streams that are left are
 * finished and the client's leg is closed; what has no answer yet gets 502 or 503, in gRPC 14. A
 * client that sends FIN is gone: HTTP/2 has no use for half a connection, and its servers cancel.
 *
 * <p><i>Bounds</i>: see {@link Http2Limits}. While the client does not take what is sent to it, it
 * is not read, so answers to its PINGs and SETTINGS cannot pile up.
 *
 * <p>Thread: the link's event loop.
 */
final class Http2Conversation implements Conversation {
    private final Link link;
    private final Http2Protocol protocol;
    private final Http2Limits limits;
    private final Http2Leg client;
    private final Http2Leg server;
    private final IntObjectMap<Http2Stream> streams = new IntObjectHashMap<>();

    /** Streams that wait for the window of a connection, in turn. */
    private final Deque<Http2Stream> waitingUp = new ArrayDeque<>();

    private final Deque<Http2Stream> waitingDown = new ArrayDeque<>();

    private boolean hasBegun;
    private boolean hasServer;
    private boolean isServerGone;

    /** Its last stream ends the connection. */
    private boolean isLeaving;

    /** The highest that the client has begun. */
    private int lastId;

    /** The highest that is still served: GOAWAY. */
    private int lastServedId = Integer.MAX_VALUE;

    private int streamsMax;
    private boolean mayExtendConnect;
    private boolean isHeadTimed;
    private @Nullable ByteBuf held;

    Http2Conversation(final Link link, final Http2Protocol protocol) {
        this.link = link;
        this.protocol = protocol;
        this.limits = protocol.limits();
        this.streamsMax = limits.streamsMax();
        this.client = new Http2Leg(link, link::toClient, new ClientFrames(), limits, true);
        this.server = new Http2Leg(link, link::toServer, new ServerFrames(), limits, false);
    }

    private void begin() {
        if (!hasBegun) {
            hasBegun = true;
            client.begin(protocol.clientSettings(), false);
        }
    }

    private void beginServer() {
        if (!hasServer) {
            hasServer = true;
            server.begin(protocol.serverSettings(), true);
        }
    }

    /** The request on stream 1 came over HTTP/1.1, and the server has agreed to answer there. */
    void beginUpgraded(
            final HttpRequest request, final JudgedRequest judged, final Http2Settings settings) {
        begin();
        beginServer();
        client.apply(settings);
        final boolean isGrpc =
                request.headers("content-type").stream()
                        .anyMatch(type -> type.startsWith("application/grpc"));
        final Http2Stream stream = add(1, judged, isGrpc, null);
        stream.up.endWithHead();
        stream.isForwarded = true;
        lastId = 1;
    }

    private Http2Stream add(
            final int id,
            final JudgedRequest judged,
            final boolean isGrpc,
            final @Nullable HttpRequest tunnelRequest) {
        final Http2Stream stream =
                new Http2Stream(id, judged, isGrpc, tunnelRequest, client, server, limits);
        streams.put(id, stream);
        return stream;
    }

    // From the client.

    @Override
    public void onClientBytes(final ByteBuf bytes) {
        begin();
        final ByteBuf before = held;
        if (before == null) {
            readClient(bytes);
        } else {
            held =
                    link.buffer(before.readableBytes() + bytes.readableBytes())
                            .writeBytes(before)
                            .writeBytes(bytes);
            before.release();
            bytes.release();
        }
    }

    private void readClient(final ByteBuf bytes) {
        held = client.read(bytes, () -> !link.isOver() && !link.isClientFull());
        if (link.isOver()) {
            return;
        }
        if (held != null) {
            link.pauseClient();
        }
        if (client.isWithinHead() != isHeadTimed) {
            isHeadTimed = !isHeadTimed;
            if (isHeadTimed) {
                link.setDeadline(link.config().headTimeout().toNanos());
            } else {
                link.clearDeadline();
            }
        }
    }

    @Override
    public void onClientDrained() {
        drain(false);
        final ByteBuf bytes = held;
        if (bytes != null && !link.isClientFull() && !link.isOver()) {
            held = null;
            link.resumeClient();
            readClient(bytes);
        }
    }

    private final class ClientFrames extends Http2Frames {
        @Override
        void onHead(final int id, final Http2Head head, final boolean isEnd) {
            onClientHead(id, head, isEnd);
        }

        @Override
        void onData(final int id, final ByteBuf data, final int padding, final boolean isEnd) {
            onClientData(id, data, padding, isEnd);
        }

        @Override
        void onReset(final int id, final long code) {
            onClientReset(id, code);
        }

        @Override
        void onSettings(final Http2Settings settings) {
            if (client.isFlood(Flood.SETTINGS)) {
                failClient(Http2Fault.FLOOD_OF_SETTINGS);
            } else if (raiseAll(client.apply(settings), false)) {
                client.writeSettingsAck();
            } else {
                failClient(Http2Fault.WINDOW_TOO_LARGE);
            }
        }

        @Override
        void onPing(final long data) {
            if (client.isFlood(Flood.PINGS)) {
                failClient(Http2Fault.FLOOD_OF_PINGS);
            } else {
                client.writePingAck(data);
            }
        }

        @Override
        void onWindowUpdate(final int id, final int more) {
            final Http2Stream stream = streams.get(id);
            if (id == 0) {
                if (client.raise(more)) {
                    drain(false);
                } else {
                    failClient(Http2Fault.WINDOW_TOO_LARGE);
                }
            } else if (stream == null) {
                onIdle(id);
            } else if (stream.down.raise(more)) {
                pump(stream, false);
            } else {
                failRequest(stream, Http2Fault.WINDOW_TOO_LARGE, Http2Error.FLOW_CONTROL_ERROR);
            }
        }

        /** It comes before the end of the connection, which is all that matters of it. */
        @Override
        void onGoAway(final int last, final long code) {}

        @Override
        void onIdle(final int id) {
            if (hasNotBegun(id)) {
                failClient(Http2Fault.IDLE_STREAM);
            } else if (client.isFlood(Flood.IDLE_FRAMES)) {
                failClient(Http2Fault.FLOOD_OF_IDLE_FRAMES);
            }
        }

        @Override
        void onConnectionFault(
                final Http2Fault fault, final Http2Error error, final String detail) {
            failClient(fault, error, detail);
        }

        @Override
        void onStreamFault(
                final int id, final Http2Fault fault, final Http2Error error, final String detail) {
            final Http2Stream stream = streams.get(id);
            if (stream != null) {
                failRequest(stream, fault, error);
            } else if (fault.isTooLarge() && isNext(id)) {
                lastId = id;
                if (id <= lastServedId) {
                    refuse(id, fault, false);
                }
            } else if (id > lastId) {
                failClient(fault, error, detail);
            }
        }
    }

    /** Whether a frame is of a stream that no one has begun; the connection itself is 0. */
    private boolean hasNotBegun(final int id) {
        return id > lastId || ((id & 1) == 0 && id != 0);
    }

    /** Streams that clients begin have odd numbers, which rise: RFC 9113, 5.1.1. */
    private boolean isNext(final int id) {
        return (id & 1) == 1 && id > lastId;
    }

    private void onClientHead(final int id, final Http2Head head, final boolean isEnd) {
        final Http2Stream stream = streams.get(id);
        if (stream != null) {
            onRequestTrailers(stream, head, isEnd);
            return;
        }
        if (!isNext(id)) {
            // Trailers of a stream that we have ended may still be on their way, requests cannot.
            if ((id & 1) == 0 || head.hasRequestPseudo()) {
                failClient(Http2Fault.BAD_STREAM_NUMBER);
            } else if (client.isFlood(Flood.IDLE_FRAMES)) {
                failClient(Http2Fault.FLOOD_OF_IDLE_FRAMES);
            }
            return;
        }
        lastId = id;
        if (id > lastServedId) {
            return;
        }
        if (streams.size() >= streamsMax) {
            link.counters().count(ProxyCounter.STREAMS_REFUSED);
            client.writeReset(id, Http2Error.REFUSED_STREAM.code());
            countReset();
            return;
        }
        final Http2Fault fault = head.requestFault(mayExtendConnect);
        if (fault != Http2Fault.NONE) {
            refuse(id, fault, isEnd);
        } else if (isEnd && head.contentLength() > 0) {
            refuse(id, Http2Fault.LENGTH_DIFFERS, true);
        } else {
            onRequest(id, head, isEnd);
        }
    }

    private void onRequest(final int id, final Http2Head head, final boolean isEnd) {
        final FlowRules rules = link.flow().policy().now();
        final HttpJudgement judgement = judge(rules, head);
        final JudgedRequest judged =
                new JudgedRequest(
                        judgement.verdict(),
                        rules.revision(),
                        judgement.by(),
                        "HTTP/2",
                        head.method(),
                        head.url(),
                        link.nowNs(),
                        judgement.missing(),
                        judgement.rejected());
        final Http2Stream stream =
                add(id, judged, head.isGrpc(), head.isConnect() ? head.snapshot() : null);
        stream.up.expect(head.contentLength());
        link.counters().count(counter(judgement.verdict()));
        protocol.sink().report(judged.requestEvent(link.flow()));
        if (judgement.passes()) {
            beginServer();
            head.edit(judgement.edits());
            stream.isForwarded = true;
            server.writeHeaders(id, head, isEnd);
            if (isEnd) {
                stream.up.endWithHead();
            }
        } else {
            if (isEnd) {
                stream.up.endWithHead();
            }
            answer(stream, Http2Answer.DENIED);
        }
    }

    private HttpJudgement judge(final FlowRules rules, final HttpRequest request) {
        return HttpJudge.judge(rules, request, link.serverName(), protocol.secrets());
    }

    private static ProxyCounter counter(final Verdict verdict) {
        return switch (verdict) {
            case FORWARDED -> ProxyCounter.REQUESTS_FORWARDED;
            case AUDITED -> ProxyCounter.REQUESTS_AUDITED;
            case DENIED -> ProxyCounter.REQUESTS_DENIED;
            case ERROR -> ProxyCounter.REQUESTS_MALFORMED;
        };
    }

    /** A request that has not got as far as the rules. */
    private void refuse(final int id, final Http2Fault fault, final boolean isEnd) {
        link.counters().count(ProxyCounter.REQUESTS_MALFORMED);
        final JudgedRequest judged =
                JudgedRequest.unreadable(fault.meaning(), "HTTP/2", link.nowNs());
        protocol.sink().report(judged.requestEvent(link.flow()));
        if (fault.isTooLarge()) {
            final Http2Stream stream = add(id, judged, false, null);
            if (isEnd) {
                stream.up.endWithHead();
            }
            answer(stream, Http2Answer.HEAD_TOO_LARGE);
        } else {
            client.writeReset(id, fault.error().code());
            countReset();
        }
    }

    /** Gives our answer in place of the server's, which has no part in the stream any more. */
    private void answer(final Http2Stream stream, final Http2Answer answer) {
        stream.isForwarded = false;
        stream.up.drop();
        client.writeHeaders(stream.id, answer.head(stream.isGrpc), isBare(stream));
        if (isBare(stream)) {
            stream.down.endWithHead();
        } else {
            stream.down.answer(Unpooled.wrappedBuffer(answer.body()));
        }
        reportAnswer(
                stream,
                answer.status(stream.isGrpc),
                stream.isGrpc ? answer.grpcStatus() : L7Event.Http.NO_GRPC);
        pump(stream, false);
    }

    private static boolean isBare(final Http2Stream stream) {
        return stream.isGrpc || stream.isHead;
    }

    private void onRequestTrailers(
            final Http2Stream stream, final Http2Head head, final boolean isEnd) {
        final Http2Fault fault = isEnd ? head.trailersFault() : Http2Fault.TRAILERS_WITHOUT_END;
        final Http2Fault end = fault == Http2Fault.NONE ? stream.up.end(head) : fault;
        if (end == Http2Fault.NONE) {
            pump(stream, true);
        } else {
            failRequest(stream, end, end.error());
        }
    }

    private void onClientData(
            final int id, final ByteBuf data, final int padding, final boolean isEnd) {
        final int size = data.readableBytes() + padding;
        if (!client.receive(size)) {
            failClient(Http2Fault.BEYOND_WINDOW);
            return;
        }
        if (!data.isReadable() && !isEnd && client.isFlood(Flood.EMPTY_FRAMES)) {
            failClient(Http2Fault.FLOOD_OF_EMPTY_FRAMES);
            return;
        }
        final Http2Stream stream = streams.get(id);
        if (stream == null) {
            if (hasNotBegun(id)) {
                failClient(Http2Fault.IDLE_STREAM);
            }
            client.grant(size);
            return;
        }
        if (isCut(stream)) {
            client.grant(size);
            return;
        }
        final Http2Fault fault = stream.up.take(data, padding, isEnd);
        if (fault == Http2Fault.NONE) {
            pump(stream, true);
        } else {
            failRequest(stream, fault, fault.error());
        }
    }

    private void onClientReset(final int id, final long code) {
        final Http2Stream stream = streams.get(id);
        if (stream == null) {
            if (hasNotBegun(id)) {
                failClient(Http2Fault.IDLE_STREAM);
            } else if (client.isFlood(Flood.IDLE_FRAMES)) {
                failClient(Http2Fault.FLOOD_OF_IDLE_FRAMES);
            }
            return;
        }
        link.counters().count(ProxyCounter.STREAMS_RESET);
        resetServer(stream, code);
        reportFailure(stream, "the client reset the stream");
        final boolean isEarly = stream.status == 0;
        remove(stream);
        if (isEarly) {
            countReset();
        }
    }

    /** CVE-2023-44487; and CVE-2025-8671, where the client's faults make us reset. */
    private void countReset() {
        if (client.isFlood(Flood.RESETS)) {
            failClient(Http2Fault.FLOOD_OF_RESETS);
        }
    }

    private void resetServer(final Http2Stream stream, final long code) {
        if (stream.isForwarded) {
            stream.isForwarded = false;
            server.writeReset(stream.id, code);
        }
    }

    /** What came on a stream of the client cannot be: neither end may take it for complete. */
    private void failRequest(
            final Http2Stream stream, final Http2Fault fault, final Http2Error error) {
        link.counters().count(ProxyCounter.REQUESTS_MALFORMED);
        resetServer(stream, Http2Error.CANCEL.code());
        client.writeReset(stream.id, error.code());
        reportFailure(stream, fault.meaning());
        remove(stream);
        countReset();
    }

    private void failClient(final Http2Fault fault) {
        failClient(fault, fault.error(), fault.meaning());
    }

    /** The client's connection ends, and with it everything that it has asked for. */
    private void failClient(final Http2Fault fault, final Http2Error error, final String detail) {
        if (link.isOver()) {
            return;
        }
        link.counters()
                .count(
                        switch (fault) {
                            case FLOOD_OF_RESETS -> ProxyCounter.FLOODS_OF_RESETS;
                            case FLOOD_OF_SETTINGS -> ProxyCounter.FLOODS_OF_SETTINGS;
                            case FLOOD_OF_PINGS -> ProxyCounter.FLOODS_OF_PINGS;
                            case FLOOD_OF_EMPTY_FRAMES -> ProxyCounter.FLOODS_OF_EMPTY_FRAMES;
                            case FLOOD_OF_IDLE_FRAMES -> ProxyCounter.FLOODS_OF_IDLE_FRAMES;
                            case FLOOD_OF_CONTINUATIONS -> ProxyCounter.FLOODS_OF_CONTINUATIONS;
                            case LATE -> ProxyCounter.REQUESTS_LATE;
                            default -> ProxyCounter.REQUESTS_MALFORMED;
                        });
        protocol.sink()
                .report(
                        JudgedRequest.unreadable(fault.meaning(), "HTTP/2", link.nowNs())
                                .requestEvent(link.flow()));
        client.writeGoAway(lastId, error.code(), detail);
        cancelAll(fault.meaning());
        link.finish();
    }

    private void cancelAll(final String why) {
        for (final Http2Stream stream : all()) {
            resetServer(stream, Http2Error.CANCEL.code());
            reportFailure(stream, why);
        }
    }

    private Http2Stream[] all() {
        return streams.values().toArray(new Http2Stream[0]);
    }

    @Override
    public void onDeadline() {
        failClient(Http2Fault.LATE);
    }

    @Override
    public void onClientEnd() {
        cancelAll("the client ended the connection");
        link.finish();
    }

    // From the server.

    @Override
    public void onServerBytes(final ByteBuf bytes) {
        if (isServerGone) {
            bytes.release();
            return;
        }
        // A server that was asked by ALPN may speak before there is anything to ask of it.
        begin();
        beginServer();
        final ByteBuf rest = server.read(bytes, () -> !isServerGone && !link.isOver());
        if (rest != null) {
            rest.release();
        }
    }

    private final class ServerFrames extends Http2Frames {
        @Override
        void onHead(final int id, final Http2Head head, final boolean isEnd) {
            onServerHead(id, head, isEnd);
        }

        @Override
        void onData(final int id, final ByteBuf data, final int padding, final boolean isEnd) {
            onServerData(id, data, padding, isEnd);
        }

        @Override
        void onReset(final int id, final long code) {
            onServerReset(id, code);
        }

        @Override
        void onSettings(final Http2Settings settings) {
            if (server.isFlood(Flood.SETTINGS)) {
                failServer(Http2Fault.FLOOD_OF_SETTINGS);
            } else if (raiseAll(server.apply(settings), true)) {
                server.writeSettingsAck();
                passOn(settings);
            } else {
                failServer(Http2Fault.WINDOW_TOO_LARGE);
            }
        }

        @Override
        void onPing(final long data) {
            if (server.isFlood(Flood.PINGS)) {
                failServer(Http2Fault.FLOOD_OF_PINGS);
            } else {
                server.writePingAck(data);
            }
        }

        @Override
        void onWindowUpdate(final int id, final int more) {
            final Http2Stream stream = streams.get(id);
            if (id == 0) {
                if (server.raise(more)) {
                    drain(true);
                } else {
                    failServer(Http2Fault.WINDOW_TOO_LARGE);
                }
            } else if (stream == null || !stream.isForwarded) {
                onIdle(id);
            } else if (stream.up.raise(more)) {
                pump(stream, true);
            } else {
                failAnswer(stream, Http2Fault.WINDOW_TOO_LARGE, Http2Error.FLOW_CONTROL_ERROR);
            }
        }

        @Override
        void onGoAway(final int last, final long code) {
            onServerGoAway(last, code);
        }

        @Override
        void onIdle(final int id) {
            if (hasNotBegun(id)) {
                failServer(Http2Fault.IDLE_STREAM);
            } else if (server.isFlood(Flood.IDLE_FRAMES)) {
                failServer(Http2Fault.FLOOD_OF_IDLE_FRAMES);
            }
        }

        @Override
        void onConnectionFault(
                final Http2Fault fault, final Http2Error error, final String detail) {
            failServer(fault, error, detail);
        }

        @Override
        void onStreamFault(
                final int id, final Http2Fault fault, final Http2Error error, final String detail) {
            final Http2Stream stream = streams.get(id);
            if (stream != null && stream.isForwarded) {
                failAnswer(stream, fault, fault.isTooLarge() ? Http2Error.CANCEL : error);
            } else if (id > lastId) {
                failServer(fault, error, detail);
            }
        }
    }

    private void passOn(final Http2Settings settings) {
        final Http2Settings ours = new Http2Settings();
        final Long most = settings.maxConcurrentStreams();
        if (most != null) {
            final int both = (int) Math.min(most, limits.streamsMax());
            if (both != streamsMax) {
                streamsMax = both;
                ours.maxConcurrentStreams(both);
            }
        }
        final Boolean offersConnect = settings.connectProtocolEnabled();
        if (offersConnect != null && offersConnect && !mayExtendConnect) {
            mayExtendConnect = true;
            ours.connectProtocolEnabled(true);
        }
        if (!ours.isEmpty()) {
            client.writeSettings(ours);
        }
    }

    private void onServerHead(final int id, final Http2Head head, final boolean isEnd) {
        final Http2Stream stream = streams.get(id);
        if (stream == null || !stream.isForwarded) {
            if (hasNotBegun(id)) {
                failServer(Http2Fault.IDLE_STREAM);
            }
        } else if (stream.status == 0) {
            onAnswer(stream, head, isEnd);
        } else {
            onAnswerTrailers(stream, head, isEnd);
        }
    }

    private void onAnswer(final Http2Stream stream, final Http2Head head, final boolean isEnd) {
        final Http2Fault fault = head.answerFault();
        final int status = head.statusCode();
        if (fault != Http2Fault.NONE || (status < 200 && isEnd)) {
            failAnswer(
                    stream,
                    fault == Http2Fault.NONE ? Http2Fault.BAD_STATUS : fault,
                    Http2Error.PROTOCOL_ERROR);
            return;
        }
        final boolean hasNoBody = stream.isHead || status == 204 || status == 304;
        if (isEnd && !hasNoBody && head.contentLength() > 0) {
            failAnswer(stream, Http2Fault.LENGTH_DIFFERS, Http2Error.PROTOCOL_ERROR);
            return;
        }
        client.writeHeaders(stream.id, head, isEnd);
        if (status < 200) {
            return;
        }
        stream.status = status;
        stream.down.expect(hasNoBody ? 0 : head.contentLength());
        if (isEnd) {
            stream.down.endWithHead();
            reportAnswer(stream, status, head.grpcStatus());
            pump(stream, false);
        } else if (!stream.isGrpc) {
            reportAnswer(stream, status, L7Event.Http.NO_GRPC);
        }
    }

    private void onAnswerTrailers(
            final Http2Stream stream, final Http2Head head, final boolean isEnd) {
        final Http2Fault fault = isEnd ? head.trailersFault() : Http2Fault.TRAILERS_WITHOUT_END;
        final Http2Fault end = fault == Http2Fault.NONE ? stream.down.end(head) : fault;
        if (end == Http2Fault.NONE) {
            reportAnswer(stream, stream.status, head.grpcStatus());
            pump(stream, false);
        } else {
            failAnswer(stream, end, Http2Error.PROTOCOL_ERROR);
        }
    }

    private void onServerData(
            final int id, final ByteBuf data, final int padding, final boolean isEnd) {
        final int size = data.readableBytes() + padding;
        if (!server.receive(size)) {
            failServer(Http2Fault.BEYOND_WINDOW);
            return;
        }
        if (!data.isReadable() && !isEnd && server.isFlood(Flood.EMPTY_FRAMES)) {
            failServer(Http2Fault.FLOOD_OF_EMPTY_FRAMES);
            return;
        }
        final Http2Stream stream = streams.get(id);
        if (stream == null || !stream.isForwarded) {
            server.grant(size);
            if (hasNotBegun(id)) {
                failServer(Http2Fault.IDLE_STREAM);
            }
            return;
        }
        if (stream.status == 0) {
            server.grant(size);
            failAnswer(stream, Http2Fault.MISSING_PSEUDO_HEADER, Http2Error.PROTOCOL_ERROR);
            return;
        }
        if (isCut(stream)) {
            server.grant(size);
            return;
        }
        final Http2Fault fault = stream.down.take(data, padding, isEnd);
        if (fault == Http2Fault.NONE) {
            if (isEnd) {
                reportAnswer(stream, stream.status, L7Event.Http.NO_GRPC);
            }
            pump(stream, false);
        } else {
            failAnswer(stream, fault, fault.error());
        }
    }

    private void onServerReset(final int id, final long code) {
        final Http2Stream stream = streams.get(id);
        if (stream == null || !stream.isForwarded) {
            if (hasNotBegun(id)) {
                failServer(Http2Fault.IDLE_STREAM);
            } else if (server.isFlood(Flood.IDLE_FRAMES)) {
                failServer(Http2Fault.FLOOD_OF_IDLE_FRAMES);
            }
            return;
        }
        link.counters().count(ProxyCounter.STREAMS_RESET);
        stream.isForwarded = false;
        if (stream.down.hasEnded()) {
            // The answer is complete; the server does not want the rest of the request.
            stream.up.drop();
            stream.resetAfter = code;
            pump(stream, false);
        } else {
            client.writeReset(id, code);
            reportFailure(stream, "the server reset the stream");
            remove(stream);
        }
    }

    /** What a server answers cannot be passed on. */
    private void failAnswer(
            final Http2Stream stream, final Http2Fault fault, final Http2Error error) {
        link.counters().count(ProxyCounter.ANSWERS_MALFORMED);
        resetServer(stream, error.code());
        giveUp(stream, Http2Answer.BAD_ANSWER, fault.meaning());
    }

    /** Ends a stream to which the server will not give (the rest of) an answer. */
    private void giveUp(final Http2Stream stream, final Http2Answer answer, final String why) {
        stream.isForwarded = false;
        if (stream.status == 0) {
            reportFailure(
                    stream,
                    answer.status(stream.isGrpc),
                    stream.isGrpc ? answer.grpcStatus() : L7Event.Http.NO_GRPC,
                    why);
            answer(stream, answer);
        } else {
            reportFailure(stream, why);
            client.writeReset(stream.id, Http2Error.INTERNAL_ERROR.code());
            remove(stream);
        }
    }

    private void failServer(final Http2Fault fault) {
        failServer(fault, fault.error(), fault.meaning());
    }

    private void failServer(final Http2Fault fault, final Http2Error error, final String detail) {
        if (isServerGone || link.isOver()) {
            return;
        }
        link.counters().count(ProxyCounter.ANSWERS_MALFORMED);
        server.writeGoAway(0, error.code(), detail);
        link.endToServer();
        endServer(Http2Answer.BAD_ANSWER, fault.meaning());
    }

    @Override
    public void onServerEnd() {
        link.endToServer();
        endServer(Http2Answer.UNREACHABLE, "the server ended the connection");
    }

    @Override
    public void onConnectFailed() {
        endServer(Http2Answer.UNREACHABLE, link.connectFailure());
    }

    /** No more comes from the server: streams are ended, answers that are complete delivered. */
    private void endServer(final Http2Answer answer, final String why) {
        if (isServerGone) {
            return;
        }
        isServerGone = true;
        leave(Math.min(lastId, lastServedId), Http2Error.NO_ERROR.code(), why);
        for (final Http2Stream stream : all()) {
            if (stream.isForwarded) {
                if (stream.down.hasEnded()) {
                    stream.isForwarded = false;
                    stream.up.drop();
                    pump(stream, false);
                } else {
                    giveUp(stream, answer, why);
                }
            }
        }
        finishIfDone();
    }

    private void leave(final int last, final long code, final String why) {
        isLeaving = true;
        lastServedId = last;
        client.writeGoAway(last, code, why);
    }

    private void onServerGoAway(final int last, final long code) {
        if (last > lastServedId) {
            return;
        }
        if (last == Integer.MAX_VALUE) {
            // A warning, RFC 9113, 6.8: the number follows.
            client.writeGoAway(last, code, "");
            return;
        }
        leave(last, code, "");
        for (final Http2Stream stream : all()) {
            if (stream.id > last && stream.isForwarded) {
                stream.isForwarded = false;
                client.writeReset(stream.id, Http2Error.REFUSED_STREAM.code());
                reportFailure(stream, "the server is going away");
                remove(stream);
            }
        }
        finishIfDone();
    }

    // Both ways.

    /** Whether it is a tunnel that the rules do not allow any more. */
    private boolean isCut(final Http2Stream stream) {
        final HttpRequest request = stream.tunnelRequest;
        if (request == null || !stream.isForwarded) {
            return false;
        }
        final FlowRules rules = link.flow().policy().now();
        if (rules.revision() == stream.tunnelRevision) {
            return false;
        }
        stream.tunnelRevision = rules.revision();
        if (judge(rules, request).passes()) {
            return false;
        }
        link.counters().count(ProxyCounter.CONNECTIONS_CUT);
        resetServer(stream, Http2Error.CANCEL.code());
        client.writeReset(stream.id, Http2Error.CANCEL.code());
        reportFailure(stream, "policy no longer allows it");
        remove(stream);
        return true;
    }

    /** Sends what the windows let go. */
    private void pump(final Http2Stream stream, final boolean isUp) {
        final Half half = isUp ? stream.up : stream.down;
        if (half.isDropped()) {
            finishStream(stream);
            return;
        }
        Progress progress = Progress.SENT;
        while (progress == Progress.SENT) {
            progress = step(half, isUp);
        }
        if (progress == Progress.LEG_FULL) {
            await(stream, isUp);
        } else if (progress == Progress.ENDED) {
            finishStream(stream);
        }
    }

    private Progress step(final Half half, final boolean isUp) {
        return half.step(!isUp && link.isClientFull());
    }

    private void await(final Http2Stream stream, final boolean isUp) {
        if (isUp && !stream.waitsUp) {
            stream.waitsUp = true;
            waitingUp.add(stream);
        } else if (!isUp && !stream.waitsDown) {
            stream.waitsDown = true;
            waitingDown.add(stream);
        }
    }

    /** A frame for each that waits, in turn, until the connection takes no more. */
    private void drain(final boolean isUp) {
        final Deque<Http2Stream> waiting = isUp ? waitingUp : waitingDown;
        while (!waiting.isEmpty() && !link.isOver()) {
            final Http2Stream stream = waiting.getFirst();
            final Half half = isUp ? stream.up : stream.down;
            final Progress progress = half.isDropped() ? Progress.IDLE : step(half, isUp);
            if (progress == Progress.LEG_FULL) {
                return;
            }
            waiting.remove(stream);
            if (progress == Progress.SENT) {
                waiting.addLast(stream);
                continue;
            }
            if (isUp) {
                stream.waitsUp = false;
            } else {
                stream.waitsDown = false;
            }
            if (progress == Progress.ENDED) {
                finishStream(stream);
            }
        }
    }

    /**
     * Windows of all streams towards one end change.
     *
     * @return false if one becomes too large
     */
    private boolean raiseAll(final int change, final boolean isUp) {
        if (change == 0) {
            return true;
        }
        for (final Http2Stream stream : all()) {
            if (!(isUp ? stream.up : stream.down).raise(change)) {
                return false;
            }
        }
        for (final Http2Stream stream : all()) {
            pump(stream, isUp);
        }
        return true;
    }

    /** The answer has ended: so has the stream, unless the server still takes the request. */
    private void finishStream(final Http2Stream stream) {
        if (!stream.down.hasSentEnd() || !streams.containsKey(stream.id)) {
            return;
        }
        final boolean isUpOver =
                stream.up.hasSentEnd() || (stream.up.isDropped() && stream.up.hasEnded());
        if (!isUpOver && stream.up.isDropped()) {
            client.writeReset(stream.id, stream.resetAfter);
        }
        if (isUpOver || stream.up.isDropped()) {
            remove(stream);
        }
    }

    private void remove(final Http2Stream stream) {
        streams.remove(stream.id);
        if (stream.waitsUp) {
            waitingUp.remove(stream);
        }
        if (stream.waitsDown) {
            waitingDown.remove(stream);
        }
        stream.up.drop();
        stream.down.drop();
        finishIfDone();
    }

    private void finishIfDone() {
        if (isLeaving && streams.isEmpty()) {
            link.finish();
        }
    }

    // Reports.

    private void reportAnswer(final Http2Stream stream, final int status, final int grpcStatus) {
        if (!stream.isReported) {
            stream.isReported = true;
            protocol.sink()
                    .report(
                            stream.judged.answerEvent(
                                    link.flow(), status, grpcStatus, link.nowNs()));
        }
    }

    private void reportFailure(final Http2Stream stream, final String why) {
        reportFailure(stream, stream.status, L7Event.Http.NO_GRPC, why);
    }

    private void reportFailure(
            final Http2Stream stream, final int status, final int grpcStatus, final String why) {
        if (!stream.isReported) {
            stream.isReported = true;
            protocol.sink()
                    .report(
                            stream.judged.failureEvent(
                                    link.flow(), status, grpcStatus, why, link.nowNs()));
        }
    }

    @Override
    public void onClosed() {
        for (final Http2Stream stream : List.of(all())) {
            reportFailure(stream, "the connection ended");
            streams.remove(stream.id);
            stream.up.drop();
            stream.down.drop();
        }
        client.close();
        server.close();
        if (held != null) {
            held.release();
            held = null;
        }
    }
}
