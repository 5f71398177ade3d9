package io.sluice.control.agent;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Optional;

/** What makes the control plane reachable from outside: the API's server, started by the caller. */
@FunctionalInterface
public interface ControlServer {
    /**
     * Begins to serve.
     *
     * @param socket Unix socket to listen on
     * @param metrics where Prometheus and health checks ask; empty for nowhere
     * @return closes the server
     */
    AutoCloseable start(Path socket, Optional<InetSocketAddress> metrics, ControlPlane control)
            throws IOException;
}
