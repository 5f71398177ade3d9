package io.sluice.l7proxy.http;

/**
 * Limits of HTTP/1.1 messages. Immutable.
 *
 * @param headBytesMax start line and headers, 256 to 1,048,576; beyond it 431 and close
 * @param headersMax lines of headers, 1 to 10,000; beyond it 431 and close
 * @param trailerBytesMax trailers of a chunked body, 0 to 1,048,576
 * @param chunkExtensionBytesMax all extensions of a body's chunks together, 0 to 1,048,576
 * @param pipelinedMax requests without an answer on one connection, 1 to 1,000; the client is not
 *     read beyond it
 * @param skippedBodyMax body of a denied request that is read and dropped so that the connection
 *     stays usable, 0 to 1 GiB; with a longer one the connection ends
 */
public record HttpLimits(
        int headBytesMax,
        int headersMax,
        int trailerBytesMax,
        int chunkExtensionBytesMax,
        int pipelinedMax,
        long skippedBodyMax) {
    /**
     * Head and headers: Envoy takes 60 KiB and 100 lines, nginx 32 KiB, HAProxy 16 KiB and 101; the
     * server has its own limits behind ours. Extensions: nobody uses them, so a few KiB per body is
     * generous, and one byte of data per KiB of extension would be an attack (CVE-2023-39326).
     */
    public static final HttpLimits DEFAULTS =
            new HttpLimits(64 * 1024, 200, 8 * 1024, 4 * 1024, 64, 64 * 1024);

    /**
     * Checks the ranges.
     *
     * @throws IllegalArgumentException with the limit and what is accepted
     */
    public HttpLimits {
        checkRange("headBytesMax", headBytesMax, 256, 1 << 20);
        checkRange("headersMax", headersMax, 1, 10_000);
        checkRange("trailerBytesMax", trailerBytesMax, 0, 1 << 20);
        checkRange("chunkExtensionBytesMax", chunkExtensionBytesMax, 0, 1 << 20);
        checkRange("pipelinedMax", pipelinedMax, 1, 1_000);
        checkRange("skippedBodyMax", skippedBodyMax, 0, 1 << 30);
    }

    private static void checkRange(
            final String name, final long value, final long least, final long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(
                    name + " " + value + ": accepted: " + least + " to " + most);
        }
    }
}
