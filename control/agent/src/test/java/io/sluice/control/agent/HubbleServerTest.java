package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.FieldMask;
import com.google.protobuf.Timestamp;
import com.google.protobuf.UnknownFieldSet;
import com.google.protobuf.util.JsonFormat;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.sluice.control.agent.api.FlowJson;
import io.sluice.control.agent.hubble.HubbleServer;
import io.sluice.control.agent.hubble.wire.FlowProto;
import io.sluice.control.agent.hubble.wire.FlowProto.FlowFilter;
import io.sluice.control.agent.hubble.wire.ObserverGrpc;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsResponse;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetNamespacesRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetNodesRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.Namespace;
import io.sluice.control.agent.hubble.wire.ObserverProto.Node;
import io.sluice.control.agent.hubble.wire.ObserverProto.ServerStatusRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.ServerStatusResponse;
import io.sluice.control.agent.hubble.wire.RelayProto.NodeState;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.l7proxy.ProxyCounters;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Hubble's observer as its clients see it, over the socket. */
@Timeout(120)
class HubbleServerTest {
    private static final Instant START = Instant.parse("2026-03-01T10:00:00Z");
    private static final int RING = 64;

    private final FlowCounts counts = new FlowCounts();
    private final FlowStore flows =
            new FlowStore(RING, counts::count, new FlowHistory(Optional.empty()));
    private final ControlThread thread =
            new ControlThread(
                    error -> {
                        throw error;
                    });

