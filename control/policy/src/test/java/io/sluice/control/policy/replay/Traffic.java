package io.sluice.control.policy.replay;

import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.Assertions;

/** Flows and worlds for tests. */
public final class Traffic {
    public static final Instant NOON = Instant.parse("2026-03-01T12:00:00Z");

    private Traffic() {}

    /** A pod with labels {@code k8s:app=...}. */
    public static SeenPeer pod(
            final String namespace, final String name, final String address, final String app) {
        return new SeenPeer(
                namespace,
                name,
                List.of("k8s:app=" + app, "k8s:io.kubernetes.pod.namespace=" + namespace),
                address,
                "");
    }

    public static SeenPeer outside(final String address) {
        return new SeenPeer("", "", List.of("reserved:world"), address, "");
    }

    public static SeenPeer node(final String address) {
        return new SeenPeer("", "", List.of("reserved:host"), address, "node1");
    }

    public static SeenFlow tcp(final SeenPeer from, final SeenPeer to, final int port) {
        return new SeenFlow(from, to, IpProtocol.TCP, port, List.of(), Map.of());
    }

    public static SeenFlow named(
            final SeenPeer from, final SeenPeer to, final int port, final String... names) {
        return new SeenFlow(from, to, IpProtocol.TCP, port, List.of(names), Map.of());
    }

    public static SeenFlow request(
            final SeenPeer from,
            final SeenPeer to,
            final int port,
            final Map<String, String> fields) {
        return new SeenFlow(from, to, IpProtocol.TCP, port, List.of(), fields);
    }

    public static SeenTraffic once(final SeenFlow flow, final SeenVerdict verdict) {
        return new SeenTraffic(flow, verdict, 1, NOON, NOON);
    }

    /** The objects of a correct text. */
    public static World world(final String manifests) {
        final ReadResult read = ManifestReader.read("world.yaml", manifests);
        Assertions.assertThat(read.problems()).isEmpty();
        return World.of(read.objects());
    }

    /** What the policies of a text say to traffic. */
    public static List<FlowReplay.Answer> replay(
            final String manifests, final List<SeenTraffic> traffic) {
        return replay(ReplayWorld.of(world(manifests), PolicyOptions.DEFAULTS, traffic), traffic);
    }

    public static List<FlowReplay.Answer> replay(
            final ReplayWorld world, final List<SeenTraffic> traffic) {
        final FlowReplay replay =
                new FlowReplay(
                        world,
                        new PolicyEvaluator(
                                world.world(),
                                PolicyCompiler.compile(
                                        world.world(), new IdentityAllocator(), world.options())));
        return traffic.stream().map(replay::judge).toList();
    }
}
