package io.sluice.control.agent;

import java.util.List;

/**
 * Open flows that a change of policy cuts.
 *
 * @param open flows that were looked at: all that are open and let pass
 * @param cut of these, how many the change cuts
 * @param pairs the cut ones by who, with whom, port and deciding policy, those with the most flows
 *     first, {@link #PAIRS_MAX} at most
 * @param problem why they could not be judged, empty where they were
 */
public record CutsReport(int open, int cut, List<Pair> pairs, String problem) {
    /** A screen; who has more to cut than this has to read the policy, not the list. */
    public static final int PAIRS_MAX = 50;

    public static final CutsReport NONE = new CutsReport(0, 0, List.of(), "");

    public CutsReport {
        pairs = List.copyOf(pairs);
    }

    /** Flows in {@link #pairs}; the other {@link #cut} ones are not listed. */
    public int listed() {
        return pairs.stream().mapToInt(Pair::flows).sum();
    }

    /**
     * Flows that have everything but their source port in common.
     *
     * @param from who opened them: {@code namespace/pod}, or an address
     * @param to the other side
     * @param protocol TCP, UDP, or a number
     * @param port of the other side; 0 where the protocol has none
     * @param flows how many
     * @param reason what cuts them
     * @param by deciding policy of the new set, in words; empty where none decides
     */
    public record Pair(
            String from,
            String to,
            String protocol,
            int port,
            int flows,
            Reason reason,
            String by) {
        /** {@code shop/a -> shop/b 80/TCP: 3: ingress denied: NetworkPolicy shop/b ...}. */
        @Override
        public String toString() {
            return "%s -> %s %s: %d: %s%s"
                    .formatted(
                            from,
                            to,
                            port == 0 ? protocol : port + "/" + protocol,
                            flows,
                            reason.words(),
                            by.isEmpty() ? "" : ": " + by);
        }
    }

    /** What cuts a flow; the constant's text goes before who decides. */
    public enum Reason {
        EGRESS_DENIED("egress denied"),
        INGRESS_DENIED("ingress denied"),
        /** An L7 rule begins to read the connection, which the proxy does not know: it is reset. */
        READ_FROM_NOW_ON("reset, to be read by the L7 proxy from now on"),
        UNPLUGGED("endpoint unplugged");

        private final String words;

        Reason(final String words) {
            this.words = words;
        }

        public String words() {
            return words;
        }
    }
}
