package io.sluice.l7proxy;

import io.netty.buffer.ByteBuf;
import java.util.function.Predicate;

/**
 * Passes bytes both ways without reading them, once a request or handshake has been allowed: TLS,
 * WebSocket, CONNECT.
 *
 * <p>Whenever the rules have changed since it was last judged, what opened the tunnel is judged
 * again before another byte moves; if it is no longer allowed both legs are reset.
 *
 * <p>Thread: the link's event loop.
 */
public final class Tunnel implements Conversation {
    private final Link link;
    private final Predicate<FlowRules> isAllowed;
    private long revision;

    /**
     * A tunnel that has been judged.
     *
     * @param revision of the rules that judged it
     * @param isAllowed whether other rules would allow it, too
     */
    public Tunnel(final Link link, final long revision, final Predicate<FlowRules> isAllowed) {
        this.link = link;
        this.revision = revision;
        this.isAllowed = isAllowed;
    }

    private boolean isCut() {
        final FlowRules rules = link.flow().policy().now();
        if (rules.revision() != revision) {
            if (!isAllowed.test(rules)) {
                link.counters().count(ProxyCounter.CONNECTIONS_CUT);
                link.reset();
                return true;
            }
            revision = rules.revision();
        }
        return false;
    }

    @Override
    public void onClientBytes(final ByteBuf bytes) {
        if (isCut()) {
            bytes.release();
        } else {
            link.toServer(bytes);
        }
    }

    @Override
    public void onServerBytes(final ByteBuf bytes) {
        if (isCut()) {
            bytes.release();
        } else {
            link.toClient(bytes);
        }
    }

    @Override
    public void onClientEnd() {
        link.endToServer();
    }

    @Override
    public void onServerEnd() {
        link.endToClient();
    }

    /** No protocol is known here in which to say it: as if the server itself had refused. */
    @Override
    public void onConnectFailed() {
        link.reset();
    }

    @Override
    public void onDeadline() {}

    @Override
    public void onClientDrained() {}

    @Override
    public void onClosed() {}
}
