package io.sluice.control.policy;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Peers at one moment: identities and the prefixes that have them.
 *
 * <p>Immutable, any thread. What is listed only when somebody asks for a list is made then; two
 * threads may make it twice, to the same effect.
 */
final class PeerSnapshot {
    private final PersistentMap<Integer, PeerFacts> factsByNumber;
    private final PersistentMap<Cidr, Integer> numberByPrefix;
    private final int[] ipv4Lengths;
    private final int[] ipv6Lengths;
    private volatile @Nullable List<Identity> identities;
    private volatile @Nullable List<IpcacheEntry> ipcache;

    /**
     * @param ipv4Lengths lengths of the IPv4 prefixes, longest first; not to be changed any more
     * @param ipv6Lengths the same of the IPv6 prefixes
     */
    PeerSnapshot(
            final PersistentMap<Integer, PeerFacts> factsByNumber,
            final PersistentMap<Cidr, Integer> numberByPrefix,
            final int[] ipv4Lengths,
            final int[] ipv6Lengths) {
        this.factsByNumber = factsByNumber;
        this.numberByPrefix = numberByPrefix;
        this.ipv4Lengths = ipv4Lengths;
        this.ipv6Lengths = ipv6Lengths;
    }

    /** Every identity that an address can have, by ascending number. */
    List<Identity> identities() {
        List<Identity> listed = identities;
        if (listed == null) {
            listed =
                    factsByNumber.entrySet().stream()
                            .sorted(Map.Entry.comparingByKey())
                            .map(entry -> identity(entry.getKey(), entry.getValue()))
                            .toList();
            identities = listed;
        }
        return listed;
    }

    private static Identity identity(final int number, final PeerFacts facts) {
        return new Identity(number, facts.labelTexts());
    }

    Optional<Identity> identity(final int number) {
        return facts(number).map(facts -> identity(number, facts));
    }

    Optional<PeerFacts> facts(final int number) {
        return Optional.ofNullable(factsByNumber.get(number));
    }

    /** Every prefix with its identity, by ascending prefix. */
    List<IpcacheEntry> ipcache() {
        List<IpcacheEntry> listed = ipcache;
        if (listed == null) {
            listed =
                    numberByPrefix.entrySet().stream()
                            .sorted(Map.Entry.comparingByKey())
                            .map(entry -> new IpcacheEntry(entry.getKey(), entry.getValue()))
                            .toList();
            ipcache = listed;
        }
        return listed;
    }

    /** Number of the identity of an address: that of the longest prefix around it. */
    int numberAt(final IpAddress address) {
        for (final int length : address.isIpv4() ? ipv4Lengths : ipv6Lengths) {
            final Integer number = numberByPrefix.get(Cidr.around(address, length));
            if (number != null) {
                return number;
            }
        }
        throw new IllegalStateException("no identity at " + address);
    }

    /** Whether an earlier snapshot has the very same identities. */
    // Only a shared map is known to be equal without a look at what is in it.
    @SuppressWarnings("ReferenceEquality")
    boolean hasIdentitiesOf(final PeerSnapshot earlier) {
        return factsByNumber == earlier.factsByNumber;
    }

    /** Prefixes with another identity than in an earlier snapshot; none for those that are gone. */
    Map<Cidr, Optional<Integer>> prefixesChangedSince(final PeerSnapshot earlier) {
        final Map<Cidr, Optional<Integer>> changed = new LinkedHashMap<>();
        numberByPrefix.forEachChange(
                earlier.numberByPrefix,
                (prefix, _, number) -> changed.put(prefix, Optional.ofNullable(number)));
        return changed;
    }
}
