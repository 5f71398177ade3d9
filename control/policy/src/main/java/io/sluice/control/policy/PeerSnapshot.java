package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeSet;

/**
 * Peers at one moment: identities and the prefixes that have them.
 *
 * <p>Immutable, any thread. What is listed only when somebody asks for a list is made then; two
 * threads may make it twice, to the same effect.
 */
final class PeerSnapshot {
    private final Map<Integer, PeerFacts> factsByNumber;
    private final Map<Cidr, Integer> numberByPrefix;
    private final List<IpcacheEntry> ipcache;
    private final int[] ipv4Lengths;
    private final int[] ipv6Lengths;
    private volatile List<Identity> identities = List.of();

    PeerSnapshot(final Map<PeerFacts, Integer> numbers, final SortedMap<Cidr, PeerFacts> prefixes) {
        this.factsByNumber = new HashMap<>(numbers.size() * 2);
        numbers.forEach((facts, number) -> factsByNumber.put(number, facts));
        this.numberByPrefix = new HashMap<>(prefixes.size() * 2);
        final List<IpcacheEntry> entries = new ArrayList<>(prefixes.size());
        final TreeSet<Integer> ipv4 = new TreeSet<>();
        final TreeSet<Integer> ipv6 = new TreeSet<>();
        for (final Map.Entry<Cidr, PeerFacts> entry : prefixes.entrySet()) {
            final Cidr prefix = entry.getKey();
            final int number = numbers.getOrDefault(entry.getValue(), Identity.UNKNOWN);
            entries.add(new IpcacheEntry(prefix, number));
            numberByPrefix.put(prefix, number);
            (prefix.isIpv4() ? ipv4 : ipv6).add(prefix.lengthBits());
        }
        this.ipcache = List.copyOf(entries);
        this.ipv4Lengths = ipv4.descendingSet().stream().mapToInt(Integer::intValue).toArray();
        this.ipv6Lengths = ipv6.descendingSet().stream().mapToInt(Integer::intValue).toArray();
    }

    /** Every identity that an address can have, by ascending number. */
    List<Identity> identities() {
        List<Identity> listed = identities;
        if (listed.isEmpty()) {
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

    List<IpcacheEntry> ipcache() {
        return ipcache;
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
}
