package io.sluice.l7proxy.tls;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ServerCalls;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.http.HttpLimits;
import io.sluice.l7proxy.http.HttpProtocol;
import io.sluice.l7proxy.http.Nginx;
import io.sluice.l7proxy.http2.Http2Origin;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.tls.Authority.Issued;
import io.sluice.l7proxy.tls.TlsProtocol.Termination;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** What is inside of TLS is agreed on with both ends alike, so that HTTP/2 and gRPC are judged. */
@ExtendWith(LeakCheck.class)
final class AgreementTest {
    private static final String NAME = "www.shop.example";

    @TempDir private static Path folder;

    /** Whom clients trust. */
    private static Authority inner;

    /** Whom the server has its certificate from. */
    private static Authority outer;

    private static Issued shown;
    private static Issued servers;

    @BeforeAll
    static void issue() throws Exception {
        inner = new Authority(folder, "inner");
        outer = new Authority(folder, "outer");
        shown = inner.issue("*.shop.example");
        servers = outer.issue("*.shop.example");
    }

    private record Both(L7Sink sink, TerminatingTls client, Optional<OriginatingTls> server)
            implements Protocol {
        @Override
        public Conversation open(final Link link) {
            server.ifPresent(link::secureServer);
            final Protocol http = new HttpProtocol(HttpLimits.DEFAULTS, HttpRule.NO_SECRETS, sink);
            return new TlsProtocol(
                            sink,
                            Optional.of(
                                    new Termination(() -> Optional.of(client), Optional.of(http))))
                    .open(link);
        }
    }

    private static ProxyHarness proxy(final InetSocketAddress origin, final boolean isServerSecure)
            throws Exception {
        final TerminatingTls client =
                TerminatingTls.of(shown.certificate(), shown.key(), Optional.empty());
        final Optional<OriginatingTls> server =
                isServerSecure
                        ? Optional.of(OriginatingTls.of(outer.certificate(), Optional.empty()))
                        : Optional.empty();
        return new ProxyHarness(ProxyHarness.CONFIG, origin, sink -> new Both(sink, client, server))
                .ingress(
                        new SideRules(
                                false,
                                List.of(
                                        RuleStage.ofHttp(
                                                List.of(
                                                        HttpRule.compile(
                                                                "",
                                                                "/public/.*|/shop\\.Orders/Get",
                                                                "",
                                                                List.of(),
                                                                List.of())),
                                                "http")),
                                false,
                                "end"));
    }

    /** Fetches paths over one connection; a line for each: body, version, status. */
    private static String curl(
            final ProxyHarness proxy, final String version, final String... paths)
            throws Exception {
        final Path ca = Files.writeString(folder.resolve("ca.pem"), inner.certificate());
        final List<String> command =
                new ArrayList<>(
                        List.of(
                                "curl",
                                "-sS",
                                "--max-time",
                                "20",
                                version,
                                "--cacert",
                                ca.toString(),
                                "--connect-to",
                                "::127.0.0.1:" + proxy.address().getPort(),
                                "-w",
                                " %{http_version} %{http_code}\n"));
        for (final String path : paths) {
            command.add("https://" + NAME + path);
        }
        final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        final String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        process.waitFor();
        return output.replace("Access denied\r\n", "denied");
    }

    @Test
    void aServerWithHttp2IsSpokenToSo() throws Exception {
        try (Nginx nginx = Nginx.startSecure("http2", servers.certificate(), servers.key());
                ProxyHarness proxy = proxy(nginx.address(), true)) {
            assertThat(curl(proxy, "--http2", "/public/a", "/secret", "/public/b"))
                    .isEqualTo("ok 2 200\ndenied 2 403\nok 2 200\n");
            assertThat(proxy.event().detail())
                    .isInstanceOfSatisfying(
                            L7Event.Http.class,
                            http -> {
                                assertThat(http.protocol()).isEqualTo("HTTP/2");
                                assertThat(http.url()).isEqualTo("https://" + NAME + "/public/a");
                            });
            assertThat(nginx.stop())
                    .containsExactly("GET /public/a HTTP/2.0", "GET /public/b HTTP/2.0");
        }
    }

