package io.sluice.control.agent;

import java.time.Instant;

/**
 * An address that an endpoint learned from a name.
 *
 * @param endpoint who asked, as {@code namespace/name}
 * @param name as asked for, in lower case with the final dot
 * @param address of the answer
 * @param expiresAt when the answer is no longer good
 */
public record NameReport(String endpoint, String name, String address, Instant expiresAt) {}
