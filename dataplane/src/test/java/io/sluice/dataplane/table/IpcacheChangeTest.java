package io.sluice.dataplane.table;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.wire.IpAddress;
import io.sluice.dataplane.wire.IpPrefix;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/**
 * The ipcache while it changes: against a map in which every length is tried, and under readers.
 */
class IpcacheChangeTest {
    /** A plain map; a lookup tries all lengths of the family. */
    private static final class Model {
        private final Map<IpPrefix, Integer> prefixes = new HashMap<>();

        int lookup(final IpAddress address) {
            final int shortest = address.isIpv4() ? IpPrefix.IPV4_BITS : 0;
            for (int length = 128; length >= shortest; length--) {
                final Integer found = prefixes.get(IpPrefix.around(address, length));
                if (found != null) {
                    return found;
                }
            }
            return 0;
        }
    }

    @Test
    void agreesWithAMapOverMillionsOfRandomChangesAndLookups() {
        for (int round = 0; round < 8; round++) {
            final int spread = round / 2;
            final long seed = 20261127L + round;
            final Random random = new Random(seed);
            final Model model = new Model();
            // Never a block table; from the 3rd IPv4 prefix on, with all there is to move.
            final Ipcache ipcache = new Ipcache(round % 2 == 0 ? Integer.MAX_VALUE : 2);
            final List<IpPrefix> present = new ArrayList<>();
            // All IPv4 in blocks: a short prefix touches millions of words.
            final int steps = round == 7 ? 60_000 : 300_000;
            for (int step = 0; step < steps; step++) {
                // Phases that grow and phases that shrink, down to nothing.
                final boolean grows =
                        step / 20_000 % 2 == 0 ? random.nextInt(4) > 0 : random.nextInt(4) == 0;
                if (grows) {
                    final IpPrefix prefix = prefixAround(address(random, spread), random);
                    final int identity = random.nextInt(1, 50);
                    if (model.prefixes.put(prefix, identity) == null) {
                        present.add(prefix);
                    }
                    ipcache.put(
                            prefix.high(), prefix.low(), prefix.prefixLength(), identity, identity);
                } else if (!present.isEmpty()) {
                    final int at = random.nextInt(present.size());
                    final IpPrefix prefix = present.get(at);
                    present.set(at, present.getLast());
                    present.removeLast();
                    model.prefixes.remove(prefix);
                    assertThat(ipcache.remove(prefix.high(), prefix.low(), prefix.prefixLength()))
                            .isTrue();
                }
                for (int i = 0; i < 2; i++) {
                    final IpAddress near = address(random, spread);
                    final long answer = lookup(ipcache, near, random);
                    final int expected = model.lookup(near);
                    if (Ipcache.identity(answer) != expected
                            || Ipcache.port(answer) != (expected == 0 ? -1 : expected)) {
                        assertThat(Ipcache.identity(answer))
                                .as("seed %d step %d address %s", seed, step, near)
                                .isEqualTo(expected);
                    }
                }
                if (step % 1000 == 0) {
                    ipcache.seal();
                    ipcache.reclaim();
                    assertThat(ipcache.size()).isEqualTo(present.size());
                }
            }
            final long emptyBytes = new Ipcache().usedBytes() + ipcache.blockBytes();
            for (final IpPrefix prefix : present) {
                ipcache.remove(prefix.high(), prefix.low(), prefix.prefixLength());
            }
            ipcache.seal();
            ipcache.reclaim();
            assertThat(ipcache.size()).isZero();
            assertThat(ipcache.usedBytes()).as("nodes left over").isEqualTo(emptyBytes);
            assertThat(ipcache.blockBytes() > 0)
                    .as("blocks")
                    .isEqualTo(round % 2 == 1 && spread != 2);
        }
    }

