package io.sluice.l7proxy.http;

import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.rule.HttpOutcome.LoggedHeader;
import io.sluice.l7proxy.rule.HttpRequest;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One request that waits for its answer: the server's, or one of ours ({@link #isLocal}). Thread:
 * the link's event loop.
 */
final class HttpExchange {
    private final Verdict verdict;
    private final long revision;
    private final String by;
    private final String protocol;
    private final String method;
    private final String url;
    private final long startNs;
    private final List<LoggedHeader> missing;
    private final List<LoggedHeader> rejected;

    /** The answer has no body whatever its head says: RFC 9112, 6.3. */
    private final boolean isHead;

    private final boolean isConnect;

    /** Set if the connection may become a tunnel: to be judged again by. */
    private final @Nullable HttpRequest tunnelRequest;

    private @Nullable LocalAnswer localAnswer;
    private boolean closes;

    private HttpExchange(
            final Verdict verdict,
            final long revision,
            final String by,
            final String protocol,
            final String method,
            final String url,
            final long startNs,
            final List<LoggedHeader> missing,
            final List<LoggedHeader> rejected,
            final @Nullable HttpRequest tunnelRequest,
            final boolean closes) {
        this.verdict = verdict;
        this.revision = revision;
        this.by = by;
        this.protocol = protocol;
        this.method = method;
        this.url = url;
        this.startNs = startNs;
        this.missing = missing;
        this.rejected = rejected;
        this.isHead = method.equals("HEAD");
        this.isConnect = method.equals("CONNECT");
        this.tunnelRequest = tunnelRequest;
        this.closes = closes;
    }

    /** A request that was judged. */
    static HttpExchange judged(
            final HeadParser head,
            final HttpJudgement judgement,
            final String scheme,
            final long revision,
            final boolean mayTunnel,
            final long startNs) {
        return new HttpExchange(
                judgement.verdict(),
                revision,
                judgement.by(),
                head.version(),
                head.method(),
                head.isConnect() ? head.path() : scheme + head.host() + head.path(),
                startNs,
                judgement.missing(),
                judgement.rejected(),
                mayTunnel ? head.snapshot() : null,
                !head.isPersistent());
    }

    /** A request that cannot be read, or did not come in time. */
    static HttpExchange unreadable(final String why, final long startNs) {
        return new HttpExchange(
                Verdict.ERROR,
                0,
                why,
                "HTTP/1.1",
                "",
                "",
                startNs,
                List.of(),
                List.of(),
                null,
                true);
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

    long revision() {
        return revision;
    }

    L7Event requestEvent(final Flow flow) {
        return new L7Event(flow, L7Event.Type.REQUEST, verdict, revision, by, detail(0, 0));
    }

    L7Event answerEvent(final Flow flow, final int status, final long nowNs) {
        return new L7Event(
                flow, L7Event.Type.ANSWER, verdict, revision, by, detail(status, nowNs - startNs));
    }

    /** The server gave no answer that could be passed on. */
    L7Event failureEvent(final Flow flow, final int status, final String why, final long nowNs) {
        return new L7Event(
                flow,
                L7Event.Type.ANSWER,
                Verdict.ERROR,
                revision,
                why,
                detail(status, nowNs - startNs));
    }

    private L7Event.Http detail(final int status, final long latencyNs) {
        return new L7Event.Http(protocol, method, url, status, latencyNs, missing, rejected);
    }
}
