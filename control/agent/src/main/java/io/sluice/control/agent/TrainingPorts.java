package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.Gateway;
import io.sluice.dataplane.linux.FramePair;
import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.Tun;
import io.sluice.dataplane.port.Port;
import io.sluice.dataplane.port.TapOptions;
import io.sluice.dataplane.port.TapPort;
import java.util.List;

/**
 * Pairs of sockets in the place of devices, with nobody at the far end: what a start of the daemon
 * needs where there are no privileges, see {@link StartTraining}.
 *
 * <p>Thread: control.
 */
final class TrainingPorts implements PortFactory {
    private record Pair(TapPort tap, Tun farEnd) implements Device {
        @Override
        public Port port() {
            return tap;
        }

        @Override
        public boolean isReplaced() {
            return false;
        }

        @Override
        public void remove() {
            tap.close();
            farEnd.close();
        }
    }

    private static Device pair(final String device, final long mac, final int mtuBytes) {
        final FramePair pair = FramePair.open();
        return new Pair(
                TapPort.adopt(
                        new TapOptions(
                                device,
                                NetworkNamespace.current(),
                                mac,
                                mtuBytes,
                                TapOptions.Lifetime.PORT),
                        pair.one()),
                Tun.adopt(device, pair.other()));
    }

    @Override
    public Device attach(final EndpointSpec spec) {
        return pair(spec.device(), spec.mac(), spec.mtuBytes());
    }

    @Override
    public Device uplink(final SluiceConfig.Uplink uplink, final List<IpAddress> addresses) {
        return pair(uplink.device(), Gateway.DEFAULT.mac(), uplink.mtuBytes());
    }

    @Override
    public ProxyDevice proxy() throws AttachException {
        throw new AttachException(
                AttachException.Cause.REFUSED, "the proxy needs a namespace of its own");
    }

    @Override
    public void addRoutes(final String uplinkDevice, final List<IpAddress> addresses) {}

    @Override
    public void removeRoutes(final String uplinkDevice, final List<IpAddress> addresses) {}
}
