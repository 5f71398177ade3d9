package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

final class PolicyEngineTest {
    private static final String TWO_PODS =
            """
            {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: a}},
             spec: {containers: [{ports: [{name: http, containerPort: 8080}]}]},
             status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: b, labels: {app: b}}, status: {podIP: 10.0.0.2}}
            """;

    private static World world(final String... manifests) {
        final ReadResult read = ManifestReader.read("test", String.join("---\n", manifests));
        assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
        return World.of(read.objects());
    }

    private static PolicySet compile(final World world, final IdentityAllocator allocator) {
        return PolicyCompiler.compile(world, allocator, PolicyOptions.DEFAULTS);
    }

    @Test
    void duplicatesAreReportedWithBothPlaces() {
        final World world =
                World.of(
                        List.of(
                                ManifestReader.read("one.yaml", TWO_PODS).objects().get(0),
                                ManifestReader.read("two.yaml", TWO_PODS).objects().get(0),
                                ManifestReader.read(
                                                "three.yaml",
                                                "{apiVersion: v1, kind: Pod, metadata: {name: c},"
                                                        + " status: {podIP: 10.0.0.1}}")
                                        .objects()
                                        .get(0)));
        assertThat(world.problems())
                .extracting(Problem::toString)
                .containsExactly(
                        "two.yaml:1:1: metadata.name: Pod default/a is already defined at"
                                + " one.yaml:1:1",
                        "three.yaml:1:1: status.podIPs: Pod default/c: address 10.0.0.1 already"
                                + " belongs to Pod default/a at one.yaml:1:1: every pod needs an"
                                + " address of its own");
    }

    @Test
    void identityNumbersStayWhenTheWorldChangesAroundThem() {
        final IdentityAllocator allocator = new IdentityAllocator();
        final World before = world(TWO_PODS);
        final int numberOfB =
                compile(before, allocator)
                        .identityOf(ObjectRef.pod("default", "b"))
                        .orElseThrow()
                        .number();
        final World after = before.without(List.of(ObjectRef.pod("default", "a")));
        assertThat(compile(after, allocator).identityOf(ObjectRef.pod("default", "b")))
                .map(Identity::number)
                .contains(numberOfB);
    }

    @Test
    void numbersOfVanishedPeersAreForgottenInTheEnd() {
        final IdentityAllocator allocator = new IdentityAllocator();
        allocator.beginCompile();
        final int first = allocator.number(IdentityAllocator.Range.CLUSTER, "gone", () -> "gone");
        for (int i = 0; i <= IdentityAllocator.COMPILES_REMEMBERED; i++) {
            allocator.beginCompile();
        }
        assertThat(allocator.number(IdentityAllocator.Range.CLUSTER, "gone", () -> "gone"))
                .isNotEqualTo(first);
    }

    @Test
    void podsThatNoPolicyCanTellApartShareIdentityAndMaps() {
        final World world =
                world(
                        TWO_PODS,
                        "{apiVersion: v1, kind: Pod, metadata: {name: b2, labels: {app: b}},"
                                + " status: {podIP: 10.0.0.3}}");
        final PolicySet policies = compile(world, new IdentityAllocator());
        final ObjectRef b = ObjectRef.pod("default", "b");
        final ObjectRef b2 = ObjectRef.pod("default", "b2");
        assertThat(policies.identityOf(b)).isEqualTo(policies.identityOf(b2));
        assertThat(policies.policyMap(b, PolicyDirection.INGRESS).orElseThrow())
                .isSameAs(policies.policyMap(b2, PolicyDirection.INGRESS).orElseThrow());
    }

    @Test
    void aPrefixOfAPolicyTellsTheTwoAddressesOfAPodApart() {
        final World world =
                world(
                        TWO_PODS,
                        """
                        {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p},
                         spec: {podSelector: {matchLabels: {app: b}},
                                ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24}}]}]}}
                        """);
        final PolicySet policies = compile(world, new IdentityAllocator());
        final Identity atIpv4 = policies.identityAt(IpAddress.parse("10.0.0.1").orElseThrow());
        final Identity atIpv6 = policies.identityAt(IpAddress.parse("fd00::1").orElseThrow());
        assertThat(atIpv4.labels()).isEqualTo(atIpv6.labels());
        assertThat(atIpv4.number()).isNotEqualTo(atIpv6.number());
        final PolicyMap ingress =
                policies.policyMap(ObjectRef.pod("default", "b"), PolicyDirection.INGRESS)
                        .orElseThrow();
        assertThat(ingress.isIsolated()).isTrue();
        assertThat(ingress.program(atIpv4.number()).lookup(IpProtocol.TCP, 1, 1).isAllowed())
                .isTrue();
        assertThat(ingress.program(atIpv6.number()).lookup(IpProtocol.TCP, 1, 1).isAllowed())
                .isFalse();
        assertThat(ingress.program(9_999_999).lookup(IpProtocol.TCP, 1, 1).isAllowed()).isFalse();
    }

