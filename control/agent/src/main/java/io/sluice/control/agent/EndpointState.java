package io.sluice.control.agent;

/**
 * Where an endpoint is in its life. It is made in {@link #CREATING}, leaves through removal from
 * any state, and only in {@link #READY} does a frame of it pass the switch.
 */
public enum EndpointState {
    /**
     * Its namespace does not exist yet. No device, no port; addresses are reserved. Leaves for
     * CREATING as soon as the namespace is there (looked for every second).
     */
    WAITING_FOR_NAMESPACE,

    /**
     * Its policy is being compiled, then device and port made. The port, if there, is closed.
     * Leaves for READY when a revision that knows the endpoint is live and the lane has the port,
     * for WAITING_FOR_NAMESPACE, or for FAILED.
     */
    CREATING,

    /** Device, port and policy are live. Leaves for DISCONNECTED when the device is gone. */
    READY,

    /**
     * Its namespace or device went away while it was READY. The port is already out of the data
     * plane; addresses stay reserved, so that no other endpoint gets them. Leaves for CREATING when
     * the namespace is back.
     */
    DISCONNECTED,

    /**
     * It cannot be made: the reason tells why (an address that is taken, a device name in use, a
     * bad annotation). No device, no port. Leaves for WAITING_FOR_NAMESPACE when its Pod changes,
     * or when what stood in its way may be gone.
     */
    FAILED
}
