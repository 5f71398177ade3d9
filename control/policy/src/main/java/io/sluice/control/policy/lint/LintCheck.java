package io.sluice.control.policy.lint;

import io.sluice.control.policy.Fields;
import io.sluice.control.policy.lint.Finding.Severity;
import java.util.Arrays;
import java.util.Optional;

/** What lint looks for. {@code docs/lint.md} and {@code --list} are made from this enum. */
public enum LintCheck {
    EGRESS_WITHOUT_DNS(
            "egress-without-dns",
            Severity.WARNING,
            "Egress of a pod is isolated and no rule allows DNS (port 53): names do not resolve. Where"
                    + " only TCP is missing, or nothing at all is allowed: info."),
    FQDN_WITHOUT_DNS_RULE(
            "fqdn-without-dns-rule",
            Severity.ERROR,
            "A rule allows names, but nothing sees the pod's DNS answers, so the names never match."),
    FQDN_NOT_IN_DNS_RULES(
            "fqdn-not-in-dns-rules",
            Severity.WARNING,
            "A rule allows a name that the DNS rules of its pods do not let them ask for."),
    SELECTOR_MATCHES_NOTHING(
            "selector-matches-nothing",
            Severity.WARNING,
            "A selector of a subject or a peer matches no pod: often a typo, then the label nearby is"
                    + " named."),
    NAMESPACE_NAME_LABEL(
            "namespace-name-label",
            Severity.WARNING,
            "A namespaceSelector asks for a label that no namespace has, with a namespace's name as"
                    + " value."),
    NAMESPACE_MISSING(
            "namespace-missing",
            Severity.WARNING,
            "A policy is in a namespace that does not exist."),
    FIRST_DEFAULT_DENY(
            "first-default-deny",
            Severity.INFO,
            "A policy alone turns a direction of some pods to default deny, and connections that are"
                    + " possible without it are cut."),
    DEFAULT_DENY_ALONE(
            "default-deny-alone",
            Severity.INFO,
            "A namespace-wide default deny stands while no policy allows anything yet."),
    SYSTEM_NAMESPACE_LOCKED(
            "system-namespace-locked",
            Severity.WARNING,
            "Default deny leaves a pod of a system namespace (kube-system, monitoring, ingress, ...)"
                    + " with nothing allowed in a direction."),
    EGRESS_NOT_ISOLATED(
            "egress-not-isolated",
            Severity.WARNING,
            "`egress: []` without policyTypes does not isolate egress."),
    RULES_WITHOUT_TYPE(
            "rules-without-type",
            Severity.WARNING,
            "Rules of a direction that policyTypes (Calico: types) leaves out have no effect."),
    EMPTY_PEER_SELECTOR(
            "empty-peer-selector",
            Severity.WARNING,
            "An empty selector in a peer: all pods of all namespaces; all pods of the policy's own"
                    + " namespace are only info."),
    AND_OR_SLIP(
            "and-or-slip",
            Severity.WARNING,
            "Two items, one only namespaceSelector, the other only podSelector, where one item with"
                    + " both was probably meant."),
    PERMISSIVE_POLICY_WINS(
            "permissive-policy-wins",
            Severity.WARNING,
            "One policy allows everyone everything, so the rules of others for the same pods restrict"
                    + " nothing."),
    EQUAL_ORDER(
            "equal-order",
            Severity.WARNING,
            "Two policies of one tier with equal order or priority decide differently about the same"
                    + " pods: their names decide which is first."),
    LOG_ONLY_TIER(
            "log-only-tier",
            Severity.WARNING,
            "All rules of a tier for some pods only log: the end of the tier drops everything."),
    DENY_SHADOWS_ALLOW(
            "deny-shadows-allow",
            Severity.WARNING,
            "A deny rule covers an allow rule in full: the allow rule never has an effect."),
    CIDR_OVER_ENDPOINTS(
            "cidr-over-endpoints",
            Severity.WARNING,
            "A CIDR rule of a Cilium policy covers addresses of pods, which such rules do not match; of"
                    + " 0.0.0.0/0 and ::/0 it is only info."),
    L7_ON_ALL_TRAFFIC(
            "l7-on-all-traffic",
            Severity.WARNING,
            "L7 rules that send all traffic of all pods, or a wide range of ports, through a proxy."),
    L7_RULE_TOOTHLESS(
            "l7-rule-toothless",
            Severity.WARNING,
            "A rule without L7 allows the same peers the same ports, so the L7 rule denies no"
                    + " request."),
    KAFKA_ROLE_NARROW(
            "kafka-role-narrow",
            Severity.WARNING,
            "A Kafka role leaves out an API that clients of today ask for: produce InitProducerId, which"
                    + " idempotent producers need (the default since Kafka 3.0); consume"
                    + " OffsetForLeaderEpoch, only info."),
    NODE_LOCKED_OUT(
            "node-locked-out",
            Severity.WARNING,
            "Ingress from a pod's own node is denied: the kubelet's probes fail and the pod is"
                    + " restarted for ever. Where no probes are known and no rule denies: info."),
    HOST_POLICY_LOCKS_OUT_NODE(
            "host-policy-locks-out-node",
            Severity.ERROR,
            "A host policy isolates a node and lets in neither SSH (22) nor the API server (6443) nor"
                    + " the kubelet's port (10250)."),
    METADATA_ADDRESS_OPEN(
            "metadata-address-open",
            Severity.WARNING,
            "169.254.169.254, where clouds give out credentials, is reachable from pods whose egress is"
                    + " isolated; for pods that are not isolated one info sums up.");

    private final String id;
    private final Severity severity;
    private final String sentence;

    LintCheck(final String id, final Severity severity, final String sentence) {
        this.id = id;
        this.severity = severity;
        this.sentence = sentence;
    }

    /** Stable name: what output, {@code --disable} and annotations know it by. */
    public String id() {
        return id;
    }

    /** Weight of its findings; {@link Finding#severity} may be less. */
    public Severity severity() {
        return severity;
    }

    /** What it finds. */
    public String sentence() {
        return sentence;
    }

    public static Optional<LintCheck> ofId(final String id) {
        return Arrays.stream(values()).filter(check -> check.id.equals(id)).findFirst();
    }

    /** The id closest to what was written, for messages. */
    public static Optional<String> nearestId(final String written) {
        return Fields.nearest(written, Arrays.stream(values()).map(LintCheck::id).toList());
    }
}
