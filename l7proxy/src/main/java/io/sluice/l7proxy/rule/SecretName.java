package io.sluice.l7proxy.rule;

/**
 * A Kubernetes Secret that a rule refers to.
 *
 * @param namespace empty where the policy's own is meant
 * @param name its name
 */
public record SecretName(String namespace, String name) {
    /** The same Secret, for a policy of this namespace. */
    public SecretName orIn(final String policyNamespace) {
        return namespace.isEmpty() ? new SecretName(policyNamespace, name) : this;
    }
}
