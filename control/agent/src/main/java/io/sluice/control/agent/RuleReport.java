package io.sluice.control.agent;

/**
 * Requests that one L7 rule decided about since the start.
 *
 * @param kind kind of the policy; empty for the requests of no known rule
 * @param namespace of the policy, empty for a cluster-wide kind
 * @param name of the policy
 * @param rule {@code ingress[0]}; {@code end of tier default} for requests that no rule allowed,
 *     under the first policy that isolates the endpoint; {@code other} for no known rule
 * @param file manifest it is in now
 * @param line line of the rule, or of the policy, from 1; 0 without a file
 * @param allowed requests that passed
 * @param denied requests that the proxy answered
 * @param audited requests that passed because the denial is only audited
 */
public record RuleReport(
        String kind,
        String namespace,
        String name,
        String rule,
        String file,
        int line,
        long allowed,
        long denied,
        long audited) {}
