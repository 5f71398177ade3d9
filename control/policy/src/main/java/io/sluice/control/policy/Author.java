package io.sluice.control.policy;

/**
 * Who decided.
 *
 * @param origin what kind of decision it was
 * @param tier name of the tier; empty where no tier answered
 * @param kind kind of the policy; empty where no policy answered
 * @param namespace namespace of the policy; empty for cluster-scoped kinds
 * @param name name of the policy
 * @param rule 0-based index of the rule in its list; {@link #NO_RULE} if no rule matched, and the
 *     policy named is then the first of those that isolate the endpoint
 * @param list list of the rule: ingress, ingressDeny, egress, egressDeny; empty without a rule
 * @param file manifest
 * @param line line of the rule, or of the policy
 */
public record Author(
        Origin origin,
        String tier,
        String kind,
        String namespace,
        String name,
        int rule,
        String list,
        String file,
        int line) {
    /** Value of {@link #rule} where no rule matched. */
    public static final int NO_RULE = -1;

    /** Kinds of decision. */
    public enum Origin {
        /** A rule of a policy matched. */
        RULE,
        /** Policies isolate the endpoint and no rule of theirs matched. */
        END_OF_TIER,
        /** No policy isolates the endpoint in this direction, and no rule decided. */
        DEFAULT,
        /** Traffic from the endpoint's own node, which is always let in. */
        OWN_NODE,
        /** Traffic of a pod to itself. */
        SELF,
        /** A port of a host endpoint that is open whatever policies say. */
        FAILSAFE,
        /** No policy and no profile of a host endpoint allows it. */
        END_OF_PROFILES,
        /** A host endpoint names a profile that is not there. */
        MISSING_PROFILE,
        /** The end is no endpoint: nothing enforces policy there. */
        NOT_AN_ENDPOINT
    }

    public static final Author DEFAULT = ofOrigin(Origin.DEFAULT);
    public static final Author OWN_NODE = ofOrigin(Origin.OWN_NODE);
    public static final Author SELF = ofOrigin(Origin.SELF);
    public static final Author NOT_AN_ENDPOINT = ofOrigin(Origin.NOT_AN_ENDPOINT);

    private static Author ofOrigin(final Origin origin) {
        return new Author(origin, "", "", "", "", NO_RULE, "", "", 0);
    }

    static Author ofRule(
            final String tier,
            final KubeObject policy,
            final String list,
            final int rule,
            final SourceLocation where) {
        final ObjectRef ref = policy.ref();
        return new Author(
                Origin.RULE,
                tier,
                ref.kind(),
                ref.namespace(),
                ref.name(),
                rule,
                list,
                where.file(),
                where.line());
    }

    static Author ofTierEnd(final String tier, final KubeObject isolating) {
        final ObjectRef ref = isolating.ref();
        return new Author(
                Origin.END_OF_TIER,
                tier,
                ref.kind(),
                ref.namespace(),
                ref.name(),
                NO_RULE,
                "",
                isolating.where().file(),
                isolating.where().line());
    }

    /** A decision that goes with a host endpoint or a profile of one, not with a rule. */
    static Author ofHostEndpoint(final Origin origin, final KubeObject endpoint) {
        final ObjectRef ref = endpoint.ref();
        return new Author(
                origin,
                "",
                ref.kind(),
                ref.namespace(),
                ref.name(),
                NO_RULE,
                "",
                endpoint.where().file(),
                endpoint.where().line());
    }

    /** The kind as in the manifest, without the group that tells it from another project's. */
    public String simpleKind() {
        final int group = kind.indexOf('.');
        return group < 0 ? kind : kind.substring(0, group);
    }

    /** The same rule wherever it is written: without file and line. */
    Author withoutPlace() {
        return new Author(origin, tier, kind, namespace, name, rule, list, "", 0);
    }

    /** One phrase: {@code NetworkPolicy shop/db ingress[0] (db.yaml:12)}. */
    @Override
    public String toString() {
        return switch (origin) {
            case RULE -> policy() + " " + list + "[" + rule + "]" + place();
            case END_OF_TIER -> "end of tier " + tier + ": isolated by " + policy() + place();
            case DEFAULT -> "default: no policy isolates the endpoint";
            case OWN_NODE -> "traffic from the endpoint's own node";
            case SELF -> "a pod to itself";
            case FAILSAFE -> "failsafe port of " + policy() + place();
            case END_OF_PROFILES -> policy() + ": no policy and no profile allows it" + place();
            case MISSING_PROFILE -> policy() + " of the host endpoint is not there";
            case NOT_AN_ENDPOINT -> "not an endpoint: nothing to enforce";
        };
    }

    /** The policy and where the rule, or else the policy, stands. */
    String policyText() {
        return policy() + place();
    }

    private String policy() {
        return kind + " " + (namespace.isEmpty() ? name : namespace + "/" + name);
    }

    private String place() {
        return file.isEmpty() ? "" : " (" + file + ":" + line + ")";
    }
}
