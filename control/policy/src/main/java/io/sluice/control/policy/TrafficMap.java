package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.Function;

/**
 * A value for all traffic: for every protocol, destination port and source port.
 *
 * <p>One map has one form, whatever it was made from: neighbours with equal values are one range, a
 * protocol that is like all others is not listed, and what a protocol has no ports for does not
 * tell its packets apart. So maps that say the same are equal. A set of traffic is a map to
 * booleans; intersection, union and difference are {@link #combine} with and, or, and-not.
 *
 * <p>Immutable, any thread.
 *
 * @param <T> value; must have {@code equals}
 * @param protocols by protocol number: destination ports (for ICMP type * 256 + code), and for each
 *     range of them the source ports; both cover 0 to 65535 without gaps
 * @param others value of the protocols that are not listed
 */
record TrafficMap<T>(SortedMap<Integer, List<Range<List<Range<T>>>>> protocols, T others) {
    /**
     * Ports of one value.
     *
     * @param from first
     * @param to last, inclusive
     */
    record Range<V>(int from, int to, V value) {}

    TrafficMap {
        protocols = Collections.unmodifiableSortedMap(protocols);
    }

    /** The same value for everything. */
    static <T> TrafficMap<T> always(final T value) {
        return new TrafficMap<>(new TreeMap<>(), value);
    }

    /** What a program says, of which the function keeps what matters. */
    static <T> TrafficMap<T> of(
            final VerdictProgram program, final Function<PolicyEntry, T> valueOf) {
        final SortedMap<Integer, List<Range<List<Range<T>>>>> protocols = new TreeMap<>();
        for (final VerdictProgram.ProtocolProgram listed : program.protocols()) {
            final List<Range<List<Range<T>>>> ports = new ArrayList<>();
            int next = 0;
            while (next < listed.intervals().size()) {
                final VerdictProgram.Interval first = listed.intervals().get(next);
                final List<Range<T>> sources = new ArrayList<>();
                while (next < listed.intervals().size()
                        && listed.intervals().get(next).from() == first.from()) {
                    final VerdictProgram.Interval interval = listed.intervals().get(next);
                    add(
                            sources,
                            interval.sourceFrom(),
                            interval.sourceTo(),
                            valueOf.apply(interval.entry()));
                    next++;
                }
                add(ports, first.from(), first.to(), sources);
            }
            protocols.put(listed.protocol(), ports);
        }
        return canonical(protocols, valueOf.apply(program.otherProtocols()));
    }

    /** Packets of one protocol with a destination and a source port in these ranges. */
    static TrafficMap<Boolean> box(
            final int protocol,
            final int from,
            final int to,
            final int sourceFrom,
            final int sourceTo) {
        final SortedMap<Integer, List<Range<List<Range<Boolean>>>>> protocols = new TreeMap<>();
        protocols.put(
                protocol,
                within(from, to, within(sourceFrom, sourceTo, true, false), whole(false)));
        return canonical(protocols, false);
    }

    private static <V> List<Range<V>> within(
            final int from, final int to, final V inside, final V outside) {
        final List<Range<V>> ranges = new ArrayList<>();
        if (from > 0) {
            add(ranges, 0, from - 1, outside);
        }
        add(ranges, from, to, inside);
        if (to < VerdictProgram.PORT_MAX) {
            add(ranges, to + 1, VerdictProgram.PORT_MAX, outside);
        }
        return ranges;
    }

    /** For every packet, the function of what both maps say. */
    <U, R> TrafficMap<R> combine(
            final TrafficMap<U> other,
            final BiFunction<? super T, ? super U, ? extends R> function) {
        final SortedSet<Integer> numbers = new TreeSet<>(protocols.keySet());
        numbers.addAll(other.protocols.keySet());
        final SortedMap<Integer, List<Range<List<Range<R>>>>> combined = new TreeMap<>();
        for (final int number : numbers) {
            combined.put(
                    number,
                    zip(
                            ports(number),
                            other.ports(number),
                            (mine, theirs) -> zip(mine, theirs, function)));
        }
        return canonical(combined, function.apply(others, other.others));
    }

