package io.sluice.l7proxy.kafka;

import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.rule.KafkaRequest;
import io.sluice.l7proxy.rule.KafkaRule;

/**
 * Asks the rules of both sides of a flow about a request: the client's egress first, then the
 * server's ingress; on each side the first stage that lets it pass decides. A stage with TLS server
 * names lets nothing pass that came without TLS.
 *
 * <p>Pure. Thread: any.
 */
final class KafkaJudge {
    /**
     * The answer.
     *
     * @param verdict FORWARDED, AUDITED or DENIED
     * @param by policies and rules that decided
     */
    record Judgement(Verdict verdict, String by) {
        boolean passes() {
            return verdict != Verdict.DENIED;
        }
    }

    private KafkaJudge() {}

    static Judgement judge(final FlowRules rules, final KafkaRequest request) {
        final Judgement egress = judge(rules.egress(), request);
        if (!egress.passes()) {
            return egress;
        }
        final Judgement ingress = judge(rules.ingress(), request);
        if (!ingress.passes()) {
            return ingress;
        }
        final Verdict verdict =
                ingress.verdict() == Verdict.FORWARDED ? egress.verdict() : ingress.verdict();
        if (egress.by().isEmpty() || ingress.by().isEmpty()) {
            return new Judgement(verdict, egress.by() + ingress.by());
        }
        return new Judgement(verdict, egress.by() + "; " + ingress.by());
    }

    private static Judgement judge(final SideRules side, final KafkaRequest request) {
        for (final RuleStage stage : side.stages()) {
            if (stage.serverNames().isEmpty()
                    && (stage.matchesAll() || KafkaRule.allow(stage.kafka(), request))) {
                return new Judgement(Verdict.FORWARDED, stage.by());
            }
        }
        return new Judgement(
                side.isAllowedOtherwise()
                        ? Verdict.FORWARDED
                        : side.isAudited() ? Verdict.AUDITED : Verdict.DENIED,
                side.otherwiseBy());
    }
}
