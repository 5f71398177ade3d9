package io.sluice.l7proxy.tls;

import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.rule.ServerNamePattern;

/**
 * Asks the rules of both sides of a flow about a server name. A stage with rules for what is inside
 * TLS lets nothing pass that it cannot see.
 *
 * <p>Pure. Thread: any.
 */
final class ServerNameJudge {
    /**
     * The answer.
     *
     * @param verdict FORWARDED, AUDITED or DENIED
     * @param by policies and rules that decided
     */
    record Judgement(Verdict verdict, String by) {}

    private ServerNameJudge() {}

    /**
     * Judges a handshake.
     *
     * @param serverName empty if the client sent none
     */
    static Judgement judge(final FlowRules rules, final String serverName) {
        final Judgement egress = judge(rules.egress(), serverName);
        if (egress.verdict() == Verdict.DENIED) {
            return egress;
        }
        final Judgement ingress = judge(rules.ingress(), serverName);
        if (ingress.verdict() == Verdict.DENIED || egress.by().isEmpty()) {
            return ingress.verdict() == Verdict.FORWARDED
                    ? new Judgement(egress.verdict(), ingress.by())
                    : ingress;
        }
        return new Judgement(
                ingress.verdict() == Verdict.FORWARDED ? egress.verdict() : ingress.verdict(),
                ingress.by().isEmpty() ? egress.by() : egress.by() + "; " + ingress.by());
    }

    private static Judgement judge(final SideRules side, final String serverName) {
        for (final RuleStage stage : side.stages()) {
            if (lets(stage, serverName)) {
                return new Judgement(Verdict.FORWARDED, stage.by());
            }
        }
        return new Judgement(
                side.isAllowedOtherwise()
                        ? Verdict.FORWARDED
                        : side.isAudited() ? Verdict.AUDITED : Verdict.DENIED,
                side.otherwiseBy());
    }

    private static boolean lets(final RuleStage stage, final String serverName) {
        if (stage.matchesAll()) {
            return true;
        }
        if (!stage.http().isEmpty() || !stage.calicoHttp().isEmpty() || !stage.kafka().isEmpty()) {
            return false;
        }
        if (stage.serverNames().isEmpty()) {
            return true;
        }
        for (final ServerNamePattern pattern : stage.serverNames()) {
            if (pattern.matches(serverName)) {
                return true;
            }
        }
        return false;
    }
}
