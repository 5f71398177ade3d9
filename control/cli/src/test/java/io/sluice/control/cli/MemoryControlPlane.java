package io.sluice.control.cli;

import io.sluice.control.agent.ChangeMode;
import io.sluice.control.agent.ChangeReport;
import io.sluice.control.agent.ChangeRequest;
import io.sluice.control.agent.ConfirmationReport;
import io.sluice.control.agent.ConntrackReport;
import io.sluice.control.agent.ControlPlane;
import io.sluice.control.agent.CounterReport;
import io.sluice.control.agent.CutsReport;
import io.sluice.control.agent.DropReport;
import io.sluice.control.agent.EndpointReport;
import io.sluice.control.agent.EndpointRequest;
import io.sluice.control.agent.EndpointState;
import io.sluice.control.agent.ExportReport;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowActivity;
import io.sluice.control.agent.FlowCursor;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowQuery;
import io.sluice.control.agent.FlowReader;
import io.sluice.control.agent.FlowTotals;
import io.sluice.control.agent.IdentityReport;
import io.sluice.control.agent.IpcacheReport;
import io.sluice.control.agent.LaneReport;
import io.sluice.control.agent.NameReport;
import io.sluice.control.agent.NameSelectorReport;
import io.sluice.control.agent.ObjectChange;
import io.sluice.control.agent.ObjectReport;
import io.sluice.control.agent.PacketReport;
import io.sluice.control.agent.PolicyAuthor;
import io.sluice.control.agent.PolicySnapshot;
import io.sluice.control.agent.RequestException;
import io.sluice.control.agent.RevisionReport;
import io.sluice.control.agent.RuleReport;
import io.sluice.control.agent.StatusReport;
import io.sluice.control.agent.TableReport;
import io.sluice.control.agent.TraceCursor;
import io.sluice.control.agent.TraceQuery;
import io.sluice.dataplane.FlowEnd;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;

/**
 * A daemon without a data plane: fixed answers, and a memory of what it was told. The whole API and
 * the commands run against it over a real socket.
 */
final class MemoryControlPlane implements ControlPlane {
    static final Instant STARTED = CommandLineRun.NOW.minusSeconds(3725);

    /** What was asked to change, in order: {@code apply pods.yaml CHANGE}. */
    final ConcurrentLinkedQueue<String> told = new ConcurrentLinkedQueue<>();

    /** Released when a follower's cursor is closed. */
    final CountDownLatch followerGone = new CountDownLatch(1);

    private final PolicySnapshot policy;
    private final List<Flow> flows;

    MemoryControlPlane(final PolicySnapshot policy) {
        this(policy, recorded());
    }

    MemoryControlPlane(final PolicySnapshot policy, final List<Flow> flows) {
        this.policy = policy;
        this.flows = flows;
    }

    @Override
    public StatusReport status() {
        final Map<String, Integer> objects = new LinkedHashMap<>();
        objects.put("Namespace", 1);
        objects.put("Pod", 3);
        objects.put("NetworkPolicy", 2);
        final Map<String, Integer> endpoints = new LinkedHashMap<>();
        endpoints.put("READY", 1);
        endpoints.put("WAITING_FOR_NAMESPACE", 1);
        return new StatusReport(
                "0.1.0",
                "node1",
                4711,
                STARTED,
                "/run/sluice",
                "/var/lib/sluice",
                List.of("/etc/sluice/shop"),
                7,
                CommandLineRun.NOW.minusSeconds(60),
                12_345_678,
                objects,
                endpoints,
                9,
                12,
                3,
                65_536,
                List.of(
                        new TableReport("ct4_global", 3, 65_536, 33_570_816),
                        new TableReport("ipcache", 12, 0, 3_145_728)),
                5,
                4095,
                0,
                List.of(new LaneReport(0, "adaptive", "2", 100)),
                100,
                80,
                5,
                15,
                "sluice0",
                "/proc/4711/task/4720/ns/net",
                3,
                confirmation,
                List.of(
                        new ExportReport("file", "/var/log/flows.log", 40, 40, 0, 0, ""),
                        new ExportReport(
                                "kafka", "sluice-flows at kafka-1:9092", 40, 30, 3, 7, "")),
                List.of("/etc/sluice/shop/bad.yaml:3:1: spec.ingres: unknown field"));
    }

