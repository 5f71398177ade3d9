package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.CalicoPolicy.Action;
import io.sluice.control.policy.CalicoPolicy.Entity;
import io.sluice.control.policy.CalicoPolicy.HostEndpoint;
import io.sluice.control.policy.CalicoPolicy.Http;
import io.sluice.control.policy.CalicoPolicy.HttpPath;
import io.sluice.control.policy.CalicoPolicy.Icmp;
import io.sluice.control.policy.CalicoPolicy.NetworkSet;
import io.sluice.control.policy.CalicoPolicy.PortName;
import io.sluice.control.policy.CalicoPolicy.PortRange;
import io.sluice.control.policy.CalicoPolicy.Profile;
import io.sluice.control.policy.CalicoPolicy.Protocol;
import io.sluice.control.policy.CalicoPolicy.Rule;
import io.sluice.control.policy.CalicoPolicy.ServiceAccounts;
import io.sluice.control.policy.CalicoPolicy.Tier;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

final class CalicoReaderTest {
    private static <T extends KubeObject> T read(final Class<T> kind, final String manifest) {
        final ReadResult read = ManifestReader.read("a.yaml", manifest);
        assertThat(read.problems()).isEmpty();
        assertThat(read.objects()).hasSize(1);
        return kind.cast(read.objects().getFirst());
    }

    private static List<String> problems(final String manifest) {
        final ReadResult read = ManifestReader.read("a.yaml", manifest);
        return read.problems().stream().map(Problem::toString).toList();
    }

    private static String manifest(final String kind, final String name, final String spec) {
        return "{apiVersion: projectcalico.org/v3, kind: %s, metadata: {name: %s}, spec: {%s}}"
                .formatted(kind, name, spec);
    }

    private static Optional<CalicoSelector> selector(final String text) {
        try {
            return Optional.of(CalicoSelector.parse(text));
        } catch (final CalicoSelector.SyntaxException wrong) {
            throw new IllegalArgumentException(text, wrong);
        }
    }

    @Test
    void aPolicyIsReadWithEveryField() {
        final CalicoPolicy policy =
                read(
                        CalicoPolicy.class,
                        """
                        apiVersion: projectcalico.org/v3
                        kind: NetworkPolicy
                        metadata: {name: security.api, namespace: shop}
                        spec:
                          tier: security
                          order: 12.5
                          selector: app == 'api'
                          serviceAccountSelector: role == 'api'
                          performanceHints: [AssumeNeededOnEveryNode]
                          ingress:
                          - action: Allow
                            ipVersion: 4
                            protocol: TCP
                            notProtocol: 17
                            http: {methods: [GET], paths: [{exact: /cart}, {prefix: /item}]}
                            metadata: {annotations: {why: shoppers}}
                            source:
                              nets: [10.0.0.0/8]
                              notNets: [10.1.0.0/16]
                              selector: app == 'web'
                              notSelector: has(old)
                              namespaceSelector: global()
                              serviceAccounts: {names: [web], selector: has(role)}
                            destination: {ports: [80, "443", "8080:8090", http], notPorts: [8081]}
                          - action: Deny
                            protocol: ICMP
                            icmp: {type: 8, code: 0}
                            notICMP: {type: 3}
                        """);
        assertThat(policy.ref())
                .isEqualTo(
                        new ObjectRef("NetworkPolicy.projectcalico.org", "shop", "security.api"));
        assertThat(policy.staging()).isEqualTo(Staging.ENFORCED);
        assertThat(policy.isGlobal()).isFalse();
        assertThat(policy.tier()).isEqualTo("security");
        assertThat(policy.order()).isEqualTo(OptionalDouble.of(12.5));
        assertThat(Optional.of(policy.selector())).isEqualTo(selector("app == 'api'"));
        assertThat(policy.namespaceSelector()).isEmpty();
        assertThat(policy.serviceAccountSelector()).isEqualTo(selector("role == 'api'"));
        assertThat(policy.types()).containsExactly(PolicyDirection.INGRESS);
        assertThat(policy.egress()).isEmpty();
        assertThat(policy.ingress())
                .containsExactly(
                        new Rule(
                                new SourceLocation("a.yaml", 11, 5),
                                Action.ALLOW,
                                OptionalInt.of(4),
                                Optional.of(new Protocol(6, false)),
                                Optional.of(new Protocol(17, false)),
                                Optional.empty(),
                                Optional.empty(),
                                Optional.of(
                                        new Http(
                                                List.of("GET"),
                                                List.of(
                                                        new HttpPath("/cart", false),
                                                        new HttpPath("/item", true)))),
                                new Entity(
                                        List.of(Cidr.parse("10.0.0.0/8").orElseThrow()),
                                        List.of(Cidr.parse("10.1.0.0/16").orElseThrow()),
                                        selector("app == 'web'"),
                                        selector("has(old)"),
                                        selector("global()"),
                                        Optional.of(
                                                new ServiceAccounts(
                                                        List.of("web"), selector("has(role)"))),
                                        List.of(),
                                        List.of(),
                                        Optional.empty(),
                                        List.of()),
                                new Entity(
                                        List.of(),
                                        List.of(),
                                        Optional.empty(),
                                        Optional.empty(),
                                        Optional.empty(),
                                        Optional.empty(),
                                        List.of(
                                                new PortRange(80, 80),
                                                new PortRange(443, 443),
                                                new PortRange(8080, 8090),
                                                new PortName("http")),
                                        List.of(new PortRange(8081, 8081)),
                                        Optional.empty(),
                                        List.of())),
                        new Rule(
                                new SourceLocation("a.yaml", 25, 5),
                                Action.DENY,
                                OptionalInt.empty(),
                                Optional.of(new Protocol(1, false)),
                                Optional.empty(),
                                Optional.of(new Icmp(OptionalInt.of(8), OptionalInt.of(0))),
                                Optional.of(new Icmp(OptionalInt.of(3), OptionalInt.empty())),
                                Optional.empty(),
                                Entity.ANY,
                                Entity.ANY));
    }

