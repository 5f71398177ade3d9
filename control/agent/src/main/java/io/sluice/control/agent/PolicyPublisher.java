package io.sluice.control.agent;

import io.sluice.control.agent.LivePolicy.Route;
import io.sluice.control.agent.PolicyTables.Maps;
import io.sluice.control.agent.PolicyTables.NodeSide;
import io.sluice.control.agent.PolicyTables.PlannedEndpoint;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.L7Rules.Parser;
import io.sluice.control.policy.PersistentMap;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.World;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.table.PolicyMap;
import java.time.Instant;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.Consumer;

/**
 * Compiles the world's policies and publishes them to the lanes, revision by revision.
 *
 * <p>The order is the one that {@link Tables} asks for: maps under the old number, then the ipcache
 * in place, then the maps under the new number. A change of addresses only leaves the maps as they
 * are and begins with the ipcache; a change that leaves the ipcache as it is needs the last step
 * only. What is worked out for a publication is what differs from the one before; all of it only
 * where one failed, or endpoints or the node are others. A publication returns when all lanes have
 * taken the tables between two batches; so maps that are not in them, and nodes that the ipcache
 * had replaced before, are free then. One that fails frees nothing: the next that succeeds does.
 *
 * <p>Recent revisions are kept for the events that still speak of them; an event waits in its ring
 * for milliseconds, and revisions are at least a compilation apart.
 *
 * <p>Thread: {@link #publish} and {@link #publishNames} control; the rest any.
 */
final class PolicyPublisher {
    /** Revisions kept. */
    private static final int REVISIONS_KEPT = 8;

    private final IdentityAllocator identities;
    private final LaneControl lane;
    private final Consumer<Set<Parser>> proxyIsNeeded;
    // Revision to policy. Written by control before the lane can know the revision.
    private final ConcurrentSkipListMap<Integer, LivePolicy> revisions =
            new ConcurrentSkipListMap<>();
    private volatile LivePolicy live;
    // Control only: knows the last world, so that the next costs what is new in it. Another when
    // the options are others.
    private PolicyCompiler compiler;
    private PolicyOptions compiledWith = PolicyOptions.DEFAULTS;
    // Control only. Counts on even when a publication fails, so that a number means one policy.
    private int lastRevision;

    // Control only. What the lane has, or had when a publication failed in between.
    private final Ipcache ipcache = new Ipcache();
    private PersistentMap<Cidr, Route> routes = PersistentMap.empty();
    private final Set<PolicyMap> laidOut = Collections.newSetFromMap(new IdentityHashMap<>());
    private Maps maps;
    private List<PlannedEndpoint> endpoints = List.of();
    private NodeSide node = new NodeSide(Ipcache.NO_PORT, 0, List.of(), Set.of(), List.of());

    /** Whether the lane may have something else than {@link #live} says. */
    private boolean inDoubt;

    private volatile TableSizes sizes = new TableSizes(0, 0, 0, 0);

    /**
     * What the tables take.
     *
     * @param policyMaps distinct policy maps
     * @param policyMapBytes memory of them
     * @param prefixes prefixes of the ipcache
     * @param ipcacheBytes native memory of the ipcache, what is free for other prefixes included
     */
    record TableSizes(int policyMaps, long policyMapBytes, int prefixes, long ipcacheBytes) {}

    /**
     * @param lastRevision revision after which to count on: a number means one policy for as long
     *     as anything may remember it
     * @param identities numbers of identities, for the life of the publisher
     * @param proxyIsNeeded called before tables are published that redirect flows, with those who
     *     have to read them; what it throws keeps the tables from being published
     */
    PolicyPublisher(
            final LaneControl lane,
            final int lastRevision,
            final IdentityAllocator identities,
            final Consumer<Set<Parser>> proxyIsNeeded) {
        this.lane = lane;
        this.proxyIsNeeded = proxyIsNeeded;
        this.identities = identities;
        this.compiler = new PolicyCompiler(identities, PolicyOptions.DEFAULTS);
        this.lastRevision = lastRevision;
        final PolicySet nothing = compiler.update(World.EMPTY);
        maps = Maps.none(nothing);
        live =
                new LivePolicy(
                        lastRevision,
                        Instant.now(),
                        0,
                        World.EMPTY,
                        nothing,
                        new PolicyEvaluator(World.EMPTY, nothing),
                        List.of(),
                        Map.of(),
                        PersistentMap.empty(),
                        Map.of());
        revisions.put(lastRevision, live);
    }

    /** The revision that judges packets now. */
    LivePolicy live() {
        return live;
    }

    /**
     * The revision that judges packets now, or will in a moment: a packet that the lane has judged
     * is never of a newer one.
     */
    LivePolicy newest() {
        return revisions.lastEntry().getValue();
    }

    /** Sizes of the tables as of the last publication. */
    TableSizes sizes() {
        return sizes;
    }

    /** The policy of a revision; the oldest kept for one that is older. */
    LivePolicy ofRevision(final int revision) {
        final Map.Entry<Integer, LivePolicy> entry = revisions.floorEntry(revision);
        return entry != null ? entry.getValue() : revisions.firstEntry().getValue();
    }

