package io.sluice.control.cli.netns;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.grpc.CallOptions;
import io.grpc.Grpc;
import io.grpc.HandlerRegistry;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerMethodDefinition;
import io.grpc.Status;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * grpc-java as a program, for the namespace of a pod.
 *
 * <pre>
 *   serve ADDRESS PORT   has every method of every service: answers "re: TEXT" to each message of a call, and to
 *                        "N times TEXT" N messages. A line for each call: ADDRESS:PORT SERVICE/METHOD
 *   call ADDRESS PORT SECONDS
 *                        one channel. For each line METHOD [TEXT]: what a call with this one message got within the
 *                        time, as "OK MESSAGES LAST-MESSAGE" or "STATUS DESCRIPTION". A call that stays open has lines
 *                        of its own, each of which prints one message or the status: "open METHOD" begins it with a
 *                        first message, "send METHOD TEXT" sends one more, "end METHOD" ends it.
 * </pre>
 *
 * <p>Thread: its main one, and those of grpc-java.
 */
final class GrpcPeer {
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

    private GrpcPeer() {}

    public static void main(final String[] arguments) throws Exception {
        final InetSocketAddress address =
                new InetSocketAddress(arguments[1], Integer.parseInt(arguments[2]));
        if (arguments[0].equals("serve")) {
            serve(address);
        } else {
            call(address, Integer.parseInt(arguments[3]));
        }
    }

    private static void say(final String line) {
        System.out.println(line.replaceAll("\\s+", " ").strip());
        System.out.flush();
    }

    // The server

    private static void serve(final InetSocketAddress address) throws Exception {
        final HandlerRegistry everything =
                new HandlerRegistry() {
                    @Override
                    public ServerMethodDefinition<?, ?> lookupMethod(
                            final String method, final @Nullable String authority) {
                        return ServerMethodDefinition.create(
                                method(method),
                                logged(ServerCalls.asyncBidiStreamingCall(Echo::new)));
                    }
                };
        final var server =
                NettyServerBuilder.forAddress(address).fallbackHandlerRegistry(everything).build();
        server.start();
        say("ready");
        server.awaitTermination();
    }

    private static ServerCallHandler<String, String> logged(
            final ServerCallHandler<String, String> handler) {
        return new ServerCallHandler<>() {
            @Override
            public ServerCall.Listener<String> startCall(
                    final ServerCall<String, String> call, final Metadata headers) {
                final InetSocketAddress client =
                        (InetSocketAddress)
                                Objects.requireNonNull(
                                        call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR));
                say(
                        client.getAddress().getHostAddress()
                                + ":"
                                + client.getPort()
                                + " "
                                + call.getMethodDescriptor().getFullMethodName());
                return handler.startCall(call, headers);
            }
        };
    }

    private record Echo(StreamObserver<String> answers) implements StreamObserver<String> {
        @Override
        public void onNext(final String message) {
            final int times = message.indexOf(" times ");
            final int count = times < 0 ? 1 : Integer.parseInt(message.substring(0, times));
            for (int i = 0; i < count; i++) {
                answers.onNext("re: " + message);
            }
        }

        @Override
        public void onError(final Throwable cause) {
            // The client has cancelled: there is nobody to answer.
        }

        @Override
        public void onCompleted() {
            answers.onCompleted();
        }
    }

    private static MethodDescriptor<String, String> method(final String name) {
        return MethodDescriptor.newBuilder(TEXT, TEXT)
                .setFullMethodName(name)
                .setType(MethodType.BIDI_STREAMING)
                .build();
    }

    // The client

    private static void call(final InetSocketAddress address, final int deadlineSeconds)
            throws Exception {
        final ManagedChannel channel =
                NettyChannelBuilder.forAddress(address).usePlaintext().build();
        final Map<String, StreamObserver<String>> open = new HashMap<>();
        final BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            final String[] words = line.split(" ", 3);
            switch (words[0]) {
                case "open" -> {
                    final StreamObserver<String> messages =
                            ClientCalls.asyncBidiStreamingCall(
                                    channel.newCall(method(words[1]), CallOptions.DEFAULT),
                                    new Printer());
                    open.put(words[1], messages);
                    messages.onNext("hello");
                }
                case "send" -> Objects.requireNonNull(open.get(words[1])).onNext(words[2]);
                case "end" -> Objects.requireNonNull(open.remove(words[1])).onCompleted();
                default -> {
                    final String text = line.substring(words[0].length()).strip();
                    say(whole(channel, words[0], text, deadlineSeconds));
                }
            }
        }
        channel.shutdownNow().awaitTermination(deadlineSeconds, TimeUnit.SECONDS);
    }

    private static String whole(
            final ManagedChannel channel,
            final String name,
            final String text,
            final int deadlineSeconds)
            throws InterruptedException {
        final Counter counter = new Counter();
        final CallOptions options =
                CallOptions.DEFAULT.withDeadlineAfter(deadlineSeconds, TimeUnit.SECONDS);
        final StreamObserver<String> messages =
                ClientCalls.asyncBidiStreamingCall(channel.newCall(method(name), options), counter);
        messages.onNext(text.isEmpty() ? "hello" : text);
        messages.onCompleted();
        counter.ended.await();
        return counter.result;
    }

    private static String text(final Throwable cause) {
        final Status status = Status.fromThrowable(cause);
        return status.getCode() + " " + Objects.requireNonNullElse(status.getDescription(), "");
    }

    private static final class Printer implements StreamObserver<String> {
        @Override
        public void onNext(final String message) {
            say(message);
        }

        @Override
        public void onError(final Throwable cause) {
            say(text(cause));
        }

        @Override
        public void onCompleted() {
            say("OK");
        }
    }

    private static final class Counter implements StreamObserver<String> {
        private final CountDownLatch ended = new CountDownLatch(1);
        private int count;
        private String last = "";
        private volatile String result = "";

        @Override
        public void onNext(final String message) {
            count++;
            last = message;
        }

        @Override
        public void onError(final Throwable cause) {
            result = text(cause);
            ended.countDown();
        }

        @Override
        public void onCompleted() {
            result = "OK " + count + " " + last;
            ended.countDown();
        }
    }
}
