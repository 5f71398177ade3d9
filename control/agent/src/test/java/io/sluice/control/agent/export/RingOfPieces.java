package io.sluice.control.agent.export;

import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowCursor;
import io.sluice.control.agent.FlowPeer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/** What the flow ring gives its follower: piece by piece what a test appended. */
final class RingOfPieces implements FlowCursor {
    private final Deque<List<Flow>> pieces = new ArrayDeque<>();
    private final Instant start;
    private int appended;
    private long lost;

    RingOfPieces(final Instant start) {
        this.start = start;
    }

    /** Flows with the next sequences, as one piece. */
    List<Flow> append(final int count) {
        final List<Flow> flows = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            flows.add(flow(appended++, start));
        }
        pieces.add(flows);
        return flows;
    }

    /** Has the ring overtake its follower. */
    void lose(final long flows) {
        lost += flows;
    }

    static Flow flow(final long sequence, final Instant start) {
        return new Flow(
                sequence,
                start.plusSeconds(sequence),
                "uuid-" + sequence,
                "node-1",
                Flow.Kind.POLICY_VERDICT,
                Flow.Verdict.FORWARDED,
                0,
                "",
                4,
                6,
                2,
                -1,
                -1,
                new FlowPeer(1, 256, "shop", "a", List.of("k8s:app=a"), "10.0.0.1", 40000, ""),
                new FlowPeer(2, 257, "shop", "b", List.of("k8s:app=b"), "10.0.0.2", 80, ""),
                Flow.Direction.INGRESS,
                false,
                1,
                List.of(),
                List.of(),
                60,
                Optional.empty());
    }

    @Override
    public List<Flow> next(final Duration wait) {
        return pieces.isEmpty() ? List.of() : pieces.pop();
    }

    @Override
    public long lost() {
        return lost;
    }

    @Override
    public boolean ended() {
        return pieces.isEmpty();
    }

    @Override
    public void close() {
        pieces.clear();
    }
}
