package io.sluice.control.agent.hubble;

/** Bounds of what clients of the observer can take. */
final class HubbleLimits {
    /**
     * Connections at a time, over both ways in; one more is closed at once. A connection costs some
     * 100 KiB of buffers at most: 64 of them 6 MiB.
     */
    static final int CONNECTIONS_MAX = 64;

    /** Answers in flight at a time; one more is RESOURCE_EXHAUSTED. Each has a virtual thread. */
    static final int STREAMS_MAX = 256;

    /** Calls at a time on one connection: a client that floods waits for itself. */
    static final int CALLS_PER_CONNECTION_MAX = 32;

    /** A request, in bytes. Filters of a thousand pods are some 50 KiB. */
    static final int REQUEST_BYTES_MAX = 256 * 1024;

    /** Headers of a request, in bytes. */
    static final int HEADERS_BYTES_MAX = 8 * 1024;

    /** For the TLS handshake and HTTP/2's first frames. */
    static final int HANDSHAKE_SECONDS = 10;

    /** A client that has said nothing for so long is asked whether it is there. */
    static final int KEEPALIVE_SECONDS = 60;

    /** How often a client may ask the same; hubble-relay does so every 30 seconds. */
    static final int CLIENT_KEEPALIVE_SECONDS_MIN = 5;

    /** How long a follower waits for flows before it looks whether its client is still there. */
    static final int FOLLOW_WAIT_MS = 500;

    /**
     * Sets of alternatives that a question to the flow store is put in. Several filters multiply
     * theirs; those that are left out cost reading, not flows.
     */
    static final int CLAUSES_MAX = 64;

    private HubbleLimits() {}
}
