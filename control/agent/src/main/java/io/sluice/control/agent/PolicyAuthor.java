package io.sluice.control.agent;

/**
 * Who decided.
 *
 * @param tier tier it stands in, {@code default}
 * @param kind kind of the policy; empty when no policy but a tier's end or the default decided
 * @param namespace of the policy, empty for a cluster-wide kind
 * @param name of the policy
 * @param rule index of the rule in its direction, from 0; -1 when no single rule decided
 * @param file file the rule was read from
 * @param line line of the rule, from 1
 * @param sentence the author in words: {@code NetworkPolicy shop/web ingress rule 0}, {@code end of
 *     tier default}
 */
public record PolicyAuthor(
        String tier,
        String kind,
        String namespace,
        String name,
        int rule,
        String file,
        int line,
        String sentence) {
    /** Its name; without a policy the author in words. */
    public String title() {
        return kind.isEmpty() ? sentence : name;
    }
}
