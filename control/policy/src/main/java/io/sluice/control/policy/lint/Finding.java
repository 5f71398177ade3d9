package io.sluice.control.policy.lint;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.SourceLocation;

/**
 * One pitfall that a policy has fallen into.
 *
 * @param check what was looked for
 * @param severity the check's, or less where this case is milder
 * @param where the rule, or the policy
 * @param object the policy; the first pod for a finding that no policy is the cause of
 * @param message one sentence: what
 * @param advice one sentence: what to do
 */
public record Finding(
        LintCheck check,
        Severity severity,
        SourceLocation where,
        ObjectRef object,
        String message,
        String advice) {
    /** Weight of a finding. */
    public enum Severity {
        /** The policy does not do what it is for, or breaks the node. */
        ERROR,
        /** Most likely not what was meant. */
        WARNING,
        /** Worth knowing; often meant so. */
        INFO
    }

    static Finding at(
            final SourceLocation where,
            final KubeObject object,
            final LintCheck check,
            final String message,
            final String advice) {
        return new Finding(check, check.severity(), where, object.ref(), message, advice);
    }

    static Finding of(
            final KubeObject object,
            final LintCheck check,
            final String message,
            final String advice) {
        return at(object.where(), object, check, message, advice);
    }

    /** The same finding, only worth knowing. */
    Finding asInfo() {
        return new Finding(check, Severity.INFO, where, object, message, advice);
    }

    /** {@code file:line:column: id: message: advice}. */
    @Override
    public String toString() {
        return where + ": " + check.id() + ": " + message + ": " + advice;
    }
}