    @Test
    void aServerWithoutHttp2IsNot() throws Exception {
        try (Nginx nginx = Nginx.startSecure("", servers.certificate(), servers.key());
                ProxyHarness proxy = proxy(nginx.address(), true)) {
            assertThat(curl(proxy, "--http2", "/public/a", "/secret"))
                    .isEqualTo("ok 1.1 200\ndenied 1.1 403\n");
            assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isOne();
            assertThat(nginx.stop()).containsExactly("GET /public/a HTTP/1.1");
        }
    }

    @Test
    void aClientWithoutHttp2LeavesNoChoiceAndNoServerIsAsked() throws Exception {
        try (Nginx nginx = Nginx.startSecure("http2", servers.certificate(), servers.key());
                ProxyHarness proxy = proxy(nginx.address(), true)) {
            assertThat(curl(proxy, "--http1.1", "/secret")).isEqualTo("denied 1.1 403\n");
            assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isZero();
            assertThat(curl(proxy, "--http1.1", "/public/a")).isEqualTo("ok 1.1 200\n");
            assertThat(nginx.stop()).containsExactly("GET /public/a HTTP/1.1");
        }
    }

    @Test
    void aServerThatSpeaksFirstIsHeard() throws Exception {
        // Netty's server sends its SETTINGS as soon as it may.
        try (Http2Origin origin = Http2Origin.secure(servers.certificate(), servers.key());
                ProxyHarness proxy = proxy(origin.address(), true)) {
            assertThat(curl(proxy, "--http2", "/secret", "/public/a"))
                    .isEqualTo("denied 2 403\nGET /public/a 0 2 200\n");
            assertThat(origin.asked()).containsExactly("GET /public/a");
        }
    }

