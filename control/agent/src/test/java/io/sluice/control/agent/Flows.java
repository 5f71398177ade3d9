package io.sluice.control.agent;

import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/** Flows for tests. */
final class Flows {
    private Flows() {}

    /** A question for the latest. */
    static FlowQuery latest(final Predicate<Flow> filter, final int count) {
        return new FlowQuery(
                filter, List.of(), Instant.MIN, Instant.MAX, FlowQuery.End.LAST, count);
    }

    /** The latest flows, oldest first. */
    static List<Flow> last(final FlowStore store, final Predicate<Flow> filter, final int count) {
        return all(store.read(latest(filter, count)));
    }

    /** A whole answer. */
    static List<Flow> all(final FlowReader answer) {
        final List<Flow> flows = new ArrayList<>();
        try (answer) {
            List<Flow> piece = answer.next();
            while (!piece.isEmpty()) {
                flows.addAll(piece);
                piece = answer.next();
            }
        }
        return flows;
    }

    /** The end of the flow that {@link #at} opens, after two seconds. */
    static Flow ended(final long sequence, final Instant time, final FlowEnd end) {
        final Flow opened = at(sequence, time);
        final boolean isCut = end == FlowEnd.CUT;
        return new Flow(
                sequence,
                time,
                opened.uuid(),
                opened.nodeName(),
                Flow.Kind.END,
                Flow.Verdict.FORWARDED,
                0,
                "",
                opened.ipVersion(),
                opened.protocol(),
                0,
                -1,
                -1,
                opened.source(),
                opened.destination(),
                opened.direction(),
                false,
                1,
                List.of(),
                List.of(),
                0,
                Optional.empty(),
                Optional.of(
                        new FlowTotals(
                                end,
                                time.minusSeconds(12),
                                time.minusSeconds(10),
                                6,
                                534,
                                5,
                                1L << 40,
                                isCut ? DropReason.POLICY_DENIED.code() : 0,
                                isCut ? DropReason.POLICY_DENIED.name() : "")));
    }

    static Flow withSequence(final long sequence) {
        return at(sequence, Instant.EPOCH);
    }

    /** As {@link FlowWords} makes them: the sequence is half of the identity. */
    static Flow told(final long sequence) {
        return withId(withSequence(sequence), new FlowId(7, sequence));
    }

    static Flow withId(final Flow flow, final FlowId id) {
        return new Flow(
                flow.sequence(),
                flow.time(),
                id,
                flow.nodeName(),
                flow.kind(),
                flow.verdict(),
                flow.dropReason(),
                flow.dropReasonName(),
                flow.ipVersion(),
                flow.protocol(),
                flow.tcpFlags(),
                flow.icmpType(),
                flow.icmpCode(),
                flow.source(),
                flow.destination(),
                flow.direction(),
                flow.reply(),
                flow.policyRevision(),
                flow.egressBy(),
                flow.ingressBy(),
                flow.lengthBytes(),
                flow.l7(),
                flow.totals());
    }

    static Flow at(final long sequence, final Instant time) {
        final FlowPeer source =
                new FlowPeer(1, 256, "shop", "a", List.of("k8s:app=a"), "10.0.0.1", 40000, "");
        final FlowPeer destination =
                new FlowPeer(2, 257, "shop", "b", List.of("k8s:app=b"), "10.0.0.2", 80, "");
        return new Flow(
                sequence,
                time,
                "uuid",
                "node",
                Flow.Kind.POLICY_VERDICT,
                Flow.Verdict.FORWARDED,
                0,
                "",
                4,
                6,
                2,
                -1,
                -1,
                source,
                destination,
                Flow.Direction.INGRESS,
                false,
                1,
                List.of(),
                List.of(),
                60,
                Optional.empty());
    }
}