    /** Compiles, publishes, and returns when every packet from now on is judged by it. */
    LivePolicy publish(
            final World world,
            final List<PlannedEndpoint> planned,
            final NodeSide nodeNow,
            final PolicyOptions options) {
        final long beginNs = System.nanoTime();
        final Before before =
                inDoubt
                        ? Before.IN_DOUBT
                        : planned.equals(endpoints) && nodeNow.equals(node)
                                ? Before.OF_SAME_ENDPOINTS
                                : Before.OF_OTHERS;
        inDoubt = true;
        endpoints = planned;
        node = nodeNow;
        final LivePolicy next = publish(world, compile(world, options), before, beginNs);
        inDoubt = false;
        return next;
    }

    /** What the lane has when a publication begins. */
    private enum Before {
        /** What {@link #live} says, for these endpoints and this node. */
        OF_SAME_ENDPOINTS,
        /** What {@link #live} says, for others. */
        OF_OTHERS,
        /** That, or part of what failed to be published since. */
        IN_DOUBT
    }

    /**
     * What the policies of a world would be; publishes nothing. Costs what differs from the last
     * world that was compiled, and the next publication what differs from this one.
     */
    PolicySet onTrial(final World world, final PolicyOptions options) {
        return compile(world, options);
    }

    /**
     * Addresses were learned from other names, and nothing else has changed. Costs what differs,
     * unless a combination of rules appears or vanishes that no address had before.
     *
     * <p>Maps that are in force know the identities of such addresses already: the prefixes are set
     * in the ipcache, and the revision stays, because a name that is learned opens and closes
     * nothing that was decided. Where an address loses a name, flows have to be judged again, under
     * a new number.
     *
     * @param changed see {@link World#withChangedNames}
     */
    LivePolicy publishNames(final Map<IpAddress, Set<String>> changed) {
        final long beginNs = System.nanoTime();
        final World world = live.world().withChangedNames(changed);
        final Before before = inDoubt ? Before.IN_DOUBT : Before.OF_SAME_ENDPOINTS;
        inDoubt = true;
        final PolicySet policies = compile(world, compiledWith);
        final LivePolicy next =
                before == Before.IN_DOUBT || !policies.hasMapsOf(live.policies())
                        ? publish(world, policies, before, beginNs)
                        : publishPrefixes(world, policies, beginNs);
        inDoubt = false;
        return next;
    }

    private LivePolicy publishPrefixes(
            final World world, final PolicySet policies, final long beginNs) {
        final LivePolicy before = live;
        boolean judgeAgain = false;
        for (final Map.Entry<Cidr, Optional<Integer>> change :
                policies.prefixesChangedSince(before.policies()).entrySet()) {
            final Cidr prefix = change.getKey();
            judgeAgain |= routes.containsKey(prefix);
            if (change.getValue().isPresent()) {
                setRoute(
                        new Route(
                                prefix,
                                change.getValue().get(),
                                PolicyTables.port(prefix, before.endpointIds(), node)));
            } else {
                removeRoute(prefix);
            }
        }
        final int revision = judgeAgain ? ++lastRevision : before.revision();
        final LivePolicy next =
                new LivePolicy(
                        revision,
                        Instant.now(),
                        System.nanoTime() - beginNs,
                        world,
                        policies,
                        new PolicyEvaluator(world, policies),
                        before.decisions(),
                        before.identities(),
                        routes,
                        before.endpointIds());
        revisions.put(revision, next);
        publishIpcache(tables(revision, maps));
        makeLive(next);
        return next;
    }

    private LivePolicy publish(
            final World world, final PolicySet policies, final Before before, final long beginNs) {
        final int revision = ++lastRevision;
        final boolean sameEndpoints = before == Before.OF_SAME_ENDPOINTS;
        final Maps next = PolicyTables.build(policies, endpoints, node, maps, live.policies());
        final Map<IpAddress, Integer> ids =
                sameEndpoints ? live.endpointIds() : PolicyTables.endpointIds(endpoints, node);
        final Map<Cidr, Optional<Route>> changedRoutes =
                sameEndpoints ? changedRoutes(policies, ids) : allChangedRoutes(policies, ids);
        final LivePolicy policy =
                new LivePolicy(
                        revision,
                        Instant.now(),
                        System.nanoTime() - beginNs,
                        world,
                        policies,
                        new PolicyEvaluator(world, policies),
                        next.decisions(),
                        policies.hasIdentitiesOf(live.policies())
                                ? live.identities()
                                : byNumber(policies.identities()),
                        with(routes, changedRoutes),
                        ids);
        if (!next.parsers().isEmpty()) {
            proxyIsNeeded.accept(next.parsers());
        }
        revisions.put(revision, policy);
        putInForce(next, changedRoutes, revision, before);
        makeLive(policy);
        return policy;
    }

