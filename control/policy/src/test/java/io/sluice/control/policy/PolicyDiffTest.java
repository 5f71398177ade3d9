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
}
