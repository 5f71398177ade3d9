package io.sluice.control.policy;

import java.util.List;

/**
 * Who reaches whom at one port.
 *
 * @param pods rows and columns, endpoints by namespace and name
 * @param rows one text per source: {@code .} allowed, {@code X} denied, {@code =} itself
 */
public record ReachabilityMatrix(List<ObjectRef> pods, List<String> rows) {
    /** Whether the source reaches the destination, by position in {@link #pods}. */
    public boolean isAllowed(final int source, final int destination) {
        return rows.get(source).charAt(destination) != 'X';
    }

    /**
     * Asks for every pair of endpoints.
     *
     * @throws ProbeException if the protocol or port makes no sense
     */
    public static ReachabilityMatrix of(
            final World world,
            final PolicyEvaluator evaluator,
            final String protocol,
            final String port)
            throws ProbeException {
        final List<ObjectRef> pods =
                world.pods().stream().filter(Pod::isEndpoint).map(Pod::ref).sorted().toList();
        final List<String> rows = new java.util.ArrayList<>();
        for (final ObjectRef from : pods) {
            final StringBuilder row = new StringBuilder();
            for (final ObjectRef to : pods) {
                final boolean allowed =
                        evaluator
                                .evaluate(Probe.of(from.path(), to.path(), protocol, port))
                                .allowed();
                row.append(from.equals(to) ? '=' : allowed ? '.' : 'X');
            }
            rows.add(row.toString());
        }
        return new ReachabilityMatrix(pods, List.copyOf(rows));
    }
}
