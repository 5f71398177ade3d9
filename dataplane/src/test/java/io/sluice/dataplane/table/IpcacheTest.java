package io.sluice.dataplane.table;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.wire.IpAddress;
import io.sluice.dataplane.wire.IpPrefix;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class IpcacheTest {
    @Test
    void answersWithTheLongestPrefixOfTheAddressesFamily() {
        final Ipcache ipcache =
                ipcacheOf(
                        Map.of(
                                "0.0.0.0/0", 2,
                                "10.0.0.0/8", 20,
                                "10.244.0.10/32", 300,
                                "::/0", 9,
                                "2001:db8::/32", 21));

        assertThat(identityOf(ipcache, "10.244.0.10")).isEqualTo(300);
        assertThat(identityOf(ipcache, "10.244.0.11")).isEqualTo(20);
        assertThat(identityOf(ipcache, "11.0.0.1")).isEqualTo(2);
        assertThat(identityOf(ipcache, "2001:db8::5")).isEqualTo(21);
        assertThat(identityOf(ipcache, "2001:db9::5")).isEqualTo(9);
    }

    @Test
    void doesNotLetAnIpv6PrefixAnswerForIpv4() {
        final Ipcache ipcache = ipcacheOf(Map.of("::/0", 9));

        assertThat(identityOf(ipcache, "10.0.0.1")).isZero();
        final IpAddress address = IpAddress.parse("10.0.0.1");
        assertThat(Ipcache.port(ipcache.lookup(address.high(), address.low())))
                .isEqualTo(Ipcache.NO_PORT);
    }

    @Test
    void keepsIdentityAndPortApart() {
        final Ipcache ipcache =
                new Ipcache.Builder().add(0, 0xffff_0a00_0001L, 128, 0x0100_0001, 4095).build();

        final long answer = ipcache.lookup(0, 0xffff_0a00_0001L);

        assertThat(Ipcache.identity(answer)).isEqualTo(0x0100_0001);
        assertThat(Ipcache.port(answer)).isEqualTo(4095);
    }

    @Test
    void agreesWithALinearSearchOnRandomTables() {
        final long seed = 20261121;
        final Random random = new Random(seed);
        for (int round = 0; round < 50; round++) {
            final Map<IpPrefix, Integer> prefixes = new LinkedHashMap<>();
            for (int i = 0; i < 200; i++) {
                prefixes.put(randomPrefix(random), i + 1);
            }
            final Ipcache.Builder builder = new Ipcache.Builder();
            prefixes.forEach(
                    (prefix, identity) ->
                            builder.add(
                                    prefix.high(),
                                    prefix.low(),
                                    prefix.prefixLength(),
                                    identity,
                                    0));
            final Ipcache ipcache = builder.build();
            for (int i = 0; i < 500; i++) {
                final IpPrefix near = randomPrefix(random);
                assertThat(Ipcache.identity(ipcache.lookup(near.high(), near.low())))
                        .as("seed %d round %d address %s", seed, round, near)
                        .isEqualTo(linear(prefixes, near.high(), near.low()));
            }
        }
    }

    private static int linear(
            final Map<IpPrefix, Integer> prefixes, final long high, final long low) {
        int longest = -1;
        int identity = 0;
        final boolean ipv4 = new IpAddress(high, low).isIpv4();
        for (final Map.Entry<IpPrefix, Integer> entry : prefixes.entrySet()) {
            final IpPrefix prefix = entry.getKey();
            if (prefix.isIpv4() == ipv4
                    && prefix.contains(high, low)
                    && prefix.prefixLength() > longest) {
                longest = prefix.prefixLength();
                identity = entry.getValue();
            }
        }
        return identity;
    }

    /** Few distinct bits, so that prefixes nest. */
    private static IpPrefix randomPrefix(final Random random) {
        if (random.nextBoolean()) {
            final int address = 0x0a00_0000 | random.nextInt(4) << 16 | random.nextInt(8);
            return IpPrefix.around(IpAddress.ofIpv4(address), random.nextInt(33));
        }
        final long low = (long) random.nextInt(4) << 32 | random.nextInt(8);
        return IpPrefix.around(
                new IpAddress(0x2001_0db8_0000_0000L | random.nextInt(4), low),
                random.nextInt(129));
    }

    private static int identityOf(final Ipcache ipcache, final String text) {
        final IpAddress address = IpAddress.parse(text);
        return Ipcache.identity(ipcache.lookup(address.high(), address.low()));
    }

    private static Ipcache ipcacheOf(final Map<String, Integer> prefixes) {
        final Ipcache.Builder builder = new Ipcache.Builder();
        prefixes.forEach(
                (text, identity) -> {
                    final IpPrefix prefix = IpPrefix.parse(text);
                    builder.add(prefix.high(), prefix.low(), prefix.prefixLength(), identity, 0);
                });
        return builder.build();
    }
}
