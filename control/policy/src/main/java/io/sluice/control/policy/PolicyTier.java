package io.sluice.control.policy;

import java.util.List;

/**
 * One tier: statements that are judged together before the next tier is asked.
 *
 * <p>Today there is the tier {@code default} with one additive group in it: its statements have no
 * order among each other. Tiers are asked in the order of their list; the first that answers is
 * final, and a tier with a statement that isolates the endpoint always answers.
 *
 * @param name name in authors
 * @param statements by policy kind, namespace and name, so that of several rules that decide alike
 *     always the same one is named
 */
record PolicyTier(String name, List<PolicyStatement> statements) {
    static final String DEFAULT_NAME = "default";
}
