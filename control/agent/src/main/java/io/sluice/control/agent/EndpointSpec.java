package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import java.util.List;

/**
 * What an endpoint of this node is to be: all that its device and port are made from.
 *
 * @param namespace of its Pod
 * @param name of its Pod
 * @param networkNamespace name, absolute path, or {@code pid:N}
 * @param processStart which process {@code pid:N} means, see {@link ProcessStart}; empty for
 *     whichever has the number
 * @param device name of the device in that namespace
 * @param mtuBytes of the device
 * @param addresses at most one of each family, at least one
 * @param port how the device is joined to the switch
 */
record EndpointSpec(
        String namespace,
        String name,
        String networkNamespace,
        String processStart,
        String device,
        int mtuBytes,
        List<IpAddress> addresses,
        PortKind port) {
    /** How a device is joined to the switch. */
    enum PortKind {
        /** A TAP: bulk TCP in super-frames. */
        TAP,
        /** A veth whose far end is read through AF_XDP: packets per second. */
        XDP
    }

    EndpointSpec {
        addresses = List.copyOf(addresses);
    }

    /** An endpoint with a TAP in a namespace that is found by name or path. */
    EndpointSpec(
            final String namespace,
            final String name,
            final String networkNamespace,
            final String device,
            final int mtuBytes,
            final List<IpAddress> addresses) {
        this(namespace, name, networkNamespace, "", device, mtuBytes, addresses, PortKind.TAP);
    }

    /** {@code namespace/name}. */
    String path() {
        return namespace + "/" + name;
    }

    /**
     * MAC of the device: locally administered, the same for the same Pod, so that neighbour entries
     * survive a restart. 40 bits of FNV-1a; ports do not share a link, so equal MACs would do no
     * harm.
     */
    long mac() {
        long hash = 0xcbf2_9ce4_8422_2325L;
        for (final char c : path().toCharArray()) {
            hash = (hash ^ c) * 0x100_0000_01b3L;
        }
        return (0x02L << 40) | ((hash ^ (hash >>> 40)) & 0xff_ffff_ffffL);
    }
}
