package io.sluice.control.policy.recommend;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;
import io.sluice.control.policy.recommend.RecommendOptions.Kind;
import io.sluice.control.policy.replay.FlowReplay.Answer;
import io.sluice.control.policy.replay.ReplayWorld;
import io.sluice.control.policy.replay.SeenFlow;
import io.sluice.control.policy.replay.SeenPeer;
import io.sluice.control.policy.replay.SeenTraffic;
import io.sluice.control.policy.replay.SeenVerdict;
import io.sluice.control.policy.replay.Traffic;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random clusters with random traffic: what was seen passes under the drafted policies, and what
 * was not is denied, as a model says that knows nothing of policies.
 */
final class PolicyRecommenderTest {
    private static final int[] PORTS = {53, 80, 81, 443, 8080};
    private static final int[] PROTOCOLS = {IpProtocol.TCP, IpProtocol.UDP, IpProtocol.SCTP};

    static LongStream seeds() {
        return LongStream.range(0, 300);
    }

    /** One end: its peer, and what makes it the same as others to the drafts. */
    private record End(SeenPeer peer, String workload) {
        boolean isPod() {
            return !workload.isEmpty();
        }

        boolean isIpv4() {
            return peer.address().indexOf(':') < 0;
        }
    }

    /** What the drafts know of a flow. */
    private record Known(String from, String to, int protocol, int port) {}

    private static final class Cluster {
        private final Random random;
        private final StringBuilder manifests = new StringBuilder();
        private final List<End> pods = new ArrayList<>();
        private final List<End> others = new ArrayList<>();

        Cluster(final Random random) {
            this.random = random;
            final int count = 3 + random.nextInt(6);
            for (int i = 0; i < count; i++) {
                addPod(i);
            }
            for (int i = 1; i < 6; i++) {
                others.add(new End(Traffic.outside("192.0.2." + i), ""));
                others.add(new End(Traffic.outside("2001:db8::" + i), ""));
            }
            others.add(new End(Traffic.node("10.0.0.254"), ""));
        }

        private void addPod(final int number) {
            final String namespace = "n" + random.nextInt(2);
            final Map<String, String> labels = new TreeMap<>();
            for (final String key : List.of("app", "team", "tier")) {
                if (random.nextInt(3) > 0) {
                    labels.put(key, "v" + random.nextInt(2));
                }
            }
            final String workload = namespace + labels;
            labels.put("pod-template-hash", "h" + random.nextInt(9));
            final String name = "p" + number;
            final List<String> written = new ArrayList<>();
            final List<String> seen = new ArrayList<>();
            labels.forEach(
                    (key, value) -> {
                        written.add(key + ": " + value);
                        seen.add("k8s:" + key + "=" + value);
                    });
            manifests.append(
                    """
                    ---
                    {apiVersion: v1, kind: Pod,
                     metadata: {name: %s, namespace: %s, labels: {%s}},
                     status: {podIPs: [{ip: 10.0.0.%d}, {ip: 'fd00::%d'}]}}
                    """
                            .formatted(
                                    name,
                                    namespace,
                                    String.join(", ", written),
                                    number + 1,
                                    number + 1));
            for (final String address :
                    List.of("10.0.0." + (number + 1), "fd00::" + (number + 1))) {
                pods.add(new End(new SeenPeer(namespace, name, seen, address, ""), workload));
            }
        }

