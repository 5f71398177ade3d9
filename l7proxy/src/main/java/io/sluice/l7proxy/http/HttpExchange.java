package io.sluice.l7proxy.http;

import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.http.common.HttpJudgement;
import io.sluice.l7proxy.http.common.JudgedRequest;
import io.sluice.l7proxy.rule.HttpRequest;
import org.jspecify.annotations.Nullable;

/**
 * One request that waits for its answer: the server's, or one of ours ({@link #isLocal}). Thread:
 * the link's event loop.
 */
final class HttpExchange {
    private final JudgedRequest judged;

    /** The answer has no body whatever its head says: RFC 9112, 6.3. */
    private final boolean isHead;

    private final boolean isConnect;

    /** Set if the connection may become a tunnel: to be judged again by. */
    private final @Nullable HttpRequest tunnelRequest;

    /** Set if 101 makes it HTTP/2. */
    private final boolean isToHttp2;

    private @Nullable LocalAnswer localAnswer;
    private boolean closes;

    private HttpExchange(
            final JudgedRequest judged,
            final @Nullable HttpRequest tunnelRequest,
            final boolean isToHttp2,
            final boolean closes) {
        this.judged = judged;
        this.isHead = judged.method().equals("HEAD");
        this.isConnect = judged.method().equals("CONNECT");
        this.tunnelRequest = tunnelRequest;
        this.isToHttp2 = isToHttp2;
        this.closes = closes;
    }

    /** A request that was judged. */
    static HttpExchange judged(
            final HeadParser head,
            final HttpJudgement judgement,
            final String scheme,
            final long revision,
            final boolean mayTunnel,
            final boolean isToHttp2,
            final long startNs) {
        return new HttpExchange(
                new JudgedRequest(
                        judgement.verdict(),
                        revision,
                        judgement.by(),
                        head.version(),
                        head.method(),
                        head.isConnect() ? head.path() : scheme + head.host() + head.path(),
                        startNs,
                        judgement.missing(),
                        judgement.rejected()),
                mayTunnel ? head.snapshot() : null,
                isToHttp2,
                !head.isPersistent());
    }

    /** A request that cannot be read, or did not come in time. */
    static HttpExchange unreadable(final String why, final long startNs) {
        return new HttpExchange(
                JudgedRequest.unreadable(why, "HTTP/1.1", startNs), null, false, true);
    }

    /** The proxy answers when its turn comes. */
    void answerLocally(final LocalAnswer answer) {
        localAnswer = answer;
    }

    /** The proxy's own answer, if it is not the server that gives one. */
    @Nullable LocalAnswer localAnswer() {
        return localAnswer;
    }

    /** Whether the proxy answers. */
    boolean isLocal() {
        return localAnswer != null;
    }

    /** The connection ends with the answer. */
    void close() {
        closes = true;
    }

    boolean closes() {
        return closes;
    }

    boolean isHead() {
        return isHead;
    }

    boolean isConnect() {
        return isConnect;
    }

    /** What was asked, if the connection may become a tunnel. */
    @Nullable HttpRequest tunnelRequest() {
        return tunnelRequest;
    }

    /** Whether it asks for HTTP/2, and the server may agree. */
    boolean isToHttp2() {
        return isToHttp2;
    }

    /** What reports say of it. */
    JudgedRequest judged() {
        return judged;
    }

    L7Event answerEvent(final Flow flow, final int status, final long nowNs) {
        return judged.answerEvent(flow, status, L7Event.Http.NO_GRPC, nowNs);
    }

    /** The server gave no answer that could be passed on. */
    L7Event failureEvent(final Flow flow, final int status, final String why, final long nowNs) {
        return judged.failureEvent(flow, status, L7Event.Http.NO_GRPC, why, nowNs);
    }
}
