package io.sluice.control.agent;

import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;

/** Flows of every form, by the dice. */
final class RandomFlows {
    private static final int[] PROTOCOLS = {0, 1, 6, 17, 58, 132};

    private RandomFlows() {}

    /** A flow whose time goes with its sequence, within an hour from {@code start} on. */
    static Flow next(final Random random, final long sequence, final Instant start) {
        final int protocol = PROTOCOLS[random.nextInt(PROTOCOLS.length)];
        final boolean isIcmp = protocol == 1 || protocol == 58;
        final Flow.Kind kind = pick(random, Flow.Kind.values());
        final boolean dropped = kind == Flow.Kind.DROP;
        return new Flow(
                sequence,
                start.plusMillis(sequence % 3_000_000).plusNanos(random.nextInt(1_000_000)),
                random.nextBoolean()
                        ? new UUID(7, sequence).toString()
                        : new UUID(random.nextLong(), random.nextLong()).toString(),
                random.nextInt(10) == 0 ? "node2" : "node1",
                kind,
                dropped ? Flow.Verdict.DROPPED : pick(random, Flow.Verdict.values()),
                dropped ? 130 + random.nextInt(200) : 0,
                dropped ? "REASON_" + random.nextInt(5) : "",
                random.nextBoolean() ? 4 : 6,
                protocol,
                protocol == 6 ? random.nextInt(256) : 0,
                isIcmp ? random.nextInt(256) : -1,
                isIcmp ? random.nextInt(256) : -1,
                peer(random),
                peer(random),
                pick(random, Flow.Direction.values()),
                random.nextBoolean(),
                random.nextInt(4) == 0 ? random.nextInt() : 17,
                authors(random),
                authors(random),
                random.nextInt(65_536),
                kind == Flow.Kind.L7 ? Optional.of(message(random)) : Optional.empty(),
                kind == Flow.Kind.END ? Optional.of(totals(random, start)) : Optional.empty());
    }

    private static FlowTotals totals(final Random random, final Instant start) {
        final FlowEnd end = pick(random, FlowEnd.values());
        final DropReason reason = end == FlowEnd.CUT ? DropReason.POLICY_DENIED : DropReason.NONE;
        final Instant firstSeen = start.minusNanos(random.nextLong(1L << 50));
        return new FlowTotals(
                end,
                firstSeen,
                firstSeen.plusNanos(random.nextLong(1L << 40)),
                random.nextLong(1L << 50),
                random.nextLong() >>> 1,
                random.nextInt(3),
                random.nextInt(3),
                reason.code(),
                reason == DropReason.NONE ? "" : reason.name());
    }

    private static <E> E pick(final Random random, final E[] values) {
        return values[random.nextInt(values.length)];
    }

    private static FlowPeer peer(final Random random) {
        final int number = random.nextInt(20);
        return new FlowPeer(
                random.nextInt(3) == 0 ? 0 : number,
                random.nextInt(9) == 0 ? -1 - number : 256 + number,
                "ns" + number % 5,
                "pod-\u00fc" + number,
                texts(random, "k8s:app="),
                random.nextBoolean() ? "10.0.0." + number : "2001:db8::" + number,
                random.nextInt(4) == 0 ? 0 : random.nextInt(65_536),
                random.nextBoolean() ? "02:00:00:00:00:0" + number % 10 : "",
                texts(random, "name"));
    }

    private static List<String> texts(final Random random, final String prefix) {
        final List<String> texts = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) {
            texts.add(prefix + random.nextInt(30));
        }
        return texts;
    }

    private static List<PolicyAuthor> authors(final Random random) {
        final List<PolicyAuthor> authors = new ArrayList<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            authors.add(
                    new PolicyAuthor(
                            "default",
                            "NetworkPolicy",
                            "ns" + random.nextInt(3),
                            "p" + random.nextInt(3),
                            random.nextInt(4) - 1,
                            "f.yaml",
                            random.nextInt(1_000),
                            "sentence " + random.nextInt(3)));
        }
        return authors;
    }

    private static L7Message message(final Random random) {
        final L7Message.Content content =
                switch (random.nextInt(4)) {
                    case 0 ->
                            new L7Message.Http(
                                    "HTTP/1.1",
                                    "GET",
                                    "http://h/" + random.nextLong(),
                                    random.nextInt(600),
                                    List.of(new L7Message.Header("a", "b" + random.nextInt(3))));
                    case 1 ->
                            new L7Message.Kafka(
                                    random.nextInt(100) - 1,
                                    random.nextInt(20),
                                    "produce",
                                    random.nextInt(),
                                    "t" + random.nextInt(3));
                    case 2 ->
                            new L7Message.Dns(
                                    "n" + random.nextInt(9) + ".example.",
                                    "A",
                                    random.nextInt(16),
                                    texts(random, "10.0.0."),
                                    texts(random, "alias"),
                                    random.nextInt(1_000));
                    default -> new L7Message.Tls(random.nextBoolean() ? "" : "sni.example");
                };
        return new L7Message(random.nextBoolean(), random.nextLong(), content);
    }
}