    Optional<String> illness = Optional.empty();

    /** How the latest confirmation stands. */
    volatile ConfirmationReport confirmation = ConfirmationReport.NONE;

    /** What a change cuts. */
    CutsReport cuts = CutsReport.NONE;

    @Override
    public ChangeReport change(final ChangeRequest request) {
        final List<ObjectChange> changes = new ArrayList<>();
        switch (request.what()) {
            case ChangeRequest.Apply(List<ChangeRequest.Manifest> manifests) ->
                    manifests.forEach(
                            manifest ->
                                    changes.addAll(
                                            apply(
                                                    manifest.source(),
                                                    manifest.text(),
                                                    request.mode())));
            case ChangeRequest.Delete(List<ChangeRequest.Manifest> manifests) ->
                    manifests.forEach(
                            manifest ->
                                    changes.addAll(
                                            delete(
                                                    manifest.source(),
                                                    manifest.text(),
                                                    request.mode())));
            case ChangeRequest.DeleteObject object ->
                    changes.add(
                            delete(
                                    object.kind(),
                                    object.namespace(),
                                    object.name(),
                                    request.mode()));
            case ChangeRequest.Rollback(int revision) -> {
                told.add("rollback " + revision + " " + request.mode() + " of " + request.user());
                changes.add(
                        new ObjectChange(
                                "networkpolicy.networking.k8s.io",
                                "shop",
                                "backend",
                                ObjectChange.Outcome.CONFIGURED));
            }
        }
        if (request.cuts() == ChangeRequest.CutMode.REFUSE && cuts.cut() > 0) {
            throw new RequestException(
                    RequestException.Reason.CONFLICT, "nothing was changed: flows would be cut");
        }
        request.confirmWithin()
                .ifPresent(
                        within ->
                                confirmation =
                                        new ConfirmationReport(
                                                ConfirmationReport.State.PENDING,
                                                7,
                                                6,
                                                CommandLineRun.NOW.plus(within)));
        pending.countDown();
        return new ChangeReport(
                request.mode() == ChangeMode.DRY_RUN ? 0 : 7, changes, cuts, confirmation);
    }

    /** Released when a change was asked for. */
    final CountDownLatch pending = new CountDownLatch(1);

    @Override
    public ConfirmationReport confirmation() {
        return confirmation;
    }

    @Override
    public ConfirmationReport confirm() {
        if (confirmation.state() != ConfirmationReport.State.PENDING) {
            throw new RequestException(
                    RequestException.Reason.CONFLICT, "nothing waits for a confirmation");
        }
        decide(ConfirmationReport.State.CONFIRMED);
        return confirmation;
    }

    void decide(final ConfirmationReport.State state) {
        confirmation =
                new ConfirmationReport(
                        state,
                        confirmation.revision(),
                        confirmation.undoneTo(),
                        confirmation.until());
    }

    @Override
    public List<RevisionReport> revisions() {
        return List.of(
                new RevisionReport(
                        6,
                        CommandLineRun.NOW.minusSeconds(3600),
                        "apply",
                        "root",
                        List.of("a.yaml", "b.yaml", "c.yaml", "d.yaml"),
                        List.of(
                                changed("backend", ObjectChange.Outcome.CREATED, 0, 80),
                                changed("database", ObjectChange.Outcome.CREATED, 0, 81))),
                new RevisionReport(
                        7,
                        CommandLineRun.NOW.minusSeconds(60),
                        "delete",
                        "",
                        List.of("netpol database -n shop"),
                        List.of(changed("database", ObjectChange.Outcome.DELETED, 81, 0))));
    }

    @Override
    public RevisionReport revision(final int number) {
        return revisions().stream()
                .filter(revision -> revision.revision() == number)
                .findFirst()
                .orElseThrow(
                        () ->
                                new RequestException(
                                        RequestException.Reason.NOT_FOUND,
                                        "revision " + number + " is not in the history"));
    }

    private static RevisionReport.ChangedObject changed(
            final String name,
            final ObjectChange.Outcome outcome,
            final int portBefore,
            final int portAfter) {
        return new RevisionReport.ChangedObject(
                "NetworkPolicy",
                "shop",
                name,
                outcome,
                portBefore == 0 ? Map.of() : manifest(name, portBefore),
                portAfter == 0 ? Map.of() : manifest(name, portAfter));
    }

