package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class CidrTest {
    private static IpAddress address(final String text) {
        return IpAddress.parse(text).orElseThrow();
    }

    private static Cidr cidr(final String text) {
        return Cidr.parse(text).orElseThrow();
    }

    @Test
    void anAddressIsReadOnlyInItsOneUnambiguousForm() {
        for (final String text :
                List.of(
                        "",
                        "1",
                        "1.2.3",
                        "1.2.3.4.5",
                        "01.2.3.4",
                        "1.2.3.04",
                        "256.1.1.1",
                        "1.2.3.",
                        ".1.2.3",
                        "1..2.3",
                        "1.2.3.4 ",
                        "0x1.2.3.4",
                        "::ffff:1.2.3.4",
                        "fe80::1%eth0",
                        "[::1]",
                        ":",
                        ":::",
                        "1:2:3",
                        "g::1",
                        "localhost")) {
            assertThat(IpAddress.parse(text)).as("\"%s\"", text).isEmpty();
        }
    }

    @Test
    void addressesPrintInTheCanonicalFormOfRfc5952() {
        assertThat(address("10.0.0.255")).hasToString("10.0.0.255");
        assertThat(address("2001:DB8:0:0:0:0:0:1")).hasToString("2001:db8::1");
        assertThat(address("2001:db8:0:1:1:1:1:1")).hasToString("2001:db8:0:1:1:1:1:1");
        assertThat(address("2001:0:0:1:0:0:0:1")).hasToString("2001:0:0:1::1");
        assertThat(address("2001:db8::1:0:0:1")).hasToString("2001:db8::1:0:0:1");
        assertThat(address("::")).hasToString("::");
        assertThat(address("::1")).hasToString("::1");
        assertThat(address("fd00::")).hasToString("fd00::");
    }

    @Test
    void ipv4AddressesHaveTheMappedForm() {
        assertThat(address("1.2.3.4")).isEqualTo(new IpAddress(0, 0x0000_ffff_0102_0304L));
    }

    @Test
    void aPrefixIsReadOnlyWithALengthOfItsFamily() {
        for (final String text :
                List.of(
                        "10.0.0.0",
                        "10.0.0.0/",
                        "10.0.0.0/33",
                        "10.0.0.0/08",
                        "::/129",
                        "/8",
                        "10.0.0.0/+8",
                        "10.0.0.0/8/8",
                        "10.0.0/8",
                        "10.0.0.0/-1")) {
            assertThat(Cidr.parse(text)).as("\"%s\"", text).isEmpty();
        }
        assertThat(cidr("0.0.0.0/0")).isEqualTo(Cidr.ALL_IPV4);
        assertThat(cidr("::/0")).isEqualTo(Cidr.ALL_IPV6);
    }

    @Test
    void bitsBeyondThePrefixAreClearedAndCanBeAskedFor() {
        assertThat(cidr("10.1.2.3/8")).hasToString("10.0.0.0/8");
        assertThat(Cidr.hasHostBits("10.1.2.3/8")).isTrue();
        assertThat(Cidr.hasHostBits("10.0.0.0/8")).isFalse();
        assertThatThrownBy(() -> new Cidr(address("10.1.0.0"), 8))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void familiesNeverMix() {
        assertThat(Cidr.ALL_IPV6.contains(address("10.0.0.1"))).isFalse();
        assertThat(Cidr.ALL_IPV4.contains(address("::1"))).isFalse();
        assertThat(Cidr.ALL_IPV6.contains(Cidr.ALL_IPV4)).isFalse();
    }

    @Test
    void aPrefixContainsItselfAndWhatIsNarrower() {
        assertThat(cidr("10.0.0.0/8").contains(cidr("10.0.0.0/8"))).isTrue();
        assertThat(cidr("10.0.0.0/8").contains(cidr("10.255.0.0/16"))).isTrue();
        assertThat(cidr("10.0.0.0/8").contains(cidr("0.0.0.0/0"))).isFalse();
        assertThat(cidr("10.0.0.0/9").contains(address("10.128.0.0"))).isFalse();
        assertThat(cidr("2001:db8::/33").contains(address("2001:db8:8000::"))).isFalse();
        assertThat(cidr("2001:db8::/65").contains(address("2001:db8::7fff:0:0:1"))).isTrue();
        assertThat(cidr("2001:db8::/65").contains(address("2001:db8::8000:0:0:1"))).isFalse();
    }

    @Test
    void aPrefixSetFindsExactlyThePrefixesThatContainAnAddress() {
        final Random random = new Random(42);
        final List<Cidr> prefixes =
                random.ints(400)
                        .mapToObj(
                                bits -> {
                                    final int length = random.nextInt(33);
                                    // Few distinct leading bits, so that prefixes nest.
                                    return Cidr.host(IpAddress.ofIpv4(bits & 0x0303_0303))
                                            .widened(length);
                                })
                        .toList();
        final PrefixSet set = new PrefixSet(prefixes);
        for (int i = 0; i < 400; i++) {
            final IpAddress address = IpAddress.ofIpv4(random.nextInt() & 0x0303_0303);
            assertThat(set.containing(Cidr.host(address)))
                    .containsExactlyInAnyOrderElementsOf(
                            prefixes.stream()
                                    .filter(prefix -> prefix.contains(address))
                                    .distinct()
                                    .toList());
        }
    }
}
