package io.sluice.control.agent.flowlog;

import java.time.Duration;

/**
 * What a log may keep.
 *
 * @param bytesMax size of all files together, in bytes, at least {@link #BYTES_MIN}
 * @param ageMax entries older than this are not given out, and their segments deleted
 */
public record LogLimits(long bytesMax, Duration ageMax) {
    /** Sixteen segments of the least size. */
    public static final long BYTES_MIN = 4L << 20;

    /** Deletion goes by segments, so one segment is the share of the size that is given up. */
    private static final int SEGMENTS = 64;

    /** Below this, headers and footers weigh. */
    private static final int SEGMENT_BYTES_MIN = 64 << 10;

    /** What a start after a crash reads to find the end: 16 MiB are some 20 ms. */
    private static final int SEGMENT_BYTES_MAX = 16 << 20;

    public LogLimits {
        if (bytesMax < BYTES_MIN) {
            throw new IllegalArgumentException(bytesMax + " bytes: at least " + BYTES_MIN);
        }
        if (ageMax.isNegative() || ageMax.isZero()) {
            throw new IllegalArgumentException("age " + ageMax + ": more than nothing");
        }
    }

    /** A segment is closed before it grows beyond this, in bytes. */
    int segmentBytes() {
        return Math.clamp(bytesMax / SEGMENTS, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
    }

    /** A segment is closed when its oldest entry is this old, so that age can delete it. */
    Duration segmentAge() {
        return ageMax.dividedBy(SEGMENTS);
    }
}
