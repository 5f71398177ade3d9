package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.AdminPolicy.Action;
import io.sluice.control.policy.AdminPolicy.DomainNames;
import io.sluice.control.policy.AdminPolicy.Level;
import io.sluice.control.policy.AdminPolicy.Namespaces;
import io.sluice.control.policy.AdminPolicy.Networks;
import io.sluice.control.policy.AdminPolicy.Nodes;
import io.sluice.control.policy.AdminPolicy.Pods;
import io.sluice.control.policy.AdminPolicy.PortName;
import io.sluice.control.policy.AdminPolicy.PortRange;
import io.sluice.control.policy.AdminPolicy.Rule;
import io.sluice.control.policy.AdminPolicy.Subject;
import io.sluice.control.policy.AdminPolicy.UnknownPeer;
import io.sluice.control.policy.LabelSelector.Operator;
import io.sluice.control.policy.LabelSelector.Requirement;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What becomes of the three kinds; what is refused is in {@code reject/}. */
final class AdminPolicyReaderTest {
    private static final LabelSelector SHOP =
            new LabelSelector(List.of(new Requirement("team", Operator.IN, Set.of("shop"))));

    private static AdminPolicy read(final String manifest) {
        final ReadResult read = ManifestReader.read("p.yaml", manifest);
        assertThat(read.problems()).isEmpty();
        assertThat(read.objects()).hasSize(1);
        return (AdminPolicy) read.objects().get(0);
    }

    @Test
    void anAdminNetworkPolicyIsOfTheAdminLevelAndItsPortsAreByNumberNameAndRange() {
        final AdminPolicy policy =
                read(
                        """
                        apiVersion: policy.networking.k8s.io/v1alpha1
                        kind: AdminNetworkPolicy
                        metadata: {name: a}
                        spec:
                          priority: 7
                          subject: {namespaces: {matchLabels: {team: shop}}}
                          ingress:
                          - name: first
                            action: Pass
                            from:
                            - namespaces: {}
                            - pods:
                                namespaceSelector: {}
                                podSelector: {matchLabels: {team: shop}}
                            ports:
                            - portNumber: {port: 80}
                            - portNumber: {protocol: UDP, port: 53}
                            - portRange: {protocol: SCTP, start: 1, end: 65535}
                            - namedPort: web
                          egress:
                          - action: Allow
                            to:
                            - networks: [10.0.0.0/8, 'fd00::/8']
                            - nodes: {matchLabels: {team: shop}}
                            - domainNames: [Example.com., '*.example.com']
                          - {action: Deny, to: [{networks: [0.0.0.0/0]}]}
                        """);
        assertThat(policy.ref()).isEqualTo(new ObjectRef("AdminNetworkPolicy", "", "a"));
        assertThat(policy.level()).isEqualTo(Level.ADMIN);
        assertThat(policy.priority()).isEqualTo(7);
        assertThat(policy.subject()).isEqualTo(new Subject(SHOP, Optional.empty()));
        assertThat(policy.ingress())
                .containsExactly(
                        new Rule(
                                new SourceLocation("p.yaml", 8, 5),
                                "first",
                                Action.PASS,
                                List.of(
                                        new Namespaces(LabelSelector.EVERYTHING),
                                        new Pods(LabelSelector.EVERYTHING, SHOP)),
                                List.of(
                                        new PortRange(IpProtocol.TCP, 80, 80),
                                        new PortRange(IpProtocol.UDP, 53, 53),
                                        new PortRange(IpProtocol.SCTP, 1, 65535),
                                        new PortName("web"))));
        assertThat(policy.egress())
                .containsExactly(
                        new Rule(
                                new SourceLocation("p.yaml", 21, 5),
                                "",
                                Action.ACCEPT,
                                List.of(
                                        new Networks(
                                                List.of(
                                                        Cidr.parse("10.0.0.0/8").orElseThrow(),
                                                        Cidr.parse("fd00::/8").orElseThrow())),
                                        new Nodes(SHOP),
                                        new DomainNames(List.of("example.com", "*.example.com"))),
                                List.of()),
                        new Rule(
                                new SourceLocation("p.yaml", 26, 5),
                                "",
                                Action.DENY,
                                List.of(new Networks(List.of(Cidr.ALL_IPV4))),
                                List.of()));
    }

    @Test
    void theBaselineSingletonIsOfTheBaselineLevelAndHasNoPriority() {
        final AdminPolicy policy =
                read(
                        """
                        apiVersion: policy.networking.k8s.io/v1alpha1
                        kind: BaselineAdminNetworkPolicy
                        metadata: {name: default}
                        spec:
                          subject:
                            pods: {namespaceSelector: {}, podSelector: {matchLabels: {team: shop}}}
                          ingress: [{action: Deny, from: [{namespaces: {}}]}]
                        """);
        assertThat(policy.level()).isEqualTo(Level.BASELINE);
        assertThat(policy.priority()).isZero();
        assertThat(policy.subject())
                .isEqualTo(new Subject(LabelSelector.EVERYTHING, Optional.of(SHOP)));
        assertThat(policy.rules(PolicyDirection.INGRESS))
                .extracting(Rule::action)
                .containsExactly(Action.DENY);
        assertThat(policy.rules(PolicyDirection.EGRESS)).isEmpty();
    }