    @Test
    void aGlobalPolicyIsReadAlsoInTheFormItIsStoredIn() {
        final String spec = "namespaceSelector: has(shop), egress: [{action: Pass}]";
        final String manifest = manifest("GlobalNetworkPolicy", "x", spec);
        for (final String apiVersion :
                List.of("projectcalico.org/v3", "crd.projectcalico.org/v1")) {
            final CalicoPolicy policy =
                    read(CalicoPolicy.class, manifest.replace("projectcalico.org/v3", apiVersion));
            assertThat(policy.ref()).isEqualTo(new ObjectRef("GlobalNetworkPolicy", "", "x"));
            assertThat(policy.meta().apiVersion()).isEqualTo(apiVersion);
            assertThat(policy.isGlobal()).isTrue();
            assertThat(policy.selector()).isEqualTo(CalicoSelector.ALL);
            assertThat(policy.namespaceSelector()).isEqualTo(selector("has(shop)"));
            assertThat(policy.egress()).extracting(Rule::action).containsExactly(Action.PASS);
        }
    }

    @Test
    void theNetworkPoliciesOfKubernetesAndOfCalicoAreTwoObjects() {
        final String calico = manifest("NetworkPolicy", "x", "");
        final String kubernetes = calico.replace("projectcalico.org/v3", "networking.k8s.io/v1");
        final ReadResult read = ManifestReader.read("a.yaml", calico + "\n---\n" + kubernetes);
        assertThat(read.problems()).isEmpty();
        assertThat(World.of(read.objects()).problems()).isEmpty();
        assertThat(read.objects())
                .extracting(object -> object.ref().kind())
                .containsExactly("NetworkPolicy.projectcalico.org", "NetworkPolicy");
    }

    @Test
    void typesFollowTheRulesWhereTheyAreNotGiven() {
        final String ingress = "ingress: [{action: Allow}]";
        final String egress = "egress: [{action: Allow}]";
        final Map<String, List<PolicyDirection>> cases =
                Map.of(
                        "",
                        List.of(PolicyDirection.INGRESS),
                        ingress,
                        List.of(PolicyDirection.INGRESS),
                        egress,
                        List.of(PolicyDirection.EGRESS),
                        "ingress: [], " + egress,
                        List.of(PolicyDirection.EGRESS),
                        ingress + ", " + egress,
                        List.of(PolicyDirection.INGRESS, PolicyDirection.EGRESS),
                        "types: [Egress], " + ingress,
                        List.of(PolicyDirection.EGRESS));
        cases.forEach(
                (spec, types) ->
                        assertThat(
                                        read(
                                                        CalicoPolicy.class,
                                                        manifest("NetworkPolicy", "x", spec))
                                                .types())
                                .as(spec)
                                .containsExactlyInAnyOrderElementsOf(types));
    }

