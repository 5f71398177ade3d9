package io.sluice.control.agent.flowlog;

import java.time.Instant;

/**
 * Consecutive entries as they are written: opaque bytes, and what is known of them.
 *
 * @param count entries, at least 1
 * @param firstSequence number of the first, the lowest
 * @param lastSequence number of the last, the highest; more than {@code firstSequence + count - 1}
 *     where entries in between were lost
 * @param earliest least time of an entry
 * @param latest greatest time of an entry
 * @param keys what the entries can be asked for; none for a block that every question has to read
 * @param bytes the entries
 */
@SuppressWarnings("ArrayRecordComponent") // Made once, written once; nobody compares blocks.
public record LogBlock(
        int count,
        long firstSequence,
        long lastSequence,
        Instant earliest,
        Instant latest,
        KeyFilter keys,
        byte[] bytes) {}
