package io.sluice.l7proxy.tls;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.Origin;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.Wire;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.ServerNamePattern;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** TLS through real sockets: allowed, or ended with an alert. */
@ExtendWith(LeakCheck.class)
final class TlsProxyTest {
    private static SideRules names(final String... patterns) {
        return new SideRules(
                false,
                List.of(
                        RuleStage.ofServerNames(
                                Stream.of(patterns).map(ServerNamePattern::compile).toList(),
                                "names")),
                false,
                "end");
    }

    private static String alert(final int description) {
        return "\u0015\u0003\u0003\0\u0002\u0002" + (char) description;
    }

    private static ProxyHarness proxy(final Origin origin) {
        return new ProxyHarness(ProxyHarness.CONFIG, origin.address(), TlsProtocol::new)
                .ingress(names("*.shop.example"));
    }

    /** Sends back what it gets, as no TLS server does: so every byte can be compared. */
    private static Origin mirror() throws Exception {
        return new Origin((socket, in, out) -> in.transferTo(out));
    }

    @Test
    void anAllowedHandshakePassesByteByByteWhateverItsCuts() throws Exception {
        final String hello = Hellos.of("www.shop.example");
        for (final String sent : List.of(hello + "rest", Hellos.inRecords(hello, 7))) {
            try (Origin origin = mirror();
                    ProxyHarness proxy = proxy(origin);
                    Wire client = proxy.connect()) {
                for (int i = 0; i < sent.length(); i++) {
                    client.send(sent.substring(i, i + 1));
                }
                assertThat(client.end().readToEnd()).isEqualTo(sent);
                final L7Event event = proxy.event();
                assertThat(event.verdict()).isEqualTo(Verdict.FORWARDED);
                assertThat(event.by()).isEqualTo("names");
                assertThat(event.detail()).isEqualTo(new L7Event.Tls("www.shop.example", false));
            }
        }
    }

    @Test
    void aNameThatIsNotAllowedEndsWithAnAlertAndNoConnection() throws Exception {
        try (Origin origin = mirror();
                ProxyHarness proxy = proxy(origin)) {
            try (Wire client = proxy.connect()) {
                assertThat(client.send(Hellos.of("other.example")).readToEnd())
                        .isEqualTo(alert(112));
            }
            try (Wire client = proxy.connect()) {
                assertThat(client.send(Hellos.of("")).readToEnd()).isEqualTo(alert(49));
            }
            try (Wire client = proxy.connect()) {
                assertThat(client.send("\u0016\u0003\u0001\0\u0004\u0002\0\0\0").readToEnd())
                        .isEqualTo(alert(50));
            }
            try (Wire client = proxy.connect()) {
                client.send("GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n");
                assertThatThrownBy(client::readToEnd).hasMessageContaining("reset");
            }
            assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isZero();
            assertThat(proxy.count(ProxyCounter.REQUESTS_DENIED)).isEqualTo(2);
            assertThat(proxy.count(ProxyCounter.REQUESTS_MALFORMED)).isEqualTo(2);
        }
    }

    @Test
    void aPolicyChangeCutsAnOpenConnectionThatItNoLongerAllows() throws Exception {
        final String hello = Hellos.of("www.shop.example");
        try (Origin origin = mirror();
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            assertThat(client.send(hello).read(hello.length())).isEqualTo(hello);
            proxy.ingress(names("**.example"));
            assertThat(client.send("more").read(4)).isEqualTo("more");
            proxy.ingress(names("other.example"));
            client.send("more");
            assertThatThrownBy(client::readToEnd).hasMessageContaining("reset");
        }
    }

    @Test
    void rulesAboutWhatIsInsideLetNothingPassThatTheyCannotSee() throws Exception {
        final RuleStage http =
                RuleStage.ofHttp(
                        List.of(HttpRule.compile("GET", "", "", List.of(), List.of())), "http");
        try (Origin origin = mirror();
                ProxyHarness proxy =
                        proxy(origin).ingress(new SideRules(false, List.of(http), false, "end"));
                Wire client = proxy.connect()) {
            assertThat(client.send(Hellos.of("www.shop.example")).readToEnd())
                    .isEqualTo(alert(112));
        }
    }

    @Test
    void auditLetsPass() throws Exception {
        final String hello = Hellos.of("other.example");
        final SideRules audited =
                new SideRules(true, names("*.shop.example").stages(), false, "audited");
        try (Origin origin = mirror();
                ProxyHarness proxy = proxy(origin).egress(audited).ingress(SideRules.ALLOW_ALL);
                Wire client = proxy.connect()) {
            assertThat(client.send(hello).read(hello.length())).isEqualTo(hello);
            assertThat(proxy.event().verdict()).isEqualTo(Verdict.AUDITED);
        }
    }
}
