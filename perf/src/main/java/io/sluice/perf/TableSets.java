package io.sluice.perf;

import io.sluice.dataplane.table.Ipcache;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.Random;
import java.util.Set;

/**
 * Prefixes, addresses and rules that Sluice's tables and DPDK's are both filled with. From one
 * seed; run as a program it writes them as files of dpdk-test-fib and dpdk-test-acl.
 *
 * <p>Prefixes have the lengths of an Internet table (over half are /24, the others /16 to /23) and
 * lie anywhere in 1.0.0.0 to 223.255.255.255; none is longer, because rte_lpm gives up at some
 * thousands of those. Those of IPv6 have 32 to 64 bits and lie anywhere in 2000::/3. Half of the
 * addresses looked up are random, half lie in a prefix. Rules name a source address, a destination
 * address, a protocol and a destination port, exactly: what a compiled policy of identities amounts
 * to when it is written as addresses.
 */
final class TableSets {
    /** Addresses looked up: more than any cache holds tables for. */
    static final int ADDRESSES = 1 << 20;

    /** Packets judged: as many as dpdk-test-acl keeps in one trace. */
    static final int PACKETS = 1 << 14;

    /** Length of a prefix in bits, and its network address. */
    record Prefix(int network, int length) {}

    /** The same of IPv6; no prefix is longer than 64 bits. */
    record PrefixIpv6(long high, int length) {}

    /** One flow that a rule allows. */
    record Rule(int source, int destination, int port) {}

    private TableSets() {}

    static Prefix[] prefixes(final int count) {
        final Random random = new Random(count);
        final Set<Prefix> prefixes = new HashSet<>();
        final Prefix[] result = new Prefix[count];
        int next = 0;
        while (next < count) {
            final int length = random.nextInt(100) < 55 ? 24 : random.nextInt(16, 24);
            final int address = random.nextInt(1, 224) << 24 | random.nextInt(1 << 24);
            final Prefix prefix = new Prefix(address & -1 << (32 - length), length);
            if (prefixes.add(prefix)) {
                result[next++] = prefix;
            }
        }
        return result;
    }

    static int[] addresses(final Prefix[] prefixes) {
        final Random random = new Random(1);
        final int[] addresses = new int[ADDRESSES];
        for (int i = 0; i < addresses.length; i++) {
            final Prefix prefix = prefixes[random.nextInt(prefixes.length)];
            addresses[i] =
                    i % 2 == 0
                            ? random.nextInt()
                            : prefix.network | random.nextInt() >>> prefix.length;
        }
        return addresses;
    }

    static PrefixIpv6[] prefixesIpv6(final int count) {
        final Random random = new Random(count);
        final Set<PrefixIpv6> prefixes = new LinkedHashSet<>();
        while (prefixes.size() < count) {
            final int length = random.nextInt(32, 65);
            final long high = randomHigh(random) & (-1L << (64 - length));
            prefixes.add(new PrefixIpv6(high, length));
        }
        return prefixes.toArray(new PrefixIpv6[0]);
    }

    private static long randomHigh(final Random random) {
        return 0x2000_0000_0000_0000L | (random.nextLong() >>> 3);
    }

    /** Two longs an address. */
    static long[] addressesIpv6(final PrefixIpv6[] prefixes) {
        final Random random = new Random(1);
        final long[] addresses = new long[2 * ADDRESSES];
        for (int i = 0; i < ADDRESSES; i++) {
            final PrefixIpv6 prefix = prefixes[random.nextInt(prefixes.length)];
            final long below = prefix.length == 64 ? 0 : -1L >>> prefix.length;
            addresses[2 * i] =
                    i % 2 == 0 ? randomHigh(random) : prefix.high | (random.nextLong() & below);
            addresses[2 * i + 1] = random.nextLong();
        }
        return addresses;
    }

    static Ipcache ipcache(final PrefixIpv6[] prefixes) {
        final Ipcache ipcache = new Ipcache();
        for (int i = 0; i < prefixes.length; i++) {
            ipcache.put(prefixes[i].high, 0, prefixes[i].length, i + 1, 0);
        }
        return ipcache;
    }

    static Ipcache ipcache(final Prefix[] prefixes) {
        final Ipcache ipcache = new Ipcache();
        for (int i = 0; i < prefixes.length; i++) {
            put(ipcache, prefixes[i], i + 1);
        }
        return ipcache;
    }

    static void put(final Ipcache ipcache, final Prefix prefix, final int identity) {
        ipcache.put(
                0,
                0xffff_0000_0000L | Integer.toUnsignedLong(prefix.network),
                Ipcache.IPV4_PREFIX_BASE + prefix.length,
                identity,
                0);
    }

