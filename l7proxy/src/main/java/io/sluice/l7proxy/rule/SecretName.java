package io.sluice.l7proxy.rule;

/**
 * A Kubernetes Secret that a rule refers to.
 *
 * @param namespace empty where the policy's own is meant
 * @param name its name
 */
public record SecretName(String namespace, String name) {}
