package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.port.Port;
import java.util.List;

/**
 * Makes the devices behind ports. In production {@link TapPorts}; tests plug in ports in memory.
 *
 * <p>Thread: control.
 */
interface PortFactory {
    /**
     * A device in a namespace, or the uplink's, with its port.
     *
     * <p>Thread: {@link #port}'s frames belong to the lanes between its addition and its removal;
     * the rest control.
     */
    interface Device {
        /** The port with parts for all lanes, not yet given to them, or already. */
        Port port();

        /** Whether another namespace has taken the place of the one that the device is in. */
        boolean isReplaced();

        /** Descriptors of the open device, one for each lane; empty for a port in memory. */
        default List<Integer> descriptors() {
            return List.of();
        }

        /** Whether its addresses, and the node's routes to it, are there from before. */
        default boolean isInPlace() {
            return false;
        }

        /** Takes the device away. Only after the lane has let go of the port. */
        void remove();
    }

    /**
     * Makes the endpoint's device in its namespace, with addresses and routes.
     *
     * @throws AttachException when that cannot be now
     */
    Device attach(EndpointSpec spec) throws AttachException;

    /**
     * Makes the uplink's device in the daemon's own namespace, with the node's pool addresses.
     *
     * @throws AttachException when that cannot be
     */
    Device uplink(SluiceConfig.Uplink uplink, List<IpAddress> addresses) throws AttachException;

    /** The device of the L7 proxy, in a namespace that was made for it. */
    interface ProxyDevice extends Device {
        /** Moves the calling thread into the proxy's namespace, for good. */
        void enter();

        /** Where the namespace is found: for {@code nsenter --net=}. */
        String namespace();
    }

    /**
     * Makes the L7 proxy's namespace and its device there, into which the switch redirects.
     *
     * @throws AttachException when that cannot be
     */
    ProxyDevice proxy() throws AttachException;

    /** Leads the node's packets for these addresses into the uplink. */
    void addRoutes(String uplinkDevice, List<IpAddress> addresses) throws AttachException;

    /** Takes routes away; a route that is not there is none to take away. */
    void removeRoutes(String uplinkDevice, List<IpAddress> addresses);

    /** A device could not be made. */
    final class AttachException extends Exception {
        private static final long serialVersionUID = 1L;

        /** What is missing. */
        enum Cause {
            /** The namespace is not there (yet). */
            NAMESPACE_MISSING,
            /** Another process still has it, and may be about to end. */
            HELD,
            /** Something else stands in the way; the message tells. */
            REFUSED
        }

        private final Cause missing;

        AttachException(final Cause missing, final String message) {
            super(message);
            this.missing = missing;
        }

        Cause missing() {
            return missing;
        }
    }
}
