package io.sluice.dnsproxy.cache;

import io.sluice.dnsproxy.wire.Address;

/** What conntrack knows, as far as {@link FqdnCache} must. */
@FunctionalInterface
public interface FlowUse {
    /**
     * Whether a tracked flow joins them. Called on the cache's thread, once per expired address and
     * {@link FqdnLimits#zombieCheckMs}.
     *
     * @param endpoint its name
     */
    boolean isUsed(String endpoint, Address address);
}
