package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Devices that are made, or found again, beside the rest of a start.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Purpose. After a crash nothing is forwarded until the policy is compiled and the devices are
 * found again; each device costs some processes of ip(8), tens of milliseconds. None of the two
 * needs the other: a device without a lane lets nothing through, its frames wait.
 *
 * <p>Whoever composes the daemon tells what will be wanted, {@link #attach} and {@link #uplink}
 * wait for what was told and make what was not. Nothing is changed by having been told in vain:
 * {@link #close} takes such devices away.
 *
 * <p>Limits: {@link #AT_ONCE} devices at a time, as the kernel changes one after the other (RTNL).
 *
 * <p>Thread: {@link #prepare} and {@link #close} whoever composes the daemon, before and after
 * control; the rest control.
 */
final class PreparedPorts implements PortFactory, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(PreparedPorts.class);

    /** Half of the time of a device is the start of a process. */
    private static final int AT_ONCE = 4;

    private final PortFactory ports;
    private final Map<EndpointSpec, Future<Device>> endpoints = new HashMap<>();
    private final Map<SluiceConfig.Uplink, Future<Device>> uplinks = new HashMap<>();

    /**
     * @param ports makes the devices, from several threads
     */
    PreparedPorts(final PortFactory ports) {
        this.ports = ports;
    }

    /**
     * Begins to make devices; returns at once.
     *
     * @param specs of endpoints
     * @param uplink where it is enabled
     * @param addresses of the node on the uplink
     */
    void prepare(
            final List<EndpointSpec> specs,
            final SluiceConfig.Uplink uplink,
            final List<IpAddress> addresses) {
        final ExecutorService workers =
                Executors.newFixedThreadPool(
                        AT_ONCE, Thread.ofPlatform().name("sluice-devices-", 0).factory());
        for (final EndpointSpec spec : specs) {
            endpoints.put(spec, workers.submit(() -> ports.attach(spec)));
        }
        if (uplink.enabled()) {
            final Callable<Device> making = () -> ports.uplink(uplink, addresses);
            uplinks.put(uplink, workers.submit(making));
        }
        // Ends once all are made.
        workers.shutdown();
    }

    @Override
    public Device attach(final EndpointSpec spec) throws AttachException {
        final Future<Device> making = endpoints.remove(spec);
        return making == null ? ports.attach(spec) : made(making);
    }

    @Override
    public Device uplink(final SluiceConfig.Uplink uplink, final List<IpAddress> addresses)
            throws AttachException {
        final Future<Device> making = uplinks.remove(uplink);
        return making == null ? ports.uplink(uplink, addresses) : made(making);
    }

    private static Device made(final Future<Device> making) throws AttachException {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return making.get();
                } catch (final InterruptedException e) {
                    interrupted = true;
                }
            }
        } catch (final ExecutionException e) {
            if (e.getCause() instanceof final AttachException refused) {
                throw refused;
            }
            throw new IllegalStateException("a device could not be made", e.getCause());
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    @Override
    public ProxyDevice proxy() throws AttachException {
        return ports.proxy();
    }

    @Override
    public void addRoutes(final String uplinkDevice, final List<IpAddress> addresses)
            throws AttachException {
        ports.addRoutes(uplinkDevice, addresses);
    }

    @Override
    public void removeRoutes(final String uplinkDevice, final List<IpAddress> addresses) {
        ports.removeRoutes(uplinkDevice, addresses);
    }

    /** Takes away what nobody has asked for. */
    @Override
    public void close() {
        endpoints.values().forEach(PreparedPorts::discard);
        uplinks.values().forEach(PreparedPorts::discard);
        endpoints.clear();
        uplinks.clear();
    }

    private static void discard(final Future<Device> making) {
        try {
            made(making).remove();
        } catch (final AttachException e) {
            LOG.debug("a device that nobody asked for was not made either", e);
        }
    }
}
