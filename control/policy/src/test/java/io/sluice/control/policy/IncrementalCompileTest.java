package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** A compiler that has seen many worlds says of the last one what a new compiler says. */
final class IncrementalCompileTest {
    private static final int SEQUENCES = 60;
    private static final int STEPS = 8;

    private static final List<String> PORTS = List.of("80", "81", "443");

    @Test
    void anyOrderOfChangesEndsWithThePolicyOfAFreshCompile() throws ProbeException {
        int compared = 0;
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            final Random random = new Random(sequence);
            final PolicyCompiler compiler =
                    new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
            World world = World.of(objects(sequence));
            for (int step = 0; step < STEPS; step++) {
                final PolicySet stepped = compiler.update(world);
                final PolicySet fresh =
                        PolicyCompiler.compile(
                                world, new IdentityAllocator(), PolicyOptions.DEFAULTS);
                compared +=
                        compare(
                                "sequence %d step %d".formatted(sequence, step),
                                world,
                                stepped,
                                fresh);
                world = changed(world, random, sequence * 1000 + step);
            }
        }
        assertThat(compared).isGreaterThan(50_000);
    }

    /** Policies of all kinds that select one pod come and go one at a time. */
    @Test
    void policiesOfOnePodThatAreExchangedOneByOneEndWithThePolicyOfAFreshCompile()
            throws ProbeException {
        int compared = 0;
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            final Random random = new Random(sequence);
            final PolicyCompiler compiler =
                    new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
            World world = World.of(objects(sequence));
            for (int seed = 0; seed < 6; seed++) {
                world = world.with(policies(objects(sequence * 1000 + seed)));
            }
            compiler.update(world);
            for (int step = 0; step < STEPS; step++) {
                final List<KubeObject> there = policies(world.objects());
                final KubeObject gone = there.get(random.nextInt(there.size()));
                final List<KubeObject> others = policies(objects(sequence * 77 + step));
                world =
                        random.nextInt(3) == 0 || others.isEmpty()
                                ? world.without(List.of(gone.ref()))
                                : world.with(List.of(others.get(random.nextInt(others.size()))));
                final PolicySet stepped = compiler.update(world);
                final PolicySet fresh =
                        PolicyCompiler.compile(
                                world, new IdentityAllocator(), PolicyOptions.DEFAULTS);
                compared +=
                        compare(
                                "sequence %d step %d".formatted(sequence, step),
                                world,
                                stepped,
                                fresh);
            }
        }
        assertThat(compared).isGreaterThan(50_000);
    }

    private static List<KubeObject> policies(final List<KubeObject> objects) {
        return objects.stream().filter(KubeObject.Policy.class::isInstance).toList();
    }

    @Test
    void aPolicyAmongManyOfAPodChangesTheProgramsOfItsPeersOnly() {
        final List<KubeObject> objects =
                new ArrayList<>(
                        read(
                                pod("server", "10.0.0.1")
                                        + pod("a", "10.0.0.2")
                                        + pod("b", "10.0.0.3")));
        for (int i = 0; i < 200; i++) {
            objects.addAll(read(opening("p" + i, i % 2 == 0 ? "a" : "b", 1000 + i)));
        }
        final PolicyCompiler compiler =
                new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
        final World world = World.of(objects);
        final PolicySet before = compiler.update(world);

        final PolicySet after = compiler.update(world.with(read(opening("p7", "b", 9))));

        final PolicyMap was = before.policyMap(SERVER, PolicyDirection.INGRESS).orElseThrow();
        final PolicyMap is = after.policyMap(SERVER, PolicyDirection.INGRESS).orElseThrow();
        final int b = after.numberAt(IpAddress.parse("10.0.0.3").orElseThrow());
        assertThat(is.programsChangedSince(was).orElseThrow()).containsOnlyKeys(b);
        assertThat(is.program(b).lookup(6, 40_000, 9).isAllowed()).isTrue();
        assertThat(is.program(b).lookup(6, 40_000, 1007).isAllowed()).isFalse();
        assertThat(is.program(b).lookup(6, 40_000, 1009).isAllowed()).isTrue();
    }

    /** Its number may be another's one day. */
    @Test
    void aPeerThatGoesWithTheRuleAboutItLeavesNoProgram() {
        final PolicyCompiler compiler =
                new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
        final World world =
                World.of(
                        read(
                                String.join(
                                        "---\n",
                                        pod("server", "10.0.0.1"),
                                        pod("a", "10.0.0.2"),
                                        pod("b", "10.0.0.3"),
                                        opening("p", "a", 80),
                                        opening("q", "b", 80))));
        final PolicySet before = compiler.update(world);
        final int a = before.numberAt(IpAddress.parse("10.0.0.2").orElseThrow());

        final PolicySet after =
                compiler.update(
                        world.without(List.of(ObjectRef.pod("shop", "a")))
                                .with(read(opening("p", "b", 81))));

        assertThat(after.policyMap(SERVER, PolicyDirection.INGRESS).orElseThrow().identities())
                .contains(after.numberAt(IpAddress.parse("10.0.0.3").orElseThrow()))
                .doesNotContain(a);
    }

    private static final ObjectRef SERVER = ObjectRef.pod("shop", "server");

    private static List<KubeObject> read(final String text) {
        final ReadResult read = ManifestReader.read("test", text);
        assertThat(read.problems()).isEmpty();
        return read.objects();
    }

    private static String pod(final String name, final String address) {
        return """
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: %1$s, namespace: shop, labels: {app: %1$s}}
        status: {podIPs: [{ip: %2$s}]}
        """
                .formatted(name, address);
    }

    private static String opening(final String name, final String peer, final int port) {
        return """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: %s, namespace: shop}
        spec:
          podSelector: {matchLabels: {app: server}}
          policyTypes: [Ingress]
          ingress: [{from: [{podSelector: {matchLabels: {app: %s}}}], ports: [{port: %d}]}]
        """
                .formatted(name, peer, port);
    }

    private static List<KubeObject> objects(final long seed) {
        final ReadResult read = ManifestReader.read("seed-" + seed, RandomWorld.manifests(seed));
        assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
        return read.objects();
    }

    /** Some objects of another world in, some of this one out. */
    private static World changed(final World world, final Random random, final long seed) {
        final List<KubeObject> others = objects(seed);
        final List<KubeObject> in = new ArrayList<>();
        for (final KubeObject object : others) {
            if (random.nextInt(4) == 0) {
                in.add(object);
            }
        }
        final List<ObjectRef> out = new ArrayList<>();
        for (final KubeObject object : world.objects()) {
            if (random.nextInt(8) == 0) {
                out.add(object.ref());
            }
        }
        // One step in two shows its origin, so that both ways of finding the changes are taken.
        final World next = world.without(out).with(in);
        return random.nextBoolean() ? next : World.of(next.objects());
    }

    private static int compare(
            final String where, final World world, final PolicySet stepped, final PolicySet fresh)
            throws ProbeException {
        assertThat(stepped.ipcache().stream().map(IpcacheEntry::prefix))
                .as(where)
                .isEqualTo(fresh.ipcache().stream().map(IpcacheEntry::prefix).toList());
        assertThat(Set.copyOf(stepped.warnings()))
                .as(where)
                .isEqualTo(Set.copyOf(fresh.warnings()));
        final PolicyEvaluator seen = new PolicyEvaluator(world, stepped);
        final PolicyEvaluator expected = new PolicyEvaluator(world, fresh);
        int compared = 0;
        final Set<IpAddress> addresses = new TreeSet<>();
        world.pods().stream().filter(Pod::isEndpoint).forEach(p -> addresses.addAll(p.addresses()));
        RandomWorld.OUTSIDE.forEach(text -> addresses.add(IpAddress.parse(text).orElseThrow()));
        for (final IpAddress from : addresses) {
            for (final IpAddress to : addresses) {
                if (from.isIpv4() != to.isIpv4()
                        || (world.podAt(from).isEmpty() && world.podAt(to).isEmpty())) {
                    continue;
                }
                for (final String port : PORTS) {
                    final Probe probe = Probe.of(from.toString(), to.toString(), "TCP", port);
                    assertThat(seen.evaluate(probe))
                            .as("%s: %s -> %s %s", where, from, to, port)
                            .isEqualTo(expected.evaluate(probe));
                    compared++;
                }
            }
        }
        return compared;
    }
}
