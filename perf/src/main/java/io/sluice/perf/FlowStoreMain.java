package io.sluice.perf;

import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowCodec;
import io.sluice.control.agent.FlowKeys;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowSide;
import io.sluice.control.agent.PolicyAuthor;
import io.sluice.control.agent.flowlog.FlowLog;
import io.sluice.control.agent.flowlog.KeyFilter;
import io.sluice.control.agent.flowlog.LogBlock;
import io.sluice.control.agent.flowlog.LogLimits;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;

/**
 * Fills a flow store for {@code scripts/bench-history}: the same flows at every run, but for their
 * times, which go from six and a half days ago until now.
 *
 * <p>A thousand pods in ten namespaces call each other (80 %), are called from outside (10 %), call
 * outside (5 %) and ask for names (5 %); one of twenty flows is dropped. Every 100,000th flow is of
 * the pod {@code rare/needle} on port 9999.
 *
 * <p>Thread: one.
 */
final class FlowStoreMain {
    private static final int BLOCK_FLOWS = 4096;
    private static final int RARE = 100_000;
    private static final Duration SPAN = Duration.ofHours(156);
    private static final Duration AGE_MAX = Duration.ofDays(7);
    private static final int TCP = 6;
    private static final int UDP = 17;
    private static final int SYN = 2;
    private static final int POLICY_DENIED = 133;
    private static final int[] PORTS = {80, 443, 5432, 8080, 9090};

    private final Random random = new Random(7);
    private final List<FlowPeer> pods = new ArrayList<>();
    private final List<PolicyAuthor> authors = new ArrayList<>();
    private final Instant start;
    private final long flows;

    private FlowStoreMain(final Instant start, final long flows) {
        this.start = start;
        this.flows = flows;
        for (int i = 0; i < 1_000; i++) {
            final String namespace = "team-" + i / 100;
            pods.add(
                    pod(
                            1 + i,
                            namespace,
                            "app-%d-%08x".formatted(i % 100, random.nextInt()),
                            "app-" + i % 100,
                            "10.%d.%d.%d".formatted(64 + i / 100, i % 100 / 50, i % 50 + 1)));
            authors.add(
                    new PolicyAuthor(
                            "default",
                            "NetworkPolicy",
                            namespace,
                            "app-" + i % 100,
                            0,
                            "policies/" + namespace + ".yaml",
                            1 + 20 * i,
                            "NetworkPolicy " + namespace + "/app-" + i % 100 + " ingress rule 0"));
        }
    }

    private static FlowPeer pod(
            final int number,
            final String namespace,
            final String name,
            final String app,
            final String address) {
        return new FlowPeer(
                number,
                256 + number,
                namespace,
                name,
                List.of(
                        "k8s:app=" + app,
                        "k8s:io.cilium.k8s.policy.cluster=default",
                        "k8s:io.cilium.k8s.policy.serviceaccount=default",
                        "k8s:io.kubernetes.pod.namespace=" + namespace),
                address,
                0,
                "02:53:4c:00:%02x:%02x".formatted(number >> 8, number & 0xff));
    }

    private static FlowPeer withPort(final FlowPeer peer, final int port) {
        return new FlowPeer(
                peer.endpointId(),
                peer.identity(),
                peer.namespace(),
                peer.podName(),
                peer.labels(),
                peer.address(),
                port,
                peer.mac());
    }

    private static FlowPeer outside(final String address, final int port) {
        return new FlowPeer(
                0, 2, "", "", List.of("reserved:world"), address, port, "02:53:4c:00:ff:ff");
    }

    /**
     * Writes until the files have their size, or the flows their number.
     *
     * @param arguments folder of the store; MiB that the daemon's store may have; flows
     */
    public static void main(final String[] arguments) throws IOException {
        final Path folder = Path.of(arguments[0]);
        final long bytesMax = Long.parseLong(arguments[1]) << 20;
        final long flows = Long.parseLong(arguments[2]);
        final FlowStoreMain source = new FlowStoreMain(Instant.now().minus(SPAN), flows);
        long written = 0;
        try (FlowLog log =
                FlowLog.open(
                        folder,
                        new LogLimits(bytesMax, AGE_MAX),
                        Clock.systemUTC(),
                        FlowLog.Start.ALONE)) {
            while (written < flows) {
                final List<Flow> block = new ArrayList<>(BLOCK_FLOWS);
                for (int i = 0; i < BLOCK_FLOWS && written < flows; i++) {
                    block.add(source.next(written));
                    written++;
                }
                log.append(block(block));
            }
            System.out.printf("%d flows, %d MiB%n", written, log.bytes() >> 20);
        }
    }

    private static LogBlock block(final List<Flow> flows) {
        final List<FlowSide> sides = new ArrayList<>();
        final byte[] bytes = FlowCodec.encode(flows, sides);
        return new LogBlock(
                flows.size(),
                flows.getFirst().sequence(),
                flows.getLast().sequence(),
                flows.getFirst().time(),
                flows.getLast().time(),
                KeyFilter.of(FlowKeys.of(flows, sides)),
                bytes);
    }

    private Flow next(final long sequence) {
        final int kind = random.nextInt(100);
        final int own = 32_768 + random.nextInt(28_000);
        final int target = (int) (random.nextDouble() * random.nextDouble() * pods.size());
        final int port = PORTS[target % PORTS.length];
        FlowPeer from = withPort(pods.get((target * 7 + random.nextInt(10)) % pods.size()), own);
        FlowPeer to = withPort(pods.get(target), port);
        int protocol = TCP;
        Flow.Direction direction = Flow.Direction.INGRESS;
        if (sequence % RARE == RARE / 2) {
            to = withPort(pod(2_000, "rare", "needle", "needle", "10.99.0.1"), 9999);
        } else if (kind < 10) {
            from = outside("203.0.113." + (1 + random.nextInt(250)), own);
        } else if (kind < 15) {
            from = withPort(pods.get(target), own);
            to = outside("198.51.100." + (1 + random.nextInt(200)), 443);
            direction = Flow.Direction.EGRESS;
        } else if (kind < 20) {
            from = withPort(pods.get(target), own);
            to = withPort(pods.getFirst(), 53);
            protocol = UDP;
        }
        return flow(sequence, from, to, protocol, direction, authors.get(target));
    }

    private Flow flow(
            final long sequence,
            final FlowPeer from,
            final FlowPeer to,
            final int protocol,
            final Flow.Direction direction,
            final PolicyAuthor author) {
        final boolean dropped = random.nextInt(20) == 0;
        return new Flow(
                sequence,
                start.plusNanos((long) (SPAN.toNanos() / (double) flows * sequence)),
                new UUID(7, sequence).toString(),
                "node1",
                dropped ? Flow.Kind.DROP : Flow.Kind.POLICY_VERDICT,
                dropped ? Flow.Verdict.DROPPED : Flow.Verdict.FORWARDED,
                dropped ? POLICY_DENIED : 0,
                dropped ? "POLICY_DENIED" : "",
                4,
                protocol,
                protocol == TCP ? SYN : 0,
                -1,
                -1,
                from,
                to,
                direction,
                false,
                17,
                List.of(),
                dropped ? List.of() : List.of(author),
                60,
                Optional.empty());
    }
}
