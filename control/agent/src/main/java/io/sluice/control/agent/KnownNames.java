package io.sluice.control.agent;

import io.sluice.dnsproxy.DnsEnd;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What reports and requests ask of names. Thread: any but the DNS agent's. */
interface KnownNames {
    /** All that is known. */
    List<FqdnRecord> learned();

    /**
     * Forgets names at once, flows or not.
     *
     * @param endpoint {@code namespace/name}; empty for all
     * @return addresses forgotten
     */
    int clean(Optional<String> endpoint, NamePatternIndex names);

    /** Messages by their end, as of a second ago at most. */
    Map<DnsEnd, Long> counts();

    /** Packets dropped after the answer with their address had gone out. */
    long wrongDrops();
}
