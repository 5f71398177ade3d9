package io.sluice.control.agent;

import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.World;

/**
 * The policy that is live. Immutable.
 *
 * @param revision its number in the data plane
 * @param world objects it was compiled from, with the addresses that pods really have
 * @param evaluator answers probes by it
 */
public record PolicySnapshot(long revision, World world, PolicyEvaluator evaluator) {}
