package io.sluice.control.agent;

import static io.sluice.control.agent.EndpointState.DISCONNECTED;
import static io.sluice.control.agent.EndpointState.FAILED;
import static io.sluice.control.agent.EndpointState.READY;
import static io.sluice.control.agent.EndpointState.WAITING_FOR_NAMESPACE;
import static io.sluice.control.agent.Manifests.denyAll;
import static io.sluice.control.agent.Manifests.pod;
import static io.sluice.control.agent.Manifests.podAt;
import static io.sluice.control.agent.MemoryPorts.UPLINK;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.TrafficDirection;
import io.sluice.dataplane.port.Port;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReconcilerTest {
    private static final String A = "10.244.0.2";
    private static final String B = "10.244.0.3";

    @TempDir private Path folder;
    private SwitchInOneThread sluice;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
    }

    @AfterEach
    void stop() throws Exception {
        sluice.close();
    }

    @Test
    void aPodReachesAPodThatNoPolicySelects() {
        sluice.folder(pod("a"), pod("b"));

        sluice.send("a", A, B, 80);

        assertThat(sluice.received("b")).isTrue();
        assertThat(sluice.view("b").port().orElseThrow().framesSent()).isEqualTo(1);
        assertThat(sluice.view("a").port().orElseThrow().framesReceived()).isEqualTo(1);
    }

    @Test
    void noPortIsOpenedBeforeAPolicyThatKnowsItIsLive() {
        sluice.folder(pod("a"));

        assertThat(sluice.journal)
                .containsExactly(
                        "make uplink",
                        "publish 0",
                        "publish 1",
                        "make a",
                        "route 10.244.0.2",
                        "route fd00:10:244::2",
                        "open a",
                        "open uplink");
    }

    @Test
    void aPolicyThatClosesSomethingIsLiveBeforeTheDevicesOfTheSameSaveAreMade() {
        sluice.folder(pod("a"));
        sluice.journal.clear();

        sluice.folder(pod("a"), pod("b"), pod("c"), denyAll("p"));

        assertThat(sluice.journal).containsSubsequence("publish 2", "make b", "make c");
    }

    @Test
    void aPolicyThatIsNotPublishedIsTheRequestsFailureAndIsTriedAgain() {
        sluice.folder(pod("a"));
        sluice.unanswered = "publish 2";

        assertThatThrownBy(() -> sluice.folder(pod("a"), pod("b"), denyAll("p")))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> assertThat(e.reason()).isEqualTo(RequestException.Reason.UNAVAILABLE))
                .hasMessageContaining("policy revision 1 stays in force");

        assertThat(sluice.ports.hasDevice("b")).isFalse();
        assertThat(sluice.reconciler.snapshot().problems())
                .anyMatch(problem -> problem.startsWith("policy revision 1 stays in force"));
        for (int second = 0; second < 10; second++) {
            sluice.reconciler.tick();
        }
        assertThat(sluice.state("b")).isEqualTo(READY);
        assertThat(sluice.reconciler.snapshot().problems()).isEmpty();
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isFalse();
    }

    @Test
    void aPublicationWithoutAnAnswerIsReplacedAlsoWhenTheChangeIsTakenBack() {
        sluice.folder(pod("a"));
        sluice.unanswered = "publish 2";
        assertThatThrownBy(() -> sluice.folder(pod("a"), denyAll("p")))
                .isInstanceOf(RequestException.class);

        sluice.folder(pod("a"));

        assertThat(sluice.journal).endsWith("publish 3");
    }

    @Test
    void aPortThatIsNotOpenedIsNoFailureOfThePolicyAndIsTriedAgain() {
        sluice.unanswered = "open a";
        sluice.folder(pod("a"), pod("b"));

        assertThat(sluice.publisher.live().revision()).isEqualTo(1);
        assertThat(sluice.reconciler.snapshot().problems())
                .anyMatch(problem -> problem.startsWith("ports could not be opened"));
        sluice.unanswered = "";
        sluice.reconciler.tick();

        assertThat(sluice.state("a")).isEqualTo(READY);
        assertThat(sluice.state("b")).isEqualTo(READY);
        assertThat(sluice.reconciler.snapshot().problems()).isEmpty();
    }

    @Test
    void lateNewsOfAPortThatWasReplacedDoNotHitItsSuccessor() {
        sluice.folder(pod("a"), pod("b"));
        final Port gone = sluice.view("b").port().orElseThrow();
        final int id = sluice.view("b").id();
        sluice.ports.replaceNamespace("b");
        sluice.reconciler.tick();

        sluice.reconciler.portGone(gone, id);
        sluice.reconciler.letGo();

        assertThat(sluice.state("b")).isEqualTo(READY);
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();
    }

    @Test
    void nothingIsMadeAfterTheStop() {
        sluice.folder(pod("a"));
        sluice.reconciler.removeAll();
        sluice.journal.clear();

        sluice.reconciler.tick();
        assertThatThrownBy(() -> sluice.folder(pod("a"), pod("b")))
                .isInstanceOf(RequestException.class)
                .hasMessage("the daemon is stopping");

        assertThat(sluice.journal).isEmpty();
    }

    @Test
    void theLaneLetsGoOfAPortBeforeItsDeviceIsRemoved() {
        sluice.folder(pod("a"), pod("b"));
        sluice.journal.clear();

        sluice.folder(pod("b"));

        assertThat(sluice.journal)
                .containsExactly(
                        "close 1",
                        "remove a",
                        "unroute 10.244.0.2",
                        "unroute fd00:10:244::2",
                        "publish 1",
                        "publish 2");
        assertThat(sluice.ports.hasDevice("a")).isFalse();
    }

    @Test
    void aNewPolicyCutsAnOpenFlowAndItsRemovalOpensItAgain() {
        sluice.folder(pod("a"), pod("b"));
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();

        sluice.folder(pod("a"), pod("b"), denyAll("p"));
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isFalse();
        assertThat(
                        sluice.counters.droppedPackets(
                                DropReason.POLICY_DENIED, TrafficDirection.INGRESS))
                .isEqualTo(1);

        sluice.folder(pod("a"), pod("b"));
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();
    }

    @Test
    void aDroppedPacketBecomesAFlowWithNamesAndTheRuleThatDecided() throws Exception {
        sluice.folder(pod("a"), pod("b"), denyAll("closed"));
        sluice.send("a", A, B, 8080);

        try (FlowCursor cursor = sluice.flows.follow(Flows.latest(flow -> true, 10))) {
            final Flow flow = cursor.next(Duration.ofSeconds(30)).getFirst();

            assertThat(flow.kind()).isEqualTo(Flow.Kind.DROP);
            assertThat(flow.verdict()).isEqualTo(Flow.Verdict.DROPPED);
            assertThat(flow.dropReasonName()).isEqualTo("POLICY_DENIED");
            assertThat(flow.direction()).isEqualTo(Flow.Direction.INGRESS);
            assertThat(flow.source().namespace()).isEqualTo("shop");
            assertThat(flow.source().podName()).isEqualTo("a");
            assertThat(flow.source().labels()).contains("k8s:app=a");
            assertThat(flow.source().address()).isEqualTo(A);
            assertThat(flow.source().port()).isEqualTo(40000);
            assertThat(flow.destination().podName()).isEqualTo("b");
            assertThat(flow.destination().port()).isEqualTo(8080);
            assertThat(flow.destination().endpointId()).isEqualTo(sluice.view("b").id());
            assertThat(flow.protocol()).isEqualTo(17);
            assertThat(flow.ipVersion()).isEqualTo(4);
            assertThat(flow.lengthBytes()).isEqualTo(32);
            assertThat(flow.policyRevision()).isEqualTo(1);
            assertThat(flow.ingressBy())
                    .singleElement()
                    .satisfies(
                            author -> {
                                assertThat(author.kind()).isEqualTo("NetworkPolicy");
                                assertThat(author.name()).isEqualTo("closed");
                                assertThat(author.file()).isEqualTo("test.yaml");
                            });
        }
    }

    @Test
    void anAllowedFlowIsReportedOnceWithItsVerdict() throws Exception {
        sluice.folder(pod("a"), pod("b"));
        sluice.send("a", A, B, 80);
        sluice.send("a", A, B, 80);
        sluice.recorder.close();

        assertThat(Flows.last(sluice.flows, flow -> true, 10))
                .singleElement()
                .satisfies(
                        flow -> {
                            assertThat(flow.kind()).isEqualTo(Flow.Kind.POLICY_VERDICT);
                            assertThat(flow.verdict()).isEqualTo(Flow.Verdict.FORWARDED);
                            assertThat(flow.egressBy()).hasSize(1);
                            assertThat(flow.ingressBy()).hasSize(1);
                        });
    }

    @Test
    void whatPassesUnderAuditIsToldWithWhoWouldHaveDeniedIt() throws Exception {
        sluice.folder(
                pod("a"),
                pod("b"),
                denyAll("closed")
                        .replace(
                                "namespace: shop",
                                "namespace: shop, annotations: {sluice.io/audit: 'true'}"));
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();
        sluice.folder(pod("a"), pod("b"), denyAll("closed"));
        sluice.send("a", A, B, 81);
        sluice.recorder.close();

        final List<Flow> flows = Flows.last(sluice.flows, flow -> true, 10);
        assertThat(flows)
                .extracting(Flow::verdict)
                .containsExactly(Flow.Verdict.AUDIT, Flow.Verdict.DROPPED);
        assertThat(flows.getFirst().kind()).isEqualTo(Flow.Kind.POLICY_VERDICT);
        assertThat(flows.getFirst().direction()).isEqualTo(Flow.Direction.INGRESS);
        assertThat(flows.getFirst().ingressBy())
                .singleElement()
                .satisfies(author -> assertThat(author.name()).isEqualTo("closed"));
    }

    @Test
    void anEndpointWaitsForItsNamespaceAndOpensWithoutANewRevision() {
        sluice.ports.removeNamespace("b");
        sluice.folder(pod("a"), pod("b"));

        assertThat(sluice.state("b")).isEqualTo(WAITING_FOR_NAMESPACE);
        assertThat(sluice.reconciler.snapshot().problems())
                .contains("endpoint shop/b: no namespace b");
        sluice.send("a", A, B, 80);
        assertThat(
                        sluice.counters.droppedPackets(
                                DropReason.EP_NOT_READY, TrafficDirection.INGRESS))
                .isEqualTo(1);

        sluice.ports.addNamespace("b");
        sluice.reconciler.tick();

        assertThat(sluice.state("b")).isEqualTo(READY);
        assertThat(sluice.publisher.live().revision()).isEqualTo(1);
        assertThat(sluice.reconciler.snapshot().problems()).isEmpty();
        sluice.send("a", A, B, 81);
        assertThat(sluice.received("b")).isTrue();
    }

    @Test
    void anEndpointWhoseNamespaceGoesIsDisconnectedAndComesBackWithIt() {
        sluice.folder(pod("a"), pod("b"));
        sluice.ports.removeNamespace("b");
        sluice.ports.port("b").removeDevice();
        sluice.turn();
        sluice.reconciler.letGo();

        assertThat(sluice.state("b")).isEqualTo(DISCONNECTED);
        assertThat(sluice.ports.hasDevice("b")).isFalse();
        sluice.reconciler.tick();
        assertThat(sluice.state("b")).isEqualTo(DISCONNECTED);

        sluice.ports.addNamespace("b");
        sluice.reconciler.tick();

        assertThat(sluice.state("b")).isEqualTo(READY);
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();
    }

    @Test
    void anEndpointFollowsItsNamespaceWhenAnotherTakesTheName() {
        sluice.folder(pod("a"));
        sluice.journal.clear();
        sluice.ports.replaceNamespace("a");

        sluice.reconciler.tick();

        assertThat(sluice.journal).containsSubsequence("close 1", "remove a", "make a", "open a");
        assertThat(sluice.state("a")).isEqualTo(READY);
    }

    @Test
    void anEndpointThatIsRefusedFailsAloneAndIsTriedAgain() {
        sluice.ports.refuse("a", "eth0 is taken");
        sluice.folder(pod("a"), pod("b"));

        assertThat(sluice.state("a")).isEqualTo(FAILED);
        assertThat(sluice.state("b")).isEqualTo(READY);
        assertThat(sluice.reconciler.snapshot().problems())
                .containsExactly("endpoint shop/a: eth0 is taken");

        sluice.ports.refuse("a", "");
        for (int second = 0; second < 10; second++) {
            sluice.reconciler.tick();
        }
        assertThat(sluice.state("a")).isEqualTo(READY);
    }

    @Test
    void ofTwoPodsWithOneAddressOnlyOneIsReachableAndTheOtherIsAProblem() {
        sluice.folder(podAt("a", "10.0.0.8"), podAt("b", "10.0.0.9"), podAt("c", "10.0.0.9"));

        sluice.send("a", "10.0.0.8", "10.0.0.9", 80);

        assertThat(sluice.received("b")).isTrue();
        assertThat(sluice.ports.hasDevice("c")).isFalse();
        assertThat(sluice.reconciler.snapshot().problems())
                .containsExactly("endpoint shop/c: address 10.0.0.9 belongs to Pod shop/b");
    }

    @Test
    void thePoolsUnusedAddressesDoNotLeaveByTheUplink() {
        sluice.folder(pod("a"));

        sluice.send("a", A, "10.244.0.77", 80);
        assertThat(sluice.received(UPLINK)).isFalse();
        assertThat(
                        sluice.counters.droppedPackets(
                                DropReason.STALE_OR_UNROUTABLE_IP, TrafficDirection.EGRESS))
                .isEqualTo(1);

        sluice.send("a", A, "8.8.8.8", 53);
        assertThat(sluice.received(UPLINK)).isTrue();
    }

    @Test
    void theNodeReachesAPodThatIsIsolatedAndTheWorldDoesNot() {
        sluice.folder(pod("a"), denyAll("p"));

        sluice.send(UPLINK, "10.244.0.1", A, 80);
        assertThat(sluice.received("a")).isTrue();

        sluice.send(UPLINK, "8.8.8.8", A, 80);
        assertThat(sluice.received("a")).isFalse();
    }

    @Test
    void aPodCannotSendFromAnothersAddress() {
        sluice.folder(pod("a"), pod("b"), pod("c"));

        sluice.send("a", B, "10.244.0.4", 80);

        assertThat(sluice.received("c")).isFalse();
        assertThat(
                        sluice.counters.droppedPackets(
                                DropReason.INVALID_SOURCE_IP, TrafficDirection.EGRESS))
                .isEqualTo(1);
    }

    @Test
    void anUplinkThatIsDeletedIsMadeAgainWithItsRoutes() {
        sluice.folder(pod("a"));
        sluice.ports.port(UPLINK).removeDevice();
        sluice.turn();
        sluice.reconciler.letGo();
        assertThat(sluice.reconciler.snapshot().problems())
                .containsExactly("uplink: device sluice0 is gone");
        sluice.journal.clear();

        sluice.reconciler.tick();

        assertThat(sluice.journal)
                .containsExactly(
                        "make uplink", "open uplink", "route 10.244.0.2", "route fd00:10:244::2");
        assertThat(sluice.reconciler.snapshot().problems()).isEmpty();
    }

    @Test
    void theAddressOfAWaitingEndpointIsNotGivenAway() {
        sluice.ports.removeNamespace("a");
        sluice.folder(pod("a"), pod("b"));

        assertThat(sluice.view("a").spec().addresses()).hasToString("[10.244.0.2, fd00:10:244::2]");
        assertThat(sluice.view("b").spec().addresses()).hasToString("[10.244.0.3, fd00:10:244::3]");
    }

    @Test
    void aStopTakesEveryPortFromTheLaneAndEveryDeviceAway() {
        sluice.folder(pod("a"), pod("b"));
        sluice.journal.clear();

        sluice.reconciler.removeAll();

        assertThat(sluice.journal)
                .containsExactly(
                        "close 1", "remove a", "close 2", "remove b", "close 0", "remove uplink");
        assertThat(sluice.reconciler.snapshot().endpoints()).isEmpty();
    }

    @Test
    void everyPacketInIsForwardedAnsweredOrDropped() {
        sluice.folder(pod("a"), pod("b"), denyAll("p"));
        for (final String destination : List.of(B, "10.244.0.1", "10.244.0.99", "8.8.8.8", A)) {
            sluice.send("a", A, destination, 80);
            sluice.send("b", A, destination, 80);
        }

        assertThat(sluice.counters.packetsIn()).isEqualTo(10);
        assertThat(
                        sluice.counters.forwardedPackets()
                                + sluice.counters.answeredPackets()
                                + sluice.counters.droppedPackets())
                .isEqualTo(10);
    }
}
