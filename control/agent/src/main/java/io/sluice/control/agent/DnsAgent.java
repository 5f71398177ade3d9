package io.sluice.control.agent;

import io.sluice.control.agent.dns.Resolver;
import io.sluice.control.agent.dns.TcpMessages;
import io.sluice.control.agent.state.NameChanges;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.Punt;
import io.sluice.dataplane.PuntRing;
import io.sluice.dataplane.PuntRings;
import io.sluice.dnsproxy.DnsClock;
import io.sluice.dnsproxy.DnsEnd;
import io.sluice.dnsproxy.DnsEvents;
import io.sluice.dnsproxy.DnsExchange;
import io.sluice.dnsproxy.DnsExchange.Releases;
import io.sluice.dnsproxy.DnsExchange.Step;
import io.sluice.dnsproxy.DnsFlow;
import io.sluice.dnsproxy.DnsLimits;
import io.sluice.dnsproxy.cache.FqdnCache;
import io.sluice.dnsproxy.cache.FqdnLimits;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.cache.FqdnStore;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import io.sluice.dnsproxy.wire.Address;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread on which names are judged and learned.
 *
 * <h2>Theory of operation</h2>
 *
 * <pre>
 *   lane --ring--&gt; punt -&gt; DnsExchange -&gt; give back: release | replace | answer | drop  --ring--&gt; lane
 *                              |
 *                              +-&gt; LearnedNames -&gt; control -&gt; confirmed -&gt; held answers given back
 * </pre>
 *
 * <p>Every datagram of a flow under DNS rules comes through here, and every one is given back
 * exactly once. An answer whose addresses are new waits here, as its frame, until control has
 * confirmed that the lane has them ({@link LearnedNames}). So the order that a client sees is:
 * tables, then answer.
 *
 * <p>What is sent to the switch's own resolver ({@link Resolver}) ends here: it is answered by
 * turning its own frame around. Where the flow is under DNS rules, question and answer pass the
 * exchange like those of any other server.
 *
 * <p>Addresses whose time is over are let go of once a second, after a look at the flows ({@link
 * FlowAddresses}) on a thread of its own, because it walks the whole conntrack table. Endpoints
 * that the live policy does not have any more are forgotten.
 *
 * <p>It spins for a moment and then sleeps; the lane wakes it, and it wakes the lane once a turn,
 * not for every datagram: that is what a query costs where both share a processor. Whatever others
 * want of it is a task in its mailbox. The mailbox is not bounded: its tasks are confirmations, of
 * which there are no more than batches, and requests of the API.
 *
 * <p>Failures. A full ring to the lane is waited for, as the lane never waits for this thread. A
 * datagram that cannot be judged for an error of ours is dropped: a gap must fail closed.
 *
 * <p>Thread: its own, {@code sluice-dns}; {@link #post}, {@link #call}, {@link #onLive} any.
 */
final class DnsAgent implements KnownNames, TcpMessages, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(DnsAgent.class);

    private static final int PUNTS_PER_TURN = 64;

    /**
     * Turns without work before it sleeps: a microsecond. Longer ones take the processor from the
     * lane where both share one, and found no more work where they do not.
     */
    private static final int SPIN_TURNS = 10;

    /** Time-outs are looked at so often; while something may run out, it sleeps no longer. */
    private static final long TICK_NS = TimeUnit.MILLISECONDS.toNanos(20);

    private static final long SLOW_TICK_NS = TimeUnit.SECONDS.toNanos(1);

    /** Wait for room in the ring to the lane, whose turn takes some 100 us. */
    private static final long FULL_RING_WAIT_NS = TimeUnit.MICROSECONDS.toNanos(20);

    /** Addresses that one pass lets go of before messages have their turn again. */
    private static final int EXPIRED_PER_TASK = 1_000;

    private static final int CALL_SECONDS = 10;

    /** The resolver itself gives up sooner, and says so. */
    private static final long RESOLVE_MS = TimeUnit.SECONDS.toMillis(15);

    private static final byte[] NO_DATA = new byte[0];

    /** What it tells, and asks for. */
    record Outside(
            DnsPolicy policy,
            LearnedNames names,
            ReleasedAddresses released,
            FlowAddresses flows,
            FqdnStore store,
            DnsEvents events,
            Resolver resolver) {}

    private final PuntRings punts;
    private final Outside outside;
    private final DnsClock clock;
    private final FqdnCache cache;
    private final DnsExchange exchange;
    private final Thread thread;
    private final ConcurrentLinkedQueue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private volatile boolean running = true;

    // The agent's own.
    private final Map<Long, Held> held = new HashMap<>();
    private final Map<Long, Resolving> resolving = new LinkedHashMap<>();
    private long resolves;
    private final Releases releases = new HeldAnswers();
    private List<Address> answered = List.of();
    private boolean looking;
    private volatile Map<DnsEnd, Long> counts =
            Stream.of(DnsEnd.values()).collect(Collectors.toUnmodifiableMap(end -> end, end -> 0L));

    /** An answer that waits: how it goes on, and how another goes in its place. */
    private record Held(
            Runnable release, Consumer<byte[]> answer, String endpoint, List<Address> addresses) {}

    /** A query that the resolver has. */
    private record Resolving(Punt punt, long deadlineMs) {}

    DnsAgent(
            final PuntRings punts,
            final DnsLimits limits,
            final FqdnLimits cacheLimits,
            final Outside outside,
            final DnsClock clock) {
        this.punts = punts;
        this.outside = outside;
        this.clock = clock;
        this.cache = new FqdnCache(cacheLimits, outside.flows(), outside.store(), this::forgotten);
        this.exchange =
                new DnsExchange(
                        limits, outside.policy(), cache, outside.names(), new Events(), clock);
        this.thread = Thread.ofPlatform().name("sluice-dns").unstarted(this::run);
    }

    /** What a former process learned; before {@link #start}. */
    List<FqdnRecord> restore() {
        cache.restore();
        return records();
    }

    /**
     * What a former process learned and forgot after {@link #restore} had read its store; in force
     * soon after. Thread: any.
     */
    void learnMore(final NameChanges changes) {
        post(() -> changes.forgotten().forEach(this::forgetAddress));
        post(() -> changes.learned().forEach(row -> learnAddress(NameStore.record(row))));
    }

    private void learnAddress(final FqdnRecord record) {
        // A zombie was live when the store was read, and becomes one here in its turn.
        if (!record.isZombie() && cache.learn(record, clock.epochMs())) {
            outside.names()
                    .learned(
                            LearnedNames.NO_BATCH,
                            record.endpoint(),
                            record.name(),
                            List.of(record.address()));
        }
    }

    private void forgetAddress(final NameChanges.Key key) {
        cache.forget(
                key.endpoint(), key.name(), new Address(key.address().high(), key.address().low()));
    }

    /** Starts the thread. */
    void start() {
        punts.onWake(() -> LockSupport.unpark(thread));
        thread.start();
    }

    private void run() {
        long nextTickNs = System.nanoTime() + TICK_NS;
        long nextSlowTickNs = System.nanoTime() + SLOW_TICK_NS;
        int idleTurns = 0;
        while (running) {
            final int work = turn();
            final long nowNs = System.nanoTime();
            if (nextTickNs - nowNs <= 0) {
                nextTickNs = nowNs + TICK_NS;
                guarded(() -> exchange.expire(releases));
                guarded(this::expireResolving);
            }
            if (nextSlowTickNs - nowNs <= 0) {
                nextSlowTickNs = nowNs + SLOW_TICK_NS;
                guarded(this::everySecond);
            }
            punts.wakeLanes();
            idleTurns = work > 0 ? 0 : idleTurns + 1;
            if (idleTurns > SPIN_TURNS) {
                sleep((mayRunOut() ? nextTickNs : nextSlowTickNs) - nowNs);
            } else if (work == 0) {
                Thread.onSpinWait();
            }
        }
    }

    /** What waits, once; how much there was. */
    int turn() {
        int work = punts.poll(this::onPunt, PUNTS_PER_TURN);
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
            guarded(task);
            work++;
        }
        return work;
    }

    private static void guarded(final Runnable task) {
        try {
            task.run();
        } catch (final RuntimeException e) {
            // One failed task must not end the thread on which all names are judged.
            LOG.error("a task of the DNS agent failed", e);
        }
    }

    private boolean mayRunOut() {
        return exchange.pending() > 0 || !held.isEmpty() || !resolving.isEmpty();
    }

    private void sleep(final long longestNs) {
        punts.setAgentSleeps(true);
        if (punts.isEmpty() && tasks.isEmpty() && running) {
            LockSupport.parkNanos(longestNs);
        }
        punts.setAgentSleeps(false);
    }

    // Messages.

    private void onPunt(final Punt punt) {
        try {
            judge(punt);
        } catch (final RuntimeException e) {
            LOG.error("a DNS message could not be judged", e);
            giveBack(punt, PuntRing.Step.DROP, DropReason.DNS_MALFORMED, NO_DATA);
        }
    }

    private void judge(final Punt punt) {
        final Address client = new Address(punt.initiatorHigh(), punt.initiatorLow());
        final Optional<String> endpoint = outside.policy().endpointAt(client);
        if (endpoint.isEmpty()) {
            giveBack(punt, PuntRing.Step.DROP, DropReason.DNS_FLOW_GONE, NO_DATA);
            return;
        }
        final DnsFlow flow =
                new DnsFlow(
                        endpoint.get(),
                        DnsFlow.Transport.UDP,
                        client,
                        punt.initiatorPort(),
                        new Address(punt.responderHigh(), punt.responderLow()),
                        punt.responderPort());
        if (outside.resolver().isAt(flow.server())) {
            onQueryToResolver(punt, flow);
            return;
        }
        switch (punt.way()) {
            case TO_RESPONDER -> onQuery(punt, flow);
            case TO_INITIATOR -> onAnswer(punt, flow);
        }
    }

    private void onQuery(final Punt punt, final DnsFlow flow) {
        final Step step =
                exchange.onQuery(flow, punt.frame(), punt.dataOffset(), punt.dataLength());
        switch (step) {
            case FORWARD -> forward(punt, flow);
            case FORWARD_LIMITED -> forwardLimited(punt, flow);
            case ANSWER -> answer(punt, exchange.reply());
            case DROP -> drop(punt);
            case RELEASE, HOLD -> throw new IllegalStateException("a query is not " + step);
        }
    }

    private void forward(final Punt punt, final DnsFlow flow) {
        if (outside.resolver().isAt(flow.server())) {
            resolve(punt, reply -> onResolved(punt, flow, reply));
        } else {
            release(punt);
        }
    }

    /** The switch's own resolver does not send long answers, whatever it is told. */
    private void forwardLimited(final Punt punt, final DnsFlow flow) {
        if (outside.resolver().isAt(flow.server())) {
            forward(punt, flow);
        } else {
            replace(punt, exchange.limited());
        }
    }

    // Messages to the switch's own resolver.

    private void onQueryToResolver(final Punt punt, final DnsFlow flow) {
        if (outside.policy().isUnderRules(flow)) {
            onQuery(punt, flow);
        } else {
            resolve(punt, reply -> answer(punt, reply));
        }
    }

    private void resolve(final Punt punt, final Consumer<byte[]> done) {
        final long number = ++resolves;
        resolving.put(number, new Resolving(punt, clock.monotonicMs() + RESOLVE_MS));
        final byte[] query =
                Arrays.copyOfRange(
                        punt.frame(), punt.dataOffset(), punt.dataOffset() + punt.dataLength());
        outside.resolver()
                .answer(
                        query,
                        reply ->
                                post(
                                        () -> {
                                            if (resolving.remove(number) != null) {
                                                done.accept(reply);
                                            }
                                        }));
    }

    /** What no answer came for was no query. */
    private void expireResolving() {
        final long nowMs = clock.monotonicMs();
        while (!resolving.isEmpty()) {
            final Map.Entry<Long, Resolving> oldest = resolving.entrySet().iterator().next();
            if (oldest.getValue().deadlineMs - nowMs > 0) {
                return;
            }
            resolving.remove(oldest.getKey());
            giveBack(oldest.getValue().punt, PuntRing.Step.DROP, DropReason.DNS_MALFORMED, NO_DATA);
        }
    }

    private void onResolved(final Punt query, final DnsFlow flow, final byte[] reply) {
        answered = List.of();
        final Step step = exchange.onAnswer(flow, reply, 0, reply.length);
        switch (step) {
            case RELEASE -> {
                outside.released().released(flow.endpoint(), answered);
                answer(query, reply);
            }
            case HOLD ->
                    held.put(
                            exchange.ticket(),
                            new Held(
                                    () -> answer(query, reply),
                                    other -> answer(query, other),
                                    flow.endpoint(),
                                    answered));
            case ANSWER -> answer(query, exchange.reply());
            case DROP -> drop(query);
            case FORWARD, FORWARD_LIMITED ->
                    throw new IllegalStateException("an answer is not " + step);
        }
    }

    // Answers of other servers.

    private void onAnswer(final Punt punt, final DnsFlow flow) {
        answered = List.of();
        final Step step =
                exchange.onAnswer(flow, punt.frame(), punt.dataOffset(), punt.dataLength());
        switch (step) {
            case RELEASE -> {
                outside.released().released(flow.endpoint(), answered);
                release(punt);
            }
            case HOLD ->
                    held.put(
                            exchange.ticket(),
                            new Held(
                                    () -> release(punt),
                                    other -> replace(punt, other),
                                    flow.endpoint(),
                                    answered));
            case ANSWER -> replace(punt, exchange.reply());
            case DROP -> drop(punt);
            case FORWARD, FORWARD_LIMITED ->
                    throw new IllegalStateException("an answer is not " + step);
        }
    }

    private final class HeldAnswers implements Releases {
        @Override
        public void release(final long ticket) {
            final Held answer = held.remove(ticket);
            if (answer != null) {
                outside.released().released(answer.endpoint, answer.addresses);
                answer.release.run();
            }
        }

        @Override
        public void answer(final long ticket, final byte[] reply) {
            final Held answer = held.remove(ticket);
            if (answer != null) {
                answer.answer.accept(reply);
            }
        }
    }

    private void release(final Punt punt) {
        giveBack(punt, PuntRing.Step.RELEASE, DropReason.NONE, NO_DATA);
    }

    private void answer(final Punt query, final byte[] reply) {
        giveBack(query, PuntRing.Step.ANSWER, DropReason.NONE, reply);
    }

    private void replace(final Punt message, final byte[] other) {
        giveBack(message, PuntRing.Step.REPLACE, DropReason.NONE, other);
    }

    private void drop(final Punt punt) {
        giveBack(punt, PuntRing.Step.DROP, reason(exchange.end()), NO_DATA);
    }

    private void giveBack(
            final Punt punt, final PuntRing.Step step, final DropReason reason, final byte[] data) {
        while (!punts.giveBack(punt, step, reason, data) && running) {
            punts.wakeLanes();
            LockSupport.parkNanos(FULL_RING_WAIT_NS);
        }
    }

    // Messages over TCP.

    @Override
    public Optional<String> endpointAt(final Address address) {
        return outside.policy().lookupEndpoint(address);
    }

    @Override
    public void onQuery(final DnsFlow flow, final byte[] query, final Outcome outcome) {
        post(
                () -> {
                    final Step step = exchange.onQuery(flow, query, 0, query.length);
                    switch (step) {
                        case FORWARD -> forward(flow, query, outcome);
                        case ANSWER -> outcome.answer(exchange.reply());
                        case DROP -> outcome.drop();
                        case FORWARD_LIMITED, RELEASE, HOLD ->
                                throw new IllegalStateException("a query over TCP is not " + step);
                    }
                });
    }

    private void forward(final DnsFlow flow, final byte[] query, final Outcome outcome) {
        if (outside.resolver().isAt(flow.server())) {
            outside.resolver()
                    .answerTcp(query, reply -> post(() -> judgeTcpAnswer(flow, reply, outcome)));
        } else {
            outcome.forward();
        }
    }

    @Override
    public void onAnswer(final DnsFlow flow, final byte[] answer, final Outcome outcome) {
        post(() -> judgeTcpAnswer(flow, answer, outcome));
    }

    private void judgeTcpAnswer(final DnsFlow flow, final byte[] answer, final Outcome outcome) {
        answered = List.of();
        final Step step = exchange.onAnswer(flow, answer, 0, answer.length);
        switch (step) {
            case RELEASE -> {
                outside.released().released(flow.endpoint(), answered);
                outcome.answer(answer);
            }
            case HOLD ->
                    held.put(
                            exchange.ticket(),
                            new Held(
                                    () -> outcome.answer(answer),
                                    outcome::answer,
                                    flow.endpoint(),
                                    answered));
            case ANSWER -> outcome.answer(exchange.reply());
            case DROP -> outcome.drop();
            case FORWARD, FORWARD_LIMITED ->
                    throw new IllegalStateException("an answer is not " + step);
        }
    }

    private static DropReason reason(final DnsEnd end) {
        return switch (end) {
            case QUERY_PENDING_FULL -> DropReason.DNS_QUERIES_FULL;
            case ANSWER_UNASKED, ANSWER_WRONG_ID, ANSWER_WRONG_QUESTION ->
                    DropReason.DNS_ANSWER_UNASKED;
            case QUERY_MALFORMED,
                    QUERY_IS_ANSWER,
                    QUERY_WITH_RECORDS,
                    ANSWER_MALFORMED,
                    ANSWER_IS_QUERY ->
                    DropReason.DNS_MALFORMED;
            case QUERY_FORWARDED,
                    QUERY_AUDITED,
                    QUERY_DENIED,
                    QUERY_NOT_STANDARD,
                    QUERY_TRANSFER,
                    QUERY_TIMED_OUT,
                    ANSWER_RELEASED,
                    ANSWER_HELD,
                    ANSWER_RELEASED_LATER,
                    ANSWER_NOT_LIVE_IN_TIME,
                    ANSWER_HOLD_FULL,
                    RECORDS_UNASKED ->
                    throw new IllegalStateException(end + " is no drop");
        };
    }

    /** Keeps the addresses of the answer at hand, for the count of wrong drops. */
    private final class Events implements DnsEvents {
        @Override
        public void asked(
                final DnsFlow flow,
                final String name,
                final int type,
                final @Nullable String matched,
                final boolean passed) {
            outside.events().asked(flow, name, type, matched, passed);
        }

        @Override
        public void answered(
                final DnsFlow flow,
                final String name,
                final int type,
                final int rcode,
                final List<Address> addresses,
                final List<String> aliases,
                final int ttlSeconds) {
            answered = addresses;
            outside.events().answered(flow, name, type, rcode, addresses, aliases, ttlSeconds);
        }
    }

    // Time.

    private void everySecond() {
        final Map<DnsEnd, Long> now = new EnumMap<>(DnsEnd.class);
        for (final DnsEnd end : DnsEnd.values()) {
            now.put(end, exchange.counted(end));
        }
        counts = now;
        outside.released().judgeAgain();
        for (final String endpoint : cache.endpoints()) {
            if (outside.policy().isGone(endpoint)) {
                forget(endpoint);
            }
        }
        if (!looking && cache.isDue(clock.epochMs())) {
            looking = true;
            Thread.ofVirtual().name("sluice-dns-look").start(this::look);
        }
    }

    /** On a thread of its own. */
    private void look() {
        try {
            final FlowAddresses.Look look = outside.flows().look();
            post(() -> letGo(look));
        } catch (final RuntimeException e) {
            LOG.error("the flows could not be looked at: names stay longer", e);
            post(() -> looking = false);
        }
    }

    private void letGo(final FlowAddresses.Look look) {
        outside.flows().take(look);
        final int looked = cache.expire(clock.epochMs(), EXPIRED_PER_TASK);
        outside.flows().drop();
        if (looked == EXPIRED_PER_TASK) {
            post(() -> letGo(look));
        } else {
            looking = false;
        }
    }

    private void forgotten(final FqdnRecord record) {
        outside.released().forgotten(record);
        outside.names().forgotten(record);
    }

    private void forget(final String endpoint) {
        records().stream()
                .filter(record -> record.endpoint().equals(endpoint))
                .forEach(outside.released()::forgotten);
        cache.forget(endpoint);
        outside.names().forgotEndpoint(endpoint);
    }

    private List<FqdnRecord> records() {
        final List<FqdnRecord> records = new ArrayList<>();
        cache.forEach(records::add);
        return records;
    }

    // From outside.

    /** A batch of addresses is live. Thread: any. */
    void onLive(final long batch) {
        post(() -> exchange.onLive(batch, releases));
    }

    @Override
    public List<FqdnRecord> learned() {
        return call(_ -> records());
    }

    @Override
    public int clean(final Optional<String> endpoint, final NamePatternIndex names) {
        return call(known -> known.clean(endpoint.orElse(null), names));
    }

    @Override
    public Map<DnsEnd, Long> counts() {
        return counts;
    }

    @Override
    public long wrongDrops() {
        return outside.released().wrongDrops();
    }

    /** A task on this thread, waited for. Thread: any but this. */
    <T> T call(final Function<FqdnCache, T> task) {
        final CompletableFuture<T> answer = new CompletableFuture<>();
        post(
                () -> {
                    try {
                        answer.complete(task.apply(cache));
                    } catch (final RuntimeException e) {
                        answer.completeExceptionally(e);
                        throw e;
                    }
                });
        return answer.orTimeout(CALL_SECONDS, TimeUnit.SECONDS).join();
    }

    private void post(final Runnable task) {
        tasks.add(task);
        LockSupport.unpark(thread);
    }

    /** Ends the thread; what it holds is lost, and asked for again. */
    @Override
    public void close() {
        running = false;
        LockSupport.unpark(thread);
        try {
            thread.join();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