    private static Map<String, Object> manifest(final String name, final int port) {
        final Map<String, Object> manifest = new LinkedHashMap<>();
        manifest.put("kind", "NetworkPolicy");
        manifest.put("metadata", Map.of("name", name));
        manifest.put("spec", Map.of("port", port));
        return manifest;
    }

    @Override
    public Optional<String> illness() {
        return illness;
    }

    @Override
    public List<EndpointReport> endpoints() {
        return List.of(frontend(), database());
    }

    private static EndpointReport frontend() {
        return new EndpointReport(
                1,
                "shop",
                "frontend",
                EndpointState.READY,
                "",
                256,
                List.of("k8s:app=frontend", "k8s:io.kubernetes.pod.namespace=shop"),
                List.of("10.244.0.10", "fd00:10:244::10"),
                "shop-frontend",
                "eth0",
                "02:53:4c:01:00:01",
                1500,
                7,
                false,
                true,
                List.of(),
                List.of("NetworkPolicy/shop/default-deny"),
                40,
                30,
                0);
    }

    private static EndpointReport database() {
        return new EndpointReport(
                2,
                "shop",
                "database",
                EndpointState.WAITING_FOR_NAMESPACE,
                "namespace shop-database does not exist",
                257,
                List.of("k8s:app=database"),
                List.of("10.244.0.12"),
                "shop-database",
                "eth0",
                "02:53:4c:01:00:02",
                1500,
                0,
                true,
                true,
                List.of(),
                List.of(),
                0,
                0,
                0);
    }

    @Override
    public EndpointReport endpoint(final String ref) {
        return switch (ref) {
            case "1", "shop/frontend" -> frontend();
            case "2", "shop/database" -> database();
            default ->
                    throw new RequestException(
                            RequestException.Reason.NOT_FOUND,
                            "endpoint "
                                    + ref
                                    + ": not found: there are shop/database,"
                                    + " shop/frontend");
        };
    }

    @Override
    public EndpointReport addEndpoint(final EndpointRequest request) {
        told.add(request.toString());
        return frontend();
    }

    @Override
    public void deleteEndpoint(final String ref) {
        told.add("delete endpoint " + endpoint(ref).name());
    }

    @Override
    public List<ObjectChange> apply(final String source, final String text, final ChangeMode mode) {
        told.add("apply " + source + " " + mode + " " + text.lines().count() + " lines");
        if (text.contains("spec.ingres")) {
            throw new RequestException(
                    RequestException.Reason.INVALID,
                    List.of(source + ":1:1: first problem", source + ":2:1: second problem"));
        }
        return List.of(
                new ObjectChange(
                        "networkpolicy.networking.k8s.io",
                        "shop",
                        "backend",
                        ObjectChange.Outcome.CREATED,
                        text.contains("toFQDNs")
                                ? List.of(source + ":7:3: spec.toFQDNs: warning: no effect")
                                : List.of()),
                new ObjectChange("pod", "shop", "frontend", ObjectChange.Outcome.UNCHANGED));
    }

    @Override
    public List<ObjectChange> delete(
            final String source, final String text, final ChangeMode mode) {
        told.add("delete " + source + " " + mode);
        return List.of(new ObjectChange("pod", "shop", "frontend", ObjectChange.Outcome.DELETED));
    }

    @Override
    public ObjectChange delete(
            final String kind, final String namespace, final String name, final ChangeMode mode) {
        told.add("delete " + kind + " " + namespace + "/" + name + " " + mode);
        if (name.equals("owned")) {
            throw new RequestException(
                    RequestException.Reason.CONFLICT,
                    "networkpolicy owned: a watched folder owns it: delete it in /etc/x.yaml");
        }
        if (name.equals("missing")) {
            throw new RequestException(
                    RequestException.Reason.NOT_FOUND, "networkpolicy \"missing\" not found");
        }
        return new ObjectChange(
                "networkpolicy.networking.k8s.io", namespace, name, ObjectChange.Outcome.DELETED);
    }

