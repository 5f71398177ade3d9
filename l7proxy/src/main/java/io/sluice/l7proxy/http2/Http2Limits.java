package io.sluice.l7proxy.http2;

/**
 * Limits of HTTP/2 connections. Immutable. Floods are counted in times of {@link #FLOOD_TIME_NS},
 * each end for itself; beyond one the connection ends with ENHANCE_YOUR_CALM.
 *
 * @param streamsMax streams at once, 1 to 10,000; beyond it REFUSED_STREAM
 * @param headBytesMax names, values and 32 bytes for each header, 256 to 1,048,576; beyond it 431
 * @param headersMax headers, 1 to 10,000; beyond it 431
 * @param continuationsMax CONTINUATION frames of one head, 1 to 10,000
 * @param streamWindow bytes of a stream that are taken before the other end has taken them, 65,535
 *     to 16 MiB
 * @param connectionWindow the same for all streams of a connection, 65,535 to 64 MiB
 * @param resetsMax streams that a client resets before they are answered, or has us reset
 * @param settingsMax SETTINGS
 * @param pingsMax PINGs
 * @param emptyFramesMax DATA frames that have no data and end nothing
 * @param idleFramesMax frames that do nothing: PRIORITY, unknown ones, those of streams that are
 *     over
 */
public record Http2Limits(
        int streamsMax,
        int headBytesMax,
        int headersMax,
        int continuationsMax,
        int streamWindow,
        int connectionWindow,
        int resetsMax,
        int settingsMax,
        int pingsMax,
        int emptyFramesMax,
        int idleFramesMax) {
    /** Time in which frames are counted, in nanoseconds. */
    public static final long FLOOD_TIME_NS = 10_000_000_000L;

    /**
     * Streams: the least that RFC 9113, 6.5.2 recommends, and what servers take. Windows: a
     * connection holds 512 KiB per direction at the very worst. Resets: CVE-2023-44487 sends
     * 100,000 and more a second; clients whose deadlines expire send some. Pings: the bandwidth
     * estimators of gRPC send one per round trip, thousands a second on one host.
     */
    public static final Http2Limits DEFAULTS =
            new Http2Limits(
                    100,
                    64 * 1024,
                    200,
                    64,
                    128 * 1024,
                    512 * 1024,
                    1_000,
                    1_000,
                    100_000,
                    1_000,
                    10_000);

    /**
     * Checks the ranges.
     *
     * @throws IllegalArgumentException with the limit and what is accepted
     */
    public Http2Limits {
        checkRange("streamsMax", streamsMax, 1, 10_000);
        checkRange("headBytesMax", headBytesMax, 256, 1 << 20);
        checkRange("headersMax", headersMax, 1, 10_000);
        checkRange("continuationsMax", continuationsMax, 1, 10_000);
        checkRange("streamWindow", streamWindow, 65_535, 16 << 20);
        checkRange("connectionWindow", connectionWindow, 65_535, 64 << 20);
        checkRange("resetsMax", resetsMax, 1, 10_000_000);
        checkRange("settingsMax", settingsMax, 1, 10_000_000);
        checkRange("pingsMax", pingsMax, 1, 10_000_000);
        checkRange("emptyFramesMax", emptyFramesMax, 1, 10_000_000);
        checkRange("idleFramesMax", idleFramesMax, 1, 10_000_000);
    }

    private static void checkRange(
            final String name, final int value, final int least, final int most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(
                    name + " " + value + ": accepted: " + least + " to " + most);
        }
    }
}