    @Test
    void stagedPoliciesSayWhatTheyStage() {
        final Map<String, Staging> actions =
                Map.of(
                        "", Staging.SET,
                        "stagedAction: ''", Staging.SET,
                        "stagedAction: Set", Staging.SET,
                        "stagedAction: Delete, tier: default", Staging.DELETE,
                        "stagedAction: Learn", Staging.LEARN,
                        "stagedAction: Ignore", Staging.IGNORE);
        for (final String kind : List.of("StagedNetworkPolicy", "StagedGlobalNetworkPolicy")) {
            actions.forEach(
                    (spec, staging) ->
                            assertThat(
                                            read(CalicoPolicy.class, manifest(kind, "x", spec))
                                                    .staging())
                                    .isEqualTo(staging));
        }
    }

    @Test
    void aStagedKubernetesPolicyIsANetworkPolicy() {
        final NetworkPolicy policy =
                read(
                        NetworkPolicy.class,
                        manifest(
                                "StagedKubernetesNetworkPolicy",
                                "x",
                                "stagedAction: Learn, podSelector: {matchLabels: {app: web}},"
                                        + " egress: [{to: [{podSelector: {}}]}]"));
        assertThat(policy.ref())
                .isEqualTo(new ObjectRef("StagedKubernetesNetworkPolicy", "default", "x"));
        assertThat(policy.staging()).isEqualTo(Staging.LEARN);
        assertThat(policy.podSelector()).hasToString("app=web");
        assertThat(policy.egress()).hasSize(1);

        final NetworkPolicy deleted =
                read(
                        NetworkPolicy.class,
                        manifest(
                                "StagedKubernetesNetworkPolicy",
                                "x",
                                "stagedAction: Delete, podSelector: {}"));
        assertThat(deleted.staging()).isEqualTo(Staging.DELETE);
    }

    @Test
    void egressMayNameItsDestination() {
        final CalicoPolicy policy =
                read(
                        CalicoPolicy.class,
                        manifest(
                                "NetworkPolicy",
                                "x",
                                "egress: [{action: Allow, protocol: TLS, destination: {ports: [443],"
                                        + " domains: [API.example.com., '*.example.com']}}, {action:"
                                        + " Allow, protocol: UDP, destination: {domains:"
                                        + " [a.*.example.com]}}, {action: Allow, destination:"
                                        + " {services: {name: api}}}]"));
        assertThat(policy.egress().get(0).protocol()).contains(new Protocol(6, true));
        assertThat(policy.egress().get(0).destination().domains())
                .containsExactly("api.example.com", "*.example.com");
        assertThat(policy.egress().get(1).destination().domains())
                .containsExactly("a.*.example.com");
        assertThat(policy.egress().get(2).destination().service())
                .hasValueSatisfying(
                        service -> {
                            assertThat(service.namespace()).isEqualTo("default");
                            assertThat(service.name()).isEqualTo("api");
                        });
    }

    @Test
    void aTierHasAnOrderAndADefaultAction() {
        assertThat(read(Tier.class, manifest("Tier", "a", "order: 98, defaultAction: Pass")))
                .satisfies(
                        tier -> {
                            assertThat(tier.order()).isEqualTo(OptionalDouble.of(98));
                            assertThat(tier.defaultAction()).isEqualTo(Tier.DefaultAction.PASS);
                        });
        assertThat(read(Tier.class, manifest("Tier", "a", "")))
                .satisfies(
                        tier -> {
                            assertThat(tier.order()).isEmpty();
                            assertThat(tier.defaultAction()).isEqualTo(Tier.DefaultAction.DENY);
                        });
    }