    static void remove(final Ipcache ipcache, final Prefix prefix) {
        ipcache.remove(
                0,
                0xffff_0000_0000L | Integer.toUnsignedLong(prefix.network),
                Ipcache.IPV4_PREFIX_BASE + prefix.length);
    }

    /** Rules between 100 sources and as many destinations and ports as it takes. */
    static Rule[] rules(final int count) {
        final Rule[] rules = new Rule[count];
        for (int i = 0; i < count; i++) {
            rules[i] = new Rule(0x0a00_0001 + i % 1000, 0x0a01_0001, 1000 + i / 1000 * 7);
        }
        return rules;
    }

    /** Packets: half of them a rule allows, half miss by their port. */
    static Rule[] packets(final Rule[] rules) {
        final Random random = new Random(2);
        final Rule[] packets = new Rule[PACKETS];
        for (int i = 0; i < packets.length; i++) {
            final Rule rule = rules[random.nextInt(rules.length)];
            packets[i] = new Rule(rule.source, rule.destination, rule.port + i % 2);
        }
        return packets;
    }

    private static String text(final int address) {
        return (address >>> 24)
                + "."
                + (address >>> 16 & 255)
                + "."
                + (address >>> 8 & 255)
                + "."
                + (address & 255);
    }

    private static String text(final long high, final long low) {
        return (HexFormat.of().toHexDigits(high) + HexFormat.of().toHexDigits(low))
                .replaceAll("(....)(?=.)", "$1:");
    }

    /**
     * Writes {@code routes-N}, {@code addresses-N}, {@code routes6-N}, {@code addresses6-N}, {@code
     * rules-N} and {@code trace-N}.
     *
     * @param arguments a folder, then {@code prefixes=N}, {@code prefixes6=N} or {@code rules=N},
     *     as many as wanted
     */
    public static void main(final String[] arguments) throws IOException {
        final Path folder = Path.of(arguments[0]);
        for (int i = 1; i < arguments.length; i++) {
            final String[] words = arguments[i].split("=", 2);
            final int count = Integer.parseInt(words[1]);
            switch (words[0]) {
                case "prefixes" -> writePrefixes(folder, count);
                case "prefixes6" -> writePrefixesIpv6(folder, count);
                default -> writeRules(folder, count);
            }
        }
    }

    private static void writePrefixes(final Path folder, final int count) throws IOException {
        final Prefix[] prefixes = prefixes(count);
        try (PrintWriter routes = writer(folder, "routes-" + count);
                PrintWriter addresses = writer(folder, "addresses-" + count)) {
            for (int i = 0; i < count; i++) {
                routes.println(
                        text(prefixes[i].network)
                                + "/"
                                + prefixes[i].length
                                + " "
                                + (i % 1000 + 1));
            }
            for (final int address : addresses(prefixes)) {
                addresses.println(text(address));
            }
        }
    }

    private static void writePrefixesIpv6(final Path folder, final int count) throws IOException {
        final PrefixIpv6[] prefixes = prefixesIpv6(count);
        try (PrintWriter routes = writer(folder, "routes6-" + count);
                PrintWriter addresses = writer(folder, "addresses6-" + count)) {
            for (int i = 0; i < count; i++) {
                routes.println(
                        text(prefixes[i].high, 0)
                                + "/"
                                + prefixes[i].length
                                + " "
                                + (i % 1000 + 1));
            }
            final long[] all = addressesIpv6(prefixes);
            for (int i = 0; i < all.length; i += 2) {
                addresses.println(text(all[i], all[i + 1]));
            }
        }
    }

    private static void writeRules(final Path folder, final int count) throws IOException {
        final Rule[] all = rules(count);
        try (PrintWriter rules = writer(folder, "rules-" + count);
                PrintWriter trace = writer(folder, "trace-" + count)) {
            for (final Rule rule : all) {
                rules.printf(
                        "@%s/32 %s/32 0 : 65535 %d : %d 0x06/0xff%n",
                        text(rule.source), text(rule.destination), rule.port, rule.port);
            }
            for (final Rule packet : packets(all)) {
                trace.printf(
                        "0x%08x 0x%08x 40000 %d 0x06%n",
                        packet.source, packet.destination, packet.port);
            }
        }
    }

    private static PrintWriter writer(final Path folder, final String name) throws IOException {
        return new PrintWriter(
                Files.newBufferedWriter(folder.resolve(name), StandardCharsets.US_ASCII));
    }
}
