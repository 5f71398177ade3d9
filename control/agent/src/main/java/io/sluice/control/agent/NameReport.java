package io.sluice.control.agent;

import java.time.Instant;

/**
 * An address that an endpoint learned from a name.
 *
 * @param name as asked for, in lower case with the final dot
 * @param address of the answer
 * @param identity number of its identity
 * @param endpoint who asked, as {@code namespace/name}
 * @param learnedAt when the last answer said so
 * @param expiresAt until when it holds without a flow
 * @param state {@code live}, or {@code zombie} where only a flow keeps it
 */
public record NameReport(
        String name,
        String address,
        int identity,
        String endpoint,
        Instant learnedAt,
        Instant expiresAt,
        String state) {}