        /** A flow of which one end at least is a pod, and both have one family. */
        SeenFlow flow(final boolean withNames) {
            while (true) {
                final End from = end();
                final End to = end();
                if ((!from.isPod() && !to.isPod())
                        || from.isIpv4() != to.isIpv4()
                        || (from.isPod() && from.peer().pod().equals(to.peer().pod()))) {
                    continue;
                }
                final boolean icmp = random.nextInt(10) == 0;
                final int protocol =
                        icmp
                                ? from.isIpv4() ? IpProtocol.ICMP : IpProtocol.ICMPV6
                                : PROTOCOLS[random.nextInt(PROTOCOLS.length)];
                final int port =
                        icmp ? random.nextInt(3) << 8 : PORTS[random.nextInt(PORTS.length)];
                final boolean named =
                        withNames && to.peer().isReserved("world") && random.nextInt(3) == 0;
                return new SeenFlow(
                        from.peer(),
                        to.peer(),
                        protocol,
                        port,
                        named ? List.of("n" + random.nextInt(3) + ".example.com") : List.of(),
                        Map.of());
            }
        }

        private End end() {
            return random.nextInt(3) > 0
                    ? pods.get(random.nextInt(pods.size()))
                    : others.get(random.nextInt(others.size()));
        }

        String workload(final SeenPeer peer) {
            for (final End end : pods) {
                if (end.peer().equals(peer)) {
                    return end.workload();
                }
            }
            return peer.address();
        }
    }

    /** What the drafts are meant to allow, said in sets. */
    private static final class Model {
        private final Cluster cluster;
        private final RecommendOptions options;
        private final boolean nodeSeen;
        private final Set<Known> allowed = new HashSet<>();
        private final Set<String> drafted = new HashSet<>();
        private final Map<String, Set<String>> outside = new HashMap<>();

        Model(
                final Cluster cluster,
                final RecommendOptions options,
                final List<SeenTraffic> traffic) {
            this.cluster = cluster;
            this.options = options;
            this.nodeSeen =
                    traffic.stream()
                            .map(SeenTraffic::flow)
                            .anyMatch(
                                    flow ->
                                            flow.from().isReserved("host")
                                                    || flow.to().isReserved("host"));
            for (final SeenTraffic seen : traffic) {
                if (seen.verdict().isAllowed()) {
                    take(seen.flow());
                }
            }
        }

        private boolean isWanted(final SeenPeer peer) {
            return peer.isPod()
                    && (options.namespaces().isEmpty()
                            || options.namespaces().contains(peer.namespace()));
        }

        boolean isExpressible(final SeenFlow flow) {
            return options.kind() == Kind.CILIUM_NETWORK_POLICY
                    || !IpProtocol.isIcmp(flow.protocol());
        }

        private void take(final SeenFlow flow) {
            for (final SeenPeer end : List.of(flow.from(), flow.to())) {
                if (isWanted(end)) {
                    drafted.add(cluster.workload(end));
                }
            }
            if (!isExpressible(flow)) {
                return;
            }
            final boolean byName =
                    !flow.names().isEmpty() && options.kind() == Kind.CILIUM_NETWORK_POLICY;
            final String to = byName ? "name " + flow.names() : cluster.workload(flow.to());
            final String from = cluster.workload(flow.from());
            allowed.add(new Known(from, to, flow.protocol(), flow.port()));
            final boolean udpOrTcp =
                    flow.protocol() == IpProtocol.TCP || flow.protocol() == IpProtocol.UDP;
            if (udpOrTcp && flow.port() == 53) {
                allowed.add(new Known(from, to, IpProtocol.TCP, 53));
                allowed.add(new Known(from, to, IpProtocol.UDP, 53));
            }
            if (flow.to().isReserved("world") && !byName) {
                addOutside("out of " + from, flow, flow.to());
            }
            if (flow.from().isReserved("world")) {
                addOutside("into " + to, flow, flow.from());
            }
        }

        private void addOutside(final String side, final SeenFlow flow, final SeenPeer far) {
            outside.computeIfAbsent(side + outsideKey(flow), _ -> new LinkedHashSet<>())
                    .add(far.address());
        }

        private static String outsideKey(final SeenFlow flow) {
            return " "
                    + flow.protocol()
                    + "/"
                    + flow.port()
                    + (flow.to().address().indexOf(':') < 0 ? " v4" : " v6");
        }