    @Override
    public List<ObjectReport> objects(final List<String> kinds) {
        if (kinds.contains("frogs")) {
            throw new RequestException(
                    RequestException.Reason.INVALID, "kind frogs: unknown: netpol, pods, ...");
        }
        final List<ObjectReport> all =
                List.of(
                        object("Namespace", "", "shop", Map.of(), 1),
                        object("NetworkPolicy", "shop", "backend", Map.of("team", "api"), 7),
                        object("NetworkPolicy", "other", "lonely", Map.of(), 9));
        return kinds.isEmpty() ? all : all.subList(1, 3);
    }

    private static ObjectReport object(
            final String kind,
            final String namespace,
            final String name,
            final Map<String, String> labels,
            final int line) {
        final Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("name", name);
        if (!namespace.isEmpty()) {
            metadata.put("namespace", namespace);
        }
        final Map<String, Object> manifest = new LinkedHashMap<>();
        manifest.put("apiVersion", "v1");
        manifest.put("kind", kind);
        manifest.put("metadata", metadata);
        if (kind.equals("NetworkPolicy")) {
            manifest.put("spec", Map.of("podSelector", Map.of()));
        }
        return new ObjectReport(
                "v1",
                kind,
                namespace,
                name,
                labels,
                ObjectReport.Origin.FOLDER,
                "shop.yaml",
                line,
                manifest);
    }

    @Override
    public PolicySnapshot policy() {
        return policy;
    }

    @Override
    public List<IdentityReport> identities() {
        return List.of(
                new IdentityReport(1, List.of("reserved:host"), 0),
                new IdentityReport(256, List.of("k8s:app=frontend", "k8s:tier=web"), 1));
    }

    @Override
    public List<IpcacheReport> ipcache() {
        return List.of(
                new IpcacheReport("0.0.0.0/0", 2, ""),
                new IpcacheReport("10.244.0.10/32", 256, "shop/frontend"));
    }

    @Override
    public List<NameReport> names() {
        return List.of(
                new NameReport(
                        "api.example.com.",
                        "198.51.100.7",
                        16777220,
                        "shop/web",
                        Instant.parse("2026-11-27T05:00:00Z"),
                        Instant.parse("2026-11-27T05:01:00Z"),
                        "live"));
    }

    @Override
    public List<NameSelectorReport> nameSelectors() {
        return List.of(
                new NameSelectorReport("*.example.com.", List.of(16777220), names()),
                new NameSelectorReport("other.example.org.", List.of(), List.of()));
    }

    @Override
    public int forgetNames(final String endpoint, final String pattern) {
        if (pattern.contains("%")) {
            throw new RequestException(RequestException.Reason.INVALID, "pattern: " + pattern);
        }
        return endpoint.isEmpty() ? 1 : 0;
    }

    @Override
    public List<RuleReport> requests() {
        return List.of(
                new RuleReport(
                        "CiliumNetworkPolicy",
                        "shop",
                        "backend",
                        "end of tier default",
                        "shop.yaml",
                        3,
                        0,
                        2,
                        0),
                new RuleReport(
                        "CiliumNetworkPolicy",
                        "shop",
                        "backend",
                        "ingress[0]",
                        "shop.yaml",
                        12,
                        40,
                        0,
                        0),
                new RuleReport("", "", "", "other", "", 0, 0, 1, 0));
    }

    @Override
    public List<ConntrackReport> conntrack() {
        return List.of(
                new ConntrackReport(
                        6,
                        "10.244.0.10",
                        40000,
                        "10.244.0.11",
                        8080,
                        "ESTABLISHED",
                        "ALLOW",
                        256,
                        258,
                        7,
                        10,
                        1000,
                        8,
                        9000,
                        86_400),
                new ConntrackReport(
                        58,
                        "fd00::1",
                        77,
                        "fd00::2",
                        77,
                        "ESTABLISHED",
                        "DENY",
                        256,
                        2,
                        7,
                        1,
                        104,
                        0,
                        0,
                        30));
    }

    @Override
    public List<DropReport> drops() {
        return List.of(
                new DropReport(
                        133, "POLICY_DENIED", "No rule allows the packet.", "ingress", 14, 840),
                new DropReport(
                        132, "INVALID_SOURCE_IP", "The source is not the endpoint's.", "", 1, 60));
    }

