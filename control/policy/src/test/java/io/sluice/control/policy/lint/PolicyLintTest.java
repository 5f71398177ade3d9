package io.sluice.control.policy.lint;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What the examples do not show: other kinds of policy, hints, and what is let pass. */
final class PolicyLintTest {
    private static final String WORLD =
            """
            apiVersion: v1
            kind: Namespace
            metadata: {name: shop, labels: {team: web}}
            ---
            apiVersion: v1
            kind: Namespace
            metadata: {name: monitoring, labels: {team: ops}}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: frontend, namespace: shop, labels: {app: frontend}}
            status: {podIP: 10.244.0.11}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: backend, namespace: shop, labels: {app: backend}}
            status: {podIP: 10.244.0.12}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: prometheus, namespace: monitoring, labels: {app: prometheus}}
            status: {podIP: 10.244.0.14}
            ---
            """;

    private static List<String> lint(final LintCheck check, final String text) {
        final ReadResult read = ManifestReader.read("p.yaml", text);
        assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
        return PolicyLint.lint(World.of(read.objects()), PolicyOptions.DEFAULTS, EnumSet.of(check))
                .stream()
                .map(
                        finding ->
                                finding.severity()
                                        + " "
                                        + finding.message()
                                        + ": "
                                        + finding.advice())
                .toList();
    }

    private static String networkPolicy(final String name, final String spec) {
        return """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: NAME, namespace: shop}
        spec: SPEC
        ---
        """
                .replace("NAME", name)
                .replace("SPEC", spec);
    }

    private static String cilium(final String spec) {
        return """
        apiVersion: cilium.io/v2
        kind: CiliumNetworkPolicy
        metadata: {name: c, namespace: shop}
        spec: SPEC
        ---
        """
                .replace("SPEC", spec);
    }

    private static String calico(final String name, final String spec) {
        return """
        apiVersion: projectcalico.org/v3
        kind: GlobalNetworkPolicy
        metadata: {name: NAME}
        spec: SPEC
        ---
        """
                .replace("NAME", name)
                .replace("SPEC", spec);
    }

    @Test
    void aPeerThatIsInAnotherNamespaceIsToldWhere() {
        assertThat(
                        lint(
                                LintCheck.SELECTOR_MATCHES_NOTHING,
                                WORLD
                                        + networkPolicy(
                                                "p",
                                                "{podSelector: {}, ingress: [{from: [{podSelector:"
                                                        + " {matchLabels: {app: prometheus}}}]}]}")))
                .singleElement()
                .asString()
                .contains("no pod of namespace shop has app=prometheus")
                .contains("such a pod is in namespace monitoring");
    }

    @Test
    void everyKindOfPolicyIsToldOfATypo() {
        final String expected = "has app=frontned: did you mean app=frontend?";
        for (final String policy :
                List.of(
                        networkPolicy("p", "{podSelector: {matchLabels: {app: frontned}}}"),
                        cilium(
                                "{endpointSelector: {matchLabels: {k8s:app: frontned}}, ingress:"
                                        + " [{}]}"),
                        cilium(
                                "{endpointSelector: {}, ingress: [{fromEndpoints: [{matchLabels:"
                                        + " {app: frontned}}]}]}"),
                        calico("p", "{selector: \"app == 'frontned'\", types: [Ingress]}"),
                        calico(
                                "p",
                                "{types: [Ingress], ingress: [{action: Allow, source: {selector:"
                                        + " \"app == 'frontned'\"}}]}"),
                        """
                        apiVersion: policy.networking.k8s.io/v1alpha1
                        kind: AdminNetworkPolicy
                        metadata: {name: a}
                        spec:
                          priority: 5
                          subject: {namespaces: {}}
                          ingress:
                            - action: Deny
                              from:
                                - pods:
                                    namespaceSelector: {}
                                    podSelector: {matchLabels: {app: frontned}}
                        """)) {
            assertThat(lint(LintCheck.SELECTOR_MATCHES_NOTHING, WORLD + policy))
                    .as(policy)
                    .singleElement()
                    .asString()
                    .contains(expected);
        }
    }

    @Test
    void aLabelKeyIsToldOfATypoToo() {
        assertThat(
                        lint(
                                LintCheck.SELECTOR_MATCHES_NOTHING,
                                WORLD
                                        + networkPolicy(
                                                "p", "{podSelector: {matchLabels: {ap: web}}}")))
                .singleElement()
                .asString()
                .endsWith("has a label ap: did you mean app?");
    }

    @Test
    void aNamespaceIsToldOfATypoToo() {
        assertThat(
                        lint(
                                LintCheck.SELECTOR_MATCHES_NOTHING,
                                WORLD
                                        + cilium(
                                                "{endpointSelector: {}, ingress: [{fromEndpoints:"
                                                        + " [{matchLabels:"
                                                        + " {k8s:io.kubernetes.pod.namespace:"
                                                        + " monitorin}}]}]}")))
                .singleElement()
                .asString()
                .endsWith("there is no namespace monitorin: did you mean monitoring?");
    }

