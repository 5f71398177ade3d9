package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Who reaches whom at one port.
 *
 * @param pods rows and columns: endpoints by namespace and name, then the nodes that policy speaks
 *     of
 * @param rows one text per source: {@code .} allowed, {@code X} denied, {@code =} itself, {@code P}
 *     the destination has no port of that name, {@code -} no common address family
 */
public record ReachabilityMatrix(List<ObjectRef> pods, List<String> rows) {
    private static final char ALLOWED = '.';
    private static final char DENIED = 'X';
    private static final char SELF = '=';
    private static final char NO_SUCH_PORT = 'P';
    private static final char NO_COMMON_FAMILY = '-';

    /** Whether the source reaches the destination, by position in {@link #pods}. */
    public boolean isAllowed(final int source, final int destination) {
        final char answer = rows.get(source).charAt(destination);
        return answer == ALLOWED || answer == SELF;
    }

    /**
     * Asks for every pair of endpoints.
     *
     * @param world the evaluator's world
     * @param evaluator answers the pairs
     * @param protocol as in a {@link Probe}
     * @param port as in a {@link Probe}; a name is looked up on each destination
     * @throws ProbeException if the protocol or port makes no sense
     */
    public static ReachabilityMatrix of(
            final World world,
            final PolicyEvaluator evaluator,
            final String protocol,
            final String port)
            throws ProbeException {
        final List<Row> ends = new ArrayList<>();
        world.pods().stream()
                .filter(Pod::isEndpoint)
                .sorted(Comparator.comparing(Pod::ref))
                .forEach(
                        pod ->
                                ends.add(
                                        new Row(
                                                pod.ref(),
                                                pod.ref().path(),
                                                pod.addresses(),
                                                pod.ports())));
        ends.addAll(evaluator.judgedNodes());
        final List<String> rows = new ArrayList<>();
        for (final Row from : ends) {
            final StringBuilder row = new StringBuilder();
            for (final Row to : ends) {
                row.append(cell(evaluator, from, to, protocol, port));
            }
            rows.add(row.toString());
        }
        return new ReachabilityMatrix(ends.stream().map(Row::ref).toList(), List.copyOf(rows));
    }

    /** An end: its name for a probe, addresses and named ports. */
    record Row(
            ObjectRef ref, String probed, List<IpAddress> addresses, List<Pod.NamedPort> ports) {}

    private static char cell(
            final PolicyEvaluator evaluator,
            final Row from,
            final Row to,
            final String protocol,
            final String port)
            throws ProbeException {
        if (from.ref.equals(to.ref)) {
            return SELF;
        }
        if (!haveCommonFamily(from, to)) {
            return NO_COMMON_FAMILY;
        }
        final int number = IpProtocol.parse(protocol);
        final boolean named = port.chars().anyMatch(c -> c < '0' || c > '9');
        if (named
                && to.ports.stream()
                        .noneMatch(p -> p.name().equals(port) && p.protocol() == number)) {
            return NO_SUCH_PORT;
        }
        return evaluator.evaluate(Probe.of(from.probed, to.probed, protocol, port)).allowed()
                ? ALLOWED
                : DENIED;
    }

    private static boolean haveCommonFamily(final Row from, final Row to) {
        if (from.addresses.isEmpty() || to.addresses.isEmpty()) {
            return true;
        }
        return from.addresses.stream()
                .anyMatch(a -> to.addresses.stream().anyMatch(b -> a.isIpv4() == b.isIpv4()));
    }
}
