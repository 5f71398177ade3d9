package io.sluice.l7proxy.tls;

import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;

/**
 * Asks the rules of both sides of a flow about a server name. A stage with rules for what is inside
 * TLS lets nothing pass that it cannot see; where TLS is terminated it will see every request, and
 * of the handshake only the name counts.
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

    /** Whether rules for what is inside will be asked. */
    enum Inside {
        HIDDEN,
        SEEN
    }

    private ServerNameJudge() {}

    /**
     * Judges a handshake.
     *
     * @param serverName empty if the client sent none
     */
    static Judgement judge(final FlowRules rules, final String serverName, final Inside inside) {
        final Judgement egress = judge(rules.egress(), serverName, inside);
        if (egress.verdict() == Verdict.DENIED) {
            return egress;
        }
        final Judgement ingress = judge(rules.ingress(), serverName, inside);
        if (ingress.verdict() == Verdict.DENIED || egress.by().isEmpty()) {
            return ingress.verdict() == Verdict.FORWARDED
                    ? new Judgement(egress.verdict(), ingress.by())
                    : ingress;
        }
        return new Judgement(
                ingress.verdict() == Verdict.FORWARDED ? egress.verdict() : ingress.verdict(),
                ingress.by().isEmpty() ? egress.by() : egress.by() + "; " + ingress.by());
    }

    private static Judgement judge(
            final SideRules side, final String serverName, final Inside inside) {
        for (final RuleStage stage : side.stages()) {
            if (lets(stage, serverName, inside)) {
                return new Judgement(Verdict.FORWARDED, stage.by());
            }
        }
        return new Judgement(
                side.isAllowedOtherwise()
                        ? Verdict.FORWARDED
                        : side.isAudited() ? Verdict.AUDITED : Verdict.DENIED,
                side.otherwiseBy());
    }

    private static boolean lets(
            final RuleStage stage, final String serverName, final Inside inside) {
        return stage.matchesAll()
                || ((inside == Inside.SEEN || !hasRulesInside(stage))
                        && stage.takesServerName(serverName));
    }

    private static boolean hasRulesInside(final RuleStage stage) {
        return !stage.http().isEmpty() || !stage.calicoHttp().isEmpty() || !stage.kafka().isEmpty();
    }
}
