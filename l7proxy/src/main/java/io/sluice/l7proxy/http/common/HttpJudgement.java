package io.sluice.l7proxy.http.common;

import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import io.sluice.l7proxy.rule.HttpOutcome.LoggedHeader;
import java.util.List;

/**
 * What both sides' rules say of a request. Immutable.
 *
 * @param verdict FORWARDED, AUDITED or DENIED
 * @param by the policies and rules that decided
 * @param edits to the request if it is forwarded, in order
 * @param missing headers to report
 * @param rejected headers to report
 */
public record HttpJudgement(
        Verdict verdict,
        String by,
        List<HeaderEdit> edits,
        List<LoggedHeader> missing,
        List<LoggedHeader> rejected) {
    /** Whether the request goes on to the server. */
    public boolean passes() {
        return verdict != Verdict.DENIED;
    }
}
