package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.Author.Origin;
import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.SideRules;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Requests by the rule that decided. */
final class RuleCountsTest {
    private static final InetSocketAddress ADDRESS =
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 80);
    private static final Flow FLOW =
            new Flow(
                    ADDRESS,
                    ADDRESS,
                    1,
                    2,
                    () -> new FlowRules(1, SideRules.ALLOW_ALL, SideRules.ALLOW_ALL));

    private final RuleCounts counts = new RuleCounts();

    private static Author rule(final String name, final int index, final int line) {
        return new Author(
                Origin.RULE,
                "default",
                "CiliumNetworkPolicy",
                "shop",
                name,
                index,
                "ingress",
                "a.yaml",
                line);
    }

    private static Author end(final String name) {
        return new Author(
                Origin.END_OF_TIER,
                "default",
                "CiliumNetworkPolicy",
                "shop",
                name,
                Author.NO_RULE,
                "",
                "a.yaml",
                1);
    }

    private void decide(final Verdict verdict, final String by) {
        counts.count(
                new L7Event(
                        FLOW, L7Event.Type.REQUEST, verdict, 1, by, new L7Event.Tls("", false)));
    }

    private List<String> lines() {
        return counts.all().stream()
                .map(
                        rule ->
                                "%s %s %s:%d %d/%d/%d"
                                        .formatted(
                                                rule.name(),
                                                rule.rule(),
                                                rule.file(),
                                                rule.line(),
                                                rule.allowed(),
                                                rule.denied(),
                                                rule.audited()))
                .toList();
    }

    @Test
    void eachRuleHasItsRequestsAndSoHasWhatNoRuleAllows() {
        counts.name(rule("web", 0, 5), 1);
        counts.name(rule("web", 1, 9), 1);
        counts.name(end("web"), 1);
        decide(Verdict.FORWARDED, rule("web", 0, 5).toString());
        decide(Verdict.FORWARDED, rule("web", 0, 5).toString());
        decide(Verdict.DENIED, end("web").toString());
        decide(Verdict.AUDITED, end("web").toString());
        assertThat(lines())
                .containsExactly(
                        "web end of tier default a.yaml:1 0/1/1", "web ingress[0] a.yaml:5 2/0/0");
    }

    @Test
    void bothEndsRulesCountWhereBothLetARequestPass() {
        counts.name(rule("client", 0, 5), 1);
        counts.name(rule("server", 0, 7), 1);
        decide(Verdict.FORWARDED, rule("client", 0, 5) + "; " + rule("server", 0, 7));
        assertThat(lines())
                .containsExactly(
                        "client ingress[0] a.yaml:5 1/0/0", "server ingress[0] a.yaml:7 1/0/0");
    }

    @Test
    void aRuleThatMovesGoesOnCounting() {
        counts.name(rule("web", 0, 5), 1);
        decide(Verdict.FORWARDED, rule("web", 0, 5).toString());
        counts.name(rule("web", 0, 6), 2);
        decide(Verdict.FORWARDED, rule("web", 0, 6).toString());
        assertThat(lines()).containsExactly("web ingress[0] a.yaml:6 2/0/0");
    }

    @Test
    void whatNoKnownRuleDecidesIsOther() {
        decide(Verdict.DENIED, "header Host must not be edited");
        decide(Verdict.FORWARDED, "");
        decide(Verdict.ERROR, "two lengths");
        assertThat(lines()).containsExactly(" other :0 0/1/0");
    }

    @Test
    void rulesAreBoundedAndThoseOfOldPoliciesMakeWay() {
        for (int i = 0; i < RuleCounts.RULES_MAX; i++) {
            counts.name(rule("old" + i, 0, 1), 1);
            decide(Verdict.FORWARDED, rule("old" + i, 0, 1).toString());
        }
        counts.name(rule("more", 0, 1), 1);
        decide(Verdict.FORWARDED, rule("more", 0, 1).toString());
        assertThat(counts.all()).hasSize(RuleCounts.RULES_MAX + 1);
        assertThat(lines()).endsWith(" other :0 1/0/0");
        counts.name(rule("new", 0, 1), 2);
        decide(Verdict.FORWARDED, rule("new", 0, 1).toString());
        assertThat(lines()).containsExactly("new ingress[0] a.yaml:1 1/0/0", " other :0 1/0/0");
    }
}
