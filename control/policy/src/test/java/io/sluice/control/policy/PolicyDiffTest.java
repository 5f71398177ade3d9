package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

final class PolicyDiffTest {
    private static final String PODS =
            """
            {apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: web, n: '0'}},
             status: {podIP: 10.1.0.1}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web, n: '1'}},
             status: {podIP: 10.1.0.2}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}},
             status: {podIP: 10.1.0.3}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: tool, namespace: ops, labels: {app: tool}},
             status: {podIP: 10.1.0.4}}
            ---
            """;

    private static String ingress(final String name, final String selector, final String rules) {
        return """
        {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: %s, namespace: shop},
         spec: {podSelector: {%s}, ingress: [%s]}}
        ---
        """
                .formatted(name, selector, rules);
    }

    private static String fromWeb(final String ports) {
        return ingress(
                "db",
                "matchLabels: {app: db}",
                "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [" + ports + "]}");
    }

    private static World world(final String manifests) {
        final ReadResult read = ManifestReader.read("test.yaml", manifests);
        assertThat(read.problems()).filteredOn(Problem::isError).as(manifests).isEmpty();
        return World.of(read.objects());
    }

    private static PolicySet compiled(final World world) {
        return PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS);
    }

    private static List<String> diff(
            final String before, final String after, final PolicyDiff.Authors authors) {
        final World old = world(before);
        final World now = world(after);
        return PolicyDiff.of(old, compiled(old), now, compiled(now), authors).changes().stream()
                .map(
                        change ->
                                change.type()
                                        + " "
                                        + change.sources().text()
                                        + " -> "
                                        + change.destinations().text()
                                        + ": "
                                        + change.before()
                                        + " -> "
                                        + change.after()
                                        + (change.notes().isEmpty() ? "" : " " + change.notes()))
                .toList();
    }

    private static List<String> diff(final String before, final String after) {
        return diff(before, after, PolicyDiff.Authors.IGNORED);
    }

    @Test
    void aPortThatIsReplacedIsAChangeForThoseWhoMayUseIt() {
        assertThat(diff(PODS + fromWeb("{port: 7070}"), PODS + fromWeb("{port: 8000}")))
                .containsExactly(
                        "CHANGED shop/[app=web] (2 pods) -> shop/db: TCP 7070 -> TCP 8000");
    }

    @Test
    void whatOnlyStagedPoliciesChangeIsToldAsThat() {
        final String staged =
                """
                {apiVersion: projectcalico.org/v3, kind: StagedKubernetesNetworkPolicy,
                 metadata: {name: db, namespace: shop},
                 spec: {podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 80}]}]}}
                """;
        assertThat(diff(PODS + fromWeb("{port: 80}"), PODS + fromWeb("{port: 80}") + staged))
                .isNotEmpty()
                .allMatch(change -> change.endsWith("[with the staged policies]"))
                .contains(
                        "ADDED ops/tool and shop/db -> shop/db: No Connections -> TCP 80"
                                + " [with the staged policies]");
        assertThat(diff(PODS + staged, PODS + staged)).isEmpty();
    }

    @Test
    void theSameInOtherWordsIsNoDifference() {
        assertThat(
                        diff(
                                PODS + fromWeb("{port: 80}, {port: 81}"),
                                PODS
                                        + fromWeb("{port: 80, endPort: 81}")
                                        + ingress(
                                                "more",
                                                "matchLabels: {app: db}",
                                                "{from: [{podSelector: {matchLabels: {n: '0'}}}],"
                                                        + " ports: [{port: 81}]}")))
                .isEmpty();
    }

    @Test
    void isolationRemovesTheConnectionsOfPodsNodesAndNetworks() {
        assertThat(diff(PODS, PODS + ingress("deny", "", "")))
                .containsExactly(
                        "REMOVED * (4 pods) -> shop/* (3 pods): All Connections -> No Connections",
                        "REMOVED 0.0.0.0/0 -> shop/* (3 pods): All Connections -> No Connections");
    }

    @Test
    void prefixesOfBothSidesAreTheCommonGround() {
        final String old = "{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80}]}";
        final String now =
                "{from: [{ipBlock: {cidr: 10.64.0.0/10}}, {ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 80}]}";

        assertThat(
                        diff(
                                PODS + ingress("db", "matchLabels: {app: db}", old),
                                PODS + ingress("db", "matchLabels: {app: db}", now)))
                .containsExactly(
                        "REMOVED * (4 pods) -> shop/db: TCP 80 -> No Connections",
                        "REMOVED 10.0.0.0/10 and 10.128.0.0/9 -> shop/db: TCP 80 -> No Connections",
                        "ADDED 192.0.2.0/24 -> shop/db: No Connections -> TCP 80");
    }

    @Test
    void aPodOfOneSideOnlyHasNoConnectionsOnTheOther() {
        final String more =
                """
                {apiVersion: v1, kind: Pod, metadata: {name: new, namespace: ops}, status: {podIP: 10.1.0.9}}
                ---
                """;

        assertThat(diff(PODS + fromWeb("{port: 80}"), PODS + more + fromWeb("{port: 80}")))
                .containsExactly(
                        "ADDED 0.0.0.0/0 -> ops/new: No Connections -> All Connections [destination is only in NEW]",
                        "ADDED node host -> ops/new: No Connections -> All Connections [destination is only in NEW]",
                        "ADDED ops/new -> 0.0.0.0/0: No Connections -> All Connections [source is only in NEW]",
                        "ADDED ops/new -> node host: No Connections -> All Connections [source is only in NEW]",
                        "ADDED ops/new -> ops/tool and shop/[app=web] (2 pods): No Connections -> All Connections [source is only in NEW]",
                        "ADDED ops/tool and shop/* (3 pods) -> ops/new: No Connections -> All Connections [destination is only in NEW]");
    }

    @Test
    void anotherAuthorIsADifferenceOnlyIfThatIsAsked() {
        final String old = PODS + fromWeb("{port: 80}");
        final String now =
                old.replace(
                        "name: db, namespace: shop},\n spec", "name: x, namespace: shop},\n spec");

        assertThat(diff(old, now)).isEmpty();
        assertThat(diff(old, now, PolicyDiff.Authors.COMPARED))
                .contains(
                        "CHANGED shop/[app=web] (2 pods) -> shop/db: TCP 80 -> TCP 80"
                                + " [All Connections except TCP 80 decided by end of tier default:"
                                + " isolated by NetworkPolicy shop/x, before by end of tier"
                                + " default: isolated by NetworkPolicy shop/db, TCP 80 decided by"
                                + " NetworkPolicy shop/x ingress[0], before by NetworkPolicy"
                                + " shop/db ingress[0]]");
    }

    @Test
    void icmpAndProtocolsWithoutPortsAreCompared() {
        final String all = "{from: [{namespaceSelector: {}}]}";
        final String tcp = "{from: [{namespaceSelector: {}}], ports: [{protocol: TCP}]}";

        assertThat(
                        diff(
                                PODS + ingress("db", "matchLabels: {app: db}", tcp),
                                PODS + ingress("db", "matchLabels: {app: db}", all)))
                .containsExactly("CHANGED * (4 pods) -> shop/db: TCP -> All Connections");
    }

    @Test
    void podsOfManyNamespacesAreNamedByWhatTheyHaveInCommon() {
        final StringBuilder pods = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            pods.append(
                    """
                    {apiVersion: v1, kind: Pod, metadata: {name: p%d, namespace: n%d, labels: {app: a%d}},
                     status: {podIP: 10.1.0.%d}}
                    ---
                    """
                            .formatted(i, i % 2, i / 4, i + 1));
        }
        final String policy =
                """
                {apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy, metadata: {name: p},
                 spec: {endpointSelector: {matchLabels: {app: a0}},
                        ingress: [{fromEndpoints: [{}], toPorts: [{ports: [{port: '%s'}]}]}]}}
                """;

        assertThat(diff(pods + policy.formatted("80"), pods + policy.formatted("81")))
                .containsExactly(
                        "CHANGED * (8 pods) -> {n0,n1}/[app=a0] (4 pods): TCP 80,UDP 80,SCTP 80 ->"
                                + " TCP 81,UDP 81,SCTP 81");
    }

    private static String http(final String rules) {
        return """
        {apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: p, namespace: shop},
         spec: {endpointSelector: {matchLabels: {app: db}},
                ingress: [{fromEndpoints: [{}], toPorts: [{ports: [{port: '80', protocol: TCP}]%s}]}]}}
        """
                .formatted(rules.isEmpty() ? "" : ", rules: {http: [" + rules + "]}");
    }

    @Test
    void otherRequestRulesAtTheSamePortAreAChangeWithANote() {
        final String db = "CHANGED shop/* (3 pods) -> shop/db: TCP 80 -> TCP 80 ";

        assertThat(diff(PODS + http("{path: /a}"), PODS + http("{path: /b}")))
                .containsExactly(db + "[TCP 80 with other HTTP rules]");
        assertThat(diff(PODS + http(""), PODS + http("{path: /b}")))
                .containsExactly(db + "[TCP 80 with HTTP rules, before with no L7 rules]");
        assertThat(
                        diff(
                                PODS + http("{path: /a}, {path: /b}"),
                                PODS + http("{path: /b}, {path: /a}")))
                .isEmpty();
        // A rule that lets every request pass restricts nothing.
        assertThat(diff(PODS + http(""), PODS + http("{}"))).isEmpty();
    }

    @Test
    void sourcePortsTellConnectionsApart() {
        final String policy =
                """
                {apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: p, namespace: shop},
                 spec: {selector: app == 'db',
                        ingress: [{action: Allow, protocol: UDP, source: {ports: [%s]},
                                   destination: {ports: [53, 80]}}]}}
                """;

        assertThat(diff(PODS + policy.formatted("53"), PODS + policy.formatted("'1024:65535'")))
                .contains(
                        "CHANGED * (4 pods) -> shop/db: UDP 53,80 (source port 53) -> UDP 53,80"
                                + " (source port 1024-65535)");
    }

    @Test
    void namesThatAddressesAreLearnedFromAreEndsToo() {
        final String policy =
                """
                {apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: p, namespace: ops},
                 spec: {endpointSelector: {},
                        egress: [{toFQDNs: [%s], toPorts: [{ports: [{port: '443', protocol: TCP}]}]}]}}
                """;
        final String one = policy.formatted("{matchPattern: '*.x.io'}");
        final String two = policy.formatted("{matchPattern: '**.x.io'}, {matchName: a.org}");

        assertThat(diff(PODS + one, PODS + two))
                .containsExactly(
                        "ADDED ops/tool -> name **.x.io and a.org: No Connections -> TCP 443");
        assertThat(diff(PODS + two, PODS + two)).isEmpty();
        assertThat(diff(PODS, PODS + one))
                .containsExactly(
                        "REMOVED ops/tool -> 0.0.0.0/0: All Connections -> No Connections",
                        "CHANGED ops/tool -> name *.x.io: All Connections -> TCP 443",
                        "REMOVED ops/tool -> node host: All Connections -> No Connections",
                        "REMOVED ops/tool -> shop/* (3 pods): All Connections -> No Connections");
    }

    @Test
    void theFamilyIsToldOnlyWhereItMatters() {
        final String pods =
                """
                {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, labels: {app: a}},
                 status: {podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]}}
                ---
                {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop, labels: {app: b}},
                 status: {podIPs: [{ip: 10.1.0.2}, {ip: 'fd00::2'}]}}
                ---
                """;
        final String all = pods + ingress("b", "matchLabels: {app: b}", "{}");
        final String ipv4 =
                pods
                        + ingress(
                                "b",
                                "matchLabels: {app: b}",
                                "{from: [{ipBlock: {cidr: 10.1.0.0/24}}]}");
        final String none = pods + ingress("b", "matchLabels: {app: b}", "");

        assertThat(diff(all, none))
                .contains("REMOVED shop/* (2 pods) -> shop/b: All Connections -> No Connections");
        assertThat(diff(all, ipv4))
                .contains(
                        "REMOVED shop/* (2 pods) -> shop/b: All Connections -> No Connections [over IPv6]")
                .noneMatch(line -> line.contains("over IPv4"));
    }
}