    private static Map<Integer, Identity> byNumber(final List<Identity> identities) {
        final Map<Integer, Identity> byNumber = new HashMap<>();
        identities.forEach(identity -> byNumber.put(identity.number(), identity));
        return byNumber;
    }

    private void makeLive(final LivePolicy next) {
        live = next;
        while (revisions.size() > REVISIONS_KEPT) {
            revisions.pollFirstEntry();
        }
    }

    /**
     * Routes of a policy that are others than those in force, none where one goes; costs what
     * differs, endpoints and node being the same.
     */
    private Map<Cidr, Optional<Route>> changedRoutes(
            final PolicySet policies, final Map<IpAddress, Integer> ids) {
        final Map<Cidr, Optional<Route>> changed = new HashMap<>();
        for (final Map.Entry<Cidr, Optional<Integer>> change :
                policies.prefixesChangedSince(live.policies()).entrySet()) {
            final Cidr prefix = change.getKey();
            if (prefix.lengthBits() != prefix.network().familyBits()) {
                // It may be a pool, or be around one, whose route then is another.
                return allChangedRoutes(policies, ids);
            }
            changed.put(
                    prefix,
                    change.getValue()
                            .map(
                                    identity ->
                                            new Route(
                                                    prefix,
                                                    identity,
                                                    PolicyTables.port(prefix, ids, node))));
        }
        return changed;
    }

    private Map<Cidr, Optional<Route>> allChangedRoutes(
            final PolicySet policies, final Map<IpAddress, Integer> ids) {
        final Map<Cidr, Optional<Route>> changed = new HashMap<>();
        final Set<Cidr> gone = new HashSet<>(routes.keySet());
        for (final Route route : PolicyTables.routes(policies, ids, node)) {
            gone.remove(route.prefix());
            if (!route.equals(routes.get(route.prefix()))) {
                changed.put(route.prefix(), Optional.of(route));
            }
        }
        gone.forEach(prefix -> changed.put(prefix, Optional.empty()));
        return changed;
    }

    private static PersistentMap<Cidr, Route> with(
            final PersistentMap<Cidr, Route> routes, final Map<Cidr, Optional<Route>> changes) {
        PersistentMap<Cidr, Route> next = routes;
        for (final Map.Entry<Cidr, Optional<Route>> change : changes.entrySet()) {
            next =
                    change.getValue().isPresent()
                            ? next.with(change.getKey(), change.getValue().get())
                            : next.without(change.getKey());
        }
        return next;
    }

    private void putInForce(
            final Maps next,
            final Map<Cidr, Optional<Route>> changedRoutes,
            final int revision,
            final Before before) {
        final Tables tables = tables(revision, next);
        laidOut.addAll(next.policyMaps());
        final boolean isOneStep = changedRoutes.isEmpty() && before != Before.IN_DOUBT;
        if (!isOneStep && !next.equals(maps)) {
            lane.publish(tables.withRevision(live.revision()));
            maps = next;
        }
        changedRoutes.forEach(
                (prefix, route) ->
                        route.ifPresentOrElse(this::setRoute, () -> removeRoute(prefix)));
        publishIpcache(tables);
        maps = next;
        final Set<PolicyMap> inForce = next.policyMaps();
        laidOut.removeIf(
                map -> {
                    final boolean isGone = !inForce.contains(map);
                    if (isGone) {
                        map.free();
                    }
                    return isGone;
                });
        sizes =
                new TableSizes(
                        inForce.size(),
                        inForce.stream().mapToLong(PolicyMap::bytes).sum(),
                        ipcache.size(),
                        ipcache.bytes());
    }

    private Tables tables(final int revision, final Maps of) {
        return new Tables(
                revision,
                of.byPort(),
                Endpoint.proxy(TapPorts.PROXY_MAC, SluiceConfig.MTU_BYTES_MAX),
                ipcache);
    }

    /** Returns when every lane is between two batches, so that what was replaced before is free. */
    private void publishIpcache(final Tables tables) {
        ipcache.seal();
        lane.publish(tables);
        ipcache.reclaim();
    }

    private void setRoute(final Route route) {
        final Cidr prefix = route.prefix();
        routes = routes.with(prefix, route);
        ipcache.put(
                prefix.network().high(),
                prefix.network().low(),
                lengthOf(prefix),
                route.identity(),
                route.port());
    }

    private void removeRoute(final Cidr prefix) {
        routes = routes.without(prefix);
        ipcache.remove(prefix.network().high(), prefix.network().low(), lengthOf(prefix));
    }

    /** Length in the 128-bit space of the ipcache. */
    private static int lengthOf(final Cidr prefix) {
        return prefix.lengthBits() + 128 - prefix.network().familyBits();
    }

    private PolicySet compile(final World world, final PolicyOptions options) {
        if (!options.equals(compiledWith)) {
            compiler = new PolicyCompiler(identities, options);
            compiledWith = options;
        }
        try {
            return compiler.update(world);
        } catch (final RuntimeException e) {
            // It may have taken part of the world in; the next must not be built on that.
            compiler = new PolicyCompiler(identities, options);
            throw e;
        }
    }
}
