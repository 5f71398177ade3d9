package io.sluice.dnsproxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dnsproxy.DnsExchange.Step;
import io.sluice.dnsproxy.cache.FqdnCache;
import io.sluice.dnsproxy.cache.FqdnLimits;
import io.sluice.dnsproxy.cache.FqdnStore;
import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import io.sluice.dnsproxy.wire.Address;
import io.sluice.dnsproxy.wire.WireFault;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.xbill.DNS.DClass;
import org.xbill.DNS.ExtendedFlags;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.OPTRecord;
import org.xbill.DNS.Opcode;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.Section;
import org.xbill.DNS.TSIG;
import org.xbill.DNS.Type;

/** Queries and their answers, made by another library; time and lanes by hand. */
final class DnsExchangeTest {
    private static final Address SERVER = Address.parse("10.96.0.10");
    private static final DnsFlow UDP = flow("shop/backend", DnsFlow.Transport.UDP, 40_000);
    private static final DnsFlow TCP = flow("shop/backend", DnsFlow.Transport.TCP, 40_000);
    private static final DnsFlow OTHER = flow("shop/frontend", DnsFlow.Transport.UDP, 40_000);
    private static final NamePatternIndex EXAMPLE =
            NamePatternIndex.of(List.of(NamePattern.parse("**.example.com")));

    private final List<String> live = new ArrayList<>();
    private final Map<Long, List<Address>> batches = new LinkedHashMap<>();
    private final List<Long> released = new ArrayList<>();
    private final Map<Long, byte[]> answered = new HashMap<>();
    private boolean isLiveAtOnce = true;
    private NamePatternIndex allowed = EXAMPLE;
    private boolean isAudited;
    private long nowMs = 1_000;

    private final FqdnCache cache =
            new FqdnCache(FqdnLimits.DEFAULT, (_, _) -> false, FqdnStore.NONE, _ -> {});
    private DnsExchange exchange = exchange(DnsLimits.DEFAULT);

    private final DnsExchange.Releases releases =
            new DnsExchange.Releases() {
                @Override
                public void release(final long ticket) {
                    released.add(ticket);
                }

                @Override
                public void answer(final long ticket, final byte[] reply) {
                    answered.put(ticket, reply);
                }
            };

    private DnsExchange exchange(final DnsLimits limits) {
        return new DnsExchange(
                limits,
                _ -> new DnsRules.Allowed(allowed, isAudited),
                cache,
                (batch, endpoint, name, addresses) -> {
                    live.add(endpoint + " " + name + addresses);
                    if (!isLiveAtOnce) {
                        batches.put(batch, addresses);
                    }
                    return isLiveAtOnce;
                },
                DnsEvents.NONE,
                new DnsClock() {
                    @Override
                    public long monotonicMs() {
                        return nowMs;
                    }

                    @Override
                    public long epochMs() {
                        return 1_795_000_000_000L + nowMs;
                    }
                });
    }

    private static DnsFlow flow(
            final String endpoint, final DnsFlow.Transport transport, final int port) {
        return new DnsFlow(endpoint, transport, Address.parse("10.244.0.12"), port, SERVER, 53);
    }

