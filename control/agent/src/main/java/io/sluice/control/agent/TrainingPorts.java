package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.Gateway;
import java.util.List;

/**
 * Pairs of sockets in the place of devices, with nobody at the far end: what a start of the daemon
 * needs where there are no privileges, see {@link StartTraining}.
 *
 * <p>Thread: control.
 */
final class TrainingPorts implements PortFactory {
    @Override
    public Device attach(final EndpointSpec spec) {
        return WarmUp.Pair.open(spec.device(), spec.mac(), spec.mtuBytes());
    }

    @Override
    public Device uplink(final SluiceConfig.Uplink uplink, final List<IpAddress> addresses) {
        return WarmUp.Pair.open(uplink.device(), Gateway.DEFAULT.mac(), uplink.mtuBytes());
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
