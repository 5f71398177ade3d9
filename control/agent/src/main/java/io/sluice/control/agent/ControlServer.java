package io.sluice.control.agent;

import java.io.IOException;
import java.nio.file.Path;

/** What makes the control plane reachable from outside: the API's server, started by the caller. */
@FunctionalInterface
public interface ControlServer {
    /**
     * Begins to serve.
     *
     * @param socket Unix socket to listen on
     * @return closes the server
     */
    AutoCloseable start(Path socket, ControlPlane control) throws IOException;
}