    /** The same traffic with other values. */
    <R> TrafficMap<R> map(final Function<? super T, ? extends R> function) {
        return combine(always(true), (value, _) -> function.apply(value));
    }

    /** This map, but of one protocol what another map says. */
    TrafficMap<T> withProtocol(final int protocol, final TrafficMap<T> source) {
        final SortedMap<Integer, List<Range<List<Range<T>>>>> changed = new TreeMap<>(protocols);
        changed.put(protocol, source.ports(protocol));
        return canonical(changed, others);
    }

    /** This map without a word about one protocol: it is like those that are not listed. */
    TrafficMap<T> withoutProtocol(final int protocol) {
        final SortedMap<Integer, List<Range<List<Range<T>>>>> changed = new TreeMap<>(protocols);
        changed.remove(protocol);
        return new TrafficMap<>(changed, others);
    }

    /** Destination ports of a protocol, listed or not. */
    List<Range<List<Range<T>>>> ports(final int protocol) {
        final List<Range<List<Range<T>>>> listed = protocols.get(protocol);
        return listed == null ? whole(whole(others)) : listed;
    }

    /** The different values, in the order of protocols and ports, that of the others last. */
    Set<T> values() {
        final Set<T> values = new LinkedHashSet<>();
        for (final List<Range<List<Range<T>>>> ports : protocols.values()) {
            for (final Range<List<Range<T>>> range : ports) {
                range.value.forEach(source -> values.add(source.value));
            }
        }
        values.add(others);
        return values;
    }

    private static <V> List<Range<V>> whole(final V value) {
        return List.of(new Range<>(0, VerdictProgram.PORT_MAX, value));
    }

    private static <T> TrafficMap<T> canonical(
            final Map<Integer, List<Range<List<Range<T>>>>> protocols, final T others) {
        final SortedMap<Integer, List<Range<List<Range<T>>>>> listed = new TreeMap<>();
        final List<Range<List<Range<T>>>> unlisted = whole(whole(others));
        protocols.forEach(
                (number, ports) -> {
                    final List<Range<List<Range<T>>>> told = told(number, ports);
                    if (!told.equals(unlisted)) {
                        listed.put(number, told);
                    }
                });
        return new TrafficMap<>(listed, others);
    }

    /** Of ports, those that packets of the protocol carry; where there are none, port 0 counts. */
    private static <T> List<Range<List<Range<T>>>> told(
            final int protocol, final List<Range<List<Range<T>>>> ports) {
        if (IpProtocol.hasPorts(protocol)) {
            return ports;
        }
        final List<Range<List<Range<T>>>> told = new ArrayList<>();
        for (final Range<List<Range<T>>> range : ports) {
            add(told, range.from, range.to, whole(range.value.getFirst().value));
        }
        return IpProtocol.isIcmp(protocol) ? told : whole(told.getFirst().value);
    }

    /** Values of two coverings of the ports, where their ranges overlap. */
    private static <A, B, R> List<Range<R>> zip(
            final List<Range<A>> mine,
            final List<Range<B>> theirs,
            final BiFunction<? super A, ? super B, ? extends R> function) {
        final List<Range<R>> zipped = new ArrayList<>();
        int next = 0;
        int from = 0;
        for (final Range<A> range : mine) {
            while (from <= range.to) {
                final Range<B> overlapping = theirs.get(next);
                final int to = Math.min(range.to, overlapping.to);
                add(zipped, from, to, function.apply(range.value, overlapping.value));
                from = to + 1;
                next += overlapping.to == to ? 1 : 0;
            }
        }
        return zipped;
    }

    /** Appends a range, or widens the last if it says the same. */
    private static <V> void add(
            final List<Range<V>> ranges, final int from, final int to, final V value) {
        if (!ranges.isEmpty() && ranges.getLast().value.equals(value)) {
            ranges.set(ranges.size() - 1, new Range<>(ranges.getLast().from, to, value));
        } else {
            ranges.add(new Range<>(from, to, value));
        }
    }
}
