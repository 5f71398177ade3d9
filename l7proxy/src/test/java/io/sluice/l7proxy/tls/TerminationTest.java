package io.sluice.l7proxy.tls;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Origin;
import io.sluice.l7proxy.Protocol;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.Wire;
import io.sluice.l7proxy.http.HttpLimits;
import io.sluice.l7proxy.http.HttpProtocol;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.ServerNamePattern;
import io.sluice.l7proxy.tls.Authority.Issued;
import io.sluice.l7proxy.tls.TlsProtocol.Termination;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLServerSocket;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Rules for what is inside of TLS, with real handshakes on both sides. */
@ExtendWith(LeakCheck.class)
final class TerminationTest {
    private static final String NAME = "www.shop.example";
    private static final String ALLOWED = "GET /public HTTP/1.1\r\nHost: www.shop.example\r\n\r\n";
    private static final String DENIED = "GET /secret HTTP/1.1\r\nHost: www.shop.example\r\n\r\n";

    /** Whom clients trust: the proxy's certificate is theirs. */
    private static Authority inner;

    /** Whom the server has its certificate from. */
    private static Authority outer;

    private static Issued shown;
    private static Issued servers;

    @BeforeAll
    static void issue(@TempDir final Path folder) throws Exception {
        inner = new Authority(folder, "inner");
        outer = new Authority(folder, "outer");
        shown = inner.issue("*.shop.example");
        servers = outer.issue("*.shop.example");
    }

    private static TerminatingTls terminating(final Optional<String> clientCa) throws Exception {
        return TerminatingTls.of(shown.certificate(), shown.key(), clientCa);
    }

    private static OriginatingTls trusting(final Authority authority) throws Exception {
        return OriginatingTls.of(authority.certificate(), Optional.empty());
    }

    /** TLS to clients, perhaps TLS to the server, HTTP inside or anything. */
    private record Both(
            L7Sink sink, TerminatingTls client, Optional<OriginatingTls> server, boolean isHttp)
            implements Protocol {
        @Override
        public Conversation open(final Link link) {
            server.ifPresent(link::secureServer);
            final Protocol http = new HttpProtocol(HttpLimits.DEFAULTS, HttpRule.NO_SECRETS, sink);
            return new TlsProtocol(
                            sink,
                            Optional.of(
                                    new Termination(
                                            () -> Optional.of(client),
                                            isHttp ? Optional.of(http) : Optional.empty())))
                    .open(link);
        }
    }

    private static SideRules rules(final String path, final String... names) {
        final RuleStage http =
                RuleStage.ofHttp(
                        List.of(HttpRule.compile("GET", path, "", List.of(), List.of())), "http");
        return new SideRules(
                false,
                List.of(
                        new RuleStage(
                                false,
                                http.http(),
                                List.of(),
                                List.of(),
                                Stream.of(names).map(ServerNamePattern::compile).toList(),
                                "http")),
                false,
                "end");
    }

    private static ProxyHarness proxy(
            final Origin origin, final Optional<OriginatingTls> server, final boolean isHttp)
            throws Exception {
        final TerminatingTls client = terminating(Optional.empty());
        return new ProxyHarness(
                        ProxyHarness.CONFIG,
                        origin.address(),
                        sink -> new Both(sink, client, server, isHttp))
                .ingress(rules("/public"));
    }

    private static Wire connect(final ProxyHarness proxy) throws Exception {
        return Wire.secure(proxy.address(), inner.context(), NAME);
    }

    private static Origin secureOrigin(final Origin.Service service, final SSLContext context)
            throws Exception {
        return new Origin(
                service,
                context.getServerSocketFactory()
                        .createServerSocket(0, 50, InetAddress.getLoopbackAddress()));
    }

