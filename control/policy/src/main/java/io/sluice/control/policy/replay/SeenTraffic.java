package io.sluice.control.policy.replay;

import java.time.Instant;

/**
 * Equal flows with the same outcome, counted.
 *
 * @param flow what they have in common
 * @param verdict what became of them
 * @param times how many there were, one at least
 * @param first time of the earliest
 * @param last time of the latest
 */
public record SeenTraffic(
        SeenFlow flow, SeenVerdict verdict, long times, Instant first, Instant last) {}
