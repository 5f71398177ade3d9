package io.sluice.control.agent;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.FlowSnapshot;
import io.sluice.control.agent.RequestException.Reason;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyMap;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.LaneCounters;
import io.sluice.dataplane.TrafficDirection;
import io.sluice.dataplane.wire.MacAddress;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import io.sluice.l7proxy.ProxyCounters;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;

/**
 * The running daemon as the API asks and tells it: requests become tasks of the control thread,
 * reports are read from snapshots without waiting for it, so that {@code status} answers even while
 * something slow is being done.
 *
 * <p>Thread: any.
 */
final class ControlAgent implements ControlPlane {
    /** What the daemon is made of, as far as it is reported. */
    record Parts(
            SluiceConfig config,
            List<String> manifestFolders,
            ControlThread control,
            ObjectStore store,
            Rollouts rollouts,
            Reconciler reconciler,
            PolicyPublisher publisher,
            Conntrack conntrack,
            List<LaneCounters> lanes,
            LaneCounterFile counterFile,
            FlowStore flows,
            FlowHistory history,
            FlowRecorder recorder,
            KnownNames names,
            ProxyPort proxy,
            ProxyCounters proxyCounters,
            FlowCounts flowCounts,
            Exports exports,
            BooleanSupplier laneRuns,
            RuleCounts ruleCounts,
            LongSupplier clockNs,
            PacketTracer tracer,
            Runnable stop) {}

    /** As Hubble does. */
    private static final Duration NAMESPACES_FOR = Duration.ofHours(1);

    private final Parts parts;
    private final Instant startedAt = Instant.now();

    ControlAgent(final Parts parts) {
        this.parts = parts;
    }

    @Override
    public StatusReport status() {
        final LivePolicy live = parts.publisher().live();
        final Reconciler.Snapshot snapshot = parts.reconciler().snapshot();
        final Map<String, Integer> objects = new TreeMap<>();
        snapshot.objects().forEach(object -> objects.merge(object.kind(), 1, Integer::sum));
        final Map<EndpointState, Integer> states = new EnumMap<>(EndpointState.class);
        endpoints().forEach(endpoint -> states.merge(endpoint.state(), 1, Integer::sum));
        final Map<String, Integer> endpointCounts = new LinkedHashMap<>();
        states.forEach((state, count) -> endpointCounts.put(state.name(), count));
        final List<ExportReport> exports = parts.exports().reports(parts.config().flowExport());
        return new StatusReport(
                version(),
                parts.config().nodeName(),
                ProcessHandle.current().pid(),
                startedAt,
                parts.config().runFolder().toString(),
                parts.config().stateFolder().toString(),
                parts.manifestFolders(),
                live.revision(),
                live.publishedAt(),
                live.compileNs(),
                objects,
                endpointCounts,
                live.identities().size(),
                live.routes().size(),
                parts.conntrack().size(),
                parts.config().conntrack().capacityFlows()
                        + parts.config().conntrack().capacityFlowsIpv6(),
                tables(),
                parts.flows().size(),
                parts.flows().capacity(),
                parts.recorder().lost(),
                lanes(),
                ofLanes(LaneCounters::packetsIn),
                ofLanes(LaneCounters::forwardedPackets),
                ofLanes(LaneCounters::answeredPackets),
                ofLanes(LaneCounters::droppedPackets),
                parts.config().uplink().enabled() ? parts.config().uplink().device() : "",
                parts.proxy().namespace(),
                parts.proxyCounters().openConnections(),
                parts.rollouts().confirmation(),
                exports,
                problems(snapshot, exports));
    }

    private long ofLanes(final ToLongFunction<LaneCounters> counter) {
        return parts.lanes().stream().mapToLong(counter).sum();
    }

    private List<LaneReport> lanes() {
        final SluiceConfig.Lane config = parts.config().lane();
        final List<LaneReport> reports = new ArrayList<>();
        for (int i = 0; i < parts.lanes().size(); i++) {
            reports.add(
                    new LaneReport(
                            i,
                            config.idle().name().toLowerCase(Locale.ROOT),
                            config.cpus().isEmpty() ? "" : config.cpus().get(i).toString(),
                            parts.lanes().get(i).packetsIn()));
        }
        return reports;
    }

