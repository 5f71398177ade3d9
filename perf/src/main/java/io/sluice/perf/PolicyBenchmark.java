package io.sluice.perf;

import io.sluice.control.policy.Evaluation;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.Probe;
import io.sluice.control.policy.ProbeException;
import io.sluice.control.policy.World;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What the policy engine costs at 5,000 endpoints and 1,000 identities: a full compile, one changed
 * policy, one endpoint with an identity of its own that comes and goes, and a probe.
 *
 * <p>A change is measured from the new world to the compiled policy; making the world is not part
 * of it.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 1, jvmArgsAppend = "-Xmx4g")
@Warmup(iterations = 5, time = 2)
@Measurement(iterations = 5, time = 2)
public class PolicyBenchmark {
    @Param({"100", "10000"})
    private int policies;

    private PolicyScale scale = PolicyScale.of(0);
    private World whole = World.EMPTY;
    private PolicyEvaluator evaluator = evaluator(World.EMPTY);
    private List<Probe> probes = List.of();
    private int next;

    private static PolicyEvaluator evaluator(final World world) {
        return new PolicyEvaluator(world, compile(world));
    }

    private static PolicySet compile(final World world) {
        return PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS);
    }

    /** The cluster, compiled. */
    @Setup
    public void setUp() {
        scale = PolicyScale.of(policies);
        whole = scale.world();
        evaluator = evaluator(whole);
        probes =
                java.util.stream.IntStream.range(0, 1024)
                        .mapToObj(
                                i ->
                                        Probe.of(
                                                pod(i * 37 % scale.endpoints()),
                                                pod(i * 91 % scale.endpoints()),
                                                "TCP",
                                                "8080"))
                        .toList();
    }

    private String pod(final int number) {
        return "n" + number % scale.identities() % scale.namespaces() + "/p" + number;
    }

    /** Everything, from the objects. */
    @Benchmark
    public PolicySet full() {
        return compile(whole);
    }

    /** One probe. */
    @Benchmark
    public Evaluation probe() throws ProbeException {
        next = (next + 1) & 1023;
        return evaluator.evaluate(probes.get(next));
    }

    /** A compiler that has compiled the cluster, and the world that comes next. */
    @State(Scope.Thread)
    public static class Stepped {
        private PolicyCompiler compiler =
                new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
        private World world = World.EMPTY;
        private List<KubeObject> changes = List.of();
        private List<KubeObject> newcomers = List.of();
        private World next = World.EMPTY;
        private int step;

        /** Compiles the cluster. */
        @Setup
        public void setUp(final PolicyBenchmark benchmark) {
            compiler = new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
            world = benchmark.whole;
            compiler.update(world);
            final StringBuilder changed = new StringBuilder();
            final StringBuilder came = new StringBuilder();
            for (int i = 0; i < 64; i++) {
                changed.append(benchmark.scale.policy(i, 9000 + i));
                came.append(
                        benchmark
                                .scale
                                .pod(i, 10_000 + i)
                                .replace("tier:", "version: v" + i + ", tier:"));
            }
            changes = PolicyScale.objects(changed.toString());
            newcomers = PolicyScale.objects(came.toString());
        }
    }

    /** The next world has one policy changed. */
    @State(Scope.Thread)
    public static class PolicyChange {
        /** Makes it. */
        @Setup(Level.Invocation)
        public void setUp(final Stepped stepped) {
            stepped.step++;
            stepped.next =
                    stepped.world.with(
                            List.of(stepped.changes.get(stepped.step % stepped.changes.size())));
            stepped.world = stepped.next;
        }
    }

    /** The next world has one pod more, with labels that no other has, or has it no more. */
    @State(Scope.Thread)
    public static class IdentityChange {
        /** Makes it. */
        @Setup(Level.Invocation)
        public void setUp(final Stepped stepped) {
            stepped.step++;
            final KubeObject pod =
                    stepped.newcomers.get(stepped.step / 2 % stepped.newcomers.size());
            final ObjectRef ref = pod.ref();
            stepped.next =
                    stepped.step % 2 == 0
                            ? stepped.world.with(List.of(pod))
                            : stepped.world.without(List.of(ref));
            stepped.world = stepped.next;
        }
    }

    /** One changed policy. */
    @Benchmark
    public PolicySet policyChanged(final Stepped stepped, final PolicyChange change) {
        return stepped.compiler.update(stepped.next);
    }

    /** One identity more, or one less. */
    @Benchmark
    public PolicySet identityAddedOrRemoved(final Stepped stepped, final IdentityChange change) {
        return stepped.compiler.update(stepped.next);
    }
}
