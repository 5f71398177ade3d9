package io.sluice.l7proxy.http2;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.rule.HttpRule;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** grpc-java on both sides of the proxy: every kind of call, allowed and denied by method. */
@ExtendWith(LeakCheck.class)
final class GrpcProxyTest {
    private static final String SERVICE = "shop.Orders";
    private static final String END = "END";

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
                    } catch (final IOException e) {
                        throw new UncheckedIOException(e);
                    }
                }
            };

    private static final MethodDescriptor<String, String> GET = method("Get", MethodType.UNARY);
    private static final MethodDescriptor<String, String> DELETE =
            method("Delete", MethodType.UNARY);
    private static final MethodDescriptor<String, String> FAIL = method("Fail", MethodType.UNARY);
    private static final MethodDescriptor<String, String> WATCH =
            method("Watch", MethodType.SERVER_STREAMING);
    private static final MethodDescriptor<String, String> PUT =
            method("Put", MethodType.CLIENT_STREAMING);
    private static final MethodDescriptor<String, String> CHAT =
            method("Chat", MethodType.BIDI_STREAMING);
    private static final MethodDescriptor<String, String> HANG = method("Hang", MethodType.UNARY);

    private static MethodDescriptor<String, String> method(
            final String name, final MethodType type) {
        return MethodDescriptor.newBuilder(TEXT, TEXT)
                .setFullMethodName(MethodDescriptor.generateFullMethodName(SERVICE, name))
                .setType(type)
                .build();
    }

    private static final SideRules ALL_BUT_DELETE =
            Http2ProxyTest.side(
                    HttpRule.compile(
                            "POST",
                            "/shop\\.Orders/(Get|Fail|Watch|Put|Chat|Hang)",
                            "",
                            List.of(),
                            List.of()));

    private final BlockingQueue<String> served = new LinkedBlockingQueue<>();
    private final CountDownLatch cancelled = new CountDownLatch(1);
    private Server server;
    private ProxyHarness proxy;
    private ManagedChannel channel;

    @BeforeEach
    void start() throws IOException {
        server =
                NettyServerBuilder.forAddress(
                                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                        .addService(service())
                        .build()
                        .start();
        proxy =
                Http2ProxyTest.proxy((InetSocketAddress) server.getListenSockets().getFirst())
                        .ingress(ALL_BUT_DELETE);
        channel = NettyChannelBuilder.forAddress(proxy.address()).usePlaintext().build();
    }

    @AfterEach
    void stop() throws InterruptedException {
        channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
        proxy.close();
        server.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
    }

    private ServerServiceDefinition service() {
        return ServerServiceDefinition.builder(SERVICE)
                .addMethod(GET, ServerCalls.asyncUnaryCall(this::echo))
                .addMethod(DELETE, ServerCalls.asyncUnaryCall(this::echo))
                .addMethod(
                        FAIL,
                        ServerCalls.asyncUnaryCall(
                                (asked, answers) ->
                                        answers.onError(
                                                Status.NOT_FOUND
                                                        .withDescription("no such order")
                                                        .asRuntimeException())))
                .addMethod(
                        WATCH,
                        ServerCalls.asyncServerStreamingCall(
                                (asked, answers) -> {
                                    for (int i = 0; i < Integer.parseInt(asked); i++) {
                                        answers.onNext("event " + i);
                                    }
                                    answers.onCompleted();
                                }))
                .addMethod(PUT, ServerCalls.asyncClientStreamingCall(this::count))
                .addMethod(CHAT, ServerCalls.asyncBidiStreamingCall(this::chat))
                .addMethod(HANG, ServerCalls.asyncUnaryCall(this::hang))
                .build();
    }

    private void echo(final String asked, final StreamObserver<String> answers) {
        served.add(asked);
        answers.onNext("got " + asked);
        answers.onCompleted();
    }

    private void hang(final String asked, final StreamObserver<String> answers) {
        ((ServerCallStreamObserver<String>) answers).setOnCancelHandler(cancelled::countDown);
        served.add(asked);
    }

    private StreamObserver<String> count(final StreamObserver<String> answers) {
        return new Taker() {
            private int length;

            @Override
            public void onNext(final String message) {
                length += message.length();
            }

            @Override
            public void onCompleted() {
                answers.onNext(Integer.toString(length));
                answers.onCompleted();
            }
        };
    }

    private StreamObserver<String> chat(final StreamObserver<String> answers) {
        return new Taker() {
            @Override
            public void onNext(final String message) {
                answers.onNext("re: " + message);
            }

            @Override
            public void onCompleted() {
                answers.onCompleted();
            }
        };
    }

    private abstract static class Taker implements StreamObserver<String> {
        @Override
        public void onError(final Throwable cause) {}
    }

    /** What comes, and how it ends, in a queue. */
    private static final class Inbox extends Taker {
        final BlockingQueue<String> messages = new LinkedBlockingQueue<>();

        @Override
        public void onNext(final String message) {
            messages.add(message);
        }

        @Override
        public void onError(final Throwable cause) {
            messages.add(Status.fromThrowable(cause).getCode().toString());
        }

        @Override
        public void onCompleted() {
            messages.add(END);
        }

        String next() throws InterruptedException {
            final String message = messages.poll(20, TimeUnit.SECONDS);
            if (message == null) {
                throw new AssertionError("nothing comes");
            }
            return message;
        }
    }

    private String unary(final MethodDescriptor<String, String> method, final String message) {
        return ClientCalls.blockingUnaryCall(channel, method, CallOptions.DEFAULT, message);
    }

    private Status failure(
            final MethodDescriptor<String, String> method, final CallOptions options) {
        try {
            ClientCalls.blockingUnaryCall(channel, method, options, "x");
            return Status.OK;
        } catch (final StatusRuntimeException e) {
            return e.getStatus();
        }
    }

    @Test
    void unaryCallsPassAndADeniedMethodIsPermissionDenied() throws Exception {
        assertThat(unary(GET, "a")).isEqualTo("got a");
        final Status denied = failure(DELETE, CallOptions.DEFAULT);
        assertThat(denied.getCode()).isEqualTo(Status.Code.PERMISSION_DENIED);
        assertThat(denied.getDescription()).isEqualTo("Access denied\r\n");
        assertThat(unary(GET, "b")).isEqualTo("got b");
        assertThat(served).containsExactly("a", "b");
        assertThat(proxy.count(ProxyCounter.CONNECTIONS_ACCEPTED)).isEqualTo(1);
    }

    @Test
    void aDeniedMethodDoesNotDisturbAnotherStream() throws Exception {
        final Inbox inbox = new Inbox();
        final StreamObserver<String> chat =
                ClientCalls.asyncBidiStreamingCall(
                        channel.newCall(CHAT, CallOptions.DEFAULT), inbox);
        chat.onNext("one");
        assertThat(inbox.next()).isEqualTo("re: one");
        assertThat(failure(DELETE, CallOptions.DEFAULT).getCode())
                .isEqualTo(Status.Code.PERMISSION_DENIED);
        chat.onNext("two");
        assertThat(inbox.next()).isEqualTo("re: two");
        chat.onCompleted();
        assertThat(inbox.next()).isEqualTo(END);
        assertThat(served).isEmpty();
        assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isEqualTo(1);
    }

    @Test
    void streamsFromTheServerAreComplete() {
        final int events = 20_000;
        final Iterator<String> watched =
                ClientCalls.blockingServerStreamingCall(
                        channel, WATCH, CallOptions.DEFAULT, Integer.toString(events));
        final List<String> got = new ArrayList<>();
        watched.forEachRemaining(got::add);
        assertThat(got).hasSize(events).endsWith("event " + (events - 1));
    }

    @Test
    void streamsFromTheClientAreComplete() throws Exception {
        final Inbox inbox = new Inbox();
        final StreamObserver<String> put =
                ClientCalls.asyncClientStreamingCall(
                        channel.newCall(PUT, CallOptions.DEFAULT), inbox);
        final String piece = "x".repeat(100_000);
        for (int i = 0; i < 100; i++) {
            put.onNext(piece);
        }
        put.onCompleted();
        assertThat(inbox.next()).isEqualTo("10000000");
        assertThat(inbox.next()).isEqualTo(END);
    }

    @Test
    void theServersOwnStatusPassesAndIsReported() throws Exception {
        final Status failed = failure(FAIL, CallOptions.DEFAULT);
        assertThat(failed.getCode()).isEqualTo(Status.Code.NOT_FOUND);
        assertThat(failed.getDescription()).isEqualTo("no such order");
        assertThat(proxy.event().type()).isEqualTo(L7Event.Type.REQUEST);
        assertStatus(proxy.event(), Status.NOT_FOUND);
        unary(GET, "a");
        proxy.event();
        assertStatus(proxy.event(), Status.OK);
        failure(DELETE, CallOptions.DEFAULT);
        proxy.event();
        assertStatus(proxy.event(), Status.PERMISSION_DENIED);
    }

    private static void assertStatus(final L7Event answer, final Status status) {
        assertThat(answer.detail())
                .isInstanceOfSatisfying(
                        L7Event.Http.class,
                        http -> {
                            assertThat(http.status()).isEqualTo(200);
                            assertThat(http.grpcStatus()).isEqualTo(status.getCode().value());
                        });
    }

    @Test
    void aCancelledCallIsCancelledAtTheServer() throws Exception {
        final Inbox inbox = new Inbox();
        final ClientCall<String, String> call = channel.newCall(HANG, CallOptions.DEFAULT);
        ClientCalls.asyncUnaryCall(call, "x", inbox);
        assertThat(served.poll(20, TimeUnit.SECONDS)).isEqualTo("x");
        call.cancel("enough", null);
        assertThat(inbox.next()).isEqualTo("CANCELLED");
        assertThat(cancelled.await(20, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void aDeadlinePassesToTheServer() throws Exception {
        final Status late =
                failure(HANG, CallOptions.DEFAULT.withDeadlineAfter(200, TimeUnit.MILLISECONDS));
        assertThat(late.getCode()).isEqualTo(Status.Code.DEADLINE_EXCEEDED);
        assertThat(cancelled.await(20, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void aServerThatGoesAwayFinishesItsCalls() throws Exception {
        final Inbox inbox = new Inbox();
        final StreamObserver<String> chat =
                ClientCalls.asyncBidiStreamingCall(
                        channel.newCall(CHAT, CallOptions.DEFAULT), inbox);
        chat.onNext("one");
        assertThat(inbox.next()).isEqualTo("re: one");
        server.shutdown();
        chat.onNext("two");
        assertThat(inbox.next()).isEqualTo("re: two");
        chat.onCompleted();
        assertThat(inbox.next()).isEqualTo(END);
        assertThat(server.awaitTermination(20, TimeUnit.SECONDS)).isTrue();
        assertThat(failure(GET, CallOptions.DEFAULT).getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    }

    /** A client that takes one message at a time holds the server up, and loses nothing. */
    @Test
    void aSlowClientGetsEverything() throws Exception {
        final int events = 5_000;
        final BlockingQueue<String> got = new LinkedBlockingQueue<>();
        ClientCalls.asyncServerStreamingCall(
                channel.newCall(WATCH, CallOptions.DEFAULT),
                Integer.toString(events),
                new ClientResponseObserver<String, String>() {
                    private @Nullable ClientCallStreamObserver<String> requests;

                    @Override
                    public void beforeStart(final ClientCallStreamObserver<String> stream) {
                        requests = stream;
                        stream.disableAutoRequestWithInitial(1);
                    }

                    @Override
                    public void onNext(final String message) {
                        got.add(message);
                        Objects.requireNonNull(requests).request(1);
                    }

                    @Override
                    public void onError(final Throwable cause) {
                        got.add(cause.toString());
                    }

                    @Override
                    public void onCompleted() {
                        got.add(END);
                    }
                });
        for (int i = 0; i < events; i++) {
            assertThat(got.poll(20, TimeUnit.SECONDS)).isEqualTo("event " + i);
        }
        assertThat(got.poll(20, TimeUnit.SECONDS)).isEqualTo(END);
    }
}
