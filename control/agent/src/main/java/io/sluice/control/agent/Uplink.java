package io.sluice.control.agent;

import io.sluice.control.agent.PortFactory.AttachException;
import io.sluice.control.agent.PortFactory.Device;
import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.port.Port;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The port that joins the node: pods reach the node through it, and the world where the node routes
 * or masquerades. A device that was deleted under us is made again within a second.
 *
 * <p>Thread: control.
 */
final class Uplink {
    private static final Logger LOG = LoggerFactory.getLogger(Uplink.class);

    /** Index of its port. */
    static final int ID = 0;

    private final SluiceConfig config;
    private final PortFactory ports;
    private final LaneControl lane;
    private @Nullable Device device;
    // The port the lane was asked to take; one that answers late has it all the same.
    private @Nullable CountedPort offered;
    private boolean open;
    private String problem = "";
    private long lostBefore;

    Uplink(final SluiceConfig config, final PortFactory ports, final LaneControl lane) {
        this.config = config;
        this.ports = ports;
        this.lane = lane;
    }

    boolean isEnabled() {
        return config.uplink().enabled();
    }

    /** Why it is not there, empty when it is or need not be. */
    String problem() {
        return problem;
    }

    /**
     * Makes the device; frames wait in it until {@link #open}. One that another process still holds
     * is asked for again by {@link #tick}.
     *
     * @throws AttachException when it cannot be made
     */
    void create() throws AttachException {
        if (!isEnabled() || device != null) {
            return;
        }
        try {
            device = ports.uplink(config.uplink(), addresses());
        } catch (final AttachException e) {
            if (e.missing() != AttachException.Cause.HELD) {
                throw e;
            }
            final String reason = String.valueOf(e.getMessage());
            if (!reason.equals(problem)) {
                LOG.info("uplink: {}", reason);
            }
            problem = reason;
        }
    }

    private List<IpAddress> addresses() {
        return config.pool().all().stream().map(AddressPool::nodeAddress).toList();
    }

    /** The device, to be passed on, where it is open. */
    Optional<PassedDevice> passedDevice() {
        return device == null || !open
                ? Optional.empty()
                : Optional.of(device.descriptors())
                        .filter(descriptors -> !descriptors.isEmpty())
                        .map(
                                descriptors ->
                                        PassedDevice.ofUplink(
                                                config.uplink(), addresses(), descriptors));
    }

    /** The port that the lane has, or had before it was suspended. */
    Optional<Port> openPort() {
        return open ? Optional.ofNullable(offered) : Optional.empty();
    }

    /** The port that the lane is to have, once a policy is live; empty where it has it. */
    Optional<Port> toOpen() {
        if (device == null || open) {
            return Optional.empty();
        }
        if (offered == null) {
            offered = new CountedPort(device.port());
        }
        return Optional.of(offered);
    }

    /** The lane has the port. */
    void opened() {
        if (offered != null) {
            open = true;
            problem = "";
        }
    }

    /**
     * A lane has let go of a port, because its device is gone; of this one, or of one that was
     * replaced in the meantime. The other lanes let go of it now.
     */
    void portGone(final Port port) {
        if (offered != null && offered == port) {
            lane.closeElsewhere(ID);
            offered = null;
            open = false;
            removeDevice();
            problem = "device %s is gone".formatted(config.uplink().device());
            LOG.warn("uplink: {}", problem);
        }
    }

    /**
     * Makes a device that has gone again; its port is then to be opened.
     *
     * @return whether it did: routes into it are to be set again
     */
    boolean tick() {
        if (!isEnabled() || device != null) {
            return false;
        }
        try {
            create();
            if (device == null) {
                return false;
            }
            LOG.info("uplink: device {} made again", config.uplink().device());
            return true;
        } catch (final AttachException e) {
            problem = String.valueOf(e.getMessage());
            return false;
        }
    }

    /** Takes the port from the lane and the device away. */
    void remove() {
        if (offered != null) {
            lane.close(ID);
            offered = null;
            open = false;
        }
        removeDevice();
    }

    /** Packets that the kernel lost at devices that are gone, since the start. */
    long lostBefore() {
        return lostBefore;
    }

    /** Its port, if there is a device, for reports. */
    Optional<CountedPort> port() {
        return Optional.ofNullable(offered);
    }

    private void removeDevice() {
        if (device != null) {
            lostBefore += device.port().lostByKernel();
            device.remove();
            device = null;
        }
    }
}
