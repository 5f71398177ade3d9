package io.sluice.control.agent;

import java.time.Instant;
import java.util.List;

/** Flows for tests. */
final class Flows {
    private Flows() {}

    static Flow withSequence(final long sequence) {
        final FlowPeer source =
                new FlowPeer(1, 256, "shop", "a", List.of("k8s:app=a"), "10.0.0.1", 40000, "");
        final FlowPeer destination =
                new FlowPeer(2, 257, "shop", "b", List.of("k8s:app=b"), "10.0.0.2", 80, "");
        return new Flow(
                sequence,
                Instant.EPOCH,
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
                java.util.Optional.empty());
    }
}
