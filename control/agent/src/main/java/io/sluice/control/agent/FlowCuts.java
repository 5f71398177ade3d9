package io.sluice.control.agent;

import io.sluice.conntrack.FlowSnapshot;
import io.sluice.conntrack.FlowState;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.control.agent.CutsReport.Pair;
import io.sluice.control.agent.CutsReport.Reason;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.World;
import io.sluice.dataplane.Tables;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Which open flows another policy would cut.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A flow is judged twice, by the policy in force and by the other one, as the lane judges it
 * when its next packet comes: the identities of both addresses, the initiator's egress map, then
 * the responder's ingress map, where the side is an endpoint of this node. The maps are those that
 * the lane's are laid out from; there is no second engine. What only the other one denies is cut.
 * So is a TCP connection that L7 rules begin to read: the proxy's kernel knows nothing of it and
 * resets it. An endpoint that the other world lacks takes its flows with it.
 *
 * <p>Open is what conntrack has and lets pass, but for connections that are over (both FINs, or
 * RST). One whose verdict is DENY was cut before and does not count, unless by the other policy,
 * which is in force by now.
 *
 * <p>Limits. Each flow costs a handful of lookups, about a microsecond, and is forgotten; kept are
 * counts by pair, port and reason, {@link #PAIRS_KEPT} of them: flows of further pairs are in the
 * total only. Requests inside a connection that goes through the proxy already are not flows: a
 * rule that denies them denies requests.
 *
 * <p>Thread: any; conntrack is read as {@code ct list} reads it, slot by slot without a lock.
 */
final class FlowCuts {
    /** Pairs that are told apart while counting: 2 MiB; the report has far fewer. */
    private static final int PAIRS_KEPT = 10_000;

    /** In the place of a revision: a flow that was denied was cut before. */
    static final int NOT_IN_FORCE = -1;

    /** An IP protocol number that no packet's flow has: entries of the L7 proxy's. */
    private static final int LEG_PROTOCOL = 255;

    private static final int ICMP_ECHO_REQUEST = 8;
    private static final int ICMPV6_ECHO_REQUEST = 128;

    /**
     * The other policy.
     *
     * @param revision its number where it is in force by now, else {@link #NOT_IN_FORCE}
     */
    record Other(World world, PolicySet policies, int revision) {
        static Other of(final LivePolicy policy) {
            return new Other(policy.world(), policy.policies(), policy.revision());
        }
    }

    private record Key(String from, String to, int protocol, int port, Reason reason, String by) {}

    private final LivePolicy before;
    private final Other other;
    private final Map<Key, Integer> pairs = new HashMap<>();
    private int open;
    private int cut;

    private FlowCuts(final LivePolicy before, final Other other) {
        this.before = before;
        this.other = other;
    }

    /**
     * Judges flows.
     *
     * @param before policy that they were judged by
     * @param flows calls its argument with every flow
     */
    static CutsReport of(
            final LivePolicy before,
            final Other other,
            final Consumer<Consumer<FlowSnapshot>> flows) {
        final FlowCuts cuts = new FlowCuts(before, other);
        flows.accept(cuts::judge);
        return cuts.report();
    }

    private CutsReport report() {
        final List<Pair> listed =
                pairs.entrySet().stream()
                        .map(
                                pair ->
                                        new Pair(
                                                pair.getKey().from(),
                                                pair.getKey().to(),
                                                IpProtocol.nameOf(pair.getKey().protocol()),
                                                pair.getKey().port(),
                                                pair.getValue(),
                                                pair.getKey().reason(),
                                                pair.getKey().by()))
                        .sorted(
                                Comparator.comparingInt(Pair::flows)
                                        .reversed()
                                        .thenComparing(Pair::from)
                                        .thenComparing(Pair::to)
                                        .thenComparingInt(Pair::port)
                                        .thenComparing(Pair::protocol))
                        .limit(CutsReport.PAIRS_MAX)
                        .toList();
        return new CutsReport(open, cut, listed, "");
    }

    private void judge(final FlowSnapshot flow) {
        if (flow.protocol() == LEG_PROTOCOL
                || flow.state() == FlowState.CLOSING
                || flow.state() == FlowState.CLOSED
                || (flow.verdict() == FlowVerdict.DENY
                        && (other.revision() == NOT_IN_FORCE
                                || flow.policyRevision() < other.revision()))) {
            return;
        }
        final IpAddress from = new IpAddress(flow.initiatorHigh(), flow.initiatorLow());
        final IpAddress to = new IpAddress(flow.responderHigh(), flow.responderLow());
        final Optional<Pod> sender = endpoint(from);
        final Optional<Pod> receiver = endpoint(to);
        final World world = before.world();
        final PolicySet policies = before.policies();
        if (isDenied(entry(world, policies, sender, to, flow, PolicyDirection.EGRESS))
                || isDenied(
                        entry(world, policies, receiver, from, flow, PolicyDirection.INGRESS))) {
            return;
        }
        open++;
        if (isUnplugged(sender) || isUnplugged(receiver)) {
            count(flow, from, to, Reason.UNPLUGGED, "");
            return;
        }
        final Optional<PolicyEntry> egress =
                entry(other.world(), other.policies(), sender, to, flow, PolicyDirection.EGRESS);
        final Optional<PolicyEntry> ingress =
                entry(
                        other.world(),
                        other.policies(),
                        receiver,
                        from,
                        flow,
                        PolicyDirection.INGRESS);
        if (isDenied(egress)) {
            count(flow, from, to, Reason.EGRESS_DENIED, egress.orElseThrow().by().toString());
        } else if (isDenied(ingress)) {
            count(flow, from, to, Reason.INGRESS_DENIED, ingress.orElseThrow().by().toString());
        } else if (flow.verdict() == FlowVerdict.ALLOW && flow.protocol() == IpProtocol.TCP) {
            egress.filter(FlowCuts::isRead)
                    .or(() -> ingress.filter(FlowCuts::isRead))
                    .ifPresent(
                            entry ->
                                    count(
                                            flow,
                                            from,
                                            to,
                                            Reason.READ_FROM_NOW_ON,
                                            entry.by().toString()));
        }
    }

    /** The Pod of an address that is an endpoint's of this node. */
    private Optional<Pod> endpoint(final IpAddress address) {
        final int id = before.endpointIds().getOrDefault(address, Tables.RESOLVER_PORT);
        return id == Tables.RESOLVER_PORT ? Optional.empty() : before.world().podAt(address);
    }

    private boolean isUnplugged(final Optional<Pod> endpoint) {
        return endpoint.isPresent() && other.world().lookup(endpoint.get().ref()).isEmpty();
    }

    /** What a side says; empty where it has no say. */
    private static Optional<PolicyEntry> entry(
            final World world,
            final PolicySet policies,
            final Optional<Pod> side,
            final IpAddress peer,
            final FlowSnapshot flow,
            final PolicyDirection direction) {
        return side.map(Pod::ref)
                .filter(pod -> world.lookup(pod).isPresent())
                .flatMap(pod -> policies.policyMap(pod, direction))
                .map(
                        map ->
                                map.program(policies.numberAt(peer))
                                        .lookup(
                                                flow.protocol(),
                                                flow.initiatorTransportPort(),
                                                policyPort(flow)));
    }

    /** As the lane's: of echo the request, of everything else the responder's port. */
    private static int policyPort(final FlowSnapshot flow) {
        return switch (flow.protocol()) {
            case IpProtocol.ICMP -> ICMP_ECHO_REQUEST << 8;
            case IpProtocol.ICMPV6 -> ICMPV6_ECHO_REQUEST << 8;
            default -> flow.responderTransportPort();
        };
    }

    private static boolean isDenied(final Optional<PolicyEntry> entry) {
        return entry.isPresent() && !entry.get().isAllowed();
    }

    private static boolean isRead(final PolicyEntry entry) {
        return L7Rulings.parser(entry).isPresent();
    }

    private void count(
            final FlowSnapshot flow,
            final IpAddress from,
            final IpAddress to,
            final Reason reason,
            final String by) {
        cut++;
        final Key key =
                new Key(
                        name(from),
                        name(to),
                        flow.protocol(),
                        IpProtocol.hasPorts(flow.protocol()) ? flow.responderTransportPort() : 0,
                        reason,
                        by);
        if (pairs.size() < PAIRS_KEPT || pairs.containsKey(key)) {
            pairs.merge(key, 1, Integer::sum);
        }
    }

    private String name(final IpAddress address) {
        return before.world()
                .podAt(address)
                .map(pod -> pod.ref().path())
                .orElseGet(address::toString);
    }
}