        /** Whether it is not known, because it depends on more than what the sets say. */
        boolean isOpenQuestion(final SeenFlow flow) {
            // A node that the record has not is nobody's node.
            if (!nodeSeen && (flow.from().isReserved("host") || flow.to().isReserved("host"))) {
                return true;
            }
            // DNS over the other protocol is allowed to some of many addresses, or to all of them;
            // and where names were seen without a query, somebody is taken for the resolver.
            return flow.port() == 53
                    && (options.kind() == Kind.CILIUM_NETWORK_POLICY
                            || flow.to().isReserved("world")
                            || flow.from().isReserved("world"));
        }

        boolean allows(final SeenFlow flow) {
            return passes("out of ", flow.from(), flow, flow.to())
                    && passes("into ", flow.to(), flow, flow.from());
        }

        private boolean passes(
                final String side, final SeenPeer end, final SeenFlow flow, final SeenPeer far) {
            final String own = cluster.workload(end);
            if (!drafted.contains(own)) {
                return true;
            }
            if (side.equals("into ") && far.isReserved("host")) {
                return true;
            }
            final Known known =
                    new Known(
                            cluster.workload(flow.from()),
                            cluster.workload(flow.to()),
                            flow.protocol(),
                            flow.port());
            return allowed.contains(known)
                    || (far.isReserved("world")
                            && outside.getOrDefault(side + own + outsideKey(flow), Set.of()).size()
                                    > options.addressesMax());
        }
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void whatWasSeenPassesAndWhatWasNotIsDenied(final long seed) {
        final Random random = new Random(seed);
        final Cluster cluster = new Cluster(random);
        final List<SeenTraffic> traffic = new ArrayList<>();
        final Set<SeenFlow> different = new LinkedHashSet<>();
        for (int i = 5 + random.nextInt(40); i > 0; i--) {
            different.add(cluster.flow(true));
        }
        for (final SeenFlow flow : different) {
            traffic.add(
                    Traffic.once(
                            flow,
                            random.nextInt(8) == 0
                                    ? SeenVerdict.DROPPED
                                    : random.nextInt(8) == 0
                                            ? SeenVerdict.AUDIT
                                            : SeenVerdict.FORWARDED));
        }
        final RecommendOptions options =
                new RecommendOptions(
                        random.nextBoolean() ? Kind.NETWORK_POLICY : Kind.CILIUM_NETWORK_POLICY,
                        random.nextInt(4) == 0 ? Set.of("n0") : Set.of(),
                        false,
                        false,
                        1 + random.nextInt(3));
        final World given = Traffic.world(cluster.manifests.toString());
        final ReplayWorld world = ReplayWorld.of(given, PolicyOptions.DEFAULTS, traffic);
        final Model model = new Model(cluster, options, traffic);

        final Recommendation drafted = PolicyRecommender.of(world, options, traffic);

        final ReadResult read = ManifestReader.read("drafted.yaml", drafted.text());
        assertThat(read.problems()).as(drafted.text()).isEmpty();
        final ReplayWorld enforced = world.with(read.objects());
        assertThat(Traffic.replay(enforced, drafted.used()))
                .as(drafted.text())
                .allMatch(answer -> answer.verdict().isAllowed());
        assertThat(drafted.used())
                .containsExactlyInAnyOrderElementsOf(
                        traffic.stream()
                                .filter(seen -> seen.verdict().isAllowed())
                                .filter(seen -> model.isExpressible(seen.flow()))
                                .filter(
                                        seen ->
                                                model.isWanted(seen.flow().from())
                                                        || model.isWanted(seen.flow().to()))
                                .toList());

        final List<SeenTraffic> questions = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            final SeenFlow asked = cluster.flow(false);
            if (!model.isOpenQuestion(asked)) {
                questions.add(Traffic.once(asked, SeenVerdict.FORWARDED));
            }
        }
        for (final Answer answer : Traffic.replay(enforced, questions)) {
            assertThat(answer.verdict().isAllowed())
                    .as("%s%n%s", answer, drafted.text())
                    .isEqualTo(model.allows(answer.seen().flow()));
        }
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void theOrderOfFlowsDoesNotMatter(final long seed) {
        final Random random = new Random(seed);
        final Cluster cluster = new Cluster(random);
        final List<SeenTraffic> traffic = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            traffic.add(Traffic.once(cluster.flow(true), SeenVerdict.FORWARDED));
        }
        final RecommendOptions options =
                new RecommendOptions(
                        random.nextBoolean() ? Kind.NETWORK_POLICY : Kind.CILIUM_NETWORK_POLICY,
                        Set.of(),
                        random.nextBoolean(),
                        false,
                        2);
        if (options.kind() == Kind.NETWORK_POLICY && options.requests()) {
            return;
        }
        final String text = text(traffic, options);

