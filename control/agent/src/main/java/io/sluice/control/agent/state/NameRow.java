package io.sluice.control.agent.state;

import io.sluice.control.policy.IpAddress;
import java.time.Instant;

/**
 * An address that an endpoint learned from a name.
 *
 * @param name as asked for, in lower case with the final dot
 * @param address of the answer
 * @param endpoint who asked, as {@code namespace/name}
 * @param expiresAt when the answer is no longer good, wall clock, to the millisecond
 */
public record NameRow(String name, IpAddress address, String endpoint, Instant expiresAt) {}
