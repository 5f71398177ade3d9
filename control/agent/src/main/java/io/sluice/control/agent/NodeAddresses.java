package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.Set;
import java.util.TreeSet;

/** The addresses of the daemon's own namespace: what policy calls the host. */
final class NodeAddresses {
    private NodeAddresses() {}

    /**
     * All addresses of all devices but loopback and IPv6 link-local ones, which the switch does not
     * let travel; the uplink's are among them. IPv4 link-local ones do travel.
     */
    static Set<IpAddress> now() throws SocketException {
        final Set<IpAddress> addresses = new TreeSet<>();
        NetworkInterface.networkInterfaces()
                .flatMap(NetworkInterface::inetAddresses)
                .filter(address -> !address.isLoopbackAddress())
                .filter(address -> address instanceof Inet4Address || !address.isLinkLocalAddress())
                .forEach(address -> addresses.add(of(address)));
        return addresses;
    }

    private static IpAddress of(final InetAddress address) {
        final ByteBuffer bytes = ByteBuffer.wrap(address.getAddress());
        return bytes.remaining() == 4
                ? IpAddress.ofIpv4(bytes.getInt())
                : new IpAddress(bytes.getLong(), bytes.getLong());
    }

    /** This machine's name; {@code localhost} where it has none that resolves. */
    static String hostName() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (final UnknownHostException e) {
            return "localhost";
        }
    }
}
