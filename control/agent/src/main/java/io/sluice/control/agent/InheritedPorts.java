package io.sluice.control.agent;

import io.sluice.control.agent.HandoverSocket.HandoverException;
import io.sluice.control.agent.state.NameChanges;
import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.port.Port;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Devices that a predecessor passes on, and where it has none, new ones.
 *
 * <p>The first device that is asked for makes the predecessor let go of all: everything that can be
 * done before has to be done before. A device whose endpoint has changed in the meantime is let go
 * of and made anew, which succeeds once the predecessor has ended.
 *
 * <p>Until the hand-over is complete, taking a device away only closes the descriptor: the
 * predecessor may have to go on with it.
 *
 * <p>Thread: control.
 */
final class InheritedPorts implements PortFactory {
    private static final Logger LOG = LoggerFactory.getLogger(InheritedPorts.class);

    /** In the place of the descriptors of a device that is only wanted. */
    private static final List<Integer> NOT_OPEN = List.of();

    private final TapPorts taps;
    private final HandoverClient handover;
    private final List<PassedDevice> passed = new ArrayList<>();
    private boolean taken;
    private boolean complete;

    InheritedPorts(final TapPorts taps, final HandoverClient handover) {
        this.taps = taps;
        this.handover = handover;
    }

    private final class Inherited implements Device {
        private final Device device;

        Inherited(final Device device) {
            this.device = device;
        }

        @Override
        public Port port() {
            return device.port();
        }

        @Override
        public List<Integer> descriptors() {
            return device.descriptors();
        }

        @Override
        public boolean isInPlace() {
            return true;
        }

        @Override
        public boolean isReplaced() {
            return device.isReplaced();
        }

        @Override
        public void remove() {
            if (complete) {
                device.remove();
            } else {
                device.port().close();
            }
        }
    }

    @Override
    public Device attach(final EndpointSpec spec) throws AttachException {
        final PassedDevice device = passed(PassedDevice.ofEndpoint(spec, NOT_OPEN));
        return device == null
                ? taps.attach(spec)
                : new Inherited(taps.adopt(spec, device.descriptors()));
    }

    @Override
    public Device uplink(final SluiceConfig.Uplink uplink, final List<IpAddress> addresses)
            throws AttachException {
        final PassedDevice device = passed(PassedDevice.ofUplink(uplink, addresses, NOT_OPEN));
        if (device == null) {
            return taps.uplink(uplink, addresses);
        }
        if (uplink.port() == SluiceConfig.Uplink.Port.XDP) {
            passed.add(device);
            throw new AttachException(
                    AttachException.Cause.REFUSED,
                    "uplink.port: xdp, and the running daemon's is a TAP: stop it and start anew");
        }
        return new Inherited(taps.adoptUplink(uplink, device.descriptors()));
    }

    /** Connections of the proxy are not passed on: the successor's has none. */
    @Override
    public ProxyDevice proxy() throws AttachException {
        return taps.proxy();
    }

    private @Nullable PassedDevice passed(final PassedDevice wanted) throws AttachException {
        if (!taken) {
            taken = true;
            try {
                passed.addAll(handover.take());
            } catch (final HandoverException e) {
                throw new AttachException(
                        AttachException.Cause.REFUSED,
                        "the running daemon does not hand over: " + e.getMessage());
            }
        }
        for (final Iterator<PassedDevice> each = passed.iterator(); each.hasNext(); ) {
            final PassedDevice candidate = each.next();
            if (candidate.isSameAs(wanted)) {
                each.remove();
                return candidate;
            }
        }
        return null;
    }

    /**
     * Everything that was wanted is open: the predecessor ends.
     *
     * @return names that came and went there meanwhile
     */
    NameChanges complete() throws HandoverException {
        final NameChanges names = handover.complete();
        complete = true;
        for (final PassedDevice device : passed) {
            LOG.info("device {} of the daemon before is not wanted any more", device);
            taps.discard(device);
        }
        passed.clear();
        return names;
    }

    @Override
    public void addRoutes(final String uplinkDevice, final List<IpAddress> addresses)
            throws AttachException {
        taps.addRoutes(uplinkDevice, addresses);
    }

    @Override
    public void removeRoutes(final String uplinkDevice, final List<IpAddress> addresses) {
        taps.removeRoutes(uplinkDevice, addresses);
    }
}