    @Test
    void whatTheManifestsDoNotTellIsNotJudged() {
        final String unknownNamespace =
                "{podSelector: {}, egress: [{to: [{namespaceSelector: {matchLabels:"
                        + " {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels:"
                        + " {k8s-app: kube-dns}}}]}]}";
        final String ofNoPods = "{podSelector: {matchLabels: {app: x}}}";

        assertThat(
                        lint(
                                LintCheck.SELECTOR_MATCHES_NOTHING,
                                WORLD + networkPolicy("p", unknownNamespace)))
                .isEmpty();
        assertThat(lint(LintCheck.SELECTOR_MATCHES_NOTHING, networkPolicy("p", ofNoPods)))
                .isEmpty();
        assertThat(lint(LintCheck.NAMESPACE_MISSING, networkPolicy("p", ofNoPods))).isEmpty();
    }

    @Test
    void aPolicyWithoutPodsIsLintedAsIfItSelectedOne() {
        final String spec =
                "{podSelector: {matchLabels: {app: web}}, egress: [{to: [{podSelector:"
                        + " {matchLabels: {app: db}}}], ports: [{port: 5432}]}]}";

        assertThat(lint(LintCheck.EGRESS_WITHOUT_DNS, networkPolicy("p", spec)))
                .singleElement()
                .asString()
                .startsWith("WARNING")
                .contains("any pod with app=web in namespace shop");
    }

    @Test
    void dnsOfAnotherPolicyForTheSamePodsIsEnough() {
        final String narrow =
                "{podSelector: {matchLabels: {app: web}}, egress: [{to: [{podSelector:"
                        + " {matchLabels: {app: db}}}], ports: [{port: 5432}]}]}";
        final String dns =
                "{podSelector: {}, egress: [{ports: [{port: 53, protocol: UDP}, {port: 53}]}]}";

        assertThat(
                        lint(
                                LintCheck.EGRESS_WITHOUT_DNS,
                                networkPolicy("p", narrow) + networkPolicy("dns", dns)))
                .isEmpty();
    }

    @Test
    void podsOfTheOwnNamespaceAreNoNameServers() {
        final String local =
                "{podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}";
        final String anywhere = "{podSelector: {}, egress: [{to: [{namespaceSelector: {}}]}]}";

        assertThat(lint(LintCheck.EGRESS_WITHOUT_DNS, networkPolicy("p", local))).hasSize(1);
        assertThat(lint(LintCheck.EGRESS_WITHOUT_DNS, networkPolicy("p", anywhere))).isEmpty();
    }

    @Test
    void dnsOverUdpAloneIsWorthKnowing() {
        assertThat(
                        lint(
                                LintCheck.EGRESS_WITHOUT_DNS,
                                networkPolicy(
                                        "p",
                                        "{podSelector: {}, egress: [{ports: [{port: 53, protocol:"
                                                + " UDP}, {port: 443}]}]}")))
                .singleElement()
                .asString()
                .startsWith("INFO")
                .contains("over UDP only");
    }

    @Test
    void aCalicoPolicyAtOrder1000StandsBesideKubernetes() {
        final String deny =
                "{order: 1000, selector: \"app == 'backend'\", types: [Ingress], ingress: [{action:"
                        + " Deny, source: {nets: [10.0.0.0/8]}}]}";
        final String allow = "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}";

        assertThat(
                        lint(
                                LintCheck.EQUAL_ORDER,
                                WORLD + calico("g", deny) + networkPolicy("p", allow)))
                .singleElement()
                .asString()
                .contains("order 1000 of tier default: policies of Kubernetes and Cilium stand");
        assertThat(
                        lint(
                                LintCheck.EQUAL_ORDER,
                                WORLD
                                        + calico("g", deny.replace("1000", "999"))
                                        + networkPolicy("p", allow)))
                .isEmpty();
    }

    @Test
    void equalPrioritiesOfAdminPoliciesAreNamed() {
        final String policy =
                """
                apiVersion: policy.networking.k8s.io/v1alpha1
                kind: AdminNetworkPolicy
                metadata: {name: NAME}
                spec:
                  priority: 5
                  subject: {namespaces: {matchLabels: {team: web}}}
                  ingress:
                    - {action: ACTION, from: [{namespaces: {}}]}
                ---
                """;
        final String one = policy.replace("NAME", "a").replace("ACTION", "Deny");
        final String other = policy.replace("NAME", "b");

        assertThat(lint(LintCheck.EQUAL_ORDER, WORLD + one + other.replace("ACTION", "Allow")))
                .singleElement()
                .asString()
                .contains("at priority 5:");
        assertThat(lint(LintCheck.EQUAL_ORDER, WORLD + one + other.replace("ACTION", "Deny")))
                .isEmpty();
    }

    @Test
    void anEarlierDenyOfACalicoPolicyShadowsALaterAllow() {
        final String rules =
                "{selector: \"app == 'backend'\", types: [Ingress], ingress: [{action: Deny,"
                        + " protocol: TCP}, {action: Allow, protocol: PROTOCOL, destination: {ports:"
                        + " [80]}}]}";

        assertThat(
                        lint(
                                LintCheck.DENY_SHADOWS_ALLOW,
                                WORLD + calico("g", rules.replace("PROTOCOL", "TCP"))))
                .hasSize(1);
        assertThat(
                        lint(
                                LintCheck.DENY_SHADOWS_ALLOW,
                                WORLD + calico("g", rules.replace("PROTOCOL", "UDP"))))
                .isEmpty();
    }

