package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import io.sluice.control.agent.hubble.wire.FlowProto;
import io.sluice.control.agent.hubble.wire.FlowProto.FlowEndReason;
import io.sluice.control.agent.hubble.wire.ObserverGrpc;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsRequest;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real connections come to their ends, and the daemon says what passed of each. */
@Tag("netns")
class FlowEndNetnsTest {
    private static final int WEB = 20;
    private static final int CLIENT = 10;
    private static final int END = 200;

    /** Longer than the patience of peer.py, which says so. */
    private static final long ANSWER_MS = 30_000;

    @TempDir private Path folder;
    private TestNode node;
    private Running daemon;

    @BeforeEach
    void start() throws IOException {
        node = new TestNode("conntrack: {timeoutSeconds: {tcpClosing: 1, udpUnreplied: 1}}");
        node.addPod("client", CLIENT);
        node.addPod("web", WEB);
        daemon = node.startDaemon("client", "web");
        Nginx.start(node, "web", folder, WEB);
    }

    @AfterEach
    void stop() {
        node.close();
    }

    @Test
    void aRequestAndADatagramAreToldOfWhenTheyAreOver() throws Exception {
        final String url = "http://" + TestNode.ipv4(WEB) + "/public/file";
        assertThat(node.in("client", "curl", "-sS", "--local-port", "41000", url).output())
                .isEqualTo("nginx says hello");
        node.in("client", "bash", "-c", "echo hello > /dev/udp/" + TestNode.ipv4(WEB) + "/9");

        TestNode.await("both are over", () -> ends("TIMED_OUT").size() == 1);
        TestNode.await("both are over", () -> !ofPort(ends("CLOSED"), 41_000).isEmpty());
        final JsonNode closed = ofPort(ends("CLOSED"), 41_000).getFirst();
        assertThat(closed.path("source").path("pod_name").asText()).isEqualTo("client");
        assertThat(closed.path("destination").path("pod_name").asText()).isEqualTo("web");
        assertThat(closed.path("verdict").asText()).isEqualTo("FORWARDED");
        final JsonNode totals = closed.path("flow_end");
        // SYN, ACK, request, FIN or ACKs; and back SYN+ACK, answer, FIN.
        assertThat(totals.path("initiator_packets").asInt()).isBetween(4, 12);
        assertThat(totals.path("responder_packets").asInt()).isBetween(3, 12);
        assertThat(totals.path("responder_bytes").asInt()).isBetween(200, 2_000);
        final JsonNode datagram = ends("TIMED_OUT").getFirst().path("flow_end");
        assertThat(datagram.path("initiator_packets").asInt()).isEqualTo(1);
        assertThat(datagram.path("initiator_bytes").asInt()).isEqualTo(20 + 8 + 6);
        assertThat(datagram.path("responder_packets").asInt()).isZero();
        assertThat(node.sluice("observe", "--type", "end:timed-out"))
                .contains(
                        "flow-end:timed-out FORWARDED (UDP: 1 packets, 34 bytes; back: 0 packets");

        assertThat(types(node.sluice("observe", "-o", "jsonpb", "--all")))
                .as("who does not ask counts no flow twice")
                .isNotEmpty()
                .doesNotContain(END);
        assertThat(types(node.sluice("observe", "-o", "jsonpb", "--all", "--ends")))
                .contains(END, 5);
        assertThat(node.metric("sluice_flow_ends_total{reason=\"TIMED_OUT\"}")).isEqualTo(1);
        assertThat(node.metric("cilium_forward_count_total{direction=\"INGRESS\"}"))
                .isGreaterThanOrEqualTo(7);

        final List<FlowProto.Flow> overGrpc = endsOverGrpc();
        assertThat(overGrpc)
                .extracting(flow -> flow.getFlowEnd().getReason())
                .contains(FlowEndReason.CLOSED, FlowEndReason.TIMED_OUT);
        assertThat(overGrpc)
                .filteredOn(flow -> flow.getL4().getTCP().getSourcePort() == 41_000)
                .singleElement()
                .satisfies(
                        flow ->
                                assertThat(flow.getFlowEnd().getResponderBytes())
                                        .isEqualTo(totals.path("responder_bytes").asLong()));
    }

    @Test
    void whatPassedBeforeAKillIsInTheEndOfAConnectionThatOutlivesIt() {
        try (Running session = node.startPeer("client", "http", TestNode.ipv4(WEB), "80")) {
            for (int i = 0; i < 50; i++) {
                assertThat(ask(session)).isEqualTo("200");
            }
            daemon.stop("KILL");
            node.startDaemon("client", "web");
            assertThat(ask(session)).isEqualTo("200");
        }
        TestNode.await("the connection is over", () -> packetsOfLargest() >= 51);
    }

    private static String ask(final Running session) {
        session.write("/public/file");
        return session.line(ANSWER_MS).orElse("nothing");
    }

    private long packetsOfLargest() {
        return node.text("/v1/flows?type=end")
                .lines()
                .map(line -> TestNode.json(line).path("flow").path("flow_end"))
                .mapToLong(end -> end.path("initiator_packets").asLong())
                .max()
                .orElse(0);
    }

    private List<JsonNode> ends(final String reason) {
        final List<JsonNode> ends = new ArrayList<>();
        for (final String line :
                node.sluice("observe", "--type", "end", "-o", "jsonpb", "--all").lines().toList()) {
            final JsonNode flow = TestNode.json(line).path("flow");
            if (flow.path("flow_end").path("reason").asText().equals(reason)) {
                ends.add(flow);
            }
        }
        return ends;
    }

    private static List<JsonNode> ofPort(final List<JsonNode> flows, final int sourcePort) {
        return flows.stream()
                .filter(
                        flow ->
                                flow.path("l4").path("TCP").path("source_port").asInt()
                                        == sourcePort)
                .toList();
    }

    private static List<Integer> types(final String lines) {
        return lines.lines()
                .map(line -> TestNode.json(line).path("flow").path("event_type").path("type"))
                .map(JsonNode::asInt)
                .toList();
    }

    private List<FlowProto.Flow> endsOverGrpc() {
        final EventLoopGroup loop = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
        final ManagedChannel channel =
                NettyChannelBuilder.forAddress(
                                UnixDomainSocketAddress.of(
                                        node.socket().resolveSibling("hubble.sock")))
                        .channelType(NioDomainSocketChannel.class)
                        .withOption(ChannelOption.SO_KEEPALIVE, null)
                        .overrideAuthority("localhost")
                        .usePlaintext()
                        .eventLoopGroup(loop)
                        .build();
        try {
            final GetFlowsRequest.Builder request = GetFlowsRequest.newBuilder().setNumber(100);
            request.addWhitelistBuilder().addEventTypeBuilder().setType(END);
            final List<FlowProto.Flow> flows = new ArrayList<>();
            ObserverGrpc.newBlockingStub(channel)
                    .withDeadlineAfter(ANSWER_MS, TimeUnit.MILLISECONDS)
                    .getFlows(request.build())
                    .forEachRemaining(response -> flows.add(response.getFlow()));
            return flows;
        } finally {
            channel.shutdownNow();
            loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
        }
    }
}
