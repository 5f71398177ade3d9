package io.sluice.l7proxy.http.common;

import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.rule.CalicoHttpRule;
import io.sluice.l7proxy.rule.HttpOutcome;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import io.sluice.l7proxy.rule.HttpOutcome.LoggedHeader;
import io.sluice.l7proxy.rule.HttpRequest;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.SecretName;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * Asks the rules of both sides of a flow: the client's egress first, then the server's ingress,
 * which sees the request with the edits of the first. Each side goes through its stages; the first
 * that lets the request pass decides, and only its edits take place.
 *
 * <p>A stage with TLS server names lets a request pass only inside TLS for such a name. An edit
 * that would change where the message ends or goes, or whose value is no header value, cannot be
 * done safely: the request is denied, also if a side is audited.
 *
 * <p>Pure. Thread: any.
 */
public final class HttpJudge {
    private HttpJudge() {}

    /**
     * Judges a request.
     *
     * @param serverName of the TLS that it came in; empty without
     * @param secrets values of secrets, empty for those that are not known
     */
    public static HttpJudgement judge(
            final FlowRules rules,
            final HttpRequest request,
            final String serverName,
            final Function<SecretName, Optional<String>> secrets) {
        final HttpJudgement egress = judge(rules.egress(), request, serverName, secrets);
        if (!egress.passes()) {
            return egress;
        }
        final HttpRequest received =
                egress.edits().isEmpty() ? request : new EditedRequest(request, egress.edits());
        final HttpJudgement ingress = judge(rules.ingress(), received, serverName, secrets);
        return asksNothing(egress) ? ingress : both(egress, ingress);
    }

    private static boolean asksNothing(final HttpJudgement side) {
        return side.verdict() == Verdict.FORWARDED
                && side.by().isEmpty()
                && side.edits().isEmpty()
                && side.missing().isEmpty()
                && side.rejected().isEmpty();
    }

    private static HttpJudgement both(final HttpJudgement egress, final HttpJudgement ingress) {
        final String by =
                !ingress.passes() || egress.by().isEmpty()
                        ? ingress.by()
                        : ingress.by().isEmpty() ? egress.by() : egress.by() + "; " + ingress.by();
        final Verdict verdict =
                ingress.verdict() == Verdict.FORWARDED ? egress.verdict() : ingress.verdict();
        return new HttpJudgement(
                verdict,
                by,
                joined(egress.edits(), ingress.edits()),
                joined(egress.missing(), ingress.missing()),
                joined(egress.rejected(), ingress.rejected()));
    }

    private static <T> List<T> joined(final List<T> first, final List<T> then) {
        if (first.isEmpty()) {
            return then;
        }
        if (then.isEmpty()) {
            return first;
        }
        final List<T> all = new ArrayList<>(first);
        all.addAll(then);
        return all;
    }

    private static HttpJudgement judge(
            final SideRules side,
            final HttpRequest request,
            final String serverName,
            final Function<SecretName, Optional<String>> secrets) {
        List<LoggedHeader> missing = List.of();
        List<LoggedHeader> rejected = List.of();
        for (final RuleStage stage : side.stages()) {
            final HttpOutcome outcome = HttpRule.judge(stage.http(), request, secrets);
            missing = joined(missing, outcome.missing());
            rejected = joined(rejected, outcome.rejected());
            if (stage.takesServerName(serverName) && lets(stage, outcome, request)) {
                final Optional<String> fault = EditCheck.fault(outcome.edits());
                return fault.isPresent()
                        ? new HttpJudgement(
                                Verdict.DENIED, fault.get(), List.of(), missing, rejected)
                        : new HttpJudgement(
                                Verdict.FORWARDED, stage.by(), outcome.edits(), missing, rejected);
            }
        }
        final Verdict verdict =
                side.isAllowedOtherwise()
                        ? Verdict.FORWARDED
                        : side.isAudited() ? Verdict.AUDITED : Verdict.DENIED;
        return new HttpJudgement(verdict, side.otherwiseBy(), List.of(), missing, rejected);
    }

    private static boolean lets(
            final RuleStage stage, final HttpOutcome outcome, final HttpRequest request) {
        if (stage.matchesAll() || outcome.matched()) {
            return true;
        }
        for (final CalicoHttpRule rule : stage.calicoHttp()) {
            if (rule.matches(request)) {
                return true;
            }
        }
        return false;
    }

    /** A request as it will be after edits. */
    private record EditedRequest(HttpRequest before, List<HeaderEdit> edits)
            implements HttpRequest {
        @Override
        public String method() {
            return before.method();
        }

        @Override
        public String path() {
            return before.path();
        }

        /** Host cannot be edited. */
        @Override
        public String host() {
            return before.host();
        }

        @Override
        public List<String> headers(final String name) {
            List<String> values = before.headers(name);
            for (final HeaderEdit edit : edits) {
                if (edit.name().equalsIgnoreCase(name)) {
                    values =
                            switch (edit.edit()) {
                                case ADD -> joined(values, List.of(edit.value()));
                                case DELETE -> List.of();
                                case REPLACE -> List.of(edit.value());
                            };
                }
            }
            return values;
        }
    }
}
