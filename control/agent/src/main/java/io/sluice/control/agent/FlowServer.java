package io.sluice.control.agent;

import java.io.IOException;
import java.nio.file.Path;

/** What makes flows readable for Hubble's clients: the observer's server, started by the caller. */
@FunctionalInterface
public interface FlowServer {
    /**
     * Begins to serve.
     *
     * @param socket Unix socket to listen on
     * @return closes the server
     */
    AutoCloseable start(Path socket, SluiceConfig config, ControlPlane control) throws IOException;
}