    @Test
    void aNetworkSetHoldsPrefixesAddressesAndNames() {
        for (final String kind : List.of("NetworkSet", "GlobalNetworkSet")) {
            final NetworkSet set =
                    read(
                            NetworkSet.class,
                            manifest(
                                    kind,
                                    "x",
                                    "nets: [10.0.0.0/8, 192.0.2.1, '2001:db8::1'],"
                                            + " allowedEgressDomains: [Example.com]"));
            assertThat(set.nets())
                    .extracting(Cidr::toString)
                    .containsExactly("10.0.0.0/8", "192.0.2.1/32", "2001:db8::1/128");
            assertThat(set.domains()).containsExactly("example.com");
        }
    }

    @Test
    void aHostEndpointIsReadWithEveryField() {
        final HostEndpoint endpoint =
                read(
                        HostEndpoint.class,
                        manifest(
                                "HostEndpoint",
                                "x",
                                "node: alpha, interfaceName: eth0, expectedIPs: [192.0.2.1],"
                                        + " profiles: [a, b.c], ports: [{name: ssh, port: 22, protocol:"
                                        + " TCP}]"));
        assertThat(endpoint.node()).isEqualTo("alpha");
        assertThat(endpoint.interfaceName()).isEqualTo("eth0");
        assertThat(endpoint.expectedIps())
                .containsExactly(IpAddress.parse("192.0.2.1").orElseThrow());
        assertThat(endpoint.profiles()).containsExactly("a", "b.c");
        assertThat(endpoint.ports()).containsExactly(new Pod.NamedPort("ssh", IpProtocol.TCP, 22));
    }

    @Test
    void aProfileHasRulesAndLabels() {
        final Profile profile =
                read(
                        Profile.class,
                        manifest(
                                "Profile",
                                "x",
                                "ingress: [{action: Allow}], egress: [{action: Deny}],"
                                        + " labelsToApply: {team: sales}"));
        assertThat(profile.ingress()).extracting(Rule::action).containsExactly(Action.ALLOW);
        assertThat(profile.egress()).extracting(Rule::action).containsExactly(Action.DENY);
        assertThat(profile.labelsToApply()).isEqualTo(Map.of("team", "sales"));
    }

    @Test
    void rulesThatOnlyLogAreWarnedAbout() {
        assertThat(
                        problems(
                                manifest(
                                        "NetworkPolicy",
                                        "x",
                                        "tier: audit, types: [Egress], ingress: [{action: Log}],"
                                                + " egress: [{action: Log}]")))
                .singleElement()
                .asString()
                .contains(
                        "spec.egress: warning: every rule is Log, which decides nothing: tier"
                                + " \"audit\" will drop");
    }

    @Test
    void whatAppliesToHostEndpointsOnlyIsWarnedAbout() {
        assertThat(
                        problems(
                                manifest(
                                        "GlobalNetworkPolicy",
                                        "x",
                                        "applyOnForward: true, doNotTrack: true, preDNAT: false")))
                .singleElement()
                .asString()
                .endsWith(
                        "spec.doNotTrack: warning: the policy applies to host endpoints only, not"
                                + " to pods");
    }

    @Test
    void aNameThatContradictsTheTierIsWarnedAbout() {
        assertThat(problems(manifest("NetworkPolicy", "security.x", "tier: security"))).isEmpty();
        assertThat(problems(manifest("NetworkPolicy", "knp.default.x.y", ""))).isEmpty();
        assertThat(problems(manifest("NetworkPolicy", "security.x", "")))
                .containsExactly(
                        "a.yaml:1:74: metadata.name: warning: names a tier \"security\", but only"
                                + " spec.tier counts: \"default\"");
    }

    @Test
    void longListsAreRefused() {
        assertThat(
                        problems(
                                manifest(
                                        "NetworkPolicy",
                                        "x",
                                        "ingress: [{action: Allow, protocol: TCP, destination:"
                                                + " {ports: [1"
                                                + ", 1".repeat(50)
                                                + "]}}]")))
                .singleElement()
                .asString()
                .endsWith("Too many: 51: must have at most 50 items");
        assertThat(
                        problems(
                                manifest(
                                        "NetworkPolicy",
                                        "x",
                                        "selector: \"" + " ".repeat(1025) + "\"")))
                .singleElement()
                .asString()
                .endsWith("must be no more than 1024 characters, has 1025");
    }
}