    @Test
    void aClusterNetworkPolicyOfTheBetaIsReadAsThatOfTheAlphaButForBitsBeyondAPrefix() {
        final String text =
                """
                apiVersion: policy.networking.k8s.io/%s
                kind: ClusterNetworkPolicy
                metadata: {name: a}
                spec:
                  tier: Admin
                  priority: 3
                  subject: {pods: {podSelector: {}}}
                  egress:
                  - action: Accept
                    to: [{networks: [%s]}]
                    protocols: [{tcp: {destinationPort: {number: 443}}}]
                """;
        final AdminPolicy alpha = read(text.formatted("v1alpha2", "10.0.0.0/8"));
        final AdminPolicy beta = read(text.formatted("v1beta1", "10.0.0.0/8"));
        assertThat(beta.level()).isEqualTo(alpha.level());
        assertThat(beta.priority()).isEqualTo(alpha.priority());
        assertThat(beta.subject()).isEqualTo(alpha.subject());
        assertThat(beta.egress().getFirst().peers()).isEqualTo(alpha.egress().getFirst().peers());
        assertThat(beta.egress().getFirst().ports()).isEqualTo(alpha.egress().getFirst().ports());
        assertThat(ManifestReader.read("p", text.formatted("v1beta1", "10.1.0.0/8")).problems())
                .singleElement()
                .asString()
                .endsWith(
                        "Invalid value: \"10.1.0.0/8\": Invalid CIDR format provided: it has bits"
                                + " beyond its prefix");
        assertThat(ManifestReader.read("p", text.formatted("v1", "10.0.0.0/8")).problems())
                .singleElement()
                .asString()
                .contains("policy.networking.k8s.io/v1alpha2 or policy.networking.k8s.io/v1beta1");
    }

    @Test
    void aClusterNetworkPolicyNamesItsTierAndItsPortsByProtocol() {
        final AdminPolicy policy =
                read(
                        """
                        apiVersion: policy.networking.k8s.io/v1alpha2
                        kind: ClusterNetworkPolicy
                        metadata: {name: a}
                        spec:
                          tier: Baseline
                          priority: 1000
                          subject: {pods: {podSelector: {matchLabels: {team: shop}}}}
                          egress:
                          - action: Accept
                            to: [{namespaces: {}}]
                            protocols:
                            - tcp: {destinationPort: {number: 443}}
                            - udp: {destinationPort: {range: {start: 5000, end: 5001}}}
                            - sctp: {destinationPort: {number: 1}}
                            - destinationNamedPort: web
                        status: {conditions: []}
                        """);
        assertThat(policy.level()).isEqualTo(Level.BASELINE);
        assertThat(policy.priority()).isEqualTo(1000);
        assertThat(policy.subject())
                .isEqualTo(new Subject(LabelSelector.EVERYTHING, Optional.of(SHOP)));
        assertThat(policy.egress()).hasSize(1);
        assertThat(policy.egress().get(0).action()).isEqualTo(Action.ACCEPT);
        assertThat(policy.egress().get(0).ports())
                .containsExactly(
                        new PortRange(IpProtocol.TCP, 443, 443),
                        new PortRange(IpProtocol.UDP, 5000, 5001),
                        new PortRange(IpProtocol.SCTP, 1, 1),
                        new PortName("web"));
    }

    @ParameterizedTest
    @CsvSource({
        "Accept, ACCEPT, it matches nothing",
        "Deny, DENY, this Deny rule matches everyone",
        "Pass, DENY, this Pass rule denies everyone",
    })
    void aPeerOfANewerVersionIsReadFailsClosedAndIsWarnedAbout(
            final String written, final Action effective, final String effect) {
        final ReadResult read =
                ManifestReader.read(
                        "p.yaml",
                        """
                        apiVersion: policy.networking.k8s.io/v1alpha2
                        kind: ClusterNetworkPolicy
                        metadata: {name: a}
                        spec:
                          tier: Admin
                          priority: 0
                          subject: {namespaces: {}}
                          ingress:
                          - {action: %s, from: [{namspaces: {matchLabels: {team: shop}}}]}
                        """
                                .formatted(written));
        assertThat(read.problems())
                .extracting(Problem::toString)
                .containsExactly(
                        "p.yaml:9:"
                                + (35 + written.length())
                                + ": spec.ingress[0].from[0].namspaces: warning: unknown peer"
                                + " \"namspaces\": did you mean \"namespaces\"?: "
                                + effect
                                + ": accepted: namespaces, pods");
        final Rule rule = ((AdminPolicy) read.objects().get(0)).ingress().get(0);
        assertThat(rule.peers()).containsExactly(new UnknownPeer());
        assertThat(rule.action()).isEqualTo(effective);
    }
}
