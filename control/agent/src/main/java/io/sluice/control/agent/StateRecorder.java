package io.sluice.control.agent;

import io.sluice.control.agent.state.IdentityRow;
import io.sluice.control.agent.state.PrefixRow;
import io.sluice.control.agent.state.StateStore;
import io.sluice.control.agent.state.StateStore.Publication;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.ObjectRef;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Hands what is live to the state folder, so that {@code identity list} and {@code ipcache list}
 * have the same answers with the daemon down.
 *
 * <p>Thread: {@link #record} control; the rows are made on the store's.
 */
final class StateRecorder {
    private final StateStore store;
    private final List<AddressPool> pools;
    private Optional<Recorded> last = Optional.empty();

    /** What the rows are made from. */
    private record Recorded(LivePolicy live, List<String> endpoints) {
        // Routes that did not change are the same map.
        @SuppressWarnings("ReferenceEquality")
        boolean hasRowsOf(final Recorded other) {
            return live.routes() == other.live.routes()
                    && live.policies().hasIdentitiesOf(other.live.policies())
                    && endpoints.equals(other.endpoints);
        }
    }

    StateRecorder(final StateStore store, final List<AddressPool> pools) {
        this.store = store;
        this.pools = pools;
    }

    /** What cannot be remembered now, a sentence each. */
    List<String> problems() {
        return store.problems();
    }

    /**
     * Hands over the live policy with the endpoints as they are, unless it is as handed over last;
     * returns at once.
     */
    void record(final LivePolicy live, final List<Endpoints.View> endpoints) {
        final Recorded now =
                new Recorded(
                        live,
                        endpoints.stream()
                                .map(view -> view.id() + " " + view.spec().path())
                                .toList());
        if (last.isEmpty() || !now.hasRowsOf(last.get())) {
            store.published(() -> publication(live, endpoints));
        }
        last = Optional.of(now);
    }

    private Publication publication(final LivePolicy live, final List<Endpoints.View> endpoints) {
        final Map<Integer, Integer> counts = endpointCounts(live, endpoints);
        final List<IdentityRow> identities =
                live.policies().identities().stream()
                        .map(
                                identity ->
                                        new IdentityRow(
                                                identity.number(),
                                                "",
                                                true,
                                                identity.labels(),
                                                counts.getOrDefault(identity.number(), 0)))
                        .toList();
        final Map<Integer, String> paths = new HashMap<>();
        endpoints.forEach(view -> paths.put(view.id(), view.spec().path()));
        final Set<Cidr> poolPrefixes = new HashSet<>();
        pools.forEach(pool -> poolPrefixes.add(pool.prefix()));
        final List<PrefixRow> prefixes =
                live.ipcache().stream().map(route -> row(route, paths, poolPrefixes)).toList();
        return new Publication(identities, prefixes);
    }

    /** How many endpoints have each identity; those that none has are left out. */
    static Map<Integer, Integer> endpointCounts(
            final LivePolicy live, final List<Endpoints.View> endpoints) {
        final Map<Integer, Integer> counts = new HashMap<>();
        for (final Endpoints.View view : endpoints) {
            live.policies()
                    .identityOf(ObjectRef.pod(view.spec().namespace(), view.spec().name()))
                    .ifPresent(identity -> counts.merge(identity.number(), 1, Integer::sum));
        }
        return counts;
    }

    private static PrefixRow row(
            final LivePolicy.Route route,
            final Map<Integer, String> paths,
            final Set<Cidr> poolPrefixes) {
        final String endpoint = paths.getOrDefault(route.port(), "");
        final PrefixRow.Source source =
                !endpoint.isEmpty()
                        ? PrefixRow.Source.ENDPOINT
                        : poolPrefixes.contains(route.prefix())
                                ? PrefixRow.Source.POOL
                                : PrefixRow.Source.OBJECTS;
        return new PrefixRow(route.prefix(), route.identity(), source, endpoint);
    }
}
