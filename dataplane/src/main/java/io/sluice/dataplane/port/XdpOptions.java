package io.sluice.dataplane.port;

import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.XdpQueues;
import io.sluice.dataplane.wire.MacAddress;

/**
 * What an {@link XdpPort} is to be.
 *
 * <p>Thread: any; immutable.
 *
 * @param peer name of the end in the switch's own namespace, 1 to 15 characters
 * @param device name of the end in the pod's namespace, 1 to 15 characters
 * @param namespace the pod's
 * @param macAddress of the pod's end, in the low 48 bits, first byte highest; unicast and not 0
 * @param mtu largest IP packet in bytes, 68 to {@link XdpPort#MTU_MAX}
 * @param queues by which the pod's end sends, 1 to {@link XdpQueues#MAX}
 * @param mode where the XDP program is to run
 * @param busyPollUs how long a look at an empty port may do the kernel's receive work, in
 *     microseconds, 0 to {@link #BUSY_POLL_US_MAX}; 0 for not at all
 */
public record XdpOptions(
        String peer,
        String device,
        NetworkNamespace namespace,
        long macAddress,
        int mtu,
        int queues,
        XdpQueues.Mode mode,
        int busyPollUs) {
    public static final int BUSY_POLL_US_MAX = 1_000;

    public XdpOptions {
        // A TAP of the same properties has the same rules.
        final TapOptions _ =
                new TapOptions(device, namespace, macAddress, mtu, TapOptions.Lifetime.PORT);
        final TapOptions _ =
                new TapOptions(peer, namespace, macAddress, mtu, TapOptions.Lifetime.PORT);
        if (queues < 1 || queues > XdpQueues.MAX) {
            throw new IllegalArgumentException(
                    "device "
                            + device
                            + ": "
                            + queues
                            + " queues: out of range, 1 to "
                            + XdpQueues.MAX);
        }
        if (busyPollUs < 0 || busyPollUs > BUSY_POLL_US_MAX) {
            throw new IllegalArgumentException(
                    "device "
                            + device
                            + ": busy-poll "
                            + busyPollUs
                            + " us is out of range, 0 to "
                            + BUSY_POLL_US_MAX);
        }
    }

    /** The MAC address as people write it: {@code 02:53:4c:00:00:01}. */
    String macText() {
        return MacAddress.format(macAddress);
    }
}
