package io.sluice.control.policy.replay;

import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Flow events, added up by what policy can tell apart.
 *
 * <p><b>Theory of operation.</b> A record of traffic has many events of few kinds: a million flows
 * of a thousand pods are some ten thousand different ones. Everything after this class costs by the
 * kind, so events are added up as they are read, and forgotten.
 *
 * <p>One connection can be told of several times: Hubble reports a verdict at either end, the
 * packet that passed (a trace), and beside the verdict of a drop the drop. Counted is what says
 * most, and the rest is {@link Skipped#TWICE}: of an ingress and an egress verdict the ingress one,
 * which comes last and only if egress allowed; of a verdict and a trace, and of a verdict and a
 * drop, the verdict. So an egress verdict FORWARDED says that a connection passed only where nobody
 * tells of its other end.
 *
 * <p>Not counted, but how often is known: what is no flow that policy judged ({@link Skipped}).
 *
 * <p><b>Limits.</b> Memory goes by different flows, some 300 bytes each.
 *
 * <p>Thread: one; tallies of several threads are put together by {@link #merge}.
 */
public final class FlowTally {
    /** Kinds of event, by how much they say about a connection, most first. */
    public enum Kind {
        /** Policy judged the receiver's end. */
        INGRESS_VERDICT,
        /** Policy judged the sender's end. */
        EGRESS_VERDICT,
        /** A packet was dropped. */
        DROP,
        /** A packet was seen where policy had let it pass. */
        TRACE,
        /** A proxy judged a request. */
        REQUEST
    }

    /** Why an event does not count. */
    public enum Skipped {
        /** A packet of an answer: it follows its flow. */
        REPLY("replies"),
        /** The connection was told of by another event. */
        TWICE("told of by another event"),
        /** The end of a flow, which counted when it was opened. */
        END("ends of flows"),
        /** A packet on its way to policy, or past it. */
        NOT_JUDGED("not judged by policy"),
        /** Dropped, but not by policy. */
        OTHER_DROP("dropped for other reasons than policy"),
        /** Neither addresses nor pods, or a protocol that the record does not name. */
        NO_TUPLE("without addresses or a protocol"),
        /** Events that the record says were lost. */
        LOST("lost before they were recorded"),
        /** A line that is no flow. */
        UNREADABLE("unreadable lines");

        private final String text;

        Skipped(final String text) {
            this.text = text;
        }

        /** In words, after a number. */
        public String text() {
            return text;
        }
    }

    /** Events of one kind and verdict. */
    private static final class Span {
        private long times;
        private Instant first = Instant.MAX;
        private Instant last = Instant.MIN;

        void add(final long more, final Instant from, final Instant to) {
            times += more;
            first = from.isBefore(first) ? from : first;
            last = to.isAfter(last) ? to : last;
        }
    }

    /** What there was of one flow: nearly always one span. */
    private static final class Spans {
        private final EnumMap<Kind, EnumMap<SeenVerdict, Span>> byKind = new EnumMap<>(Kind.class);

        Span span(final Kind kind, final SeenVerdict verdict) {
            return byKind.computeIfAbsent(kind, _ -> new EnumMap<>(SeenVerdict.class))
                    .computeIfAbsent(verdict, _ -> new Span());
        }

        boolean has(final Kind kind, final SeenVerdict verdict) {
            final EnumMap<SeenVerdict, Span> ofKind = byKind.get(kind);
            return ofKind != null && ofKind.containsKey(verdict);
        }

        boolean hasAllowed(final Kind kind) {
            final EnumMap<SeenVerdict, Span> ofKind = byKind.get(kind);
            return ofKind != null && ofKind.keySet().stream().anyMatch(SeenVerdict::isAllowed);
        }

        void forEach(final SpanReader reader) {
            byKind.forEach(
                    (kind, ofKind) ->
                            ofKind.forEach((verdict, span) -> reader.read(kind, verdict, span)));
        }

        /** Whether another kind of event tells of the same connections, and says more. */
        boolean isToldTwice(final Kind kind, final SeenVerdict verdict) {
            return switch (kind) {
                case INGRESS_VERDICT, REQUEST -> false;
                case EGRESS_VERDICT ->
                        verdict.isAllowed()
                                && verdict != SeenVerdict.AUDIT
                                && byKind.containsKey(Kind.INGRESS_VERDICT);
                case TRACE -> hasAllowed(Kind.INGRESS_VERDICT) || hasAllowed(Kind.EGRESS_VERDICT);
                case DROP ->
                        has(Kind.INGRESS_VERDICT, SeenVerdict.DROPPED)
                                || has(Kind.EGRESS_VERDICT, SeenVerdict.DROPPED);
            };
        }
    }

    @FunctionalInterface
    private interface SpanReader {
        void read(Kind kind, SeenVerdict verdict, Span span);
    }

    private final Map<SeenFlow, Spans> spans = new HashMap<>();
    private final Map<SeenPeer, SeenPeer> peers = new HashMap<>();
    private final EnumMap<Skipped, Long> skipped = new EnumMap<>(Skipped.class);

    /** A peer, the same instance for equal ones: it is hashed with every event. */
    public SeenPeer interned(final SeenPeer peer) {
        final SeenPeer known = peers.putIfAbsent(peer, peer);
        return known == null ? peer : known;
    }

    /** Counts an event. */
    public void add(
            final Kind kind, final SeenVerdict verdict, final Instant time, final SeenFlow flow) {
        span(flow, kind, verdict).add(1, time, time);
    }

    /** Counts events that say nothing about policy. */
    public void skip(final Skipped why, final long events) {
        if (events != 0) {
            skipped.merge(why, events, Long::sum);
        }
    }

    /** Takes over what another tally has counted. */
    public void merge(final FlowTally other) {
        other.spans.forEach(
                (flow, theirs) ->
                        theirs.forEach(
                                (kind, verdict, span) ->
                                        span(flow, kind, verdict)
                                                .add(span.times, span.first, span.last)));
        other.skipped.forEach(this::skip);
    }

    /** How many events were not counted, and why; reasons without any are left out. */
    public Map<Skipped, Long> skipped() {
        final EnumMap<Skipped, Long> all = new EnumMap<>(skipped);
        for (final Spans ofFlow : spans.values()) {
            ofFlow.forEach(
                    (kind, verdict, span) -> {
                        if (ofFlow.isToldTwice(kind, verdict)) {
                            all.merge(Skipped.TWICE, span.times, Long::sum);
                        }
                    });
        }
        return all;
    }

    /** What was counted, in no order. */
    public List<SeenTraffic> traffic() {
        final List<SeenTraffic> traffic = new ArrayList<>();
        spans.forEach(
                (flow, ofFlow) -> {
                    final EnumMap<SeenVerdict, Span> sums = new EnumMap<>(SeenVerdict.class);
                    ofFlow.forEach(
                            (kind, verdict, span) -> {
                                if (!ofFlow.isToldTwice(kind, verdict)) {
                                    sums.computeIfAbsent(verdict, _ -> new Span())
                                            .add(span.times, span.first, span.last);
                                }
                            });
                    sums.forEach(
                            (verdict, sum) ->
                                    traffic.add(
                                            new SeenTraffic(
                                                    flow, verdict, sum.times, sum.first,
                                                    sum.last)));
                });
        return traffic;
    }

    private Span span(final SeenFlow flow, final Kind kind, final SeenVerdict verdict) {
        return spans.computeIfAbsent(flow, _ -> new Spans()).span(kind, verdict);
    }
}
