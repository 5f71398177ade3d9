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
