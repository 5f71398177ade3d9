package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.PolicySnapshot;
import io.sluice.control.agent.api.ApiServer;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The API as a foreign HTTP client meets it: bytes in, bytes out. */
final class ApiServerTest {
    private final Path socket;
    private final MemoryControlPlane control;
    private final ApiServer server;

    ApiServerTest() throws IOException {
        final OfflinePolicy policy = OfflinePolicy.of(List.of());
        this.control =
                new MemoryControlPlane(new PolicySnapshot(7, policy.world(), policy.evaluator()));
        this.socket = Files.createTempDirectory("sluice").resolve("api.sock");
        this.server = ApiServer.start(socket, Optional.empty(), control);
    }

    @AfterEach
    void stop() throws IOException {
        server.close();
        Files.delete(socket.getParent());
    }

    private String exchange(final String bytes) throws IOException {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(socket));
            channel.write(ByteBuffer.wrap(bytes.getBytes(StandardCharsets.UTF_8)));
            return new String(
                    Channels.newInputStream(channel).readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private String request(final String method, final String target, final String body)
            throws IOException {
        return exchange(
                method
                        + " "
                        + target
                        + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                        + body.length()
                        + "\r\n\r\n"
                        + body);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "GET    | /v1/status                       | 200 | \"nodeName\":\"node1\"",
                "GET    | /v1/endpoints/shop/frontend      | 200 | \"state\":\"READY\"",
                "GET    | /v1/endpoints/99                 | 404 | not found",
                "PUT    | /v1/endpoints                    | 405 | accepted is GET or POST",
                "GET    | /v1/nothing                      | 404 | no such path",
                "GET    | /                                | 404 | no such path",
                "GET    | /v1/status?x=1                   | 400 | parameter x: unknown",
                "GET    | /v1/objects?kind=frogs           | 400 | kind frogs: unknown",
                "DELETE | /v1/objects?kind=netpol          | 400 | parameter name: missing",
                "DELETE | /v1/objects?kind=netpol&name=owned | 409 | a watched folder owns it",
                "GET    | /v1/flows?verdikt=DROPPED        | 400 | parameter verdikt: unknown",
                "GET    | /v1/flows?last=-1                | 400 | a number from 0",
                "GET    | /v1/flows?follow=maybe           | 400 | true or false",
                "GET    | /v1/flows?last=1&last=2          | 400 | given 2 times",
                "POST   | /v1/endpoints                    | 400 | empty: a JSON value",
                "GET    | /v1/policy/eval                  | 405 | accepted is POST",
                "GET    | /v1/changes                      | 405 | accepted is POST",
                "GET    | /v1/policy/history/7             | 200 | \"outcome\":\"DELETED\"",
                "GET    | /v1/policy/history/x             | 404 | no such path",
                "GET    | /v1/policy/confirmation          | 200 | \"state\":\"NONE\"",
                "POST   | /v1/policy/confirmation          | 409 | nothing waits for a confirmation",
                "DELETE | /v1/policy/confirmation          | 405 | accepted is GET or POST",
            })
    void answersWithAStatusThatFits(
            final String method, final String target, final int status, final String body)
            throws IOException {
        final String answer = request(method, target, "");

        assertThat(answer).startsWith("HTTP/1.1 " + status + " ").contains(body);
        if (status != 200) {
            assertThat(answer).contains("\r\n\r\n{\"error\":");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"name\":\"a\",\"netns\":\"b\"}   | netns: unknown field: accepted are addresses",
                "{\"name\":\"a\",\"mtu\":-1}        | mtu: -1: a number from 0",
                "{\"name\":\"a\",\"addresses\":[1]} | addresses: 1: a list of strings",
                "{\"name\":\"a\",\"labels\":{\"x\":1}} | x: 1: a string",
                "{\"name\":                       | line 1, column",
                "{\"name\":\"a\"} {}               | not JSON",
            })
    void anEndpointRequestIsReadStrictly(final String body, final String error) throws IOException {
        final String answer = request("POST", "/v1/endpoints", body);

        assertThat(answer).startsWith("HTTP/1.1 400 ").contains(error.replace("\"", "\\\""));
        assertThat(control.told).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{}                                | exactly one of apply, delete, deleteObject, rollback",
                "{\"rollback\":1,\"apply\":[]}       | exactly one of apply",
                "{\"apply\":[]}                     | apply: a list of manifests, at least one",
                "{\"apply\":[{\"txt\":\"\"}]}         | apply.txt: unknown field: accepted are source, text",
                "{\"rollback\":-1}                  | rollback: -1: a number from 0",
                "{\"rollback\":1,\"dryRun\":1}       | dryRun: 1: true or false",
                "{\"rollback\":1,\"confirmSeconds\":86401} | confirm: 86401 s: 1 to 86400 seconds",
                "{\"deleteObject\":{\"kind\":\"po\"}} | deleteObject: kind and name are needed",
            })
    void aChangeIsReadStrictly(final String body, final String error) throws IOException {
        final String answer = request("POST", "/v1/changes", body);

        assertThat(answer).startsWith("HTTP/1.1 400 ").contains(error);
        assertThat(control.told).isEmpty();
    }

    @Test
    void anEndpointMayLeaveOutWhatHasADefault() throws IOException {
        request("POST", "/v1/endpoints", "{\"name\":\"web\",\"pid\":12}");

        assertThat(control.told)
                .containsExactly(
                        "EndpointRequest[namespace=, name=web, networkNamespace=, pid=12,"
                                + " addresses=[], labels={}, device=, mtu=0, port=]");
    }

    @Test
    void oneConnectionCarriesSeveralRequests() throws IOException {
        final String one = "GET /v1/identities HTTP/1.1\r\nHost: x\r\n";
        final String answer = exchange(one + "\r\n" + one + "Connection: close\r\n\r\n");

        assertThat(answer.split("HTTP/1.1 200 OK", -1)).hasSize(3);
    }

    @Test
    void aBodyAboveTheLimitIsRefusedBeforeItIsSent() throws IOException {
        final String answer =
                exchange(
                        String.join(
                                "\r\n",
                                "POST /v1/objects HTTP/1.1",
                                "Host: x",
                                "Connection: close",
                                "Content-Length: 16777217",
                                "",
                                ""));

        assertThat(answer).startsWith("HTTP/1.1 413 ");
    }

    @Test
    void whatIsNoHttpIsRefusedAsThat() throws IOException {
        assertThat(exchange("hello\r\n\r\n"))
                .startsWith("HTTP/1.1 400 ")
                .contains("not an HTTP/1.1 request");
        assertThat(request("GET", "/v1/status", "")).startsWith("HTTP/1.1 200 ");
    }

    @Test
    void aFollowedStreamIsChunkedAndEndsWithTheDaemon() throws IOException {
        final String answer = request("GET", "/v1/flows?follow=true&last=1", "");

        assertThat(answer)
                .contains("transfer-encoding: chunked")
                .contains("application/x-ndjson")
                .contains("\"lost_events\":{\"source\":\"HUBBLE_RING_BUFFER\"")
                .endsWith("0\r\n\r\n");
    }

    @Test
    void longListingsAreStreamed() throws IOException {
        assertThat(request("GET", "/v1/conntrack", ""))
                .contains("transfer-encoding: chunked")
                .contains("content-type: application/json")
                .contains("[{\"protocol\":6,")
                .endsWith("}]\r\n0\r\n\r\n");
        assertThat(request("GET", "/v1/flows", ""))
                .contains("transfer-encoding: chunked")
                .contains("content-type: application/x-ndjson")
                .endsWith("\n\r\n0\r\n\r\n");
        assertThat(request("PUT", "/v1/conntrack", "")).startsWith("HTTP/1.1 405 ");
        assertThat(request("GET", "/v1/conntrack?last=1", "")).startsWith("HTTP/1.1 400 ");
    }

    @Test
    void aRequestLineMayBeLongButNotEndless() throws IOException {
        final String name = "name=" + "x".repeat(60) + "&";

        assertThat(request("GET", "/v1/objects?" + name.repeat(900) + "name=y", ""))
                .startsWith("HTTP/1.1 200 ");
        assertThat(request("GET", "/v1/objects?" + name.repeat(1100) + "name=y", ""))
                .startsWith("HTTP/1.1 414 ")
                .contains("request line: longer than 65536 bytes");
        assertThat(exchange("GET /v1/status HTTP/1.1\r\nX: " + "x".repeat(9000) + "\r\n\r\n"))
                .startsWith("HTTP/1.1 431 ")
                .contains("headers: longer than 8192 bytes");
    }

    @Test
    void aSocketLeftByADeadDaemonIsReplaced() throws IOException {
        final Path stale = socket.resolveSibling("stale.sock");
        Files.writeString(stale, "");

        try (ApiServer second = ApiServer.start(stale, Optional.empty(), control)) {
            assertThat(second).isNotNull();
            assertThat(new ApiClient(stale).get("/v1/status").path("pid").asInt()).isEqualTo(4711);
        }
        assertThat(stale).doesNotExist();
    }

    @Test
    void theMetricsAddressShowsMetricsAndHealthAndNothingElse() throws IOException {
        final InetSocketAddress address = freeAddress();
        try (ApiServer _ = ApiServer.start(other("m.sock"), Optional.of(address), control)) {
            assertThat(overTcp(address, "GET /metrics"))
                    .startsWith("HTTP/1.1 200 ")
                    .contains("text/plain; version=0.0.4")
                    .contains("# TYPE ");
            assertThat(overTcp(address, "GET /healthz"))
                    .startsWith("HTTP/1.1 200 ")
                    .endsWith("\r\n\r\nok\n");
            control.illness = Optional.of("the lane does not run");
            assertThat(overTcp(address, "GET /healthz"))
                    .startsWith("HTTP/1.1 503 ")
                    .endsWith("\r\n\r\nthe lane does not run\n");
            assertThat(overTcp(address, "GET /v1/objects")).startsWith("HTTP/1.1 404 ");
            assertThat(overTcp(address, "POST /metrics")).startsWith("HTTP/1.1 405 ");
        }
    }

    @Test
    void aMetricsAddressThatIsTakenIsWaitedFor() throws IOException {
        final InetSocketAddress address = freeAddress();
        try (ApiServer _ = startWhileTaken(address)) {
            assertThat(overTcp(address, "GET /healthz")).startsWith("HTTP/1.1 200 ");
        }
    }

    private ApiServer startWhileTaken(final InetSocketAddress address) throws IOException {
        try (ServerSocket predecessor = new ServerSocket()) {
            predecessor.bind(address);
            return ApiServer.start(other("m.sock"), Optional.of(address), control);
        }
    }

    private Path other(final String name) {
        return socket.resolveSibling(name);
    }

    private static InetSocketAddress freeAddress() throws IOException {
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return new InetSocketAddress(free.getInetAddress(), free.getLocalPort());
        }
    }

    /** Asks as soon as somebody listens. */
    private static String overTcp(final InetSocketAddress address, final String methodAndPath)
            throws IOException {
        final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (true) {
            try (SocketChannel channel = SocketChannel.open(address)) {
                channel.write(
                        ByteBuffer.wrap(
                                (methodAndPath
                                                + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                                        .getBytes(StandardCharsets.UTF_8)));
                return new String(
                        Channels.newInputStream(channel).readAllBytes(), StandardCharsets.UTF_8);
            } catch (final ConnectException e) {
                if (System.nanoTime() > deadline) {
                    throw e;
                }
                Thread.onSpinWait();
            }
        }
    }

    @Test
    void aSocketThatCannotBeMadeIsNamedInTheError() {
        assertThatThrownBy(
                        () ->
                                ApiServer.start(
                                        Path.of("/nowhere/api.sock"), Optional.empty(), control))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("/nowhere/api.sock");
    }
}
