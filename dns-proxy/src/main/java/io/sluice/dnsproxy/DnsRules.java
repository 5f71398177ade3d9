package io.sluice.dnsproxy;

import io.sluice.dnsproxy.rule.NamePatternIndex;

/** The policy of now, as far as it speaks of names that may be asked for. */
@FunctionalInterface
public interface DnsRules {
    /**
     * What a flow may ask for.
     *
     * @param names that are allowed; {@link NamePatternIndex#NONE} if none is
     * @param isAudited what is not allowed is reported, and passes
     */
    record Allowed(NamePatternIndex names, boolean isAudited) {}

    /**
     * The rules of this endpoint for this server, port and protocol. Called for each query, on the
     * DNS agent's thread, so that a query is judged by the policy in force when it comes, also in
     * an open flow.
     */
    Allowed of(DnsFlow flow);
}
