package io.sluice.control.agent;

import java.time.Duration;

/**
 * Which packets to trace.
 *
 * @param match expression of {@link PacketExpression}; blank for every packet
 * @param packets how many, from 1 to {@link #PACKETS_MAX}
 * @param timeout longest time, from a second to {@link #TIMEOUT_MAX}
 */
public record TraceQuery(String match, int packets, Duration timeout) {
    /** A trace is for eyes; whoever wants more asks for flows. */
    public static final int PACKETS_MAX = 1_000_000;

    /** A trace that somebody forgot must end. */
    public static final Duration TIMEOUT_MAX = Duration.ofHours(1);

    /** Refuses numbers out of range. */
    public TraceQuery {
        if (packets < 1 || packets > PACKETS_MAX) {
            throw new RequestException(
                    RequestException.Reason.INVALID,
                    "count: " + packets + ": a number from 1 to " + PACKETS_MAX);
        }
        if (timeout.toSeconds() < 1 || timeout.compareTo(TIMEOUT_MAX) > 0) {
            throw new RequestException(
                    RequestException.Reason.INVALID,
                    "timeout: "
                            + timeout.toSeconds()
                            + ": seconds from 1 to "
                            + TIMEOUT_MAX.toSeconds());
        }
    }
}