    private List<String> problems(
            final Reconciler.Snapshot snapshot, final List<ExportReport> exports) {
        final List<String> problems = new ArrayList<>();
        final String undoing = parts.rollouts().problem();
        if (!undoing.isEmpty()) {
            problems.add(undoing);
        }
        problems.addAll(snapshot.problems());
        for (final ExportReport export : exports) {
            if (!export.trouble().isEmpty()) {
                problems.add(
                        "flows.export.%s: %s: %s"
                                .formatted(
                                        export.destination(), export.target(), export.trouble()));
            }
        }
        return List.copyOf(problems);
    }

    @Override
    public Optional<String> illness() {
        if (!parts.laneRuns().getAsBoolean()) {
            return Optional.of("the lane does not run: nothing is forwarded");
        }
        return parts.publisher().live().revision() == 0
                ? Optional.of("no policy is in force yet: nothing is let pass")
                : Optional.empty();
    }

    /** Names are those of Cilium's maps without their prefix (pkg/maps). */
    private List<TableReport> tables() {
        final Conntrack conntrack = parts.conntrack();
        final PolicyPublisher.TableSizes sizes = parts.publisher().sizes();
        return List.of(
                new TableReport(
                        "ct4_global",
                        conntrack.sizeIpv4(),
                        parts.config().conntrack().capacityFlows(),
                        conntrack.bytesIpv4()),
                new TableReport(
                        "ct6_global",
                        conntrack.sizeIpv6(),
                        parts.config().conntrack().capacityFlowsIpv6(),
                        conntrack.bytesIpv6()),
                new TableReport("ipcache", sizes.prefixes(), 0, sizes.ipcacheBytes()),
                new TableReport("policy", sizes.policyMaps(), 0, sizes.policyMapBytes()));
    }

    private static String version() {
        return Optional.ofNullable(ControlAgent.class.getPackage().getImplementationVersion())
                .orElse("0.1.0-SNAPSHOT");
    }

    @Override
    public List<EndpointReport> endpoints() {
        final LivePolicy live = parts.publisher().live();
        final Reconciler.Snapshot snapshot = parts.reconciler().snapshot();
        final List<EndpointReport> reports = new ArrayList<>();
        snapshot.endpoints().forEach(view -> reports.add(report(view, live)));
        snapshot.failures().forEach((path, reason) -> reports.add(failed(path, reason, live)));
        reports.sort(
                Comparator.comparing(EndpointReport::namespace)
                        .thenComparing(EndpointReport::name));
        return List.copyOf(reports);
    }

    private static EndpointReport report(final Endpoints.View view, final LivePolicy live) {
        final EndpointSpec spec = view.spec();
        final ObjectRef pod = ObjectRef.pod(spec.namespace(), spec.name());
        final Optional<Identity> identity = live.policies().identityOf(pod);
        return new EndpointReport(
                view.id(),
                spec.namespace(),
                spec.name(),
                view.state(),
                view.reason(),
                identity.map(Identity::number).orElse(0),
                identity.map(Identity::labels).orElse(List.of()),
                spec.addresses().stream().map(IpAddress::toString).toList(),
                spec.networkNamespace(),
                spec.device(),
                MacAddress.format(spec.mac()),
                spec.mtuBytes(),
                view.state() == EndpointState.READY ? live.revision() : 0,
                isEnforced(live, pod, PolicyDirection.INGRESS),
                isEnforced(live, pod, PolicyDirection.EGRESS),
                selecting(live, pod, PolicyDirection.INGRESS),
                selecting(live, pod, PolicyDirection.EGRESS),
                view.port().map(CountedPort::framesReceived).orElse(0L),
                view.port().map(CountedPort::framesSent).orElse(0L),
                view.port().map(CountedPort::lostByKernel).orElse(0L));
    }