    @Test
    void movesIpv4IntoBlocksAboveTheBoundAndSaysWhatTheyTake() {
        final int bound = 500;
        final Ipcache ipcache = new Ipcache(bound);
        final long withoutBlocks = ipcache.bytes();
        // Each in a /16 of its own; all /16 with one, and those of IPv6, do not count.
        for (int i = 0; i < bound; i++) {
            ipcache.put(0, 0xffff_0a00_0000L + ((long) i << 16), 120, i + 1, 0);
            ipcache.put(0x2001_0db8_0000_0000L | i, 0, 64, i + 1, 0);
        }
        ipcache.put(0, 0xffff_0a00_0000L, 120, 1, 0);
        assertThat(ipcache.blockBytes()).isZero();
        final long trieBytes = ipcache.bytes();

        ipcache.put(0, 0xffff_0a00_0100L, 120, 1000, 0);

        assertThat(ipcache.blockBytes()).as("the changed /16").isGreaterThan(0);
        for (int change = 0; change < 1 << 12; change++) {
            ipcache.put(0, 0xffff_0a00_0100L, 120, 1000 + change % 2, 0);
        }
        // 500 blocks of 2 KiB, from 10.0.0.0 to 11.243.0.0: one huge page.
        assertThat(ipcache.blockBytes()).isEqualTo(500 * 2048);
        assertThat(ipcache.bytes()).isEqualTo(trieBytes + (2 << 20)).isGreaterThan(withoutBlocks);
        for (int i = 1; i < bound; i++) {
            final long address = 0xffff_0a00_0007L + ((long) i << 16);
            assertThat(Ipcache.identity(ipcache.lookup(0, address))).isEqualTo(i + 1);
            assertThat(Ipcache.identity(ipcache.lookup(0, address + 0x100))).isZero();
            ipcache.remove(0, address, 120);
            assertThat(ipcache.lookup(0, address)).isEqualTo(ipcache.lookup(0, 0xffff_0100_0000L));
        }
        assertThat(ipcache.blockBytes()).as("blocks stay").isEqualTo(500 * 2048);
    }

    @Test
    void looksManyUpAsItLooksUpOne() {
        looksManyUpAsItLooksUpOne(new Ipcache());
        looksManyUpAsItLooksUpOne(new Ipcache(1000));
    }

    private static void looksManyUpAsItLooksUpOne(final Ipcache ipcache) {
        final Random random = new Random(7);
        final int[] addresses = new int[4096];
        for (int i = 0; i < addresses.length; i++) {
            final IpAddress address = address(random, 3);
            final IpPrefix prefix = prefixAround(address, random);
            ipcache.put(prefix.high(), prefix.low(), prefix.prefixLength(), i + 1, 3);
            addresses[i] = (int) address.low();
        }
        final long[] answers = new long[addresses.length];

        ipcache.lookupIpv4(addresses, answers, addresses.length);

        for (int i = 0; i < addresses.length; i++) {
            final IpAddress address = IpAddress.ofIpv4(addresses[i]);
            assertThat(answers[i]).isEqualTo(ipcache.lookup(address.high(), address.low()));
        }
    }

