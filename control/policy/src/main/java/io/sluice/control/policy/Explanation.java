package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;

/**
 * Why a probe got its verdict: per direction who decided, what nearly did, and the whole chain,
 * tier by tier and rule by rule. {@link #lines} is the same as text. Immutable, any thread.
 *
 * @param headline the question and the verdict, and what goes for both directions
 * @param sides egress of the source, ingress of the destination; none for a pod to itself
 */
public record Explanation(List<String> headline, List<Side> sides) {
    /** Near misses told per direction. */
    public static final int NEAR_MISSES_MAX = 3;

    /**
     * One direction.
     *
     * @param subject the end whose policies are asked, by its name, and its address where the probe
     *     gave that
     * @param answer what they say
     * @param remarks what else there is to say of the answer
     * @param nearMisses what would have said otherwise, the closest first
     * @param chains the endpoint's policies, then those of its node
     */
    public record Side(
            PolicyDirection direction,
            String subject,
            PolicyEntry answer,
            List<String> remarks,
            List<NearMiss> nearMisses,
            List<Chain> chains) {}

    /**
     * A rule that would have answered otherwise, or a policy that would have had a say, but for a
     * few conditions.
     *
     * @param kind what it is
     * @param author the rule; of a SELECTOR the policy, without a rule
     * @param unmet the conditions; at least one
     */
    public record NearMiss(Kind kind, Author author, List<UnmetCondition> unmet) {
        /** What came close. */
        public enum Kind {
            /** A rule of a policy that is asked. */
            RULE,
            /** A rule that matches the connection, but not the request in it. */
            REQUEST,
            /** A policy that does not select the endpoint. */
            SELECTOR
        }

        /** One sentence without a full stop. */
        public String text() {
            final String name =
                    kind == Kind.SELECTOR
                            ? author.policyText()
                            : author.list() + "[" + author.rule() + "] of " + author.policyText();
            final String lacks =
                    String.join("; ", unmet.stream().map(UnmetCondition::toString).toList());
            if (kind == Kind.SELECTOR) {
                return name + " does not select the endpoint: " + lacks;
            }
            if (kind == Kind.REQUEST) {
                return name + " takes the connection, but " + lacks;
            }
            return unmet.stream().allMatch(UnmetCondition::isAboutTraffic)
                    ? name + " selects this peer, but " + lacks
                    : name + " does not match: " + lacks;
        }
    }

    /**
     * Policies that are asked one after the other.
     *
     * @param heading whose they are; empty for an endpoint's own
     * @param remarks what comes before all policies
     * @param tiers in their order; none if no policy selects the end in this direction
     */
    public record Chain(String heading, List<String> remarks, List<Tier> tiers) {}

    /**
     * One tier.
     *
     * @param deniesRest whether what no rule of it decided is denied; else it goes on
     */
    public record Tier(String name, List<Policy> policies, boolean deniesRest) {}

    /**
     * One policy in one direction.
     *
     * @param where file, line and column
     * @param remark what is special about it, after a comma; empty for nothing
     */
    public record Policy(ObjectRef ref, SourceLocation where, String remark, List<Rule> rules) {}

    /**
     * One rule.
     *
     * @param author where it stands
     * @param says what it would say of what it matches
     * @param effect the same in words: {@code allows}, {@code denies}, ...
     * @param about whom and what it is about, as text
     * @param unmet why it does not match; empty if it matches, its L7 rules aside
     * @param request why its L7 rules do not let the probe's request pass; empty if they do, or if
     *     the probe has none that they read
     */
    public record Rule(
            Author author,
            Says says,
            String effect,
            String about,
            List<UnmetCondition> unmet,
            List<UnmetCondition> request) {
        /** What a rule says of what it matches. */
        public enum Says {
            /** It may pass. */
            ALLOWED,
            /** The next tier is asked. */
            PASSED_ON,
            /** It is dropped. */
            DENIED,
            /** Nothing: it is only logged. */
            NOTHING
        }

        /** Whether the rule is about the connection. */
        public boolean matches() {
            return unmet.isEmpty();
        }

        private String text() {
            final String name =
                    author.list() + "[" + author.rule() + "] (line " + author.line() + "): ";
            if (!matches()) {
                return name + "no match: " + sentences(unmet);
            }
            return name
                    + "match: "
                    + effect
                    + " "
                    + about
                    + (request.isEmpty() ? "" : "; not this request: " + sentences(request));
        }

        private static String sentences(final List<UnmetCondition> conditions) {
            return String.join("; ", conditions.stream().map(UnmetCondition::toString).toList());
        }
    }

    /** As text, indented by two spaces a level. */
    public List<String> lines() {
        final List<String> lines = new ArrayList<>(headline);
        for (final Side side : sides) {
            lines.add(
                    side.direction.field()
                            + " of "
                            + side.subject
                            + ": "
                            + said(side.answer)
                            + ", by "
                            + side.answer.by());
            side.nearMisses.forEach(miss -> lines.add("  nearly: " + miss.text()));
            side.remarks.forEach(remark -> lines.add("  " + remark));
            side.chains.forEach(chain -> addChain(chain, lines));
        }
        return List.copyOf(lines);
    }

    /** The verdict, and the reason of one that denies. */
    static String said(final PolicyEntry answer) {
        return answer.verdict() + (answer.isAllowed() ? "" : " " + answer.reason());
    }

    private static void addChain(final Chain chain, final List<String> lines) {
        if (!chain.heading.isEmpty()) {
            lines.add("  " + chain.heading);
        }
        chain.remarks.forEach(remark -> lines.add("  " + remark));
        if (chain.tiers.isEmpty()) {
            lines.add("  no policy selects the endpoint in this direction");
        }
        for (final Tier tier : chain.tiers) {
            lines.add("  tier " + tier.name + ":");
            for (final Policy policy : tier.policies) {
                lines.add("    " + policy.ref + " (" + policy.where + ")" + policy.remark + ":");
                if (policy.rules.isEmpty()) {
                    lines.add("      no rules");
                }
                policy.rules.forEach(rule -> lines.add("      " + rule.text()));
            }
            lines.add(
                    "    end of tier: what no rule decided "
                            + (tier.deniesRest ? "is denied" : "goes on"));
        }
    }
}
