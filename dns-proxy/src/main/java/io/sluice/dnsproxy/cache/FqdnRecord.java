package io.sluice.dnsproxy.cache;

import io.sluice.dnsproxy.wire.Address;

/**
 * A name, one of its addresses, and the endpoint that learned it. Immutable.
 *
 * @param endpoint its name, which must mean the same after a restart
 * @param name lower case, dot-terminated
 * @param address what it stands for
 * @param learnedMs of the last answer that said so, ms since 1970
 * @param expiresMs until when it holds without a flow, ms since 1970
 * @param isZombie expired or crowded out, and kept because a flow uses it
 */
public record FqdnRecord(
        String endpoint,
        String name,
        Address address,
        long learnedMs,
        long expiresMs,
        boolean isZombie) {}