    @Override
    public List<CounterReport> counters() {
        return List.of(
                new CounterReport(
                        "sluice_packets_in_total",
                        "Packets in.",
                        CounterReport.Type.COUNTER,
                        Map.of(),
                        100),
                new CounterReport(
                        "cilium_drop_count_total",
                        "Drops.",
                        CounterReport.Type.COUNTER,
                        Map.of("reason", "Policy \"denied\"", "direction", "INGRESS"),
                        14),
                new CounterReport(
                        "cilium_drop_count_total",
                        "Drops.",
                        CounterReport.Type.COUNTER,
                        Map.of("reason", "Invalid source ip", "direction", ""),
                        1),
                new CounterReport(
                        "sluice_load", "Load.", CounterReport.Type.GAUGE, Map.of(), 0.25));
    }

    /** Released when a trace's cursor is closed. */
    final CountDownLatch traceGone = new CountDownLatch(1);

    @Override
    public TraceCursor trace(final TraceQuery query) {
        told.add("trace " + query);
        if (query.match().contains("tpc")) {
            throw new RequestException(
                    RequestException.Reason.INVALID, "match: position 1: \"tpc\": accepted: tcp");
        }
        return new TraceCursor() {
            private boolean given;

            @Override
            public List<PacketReport> next(final Duration wait) {
                final boolean first = !given && !query.match().equals("udp");
                given = true;
                return first ? List.of(traced()) : List.of();
            }

            @Override
            public long lost() {
                return query.match().equals("udp") ? 3 : 0;
            }

            @Override
            public Ended ended() {
                if (!given) {
                    return Ended.NOT_YET;
                }
                return query.match().equals("udp") ? Ended.TIMEOUT : Ended.COUNT;
            }

            @Override
            public void close() {
                traceGone.countDown();
            }
        };
    }

    private static PacketReport traced() {
        return new PacketReport(
                CommandLineRun.NOW.minusSeconds(1),
                "shop/frontend:40000 -> shop/backend:8080 TCP SYN",
                "FORWARDED",
                "",
                0,
                "tx",
                7,
                List.of(
                        new PacketReport.StepReport(
                                "rx", "from shop/frontend (port 1), 74 bytes", Map.of("port", 1)),
                        new PacketReport.StepReport(
                                "conntrack",
                                "NEW: of no flow, and may open one",
                                Map.of("state", "NEW")),
                        new PacketReport.StepReport(
                                "verdict", "FORWARDED", Map.of("verdict", "FORWARDED"))));
    }

    /**
     * A denied connection, an allowed one, its reply, an echo to outside, a multicast, and the end
     * of the allowed connection, which a change of policy cut.
     */
    static List<Flow> recorded() {
        final FlowPeer frontend =
                peer(1, 256, "frontend", "k8s:app=frontend", "10.244.0.10", 40000);
        final FlowPeer backend = peer(3, 258, "backend", "k8s:app=backend", "10.244.0.11", 8080);
        final FlowPeer world =
                new FlowPeer(
                        0,
                        2,
                        "",
                        "",
                        List.of("reserved:world"),
                        "2001:db8::1",
                        0,
                        "02:53:4c:00:00:01");
        final PolicyAuthor rule =
                new PolicyAuthor(
                        "default",
                        "NetworkPolicy",
                        "shop",
                        "backend",
                        0,
                        "policies.yaml",
                        11,
                        "NetworkPolicy shop/backend ingress rule 0");
        final PolicyAuthor end =
                new PolicyAuthor("default", "", "", "", -1, "", 0, "end of tier default");
        return List.of(
                flow(
                        0,
                        Flow.Kind.DROP,
                        Flow.Verdict.DROPPED,
                        2,
                        backend,
                        frontend,
                        6,
                        List.of(end)),
                flow(
                        1,
                        Flow.Kind.POLICY_VERDICT,
                        Flow.Verdict.FORWARDED,
                        2,
                        frontend,
                        backend,
                        6,
                        List.of(rule)),
                flow(
                        2,
                        Flow.Kind.POLICY_VERDICT,
                        Flow.Verdict.FORWARDED,
                        18,
                        backend,
                        frontend,
                        6,
                        List.of()),
                flow(
                        3,
                        Flow.Kind.POLICY_VERDICT,
                        Flow.Verdict.FORWARDED,
                        0,
                        frontend,
                        world,
                        58,
                        List.of()),
                multicast(frontend),
                cut(frontend, backend));
    }

