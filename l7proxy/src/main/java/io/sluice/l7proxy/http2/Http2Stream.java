package io.sluice.l7proxy.http2;

import io.sluice.l7proxy.http.common.JudgedRequest;
import io.sluice.l7proxy.rule.HttpRequest;
import org.jspecify.annotations.Nullable;

/**
 * One request and its answer. Its number is the same on both legs.
 *
 * <pre>
 *   up:    client -> server, dropped once the server wants no more or the proxy answers
 *   down:  server -> client, or the proxy's own answer
 * </pre>
 *
 * <p>It is over when both have ended, or when one end or the proxy has reset it. Thread: the link's
 * event loop.
 */
final class Http2Stream {
    final int id;
    final JudgedRequest judged;
    final boolean isGrpc;
    final boolean isHead;
    final Half up;
    final Half down;

    /** Set if it is a tunnel, CONNECT: to be judged again by. */
    final @Nullable HttpRequest tunnelRequest;

    /** Of the rules that last allowed the tunnel. */
    long tunnelRevision;

    /** Whether the server has it, and has not ended it. */
    boolean isForwarded;

    /** Status of the final answer; 0 before there is one. */
    int status;

    boolean isReported;

    /** In the queue of those that wait for a connection's window, by direction. */
    boolean waitsUp;

    boolean waitsDown;

    /** Code of the reset that follows the answer if the client has not ended by then. */
    long resetAfter;

    Http2Stream(
            final int id,
            final JudgedRequest judged,
            final boolean isGrpc,
            final @Nullable HttpRequest tunnelRequest,
            final Http2Leg client,
            final Http2Leg server,
            final Http2Limits limits) {
        this.id = id;
        this.judged = judged;
        this.isGrpc = isGrpc;
        this.isHead = judged.method().equals("HEAD");
        this.tunnelRequest = tunnelRequest;
        this.tunnelRevision = judged.revision();
        this.up = new Half(id, client, server, limits.streamWindow());
        this.down = new Half(id, server, client, limits.streamWindow());
    }
}