    @Test
    void aServerThatCannotBeAskedIsTriedAgainForARequest() throws Exception {
        final InetSocketAddress closed;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            closed = (InetSocketAddress) socket.getLocalSocketAddress();
        }
        try (ProxyHarness proxy = proxy(closed, true)) {
            assertThat(curl(proxy, "--http2", "/secret")).isEqualTo("denied 1.1 403\n");
            assertThat(proxy.count(ProxyCounter.SERVER_UNREACHABLE)).isOne();
            assertThat(curl(proxy, "--http2", "/public/a")).endsWith(" 1.1 503\n");
            assertThat(proxy.count(ProxyCounter.SERVER_UNREACHABLE)).isEqualTo(3);
        }
    }

    @Test
    void aServerThatIsNotTrustedIsA503InEitherVersion() throws Exception {
        final Issued stranger = inner.issue("*.shop.example");
        try (Http2Origin origin = Http2Origin.secure(stranger.certificate(), stranger.key());
                ProxyHarness proxy = proxy(origin.address(), true)) {
            assertThat(curl(proxy, "--http2", "/public/a")).endsWith(" 1.1 503\n");
            assertThat(proxy.count(ProxyCounter.SERVER_TLS_FAILED)).isEqualTo(2);
            assertThat(origin.asked()).isEmpty();
        }
    }

    @Test
    void aServerWithoutTlsIsTakenToSpeakHttp1() throws Exception {
        try (Nginx nginx = Nginx.start();
                ProxyHarness proxy = proxy(nginx.address(), false)) {
            assertThat(curl(proxy, "--http2", "/public/a", "/secret"))
                    .isEqualTo("ok 1.1 200\ndenied 1.1 403\n");
        }
    }

    private static final MethodDescriptor.Marshaller<String> TEXT =
            new MethodDescriptor.Marshaller<>() {
                @Override
                public InputStream stream(final String text) {
                    return new ByteArrayInputStream(text.getBytes(UTF_8));
                }

                @Override
                public String parse(final InputStream in) {
                    try {
                        return new String(in.readAllBytes(), UTF_8);
                    } catch (final java.io.IOException e) {
                        throw new java.io.UncheckedIOException(e);
                    }
                }
            };

    private static final MethodDescriptor<String, String> GET = method("Get");
    private static final MethodDescriptor<String, String> DELETE = method("Delete");

    private static MethodDescriptor<String, String> method(final String name) {
        return MethodDescriptor.newBuilder(TEXT, TEXT)
                .setFullMethodName(MethodDescriptor.generateFullMethodName("shop.Orders", name))
                .setType(MethodType.UNARY)
                .build();
    }

    private static Server orders(final boolean isSecure) throws Exception {
        final NettyServerBuilder builder =
                NettyServerBuilder.forAddress(
                        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        if (isSecure) {
            builder.sslContext(
                    GrpcSslContexts.configure(
                                    SslContextBuilder.forServer(
                                            pem(servers.certificate()), pem(servers.key())),
                                    SslProvider.JDK)
                            .build());
        }
        return builder.addService(
                        ServerServiceDefinition.builder("shop.Orders")
                                .addMethod(
                                        GET,
                                        ServerCalls.asyncUnaryCall(
                                                (asked, answers) -> {
                                                    answers.onNext("got " + asked);
                                                    answers.onCompleted();
                                                }))
                                .build())
                .build()
                .start();
    }

    private static InputStream pem(final String text) {
        return new ByteArrayInputStream(text.getBytes(UTF_8));
    }

    private static ManagedChannel channel(final ProxyHarness proxy) throws Exception {
        return NettyChannelBuilder.forAddress(proxy.address())
                .overrideAuthority(NAME)
                .sslContext(
                        GrpcSslContexts.configure(
                                        SslContextBuilder.forClient()
                                                .trustManager(pem(inner.certificate())),
                                        SslProvider.JDK)
                                .build())
                .build();
    }

    private static String call(
            final ManagedChannel channel, final MethodDescriptor<String, String> method) {
        return ClientCalls.blockingUnaryCall(
                channel,
                method,
                CallOptions.DEFAULT.withDeadlineAfter(20, TimeUnit.SECONDS),
                "seven");
    }

    private static void assertGrpcIsJudged(final boolean isServerSecure) throws Exception {
        final Server server = orders(isServerSecure);
        try (ProxyHarness proxy =
                proxy((InetSocketAddress) server.getListenSockets().getFirst(), isServerSecure)) {
            final ManagedChannel channel = channel(proxy);
            try {
                assertThatThrownBy(() -> call(channel, DELETE))
                        .isInstanceOfSatisfying(
                                StatusRuntimeException.class,
                                denied ->
                                        assertThat(denied.getStatus().getCode())
                                                .isEqualTo(Status.Code.PERMISSION_DENIED));
                // gRPC offers HTTP/2 alone: that leaves no choice, and no server to ask.
                assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isZero();
                assertThat(call(channel, GET)).isEqualTo("got seven");
            } finally {
                channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
            }
        } finally {
            server.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
        }
    }

    @Test
    void grpcIsJudgedInsideOfTls() throws Exception {
        assertGrpcIsJudged(true);
    }

    @Test
    void grpcIsJudgedInsideOfTlsBeforeAServerWithoutAny() throws Exception {
        assertGrpcIsJudged(false);
    }

    @Test
    void grpcToAServerWithoutHttp2IsUnavailable() throws Exception {
        try (Nginx nginx = Nginx.startSecure("", servers.certificate(), servers.key());
                ProxyHarness proxy = proxy(nginx.address(), true)) {
            final ManagedChannel channel = channel(proxy);
            try {
                assertThatThrownBy(() -> call(channel, GET))
                        .isInstanceOfSatisfying(
                                StatusRuntimeException.class,
                                failed ->
                                        assertThat(failed.getStatus().getCode())
                                                .isEqualTo(Status.Code.UNAVAILABLE));
            } finally {
                channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
            }
            assertThat(proxy.count(ProxyCounter.SERVER_TLS_FAILED)).isOne();
            assertThat(nginx.stop()).isEmpty();
        }
    }
}
