package io.sluice.l7proxy.http.common;

import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.rule.HttpOutcome.LoggedHeader;
import java.util.List;

/**
 * What reports say of a request: at once, and when it is answered. Immutable.
 *
 * @param revision of the rules that judged it; 0 if it could not be read
 * @param by who decided, or what is wrong with it
 * @param protocol such as {@code HTTP/1.1}
 * @param method empty if it could not be read
 * @param url empty if it could not be read
 * @param startNs when its head was complete, on the link's clock
 */
public record JudgedRequest(
        Verdict verdict,
        long revision,
        String by,
        String protocol,
        String method,
        String url,
        long startNs,
        List<LoggedHeader> missing,
        List<LoggedHeader> rejected) {
    /** A request that cannot be read, or did not come in time. */
    public static JudgedRequest unreadable(
            final String why, final String protocol, final long startNs) {
        return new JudgedRequest(
                Verdict.ERROR, 0, why, protocol, "", "", startNs, List.of(), List.of());
    }

    /** It came. */
    public L7Event requestEvent(final Flow flow) {
        return new L7Event(
                flow,
                L7Event.Type.REQUEST,
                verdict,
                revision,
                by,
                detail(0, L7Event.Http.NO_GRPC, 0));
    }

    /**
     * It was answered.
     *
     * @param grpcStatus {@link L7Event.Http#NO_GRPC} if there is none
     */
    public L7Event answerEvent(
            final Flow flow, final int status, final int grpcStatus, final long nowNs) {
        return new L7Event(
                flow,
                L7Event.Type.ANSWER,
                verdict,
                revision,
                by,
                detail(status, grpcStatus, nowNs - startNs));
    }

    /** The server gave no answer, or none that could be passed on. */
    public L7Event failureEvent(
            final Flow flow,
            final int status,
            final int grpcStatus,
            final String why,
            final long nowNs) {
        return new L7Event(
                flow,
                L7Event.Type.ANSWER,
                Verdict.ERROR,
                revision,
                why,
                detail(status, grpcStatus, nowNs - startNs));
    }

    private L7Event.Http detail(final int status, final int grpcStatus, final long latencyNs) {
        return new L7Event.Http(
                protocol, method, url, status, grpcStatus, latencyNs, missing, rejected);
    }
}