    private static boolean isEnforced(
            final LivePolicy live, final ObjectRef pod, final PolicyDirection direction) {
        return live.policies().policyMap(pod, direction).map(PolicyMap::isIsolated).orElse(false);
    }

    private static List<String> selecting(
            final LivePolicy live, final ObjectRef pod, final PolicyDirection direction) {
        return live.policies().policiesSelecting(pod, direction).stream()
                .map(policy -> policy.kind() + "/" + policy.path())
                .toList();
    }

    private static EndpointReport failed(
            final String path, final String reason, final LivePolicy live) {
        final int slash = path.indexOf('/');
        final String namespace = path.substring(0, slash);
        final String name = path.substring(slash + 1);
        final Map<String, String> annotations =
                live.world()
                        .lookupPod(namespace, name)
                        .map(pod -> pod.meta().annotations())
                        .orElse(Map.of());
        return new EndpointReport(
                0,
                namespace,
                name,
                EndpointState.FAILED,
                reason,
                0,
                List.of(),
                List.of(),
                annotations.getOrDefault(
                        EndpointPlan.NETNS, annotations.getOrDefault(EndpointPlan.PID, "")),
                annotations.getOrDefault(EndpointPlan.INTERFACE, ""),
                "",
                0,
                0,
                false,
                false,
                List.of(),
                List.of(),
                0,
                0,
                0);
    }

    @Override
    public EndpointReport endpoint(final String ref) {
        final String path = ref.contains("/") ? ref : "default/" + ref;
        return endpoints().stream()
                .filter(
                        endpoint ->
                                path.equals(endpoint.namespace() + "/" + endpoint.name())
                                        || (endpoint.id() != 0
                                                && ref.equals(Integer.toString(endpoint.id()))))
                .findFirst()
                .orElseThrow(
                        () ->
                                new RequestException(
                                        Reason.NOT_FOUND,
                                        "endpoint \"%s\" not found: namespace/name, name, or number"
                                                .formatted(ref)));
    }

    @Override
    public EndpointReport addEndpoint(final EndpointRequest request) {
        final String namespace = request.namespace().isEmpty() ? "default" : request.namespace();
        final String manifest =
                ObjectStore.yaml(PodManifest.of(request, namespace, processStart(request)));
        refuseFaults(manifest);
        final ObjectRef ref = ObjectRef.pod(namespace, request.name());
        parts.control()
                .call(
                        () -> {
                            if (parts.store().objects().stream()
                                    .anyMatch(object -> object.ref().equals(ref))) {
                                throw new RequestException(
                                        Reason.CONFLICT,
                                        "pods \"%s\" already exists".formatted(request.name()));
                            }
                            final List<ObjectChange> changes =
                                    parts.store()
                                            .apply("endpoint add", manifest, ChangeMode.CHANGE);
                            parts.reconciler().reconcile();
                            final Optional<String> refusal =
                                    Optional.ofNullable(
                                            parts.reconciler()
                                                    .snapshot()
                                                    .failures()
                                                    .get(ref.path()));
                            if (refusal.isPresent()) {
                                parts.store().delete(ref, ChangeMode.CHANGE);
                                parts.reconciler().reconcile();
                                throw new RequestException(
                                        Reason.CONFLICT,
                                        "endpoint %s: %s".formatted(ref.path(), refusal.get()));
                            }
                            return changes;
                        });
        return endpoint(ref.path());
    }

    /** Which process the request means, now that it is there; empty without a pid. */
    private static String processStart(final EndpointRequest request) {
        if (request.networkNamespace().isEmpty() == (request.pid() == 0)) {
            throw new RequestException(
                    Reason.INVALID,
                    "endpoint add: exactly one of networkNamespace and pid tells the namespace");
        }
        if (request.pid() == 0) {
            return "";
        }
        return ProcessStart.of(request.pid())
                .orElseThrow(
                        () ->
                                new RequestException(
                                        Reason.INVALID,
                                        "endpoint add: pid %d: no such process"
                                                .formatted(request.pid())));
    }

