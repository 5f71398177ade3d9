package io.sluice.control.policy.replay;

import static io.sluice.control.policy.replay.Traffic.node;
import static io.sluice.control.policy.replay.Traffic.once;
import static io.sluice.control.policy.replay.Traffic.outside;
import static io.sluice.control.policy.replay.Traffic.pod;
import static io.sluice.control.policy.replay.Traffic.replay;
import static io.sluice.control.policy.replay.Traffic.tcp;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.replay.FlowReplay.Answer;
import io.sluice.control.policy.replay.FlowReplay.Change;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class FlowReplayTest {
    private static final String PODS =
            """
            {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
             status: {podIP: 10.0.0.1}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}},
             status: {podIP: 10.0.0.2}}
            ---
            """;

    private static final String DB_FROM_WEB =
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: db, namespace: shop}
            spec:
              podSelector: {matchLabels: {app: db}}
              ingress:
              - from: [{podSelector: {matchLabels: {app: web}}}]
                ports: [{port: 5432}]
            """;

    private static final SeenPeer WEB = pod("shop", "web", "10.0.0.1", "web");
    private static final SeenPeer DB = pod("shop", "db", "10.0.0.2", "db");

    @Test
    void whatPassedAndWouldNotAndTheOtherWayIsAChangeWithItsAuthor() {
        final List<Answer> answers =
                replay(
                        PODS + DB_FROM_WEB,
                        List.of(
                                once(tcp(WEB, DB, 5432), SeenVerdict.FORWARDED),
                                once(tcp(WEB, DB, 9187), SeenVerdict.FORWARDED),
                                once(tcp(WEB, DB, 5432), SeenVerdict.DROPPED),
                                once(tcp(WEB, DB, 9187), SeenVerdict.DROPPED)));

        assertThat(answers)
                .extracting(Answer::change)
                .containsExactly(Change.NONE, Change.NOW_DENIED, Change.NOW_ALLOWED, Change.NONE);
        assertThat(answers.get(1).by().map(Author::toString))
                .contains("end of tier default: isolated by NetworkPolicy shop/db (world.yaml:7)");
    }

    @Test
    void aPodThatIsGoneIsJudgedByTheLabelsThatWereRecorded() {
        final SeenPeer gone = pod("shop", "web-5f7c-x2k4m", "10.0.0.77", "web");
        final SeenPeer other = pod("shop", "job-1", "10.0.0.78", "job");

        assertThat(
                        replay(
                                PODS + DB_FROM_WEB,
                                List.of(
                                        once(tcp(gone, DB, 5432), SeenVerdict.FORWARDED),
                                        once(tcp(other, DB, 5432), SeenVerdict.FORWARDED))))
                .extracting(Answer::change)
                .containsExactly(Change.NONE, Change.NOW_DENIED);
    }

    @Test
    void aPodOfTheWorldHasTheLabelsItHasThere() {
        final SeenPeer renamed = pod("shop", "web", "10.0.0.1", "old-label");

        assertThat(
                        replay(
                                PODS + DB_FROM_WEB,
                                List.of(once(tcp(renamed, DB, 5432), SeenVerdict.FORWARDED))))
                .extracting(Answer::change)
                .containsExactly(Change.NONE);
    }

    @Test
    void aReusedAddressDoesNotMakeOnePodOfTwo() {
        final SeenPeer first = pod("shop", "a-1", "10.0.0.77", "web");
        final SeenPeer second = pod("shop", "b-1", "10.0.0.77", "job");

        assertThat(
                        replay(
                                PODS + DB_FROM_WEB,
                                List.of(
                                        once(tcp(first, DB, 5432), SeenVerdict.FORWARDED),
                                        once(tcp(second, DB, 5432), SeenVerdict.FORWARDED))))
                .extracting(Answer::change)
                .containsExactly(Change.NONE, Change.NOW_DENIED);
    }

    @Test
    void theNodeThatToldIsThePodsOwnNodeAndReachesThem() {
        assertThat(
                        replay(
                                PODS + DB_FROM_WEB,
                                List.of(
                                        once(tcp(node("10.0.0.254"), DB, 9), SeenVerdict.FORWARDED),
                                        once(
                                                tcp(outside("10.9.9.9"), DB, 9),
                                                SeenVerdict.FORWARDED))))
                .extracting(Answer::change)
                .containsExactly(Change.NONE, Change.NOW_DENIED);
    }

    @Test
    void aDestinationIsJudgedByTheNamesItWasReachedBy() {
        final String names =
                PODS
                        + """
                          apiVersion: cilium.io/v2
                          kind: CiliumNetworkPolicy
                          metadata: {name: names, namespace: shop}
                          spec:
                            endpointSelector: {matchLabels: {app: web}}
                            egress:
                            - toFQDNs: [{matchName: api.example.com}]
                              toPorts: [{ports: [{port: '443', protocol: TCP}]}]
                          """;

        assertThat(
                        replay(
                                names,
                                List.of(
                                        once(
                                                Traffic.named(
                                                        WEB,
                                                        outside("192.0.2.1"),
                                                        443,
                                                        "a.example.net",
                                                        "api.example.com"),
                                                SeenVerdict.FORWARDED),
                                        once(
                                                Traffic.named(
                                                        WEB,
                                                        outside("192.0.2.1"),
                                                        443,
                                                        "b.example"),
                                                SeenVerdict.FORWARDED))))
                .extracting(Answer::change)
                .containsExactly(Change.NONE, Change.NOW_DENIED);
    }

    @Test
    void requestsAreJudgedByTheRulesForRequests() {
        final String http =
                PODS
                        + """
                          apiVersion: cilium.io/v2
                          kind: CiliumNetworkPolicy
                          metadata: {name: http, namespace: shop}
                          spec:
                            endpointSelector: {matchLabels: {app: db}}
                            ingress:
                            - toPorts:
                              - ports: [{port: '80', protocol: TCP}]
                                rules: {http: [{method: GET, path: /health}]}
                          """;
        final SeenFlow health =
                Traffic.request(WEB, DB, 80, Map.of("http.method", "GET", "http.path", "/health"));
        final SeenFlow orders =
                Traffic.request(WEB, DB, 80, Map.of("http.method", "GET", "http.path", "/orders"));

        assertThat(
                        replay(
                                http,
                                List.of(
                                        once(tcp(WEB, DB, 80), SeenVerdict.FORWARDED),
                                        once(health, SeenVerdict.FORWARDED),
                                        once(orders, SeenVerdict.FORWARDED),
                                        once(orders, SeenVerdict.DROPPED))))
                .extracting(Answer::change)
                .containsExactly(Change.NONE, Change.NONE, Change.NOW_DENIED, Change.NONE);
    }

    @Test
    void anAuditedPolicyDeniesNothingAndIsToldOf() {
        final String audited =
                PODS
                        + DB_FROM_WEB.replace(
                                "namespace: shop}",
                                "namespace: shop, annotations: {sluice.io/audit: 'true'}}");

        assertThat(
                        replay(
                                audited,
                                List.of(
                                        once(tcp(WEB, DB, 9187), SeenVerdict.FORWARDED),
                                        once(tcp(WEB, DB, 9187), SeenVerdict.AUDIT),
                                        once(tcp(WEB, DB, 5432), SeenVerdict.AUDIT))))
                .extracting(Answer::change)
                .containsExactly(Change.NOW_AUDITED, Change.NONE, Change.NONE);
    }

    @Test
    void trafficBetweenTwoWhoAreNoEndpointsCannotBeJudged() {
        final Answer answer =
                replay(
                                PODS,
                                List.of(
                                        once(
                                                tcp(outside("192.0.2.1"), outside("192.0.2.2"), 80),
                                                SeenVerdict.FORWARDED)))
                        .getFirst();

        assertThat(answer.change()).isEqualTo(Change.UNKNOWN);
        assertThat(answer.reason()).contains("192.0.2.1").contains("is an endpoint");
    }
}
