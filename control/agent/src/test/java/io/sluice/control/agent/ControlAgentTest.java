package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.denyAll;
import static io.sluice.control.agent.Manifests.pod;
import static io.sluice.control.agent.Manifests.podAt;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.RequestException.Reason;
import io.sluice.control.policy.Probe;
import io.sluice.l7proxy.ProxyCounters;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ControlAgentTest {
    private static final String A = "10.244.0.2";
    private static final String B = "10.244.0.3";

    @TempDir private Path folder;
    private final AtomicInteger stops = new AtomicInteger();
    private final ControlThread thread =
            new ControlThread(
                    error -> {
                        throw error;
                    });
    private SwitchInOneThread sluice;
    private ControlPlane control;
    private boolean laneRuns = true;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
        control =
                new ControlAgent(
                        new ControlAgent.Parts(
                                sluice.config,
                                List.of("manifests"),
                                thread,
                                sluice.store,
                                sluice.rollouts,
                                sluice.reconciler,
                                sluice.publisher,
                                sluice.conntrack,
                                List.of(sluice.counters),
                                sluice.counterFile,
                                sluice.flows,
                                sluice.history,
                                sluice.recorder,
                                sluice.dns,
                                sluice.proxy,
                                new ProxyCounters(),
                                sluice.flowCounts,
                                new Exports(),
                                () -> laneRuns,
                                new RuleCounts(),
                                () -> sluice.nowNs,
                                sluice.tracer,
                                stops::incrementAndGet));
    }

    @AfterEach
    void stop() throws Exception {
        thread.close();
        sluice.close();
    }

    @Test
    void anEndpointAddedByHandIsAPodThatStaysAfterARestart() throws Exception {
        final EndpointReport added =
                control.addEndpoint(
                        new EndpointRequest(
                                "shop",
                                "web",
                                "web-ns",
                                0,
                                List.of(),
                                Map.of("app", "web"),
                                "",
                                0,
                                ""));

        assertThat(added.state()).isEqualTo(EndpointState.READY);
        assertThat(added.addresses()).containsExactly(A, "fd00:10:244::2");
        assertThat(added.labels()).contains("k8s:app=web");
        assertThat(added.device()).isEqualTo("eth0");
        assertThat(added.networkNamespace()).isEqualTo("web-ns");
        assertThat(added.policyRevision()).isEqualTo(1);
        assertThat(ObjectStore.load(folder.resolve("objects")).objects())
                .singleElement()
                .hasToString(sluice.store.objects().getFirst().toString());
    }

    @Test
    void anEndpointByProcessIdOrWithItsOwnAddressIsWhatItSays() {
        final long pid = ProcessHandle.current().pid();
        final EndpointReport added =
                control.addEndpoint(
                        new EndpointRequest(
                                "",
                                "c1",
                                "",
                                pid,
                                List.of("10.9.9.9"),
                                Map.of(),
                                "net1",
                                9000,
                                ""));

        assertThat(added.namespace()).isEqualTo("default");
        assertThat(added.networkNamespace()).isEqualTo("pid:" + pid);
        assertThat(added.addresses()).containsExactly("10.9.9.9");
        assertThat(added.device()).isEqualTo("net1");
        assertThat(added.mtu()).isEqualTo(9000);
        assertThat(sluice.view("c1").spec().processStart())
                .isEqualTo(ProcessStart.of(pid).orElseThrow());
    }

    @Test
    void anEndpointThatIsRefusedLeavesNothingBehind() {
        sluice.folder(podAt("a", "10.9.9.9"));

        assertRefused(
                request("b", "b", 0, "10.9.9.9"),
                Reason.CONFLICT,
                "endpoint default/b: address 10.9.9.9 belongs to Pod shop/a");
        assertRefused(
                request("b", "", 0, ""),
                Reason.INVALID,
                "endpoint add: exactly one of networkNamespace and pid tells the namespace");
        assertRefused(
                request("b", "b", 1, ""),
                Reason.INVALID,
                "endpoint add: exactly one of networkNamespace and pid tells the namespace");
        assertRefused(
                request("b", "", Integer.MAX_VALUE, ""),
                Reason.INVALID,
                "endpoint add: pid 2147483647: no such process");
        assertRefused(
                request("b", "b/c", 0, ""),
                Reason.INVALID,
                "endpoint default/b: annotation sluice.io/netns: \"b/c\": the name of a network"
                        + " namespace or an absolute path");
        assertRefused(
                request("b", "b", 0, "127.0.0.1"),
                Reason.INVALID,
                "endpoint default/b: status.podIPs: 127.0.0.1 is not an address a pod can have"
                        + " (loopback, link-local, multicast or unspecified)");

        assertThat(control.endpoints()).hasSize(1);
        assertThat(sluice.store.reports())
                .extracting(ObjectReport::origin)
                .containsExactly(ObjectReport.Origin.FOLDER);
        assertThat(folder.resolve("objects")).isEmptyDirectory();
    }

    private static EndpointRequest request(
            final String name, final String namespace, final long pid, final String address) {
        return new EndpointRequest(
                "",
                name,
                namespace,
                pid,
                address.isEmpty() ? List.of() : List.of(address),
                Map.of(),
                "",
                0,
                "");
    }

    private void assertRefused(
            final EndpointRequest request, final Reason reason, final String message) {
        assertThatThrownBy(() -> control.addEndpoint(request))
                .isInstanceOfSatisfying(
                        RequestException.class, e -> assertThat(e.reason()).isEqualTo(reason))
                .hasMessage(message);
    }

    @Test
    void anEndpointIsFoundByPathNameOrNumber() {
        sluice.folder(pod("a"));
        control.addEndpoint(
                new EndpointRequest("", "lone", "n", 0, List.of(), Map.of(), "", 0, ""));

        assertThat(control.endpoint("shop/a").name()).isEqualTo("a");
        assertThat(control.endpoint("lone").name()).isEqualTo("lone");
        assertThat(control.endpoint("1").name()).isEqualTo("a");
        assertThatThrownBy(() -> control.endpoint("a"))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> assertThat(e.reason()).isEqualTo(Reason.NOT_FOUND));
    }

    @Test
    void anEndpointThatExistsIsAConflictAndAFoldersPodIsNotDeleted() {
        sluice.folder(pod("a"));

        assertThatThrownBy(
                        () ->
                                control.addEndpoint(
                                        new EndpointRequest(
                                                "shop", "a", "n", 0, List.of(), Map.of(), "", 0,
                                                "")))
                .isInstanceOf(RequestException.class)
                .hasMessage("pods \"a\" already exists");
        assertThatThrownBy(() -> control.deleteEndpoint("shop/a"))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> assertThat(e.reason()).isEqualTo(Reason.CONFLICT));
        assertThat(sluice.ports.hasDevice("a")).isTrue();
    }

    @Test
    void aDeletedEndpointIsUnplugged() {
        control.apply("-", pod("a"), ChangeMode.CHANGE);
        assertThat(sluice.ports.hasDevice("a")).isTrue();

        control.deleteEndpoint("shop/a");

        assertThat(sluice.ports.hasDevice("a")).isFalse();
        assertThat(control.endpoints()).isEmpty();
    }

    @Test
    void afterApplyReturnsTheNextPacketIsJudgedByTheNewPolicy() {
        sluice.folder(pod("a"), pod("b"));
        control.apply("-", denyAll("p"), ChangeMode.CHANGE);

        sluice.send("a", A, B, 80);

        assertThat(sluice.received("b")).isFalse();
        assertThat(control.drops())
                .singleElement()
                .satisfies(
                        drop -> {
                            assertThat(drop.reason()).isEqualTo("POLICY_DENIED");
                            assertThat(drop.code()).isEqualTo(133);
                            assertThat(drop.direction()).isEqualTo("ingress");
                            assertThat(drop.packets()).isEqualTo(1);
                            assertThat(drop.bytes()).isPositive();
                        });
        assertThat(control.endpoint("shop/b").ingressEnforced()).isTrue();
        assertThat(control.endpoint("shop/b").egressEnforced()).isFalse();
        assertThat(control.endpoint("shop/b").ingressPolicies())
                .containsExactly("NetworkPolicy/shop/p");
    }

    @Test
    void whatChangesNothingMakesNoNewRevision() {
        sluice.folder(pod("a"), pod("b"));
        control.apply("-", denyAll("p"), ChangeMode.CHANGE);
        control.apply("-", denyAll("p"), ChangeMode.CHANGE);

        assertThat(control.status().policyRevision()).isEqualTo(2);
    }

    @Test
    void aDryRunChangesNothing() {
        sluice.folder(pod("a"), pod("b"));
        assertThat(control.apply("-", denyAll("p"), ChangeMode.DRY_RUN)).hasSize(1);

        assertThat(control.status().policyRevision()).isEqualTo(1);
        assertThat(control.objects(List.of("netpol"))).isEmpty();
    }

    @Test
    void oneObjectIsDeletedByAnyOfItsKindsNames() {
        for (final String kind : List.of("netpol", "NetworkPolicy", "networkpolicies")) {
            control.apply("-", denyAll("p"), ChangeMode.CHANGE);
            assertThat(control.delete(kind, "shop", "p", ChangeMode.CHANGE).outcome())
                    .isEqualTo(ObjectChange.Outcome.DELETED);
        }
        assertThatThrownBy(() -> control.delete("gizmo", "shop", "p", ChangeMode.CHANGE))
                .isInstanceOf(RequestException.class)
                .hasMessageStartingWith("the server doesn't have a resource type \"gizmo\"");
    }

    @Test
    void theLiveEngineAnswersAsTheDataPlaneDoes() throws Exception {
        sluice.folder(pod("a"), pod("b"), denyAll("p"));

        assertThat(
                        control.policy()
                                .evaluator()
                                .evaluate(Probe.of("shop/a", B, "TCP", "80"))
                                .allowed())
                .isFalse();
        assertThat(control.policy().revision()).isEqualTo(1);
    }

    @Test
    void statusTellsRevisionCountsAndProblems() {
        sluice.ports.removeNamespace("b");
        sluice.folder(pod("a"), pod("b"), denyAll("p"));
        sluice.send("a", A, "8.8.8.8", 80);

        final StatusReport status = control.status();

        assertThat(status.nodeName()).isEqualTo("node-1");
        assertThat(status.policyRevision()).isEqualTo(1);
        assertThat(status.objectCounts()).isEqualTo(Map.of("Pod", 2, "NetworkPolicy", 1));
        assertThat(status.endpointCounts())
                .isEqualTo(Map.of("READY", 1, "WAITING_FOR_NAMESPACE", 1));
        assertThat(status.packetsIn()).isEqualTo(1);
        assertThat(status.packetsOut()).isEqualTo(1);
        assertThat(status.conntrackCount()).isEqualTo(1);
        assertThat(status.tables())
                .extracting(TableReport::name)
                .containsExactly("ct4_global", "ct6_global", "ipcache", "policy");
        assertThat(status.tables().getFirst())
                .isEqualTo(new TableReport("ct4_global", 1, 1 << 20, sluice.conntrack.bytesIpv4()));
        assertThat(status.tables().getFirst().bytes()).isGreaterThan(256L << 20);
        assertThat(status.tables()).allMatch(table -> table.entries() > 0 || table.bytes() > 0);
        assertThat(status.uplink()).isEqualTo("sluice0");
        assertThat(status.problems()).containsExactly("endpoint shop/b: no namespace b");
    }

    @Test
    void tablesAreListedWithNames() {
        sluice.folder(pod("a"), pod("b"));
        sluice.send("a", A, B, 80);

        final int identity = control.endpoint("shop/a").identity();
        assertThat(control.identities())
                .anySatisfy(
                        report -> {
                            assertThat(report.number()).isEqualTo(identity);
                            assertThat(report.endpointCount()).isEqualTo(1);
                        });
        assertThat(control.ipcache())
                .contains(new IpcacheReport("10.244.0.2/32", identity, "shop/a"))
                .anySatisfy(report -> assertThat(report.prefix()).isEqualTo("0.0.0.0/0"));
        assertThat(control.conntrack())
                .singleElement()
                .satisfies(
                        flow -> {
                            assertThat(flow.protocol()).isEqualTo(17);
                            assertThat(flow.initiatorAddress()).isEqualTo(A);
                            assertThat(flow.responderAddress()).isEqualTo(B);
                            assertThat(flow.responderPort()).isEqualTo(80);
                            assertThat(flow.verdict()).isEqualTo("ALLOW");
                            assertThat(flow.initiatorIdentity()).isEqualTo(identity);
                            assertThat(flow.packetsForward()).isEqualTo(1);
                            assertThat(flow.expiresInSeconds()).isEqualTo(30);
                        });
    }

    @Test
    void countersHaveOneNameEachAndCountPackets() {
        sluice.folder(pod("a"), pod("b"));
        sluice.send("a", A, B, 80);

        assertThat(control.counters())
                .anySatisfy(
                        counter -> {
                            assertThat(counter.name()).isEqualTo("sluice_packets_in_total");
                            assertThat(counter.value()).isEqualTo(1);
                        })
                .anySatisfy(
                        counter -> {
                            assertThat(counter.name()).isEqualTo("cilium_bpf_map_pressure");
                            assertThat(counter.labels())
                                    .isEqualTo(Map.of("map_name", "ct4_global"));
                            assertThat(counter.value()).isEqualTo(1.0 / (1 << 20));
                        })
                .extracting(counter -> counter.name() + counter.labels())
                .doesNotHaveDuplicates();
    }

    @Test
    void shutdownAsksTheDaemonToStop() {
        control.shutdown();

        assertThat(stops).hasValue(1);
    }
}
