package io.sluice.dnsproxy;

import io.sluice.dnsproxy.wire.Address;
import java.util.List;

/**
 * Makes names live: identities, ipcache and policy maps. The other half of the promise that the
 * first connection after an answer is never wrongly dropped.
 *
 * <p>The hand-shake: {@link #learned} says at once that the addresses are live, or takes the batch
 * and has {@link DnsExchange#onLive} called with its number later, on the DNS agent's thread, once
 * every lane sees them. Until then the answer is held.
 */
@FunctionalInterface
public interface NameObserver {
    /**
     * Told of addresses that were not open before. Must not block.
     *
     * @param batch to hand to {@link DnsExchange#onLive} if the answer is false
     * @param endpoint who learned
     * @param name lower case, dot-terminated
     * @param addresses new ones of that name
     * @return whether they are live already, for instance because no policy names them
     */
    boolean learned(long batch, String endpoint, String name, List<Address> addresses);
}
