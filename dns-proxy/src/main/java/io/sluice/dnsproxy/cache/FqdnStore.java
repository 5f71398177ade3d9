package io.sluice.dnsproxy.cache;

import io.sluice.dnsproxy.wire.Address;
import java.util.function.Consumer;

/**
 * Where names outlive the process. Written through: each change is one call, so that a crash costs
 * the last one at most.
 *
 * <p>Called on the cache's thread only.
 */
public interface FqdnStore {
    /** Adds or replaces what is known of endpoint, name and address. */
    void put(FqdnRecord learned);

    /** Forgets; nothing happens if it is not there. */
    void remove(String endpoint, String name, Address address);

    /** Hands over all there is, in any order. */
    void forEach(Consumer<FqdnRecord> sink);

    /** Keeps nothing. */
    FqdnStore NONE =
            new FqdnStore() {
                @Override
                public void put(final FqdnRecord learned) {}

                @Override
                public void remove(
                        final String endpoint, final String name, final Address address) {}

                @Override
                public void forEach(final Consumer<FqdnRecord> sink) {}
            };
}