    private static Message query(final int id, final String name, final int type) {
        try {
            final Message query =
                    Message.newQuery(Record.newRecord(Name.fromString(name), type, DClass.IN));
            query.getHeader().setID(id);
            return query;
        } catch (final IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    /** Records as in a zone file, {@code @} for the name that was asked for. */
    private static Message answer(final Message query, final String... records) {
        final Message answer = new Message(query.getHeader().getID());
        answer.getHeader().setFlag(Flags.QR);
        answer.addRecord(query.getQuestion(), Section.QUESTION);
        for (final String record : records) {
            answer.addRecord(record(query.getQuestion().getName(), record), Section.ANSWER);
        }
        return answer;
    }

    private static Record record(final Name asked, final String text) {
        final String[] part = text.split(" ", 4);
        try {
            return Record.fromString(
                    part[0].equals("@") ? asked : Name.fromString(part[0]),
                    Type.value(part[2]),
                    DClass.IN,
                    Long.parseLong(part[1]),
                    part[3],
                    Name.root);
        } catch (final IOException wrong) {
            throw new UncheckedIOException(wrong);
        }
    }

    private Step ask(final DnsFlow flow, final Message query) {
        final byte[] octets = query.toWire();
        return exchange.onQuery(flow, octets, 0, octets.length);
    }

    private Step reply(final DnsFlow flow, final Message answer) {
        final byte[] octets = answer.toWire();
        return exchange.onAnswer(flow, octets, 0, octets.length);
    }

    private Message replied() {
        return parsed(exchange.reply());
    }

    private static Message parsed(final byte[] octets) {
        try {
            return new Message(octets);
        } catch (final IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    private Set<Address> open(final DnsFlow flow) {
        return cache.addresses(flow.endpoint(), EXAMPLE);
    }

    private static Address[] addresses(final String... texts) {
        return Arrays.stream(texts).map(Address::parse).toArray(Address[]::new);
    }

    @Test
    void anAllowedQueryAndItsAnswerPassAsTheyAreOverUdpAndTcp() {
        for (final DnsFlow flow : List.of(UDP, TCP)) {
            final Message query = query(7, "wWw.eXample.com.", Type.A);
            final byte[] octets = query.toWire();
            final byte[] before = octets.clone();
            assertThat(exchange.onQuery(flow, octets, 0, octets.length)).isEqualTo(Step.FORWARD);
            assertThat(octets).isEqualTo(before);
            assertThat(reply(flow, answer(query, "@ 60 A 192.0.2.1"))).isEqualTo(Step.RELEASE);
            assertThat(exchange.end()).isEqualTo(DnsEnd.ANSWER_RELEASED);
        }
        assertThat(live).containsExactly("shop/backend www.example.com.[192.0.2.1]");
        assertThat(open(UDP)).containsExactly(addresses("192.0.2.1"));
        assertThat(open(OTHER)).isEmpty();
        assertThat(exchange.pending()).isZero();
    }

    @Test
    void aDeniedNameIsRefusedWithItsQuestionAndEdns() {
        final Message query = query(7, "Evil.example.ORG.", Type.AAAA);
        query.addRecord(new OPTRecord(4096, 0, 0), Section.ADDITIONAL);
        assertThat(ask(UDP, query)).isEqualTo(Step.ANSWER);
        assertThat(exchange.end()).isEqualTo(DnsEnd.QUERY_DENIED);
        assertThat(replied().getRcode()).isEqualTo(Rcode.REFUSED);
        assertThat(replied().getQuestion().toString()).isEqualTo(query.getQuestion().toString());
        assertThat(replied().getHeader().getID()).isEqualTo(7);
        assertThat(replied().getOPT()).isNotNull();
        assertThat(reply(UDP, answer(query, "@ 60 AAAA 2001:db8::1"))).isEqualTo(Step.DROP);
        assertThat(exchange.end()).isEqualTo(DnsEnd.ANSWER_UNASKED);
    }

    @Test
    void aDeniedNameDoesNotExistIfSoConfigured() {
        exchange =
                exchange(
                        new DnsLimits(
                                DnsLimits.DeniedRcode.NXDOMAIN,
                                "cluster.local.",
                                10_000,
                                1_000,
                                10,
                                10));
        assertThat(ask(UDP, query(7, "evil.example.org.", Type.A))).isEqualTo(Step.ANSWER);
        assertThat(replied().getRcode()).isEqualTo(Rcode.NXDOMAIN);
    }

    /** Mostly it is what a search list made of another name, which the client shall come to. */
    @Test
    void aDeniedNameOfTheClusterNeverExists() {
        for (final String name :
                List.of("api.example.org.shop.svc.cluster.local.", "CLUSTER.local.")) {
            assertThat(ask(UDP, query(7, name, Type.A))).isEqualTo(Step.ANSWER);
            assertThat(exchange.end()).isEqualTo(DnsEnd.QUERY_DENIED);
            assertThat(replied().getRcode()).as(name).isEqualTo(Rcode.NXDOMAIN);
        }
        ask(UDP, query(7, "notcluster.local.", Type.A));
        assertThat(replied().getRcode()).isEqualTo(Rcode.REFUSED);
    }

    @Test
    void anAnswerOverUdpIsNeverToBeLongerThanAPathTakesInOnePiece() throws IOException {
        final Message query = query(7, "www.example.com.", Type.A);
        query.addRecord(new OPTRecord(4096, 0, 0, ExtendedFlags.DO), Section.ADDITIONAL);
        assertThat(ask(UDP, query)).isEqualTo(Step.FORWARD_LIMITED);
        final Message limited = new Message(exchange.limited());
        assertThat(limited.getOPT().getPayloadSize()).isEqualTo(1232);
        assertThat(limited.getOPT().getFlags()).as("all else").isEqualTo(ExtendedFlags.DO);
        assertThat(limited.getQuestion()).isEqualTo(query.getQuestion());
        assertThat(exchange.limited()).hasSameSizeAs(query.toWire());
        assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2.1"))).isEqualTo(Step.RELEASE);

        assertThat(ask(TCP, query)).as("over TCP there is no limit").isEqualTo(Step.FORWARD);
    }

    @Test
    void aQueryThatTakesLittleOrIsSignedGoesOnAsItCame() {
        final Message little = query(7, "www.example.com.", Type.A);
        little.addRecord(new OPTRecord(1232, 0, 0), Section.ADDITIONAL);
        assertThat(ask(UDP, little)).isEqualTo(Step.FORWARD);

        final Message signed = query(8, "www.example.com.", Type.A);
        signed.addRecord(new OPTRecord(4096, 0, 0), Section.ADDITIONAL);
        signed.setTSIG(new TSIG(TSIG.HMAC_SHA256, "key.", "MDEyMzQ1Njc4OWFiY2RlZg=="), 0, null);
        final byte[] octets = signed.toWire(Message.MAXLENGTH);
        assertThat(exchange.onQuery(UDP, octets, 0, octets.length)).isEqualTo(Step.FORWARD);
    }

    @Test
    void auditLetsPassAndCounts() {
        isAudited = true;
        assertThat(ask(UDP, query(7, "evil.example.org.", Type.A))).isEqualTo(Step.FORWARD);
        assertThat(exchange.end()).isEqualTo(DnsEnd.QUERY_AUDITED);
    }

    @Test
    void eachQueryIsJudgedByTheRulesOfNow() {
        assertThat(ask(TCP, query(1, "www.example.com.", Type.A))).isEqualTo(Step.FORWARD);
        allowed = NamePatternIndex.NONE;
        assertThat(ask(TCP, query(2, "www.example.com.", Type.A))).isEqualTo(Step.ANSWER);
    }

    @Test
    void whatIsNoQueryOfNamesIsRefused() {
        final Message update = query(7, "www.example.com.", Type.SOA);
        update.getHeader().setOpcode(Opcode.UPDATE);
        assertThat(ask(UDP, update)).isEqualTo(Step.ANSWER);
        assertThat(exchange.end()).isEqualTo(DnsEnd.QUERY_NOT_STANDARD);
        assertThat(replied().getHeader().getOpcode()).isEqualTo(Opcode.UPDATE);
        assertThat(ask(TCP, query(7, "www.example.com.", Type.AXFR))).isEqualTo(Step.ANSWER);
        assertThat(exchange.end()).isEqualTo(DnsEnd.QUERY_TRANSFER);
        final Message smuggler = query(7, "www.example.com.", Type.A);
        smuggler.addRecord(
                record(smuggler.getQuestion().getName(), "@ 1 TXT secret"), Section.ADDITIONAL);
        assertThat(ask(UDP, smuggler)).isEqualTo(Step.DROP);
        assertThat(exchange.end()).isEqualTo(DnsEnd.QUERY_WITH_RECORDS);
        final Message answer = answer(query(7, "www.example.com.", Type.A));
        assertThat(ask(UDP, answer)).isEqualTo(Step.DROP);
        assertThat(exchange.end()).isEqualTo(DnsEnd.QUERY_IS_ANSWER);
        assertThat(exchange.onQuery(UDP, new byte[5], 0, 5)).isEqualTo(Step.DROP);
        assertThat(exchange.fault()).isEqualTo(WireFault.HEADER_SHORT);
        assertThat(exchange.counted(WireFault.HEADER_SHORT)).isEqualTo(1);
    }

    @Test
    void aPoisonedAnswerIsDroppedCountedAndTeachesNothing() {
        final Message query = query(7, "wWw.example.com.", Type.A);
        ask(UDP, query);
        final Message wrongId = answer(query, "@ 60 A 203.0.113.6");
        wrongId.getHeader().setID(8);
        final DnsFlow otherPort = flow(UDP.endpoint(), DnsFlow.Transport.UDP, 40_001);
        final DnsFlow otherServer =
                new DnsFlow(
                        UDP.endpoint(),
                        UDP.transport(),
                        UDP.client(),
                        UDP.clientPort(),
                        Address.parse("10.96.0.11"),
                        53);
        final Message good = answer(query, "@ 60 A 203.0.113.6");
        final Message wrongCase =
                answer(query(7, "www.example.com.", Type.A), "@ 60 A 203.0.113.6");
        final Message wrongType =
                answer(query(7, "wWw.example.com.", Type.AAAA), "@ 60 AAAA 2001:db8::6");

        assertThat(reply(UDP, wrongId)).isEqualTo(Step.DROP);
        assertThat(exchange.end()).isEqualTo(DnsEnd.ANSWER_WRONG_ID);
        for (final DnsFlow flow : List.of(otherPort, otherServer, TCP, OTHER)) {
            assertThat(reply(flow, good)).isEqualTo(Step.DROP);
            assertThat(exchange.end()).isEqualTo(DnsEnd.ANSWER_UNASKED);
        }
        for (final Message wrong : List.of(wrongCase, wrongType)) {
            assertThat(reply(UDP, wrong)).isEqualTo(Step.DROP);
            assertThat(exchange.end()).isEqualTo(DnsEnd.ANSWER_WRONG_QUESTION);
        }
        assertThat(reply(UDP, query)).isEqualTo(Step.DROP);
        assertThat(exchange.end()).isEqualTo(DnsEnd.ANSWER_IS_QUERY);
        assertThat(open(UDP)).isEmpty();
        assertThat(live).isEmpty();
        assertThat(exchange.counted(DnsEnd.ANSWER_UNASKED)).isEqualTo(4);
        assertThat(exchange.counted(DnsEnd.ANSWER_WRONG_QUESTION)).isEqualTo(2);
        assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2.1"))).isEqualTo(Step.RELEASE);
        assertThat(reply(UDP, good)).isEqualTo(Step.DROP);
        assertThat(open(UDP)).containsExactly(addresses("192.0.2.1"));
    }

    @Test
    void recordsThatWereNotAskedForAreNotLearned() {
        final Message query = query(7, "www.example.com.", Type.A);
        ask(UDP, query);
        final Message answer =
                answer(
                        query,
                        "@ 60 A 192.0.2.1",
                        "bank.example.com. 60 A 203.0.113.6",
                        "@ 60 AAAA ::ffff:203.0.113.7");
        answer.addRecord(
                record(Name.root, "api.example.com. 60 A 203.0.113.8"), Section.ADDITIONAL);
        answer.addRecord(
                record(Name.root, "www.example.com. 60 A 203.0.113.9"), Section.ADDITIONAL);
        assertThat(reply(UDP, answer)).isEqualTo(Step.RELEASE);
        assertThat(open(UDP)).containsExactly(addresses("192.0.2.1"));
        assertThat(exchange.counted(DnsEnd.RECORDS_UNASKED)).isEqualTo(4);
    }

    @Test
    void addressesBehindAliasesBelongToTheNameAskedFor() {
        final Message query = query(7, "www.example.com.", Type.A);
        ask(UDP, query);
        reply(
                UDP,
                answer(
                        query,
                        "edge.cdn.net. 90 A 192.0.2.1",
                        "x.example.com. 30 CNAME edge.cdn.net.",
                        "@ 300 CNAME x.example.com."));
        assertThat(live).containsExactly("shop/backend www.example.com.[192.0.2.1]");
        cache.expire(1_795_000_000_000L + nowMs + 60_000, 10);
        assertThat(open(UDP)).isEmpty();
    }

    @Test
    void aliasesInACircleEnd() {
        final Message query = query(7, "www.example.com.", Type.A);
        ask(UDP, query);
        assertThat(
                        reply(
                                UDP,
                                answer(
                                        query,
                                        "@ 300 CNAME a.example.com.",
                                        "a.example.com. 30 CNAME www.example.com.",
                                        "a.example.com. 30 A 192.0.2.1")))
                .isEqualTo(Step.RELEASE);
        assertThat(open(UDP)).containsExactly(addresses("192.0.2.1"));
    }

    @Test
    void hintsOfServiceBindingsAreLearned() {
        final Message query = query(7, "www.example.com.", Type.HTTPS);
        ask(UDP, query);
        reply(
                UDP,
                answer(
                        query,
                        "@ 300 HTTPS 0 svc.example.com.",
                        "svc.example.com. 300 HTTPS 1 . ipv4hint=192.0.2.1,192.0.2.2"
                                + " ipv6hint=2001:db8::1"));
        assertThat(open(UDP)).containsExactly(addresses("192.0.2.1", "192.0.2.2", "2001:db8::1"));
        assertThat(exchange.counted(DnsEnd.RECORDS_UNASKED)).isZero();
    }

    @Test
    void anAnswerWaitsUntilItsNamesAreLive() {
        isLiveAtOnce = false;
        final Message query = query(7, "www.example.com.", Type.A);
        ask(UDP, query);
        assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2.1"))).isEqualTo(Step.HOLD);
        final long first = exchange.ticket();
        // The same address to the same endpoint is no news, and not live either.
        ask(UDP, query);
        assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2.1"))).isEqualTo(Step.HOLD);
        final long second = exchange.ticket();
        // An old and a new one: waits for both batches.
        ask(UDP, query);
        assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2.1", "@ 60 A 192.0.2.2")))
                .isEqualTo(Step.HOLD);
        final long third = exchange.ticket();
        assertThat(batches.values())
                .containsExactly(List.of(addresses("192.0.2.1")), List.of(addresses("192.0.2.2")));
        final List<Long> numbers = List.copyOf(batches.keySet());
        exchange.onLive(numbers.get(1), releases);
        assertThat(released).isEmpty();
        exchange.onLive(numbers.get(0), releases);
        assertThat(released).containsExactly(first, second, third);
        exchange.onLive(numbers.get(0), releases);
        assertThat(released).hasSize(3);
        assertThat(exchange.counted(DnsEnd.ANSWER_RELEASED_LATER)).isEqualTo(3);
        ask(UDP, query);
        assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2.1"))).isEqualTo(Step.RELEASE);
    }

    @Test
    void anAnswerWhoseNamesAreNotLiveInTimeBecomesServfailAndIsNeverReleased() {
        isLiveAtOnce = false;
        final Message query = query(7, "www.example.com.", Type.A);
        ask(UDP, query);
        reply(UDP, answer(query, "@ 60 A 192.0.2.1"));
        final long ticket = exchange.ticket();
        nowMs += 999;
        exchange.expire(releases);
        assertThat(answered).isEmpty();
        nowMs += 1;
        exchange.expire(releases);
        assertThat(parsed(Objects.requireNonNull(answered.get(ticket))).getRcode())
                .isEqualTo(Rcode.SERVFAIL);
        assertThat(exchange.counted(DnsEnd.ANSWER_NOT_LIVE_IN_TIME)).isEqualTo(1);
        // Asked again, still not live.
        ask(UDP, query);
        assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2.1"))).isEqualTo(Step.HOLD);
        exchange.onLive(batches.keySet().iterator().next(), releases);
        assertThat(released).containsExactly(exchange.ticket());
        assertThat(exchange.held()).isZero();
    }

    @Test
    void whenTooManyAreHeldTheAnswerIsServfailAndNothingIsLearned() {
        exchange =
                exchange(
                        new DnsLimits(
                                DnsLimits.DeniedRcode.REFUSED,
                                "cluster.local.",
                                10_000,
                                1_000,
                                10,
                                1));
        isLiveAtOnce = false;
        final Message first = query(1, "a.example.com.", Type.A);
        final Message second = query(2, "b.example.com.", Type.A);
        ask(UDP, first);
        ask(UDP, second);
        assertThat(reply(UDP, answer(first, "@ 60 A 192.0.2.1"))).isEqualTo(Step.HOLD);
        assertThat(reply(UDP, answer(second, "@ 60 A 192.0.2.2"))).isEqualTo(Step.ANSWER);
        assertThat(exchange.end()).isEqualTo(DnsEnd.ANSWER_HOLD_FULL);
        assertThat(replied().getRcode()).isEqualTo(Rcode.SERVFAIL);
        assertThat(open(UDP)).containsExactly(addresses("192.0.2.1"));
    }

    @Test
    void batchesThatNeverBecomeLiveAreBoundedToo() {
        exchange =
                exchange(
                        new DnsLimits(
                                DnsLimits.DeniedRcode.REFUSED,
                                "cluster.local.",
                                10_000,
                                1_000,
                                10,
                                2));
        isLiveAtOnce = false;
        for (int i = 1; i <= 5; i++) {
            final Message query = query(i, "n" + i + ".example.com.", Type.A);
            ask(UDP, query);
            assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2." + i)))
                    .isEqualTo(i <= 2 ? Step.HOLD : Step.ANSWER);
            nowMs += 1_000;
            exchange.expire(releases);
            assertThat(exchange.held()).isZero();
        }
        assertThat(open(UDP)).hasSize(2);
        assertThat(exchange.counted(DnsEnd.ANSWER_HOLD_FULL)).isEqualTo(3);
    }

    @Test
    void aRetransmitHasOneAnswerAndANewDeadline() {
        final Message query = query(7, "www.example.com.", Type.A);
        ask(UDP, query);
        nowMs += 9_000;
        assertThat(ask(UDP, query)).isEqualTo(Step.FORWARD);
        assertThat(exchange.pending()).isEqualTo(1);
        nowMs += 9_000;
        exchange.expire(releases);
        assertThat(reply(UDP, answer(query))).isEqualTo(Step.RELEASE);
        assertThat(reply(UDP, answer(query))).isEqualTo(Step.DROP);
    }

    @Test
    void anAnswerThatComesTooLateIsUnasked() {
        final Message query = query(7, "www.example.com.", Type.A);
        ask(UDP, query);
        nowMs += 10_000;
        exchange.expire(releases);
        assertThat(exchange.counted(DnsEnd.QUERY_TIMED_OUT)).isEqualTo(1);
        assertThat(reply(UDP, answer(query, "@ 60 A 192.0.2.1"))).isEqualTo(Step.DROP);
        assertThat(exchange.end()).isEqualTo(DnsEnd.ANSWER_UNASKED);
        assertThat(open(UDP)).isEmpty();
    }

    @Test
    void anEndpointAtItsLimitLosesItsNewestQueryAndDisturbsNobody() {
        exchange =
                exchange(
                        new DnsLimits(
                                DnsLimits.DeniedRcode.REFUSED,
                                "cluster.local.",
                                10_000,
                                1_000,
                                2,
                                10));
        final Message first = query(1, "a.example.com.", Type.A);
        ask(UDP, first);
        ask(UDP, query(2, "a.example.com.", Type.A));
        assertThat(ask(UDP, query(3, "a.example.com.", Type.A))).isEqualTo(Step.DROP);
        assertThat(exchange.end()).isEqualTo(DnsEnd.QUERY_PENDING_FULL);
        assertThat(ask(UDP, first)).isEqualTo(Step.FORWARD);
        assertThat(ask(OTHER, query(3, "a.example.com.", Type.A))).isEqualTo(Step.FORWARD);
        assertThat(reply(UDP, answer(first))).isEqualTo(Step.RELEASE);
        assertThat(ask(UDP, query(3, "a.example.com.", Type.A))).isEqualTo(Step.FORWARD);
    }

    @Test
    void limitsHaveRanges() {
        assertThatThrownBy(
                        () ->
                                new DnsLimits(
                                        DnsLimits.DeniedRcode.REFUSED,
                                        "cluster.local.",
                                        99,
                                        1_000,
                                        1,
                                        1))
                .hasMessage("queryTimeoutMs: accepted: 100 to 60000, not 99");
        assertThatThrownBy(
                        () ->
                                new DnsLimits(
                                        DnsLimits.DeniedRcode.REFUSED,
                                        "cluster.local.",
                                        100,
                                        0,
                                        1,
                                        1))
                .hasMessageContaining("holdTimeoutMs");
        assertThatThrownBy(
                        () ->
                                new DnsLimits(
                                        DnsLimits.DeniedRcode.REFUSED,
                                        "cluster.local.",
                                        100,
                                        1,
                                        0,
                                        1))
                .hasMessageContaining("pendingPerEndpoint");
        assertThatThrownBy(
                        () ->
                                new DnsLimits(
                                        DnsLimits.DeniedRcode.REFUSED,
                                        "cluster.local.",
                                        100,
                                        1,
                                        1,
                                        0))
                .hasMessageContaining("heldMax");
    }

    /**
     * Many flows, servers that answer late, twice or never, batches that are live in any order:
     * every message has one end, every held answer leaves once, and no answer is released before
     * all of its addresses are live.
     */
    @Test
    void nothingIsReleasedBeforeItIsLiveAndNothingIsLost() {
        for (long seed = 1; seed <= 30; seed++) {
            storm(new Random(seed), "seed " + seed);
        }
    }

    private void storm(final Random random, final String seed) {
        final Set<String> liveNow = new HashSet<>();
        final Map<Long, List<String>> publishing = new LinkedHashMap<>();
        final Map<Long, List<String>> waiting = new HashMap<>();
        final FqdnCache names =
                new FqdnCache(FqdnLimits.DEFAULT, (_, _) -> false, FqdnStore.NONE, _ -> {});
        final DnsExchange storm =
                new DnsExchange(
                        new DnsLimits(
                                DnsLimits.DeniedRcode.REFUSED, "cluster.local.", 1_000, 300, 20, 8),
                        _ -> new DnsRules.Allowed(EXAMPLE, false),
                        names,
                        (batch, endpoint, name, addresses) -> {
                            final List<String> keys =
                                    addresses.stream().map(a -> endpoint + name + a).toList();
                            if (random.nextInt(3) == 0) {
                                liveNow.addAll(keys);
                                return true;
                            }
                            publishing.put(batch, keys);
                            return false;
                        },
                        DnsEvents.NONE,
                        new DnsClock() {
                            @Override
                            public long monotonicMs() {
                                return nowMs;
                            }

                            @Override
                            public long epochMs() {
                                return nowMs;
                            }
                        });
        final DnsExchange.Releases sink =
                new DnsExchange.Releases() {
                    @Override
                    public void release(final long ticket) {
                        assertThat(liveNow)
                                .as(seed)
                                .containsAll(Objects.requireNonNull(waiting.remove(ticket)));
                    }

                    @Override
                    public void answer(final long ticket, final byte[] reply) {
                        assertThat(waiting.remove(ticket)).as(seed).isNotNull();
                    }
                };
        final List<Map.Entry<DnsFlow, Message>> asked = new ArrayList<>();
        int queries = 0;
        int answers = 0;
        for (int i = 0; i < 600; i++) {
            nowMs += random.nextInt(30);
            switch (random.nextInt(6)) {
                case 0, 1 -> {
                    final DnsFlow flow =
                            flow(
                                    random.nextBoolean() ? "a/a" : "b/b",
                                    DnsFlow.Transport.UDP,
                                    random.nextInt(4));
                    final Message query =
                            query(
                                    random.nextInt(3),
                                    "n" + random.nextInt(3) + ".example.com.",
                                    Type.A);
                    final byte[] octets = query.toWire();
                    storm.onQuery(flow, octets, 0, octets.length);
                    queries++;
                    asked.add(Map.entry(flow, query));
                }
                case 2, 3 -> {
                    if (!asked.isEmpty()) {
                        final var one = asked.get(random.nextInt(asked.size()));
                        final String address = "192.0.2." + random.nextInt(4);
                        final byte[] octets = answer(one.getValue(), "@ 1 A " + address).toWire();
                        final Step step = storm.onAnswer(one.getKey(), octets, 0, octets.length);
                        answers++;
                        final List<String> keys =
                                List.of(
                                        one.getKey().endpoint()
                                                + one.getValue().getQuestion().getName()
                                                + address);
                        if (step == Step.RELEASE) {
                            assertThat(liveNow).as("%s, step %d", seed, i).containsAll(keys);
                        } else if (step == Step.HOLD) {
                            waiting.put(storm.ticket(), keys);
                        }
                    }
                }
                case 4 -> {
                    if (!publishing.isEmpty()) {
                        final List<Long> open = List.copyOf(publishing.keySet());
                        final Long batch = open.get(random.nextInt(open.size()));
                        liveNow.addAll(Objects.requireNonNull(publishing.remove(batch)));
                        storm.onLive(batch, sink);
                    }
                }
                default -> storm.expire(sink);
            }
            assertThat(storm.held()).isEqualTo(waiting.size()).isLessThanOrEqualTo(8);
        }
        nowMs += 10_000;
        storm.expire(sink);
        assertThat(waiting).as(seed).isEmpty();
        assertThat(storm.pending()).isZero();
        assertThat(sum(storm, DnsEnd.QUERY_FORWARDED, DnsEnd.QUERY_PENDING_FULL))
                .isEqualTo(queries);
        assertThat(
                        sum(
                                storm,
                                DnsEnd.ANSWER_RELEASED,
                                DnsEnd.ANSWER_HELD,
                                DnsEnd.ANSWER_HOLD_FULL,
                                DnsEnd.ANSWER_UNASKED,
                                DnsEnd.ANSWER_WRONG_ID,
                                DnsEnd.ANSWER_WRONG_QUESTION))
                .isEqualTo(answers);
        assertThat(sum(storm, DnsEnd.ANSWER_RELEASED_LATER, DnsEnd.ANSWER_NOT_LIVE_IN_TIME))
                .isEqualTo(storm.counted(DnsEnd.ANSWER_HELD));
    }

    private static long sum(final DnsExchange exchange, final DnsEnd... ends) {
        return Arrays.stream(ends).mapToLong(exchange::counted).sum();
    }
}
