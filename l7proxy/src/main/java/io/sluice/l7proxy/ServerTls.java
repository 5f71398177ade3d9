package io.sluice.l7proxy;

import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.SslHandler;
import java.util.List;

/** TLS towards servers. */
@FunctionalInterface
public interface ServerTls {
    /**
     * The layer for one connection. Called on its event loop.
     *
     * @param serverName asked for and checked; empty does neither
     * @param applicationProtocols offered by ALPN (RFC 7301), best first; empty offers none
     * @throws IllegalStateException if there can be none, with the reason
     */
    SslHandler layer(
            ByteBufAllocator buffers, String serverName, List<String> applicationProtocols);
}