    @Test
    void aCalicoTierWithoutAWordForTheNodeLocksItOut() {
        final String probed =
                """
                apiVersion: v1
                kind: Pod
                metadata: {name: api, namespace: shop, labels: {app: api}}
                spec:
                  containers:
                    - {name: api, livenessProbe: {httpGet: {path: /, port: 8080}}}
                status: {podIP: 10.244.0.15}
                ---
                """;
        final String policy =
                "{selector: \"app == 'api'\", types: [Ingress], ingress: [{action: Allow, protocol:"
                        + " TCP, destination: {ports: [PORT]}}]}";

        assertThat(
                        lint(
                                LintCheck.NODE_LOCKED_OUT,
                                WORLD + probed + calico("g", policy.replace("PORT", "443"))))
                .singleElement()
                .asString()
                .startsWith("WARNING GlobalNetworkPolicy g denies ingress of shop/api");
        assertThat(
                        lint(
                                LintCheck.NODE_LOCKED_OUT,
                                WORLD + probed + calico("g", policy.replace("PORT", "8080"))))
                .isEmpty();
        assertThat(
                        lint(
                                LintCheck.NODE_LOCKED_OUT,
                                WORLD + probed + networkPolicy("p", "{podSelector: {}}")))
                .isEmpty();
    }

    @Test
    void aCalicoHostPolicyMustLetTheKubeletBeAsked() {
        final String host =
                """
                apiVersion: projectcalico.org/v3
                kind: HostEndpoint
                metadata: {name: alpha, labels: {role: node}}
                spec: {node: alpha, interfaceName: "*"}
                ---
                """;
        final String policy =
                "{selector: role == 'node', types: [Ingress], ingress: [{action: Allow, protocol:"
                        + " TCP, destination: {ports: [PORT]}}]}";

        assertThat(
                        lint(
                                LintCheck.HOST_POLICY_LOCKS_OUT_NODE,
                                host + calico("g", policy.replace("PORT", "443"))))
                .singleElement()
                .asString()
                .contains("10250");
        assertThat(
                        lint(
                                LintCheck.HOST_POLICY_LOCKS_OUT_NODE,
                                host + calico("g", policy.replace("PORT", "10250"))))
                .isEmpty();
    }

    @Test
    void aCalicoHostPolicyIsOneThatSelectsTheHostEndpoint() {
        final String host =
                """
                apiVersion: projectcalico.org/v3
                kind: Profile
                metadata: {name: one}
                spec: {labelsToApply: {role: node}}
                ---
                apiVersion: projectcalico.org/v3
                kind: HostEndpoint
                metadata: {name: alpha}
                spec: {node: alpha, interfaceName: eth0, profiles: [one]}
                ---
                """;
        final String selecting = "selector: role == 'node', types: [Ingress]";
        assertThat(
                        lint(
                                LintCheck.HOST_POLICY_LOCKS_OUT_NODE,
                                host + calico("g", "{" + selecting + "}")))
                .hasSize(1);
        for (final String other :
                List.of(
                        "{selector: all(), serviceAccountSelector: all(), types: [Ingress]}",
                        "{selector: all(), applyOnForward: true, preDNAT: true}")) {
            assertThat(lint(LintCheck.HOST_POLICY_LOCKS_OUT_NODE, host + calico("g", other)))
                    .as(other)
                    .isEmpty();
        }
    }

    @Test
    void aCidrOfTheWholeWorldIsOnlyWorthKnowing() {
        final String cidr = "{endpointSelector: {}, egress: [{toCIDR: [0.0.0.0/0]}]}";

        assertThat(lint(LintCheck.CIDR_OVER_ENDPOINTS, WORLD + cilium(cidr)))
                .singleElement()
                .asString()
                .startsWith("INFO");
    }

    @Test
    void aStagedPolicyIsNoCauseOfAnything() {
        final String staged =
                """
                apiVersion: projectcalico.org/v3
                kind: StagedKubernetesNetworkPolicy
                metadata: {name: s, namespace: shop}
                spec: {podSelector: {}, policyTypes: [Ingress]}
                """;

        assertThat(lint(LintCheck.FIRST_DEFAULT_DENY, WORLD + staged)).isEmpty();
        assertThat(lint(LintCheck.DEFAULT_DENY_ALONE, WORLD + staged)).isEmpty();
    }

    @Test
    void aWorldWithoutPoliciesHasNothingToWarnOf() {
        final Set<LintCheck> all = EnumSet.allOf(LintCheck.class);

        assertThat(PolicyLint.lint(World.EMPTY, PolicyOptions.DEFAULTS, all)).isEmpty();
        for (final LintCheck check : Arrays.asList(LintCheck.values())) {
            assertThat(lint(check, WORLD)).noneMatch(line -> !line.startsWith("INFO"));
        }
    }
}
