package io.sluice.control.agent;

import io.sluice.control.agent.PortFactory.AttachException;
import io.sluice.control.agent.PortFactory.ProxyDevice;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.port.Port;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The port that leads to the L7 proxy, and the proxy itself: made when the first policy comes that
 * needs it, and kept from then on.
 *
 * <p>A policy that redirects is published only when the proxy listens ({@link #require}); the lane
 * gets the port with those of the endpoints. If the device is taken away under us, flows that are
 * redirected are dropped until the daemon is started again, and the status says so.
 *
 * <p>Thread: control; {@link #namespace} any.
 */
final class ProxyPort {
    private static final Logger LOG = LoggerFactory.getLogger(ProxyPort.class);

    /** Starts what listens in the proxy's namespace. */
    @FunctionalInterface
    interface Listening {
        /**
         * Starts it.
         *
         * @param enter moves the calling thread into the namespace
         * @return ends it
         * @throws IllegalStateException if it cannot listen
         */
        AutoCloseable start(Runnable enter);
    }

    private final PortFactory ports;
    private final LaneControl lane;
    private final Listening listening;
    private @Nullable AutoCloseable proxy;
    private @Nullable ProxyDevice device;
    private @Nullable Port port;
    private boolean open;
    private String problem = "";
    private volatile String namespace = "";

    ProxyPort(final PortFactory ports, final LaneControl lane, final Listening listening) {
        this.ports = ports;
        this.lane = lane;
        this.listening = listening;
    }

    /** Why it is not there though it is needed; empty when it is, or need not be. */
    String problem() {
        return problem;
    }

    /** Where its namespace is found; empty when it has not been needed so far. */
    String namespace() {
        return namespace;
    }

    /**
     * Has the proxy listen; its port is then to be opened.
     *
     * @throws IllegalStateException when it cannot be
     */
    void require() {
        if (proxy != null) {
            return;
        }
        ProxyDevice made = null;
        try {
            made = ports.proxy();
            proxy = listening.start(made::enter);
            device = made;
            port = made.port();
            namespace = made.namespace();
            LOG.info("the L7 proxy listens in the namespace {}", namespace);
        } catch (final AttachException e) {
            throw new IllegalStateException(e.getMessage(), e);
        } finally {
            if (made != null && proxy == null) {
                made.remove();
            }
        }
    }

    /** The port that the lane is to have; empty where it has it, or need not. */
    Optional<Port> toOpen() {
        return open ? Optional.empty() : Optional.ofNullable(port);
    }

    /** The port that the lane has, or had before it was suspended. */
    Optional<Port> openPort() {
        return open ? Optional.ofNullable(port) : Optional.empty();
    }

    /** The lane has the port. */
    void opened() {
        open = port != null;
    }

    /** A lane has let go of the port, because its device is gone; the others let go of it now. */
    void portGone() {
        if (!open) {
            return;
        }
        lane.closeElsewhere(Tables.PROXY_PORT);
        open = false;
        port = null;
        problem = "the L7 proxy's device is gone: start the daemon again";
        LOG.error("{}", problem);
    }

    /** Takes the port from the lane, and ends the proxy. */
    void remove() {
        if (open) {
            lane.close(Tables.PROXY_PORT);
            open = false;
        }
        port = null;
        stopProxy();
        if (device != null) {
            device.remove();
            device = null;
        }
    }

    private void stopProxy() {
        try {
            if (proxy != null) {
                proxy.close();
            }
        } catch (final Exception e) {
            LOG.error("the L7 proxy did not end well", e);
        }
    }
}