    @Test
    void requestsInsideAreJudgedAndTheServerHasTlsOfItsOwn() throws Exception {
        try (Origin origin = secureOrigin(Origin::echo, outer.context(servers));
                ProxyHarness proxy = proxy(origin, Optional.of(trusting(outer)), true);
                Wire client = connect(proxy)) {
            assertThat(client.send(ALLOWED).read().status()).isEqualTo(200);
            assertThat(client.send(DENIED).read().status()).isEqualTo(403);
            assertThat(client.send(ALLOWED).read().body()).isEqualTo("GET /public HTTP/1.1");
            assertThat(origin.received()).isEqualTo(ALLOWED + ALLOWED);
            final L7Event event = proxy.event();
            assertThat(event.verdict()).isEqualTo(Verdict.FORWARDED);
            assertThat(event.detail())
                    .isInstanceOfSatisfying(
                            L7Event.Http.class,
                            http ->
                                    assertThat(http.url())
                                            .isEqualTo("https://www.shop.example/public"));
        }
    }

    @Test
    void withoutTlsOfItsOwnTheServerGetsPlainRequests() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin, Optional.empty(), true);
                Wire client = connect(proxy)) {
            assertThat(client.send(ALLOWED).read().status()).isEqualTo(200);
            assertThat(origin.received()).isEqualTo(ALLOWED);
        }
    }

    @Test
    void aServerThatIsNotTrustedIsA503() throws Exception {
        try (Origin origin = secureOrigin(Origin::echo, outer.context(servers));
                ProxyHarness proxy = proxy(origin, Optional.of(trusting(inner)), true);
                Wire client = connect(proxy)) {
            assertThat(client.send(ALLOWED).read().status()).isEqualTo(503);
            assertThat(origin.received()).isEmpty();
            assertThat(proxy.count(ProxyCounter.SERVER_TLS_FAILED)).isOne();
            proxy.event();
            assertThat(proxy.event().by()).startsWith("no TLS with the server: ");
        }
    }

    @Test
    void aServerWithAnotherNameOrWithoutTlsIsA503() throws Exception {
        final Issued other = outer.issue("other.example");
        try (Origin misnamed = secureOrigin(Origin::echo, outer.context(other));
                ProxyHarness proxy = proxy(misnamed, Optional.of(trusting(outer)), true);
                Wire client = connect(proxy)) {
            assertThat(client.send(ALLOWED).read().status()).isEqualTo(503);
        }
        try (Origin plain = new Origin((socket, in, out) -> out.write(new byte[20]));
                ProxyHarness proxy = proxy(plain, Optional.of(trusting(outer)), true);
                Wire client = connect(proxy)) {
            assertThat(client.send(ALLOWED).read().status()).isEqualTo(503);
        }
        try (Origin silent = new Origin((socket, in, out) -> {});
                ProxyHarness proxy = proxy(silent, Optional.of(trusting(outer)), true);
                Wire client = connect(proxy)) {
            assertThat(client.send(ALLOWED).read().status()).isEqualTo(503);
        }
    }

    @Test
    void serverNamesCountBesideTheRules() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin, Optional.empty(), true)) {
            proxy.ingress(rules("/public", "*.shop.example"));
            try (Wire client = connect(proxy)) {
                assertThat(client.send(ALLOWED).read().status()).isEqualTo(200);
                assertThat(client.send(DENIED).read().status()).isEqualTo(403);
                proxy.ingress(rules("/public", "other.example"));
                assertThat(client.send(ALLOWED).read().status()).isEqualTo(403);
            }
            try (Wire client = connect(proxy)) {
                assertThatThrownBy(() -> client.send(ALLOWED))
                        .isInstanceOf(SSLException.class)
                        .hasMessageContaining("unrecognized_name");
            }
        }
    }

    @Test
    void aClientThatDoesNotTrustTheProxyIsReported() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin, Optional.empty(), true);
                Wire client = Wire.secure(proxy.address(), outer.context(), NAME)) {
            assertThatThrownBy(() -> client.send(ALLOWED)).isInstanceOf(SSLException.class);
            final L7Event event = proxy.event();
            assertThat(event.verdict()).isEqualTo(Verdict.ERROR);
            assertThat(event.by()).startsWith("no TLS with the client: ");
            assertThat(event.detail()).isEqualTo(new L7Event.Tls(NAME, false));
            assertThat(proxy.count(ProxyCounter.CLIENT_TLS_FAILED)).isOne();
            assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isZero();
        }
    }

    @Test
    void certificatesAreAskedOfClientsAndShownToServers() throws Exception {
        final Issued mine = outer.issue("client.example");
        final SSLContext asking = outer.context(servers);
        final SSLServerSocket listener =
                (SSLServerSocket)
                        asking.getServerSocketFactory()
                                .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
        listener.setNeedClientAuth(true);
        final OriginatingTls server =
                OriginatingTls.of(
                        outer.certificate(),
                        Optional.of(
                                new OriginatingTls.ClientCertificate(
                                        mine.certificate(), mine.key())));
        final TerminatingTls client = terminating(Optional.of(outer.certificate()));
        try (Origin origin = new Origin(Origin::echo, listener);
                ProxyHarness proxy =
                        new ProxyHarness(
                                        ProxyHarness.CONFIG,
                                        origin.address(),
                                        sink -> new Both(sink, client, Optional.of(server), true))
                                .ingress(rules("/public"))) {
            try (Wire known = Wire.secure(proxy.address(), inner.context(), NAME)) {
                // TLS 1.3 clients may send before they learn of it: the alert, or a closed socket.
                assertThatThrownBy(() -> known.send(ALLOWED).read())
                        .isInstanceOf(java.io.IOException.class);
                assertThat(proxy.count(ProxyCounter.CLIENT_TLS_FAILED)).isOne();
                assertThat(origin.received()).isEmpty();
            }
            final Authority trustsInner = inner;
            final Issued fromOuter = mine;
            try (Wire known = Wire.secure(proxy.address(), trustsInner.context(fromOuter), NAME)) {
                assertThat(known.send(ALLOWED).read().status()).isEqualTo(200);
            }
        }
    }

    @Test
    void withoutRulesEverythingPassesBothWaysAndEndsPassOn() throws Exception {
        final byte[] large = new byte[4 << 20];
        new Random(3).nextBytes(large);
        final String sent = new String(large, Wire.LATIN);
        try (Origin mirror =
                        secureOrigin(
                                (socket, in, out) -> {
                                    in.transferTo(out);
                                    out.write('!');
                                },
                                outer.context(servers));
                ProxyHarness proxy =
                        proxy(mirror, Optional.of(trusting(outer)), false)
                                .ingress(SideRules.ALLOW_ALL);
                Wire client = connect(proxy)) {
            client.send("");
            final Thread sender =
                    Thread.ofVirtual()
                            .start(
                                    () -> {
                                        try {
                                            client.send(sent).end();
                                        } catch (final java.io.IOException e) {
                                            throw new java.io.UncheckedIOException(e);
                                        }
                                    });
            // The last byte is sent only after the client's end has arrived.
            assertThat(client.readToEnd()).isEqualTo(sent + "!");
            sender.join();
            mirror.join();
        }
    }

    @Test
    void aFinWithoutCloseNotifyIsABrokenStream() throws Exception {
        final String untilClose = "HTTP/1.1 200 OK\r\n\r\nhalf of it";
        try (Origin origin =
                        secureOrigin(
                                (socket, in, out) -> {
                                    Wire.head(in);
                                    out.write(untilClose.getBytes(Wire.LATIN));
                                    out.flush();
                                },
                                outer.context(servers));
                ProxyHarness proxy = proxy(origin, Optional.of(trusting(outer)), true);
                Wire client = connect(proxy)) {
            // With the notice the answer is complete.
            assertThat(client.send(ALLOWED).readToEnd()).isEqualTo(untilClose);
        }
        final SSLContext context = outer.context(servers);
        try (Origin origin =
                        new Origin(
                                (socket, in, out) -> {
                                    final Socket tls =
                                            context.getSocketFactory()
                                                    .createSocket(socket, null, false);
                                    Wire.head(tls.getInputStream());
                                    tls.getOutputStream().write(untilClose.getBytes(Wire.LATIN));
                                    socket.shutdownOutput();
                                });
                ProxyHarness proxy = proxy(origin, Optional.of(trusting(outer)), true);
                Wire client = connect(proxy)) {
            assertThatThrownBy(() -> client.send(ALLOWED).readToEnd())
                    .isInstanceOf(java.io.IOException.class);
            assertThat(proxy.count(ProxyCounter.CONNECTIONS_RESET)).isOne();
        }
    }
}