    /**
     * The writer makes one change at a time and tells readers before and after it which; a reader
     * whose lookup lies within one change must see the old or the new answer of its address, one
     * that saw none begin must see the only one there is.
     */
    @Test
    void noReaderSeesAnAnswerThatWasNeverTheTablesAnswer() throws InterruptedException {
        for (int round = 0; round < 7; round++) {
            // The last three with blocks, into which nodes move while lookups go on.
            final int spread = round < 4 ? round : new int[] {0, 1, 3}[round - 4];
            final Random random = new Random(99 + round);
            final Ipcache ipcache = new Ipcache(round < 4 ? Integer.MAX_VALUE : 3);
            final Model model = new Model();
            final IpAddress[] probes = new IpAddress[64];
            for (int i = 0; i < probes.length; i++) {
                probes[i] = address(random, spread);
            }
            // Answers per probe: [change][probe]; change n leads from answers n to n + 1.
            final int changes = 20_000;
            final int[][] answers = new int[changes + 1][probes.length];
            final List<IpPrefix> prefixes = new ArrayList<>();
            final int[] identities = new int[changes];
            for (int change = 0; change < changes; change++) {
                final boolean adds = prefixes.isEmpty() || random.nextBoolean();
                final IpPrefix prefix = prefixAround(probes[random.nextInt(probes.length)], random);
                identities[change] = adds ? random.nextInt(1, 1 << 20) : 0;
                prefixes.add(prefix);
                if (adds) {
                    model.prefixes.put(prefix, identities[change]);
                } else {
                    model.prefixes.remove(prefix);
                }
                for (int i = 0; i < probes.length; i++) {
                    answers[change + 1][i] = model.lookup(probes[i]);
                }
            }
            final AtomicLong begun = new AtomicLong();
            final AtomicLong done = new AtomicLong();
            final AtomicLong boundary = new AtomicLong();
            final AtomicBoolean stop = new AtomicBoolean();
            final AtomicReference<String> wrong = new AtomicReference<>("");
            final Thread reader =
                    new Thread(
                            () -> {
                                int i = 0;
                                final Random ways = new Random(1);
                                while (!stop.get()) {
                                    boundary.incrementAndGet();
                                    for (int n = 0; n < 32; n++) {
                                        i = (i + 1) % probes.length;
                                        final int from = (int) done.get();
                                        final long answer = lookup(ipcache, probes[i], ways);
                                        final int to = (int) begun.get();
                                        boolean valid = false;
                                        for (int state = from; state <= to && !valid; state++) {
                                            valid = answers[state][i] == Ipcache.identity(answer);
                                        }
                                        if (!valid) {
                                            wrong.set(
                                                    probes[i]
                                                            + " answered "
                                                            + answer
                                                            + " between "
                                                            + from
                                                            + " and "
                                                            + to);
                                        }
                                    }
                                }
                            });
            reader.start();
            for (int change = 0; change < changes; change++) {
                final IpPrefix prefix = prefixes.get(change);
                begun.set(change + 1);
                if (identities[change] != 0) {
                    ipcache.put(
                            prefix.high(),
                            prefix.low(),
                            prefix.prefixLength(),
                            identities[change],
                            1);
                } else {
                    ipcache.remove(prefix.high(), prefix.low(), prefix.prefixLength());
                }
                done.set(change + 1);
                if (change % 64 == 0) {
                    ipcache.seal();
                    final long seen = boundary.get();
                    while (boundary.get() < seen + 1) {
                        Thread.onSpinWait();
                    }
                    ipcache.reclaim();
                }
            }
            stop.set(true);
            reader.join();
            assertThat(wrong.get()).as("round %d", round).isEmpty();
        }
    }

    /** By either way to look an address up. */
    private static long lookup(
            final Ipcache ipcache, final IpAddress address, final Random random) {
        if (!address.isIpv4() || random.nextBoolean()) {
            return ipcache.lookup(address.high(), address.low());
        }
        final long[] answer = new long[1];
        ipcache.lookupIpv4(new int[] {(int) address.low()}, answer, 1);
        return answer[0];
    }

    /**
     * Spread 0: dense IPv4; 1: sparse IPv4 and IPv6; 2: IPv6 that shares long runs; 3: all IPv4.
     */
    private static IpAddress address(final Random random, final int spread) {
        return switch (spread) {
            case 0 -> IpAddress.ofIpv4(0x0af4_0000 | random.nextInt(2) << 8 | random.nextInt(256));
            case 1 ->
                    random.nextBoolean()
                            ? IpAddress.ofIpv4(
                                    random.nextInt(4) << 24
                                            | random.nextInt(3) << 16
                                            | random.nextInt(4) << 7
                                            | random.nextInt(4))
                            : new IpAddress(
                                    0x2001_0db8_0000_0000L
                                            | (long) random.nextInt(3) << 30
                                            | random.nextInt(4),
                                    (long) random.nextInt(4) << 54
                                            | (long) random.nextInt(3) << 31
                                            | random.nextInt(8));
            case 2 ->
                    new IpAddress(
                            0xfd00_0000_0000_0000L,
                            (long) random.nextInt(2) << 63 | random.nextInt(64));
            default -> IpAddress.ofIpv4(random.nextInt());
        };
    }

    private static IpPrefix prefixAround(final IpAddress address, final Random random) {
        final int bits = address.isIpv4() ? 32 : 128;
        // Long ones more often: short ones cover all the rest.
        final int length =
                random.nextInt(4) == 0
                        ? random.nextInt(bits + 1)
                        : random.nextInt(bits / 2, bits + 1);
        return IpPrefix.around(address, 128 - bits + length);
    }
}