    /**
     * Refuses what no state of this node could make an endpoint: a plan for this Pod alone fails.
     *
     * @throws RequestException INVALID
     */
    private void refuseFaults(final String manifest) {
        final List<Pod> alone =
                ManifestReader.read("endpoint add", manifest).objects().stream()
                        .filter(Pod.class::isInstance)
                        .map(Pod.class::cast)
                        .toList();
        final EndpointPlan plan =
                EndpointPlan.of(
                        alone,
                        Map.of(),
                        AddressBook.forTrial(),
                        new EndpointPlan.NodeFacts(
                                parts.config().nodeName(),
                                parts.config().mtuBytes(),
                                parts.config().pool().all(),
                                Set.of()));
        plan.failures()
                .forEach(
                        (path, fault) -> {
                            throw new RequestException(
                                    Reason.INVALID, "endpoint %s: %s".formatted(path, fault));
                        });
    }

    @Override
    public void deleteEndpoint(final String ref) {
        final EndpointReport endpoint = endpoint(ref);
        final ObjectRef pod = ObjectRef.pod(endpoint.namespace(), endpoint.name());
        parts.control()
                .call(
                        () -> {
                            final ObjectChange change =
                                    parts.store().delete(pod, ChangeMode.CHANGE);
                            parts.reconciler().reconcile();
                            return change;
                        });
    }

    @Override
    public ChangeReport change(final ChangeRequest request) {
        return parts.rollouts().change(request, forChanges());
    }

    private Rollouts.Switch forChanges() {
        return new Rollouts.Switch(
                parts.control(),
                parts.reconciler(),
                parts.publisher(),
                parts.conntrack(),
                parts.clockNs());
    }

    @Override
    public ConfirmationReport confirmation() {
        return parts.rollouts().confirmation();
    }

    @Override
    public ConfirmationReport confirm() {
        return parts.rollouts().confirm(forChanges());
    }

    @Override
    public List<RevisionReport> revisions() {
        return parts.rollouts().revisions();
    }

    @Override
    public RevisionReport revision(final int number) {
        return parts.rollouts().revision(number);
    }

    @Override
    public List<ObjectReport> objects(final List<String> kinds) {
        final List<String> wanted =
                kinds.stream().map(ResourceKind::of).map(ResourceKind::kind).toList();
        return parts.reconciler().snapshot().objects().stream()
                .filter(object -> wanted.isEmpty() || wanted.contains(object.kind()))
                .toList();
    }

    @Override
    public PolicySnapshot policy() {
        final LivePolicy live = parts.publisher().live();
        return new PolicySnapshot(live.revision(), live.world(), live.evaluator());
    }

    @Override
    public List<IdentityReport> identities() {
        final LivePolicy live = parts.publisher().live();
        final Map<Integer, Integer> counts =
                StateRecorder.endpointCounts(live, parts.reconciler().snapshot().endpoints());
        return live.policies().identities().stream()
                .map(
                        identity ->
                                new IdentityReport(
                                        identity.number(),
                                        identity.labels(),
                                        counts.getOrDefault(identity.number(), 0)))
                .toList();
    }

    @Override
    public List<IpcacheReport> ipcache() {
        final LivePolicy live = parts.publisher().live();
        final Map<Integer, String> paths =
                parts.reconciler().snapshot().endpoints().stream()
                        .collect(Collectors.toMap(Endpoints.View::id, view -> view.spec().path()));
        return live.ipcache().stream()
                .map(
                        route ->
                                new IpcacheReport(
                                        route.prefix().toString(),
                                        route.identity(),
                                        paths.getOrDefault(route.port(), "")))
                .toList();
    }

    @Override
    public List<NameReport> names() {
        final LivePolicy live = parts.publisher().live();
        return parts.names().learned().stream()
                .map(record -> report(record, live))
                .sorted(
                        Comparator.comparing(NameReport::name)
                                .thenComparing(NameReport::address)
                                .thenComparing(NameReport::endpoint))
                .toList();
    }

