package io.sluice.control.agent;

import io.sluice.conntrack.Conntrack;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.L7Rules.Parser;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.TlsContexts;
import io.sluice.dataplane.ProxyLegs;
import io.sluice.dataplane.wire.IpProtocol;
import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.FlowPolicy;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.OriginalDestination;
import io.sluice.l7proxy.SideRules;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * What the L7 proxy asks of the switch: which flow a connection is, and what policy says of it now.
 *
 * <p>The server's port is in the conntrack table ({@link ProxyLegs}). Everything else follows from
 * the addresses of both sides in the newest policy, as for a packet: their identities, the client's
 * egress map and the server's ingress map, if they are endpoints of this node.
 *
 * <p>Thread: any, the proxy's event loops. {@link #find} holds a lock for one lookup in the table;
 * {@link FlowPolicy#now} is a volatile read as long as the policy is the same.
 */
final class RedirectedFlows implements OriginalDestination {
    private static final FlowRules NOTHING =
            new FlowRules(
                    0,
                    L7Rulings.side(
                            PolicyEntry.deny(PolicyEntry.Reason.POLICY_DENIED, Author.DEFAULT)),
                    L7Rulings.side(
                            PolicyEntry.deny(PolicyEntry.Reason.POLICY_DENIED, Author.DEFAULT)));

    private final ProxyLegs legs;
    private final Supplier<LivePolicy> policy;
    private final RuleCounts counts;
    private final LongSupplier clockNs;

    /**
     * @param table of the lane
     * @param policy the newest
     * @param counts told which rules decide about flows
     * @param clockNs the lane's
     */
    RedirectedFlows(
            final Conntrack table,
            final Supplier<LivePolicy> policy,
            final RuleCounts counts,
            final LongSupplier clockNs) {
        this.legs = new ProxyLegs(table.anotherLane());
        this.policy = policy;
        this.counts = counts;
        this.clockNs = clockNs;
    }

    @Override
    public Optional<Flow> find(final InetSocketAddress client, final InetSocketAddress local) {
        final IpAddress from = address(client.getAddress());
        final IpAddress to = address(local.getAddress());
        final int port = serverPort(from, client.getPort(), to, local.getPort());
        if (port == ProxyLegs.NO_PORT) {
            return Optional.empty();
        }
        final LivePolicy now = policy.get();
        return Optional.of(
                new Flow(
                        client,
                        new InetSocketAddress(local.getAddress(), port),
                        now.policies().identityAt(from).number(),
                        now.policies().identityAt(to).number(),
                        new CurrentRules(new Ends(from, client.getPort(), to, port))));
    }

    // The legs are one view of the table, for one thread at a time.
    private synchronized int serverPort(
            final IpAddress from, final int fromPort, final IpAddress to, final int listener) {
        return legs.serverPort(
                from.high(),
                from.low(),
                fromPort,
                to.high(),
                to.low(),
                listener,
                clockNs.getAsLong());
    }

    static IpAddress address(final InetAddress address) {
        return IpAddress.parse(address.getHostAddress()).orElseThrow();
    }

    /**
     * The TLS towards both ends. One hop stands for two: where both sides' policies take TLS off
     * and put it on, the client meets that of its own side, the server that of its own, and what
     * would be between the two falls away.
     */
    TlsContexts tls(final Flow flow) {
        final LivePolicy now = policy.get();
        final Ends ends = ends(flow);
        final TlsContexts egress = L7Rulings.tls(ends.verdict(now, PolicyDirection.EGRESS));
        final TlsContexts ingress = L7Rulings.tls(ends.verdict(now, PolicyDirection.INGRESS));
        return new TlsContexts(
                egress.terminating().isPresent() || egress.originating().isPresent()
                        ? egress.terminating()
                        : ingress.terminating(),
                ingress.terminating().isPresent() || ingress.originating().isPresent()
                        ? ingress.originating()
                        : egress.originating(),
                egress.isUsable() && ingress.isUsable());
    }

    /** Who reads a flow: the client's policy is asked first. */
    Optional<Parser> parser(final Flow flow) {
        final LivePolicy now = policy.get();
        final Ends ends = ends(flow);
        return L7Rulings.parser(ends.verdict(now, PolicyDirection.EGRESS))
                .or(() -> L7Rulings.parser(ends.verdict(now, PolicyDirection.INGRESS)));
    }

    private static Ends ends(final Flow flow) {
        return new Ends(
                address(flow.client().getAddress()),
                flow.client().getPort(),
                address(flow.server().getAddress()),
                flow.server().getPort());
    }

    /** The addresses of a flow. */
    private record Ends(IpAddress client, int clientPort, IpAddress server, int serverPort) {
        PolicyEntry verdict(final LivePolicy policy, final PolicyDirection direction) {
            final boolean isEgress = direction == PolicyDirection.EGRESS;
            final IpAddress peer = isEgress ? server : client;
            return policy.world()
                    .podAt(isEgress ? client : server)
                    .map(Pod::ref)
                    .flatMap(pod -> policy.policies().policyMap(pod, direction))
                    .map(
                            map ->
                                    map.program(policy.policies().identityAt(peer).number())
                                            .lookup(IpProtocol.TCP, clientPort, serverPort))
                    // A side outside the switch has no say here.
                    .orElse(PolicyEntry.allow(Author.DEFAULT));
        }

        FlowRules rules(final LivePolicy policy, final RuleCounts counts) {
            return new FlowRules(
                    policy.revision(),
                    side(policy, PolicyDirection.EGRESS, counts),
                    side(policy, PolicyDirection.INGRESS, counts));
        }

        private SideRules side(
                final LivePolicy policy, final PolicyDirection direction, final RuleCounts counts) {
            final PolicyEntry entry = verdict(policy, direction);
            L7Rulings.authors(entry).forEach(author -> counts.name(author, policy.revision()));
            return L7Rulings.side(entry);
        }
    }

    /** The rules for one flow, worked out once per revision. */
    private final class CurrentRules implements FlowPolicy {
        private final Ends ends;

        /** What was worked out last, and for which policy: another thread may do it again. */
        private volatile FlowRules rules = NOTHING;

        CurrentRules(final Ends ends) {
            this.ends = ends;
        }

        @Override
        public FlowRules now() {
            final LivePolicy newest = policy.get();
            FlowRules known = rules;
            if (known.revision() != newest.revision()) {
                known = ends.rules(newest, counts);
                rules = known;
            }
            return known;
        }
    }
}