    @Test
    void aProbeThatMakesNoSenseSaysWhy() {
        final World world = world(TWO_PODS);
        final PolicyEvaluator evaluator =
                new PolicyEvaluator(world, compile(world, new IdentityAllocator()));
        assertThatThrownBy(() -> evaluator.evaluate(Probe.of("a", "default/bb", "TCP", "80")))
                .hasMessage("to: there is no pod default/bb: did you mean default/b?");
        assertThatThrownBy(() -> evaluator.evaluate(Probe.of("1.1.1.1", "1.1.1.2", "TCP", "80")))
                .hasMessageContaining("no policy applies between them");
        assertThatThrownBy(() -> evaluator.evaluate(Probe.of("b", "fd00::1", "TCP", "80")))
                .hasMessageContaining("no addresses of one family");
        assertThatThrownBy(() -> evaluator.evaluate(Probe.of("a", "b", "TCP", "")))
                .hasMessageContaining("TCP needs a port");
        assertThatThrownBy(() -> evaluator.evaluate(Probe.of("a", "b", "TCP", "http")))
                .hasMessageContaining("b has no port named \"http\"");
        assertThatThrownBy(() -> evaluator.evaluate(Probe.of("a", "b", "TPC", "80")))
                .hasMessageContaining("protocol: \"TPC\" is unknown");
    }

    @Test
    void explainNamesTheRulesThatMatchedAndWhyTheOthersDidNot() throws ProbeException {
        final World world =
                world(
                        TWO_PODS,
                        """
                        apiVersion: networking.k8s.io/v1
                        kind: NetworkPolicy
                        metadata: {name: p}
                        spec:
                          podSelector: {matchLabels: {app: a}}
                          ingress:
                          - from: [{podSelector: {matchLabels: {app: c}}}]
                          - from: [{podSelector: {matchLabels: {app: b}}}]
                            ports: [{port: 81}]
                          - ports: [{port: http}]
                        """);
        final PolicyEvaluator evaluator =
                new PolicyEvaluator(world, compile(world, new IdentityAllocator()));
        assertThat(evaluator.explain(Probe.of("b", "a", "TCP", "http")).lines())
                .contains(
                        "default/b -> default/a 8080/TCP: FORWARDED",
                        "egress of default/b: ALLOW, by default: no policy isolates the endpoint",
                        "ingress of default/a: ALLOW, by NetworkPolicy default/p ingress[2] (test:16)",
                        "  tier default:",
                        "    NetworkPolicy default/p (test:7:1):",
                        "      ingress[0] (line 13): no match: label app=c of the rule is not app=b of"
                                + " default/b",
                        "      ingress[1] (line 14): no match: port 8080 is not in 81",
                        "      ingress[2] (line 16): match: allows everyone at http/TCP",
                        "    end of tier: what no rule decided is denied");
    }

    @Test
    void aMatrixHasOneRowPerSource() throws ProbeException {
        final World world =
                world(
                        TWO_PODS,
                        """
                        {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p},
                         spec: {podSelector: {matchLabels: {app: b}}}}
                        """);
        final PolicyEvaluator evaluator =
                new PolicyEvaluator(world, compile(world, new IdentityAllocator()));
        assertThat(ReachabilityMatrix.of(world, evaluator, "TCP", "80").rows())
                .containsExactly("=X", ".=");
        assertThat(ReachabilityMatrix.of(world, evaluator, "TCP", "http").rows())
                .containsExactly("=P", ".=");
    }

    @Test
    void anchorsMergeKeysTabsInJsonAndListsAreRead() {
        final ReadResult read =
                ManifestReader.read(
                        "test",
                        """
                        apiVersion: v1
                        kind: List
                        items:
                        - {apiVersion: v1, kind: Pod, metadata: &m {name: a, labels: {x: y}}}
                        - {apiVersion: v1, kind: Pod, metadata: {<<: *m, name: b}}
                        ---
                        {\t"apiVersion": "v1",
                        \t"kind": "Namespace", "metadata":\t{"name": "n"}}
                        """);
        assertThat(read.problems()).isEmpty();
        assertThat(read.objects())
                .extracting(object -> object.ref() + " " + object.meta().labels())
                .containsExactly("Pod default/a {x=y}", "Pod default/b {x=y}", "Namespace n {}");
        assertThat(read.objects().get(1).meta().manifest())
                .containsEntry("kind", "Pod")
                .containsKey("metadata");
    }

    @Test
    void tooManyLevelsOrAnAnchorInsideItselfAreRefusedWithoutHarm() {
        final String deep = "a: " + "{a: ".repeat(150) + "1" + "}".repeat(150);
        assertThat(ManifestReader.read("deep", deep).problems())
                .extracting(Problem::message)
                .containsExactly("nested deeper than 100 levels");
        assertThat(ManifestReader.read("loop", "a: &a [*a, *a]").problems())
                .extracting(Problem::message)
                .containsExactly("nested deeper than 100 levels");
    }

    @Test
    void aTextOfBracketsIsAProblemAtItsPlaceAndNoOverflow() {
        for (final String open : List.of("[", "{a: ", "- ", "? ")) {
            final List<Problem> problems =
                    ManifestReader.read("deep.yaml", open.repeat(100_000)).problems();
            assertThat(problems)
                    .extracting(Problem::message)
                    .containsExactly("nested deeper than 100 levels");
            assertThat(problems.getFirst().toString())
                    .startsWith("deep.yaml:1:" + (101 * open.length() + 1) + ":");
        }
    }
}
