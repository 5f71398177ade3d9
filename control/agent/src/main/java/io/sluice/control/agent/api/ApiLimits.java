package io.sluice.control.agent.api;

/** Bounds of the API server, and what happens at each. */
final class ApiLimits {
    /**
     * Body of a request, in bytes; a longer one is answered 413. A manifest of a thousand policies
     * of 40 lines is about 1.5 MB, a file of 100,000 probes about 8 MB.
     */
    static final int BODY_BYTES_MAX = 16 << 20;

    /** Body of a request for metrics, in bytes: it has none. */
    static final int METRICS_BODY_BYTES_MAX = 1 << 10;

    /**
     * Connections at a time; one more is closed at once. Each holds at most one body: 64 of them
     * are 1 GiB at the very worst, and people and scripts open a handful.
     */
    static final int CONNECTIONS_MAX = 64;

    /**
     * First line of a request, in bytes; a longer one is answered 414. Names of objects and filters
     * of flows are in it: Netty's own 4,096 are 20 Pods with long names.
     */
    static final int REQUEST_LINE_BYTES_MAX = 64 << 10;

    /** Headers of a request together, in bytes; more are answered 431. */
    static final int HEADERS_BYTES_MAX = 8 << 10;

    /** Idle connections are closed after this long, in seconds. Local clients send at once. */
    static final int IDLE_SECONDS = 30;

    /**
     * Longest wait of a stream for its next flow, in milliseconds: how late the server notices that
     * a silent follower went away, and how late a stopping daemon ends its streams.
     */
    static final int STREAM_WAIT_MS = 500;

    private ApiLimits() {}
}
