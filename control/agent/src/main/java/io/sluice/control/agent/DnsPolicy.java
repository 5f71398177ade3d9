package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.L7Rules;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyEntry.Redirect;
import io.sluice.control.policy.World;
import io.sluice.dataplane.wire.IpProtocol;
import io.sluice.dnsproxy.DnsFlow;
import io.sluice.dnsproxy.DnsRules;
import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import io.sluice.dnsproxy.wire.Address;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The live policy, as far as names go: what an endpoint may ask a server for. The same maps that
 * {@code policy eval} answers from.
 *
 * <p>Patterns are made into an index once per entry, however many endpoints and ports have it. What
 * was found for an address or a server is remembered until the next publication, or until there are
 * {@value #REMEMBERED_MAX} of them: a client asks one or two servers, thousands of times.
 *
 * <p>Thread: the DNS agent's, but for {@link #lookupEndpoint}.
 */
final class DnsPolicy implements DnsRules {
    private static final Allowed NOTHING = new Allowed(NamePatternIndex.NONE, false);
    private static final NamePattern EVERY_NAME = NamePattern.parse("*");

    /** A megabyte at most; a node has a few hundred endpoints. */
    private static final int REMEMBERED_MAX = 4096;

    private record Server(
            String endpoint, Address address, DnsFlow.Transport transport, int port) {}

    private final Supplier<LivePolicy> live;

    // Of the revision that was seen last: entries stay what they are when addresses come and go.
    private int revision = -1;
    private final IdentityHashMap<PolicyEntry, Allowed> byEntry = new IdentityHashMap<>();

    // Of the policy that was seen last, addresses included.
    private @Nullable LivePolicy seen;
    private final Map<Server, Allowed> byServer = new HashMap<>();
    private final Map<Address, Optional<String>> endpoints = new HashMap<>();

    DnsPolicy(final Supplier<LivePolicy> live) {
        this.live = live;
    }

    /** The endpoint at an address, as {@code namespace/name}; empty if there is none. */
    Optional<String> endpointAt(final Address address) {
        final LivePolicy policy = policyOfNow();
        Optional<String> endpoint = endpoints.get(address);
        if (endpoint == null) {
            endpoint = endpoint(policy, address);
            remember(endpoints, address, endpoint);
        }
        return endpoint;
    }

    /** The same, remembering nothing. Thread: any. */
    Optional<String> lookupEndpoint(final Address address) {
        return endpoint(live.get(), address);
    }

    private static Optional<String> endpoint(final LivePolicy policy, final Address address) {
        return policy.world()
                .podAt(new IpAddress(address.high(), address.low()))
                .map(Pod::ref)
                .map(ref -> ref.namespace() + "/" + ref.name());
    }

    // Whether it is the very same one is all that has to be known, and is known at once.
    @SuppressWarnings("ReferenceEquality")
    private LivePolicy policyOfNow() {
        final LivePolicy policy = live.get();
        if (policy != seen) {
            seen = policy;
            if (policy.revision() != revision) {
                revision = policy.revision();
                byEntry.clear();
            }
            byServer.clear();
            endpoints.clear();
        }
        return policy;
    }

    private static <K, V> void remember(final Map<K, V> where, final K key, final V value) {
        if (where.size() >= REMEMBERED_MAX) {
            where.clear();
        }
        where.put(key, value);
    }

    /** Whether the live policy has no such pod; never before there is a policy. */
    boolean isGone(final String endpoint) {
        final World world = live.get().world();
        return world.size() > 0 && world.lookup(pod(endpoint)).isEmpty();
    }

    /** The pod that {@link #endpointAt} named. */
    static ObjectRef pod(final String endpoint) {
        final int slash = endpoint.indexOf('/');
        return ObjectRef.pod(endpoint.substring(0, slash), endpoint.substring(slash + 1));
    }

    @Override
    public Allowed of(final DnsFlow flow) {
        final LivePolicy policy = policyOfNow();
        final Server server =
                new Server(flow.endpoint(), flow.server(), flow.transport(), flow.serverPort());
        Allowed allowed = byServer.get(server);
        if (allowed == null) {
            allowed =
                    entry(policy, flow.endpoint(), flow.server(), protocol(flow), flow.serverPort())
                            .map(entry -> byEntry.computeIfAbsent(entry, DnsPolicy::allowed))
                            .orElse(NOTHING);
            remember(byServer, server, allowed);
        }
        return allowed;
    }

    /** Whether the endpoint's policy asks for its queries to be read. */
    boolean isUnderRules(final DnsFlow flow) {
        return entry(live.get(), flow.endpoint(), flow.server(), protocol(flow), flow.serverPort())
                .filter(DnsPolicy::isForAgent)
                .isPresent();
    }

    /** What an endpoint's policy says of an address and port. */
    static Optional<PolicyEntry> entry(
            final LivePolicy policy,
            final String endpoint,
            final Address far,
            final int protocol,
            final int port) {
        return policy.policies()
                .policyMap(pod(endpoint), PolicyDirection.EGRESS)
                .map(
                        map ->
                                map.program(policy.identityOf(new IpAddress(far.high(), far.low())))
                                        .lookup(protocol, 0, port));
    }

    private static int protocol(final DnsFlow flow) {
        return switch (flow.transport()) {
            case UDP -> IpProtocol.UDP;
            case TCP -> IpProtocol.TCP;
        };
    }

    /**
     * Whether the agent reads queries that such an entry lets pass. Also where all of them pass,
     * for what answers teach; and where only audited policies ask, so that what they would deny is
     * reported.
     */
    static boolean isForAgent(final PolicyEntry entry) {
        return redirect(entry)
                .map(redirect -> redirect.rules().parser() == L7Rules.Parser.DNS)
                .orElse(false);
    }

    private static Optional<Redirect> redirect(final PolicyEntry entry) {
        return switch (entry.verdict()) {
            case REDIRECT -> entry.redirect();
            case ALLOW -> entry.audited().flatMap(PolicyEntry::redirect);
            case DENY -> Optional.empty();
        };
    }

    private static Allowed allowed(final PolicyEntry entry) {
        final boolean isAudited = entry.verdict() == PolicyEntry.Verdict.ALLOW;
        final List<NamePattern> patterns = new ArrayList<>();
        PolicyEntry asked = isAudited ? entry.audited().orElse(entry) : entry;
        boolean passesAll = false;
        while (asked.redirect().isPresent()) {
            final Redirect redirect = asked.redirect().get();
            passesAll |= redirect.rules().matchesAll();
            patterns.addAll(redirect.rules().dns());
            asked = redirect.otherwise();
        }
        if (passesAll || asked.isAllowed()) {
            patterns.add(EVERY_NAME);
        }
        return new Allowed(NamePatternIndex.of(patterns), isAudited);
    }
}
