package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigInteger;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class IpAddressTest {
    private static final long SEED = 5952;

    @Test
    void readsIpv4AsMapped() {
        final IpAddress address = IpAddress.parse("10.0.255.5");

        assertThat(address).isEqualTo(new IpAddress(0, 0x0000_ffff_0a00_ff05L));
        assertThat(address.isIpv4()).isTrue();
        assertThat(address.ipv4()).isEqualTo(0x0a00ff05);
        assertThat(address).isEqualTo(IpAddress.ofIpv4(0x0a00ff05)).hasToString("10.0.255.5");
        assertThat(IpAddress.parse("255.255.255.255").ipv4()).isEqualTo(-1);
        assertThat(IpAddress.parse("0.0.0.0")).hasToString("0.0.0.0");
    }

    @Test
    void readsIpv6() {
        assertThat(IpAddress.parse("::")).isEqualTo(new IpAddress(0, 0));
        assertThat(IpAddress.parse("::1")).isEqualTo(new IpAddress(0, 1));
        assertThat(IpAddress.parse("fe80::")).isEqualTo(new IpAddress(0xfe80L << 48, 0));
        assertThat(IpAddress.parse("1:2:3:4:5:6:7:8"))
                .isEqualTo(new IpAddress(0x0001_0002_0003_0004L, 0x0005_0006_0007_0008L));
        assertThat(IpAddress.parse("1:2:3::6:7:8"))
                .isEqualTo(new IpAddress(0x0001_0002_0003_0000L, 0x0000_0006_0007_0008L));
        assertThat(IpAddress.parse("1:2:3:4:5:6:7::"))
                .isEqualTo(new IpAddress(0x0001_0002_0003_0004L, 0x0005_0006_0007_0000L));
        assertThat(IpAddress.parse("64:ff9b::192.0.2.33"))
                .isEqualTo(new IpAddress(0x0064_ff9b_0000_0000L, 0xc000_0221L));
        assertThat(IpAddress.parse("FD00::A")).isEqualTo(IpAddress.parse("fd00::a"));
    }

    @Test
    void writesIpv6AsRfc5952Recommends() {
        assertCanonical("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
        assertCanonical("2001:0db8::0001", "2001:db8::1");
        assertCanonical("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
        assertCanonical("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
        assertCanonical("2001:DB8::ABCD", "2001:db8::abcd");
        assertCanonical("0:0:0:0:0:0:0:0", "::");
        assertCanonical("1:0:0:0:0:0:0:0", "1::");
        assertCanonical("0:0:0:0:0:0:0:1", "::1");
        assertCanonical("0:1:0:0:0:0:0:0", "0:1::");
        assertCanonical("fe80:0:0:0:0:0:0:1", "fe80::1");
    }

    @Test
    void textReadsBackAsTheSameAddressAndMeansWhatTheJdkReads() throws UnknownHostException {
        final Random random = new Random(SEED);
        for (int round = 0; round < 2_000; round++) {
            // Groups of 0 are made frequent, for "::" in every place.
            final IpAddress address = new IpAddress(withZeroGroups(random), withZeroGroups(random));
            if (address.isIpv4()) {
                continue;
            }
            final String text = address.toString();

            assertThat(IpAddress.parse(text)).as("seed %d: %s", SEED, text).isEqualTo(address);
            final byte[] jdk = ((Inet6Address) InetAddress.ofLiteral(text)).getAddress();
            assertThat(new BigInteger(1, jdk).longValue()).isEqualTo(address.low());
            assertThat(new BigInteger(1, jdk).shiftRight(64).longValue()).isEqualTo(address.high());
        }
    }

    @Test
    void otherTextIsRefusedWithTheReason() {
        refuses("", "four numbers");
        refuses("10.0.0", "four numbers");
        refuses("10.0.0.0.0", "four numbers");
        refuses("10.0.0.", "four numbers");
        refuses("10..0.1", "four numbers");
        refuses(" 10.0.0.1", "four numbers");
        refuses("10.0.0.1 ", "four numbers");
        refuses("10.0.0.256", "0 to 255");
        refuses("10.0.0.99999999999", "0 to 255");
        refuses("010.0.0.1", "leading zeros");
        refuses("0x0a.0.0.1", "four numbers");
        refuses("\u0661\u0660.0.0.1", "four numbers");
        refuses("frontend", "four numbers");
        refuses("1:2:3:4:5:6:7", "eight groups");
        refuses("1:2:3:4:5:6:7:8:9", "eight groups");
        refuses("1:2:3:4:5:6:7:1.2.3.4", "eight groups");
        refuses("1:2:3:4::5:6:7:8", "at least one");
        refuses("1::2::3", "once");
        refuses(":::", "once");
        refuses(":1:2:3:4:5:6:7", "one to four");
        refuses("1:2:3:4:5:6:7:", "single \":\"");
        refuses("::1:", "single \":\"");
        refuses("1:::2", "once");
        refuses("12345::", "one to four");
        refuses("g::", "one to four");
        refuses("fe80::1%eth0", "zone");
        refuses("1.2.3.4::", "one to four");
        refuses("::1.2.3", "four numbers");
    }

    @Test
    void mappedTextIsRefusedWithTheSpellingToUse() {
        refuses("::ffff:10.0.0.1", "write an IPv4 address as 10.0.0.1");
        refuses("::ffff:a00:1", "write an IPv4 address as 10.0.0.1");
    }

    private static void refuses(final String text, final String reason) {
        assertThatThrownBy(() -> IpAddress.parse(text))
                .as(text)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("\"" + text + "\" is not an IP address")
                .hasMessageContaining(reason);
    }

    private static void assertCanonical(final String text, final String canonical) {
        assertThat(IpAddress.parse(text)).hasToString(canonical);
    }

    private static long withZeroGroups(final Random random) {
        long half = random.nextLong();
        for (int group = 0; group < 4; group++) {
            if (random.nextBoolean()) {
                half &= ~(0xffffL << (16 * group));
            }
        }
        return half;
    }
}