        Collections.shuffle(traffic, random);

        assertThat(text(traffic, options)).isEqualTo(text);
    }

    private static String text(final List<SeenTraffic> traffic, final RecommendOptions options) {
        return PolicyRecommender.of(
                        ReplayWorld.of(World.EMPTY, PolicyOptions.DEFAULTS, traffic),
                        options,
                        traffic)
                .text();
    }

    @Test
    void namesAreThoseThatTheWorkloadAskedFor() {
        final SeenPeer web = Traffic.pod("shop", "web", "10.0.0.1", "web");
        final SeenPeer dns = Traffic.pod("kube-system", "kube-dns", "10.96.0.10", "kube-dns");
        final List<SeenTraffic> traffic =
                List.of(
                        Traffic.once(
                                new SeenFlow(
                                        web,
                                        dns,
                                        IpProtocol.UDP,
                                        53,
                                        List.of(),
                                        Map.of("dns", "api.example.com.")),
                                SeenVerdict.FORWARDED),
                        Traffic.once(
                                Traffic.named(
                                        web,
                                        Traffic.outside("192.0.2.1"),
                                        443,
                                        "api.example.com",
                                        "edge.cdn.example"),
                                SeenVerdict.FORWARDED));

        final String drafted =
                text(
                        traffic,
                        new RecommendOptions(
                                Kind.CILIUM_NETWORK_POLICY, Set.of(), true, false, 10));

        assertThat(drafted)
                .contains("- matchName: api.example.com\n")
                .doesNotContain("cdn")
                .contains("k8s:io.kubernetes.pod.namespace: kube-system")
                .contains("- {port: '53', protocol: UDP}")
                .contains("- {port: '53', protocol: TCP}");
    }

    @Test
    void textOfTheRecordCannotBecomeMoreThanText() {
        final SeenPeer hostile =
                new SeenPeer(
                        "shop",
                        "web",
                        List.of("k8s:app=a: {}\n---\nkind: Namespace", "k8s:b='"),
                        "10.0.0.1",
                        "");
        final Recommendation drafted =
                PolicyRecommender.of(
                        ReplayWorld.of(
                                World.EMPTY,
                                PolicyOptions.DEFAULTS,
                                List.of(
                                        Traffic.once(
                                                Traffic.tcp(
                                                        Traffic.outside("192.0.2.1"), hostile, 80),
                                                SeenVerdict.FORWARDED))),
                        new RecommendOptions(Kind.NETWORK_POLICY, Set.of(), false, false, 10),
                        List.of(
                                Traffic.once(
                                        Traffic.tcp(Traffic.outside("192.0.2.1"), hostile, 80),
                                        SeenVerdict.FORWARDED)));

        final ReadResult read = ManifestReader.read("drafted.yaml", drafted.text());

        assertThat(read.objects().size()).isLessThanOrEqualTo(1);
        assertThat(read.problems())
                .anyMatch(problem -> problem.toString().contains("a valid label"));
    }
}
