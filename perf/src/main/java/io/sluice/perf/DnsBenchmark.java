package io.sluice.perf;

import io.sluice.dnsproxy.DnsClock;
import io.sluice.dnsproxy.DnsEvents;
import io.sluice.dnsproxy.DnsExchange;
import io.sluice.dnsproxy.DnsFlow;
import io.sluice.dnsproxy.DnsLimits;
import io.sluice.dnsproxy.DnsRules;
import io.sluice.dnsproxy.cache.FqdnCache;
import io.sluice.dnsproxy.cache.FqdnLimits;
import io.sluice.dnsproxy.cache.FqdnStore;
import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import io.sluice.dnsproxy.wire.Address;
import io.sluice.dnsproxy.wire.DnsMessage;
import io.sluice.dnsproxy.wire.WireFault;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a DNS query costs without packets: reading a message, asking many patterns about a name, and
 * the whole exchange of a query and its answer, whose addresses are known already.
 *
 * <p>Patterns are a quarter each: names, {@code *.name}, {@code prefix-*.name}, {@code **.name}.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class DnsBenchmark {
    /** Query for www.shop.example. A with EDNS. */
    private static final byte[] QUERY =
            HexFormat.of()
                    .parseHex(
                            "123401000001000000000001"
                                    + "037777770473686f70076578616d706c6500"
                                    + "00010001"
                                    + "00002904d0000000000000");

    /** Answer: an alias, two addresses behind it, EDNS. */
    private static final byte[] ANSWER =
            HexFormat.of()
                    .parseHex(
                            "123481800001000300000001"
                                    + "037777770473686f70076578616d706c6500"
                                    + "00010001"
                                    + "c00c000500010000003c00060363646ec010"
                                    + "c02e000100010000003c0004c0000201"
                                    + "c02e000100010000003c0004c0000202"
                                    + "00002904d0000000000000");

    @Param({"10", "10000"})
    private int patterns;

    private final DnsMessage message = new DnsMessage();
    private final DnsFlow flow =
            new DnsFlow(
                    "shop/backend",
                    DnsFlow.Transport.UDP,
                    Address.parse("10.244.0.12"),
                    40_000,
                    Address.parse("10.96.0.10"),
                    53);
    private NamePatternIndex index = NamePatternIndex.NONE;
    private @Nullable DnsExchange exchange;

    /** Patterns, of which the last means the name that is asked for. */
    @Setup
    public void setUp() {
        final List<NamePattern> made = new ArrayList<>();
        for (int i = 0; made.size() < patterns - 1; i++) {
            switch (i % 4) {
                case 0 -> made.add(NamePattern.parseName("www.shop" + i + ".example"));
                case 1 -> made.add(NamePattern.parse("*.shop" + i + ".example"));
                case 2 -> made.add(NamePattern.parse("www" + i + "-*.example"));
                default -> made.add(NamePattern.parse("**.shop" + i + ".example"));
            }
        }
        made.add(NamePattern.parse("*.shop.example"));
        index = NamePatternIndex.of(made);
        final DnsRules.Allowed allowed = new DnsRules.Allowed(index, false);
        exchange =
                new DnsExchange(
                        DnsLimits.DEFAULT,
                        _ -> allowed,
                        new FqdnCache(FqdnLimits.DEFAULT, (_, _) -> true, FqdnStore.NONE, _ -> {}),
                        (_, _, _, _) -> true,
                        DnsEvents.NONE,
                        new DnsClock() {
                            @Override
                            public long monotonicMs() {
                                return System.nanoTime() / 1_000_000;
                            }

                            @Override
                            public long epochMs() {
                                return System.currentTimeMillis();
                            }
                        });
        if (exchange() != DnsExchange.Step.RELEASE) {
            throw new IllegalStateException("the exchange ended with another step");
        }
    }

    /** Reads and checks a query. */
    @Benchmark
    public WireFault readQuery() {
        return message.read(QUERY, 0, QUERY.length);
    }

    /** Reads and checks an answer with an alias and two addresses. */
    @Benchmark
    public WireFault readAnswer() {
        return message.read(ANSWER, 0, ANSWER.length);
    }

    /** A name that one pattern means. */
    @Benchmark
    public @Nullable NamePattern matchAllowed() {
        return index.match("www.shop.example.");
    }

    /** A name that none means. */
    @Benchmark
    public @Nullable NamePattern matchDenied() {
        return index.match("www.other.shop7.example.");
    }

    /** A query forwarded, its answer released. */
    @Benchmark
    public DnsExchange.Step exchange() {
        final DnsExchange agent = Objects.requireNonNull(exchange);
        agent.onQuery(flow, QUERY, 0, QUERY.length);
        return agent.onAnswer(flow, ANSWER, 0, ANSWER.length);
    }
}
