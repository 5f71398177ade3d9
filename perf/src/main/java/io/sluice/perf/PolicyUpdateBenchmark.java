package io.sluice.perf;

import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
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
 * What a change costs at 5,000 endpoints and 1,000 identities: one policy with another port, or one
 * pod with labels that no other has, which comes and goes by turns.
 *
 * <p>Measured from the new world to the compiled policy; making the world is not part of it.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 1, jvmArgsAppend = "-Xmx4g")
@Warmup(iterations = 5, time = 2)
@Measurement(iterations = 5, time = 2)
public class PolicyUpdateBenchmark {
    /** Policies or pods that change by turns. */
    private static final int OBJECTS = 64;

    /** Each object in two forms, so that none is given that is there already. */
    private static final int VARIANTS = 2 * OBJECTS;

    /** What changes. */
    public enum Change {
        POLICY,
        IDENTITY
    }

    @Param({"100", "10000"})
    private int policies;

    @Param private Change change = Change.POLICY;

    private PolicyCompiler compiler =
            new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
    private World world = World.EMPTY;
    private List<KubeObject> variants = List.of();
    private int step;

    /** The cluster, compiled. */
    @Setup
    public void setUp() {
        final PolicyScale scale = PolicyScale.of(policies);
        world = scale.world();
        compiler = new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
        if (compiler.update(world).identities().size() < scale.identities()) {
            throw new IllegalStateException("the cluster is not compiled");
        }
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < VARIANTS; i++) {
            text.append(
                    switch (change) {
                        case POLICY -> scale.policy(i % OBJECTS, 9000 + i);
                        case IDENTITY ->
                                scale.pod(i % OBJECTS, 10_000 + i)
                                        .replace("tier:", "version: v" + i + ", tier:");
                    });
        }
        variants = PolicyScale.objects(text.toString());
    }

    /** The next world. */
    @Setup(Level.Invocation)
    public void change() {
        world =
                switch (change) {
                    case POLICY -> world.with(List.of(variants.get(step % VARIANTS)));
                    case IDENTITY -> {
                        final KubeObject pod = variants.get(step / 2 % VARIANTS);
                        yield step % 2 == 0
                                ? world.with(List.of(pod))
                                : world.without(List.of(pod.ref()));
                    }
                };
        step++;
    }

    /** The change, compiled. */
    @Benchmark
    public PolicySet update() {
        return compiler.update(world);
    }
}
