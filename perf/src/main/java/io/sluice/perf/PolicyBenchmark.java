package io.sluice.perf;

import io.sluice.control.policy.Evaluation;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.Probe;
import io.sluice.control.policy.ProbeException;
import io.sluice.control.policy.World;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
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
                IntStream.range(0, 1024)
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
}
