package io.sluice.control.cli;

import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;
import java.util.ArrayList;
import java.util.List;

/**
 * The policy engine over manifests, without a daemon: the same reader, compiler and evaluator.
 *
 * @param world objects that are right
 * @param policies what was compiled from them
 * @param problems what the reader, the world and the compiler found, errors and warnings
 */
record OfflinePolicy(World world, PolicySet policies, List<Problem> problems) {
    static OfflinePolicy of(final List<Manifests.Text> texts) {
        return of(texts, PolicyOptions.DEFAULTS);
    }

    static OfflinePolicy of(final List<Manifests.Text> texts, final PolicyOptions options) {
        final List<KubeObject> objects = new ArrayList<>();
        final List<Problem> problems = new ArrayList<>();
        for (final Manifests.Text text : texts) {
            final ReadResult read = ManifestReader.read(text.name(), text.content());
            objects.addAll(read.objects());
            problems.addAll(read.problems());
        }
        final World world = World.of(objects);
        final PolicySet policies = PolicyCompiler.compile(world, new IdentityAllocator(), options);
        problems.addAll(world.problems());
        for (final Problem warning : policies.warnings()) {
            if (!problems.contains(warning)) {
                problems.add(warning);
            }
        }
        return new OfflinePolicy(world, policies, List.copyOf(problems));
    }

    /** What the manifests say, or the end of the command if any of them is wrong. */
    static OfflinePolicy ofCorrect(final List<Manifests.Text> texts, final Console console) {
        final OfflinePolicy policy = of(texts);
        if (!policy.errors().isEmpty()) {
            throw CommandError.no(policy.errorText());
        }
        policy.problems.forEach(warning -> console.note(warning.toString()));
        return policy;
    }

    List<Problem> errors() {
        return problems.stream().filter(Problem::isError).toList();
    }

    /** One line for each error. */
    String errorText() {
        return String.join("\n", errors().stream().map(Problem::toString).toList());
    }

    PolicyEvaluator evaluator() {
        return new PolicyEvaluator(world, policies);
    }
}