    private static NameReport report(final FqdnRecord record, final LivePolicy live) {
        final IpAddress address = new IpAddress(record.address().high(), record.address().low());
        return new NameReport(
                record.name(),
                address.toString(),
                live.identityOf(address),
                record.endpoint(),
                Instant.ofEpochMilli(record.learnedMs()),
                Instant.ofEpochMilli(record.expiresMs()),
                record.isZombie() ? "zombie" : "live");
    }

    @Override
    public List<NameSelectorReport> nameSelectors() {
        final List<NameReport> learned = names();
        return parts.publisher().live().policies().nameSelectors().stream()
                .map(selector -> report(selector, learned))
                .sorted(Comparator.comparing(NameSelectorReport::selector))
                .toList();
    }

    private static NameSelectorReport report(
            final NamePattern selector, final List<NameReport> learned) {
        final List<NameReport> under =
                learned.stream().filter(name -> selector.matches(name.name())).toList();
        return new NameSelectorReport(
                selector.toString(),
                under.stream().map(NameReport::identity).distinct().sorted().toList(),
                under);
    }

    @Override
    public int forgetNames(final String endpoint, final String pattern) {
        try {
            return parts.names()
                    .clean(
                            endpoint.isEmpty() ? Optional.empty() : Optional.of(endpoint),
                            NamePatternIndex.of(List.of(NamePattern.parse(pattern))));
        } catch (final IllegalArgumentException e) {
            throw new RequestException(Reason.INVALID, String.valueOf(e.getMessage()));
        }
    }

    @Override
    public List<ConntrackReport> conntrack() {
        final List<ConntrackReport> reports = new ArrayList<>();
        parts.conntrack().forEach(parts.clockNs().getAsLong(), flow -> reports.add(report(flow)));
        return List.copyOf(reports);
    }

    private static ConntrackReport report(final FlowSnapshot flow) {
        return new ConntrackReport(
                flow.protocol(),
                new IpAddress(flow.initiatorHigh(), flow.initiatorLow()).toString(),
                flow.initiatorTransportPort(),
                new IpAddress(flow.responderHigh(), flow.responderLow()).toString(),
                flow.responderTransportPort(),
                flow.state().name(),
                flow.verdict().name(),
                flow.initiatorIdentity(),
                flow.responderIdentity(),
                flow.policyRevision(),
                flow.initiatorPackets(),
                flow.initiatorBytes(),
                flow.responderPackets(),
                flow.responderBytes(),
                flow.expiresInNs() / 1_000_000_000L);
    }

    @Override
    public List<DropReport> drops() {
        final Map<String, Long> values = parts.counterFile().values();
        final List<DropReport> reports = new ArrayList<>();
        for (final DropReason reason : DropReason.values()) {
            for (final TrafficDirection direction : TrafficDirection.values()) {
                final String label = "drop." + reason + "." + direction.label();
                final long packets = values.getOrDefault(label + ".packets", 0L);
                if (packets > 0) {
                    reports.add(
                            new DropReport(
                                    reason.code(),
                                    reason.name(),
                                    reason.sentence(),
                                    direction.label(),
                                    packets,
                                    values.getOrDefault(label + ".bytes", 0L)));
                }
            }
        }
        return List.copyOf(reports);
    }

    @Override
    public List<CounterReport> counters() {
        return new DaemonCounters(parts).reports(status(), drops());
    }

    @Override
    public List<RuleReport> requests() {
        return parts.ruleCounts().all();
    }

    @Override
    public FlowReader flows(final FlowQuery query) {
        return parts.flows().read(query);
    }

    @Override
    public FlowCursor follow(final FlowQuery query) {
        return parts.flows().follow(query);
    }

    @Override
    public FlowActivity flowActivity() {
        final Instant now = Instant.now();
        return new FlowActivity(
                parts.flows().size(),
                parts.flows().capacity(),
                parts.flows().firstSequence(),
                parts.flows().seen(),
                parts.flows().ratePerSecond(now),
                parts.flowCounts().namespacesSince(now.minus(NAMESPACES_FOR)));
    }

    @Override
    public TraceCursor trace(final TraceQuery query) {
        return parts.tracer().start(query);
    }

    @Override
    public void shutdown() {
        parts.stop().run();
    }
}