    private static Flow cut(final FlowPeer source, final FlowPeer destination) {
        final Instant opened = CommandLineRun.NOW.minusSeconds(99);
        return new Flow(
                5,
                CommandLineRun.NOW.minusSeconds(50),
                "00000000-0000-4000-8000-000000000005",
                "node1",
                Flow.Kind.END,
                Flow.Verdict.FORWARDED,
                0,
                "",
                4,
                6,
                0,
                -1,
                -1,
                source,
                destination,
                Flow.Direction.INGRESS,
                false,
                7,
                List.of(),
                List.of(),
                0,
                Optional.empty(),
                Optional.of(
                        new FlowTotals(
                                FlowEnd.CUT,
                                opened,
                                opened.plusMillis(1_532),
                                6,
                                534,
                                5,
                                1270,
                                133,
                                "POLICY_DENIED")));
    }

    private static Flow multicast(final FlowPeer source) {
        return new Flow(
                4,
                CommandLineRun.NOW.minusSeconds(600),
                "00000000-0000-4000-8000-000000000004",
                "node1",
                Flow.Kind.DROP,
                Flow.Verdict.DROPPED,
                300,
                "MULTICAST_NOT_FORWARDED",
                4,
                17,
                0,
                -1,
                -1,
                source,
                new FlowPeer(
                        0,
                        2,
                        "",
                        "",
                        List.of("reserved:world"),
                        "224.0.0.251",
                        5353,
                        "01:00:5e:00:00:fb"),
                Flow.Direction.EGRESS,
                false,
                7,
                List.of(),
                List.of(),
                60,
                java.util.Optional.empty());
    }

    private static FlowPeer peer(
            final int id,
            final int identity,
            final String pod,
            final String label,
            final String address,
            final int port) {
        return new FlowPeer(
                id, identity, "shop", pod, List.of(label), address, port, "02:53:4c:01:00:0" + id);
    }

    private static Flow flow(
            final int sequence,
            final Flow.Kind kind,
            final Flow.Verdict verdict,
            final int tcpFlags,
            final FlowPeer source,
            final FlowPeer destination,
            final int protocol,
            final List<PolicyAuthor> ingressBy) {
        final boolean dropped = verdict == Flow.Verdict.DROPPED;
        return new Flow(
                sequence,
                CommandLineRun.NOW.minusSeconds(100 - sequence),
                "00000000-0000-4000-8000-00000000000" + sequence,
                "node1",
                kind,
                verdict,
                dropped ? 133 : 0,
                dropped ? "POLICY_DENIED" : "",
                protocol == 6 ? 4 : 6,
                protocol,
                tcpFlags,
                protocol == 58 ? 128 : -1,
                protocol == 58 ? 0 : -1,
                source,
                destination,
                Flow.Direction.INGRESS,
                tcpFlags == 18,
                7,
                List.of(),
                ingressBy,
                60,
                java.util.Optional.empty());
    }

    @Override
    public FlowReader flows(final FlowQuery query) {
        final Deque<List<Flow>> pieces = new ArrayDeque<>(List.of(matching(query)));
        return new FlowReader() {
            @Override
            public List<Flow> next() {
                return pieces.isEmpty() ? List.of() : pieces.pop();
            }

            @Override
            public void close() {
                pieces.clear();
            }
        };
    }

    private List<Flow> matching(final FlowQuery query) {
        final List<Flow> matching = flows.stream().filter(query::matches).toList();
        final int count = Math.min(query.count(), matching.size());
        return query.end() == FlowQuery.End.FIRST
                ? matching.subList(0, count)
                : matching.subList(matching.size() - count, matching.size());
    }

    @Override
    public FlowCursor follow(final FlowQuery query) {
        final List<Flow> first = matching(query);
        return new FlowCursor() {
            private int calls;

            @Override
            public List<Flow> next(final Duration wait) {
                calls++;
                return calls == 1 ? first : calls == 2 ? recorded().subList(1, 2) : List.of();
            }

            @Override
            public long lost() {
                return calls >= 2 ? 3 : 0;
            }

            @Override
            public boolean ended() {
                return calls >= 3;
            }

            @Override
            public void close() {
                followerGone.countDown();
            }
        };
    }

    @Override
    public FlowActivity flowActivity() {
        return new FlowActivity(flows.size(), 4095, 0, flows.size(), 0.5, List.of("shop"));
    }

    @Override
    public void shutdown() {
        told.add("shutdown");
    }
}
