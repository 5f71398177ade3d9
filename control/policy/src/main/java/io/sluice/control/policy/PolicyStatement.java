package io.sluice.control.policy;

import java.util.List;

/**
 * What one policy says about its subjects in one direction. A new kind of policy is a translator to
 * this form.
 *
 * @param policy where it comes from
 * @param subject labels of the endpoints it is about; namespaces are labels too
 * @param direction direction of the rules
 * @param isolates whether endpoints that it selects are denied what no rule allows
 * @param rules in the order written
 */
record PolicyStatement(
        KubeObject.Policy policy,
        List<LabelMatch> subject,
        PolicyDirection direction,
        boolean isolates,
        List<PolicyRule> rules) {
    boolean selects(final PeerFacts endpoint) {
        return PeerMatch.allMatch(subject, endpoint);
    }
}
