package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class MinimalCaseTest {
    private static final String WORLD =
            """
            {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {a: b}}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
             status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: other, namespace: shop},
             status: {podIP: 10.0.0.2}}
            ---
            {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy,
             metadata: {name: allows, namespace: shop}, spec: {podSelector: {}, ingress: [{}]}}
            ---
            {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy,
             metadata: {name: denies, namespace: shop},
             spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress],
              ingress: [{ports: [{port: 80}, {port: 81}]}, {from: [{podSelector: {}}]}],
              egress: [{ports: [{port: 80}]}]}}
            """;

    @Test
    void onlyWhatTheFailureNeedsIsLeft() {
        final String minimal = MinimalCase.of(WORLD, MinimalCaseTest::dropsWhatTheWebPodSends);

        assertThat(dropsWhatTheWebPodSends(minimal)).isTrue();
        assertThat(minimal.lines().filter("---"::equals)).hasSize(2);
        assertThat(minimal).contains("10.0.0.1", "denies", "egress");
        assertThat(minimal).doesNotContain("fd00::1", "10.0.0.2", "allows", "ingress", "app");
    }

    private static boolean dropsWhatTheWebPodSends(final String manifests) {
        final ReadResult read = ManifestReader.read("test", manifests);
        return read.problems().stream().noneMatch(Problem::isError)
                && !PacketJudge.ofEnforced(World.of(read.objects()))
                        .judge(
                                new Question.Packet(
                                        IpAddress.parse("10.0.0.1").orElseThrow(),
                                        IpAddress.parse("192.0.2.1").orElseThrow(),
                                        IpProtocol.TCP,
                                        443,
                                        49152))
                        .allowed();
    }
}
