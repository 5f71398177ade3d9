package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

final class IpPrefixTest {
    @Test
    void readsBlocksOfBothFamilies() {
        assertThat(IpPrefix.parse("10.0.0.0/8"))
                .isEqualTo(new IpPrefix(0, 0x0000_ffff_0a00_0000L, 104));
        assertThat(IpPrefix.parse("0.0.0.0/0"))
                .isEqualTo(new IpPrefix(0, 0x0000_ffff_0000_0000L, 96));
        assertThat(IpPrefix.parse("::/0")).isEqualTo(new IpPrefix(0, 0, 0));
        assertThat(IpPrefix.parse("2001:db8::/32"))
                .isEqualTo(new IpPrefix(0x2001_0db8_0000_0000L, 0, 32));
        assertThat(IpPrefix.parse("fd00::5/128"))
                .isEqualTo(IpPrefix.of(IpAddress.parse("fd00::5")));
    }

    @Test
    void textReadsBackAsTheSameBlock() {
        for (final String text :
                new String[] {
                    "0.0.0.0/0",
                    "10.0.0.0/8",
                    "10.0.0.1/32",
                    "::/0",
                    "fe80::/10",
                    "::1/128",
                    "2001:db8::/64",
                    "2001:db8::/65",
                    "8000::/1"
                }) {
            assertThat(IpPrefix.parse(text)).hasToString(text);
        }
    }

    @Test
    void containsItsFirstAndLastAddressAndNotTheNeighbours() {
        final IpPrefix block = IpPrefix.parse("10.16.0.0/12");

        assertThat(block.contains(IpAddress.parse("10.16.0.0"))).isTrue();
        assertThat(block.contains(IpAddress.parse("10.31.255.255"))).isTrue();
        assertThat(block.contains(IpAddress.parse("10.15.255.255"))).isFalse();
        assertThat(block.contains(IpAddress.parse("10.32.0.0"))).isFalse();
        assertThat(
                        IpPrefix.parse("2001:db8::/65")
                                .contains(IpAddress.parse("2001:db8::7fff:0:0:1")))
                .isTrue();
        assertThat(
                        IpPrefix.parse("2001:db8::/65")
                                .contains(IpAddress.parse("2001:db8::8000:0:0:0")))
                .isFalse();
    }

    @Test
    void noIpv6BlockContainsAnIpv4Address() {
        assertThat(IpPrefix.parse("::/0").contains(IpAddress.parse("10.0.0.1"))).isFalse();
        assertThat(IpPrefix.parse("::/0").contains(IpPrefix.parse("10.0.0.0/8"))).isFalse();
        assertThat(IpPrefix.parse("::/0").contains(IpAddress.parse("fd00::1"))).isTrue();
        assertThat(IpPrefix.parse("0.0.0.0/0").contains(IpAddress.parse("fd00::1"))).isFalse();
        assertThat(IpPrefix.parse("0.0.0.0/0").contains(IpAddress.parse("255.1.2.3"))).isTrue();
        assertThat(IpPrefix.parse("0.0.0.0/0").isIpv4()).isTrue();
        assertThat(IpPrefix.parse("::/0").isIpv4()).isFalse();
    }

    @Test
    void containsNarrowerBlocksAndItselfButNotWiderOnes() {
        final IpPrefix block = IpPrefix.parse("10.0.0.0/8");

        assertThat(block.contains(block)).isTrue();
        assertThat(block.contains(IpPrefix.parse("10.4.0.0/16"))).isTrue();
        assertThat(block.contains(IpPrefix.parse("11.0.0.0/16"))).isFalse();
        assertThat(block.contains(IpPrefix.parse("0.0.0.0/0"))).isFalse();
    }

    @Test
    void bitsBehindThePrefixAreRefusedWithTheBlockToWrite() {
        assertThatThrownBy(() -> IpPrefix.parse("10.1.2.3/8"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("\"10.1.2.3/8\" has bits set behind its prefix: write 10.0.0.0/8");
        assertThat(IpPrefix.parseAround("10.1.2.3/8")).isEqualTo(IpPrefix.parse("10.0.0.0/8"));
        assertThat(IpPrefix.parseAround("fd00::ffff/64")).isEqualTo(IpPrefix.parse("fd00::/64"));
    }

    @Test
    void otherTextIsRefusedWithTheReason() {
        refuses("10.0.0.0", "ADDRESS/LENGTH");
        refuses("10.0.0.0/", "0 to 32");
        refuses("10.0.0.0/33", "0 to 32");
        refuses("10.0.0.0/-1", "0 to 32");
        refuses("10.0.0.0/+8", "0 to 32");
        refuses("10.0.0.0/08", "0 to 32");
        refuses("10.0.0.0/8/8", "0 to 32");
        refuses("10.0.0.0/255.0.0.0", "0 to 32");
        refuses("10.0.0.0/\u0668", "0 to 32");
        refuses("fd00::/129", "0 to 128");
        refuses("fd00::/9999999999", "0 to 128");
        refuses("10.0.0/8", "four numbers");
        refuses("/8", "four numbers");
        refuses("::ffff:10.0.0.0/104", "write an IPv4 address");
    }

    @Test
    void aBlockIsBuiltOnlyFromItsFirstAddress() {
        assertThatThrownBy(() -> new IpPrefix(0, 1, 127))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new IpPrefix(0, 0, 129))
                .isInstanceOf(IllegalArgumentException.class);
        assertThat(IpPrefix.around(IpAddress.parse("10.1.2.3"), 104))
                .isEqualTo(IpPrefix.parse("10.0.0.0/8"));
    }

    private static void refuses(final String text, final String reason) {
        assertThatThrownBy(() -> IpPrefix.parse(text))
                .as(text)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(reason);
    }
}
