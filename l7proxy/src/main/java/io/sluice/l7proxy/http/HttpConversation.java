package io.sluice.l7proxy.http;

import io.netty.buffer.ByteBuf;
import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.Tunnel;
import io.sluice.l7proxy.http.common.HttpJudge;
import io.sluice.l7proxy.http.common.HttpJudgement;
import io.sluice.l7proxy.http2.Http2Protocol;
import io.sluice.l7proxy.rule.HttpOutcome.Edit;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import io.sluice.l7proxy.rule.HttpRequest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * One connection's requests and answers, in the order in which things happen. Read this file first.
 *
 * <pre>
 *   client -> head -> judge -> forward -> body ->            server
 *                       |                                      |
 *                       +-> 403, in its turn        head <- ---+
 *   client <------------------------------- body <- head
 * </pre>
 *
 * <p><b>Theory of operation.</b> A request's head is read whole ({@link HeadParser}), judged by the
 * rules of this moment ({@link HttpJudge}), and forwarded as it came, or with the edits that rules
 * ask for. Bodies are never gathered: they pass as they arrive, framed by {@link BodyFramer}, which
 * finds where the next head starts. Answers are framed as well, so that each belongs to its request
 * and ours come in their turn: the queue of exchanges has the requests without an answer, in order.
 *
 * <p><i>Denied</i>: 403 in its turn. The body is read and dropped; if it is too long for that
 * ({@link HttpLimits#skippedBodyMax}), or the client waits with it (Expect), the connection ends
 * with the answer. <i>Malformed</i>: refused in its turn and the end of the connection; nothing of
 * it is forwarded. If the fault is in a body whose head was forwarded, the server is reset, so that
 * it cannot take what it has for complete. <i>Audited</i>: as if allowed.
 *
 * <p><i>Tunnels.</i> After a request for Upgrade or CONNECT the client is not read until the
 * answer: 101 or 2xx hands both directions to a {@link Tunnel}, and anything else goes on as HTTP.
 * The Upgrade header is left out when it asks for TLS, or for several ways to speak HTTP: inside,
 * requests would pass unseen. The server then answers as if it had not been asked, RFC 9110, 7.8.
 *
 * <p><i>HTTP/2.</i> A connection that begins with the preface of HTTP/2 goes on as such. So does
 * one whose request for {@code h2c} is allowed and answered with 101; the server is asked with the
 * proxy's settings in place of the client's.
 *
 * <p><i>Bounds</i>: one partial head per direction, {@link HttpLimits#pipelinedMax} exchanges, one
 * read buffer that is held while the client is not read. A head must be complete in time ({@code
 * headTimeout}), else 408.
 *
 * <p><i>Server faults</i>: an answer that cannot be framed is a 502 if nothing of it has been
 * passed on. Bytes that answer no request end the connection and are dropped: to a client they
 * would be the answer to its next request.
 *
 * <p>Thread: the link's event loop.
 */
final class HttpConversation implements Conversation {
    /** What the next byte of the client is. */
    private enum Requests {
        /** The first of the connection: part of a head, or of the preface of HTTP/2. */
        FIRST,
        /** Part of a head, or of an empty line before it. */
        HEAD,
        /** Part of a body that goes to the server. */
        FORWARDING,
        /** Part of a denied request's body. */
        SKIPPING,
        /** Unknown until the server has answered; held. */
        UPGRADING,
        /** Dropped: no request follows. */
        OVER
    }

    /** What the next byte of the server is. */
    private enum Answers {
        HEAD,
        BODY
    }

    private static final List<HeaderEdit> WITHOUT_UPGRADE =
            List.of(
                    new HeaderEdit(Edit.DELETE, "upgrade", ""),
                    new HeaderEdit(Edit.DELETE, "http2-settings", ""));

    private final Link link;
    private final HttpProtocol protocol;
    private final Deque<HttpExchange> exchanges = new ArrayDeque<>(4);

    private Requests requests = Requests.FIRST;

    /** How much of the preface of HTTP/2 the connection has begun with. */
    private int prefaced;

    private final HeadParser requestHead;
    private final BodyFramer requestBody;
    private long skipped;
    private boolean isHeadTimed;
    private boolean clientEnded;
    private @Nullable ByteBuf held;

    private Answers answers = Answers.HEAD;
    private final HeadParser answerHead;
    private final BodyFramer answerBody;

    HttpConversation(final Link link, final HttpProtocol protocol) {
        this.link = link;
        this.protocol = protocol;
        requestHead = new HeadParser(HeadParser.Kind.REQUEST, protocol.limits());
        requestBody = new BodyFramer(protocol.limits());
        answerHead = new HeadParser(HeadParser.Kind.RESPONSE, protocol.limits());
        answerBody = new BodyFramer(protocol.limits());
    }

    // Requests.

    @Override
    public void onClientBytes(final ByteBuf bytes) {
        final ByteBuf before = held;
        if (before == null) {
            readRequests(bytes);
        } else {
            final ByteBuf both =
                    link.buffer(before.readableBytes() + bytes.readableBytes())
                            .writeBytes(before)
                            .writeBytes(bytes);
            before.release();
            bytes.release();
            held = both;
        }
    }

    private void readRequests(final ByteBuf in) {
        try {
            boolean goesOn = true;
            while (goesOn && in.isReadable() && !link.isOver()) {
                goesOn =
                        switch (requests) {
                            case FIRST -> readFirst(in);
                            case HEAD -> readHead(in);
                            case FORWARDING -> forwardBody(in);
                            case SKIPPING -> skipBody(in);
                            case UPGRADING -> hold(in);
                            case OVER -> false;
                        };
            }
        } finally {
            in.release();
        }
    }

    private boolean readFirst(final ByteBuf in) {
        final int matched = Http2Protocol.matchPreface(in, prefaced);
        if (matched == in.readableBytes() && prefaced + matched < Http2Protocol.PREFACE_LENGTH) {
            prefaced += matched;
            in.skipBytes(matched);
            timeHead();
            return false;
        }
        if (prefaced + matched < Http2Protocol.PREFACE_LENGTH) {
            requests = Requests.HEAD;
            if (prefaced == 0) {
                return true;
            }
            readRequests(withPrefaced(in));
        } else {
            isHeadTimed = false;
            link.clearDeadline();
            final Conversation http2 = protocol.http2().open(link);
            link.switchTo(http2);
            http2.onClientBytes(withPrefaced(in));
        }
        return false;
    }

    private ByteBuf withPrefaced(final ByteBuf in) {
        final ByteBuf all = link.buffer(prefaced + in.readableBytes());
        Http2Protocol.writePreface(all, prefaced);
        return all.writeBytes(in);
    }

    private void timeHead() {
        if (!isHeadTimed) {
            isHeadTimed = true;
            link.setDeadline(link.config().headTimeout().toNanos());
        }
    }

    private boolean hold(final ByteBuf in) {
        held = in.readRetainedSlice(in.readableBytes());
        link.pauseClient();
        return false;
    }

    private void readHeld() {
        final ByteBuf bytes = held;
        if (bytes != null) {
            held = null;
            link.resumeClient();
            readRequests(bytes);
        }
        endAfterClient();
    }

    private boolean readHead(final ByteBuf in) {
        if (exchanges.size() >= protocol.limits().pipelinedMax() || link.isClientFull()) {
            return hold(in);
        }
        final HeadParser.Progress progress = requestHead.read(in);
        if (isHeadTimed && progress != HeadParser.Progress.MORE) {
            isHeadTimed = false;
            link.clearDeadline();
        }
        return switch (progress) {
            case MORE -> {
                if (requestHead.isWithinHead()) {
                    timeHead();
                }
                yield false;
            }
            case FAULT -> {
                refuse(requestHead.fault());
                yield false;
            }
            case COMPLETE -> {
                onRequest(in);
                requestHead.next();
                yield true;
            }
        };
    }

    private void onRequest(final ByteBuf in) {
        final FlowRules rules = link.flow().policy().now();
        final HttpJudgement judgement = judge(rules, requestHead);
        final boolean isToHttp2 =
                requestHead.asksForUpgrade() && Http2Protocol.isUpgrade(requestHead);
        final boolean dropsUpgrade =
                requestHead.hasUpgrade() && !isToHttp2 && isUpgradeToHttp(requestHead);
        final boolean mayTunnel =
                requestHead.isConnect() || (requestHead.asksForUpgrade() && !dropsUpgrade);
        final HttpExchange exchange =
                HttpExchange.judged(
                        requestHead,
                        judgement,
                        link.isClientSecure() ? "https://" : "http://",
                        rules.revision(),
                        mayTunnel,
                        isToHttp2,
                        link.nowNs());
        link.counters().count(counter(judgement.verdict()));
        protocol.sink().report(exchange.judged().requestEvent(link.flow()));
        exchanges.add(exchange);
        startBody(requestBody, requestHead);
        if (judgement.passes()) {
            forward(
                    in,
                    dropsUpgrade
                            ? plus(judgement.edits(), WITHOUT_UPGRADE)
                            : isToHttp2
                                    ? plus(judgement.edits(), withOurSettings())
                                    : judgement.edits());
        } else {
            in.skipBytes(requestHead.consumed());
            deny(exchange);
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

    private static List<HeaderEdit> plus(
            final List<HeaderEdit> edits, final List<HeaderEdit> more) {
        final List<HeaderEdit> all = new ArrayList<>(edits);
        all.addAll(more);
        return all;
    }

    private List<HeaderEdit> withOurSettings() {
        return List.of(
                new HeaderEdit(Edit.REPLACE, "HTTP2-Settings", protocol.http2().upgradeSettings()));
    }

    private static boolean isUpgradeToHttp(final HttpRequest request) {
        for (final String value : request.headers("upgrade")) {
            for (final String name : value.toLowerCase(Locale.ROOT).split(",", -1)) {
                final String token = name.strip();
                if (token.startsWith("h2") || token.startsWith("http") || token.startsWith("tls")) {
                    return true;
                }
            }
        }
        return false;
    }

    private static void startBody(final BodyFramer body, final HeadParser head) {
        if (head.isChunked()) {
            body.startChunked();
        } else {
            body.startCounted(Math.max(0, head.contentLength()));
        }
    }

    private void forward(final ByteBuf in, final List<HeaderEdit> edits) {
        if (edits.isEmpty()) {
            passRequestHead(in);
        } else {
            in.skipBytes(requestHead.consumed());
            final ByteBuf head = link.buffer(requestHead.headLength());
            HeadEditor.write(requestHead, edits, head);
            link.toServer(head);
        }
        requests = Requests.FORWARDING;
        if (requestBody.isDone()) {
            afterRequest();
        }
    }

    private void passRequestHead(final ByteBuf in) {
        if (requestHead.isWhole()) {
            in.skipBytes(requestHead.dropped());
            link.passToServer(in, requestHead.headLength());
        } else {
            in.skipBytes(requestHead.consumed());
            link.toServer(copyOf(requestHead));
        }
    }

    private void passAnswerHead(final ByteBuf in) {
        if (answerHead.isWhole()) {
            link.passToClient(in, answerHead.headLength());
        } else {
            in.skipBytes(answerHead.consumed());
            link.toClient(copyOf(answerHead));
        }
    }

    /** The start of a head that did not come in one piece has to be written anew. */
    private ByteBuf copyOf(final HeadParser head) {
        final ByteBuf copy = link.buffer(head.headLength());
        head.writeTo(copy);
        return copy;
    }

    private void afterRequest() {
        final HttpExchange exchange = exchanges.peekLast();
        if (exchange == null) {
            // Answered before it was complete; the answer did not end the connection.
            requests = Requests.HEAD;
        } else if (exchange.tunnelRequest() != null) {
            requests = Requests.UPGRADING;
        } else {
            requests = exchange.closes() ? Requests.OVER : Requests.HEAD;
        }
    }

    private boolean forwardBody(final ByteBuf in) {
        final int length = requestBody.read(in);
        if (requestBody.fault() != HttpFault.NONE) {
            abortBody(requestBody.fault());
            return false;
        }
        link.passToServer(in, length);
        if (requestBody.isDone()) {
            afterRequest();
        }
        return true;
    }

    private void deny(final HttpExchange exchange) {
        exchange.answerLocally(LocalAnswer.DENIED);
        if (requestBody.isDone()) {
            requests = exchange.closes() ? Requests.OVER : Requests.HEAD;
        } else if (exchange.closes()
                || requestHead.hasExpectation()
                || requestHead.contentLength() > protocol.limits().skippedBodyMax()) {
            exchange.close();
            requests = Requests.OVER;
        } else {
            skipped = 0;
            requests = Requests.SKIPPING;
        }
        answerPending();
    }

    private boolean skipBody(final ByteBuf in) {
        final int length = requestBody.read(in);
        in.skipBytes(length);
        skipped += length;
        if (requestBody.isDone()) {
            requests = Requests.HEAD;
        } else if (requestBody.fault() != HttpFault.NONE
                || skipped > protocol.limits().skippedBodyMax()) {
            requests = Requests.OVER;
            if (exchanges.isEmpty()) {
                link.finish();
            } else {
                exchanges.getLast().close();
            }
        }
        return true;
    }

    private void refuse(final HttpFault fault) {
        link.counters().count(ProxyCounter.REQUESTS_MALFORMED);
        answerUnreadable(fault.meaning(), LocalAnswer.of(fault));
    }

    private void answerUnreadable(final String why, final LocalAnswer answer) {
        final HttpExchange exchange = HttpExchange.unreadable(why, link.nowNs());
        protocol.sink().report(exchange.judged().requestEvent(link.flow()));
        exchange.answerLocally(answer);
        exchanges.add(exchange);
        requests = Requests.OVER;
        answerPending();
    }

    /** The head has been forwarded, and the body cannot be followed any further. */
    private void abortBody(final HttpFault fault) {
        link.counters().count(ProxyCounter.REQUESTS_MALFORMED);
        final HttpExchange exchange = exchanges.peekLast();
        if (exchange != null && exchanges.size() == 1 && isBeforeAnswer()) {
            link.resetServer();
            requests = Requests.OVER;
            fail(exchange, LocalAnswer.of(fault), fault.meaning());
        } else {
            link.reset();
        }
    }

    private boolean isBeforeAnswer() {
        return answers == Answers.HEAD && !answerHead.isWithinHead();
    }

    /** The client gets our answer in place of the server's, and the connection ends. */
    private void fail(final HttpExchange exchange, final LocalAnswer answer, final String why) {
        protocol.sink()
                .report(exchange.failureEvent(link.flow(), answer.status(), why, link.nowNs()));
        exchange.close();
        write(exchange, answer);
        link.finish();
    }

    private void write(final HttpExchange exchange, final LocalAnswer answer) {
        final ByteBuf out = link.buffer(256);
        answer.writeTo(out, exchange.closes(), exchange.isHead());
        link.toClient(out);
    }

    /** Gives those of our answers whose turn has come. */
    private void answerPending() {
        while (true) {
            final HttpExchange exchange = exchanges.peek();
            final LocalAnswer answer = exchange == null ? null : exchange.localAnswer();
            if (exchange == null || answer == null) {
                return;
            }
            exchanges.remove();
            write(exchange, answer);
            protocol.sink()
                    .report(exchange.answerEvent(link.flow(), answer.status(), link.nowNs()));
            if (exchange.closes()) {
                link.finish();
                return;
            }
        }
    }

    @Override
    public void onClientEnd() {
        clientEnded = true;
        endAfterClient();
    }

    /** RFC 9112, 9.6: a client that sends nothing more may still wait for answers. */
    private void endAfterClient() {
        if (!clientEnded || held != null) {
            return;
        }
        if (exchanges.isEmpty()) {
            link.finish();
        } else {
            link.endToServer();
        }
    }

    @Override
    public void onClientDrained() {
        if (held != null) {
            readHeld();
        }
    }

    @Override
    public void onDeadline() {
        link.counters().count(ProxyCounter.REQUESTS_LATE);
        answerUnreadable("the head did not arrive in time", LocalAnswer.LATE);
    }

    @Override
    public void onConnectFailed() {
        final HttpExchange exchange = exchanges.peek();
        if (exchange == null) {
            link.finish();
        } else {
            fail(exchange, LocalAnswer.UNREACHABLE, link.connectFailure());
        }
    }

    // Answers.

    @Override
    public void onServerBytes(final ByteBuf bytes) {
        try {
            boolean goesOn = true;
            while (goesOn && bytes.isReadable() && !link.isOver()) {
                goesOn = answers == Answers.HEAD ? readAnswer(bytes) : forwardAnswerBody(bytes);
            }
        } finally {
            bytes.release();
        }
    }

    private boolean readAnswer(final ByteBuf in) {
        final HttpExchange exchange = exchanges.peek();
        if (exchange == null) {
            link.counters().count(ProxyCounter.ANSWERS_MALFORMED);
            link.finish();
            return false;
        }
        return switch (answerHead.read(in)) {
            case MORE -> false;
            case FAULT -> {
                refuseAnswer(exchange, answerHead.fault().meaning());
                yield false;
            }
            case COMPLETE -> {
                final boolean goesOn = onAnswer(exchange, in);
                answerHead.next();
                yield goesOn;
            }
        };
    }

    private void refuseAnswer(final HttpExchange exchange, final String why) {
        link.counters().count(ProxyCounter.ANSWERS_MALFORMED);
        link.resetServer();
        fail(exchange, LocalAnswer.BAD_ANSWER, why);
    }

    /** RFC 9112, 6.3: what follows the head. */
    private boolean onAnswer(final HttpExchange exchange, final ByteBuf in) {
        final int status = answerHead.status();
        final HttpRequest tunnelRequest = exchange.tunnelRequest();
        final boolean isTunnel =
                exchange.isConnect() ? status >= 200 && status < 300 : status == 101;
        if (isTunnel && (tunnelRequest == null || requests != Requests.UPGRADING)) {
            refuseAnswer(exchange, "a change of protocol that was not asked for");
            return false;
        }
        if (isTunnel && exchange.isToHttp2() && !isH2c(answerHead)) {
            refuseAnswer(exchange, "a change of protocol that was not asked for");
            return false;
        }
        passAnswerHead(in);
        if (isTunnel && tunnelRequest != null && exchange.isToHttp2()) {
            becomeHttp2(exchange, tunnelRequest, in);
            return false;
        }
        if (isTunnel && tunnelRequest != null) {
            report(exchange, status);
            becomeTunnel(exchange, tunnelRequest, in);
            return false;
        }
        if (status < 200) {
            return true;
        }
        report(exchange, status);
        if (!answerHead.isPersistent()) {
            exchange.close();
        }
        if (exchange.isHead() || status == 204 || status == 304) {
            answerBody.startCounted(0);
        } else if (answerHead.isChunked() || answerHead.contentLength() >= 0) {
            startBody(answerBody, answerHead);
        } else {
            answerBody.startUntilClose();
            exchange.close();
        }
        answers = Answers.BODY;
        return !answerBody.isDone() || endAnswer();
    }

    private void report(final HttpExchange exchange, final int status) {
        protocol.sink().report(exchange.answerEvent(link.flow(), status, link.nowNs()));
    }

    private static boolean isH2c(final HttpRequest answer) {
        final List<String> names = answer.headers("upgrade");
        return names.size() == 1 && names.getFirst().equalsIgnoreCase("h2c");
    }

    /** The answer to the request comes on stream 1. */
    private void becomeHttp2(
            final HttpExchange exchange, final HttpRequest request, final ByteBuf in) {
        goOnAs(protocol.http2().upgrade(link, request, exchange.judged()), in);
    }

    private void becomeTunnel(
            final HttpExchange exchange, final HttpRequest request, final ByteBuf in) {
        final Tunnel tunnel =
                new Tunnel(
                        link,
                        exchange.judged().revision(),
                        rules -> judge(rules, request).passes());
        goOnAs(tunnel, in);
    }

    private void goOnAs(final Conversation next, final ByteBuf in) {
        exchanges.clear();
        link.switchTo(next);
        link.resumeClient();
        if (in.isReadable()) {
            next.onServerBytes(in.readRetainedSlice(in.readableBytes()));
        }
        final ByteBuf bytes = held;
        if (bytes != null) {
            held = null;
            next.onClientBytes(bytes);
        }
        if (clientEnded) {
            next.onClientEnd();
        }
    }

    private boolean forwardAnswerBody(final ByteBuf in) {
        final int length = answerBody.read(in);
        if (answerBody.fault() != HttpFault.NONE) {
            link.counters().count(ProxyCounter.ANSWERS_MALFORMED);
            link.reset();
            return false;
        }
        link.passToClient(in, length);
        return !answerBody.isDone() || endAnswer();
    }

    /** The first exchange is over. Answers whether the connection goes on. */
    private boolean endAnswer() {
        final HttpExchange exchange = exchanges.remove();
        answers = Answers.HEAD;
        if (exchange.closes()) {
            link.finish();
            return false;
        }
        if (exchange.tunnelRequest() != null && requests == Requests.UPGRADING) {
            requests = Requests.HEAD;
        }
        answerPending();
        if (!link.isOver()) {
            readHeld();
        }
        return true;
    }

    /** Whatever has not been answered never will be; to the client it looks as to us. */
    @Override
    public void onServerEnd() {
        if (answers == Answers.BODY && answerBody.isUntilClose()) {
            endAnswer();
        } else {
            link.finish();
        }
    }

    @Override
    public void onClosed() {
        if (held != null) {
            held.release();
            held = null;
        }
    }
}
