package io.sluice.control.agent.state;

import io.sluice.control.policy.IpAddress;
import java.time.Instant;

/**
 * An address that an endpoint learned from a name.
 *
 * @param name as asked for, in lower case with the final dot
 * @param address of the answer
 * @param endpoint who asked, as {@code namespace/name}
 * @param learnedAt when the last answer said so, wall clock, to the millisecond
 * @param expiresAt when the answer is no longer good, likewise
 * @param zombie expired or crowded out, and kept because a flow uses the address
 */
public record NameRow(
        String name,
        IpAddress address,
        String endpoint,
        Instant learnedAt,
        Instant expiresAt,
        boolean zombie) {}
