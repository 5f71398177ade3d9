package io.sluice.control.policy.recommend;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.recommend.RecommendOptions.Kind;
import io.sluice.control.policy.replay.ReplayWorld;
import io.sluice.control.policy.replay.SeenFlow;
import io.sluice.control.policy.replay.SeenPeer;
import io.sluice.control.policy.replay.SeenTraffic;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Drafts of least-privilege policies from traffic that was seen to pass.
 *
 * <p><b>Theory of operation.</b> Pods of a namespace with the same stable labels are a {@link
 * Workload}; each that was seen gets one policy, which isolates it both ways and allows what was
 * seen: by peer (workload, node, name, address) and port. {@link WorkloadSelector} selects it and
 * no other workload that is known. Traffic that was dropped is not taken up, and neither are
 * answers.
 *
 * <p><b>More than was seen</b> is allowed in these places, and only there: to all pods of a
 * workload what one of them did; DNS over UDP and TCP where either was seen, as a client goes from
 * one to the other; an address outside as one of everything outside where there are more than
 * {@link RecommendOptions#addressesMax} for one port; of ICMP all codes of a type; what {@link
 * HttpUse} says about paths.
 *
 * <p><b>Less</b> than was seen where the kind cannot say it (a NetworkPolicy has no ICMP and no
 * names): a comment at the policy, a warning, and the flow is not among {@link
 * Recommendation#used}, of which the caller checks by replay that every one passes.
 *
 * <p>Names that an address was learned from become {@code toFQDNs}: those that the workload asked
 * for where that was recorded, else all. They need the DNS rule that goes with them, which teaches
 * the switch what they mean.
 *
 * <p>Thread: one; for one recommendation.
 */
public final class PolicyRecommender {
    private static final int NAME_LENGTH_MAX = 253;

    private final ReplayWorld world;
    private final RecommendOptions options;
    private final NavigableSet<Workload> workloads = new TreeSet<>();
    private final Map<Workload, WorkloadSelector> selectors = new HashMap<>();
    private final NavigableMap<Workload, Draft> drafts = new TreeMap<>();
    private final Map<Workload, Set<String>> queries = new HashMap<>();
    private final NavigableSet<Workload> resolvers = new TreeSet<>();
    private final List<SeenTraffic> used = new ArrayList<>();
    private final NavigableMap<String, Long> inexpressible = new TreeMap<>();
    private final NavigableSet<String> warnings = new TreeSet<>();
    private final NavigableSet<String> leftOut = new TreeSet<>();

    private PolicyRecommender(final ReplayWorld world, final RecommendOptions options) {
        this.world = world;
        this.options = options;
    }

    /**
     * Drafts policies.
     *
     * @param world everybody who was seen, and whom else selectors should tell apart
     * @param traffic what was seen
     */
    public static Recommendation of(
            final ReplayWorld world,
            final RecommendOptions options,
            final Collection<SeenTraffic> traffic) {
        return new PolicyRecommender(world, options).recommend(traffic);
    }

    private Recommendation recommend(final Collection<SeenTraffic> traffic) {
        for (final Pod pod : world.world().pods()) {
            if (pod.isEndpoint()) {
                workloads.add(Workload.of(pod));
            }
        }
        final List<SeenTraffic> passed =
                traffic.stream().filter(seen -> seen.verdict().isAllowed()).toList();
        passed.forEach(this::learn);
        makeDrafts(passed);
        passed.forEach(this::take);
        drafts.values().forEach(this::addResolver);
        drafts.values().forEach(this::complete);
        for (final String namespace : leftOut) {
            warnings.add(
                    namespace + ": pods of this namespace get no policy unless asked for with -n");
        }
        inexpressible.forEach(
                (what, times) -> warnings.add(what + ": flows not covered: " + times));
        final PolicyText text =
                options.kind() == Kind.NETWORK_POLICY
                        ? new NetworkPolicyText(world, this::selector, drafts.values(), options)
                        : new CiliumPolicyText(
                                this::selector, drafts.keySet(), drafts.values(), options);
        return new Recommendation(
                drafts.isEmpty() ? "" : head(passed) + text.write(),
                drafts.size(),
                List.copyOf(used),
                List.copyOf(warnings));
    }

    private static String head(final Collection<SeenTraffic> passed) {
        final Instant first =
                passed.stream()
                        .map(SeenTraffic::first)
                        .min(Comparator.naturalOrder())
                        .orElseThrow();
        final Instant last =
                passed.stream().map(SeenTraffic::last).max(Comparator.naturalOrder()).orElseThrow();
        return "# Drafted from "
                + passed.stream().mapToLong(SeenTraffic::times).sum()
                + " flows that passed between "
                + first
                + " and "
                + last
                + ".\n# What did not happen in that time is denied: read each rule, and apply under"
                + " audit first.\n";
    }

    // Who is who.

    /** Which names a workload asks for, and whom. */
    private void learn(final SeenTraffic seen) {
        final SeenFlow flow = seen.flow();
        final DraftPort port = new DraftPort(flow.protocol(), flow.port());
        if (port.isDns()) {
            workload(flow.to()).ifPresent(resolvers::add);
        }
        final String query = flow.request().getOrDefault("dns", "");
        if (!query.isEmpty()) {
            workload(flow.from())
                    .ifPresent(
                            asking ->
                                    queries.computeIfAbsent(asking, _ -> new HashSet<>())
                                            .add(withoutDot(query)));
        }
    }

    private static String withoutDot(final String name) {
        final String lower = name.toLowerCase(Locale.ROOT);
        return lower.endsWith(".") ? lower.substring(0, lower.length() - 1) : lower;
    }

    private Optional<Workload> workload(final SeenPeer peer) {
        return world.pod(peer).filter(Pod::isEndpoint).map(Workload::of);
    }

    private void makeDrafts(final Collection<SeenTraffic> passed) {
        final NavigableSet<Workload> seen = new TreeSet<>();
        for (final SeenTraffic traffic : passed) {
            workload(traffic.flow().from()).ifPresent(seen::add);
            workload(traffic.flow().to()).ifPresent(seen::add);
        }
        final Set<String> names = new HashSet<>();
        for (final Workload workload : seen) {
            if (!options.wants(workload.namespace())) {
                if (options.namespaces().isEmpty()) {
                    leftOut.add(workload.namespace());
                }
                continue;
            }
            final WorkloadSelector selector = selector(workload);
            drafts.put(workload, new Draft(workload, selector, name(workload, selector, names)));
        }
    }

    private WorkloadSelector selector(final Workload workload) {
        return selectors.computeIfAbsent(workload, asked -> WorkloadSelector.of(asked, workloads));
    }

    /** As the object's name has to be (RFC 1123), and no other of the namespace is. */
    private static String name(
            final Workload workload, final WorkloadSelector selector, final Set<String> names) {
        final String base =
                selector.name()
                        .toLowerCase(Locale.ROOT)
                        .replaceAll("[^a-z0-9]+", "-")
                        .replaceAll("^-|-$", "");
        final String stem = "recommended-" + (base.isEmpty() ? "pods" : base);
        String name = stem.substring(0, Math.min(stem.length(), NAME_LENGTH_MAX - 5));
        for (int i = 2; !names.add(workload.namespace() + "/" + name); i++) {
            name = stem + "-" + i;
        }
        return name;
    }

    // Flows.

    private void take(final SeenTraffic seen) {
        final SeenFlow flow = seen.flow();
        final Optional<Pod> from = world.pod(flow.from()).filter(Pod::isEndpoint);
        final Optional<Pod> to = world.pod(flow.to()).filter(Pod::isEndpoint);
        if (from.isPresent() && to.isPresent() && from.get().ref().equals(to.get().ref())) {
            return;
        }
        final Optional<Draft> sender = from.map(Workload::of).map(drafts::get);
        final Optional<Draft> receiver = to.map(Workload::of).map(drafts::get);
        if (sender.isEmpty() && receiver.isEmpty()) {
            return;
        }
        final Optional<String> why = whyInexpressible(flow);
        if (why.isPresent()) {
            final String what =
                    sender.or(() -> receiver).map(draft -> draft.workload().namespace()).orElse("")
                            + "/"
                            + sender.or(() -> receiver).map(Draft::name).orElse("")
                            + ": "
                            + why.get();
            inexpressible.merge(what, seen.times(), Long::sum);
            List.of(sender, receiver)
                    .forEach(end -> end.ifPresent(draft -> draft.remarks().add(why.get())));
            return;
        }
        boolean covered = true;
        if (sender.isPresent()) {
            covered = take(sender.get(), PolicyDirection.EGRESS, flow.to(), seen);
        }
        if (receiver.isPresent()) {
            covered &= take(receiver.get(), PolicyDirection.INGRESS, flow.from(), seen);
        }
        if (covered) {
            used.add(seen);
        }
    }

    private Optional<String> whyInexpressible(final SeenFlow flow) {
        final DraftPort port = new DraftPort(flow.protocol(), flow.port());
        if (!port.isIcmp() && !IpProtocol.hasPorts(flow.protocol())) {
            return Optional.of(port + ": the kind has no word for this protocol");
        }
        return port.isIcmp() && options.kind() == Kind.NETWORK_POLICY
                ? Optional.of(port + ": a NetworkPolicy cannot allow ICMP")
                : Optional.empty();
    }

    private boolean take(
            final Draft draft,
            final PolicyDirection direction,
            final SeenPeer far,
            final SeenTraffic seen) {
        final Optional<DraftPeer> peer = peer(draft, direction, far, seen.flow());
        if (peer.isEmpty()) {
            inexpressible.merge(
                    draft.workload().namespace()
                            + "/"
                            + draft.name()
                            + ": a peer without an address",
                    seen.times(),
                    Long::sum);
            return false;
        }
        final SeenFlow flow = seen.flow();
        final DraftUse use = draft.use(direction, peer.get(), port(flow));
        if (flow.isRequest()) {
            use.addRequest(flow.request());
        } else {
            use.addFlows(seen.times());
        }
        if (direction == PolicyDirection.EGRESS) {
            use.addNames(flow.names());
        }
        return true;
    }

    /** Of ICMP the type alone can be named. */
    private static DraftPort port(final SeenFlow flow) {
        return new DraftPort(
                flow.protocol(),
                IpProtocol.isIcmp(flow.protocol()) ? flow.port() & 0xff00 : flow.port());
    }

    private Optional<DraftPeer> peer(
            final Draft draft,
            final PolicyDirection direction,
            final SeenPeer far,
            final SeenFlow flow) {
        final Optional<Workload> workload = workload(far);
        if (workload.isPresent()) {
            return workload.map(DraftPeer.OfWorkload::new);
        }
        final Optional<IpAddress> address = IpAddress.parse(far.address());
        if (far.isReserved("host") || far.isReserved("remote-node")) {
            return address.map(at -> new DraftPeer.OfNode(at, far.isReserved("host")));
        }
        if (direction == PolicyDirection.EGRESS
                && options.kind() == Kind.CILIUM_NETWORK_POLICY
                && !flow.names().isEmpty()) {
            return Optional.of(new DraftPeer.Named(asked(draft.workload(), flow.names())));
        }
        return address.map(DraftPeer.At::new);
    }

    /** Of the names of an address those that the workload asked for, as far as that is known. */
    private List<String> asked(final Workload workload, final List<String> names) {
        final Set<String> known = queries.getOrDefault(workload, Set.of());
        final List<String> asked = names.stream().filter(known::contains).toList();
        return asked.isEmpty() ? names : asked;
    }

    // What goes with it.

    private void complete(final Draft draft) {
        for (final PolicyDirection direction : PolicyDirection.values()) {
            draft.generaliseAddresses(direction, options.addressesMax());
        }
        // A client goes on over the other where an answer is too long, or is not trusted.
        for (final NavigableMap<DraftPort, DraftUse> ports :
                draft.side(PolicyDirection.EGRESS).values()) {
            if (ports.keySet().stream().anyMatch(DraftPort::isDns)) {
                ports.computeIfAbsent(DraftPort.DNS_UDP, _ -> new DraftUse());
                ports.computeIfAbsent(DraftPort.DNS_TCP, _ -> new DraftUse());
            }
        }
        if (options.requests()) {
            remarkMixedRequests(draft);
        }
        if (resolvers.contains(draft.workload())) {
            for (final NavigableMap<DraftPort, DraftUse> ports :
                    draft.side(PolicyDirection.INGRESS).values()) {
                if (ports.keySet().stream().anyMatch(DraftPort::isDns)) {
                    ports.computeIfAbsent(DraftPort.DNS_UDP, _ -> new DraftUse());
                    ports.computeIfAbsent(DraftPort.DNS_TCP, _ -> new DraftUse());
                }
            }
        }
    }

    /** Two protocols on one port cannot both be read by a proxy. */
    private void remarkMixedRequests(final Draft draft) {
        for (final PolicyDirection direction : PolicyDirection.values()) {
            draft.side(direction)
                    .values()
                    .forEach(
                            ports ->
                                    ports.forEach(
                                            (port, use) -> {
                                                if (use.parsers() > 1) {
                                                    final String remark =
                                                            port
                                                                    + ": requests of several"
                                                                    + " protocols: no L7 rule";
                                                    draft.remarks().add(remark);
                                                    warnings.add(
                                                            draft.workload().namespace()
                                                                    + "/"
                                                                    + draft.name()
                                                                    + ": "
                                                                    + remark);
                                                }
                                            }));
        }
    }

    /** Names are learned from answers: without a rule for questions they stay unknown. */
    private void addResolver(final Draft draft) {
        final NavigableMap<DraftPeer, NavigableMap<DraftPort, DraftUse>> egress =
                draft.side(PolicyDirection.EGRESS);
        final boolean named = egress.keySet().stream().anyMatch(DraftPeer.Named.class::isInstance);
        final boolean asks =
                egress.values().stream()
                        .flatMap(ports -> ports.keySet().stream())
                        .anyMatch(DraftPort::isDns);
        if (!named || asks) {
            return;
        }
        final Workload resolver =
                resolvers.isEmpty()
                        ? new Workload("kube-system", new TreeMap<>(Map.of("k8s-app", "kube-dns")))
                        : resolvers.first();
        draft.use(PolicyDirection.EGRESS, new DraftPeer.OfWorkload(resolver), DraftPort.DNS_UDP);
        final Draft ofResolver = drafts.get(resolver);
        if (ofResolver != null) {
            ofResolver.use(
                    PolicyDirection.INGRESS,
                    new DraftPeer.OfWorkload(draft.workload()),
                    DraftPort.DNS_UDP);
        }
        final String remark = "no DNS query was seen, but names were: the rule for DNS is a guess";
        draft.remarks().add(remark);
        warnings.add(draft.workload().namespace() + "/" + draft.name() + ": " + remark);
    }
}
