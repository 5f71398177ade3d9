package io.sluice.dnsproxy;

import io.sluice.dnsproxy.cache.FqdnCache;
import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.wire.Address;
import io.sluice.dnsproxy.wire.DnsMessage;
import io.sluice.dnsproxy.wire.DnsReply;
import io.sluice.dnsproxy.wire.WireFault;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The life of a query, the same for UDP and TCP. Read this file first.
 *
 * <pre>
 *   query  -> read -> standard? -> rules of now -> pending -> FORWARD the same bytes
 *                                       |             +-> FORWARD_LIMITED: takes 1,232 octets
 *                                       +-> ANSWER: REFUSED or NXDOMAIN, question echoed, EDNS kept
 *   answer -> read -> pending? -> learn -> live? -> RELEASE the same bytes
 *                                            |
 *                                            +-> HOLD -> {@link #onLive} -> release
 *                                                   +-> {@link #expire} -> SERVFAIL instead
 * </pre>
 *
 * <h2>Theory of operation</h2>
 *
 * <p>It moves no packet. The caller hands in messages with the flow that they came on, and does
 * with its own bytes what the {@link Step} says: forward them, release them, keep them under a
 * {@link #ticket}, or send {@link #reply} in their place. {@link #end} says why; each end is
 * counted in one place, {@link #finish}.
 *
 * <p><b>Pending.</b> A query that goes on is remembered by flow, id and question (octets, the case
 * of letters included: resolvers that mix it, "0x20", get its strength). The first answer that
 * agrees in all three is taken, and takes the entry away; every other is dropped, by the first
 * thing in which it differs. A retransmitted query has the entry of the first, with a new deadline:
 * one answer passes. Deadlines are all equally far away, so a list in the order of queries is in
 * the order of deadlines. At {@link DnsLimits#pendingPerEndpoint} the newest query is dropped: one
 * that asks without end does not push out its own older queries, nor anybody else's.
 *
 * <p><b>Length.</b> A query over UDP whose EDNS takes more than {@link DnsReply#UDP_LENGTH} octets
 * goes on with that number instead. A longer answer would come in fragments, and the later ones of
 * these have neither port nor id nor question: whoever guesses the 16 bits of the IP header's
 * identification can put addresses of his own into an answer that everybody learns from
 * ("Fragmentation Considered Poisonous", Herzberg and Shulman, 2013). So the server truncates, and
 * the client asks over TCP. A signed query (TSIG, SIG(0)) cannot be changed, and goes on as it is.
 *
 * <p><b>Learning.</b> {@link AnswerFacts} says what belongs to the question; only that goes to the
 * {@link FqdnCache}. Truncated answers count as well, as some resolvers use what is in them.
 *
 * <p><b>Holding.</b> What is new goes to {@link NameObserver} as a batch. Unless it is live at
 * once, the answer waits for its batch, and for older batches of the same name which have an
 * address of this answer in them. A second client's answer with the same addresses, which are no
 * news any more, waits as well. If the batch is not live within {@link DnsLimits#holdTimeoutMs},
 * the client gets SERVFAIL and asks again (glibc, musl and Go do so at once; a drop would cost them
 * 5 s). An answer is never released before its batch is live, so the count of connections dropped
 * wrongly after an answer stays zero. A batch that never becomes live keeps its place. At {@link
 * DnsLimits#heldMax} held answers, or open batches, an answer with news becomes SERVFAIL and
 * teaches nothing: new names fail closed, known ones go on.
 *
 * <p>Not here: framing over TCP, frames, the way back of an answer. Zone transfers and opcodes
 * other than QUERY are refused.
 *
 * <p>Thread: the DNS agent's, all methods.
 */
public final class DnsExchange {
    /** What the caller does with the message it handed in. */
    public enum Step {
        /** Query: send these bytes to the server. */
        FORWARD,
        /**
         * Query over UDP: send {@link #limited}, which is as long, to the server in their place.
         */
        FORWARD_LIMITED,
        /** Send {@link #reply} to the client in place of these bytes. */
        ANSWER,
        /** Answer: send these bytes to the client. */
        RELEASE,
        /** Answer: keep these bytes under {@link #ticket} until {@link Releases} names it. */
        HOLD,
        /** Nothing more is to be done. */
        DROP
    }

    /** Where held answers leave. */
    public interface Releases {
        /** Send the bytes kept under the ticket. */
        void release(long ticket);

        /** Send this to the client in place of the bytes kept under the ticket. */
        void answer(long ticket, byte[] reply);
    }

    private static final int TSIG = 250;
    private static final int SIG = 24;
    private static final byte[] NO_REPLY = new byte[0];

    private final DnsLimits limits;
    private final DnsRules rules;
    private final FqdnCache cache;
    private final NameObserver observer;
    private final DnsEvents events;
    private final DnsClock clock;

    private final DnsMessage message = new DnsMessage();
    private final AnswerFacts facts = new AnswerFacts();

    private final Map<DnsFlow, Pending> pendingByFlow = new HashMap<>();
    private final Set<Pending> pendingByAge = new LinkedHashSet<>();
    private final Map<String, int[]> pendingCounts = new HashMap<>();

    private final Map<Long, Held> held = new LinkedHashMap<>();
    private final Map<Long, Batch> batches = new HashMap<>();
    private final Map<BatchKey, List<Batch>> batchesByName = new HashMap<>();

    private final Map<DnsEnd, Long> ends = new EnumMap<>(DnsEnd.class);
    private final Map<WireFault, Long> faults = new EnumMap<>(WireFault.class);

    private DnsEnd end = DnsEnd.QUERY_FORWARDED;
    private WireFault fault = WireFault.NONE;
    private byte[] reply = NO_REPLY;
    private byte[] limited = NO_REPLY;
    private long ticket;
    private long tickets;
    private long batchNumbers;

    /** An exchange with nothing in flight. */
    public DnsExchange(
            final DnsLimits limits,
            final DnsRules rules,
            final FqdnCache cache,
            final NameObserver observer,
            final DnsEvents events,
            final DnsClock clock) {
        this.limits = limits;
        this.rules = rules;
        this.cache = cache;
        this.observer = observer;
        this.events = events;
        this.clock = clock;
    }

    /** A query that went on; a list of those of one flow. */
    private static final class Pending {
        private final DnsFlow flow;
        private final int id;
        private final byte[] question;
        private long deadlineMs;
        private @Nullable Pending next;

        private Pending(final DnsFlow flow, final int id, final byte[] question) {
            this.flow = flow;
            this.id = id;
            this.question = question;
        }
    }

    private record BatchKey(String endpoint, String name) {}

    /** Addresses on their way to the lanes, and the answers that wait for them. */
    private static final class Batch {
        private final BatchKey key;
        private final Set<Address> addresses;
        private final List<Held> waiting = new ArrayList<>(1);

        private Batch(final BatchKey key, final Collection<Address> addresses) {
            this.key = key;
            this.addresses = new LinkedHashSet<>(addresses);
        }
    }

    /** An answer that waits. */
    private static final class Held {
        private final long ticket;
        private final long deadlineMs;
        private final byte[] servfail;
        private int batchesLeft;

        private Held(final long ticket, final long deadlineMs, final byte[] servfail) {
            this.ticket = ticket;
            this.deadlineMs = deadlineMs;
            this.servfail = servfail;
        }
    }

    // A query

    /**
     * A message from the client's side.
     *
     * @param flow which the caller knows to be under a DNS rule
     * @param length octets, without the length prefix of TCP
     */
    public Step onQuery(
            final DnsFlow flow, final byte[] buffer, final int offset, final int length) {
        fault = message.read(buffer, offset, length);
        if (fault != WireFault.NONE) {
            faults.merge(fault, 1L, Long::sum);
            return finish(DnsEnd.QUERY_MALFORMED, Step.DROP);
        }
        if (message.isAnswer()) {
            return finish(DnsEnd.QUERY_IS_ANSWER, Step.DROP);
        }
        if (message.opcode() != DnsMessage.OPCODE_QUERY) {
            return refuse(DnsEnd.QUERY_NOT_STANDARD, DnsReply.REFUSED);
        }
        final int type = message.questionType();
        if (type == DnsMessage.AXFR || type == DnsMessage.IXFR) {
            return refuse(DnsEnd.QUERY_TRANSFER, DnsReply.REFUSED);
        }
        if (hasRecordsOfNoQuery()) {
            return finish(DnsEnd.QUERY_WITH_RECORDS, Step.DROP);
        }
        return judge(flow, type);
    }

    private Step judge(final DnsFlow flow, final int type) {
        final String name = message.questionName();
        final DnsRules.Allowed allowed = rules.of(flow);
        final NamePattern pattern = allowed.names().match(name);
        final boolean passes = pattern != null || allowed.isAudited();
        events.asked(flow, name, type, pattern == null ? null : pattern.toString(), passes);
        if (!passes) {
            return refuse(DnsEnd.QUERY_DENIED, deniedRcode(name));
        }
        if (!remember(flow)) {
            return finish(DnsEnd.QUERY_PENDING_FULL, Step.DROP);
        }
        return finish(
                pattern != null ? DnsEnd.QUERY_FORWARDED : DnsEnd.QUERY_AUDITED,
                flow.transport() == DnsFlow.Transport.UDP && limit()
                        ? Step.FORWARD_LIMITED
                        : Step.FORWARD);
    }

    /** Whether the query takes longer answers than it should, and may be changed. */
    private boolean limit() {
        if (message.udpLengthMax() <= DnsReply.UDP_LENGTH || isSigned()) {
            return false;
        }
        limited =
                Arrays.copyOfRange(
                        message.buffer(), message.offset(), message.offset() + message.length());
        final int at = message.udpLengthMaxAt() - message.offset();
        limited[at] = (byte) (DnsReply.UDP_LENGTH >>> 8);
        limited[at + 1] = (byte) DnsReply.UDP_LENGTH;
        return true;
    }

    private boolean isSigned() {
        for (int i = 0; i < message.recordCount(); i++) {
            if (message.recordType(i) == TSIG || message.recordType(i) == SIG) {
                return true;
            }
        }
        return false;
    }

    private int deniedRcode(final String name) {
        if (name.equals(limits.clusterDomain()) || name.endsWith("." + limits.clusterDomain())) {
            return DnsReply.NXDOMAIN;
        }
        return switch (limits.deniedRcode()) {
            case REFUSED -> DnsReply.REFUSED;
            case NXDOMAIN -> DnsReply.NXDOMAIN;
        };
    }

    private Step refuse(final DnsEnd why, final int rcode) {
        reply = DnsReply.of(message, rcode, DnsReply.ERROR_BLOCKED);
        return finish(why, Step.ANSWER);
    }

    /** EDNS and signatures belong to a query; other records would carry what no rule looks at. */
    private boolean hasRecordsOfNoQuery() {
        for (int i = 0; i < message.recordCount(); i++) {
            switch (message.recordType(i)) {
                case DnsMessage.OPT, TSIG, SIG -> {
                    if (i < message.answerCount() + message.authorityCount()) {
                        return true;
                    }
                }
                default -> {
                    return true;
                }
            }
        }
        return false;
    }

    private boolean remember(final DnsFlow flow) {
        final long deadlineMs = clock.monotonicMs() + limits.queryTimeoutMs();
        final Pending first = pendingByFlow.get(flow);
        for (Pending open = first; open != null; open = open.next) {
            if (open.id == message.id() && message.questionIs(open.question)) {
                // A retransmit: to the end of the line.
                pendingByAge.remove(open);
                open.deadlineMs = deadlineMs;
                pendingByAge.add(open);
                return true;
            }
        }
        final int[] count = pendingCounts.computeIfAbsent(flow.endpoint(), _ -> new int[1]);
        if (count[0] >= limits.pendingPerEndpoint()) {
            return false;
        }
        count[0]++;
        final Pending opened = new Pending(flow, message.id(), message.question());
        opened.deadlineMs = deadlineMs;
        opened.next = first;
        pendingByFlow.put(flow, opened);
        pendingByAge.add(opened);
        return true;
    }

    // An answer

    /**
     * A message from the server's side.
     *
     * @param flow of the query, as {@link #onQuery} had it: client and server do not swap
     * @param length octets, without the length prefix of TCP
     */
    public Step onAnswer(
            final DnsFlow flow, final byte[] buffer, final int offset, final int length) {
        fault = message.read(buffer, offset, length);
        if (fault != WireFault.NONE) {
            faults.merge(fault, 1L, Long::sum);
            return finish(DnsEnd.ANSWER_MALFORMED, Step.DROP);
        }
        if (!message.isAnswer() || message.opcode() != DnsMessage.OPCODE_QUERY) {
            return finish(DnsEnd.ANSWER_IS_QUERY, Step.DROP);
        }
        final Pending first = pendingByFlow.get(flow);
        if (first == null) {
            return finish(DnsEnd.ANSWER_UNASKED, Step.DROP);
        }
        boolean idIsOpen = false;
        for (Pending open = first; open != null; open = open.next) {
            if (open.id == message.id()) {
                idIsOpen = true;
                if (message.questionIs(open.question)) {
                    forget(open);
                    return learn(flow);
                }
            }
        }
        return finish(idIsOpen ? DnsEnd.ANSWER_WRONG_QUESTION : DnsEnd.ANSWER_WRONG_ID, Step.DROP);
    }

    private Step learn(final DnsFlow flow) {
        final String name = message.questionName();
        facts.read(message);
        ends.merge(DnsEnd.RECORDS_UNASKED, (long) facts.unasked, Long::sum);
        if (!facts.addresses.isEmpty() && isHoldFull() && isNews(flow, name)) {
            reply = servfail();
            return finish(DnsEnd.ANSWER_HOLD_FULL, Step.ANSWER);
        }
        events.answered(
                flow,
                name,
                message.questionType(),
                message.rcode(),
                List.copyOf(facts.addresses),
                List.copyOf(facts.aliases),
                facts.ttlSeconds);
        if (facts.addresses.isEmpty()) {
            return finish(DnsEnd.ANSWER_RELEASED, Step.RELEASE);
        }
        return publish(flow, name);
    }

    /** Batches count too: an observer that confirms none must not cost memory without end. */
    private boolean isHoldFull() {
        return held.size() >= limits.heldMax() || batches.size() >= limits.heldMax();
    }

    private boolean isNews(final DnsFlow flow, final String name) {
        if (batchesByName.containsKey(new BatchKey(flow.endpoint(), name))) {
            return true;
        }
        for (final Address address : facts.addresses) {
            if (!cache.knows(flow.endpoint(), name, address)) {
                return true;
            }
        }
        return false;
    }

    /** In this order: cache, lanes, client. */
    private Step publish(final DnsFlow flow, final String name) {
        final String endpoint = flow.endpoint();
        final List<Address> added =
                cache.learn(endpoint, name, facts.addresses, facts.ttlSeconds, clock.epochMs());
        final BatchKey key = new BatchKey(endpoint, name);
        if (!added.isEmpty()) {
            final long number = ++batchNumbers;
            if (!observer.learned(number, endpoint, name, added)) {
                final Batch batch = new Batch(key, added);
                batches.put(number, batch);
                batchesByName.computeIfAbsent(key, _ -> new ArrayList<>(1)).add(batch);
            }
        }
        final List<Batch> open = batchesByName.get(key);
        if (open == null) {
            return finish(DnsEnd.ANSWER_RELEASED, Step.RELEASE);
        }
        return hold(open);
    }

    private Step hold(final List<Batch> open) {
        Held waits = null;
        for (final Batch batch : open) {
            if (!Collections.disjoint(batch.addresses, facts.addresses)) {
                if (waits == null) {
                    ticket = ++tickets;
                    waits =
                            new Held(
                                    ticket,
                                    clock.monotonicMs() + limits.holdTimeoutMs(),
                                    servfail());
                    held.put(ticket, waits);
                }
                waits.batchesLeft++;
                batch.waiting.add(waits);
            }
        }
        return waits == null
                ? finish(DnsEnd.ANSWER_RELEASED, Step.RELEASE)
                : finish(DnsEnd.ANSWER_HELD, Step.HOLD);
    }

    /** An answer makes as good a pattern for it as the query: same id, question and EDNS. */
    private byte[] servfail() {
        return DnsReply.of(message, DnsReply.SERVFAIL, DnsReply.ERROR_NOT_READY);
    }

    /**
     * A batch is live: every lane's next packet finds its addresses. A number that is not open is
     * ignored.
     */
    public void onLive(final long batchNumber, final Releases releases) {
        final Batch batch = batches.remove(batchNumber);
        if (batch == null) {
            return;
        }
        final List<Batch> open = batchesByName.get(batch.key);
        if (open != null) {
            open.remove(batch);
            if (open.isEmpty()) {
                batchesByName.remove(batch.key);
            }
        }
        for (final Held waits : batch.waiting) {
            if (--waits.batchesLeft == 0 && held.remove(waits.ticket) != null) {
                count(DnsEnd.ANSWER_RELEASED_LATER);
                releases.release(waits.ticket);
            }
        }
    }

    // Time

    /** Ends what took too long; to be called every few tens of ms. */
    public void expire(final Releases releases) {
        final long nowMs = clock.monotonicMs();
        while (!pendingByAge.isEmpty()) {
            final Pending oldest = pendingByAge.iterator().next();
            if (oldest.deadlineMs - nowMs > 0) {
                break;
            }
            forget(oldest);
            count(DnsEnd.QUERY_TIMED_OUT);
        }
        final Iterator<Held> oldest = held.values().iterator();
        while (oldest.hasNext()) {
            final Held waits = oldest.next();
            if (waits.deadlineMs - nowMs > 0) {
                break;
            }
            oldest.remove();
            count(DnsEnd.ANSWER_NOT_LIVE_IN_TIME);
            releases.answer(waits.ticket, waits.servfail);
        }
    }

    private void forget(final Pending gone) {
        pendingByAge.remove(gone);
        final int[] count = pendingCounts.get(gone.flow.endpoint());
        if (count != null && --count[0] == 0) {
            pendingCounts.remove(gone.flow.endpoint());
        }
        Pending rest = null;
        for (Pending open = pendingByFlow.get(gone.flow); open != null; ) {
            final Pending next = open.next;
            if (open != gone) {
                open.next = rest;
                rest = open;
            }
            open = next;
        }
        if (rest == null) {
            pendingByFlow.remove(gone.flow);
        } else {
            pendingByFlow.put(gone.flow, rest);
        }
    }

    // Ends

    private Step finish(final DnsEnd why, final Step step) {
        end = why;
        count(why);
        return step;
    }

    private void count(final DnsEnd what) {
        ends.merge(what, 1L, Long::sum);
    }

    /** Why the last message ended as it did. */
    public DnsEnd end() {
        return end;
    }

    /** What was wrong with the bytes of the last message. */
    public WireFault fault() {
        return fault;
    }

    /** What to send after {@link Step#FORWARD_LIMITED}; the caller's to keep. */
    public byte[] limited() {
        return limited;
    }

    /** What to send after {@link Step#ANSWER}; the caller's to keep. */
    public byte[] reply() {
        return reply;
    }

    /** Under what to keep the bytes after {@link Step#HOLD}; never used twice. */
    public long ticket() {
        return ticket;
    }

    /** Messages that ended so, since the start. */
    public long counted(final DnsEnd what) {
        return ends.getOrDefault(what, 0L);
    }

    /** Messages refused for their bytes, since the start. */
    public long counted(final WireFault what) {
        return faults.getOrDefault(what, 0L);
    }

    /** Queries in flight. */
    public int pending() {
        return pendingByAge.size();
    }

    /** Answers held. */
    public int held() {
        return held.size();
    }
}