    @TempDir private Path folder;
    private SwitchInOneThread sluice;
    private ControlPlane control;
    private HubbleServer server;
    private HubbleClient client;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
        control =
                new ControlAgent(
                        new ControlAgent.Parts(
                                sluice.config,
                                List.of(),
                                thread,
                                sluice.store,
                                sluice.rollouts,
                                sluice.reconciler,
                                sluice.publisher,
                                sluice.conntrack,
                                List.of(sluice.counters),
                                sluice.counterFile,
                                flows,
                                sluice.history,
                                sluice.recorder,
                                sluice.dns,
                                sluice.proxy,
                                new ProxyCounters(),
                                counts,
                                new Exports(),
                                () -> true,
                                new RuleCounts(),
                                () -> sluice.nowNs,
                                sluice.tracer,
                                () -> {}));
        server = HubbleServer.start(socket(), sluice.config, control);
        client = HubbleClient.of(socket());
    }

    @AfterEach
    void stop() throws Exception {
        client.close();
        server.close();
        flows.close();
        thread.close();
        sluice.close();
    }

    private Path socket() {
        return folder.resolve("hubble.sock");
    }

    private void append(final int count) {
        for (int i = 0; i < count; i++) {
            flows.append(sequence -> Flows.at(sequence, START.plusSeconds(sequence)));
        }
    }

    /** Which flows they are, by their seconds. */
    private static List<Long> seconds(final List<FlowProto.Flow> answer) {
        return answer.stream()
                .map(flow -> flow.getTime().getSeconds() - START.getEpochSecond())
                .toList();
    }

    private static Timestamp second(final long number) {
        return Timestamp.newBuilder().setSeconds(START.getEpochSecond() + number).build();
    }

    @Test
    void theLatestFlowsComeOldestFirstAndFirstCountsFromTheOtherEnd() {
        append(5);

        assertThat(seconds(client.flows(GetFlowsRequest.newBuilder().setNumber(2))))
                .containsExactly(3L, 4L);
        assertThat(seconds(client.flows(GetFlowsRequest.newBuilder().setNumber(2).setFirst(true))))
                .containsExactly(0L, 1L);
        assertThat(seconds(client.flows(GetFlowsRequest.newBuilder())))
                .containsExactly(0L, 1L, 2L, 3L, 4L);
        assertThat(client.flows(GetFlowsRequest.newBuilder().setNumber(-1))).hasSize(5);
    }

    @Test
    void sinceAndUntilBoundTheAnswer() {
        append(5);

        assertThat(
                        seconds(
                                client.flows(
                                        GetFlowsRequest.newBuilder()
                                                .setSince(second(1))
                                                .setUntil(second(3)))))
                .containsExactly(1L, 2L, 3L);
        assertThat(
                        seconds(
                                client.flows(
                                        GetFlowsRequest.newBuilder()
                                                .setNumber(1)
                                                .setSince(second(1))
                                                .setUntil(second(3)))))
                .containsExactly(3L);
    }

    @Test
    void ofTheFieldsOfAFlowThoseAreSentThatTheMaskNames() {
        append(1);

        final List<FlowProto.Flow> answer =
                client.flows(
                        GetFlowsRequest.newBuilder()
                                .setFieldMask(
                                        FieldMask.newBuilder()
                                                .addPaths("source.namespace")
                                                .addPaths("verdict")));

        assertThat(answer)
                .containsExactly(
                        FlowProto.Flow.newBuilder()
                                .setVerdict(FlowProto.Verdict.FORWARDED)
                                .setSource(FlowProto.Endpoint.newBuilder().setNamespace("shop"))
                                .build());
    }

    // Filters.

    /** One flow of each kind; the dice of the other test would not say which matches. */
    private void appendOneOfEach() {
        append(1);
        final FlowPeer web =
                new FlowPeer(
                        3,
                        300,
                        "front",
                        "web-1",
                        List.of("k8s:app=web", "k8s:tier=outer"),
                        "10.1.0.9",
                        40001,
                        "");
        final FlowPeer world =
                new FlowPeer(
                        0,
                        2,
                        "",
                        "",
                        List.of("reserved:world"),
                        "2001:db8::1",
                        443,
                        "",
                        List.of("api.example.com"));
        flows.append(
                sequence ->
                        flow(
                                sequence,
                                Flow.Kind.DROP,
                                Flow.Verdict.DROPPED,
                                DropReason.POLICY_DENIED,
                                6,
                                0x12,
                                web,
                                world,
                                Optional.empty()));
        flows.append(
                sequence ->
                        flow(
                                sequence,
                                Flow.Kind.L7,
                                Flow.Verdict.FORWARDED,
                                DropReason.NONE,
                                6,
                                0,
                                web,
                                world,
                                Optional.of(
                                        new L7Message(
                                                false,
                                                5,
                                                new L7Message.Http(
                                                        "HTTP/1.1",
                                                        "GET",
                                                        "http://api/orders?x=1",
                                                        404,
                                                        List.of(
                                                                new L7Message.Header(
                                                                        "X-Team", "a")))))));
        flows.append(
                sequence ->
                        flow(
                                sequence,
                                Flow.Kind.L7,
                                Flow.Verdict.FORWARDED,
                                DropReason.NONE,
                                17,
                                0,
                                web,
                                world,
                                Optional.of(
                                        new L7Message(
                                                true,
                                                0,
                                                new L7Message.Dns(
                                                        "api.example.com.",
                                                        "A",
                                                        0,
                                                        List.of(),
                                                        List.of(),
                                                        0)))));
    }

    private static Flow flow(
            final long sequence,
            final Flow.Kind kind,
            final Flow.Verdict verdict,
            final DropReason reason,
            final int protocol,
            final int tcpFlags,
            final FlowPeer source,
            final FlowPeer destination,
            final Optional<L7Message> l7) {
        return new Flow(
                sequence,
                START.plusSeconds(sequence),
                "uuid-" + sequence,
                "node-2",
                kind,
                verdict,
                reason.code(),
                reason == DropReason.NONE ? "" : reason.name(),
                6,
                protocol,
                tcpFlags,
                -1,
                -1,
                source,
                destination,
                Flow.Direction.EGRESS,
                l7.isPresent(),
                1,
                List.of(),
                List.of(),
                60,
                l7);
    }

    private static Arguments filter(
            final Consumer<FlowFilter.Builder> filter, final Long... matching) {
        final FlowFilter.Builder builder = FlowFilter.newBuilder();
        filter.accept(builder);
        return Arguments.of(builder.build(), Arrays.asList(matching));
    }

    static Stream<Arguments> everyFilter() {
        return Stream.of(
                filter(f -> {}, 0L, 1L, 2L, 3L),
                filter(f -> f.addSourceIp("10.1.0.9"), 1L, 2L, 3L),
                filter(f -> f.addSourceIp("10.0.0.0/16"), 0L),
                filter(f -> f.addSourceIp("10.0.0.1").addSourceIp("10.1.0.9"), 0L, 1L, 2L, 3L),
                filter(f -> f.addDestinationIp("2001:db8::/32"), 1L, 2L, 3L),
                filter(f -> f.addSourcePod("front/web"), 1L, 2L, 3L),
                filter(f -> f.addSourcePod("shop/"), 0L),
                filter(f -> f.addSourcePod("/web"), 1L, 2L, 3L),
                filter(f -> f.addSourcePod("web")),
                filter(f -> f.addDestinationPod("shop/b"), 0L),
                filter(f -> f.addDestinationPod("/"), 0L),
                filter(f -> f.addSourceFqdn("api.example.com")),
                filter(f -> f.addDestinationFqdn("*.example.com"), 1L, 2L, 3L),
                filter(f -> f.addSourceLabel("app=web,tier=outer"), 1L, 2L, 3L),
                filter(f -> f.addDestinationLabel("reserved:world"), 1L, 2L, 3L),
                filter(f -> f.addSourcePort("40000"), 0L),
                filter(f -> f.addDestinationPort("443"), 1L, 2L, 3L),
                filter(f -> f.addSourceIdentity(256), 0L),
                filter(f -> f.addDestinationIdentity(2), 1L, 2L, 3L),
                filter(f -> f.addVerdict(FlowProto.Verdict.DROPPED), 1L),
                filter(f -> f.addDropReasonDesc(FlowProto.DropReason.POLICY_DENIED), 1L),
                filter(f -> f.addDropReasonDesc(FlowProto.DropReason.INVALID_PACKET)),
                filter(f -> f.addEventTypeBuilder().setType(1), 1L),
                filter(
                        f ->
                                f.addEventTypeBuilder()
                                        .setType(1)
                                        .setMatchSubType(true)
                                        .setSubType(133),
                        1L),
                filter(f -> f.addEventTypeBuilder().setType(1).setMatchSubType(true).setSubType(1)),
                filter(f -> f.addEventTypeBuilder().setType(129), 2L, 3L),
                filter(f -> f.addEventTypeBuilder().setType(5), 0L),
                filter(f -> f.addEventTypeBuilder().setType(4), 0L),
                filter(
                        f -> f.addEventTypeBuilder().setType(4).setMatchSubType(true).setSubType(0),
                        0L),
                filter(
                        f ->
                                f.addEventTypeBuilder()
                                        .setType(4)
                                        .setMatchSubType(true)
                                        .setSubType(11)),
                filter(f -> f.addEventTypeBuilder().setType(2)),
                filter(f -> f.addHttpStatusCode("4+"), 2L),
                filter(f -> f.addHttpMethod("get"), 2L),
                filter(f -> f.addHttpPath("^/orders$"), 2L),
                filter(f -> f.addHttpUrl("x=1"), 2L),
                filter(f -> f.addHttpHeaderBuilder().setKey("x-team").setValue("a"), 2L),
                filter(f -> f.addProtocol("dns"), 3L),
                filter(f -> f.addProtocol("TCP"), 0L, 1L, 2L),
                filter(f -> f.addReply(true), 2L, 3L),
                filter(f -> f.addReply(false), 0L, 1L),
                filter(f -> f.addDnsQuery("^api[.]"), 3L),
                filter(f -> f.addTcpFlagsBuilder().setSYN(true), 0L, 1L),
                filter(f -> f.addTcpFlagsBuilder().setSYN(true).setACK(true), 1L),
                filter(f -> f.addTcpFlagsBuilder(), 0L, 1L, 2L),
                filter(f -> f.addNodeName("node-*"), 1L, 2L, 3L),
                filter(f -> f.addIpVersion(FlowProto.IPVersion.IPv6), 1L, 2L, 3L),
                filter(f -> f.addUuid("uuid-2").addUuid("uuid-3"), 2L, 3L),
                filter(f -> f.addTrafficDirection(FlowProto.TrafficDirection.EGRESS), 1L, 2L, 3L),
                filter(f -> f.addSourcePod("front/web").addProtocol("tcp").addReply(true), 2L));
    }

    @ParameterizedTest
    @MethodSource("everyFilter")
    void eachFilterTakesItsFlowsAndInTheBlacklistAllOthers(
            final FlowFilter filter, final List<Long> matching) {
        appendOneOfEach();

        assertThat(seconds(client.flows(GetFlowsRequest.newBuilder().addWhitelist(filter))))
                .isEqualTo(matching);
        assertThat(seconds(client.flows(GetFlowsRequest.newBuilder().addBlacklist(filter))))
                .isEqualTo(
                        Stream.of(0L, 1L, 2L, 3L)
                                .filter(second -> !matching.contains(second))
                                .toList());
    }

    @Test
    void everyFieldOfAFilterIsTestedOrRefused() {
        final List<String> tested = new ArrayList<>();
        everyFilter()
                .forEach(
                        arguments ->
                                ((FlowFilter) Objects.requireNonNull(arguments.get()[0]))
                                        .getAllFields()
                                        .keySet()
                                        .forEach(field -> tested.add(field.getName())));
        refused()
                .forEach(
                        filter ->
                                filter.getAllFields()
                                        .keySet()
                                        .forEach(field -> tested.add(field.getName())));

        assertThat(FlowFilter.getDescriptor().getFields())
                .allSatisfy(field -> assertThat(tested).contains(field.getName()));
    }

    @Test
    void filtersOfAListAreAlternatives() {
        appendOneOfEach();

        assertThat(
                        seconds(
                                client.flows(
                                        GetFlowsRequest.newBuilder()
                                                .addWhitelist(
                                                        FlowFilter.newBuilder()
                                                                .addSourcePod("shop/"))
                                                .addWhitelist(
                                                        FlowFilter.newBuilder()
                                                                .addDestinationPort("443"))
                                                .addBlacklist(
                                                        FlowFilter.newBuilder().addProtocol("dns"))
                                                .addBlacklist(
                                                        FlowFilter.newBuilder()
                                                                .addVerdict(
                                                                        FlowProto.Verdict
                                                                                .DROPPED)))))
                .containsExactly(0L, 2L);
    }

    // Errors.

    private static Stream<FlowFilter> refused() {
        return Stream.of(
                        FlowFilter.newBuilder().addSourceService("shop/web"),
                        FlowFilter.newBuilder().addDestinationService("shop/web"),
                        FlowFilter.newBuilder()
                                .addSourceWorkload(FlowProto.Workload.getDefaultInstance()),
                        FlowFilter.newBuilder()
                                .addDestinationWorkload(FlowProto.Workload.getDefaultInstance()),
                        FlowFilter.newBuilder().addTraceId("1"),
                        FlowFilter.newBuilder().addSourceIpXlated("10.0.0.1"),
                        FlowFilter.newBuilder()
                                .addInterface(FlowProto.NetworkInterface.getDefaultInstance()),
                        FlowFilter.newBuilder().addNodeLabels("a=b"),
                        FlowFilter.newBuilder().addSourceClusterName("west"),
                        FlowFilter.newBuilder().addDestinationClusterName("west"),
                        FlowFilter.newBuilder()
                                .setExperimental(
                                        FlowFilter.Experimental.newBuilder()
                                                .addCelExpression("true")),
                        FlowFilter.newBuilder().addHttpPath("("),
                        FlowFilter.newBuilder().addSourceIp("10.0.0"),
                        FlowFilter.newBuilder().addSourcePort("http"),
                        FlowFilter.newBuilder().addProtocol("gre"),
                        FlowFilter.newBuilder().addSourceLabel("app!=web"),
                        FlowFilter.newBuilder().addSourceLabel("app in (a, b)"),
                        FlowFilter.newBuilder().addVerdictValue(99),
                        FlowFilter.newBuilder()
                                .setUnknownFields(
                                        UnknownFieldSet.newBuilder()
                                                .addField(
                                                        40,
                                                        UnknownFieldSet.Field.newBuilder()
                                                                .addVarint(1)
                                                                .build())
                                                .build()))
                .map(FlowFilter.Builder::build);
    }

    @ParameterizedTest
    @MethodSource("refused")
    void aFilterThatCannotBeAnsweredIsRefusedAndNotIgnored(final FlowFilter filter) {
        append(1);

        assertThatThrownBy(() -> client.flows(GetFlowsRequest.newBuilder().addWhitelist(filter)))
                .satisfies(HubbleServerTest::isInvalid);
        assertThatThrownBy(() -> client.flows(GetFlowsRequest.newBuilder().addBlacklist(filter)))
                .satisfies(HubbleServerTest::isInvalid);
    }

    private static void isInvalid(final Throwable error) {
        final Status status = ((StatusRuntimeException) error).getStatus();
        assertThat(status.getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
        assertThat(status.getDescription()).startsWith("GetFlows: ");
    }

    @Test
    void aQuestionThatMeansNothingIsRefused() {
        assertThatThrownBy(
                        () ->
                                client.flows(
                                        GetFlowsRequest.newBuilder()
                                                .setFirst(true)
                                                .setFollow(true)))
                .satisfies(HubbleServerTest::isInvalid);
        assertThatThrownBy(
                        () ->
                                client.flows(
                                        GetFlowsRequest.newBuilder()
                                                .setFieldMask(
                                                        FieldMask.newBuilder().addPaths("no"))))
                .satisfies(HubbleServerTest::isInvalid);
        assertThatThrownBy(
                        () ->
                                client.flows(
                                        GetFlowsRequest.newBuilder()
                                                .setSince(
                                                        Timestamp.newBuilder()
                                                                .setSeconds(Long.MAX_VALUE))))
                .satisfies(HubbleServerTest::isInvalid);
    }

    // Followers.

    @Test
    void aFollowerGetsThePastItAsksForAndThenWhatComes() {
        append(3);
        final Iterator<GetFlowsResponse> answer =
                client.observer()
                        .getFlows(
                                GetFlowsRequest.newBuilder().setFollow(true).setNumber(1).build());
        final List<FlowProto.Flow> seen = new ArrayList<>(List.of(answer.next().getFlow()));
        append(2);
        seen.add(answer.next().getFlow());
        seen.add(answer.next().getFlow());

        assertThat(seconds(seen)).containsExactly(2L, 3L, 4L);
    }

    @Test
    void aFollowerWithAnEndInThePastEnds() {
        append(3);

        assertThat(
                        seconds(
                                client.flows(
                                        GetFlowsRequest.newBuilder()
                                                .setFollow(true)
                                                .setSince(second(0))
                                                .setUntil(second(1)))))
                .containsExactly(0L, 1L);
    }

    @Test
    void aFollowerThatReadsTooSlowlyIsToldExactlyHowManyItMissed() throws Exception {
        final BlockingQueue<GetFlowsResponse> seen = new LinkedBlockingQueue<>();
        final ClientCall<GetFlowsRequest, GetFlowsResponse> call =
                client.channel().newCall(ObserverGrpc.getGetFlowsMethod(), CallOptions.DEFAULT);
        call.start(
                new ClientCall.Listener<>() {
                    @Override
                    public void onMessage(final GetFlowsResponse message) {
                        seen.add(message);
                    }
                },
                new Metadata());
        call.sendMessage(GetFlowsRequest.newBuilder().setFollow(true).setSince(second(0)).build());
        call.halfClose();
        append(1);
        call.request(1);
        assertThat(take(seen).hasFlow()).isTrue();

        // Nothing more is asked for: what is on its way fills up, and the ring goes round.
        final int more = 20_000;
        append(more);
        call.request(Integer.MAX_VALUE);

        long flowsSeen = 1;
        long lost = 0;
        while (flowsSeen + lost < more + 1) {
            final GetFlowsResponse response = take(seen);
            flowsSeen += response.hasFlow() ? 1 : 0;
            lost += response.getLostEvents().getNumEventsLost();
            if (response.hasLostEvents()) {
                assertThat(response.getLostEvents().getSource())
                        .isEqualTo(FlowProto.LostEventSource.HUBBLE_RING_BUFFER);
                assertThat(response.getNodeName()).isEqualTo(sluice.config.nodeName());
            }
        }
        assertThat(lost).isPositive();
        assertThat(flowsSeen + lost).isEqualTo(more + 1);
        call.cancel("enough", null);
    }

    private static GetFlowsResponse take(final BlockingQueue<GetFlowsResponse> seen)
            throws InterruptedException {
        final @Nullable GetFlowsResponse response = seen.poll(60, TimeUnit.SECONDS);
        if (response == null) {
            throw new AssertionError("no answer");
        }
        return response;
    }

    @Test
    void aStopEndsFollowersAndRemovesTheSocket() throws Exception {
        append(1);
        final Iterator<GetFlowsResponse> answer =
                client.observer()
                        .getFlows(
                                GetFlowsRequest.newBuilder().setFollow(true).setNumber(1).build());
        assertThat(answer.next().hasFlow()).isTrue();

        server.close();

        assertThatThrownBy(answer::hasNext)
                .isInstanceOf(StatusRuntimeException.class)
                .satisfies(
                        error ->
                                assertThat(((StatusRuntimeException) error).getStatus().getCode())
                                        .isIn(Status.Code.UNAVAILABLE, Status.Code.CANCELLED));
        assertThat(socket()).doesNotExist();
    }

    // The rest of the service.

    @Test
    void statusNodesAndNamespacesAreThisNodes() {
        final Instant now = Instant.now();
        flows.append(sequence -> Flows.at(sequence, now));
        flows.append(sequence -> Flows.at(sequence, now));

        final ServerStatusResponse status =
                client.observer().serverStatus(ServerStatusRequest.getDefaultInstance());
        assertThat(status.getNumFlows()).isEqualTo(2);
        assertThat(status.getMaxFlows()).isEqualTo(RING);
        assertThat(status.getSeenFlows()).isEqualTo(2);
        assertThat(status.getUptimeNs()).isPositive();
        assertThat(status.getNumConnectedNodes().getValue()).isOne();
        assertThat(status.hasNumUnavailableNodes()).isTrue();
        assertThat(status.getVersion()).startsWith("sluice ");
        assertThat(status.getFlowsRate()).isEqualTo(2 / 60.0);

        final List<Node> nodes =
                client.observer().getNodes(GetNodesRequest.getDefaultInstance()).getNodesList();
        assertThat(nodes).hasSize(1);
        assertThat(nodes.getFirst().getName()).isEqualTo(sluice.config.nodeName());
        assertThat(nodes.getFirst().getState()).isEqualTo(NodeState.NODE_CONNECTED);
        assertThat(nodes.getFirst().getSeenFlows()).isEqualTo(2);
        assertThat(nodes.getFirst().getTls().getEnabled()).isFalse();

        assertThat(
                        client.observer()
                                .getNamespaces(GetNamespacesRequest.getDefaultInstance())
                                .getNamespacesList())
                .containsExactly(
                        Namespace.newBuilder().setCluster("default").setNamespace("shop").build());
    }

    @Test
    void aNamespaceWhoseLastFlowIsOlderThanAnHourIsLeftOut() {
        flows.append(sequence -> Flows.at(sequence, Instant.now().minusSeconds(3601)));

        assertThat(
                        client.observer()
                                .getNamespaces(GetNamespacesRequest.getDefaultInstance())
                                .getNamespacesList())
                .isEmpty();
    }

    @Test
    void theHealthServiceKnowsTheObserver() {
        assertThat(
                        HealthGrpc.newBlockingStub(client.channel())
                                .check(
                                        HealthCheckRequest.newBuilder()
                                                .setService("hubble.server.Observer")
                                                .build())
                                .getStatus())
                .isEqualTo(ServingStatus.SERVING);
    }

    @Test
    void theSocketIsItsOwnersAndItsGroups() throws Exception {
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket())))
                .isEqualTo("rw-rw----");
    }

    @Test
    void oneConnectionTooManyIsClosedAndTheOthersGoOn() throws Exception {
        final List<SocketChannel> connections = new ArrayList<>();
        try {
            for (int i = 0; i < 64; i++) {
                final SocketChannel connection = SocketChannel.open(StandardProtocolFamily.UNIX);
                connections.add(connection);
                connection.connect(UnixDomainSocketAddress.of(socket()));
                // HTTP/2's first frame: the connection has been taken on.
                assertThat(connection.read(ByteBuffer.allocate(9))).isPositive();
            }
            try (SocketChannel last = SocketChannel.open(StandardProtocolFamily.UNIX)) {
                last.connect(UnixDomainSocketAddress.of(socket()));
                assertThat(last.read(ByteBuffer.allocate(9))).isEqualTo(-1);
            }
        } finally {
            for (final SocketChannel connection : connections) {
                connection.close();
            }
        }
        append(1);
        assertThat(client.flows(GetFlowsRequest.newBuilder())).hasSize(1);
    }

    @Test
    void withoutTheObserverThereIsNoSocket() throws Exception {
        final Path other = folder.resolve("other.sock");
        HubbleServer.start(other, config("hubble: {enabled: false}"), control).close();

        assertThat(other).doesNotExist();
    }

    // The same as JSON.

    @Test
    void everyFlowIsTheSameAsJson() throws Exception {
        final Random random = new Random(20_260_301);
        for (int round = 0; round < 40; round++) {
            final List<Flow> made = new ArrayList<>();
            for (int i = 0; i < RING; i++) {
                flows.append(
                        sequence -> {
                            final Flow flow =
                                    real(random, RandomFlows.next(random, sequence, START));
                            made.add(flow);
                            return flow;
                        });
            }

            final List<GetFlowsResponse> answer =
                    client.responses(
                            GetFlowsRequest.newBuilder()
                                    .setNumber(RING)
                                    .addWhitelist(FlowFilter.getDefaultInstance())
                                    .addWhitelist(ends()));

            assertThat(answer).hasSize(RING);
            for (int i = 0; i < RING; i++) {
                final GetFlowsResponse.Builder read = GetFlowsResponse.newBuilder();
                // Strict: a field that the .proto does not have is an error.
                JsonFormat.parser().merge(FlowJson.response(made.get(i)).toString(), read);
                assertThat(answer.get(i)).isEqualTo(read.build());
            }
        }
    }

    /** With a drop reason that there is. */
    private static Flow real(final Random random, final Flow flow) {
        final DropReason[] reasons = DropReason.values();
        final DropReason reason =
                flow.kind() == Flow.Kind.DROP
                        ? reasons[1 + random.nextInt(reasons.length - 1)]
                        : DropReason.NONE;
        return new Flow(
                flow.sequence(),
                flow.time(),
                flow.uuid(),
                flow.nodeName(),
                flow.kind(),
                flow.verdict(),
                reason.code(),
                reason == DropReason.NONE ? "" : reason.name(),
                flow.ipVersion(),
                flow.protocol(),
                flow.tcpFlags(),
                flow.icmpType(),
                flow.icmpCode(),
                flow.source(),
                flow.destination(),
                flow.direction(),
                flow.reply(),
                flow.policyRevision(),
                flow.egressBy(),
                flow.ingressBy(),
                flow.lengthBytes(),
                flow.l7(),
                flow.totals());
    }

    private static FlowFilter ends() {
        return FlowFilter.newBuilder()
                .addEventType(
                        FlowProto.EventTypeFilter.newBuilder().setType(Flow.Kind.END.number()))
                .build();
    }

    // Ends of flows.

    @Test
    void endsAreForWhoAsksForTheirTypeAlone() {
        append(1);
        for (final FlowEnd end : FlowEnd.values()) {
            flows.append(sequence -> Flows.ended(sequence, START.plusSeconds(sequence), end));
        }

        assertThat(client.flows(GetFlowsRequest.newBuilder())).hasSize(1);
        assertThat(client.flows(GetFlowsRequest.newBuilder().addWhitelist(protocol("tcp"))))
                .hasSize(1);
        final List<FlowProto.Flow> ends =
                client.flows(GetFlowsRequest.newBuilder().addWhitelist(ends()));
        assertThat(ends)
                .extracting(flow -> flow.getFlowEnd().getReason().name())
                .containsExactlyElementsOf(
                        Arrays.stream(FlowEnd.values()).map(FlowEnd::name).toList());
        assertThat(ends)
                .allSatisfy(
                        flow -> {
                            assertThat(flow.getEventType().getType()).isEqualTo(200);
                            assertThat(flow.getEventType().getSubType())
                                    .isEqualTo(flow.getFlowEnd().getReasonValue());
                            assertThat(flow.getFlowEnd().getResponderBytes()).isEqualTo(1L << 40);
                            assertThat(flow.hasEthernet()).isFalse();
                        });
        final FlowFilter.Builder cut = ends().toBuilder();
        cut.getEventTypeBuilder(0).setMatchSubType(true).setSubType(FlowEnd.CUT.code());
        assertThat(client.flows(GetFlowsRequest.newBuilder().addWhitelist(cut)))
                .extracting(flow -> flow.getFlowEnd().getCutReasonDesc())
                .containsExactly(FlowProto.DropReason.POLICY_DENIED);
        assertThat(
                        client.flows(
                                GetFlowsRequest.newBuilder()
                                        .addWhitelist(ends())
                                        .addBlacklist(protocol("tcp"))))
                .isEmpty();
        assertThat(FlowProto.FlowEndReason.values()).hasSize(FlowEnd.values().length + 2);
    }

    private static FlowFilter protocol(final String name) {
        return FlowFilter.newBuilder().addProtocol(name).build();
    }

    @Test
    void dropReasonsHaveTheirNumbersAndNames() {
        for (final DropReason reason : DropReason.values()) {
            final FlowProto.DropReason wire = FlowProto.DropReason.forNumber(reason.code());
            assertThat(wire).as(reason.name()).isNotNull();
            assertThat(wire.name())
                    .isEqualTo(reason == DropReason.NONE ? "DROP_REASON_UNKNOWN" : reason.name());
        }
        assertThat(FlowProto.DropReason.values()).hasSize(DropReason.values().length + 1);
    }

    // TLS.

    @Test
    void overTcpAClientNeedsACertificateOfTheRightAuthority() throws Exception {
        authority("ca");
        authority("other");
        certificate("server", "ca", "DNS:sluice.test");
        certificate("client", "ca", "DNS:client.test");
        certificate("stranger", "other", "DNS:client.test");
        final InetSocketAddress address =
                new InetSocketAddress(InetAddress.getLoopbackAddress(), freePort());
        append(2);
        try (HubbleServer _ =
                HubbleServer.start(folder.resolve("tls.sock"), tlsConfig(address), control)) {
            try (HubbleClient trusted =
                    HubbleClient.ofTls(address, file("ca.crt"), identity("client"))) {
                assertThat(trusted.flows(GetFlowsRequest.newBuilder())).hasSize(2);
                final Node node =
                        trusted.observer()
                                .getNodes(GetNodesRequest.getDefaultInstance())
                                .getNodes(0);
                assertThat(node.getTls().getEnabled()).isTrue();
                assertThat(node.getAddress()).isEqualTo("127.0.0.1:" + address.getPort());
            }
            try (HubbleClient unix = HubbleClient.of(folder.resolve("tls.sock"))) {
                assertThat(unix.flows(GetFlowsRequest.newBuilder())).hasSize(2);
            }
            for (final Optional<Path[]> identity :
                    List.of(Optional.<Path[]>empty(), identity("stranger"))) {
                try (HubbleClient untrusted =
                        HubbleClient.ofTls(address, file("ca.crt"), identity)) {
                    assertThatThrownBy(() -> untrusted.flows(GetFlowsRequest.newBuilder()))
                            .satisfies(
                                    error ->
                                            assertThat(
                                                            ((StatusRuntimeException) error)
                                                                    .getStatus()
                                                                    .getCode())
                                                    .isEqualTo(Status.Code.UNAVAILABLE));
                }
            }
        }
    }

    @Test
    void anAddressThatIsTakenIsWaitedFor() throws Exception {
        authority("ca");
        certificate("server", "ca", "DNS:sluice.test");
        certificate("client", "ca", "DNS:client.test");
        append(1);
        final ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        final InetSocketAddress address = (InetSocketAddress) other.getLocalSocketAddress();
        try (other;
                HubbleServer _ =
                        HubbleServer.start(
                                folder.resolve("tls.sock"), tlsConfig(address), control);
                HubbleClient waiting =
                        HubbleClient.ofTls(address, file("ca.crt"), identity("client"))) {
            other.close();

            assertThat(
                            waiting.observer()
                                    .withWaitForReady()
                                    .getFlows(GetFlowsRequest.getDefaultInstance())
                                    .next()
                                    .hasFlow())
                    .isTrue();
        }
    }

    @Test
    void certificatesThatCannotBeUsedRefuseTheStart() throws Exception {
        final InetSocketAddress address =
                new InetSocketAddress(InetAddress.getLoopbackAddress(), freePort());

        assertThatThrownBy(
                        () ->
                                HubbleServer.start(
                                        folder.resolve("tls.sock"), tlsConfig(address), control))
                .hasMessageStartingWith("hubble.listen: " + file("server.crt"));
        assertThatThrownBy(
                        () ->
                                config("hubble: {listen: {address: \"127.0.0.1:1\"}}")
                                        .hubble()
                                        .requireCertificates())
                .isInstanceOf(StartupException.class)
                .hasMessage(
                        "hubble.listen.certFile: hubble.listen.address is served with TLS only,"
                                + " and needs it");
    }

    private SluiceConfig tlsConfig(final InetSocketAddress address) throws StartupException {
        return config(
                String.format(
                        Locale.ROOT,
                        "hubble: {listen: {address: \"127.0.0.1:%d\", certFile: %s, keyFile: %s,"
                                + " clientCaFile: %s}}",
                        address.getPort(),
                        file("server.crt"),
                        file("server.key"),
                        file("ca.crt")));
    }

    private static SluiceConfig config(final String text) throws StartupException {
        return SluiceConfig.from(Settings.parse("f.yaml", text), SluiceConfig.defaults("node-1"));
    }

    private static int freePort() throws Exception {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private Path file(final String name) {
        return folder.resolve(name);
    }

    private Optional<Path[]> identity(final String name) {
        return Optional.of(new Path[] {file(name + ".crt"), file(name + ".key")});
    }

    private void authority(final String name) throws Exception {
        openssl(
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=" + name,
                "-keyout",
                file(name + ".key").toString(),
                "-out",
                file(name + ".crt").toString());
    }

    private void certificate(final String name, final String authority, final String alternative)
            throws Exception {
        openssl(
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=" + name,
                "-addext",
                "subjectAltName=" + alternative,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-CA",
                file(authority + ".crt").toString(),
                "-CAkey",
                file(authority + ".key").toString(),
                "-keyout",
                file(name + ".key").toString(),
                "-out",
                file(name + ".crt").toString());
    }

    private static void openssl(final String... words) throws Exception {
        final List<String> command = new ArrayList<>(List.of("openssl"));
        command.addAll(List.of(words));
        final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        final String output =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
    }
}
