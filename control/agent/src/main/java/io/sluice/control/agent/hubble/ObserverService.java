package io.sluice.control.agent.hubble;

import com.google.protobuf.UInt32Value;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.netty.util.NetUtil;
import io.sluice.control.agent.ControlPlane;
import io.sluice.control.agent.FlowActivity;
import io.sluice.control.agent.RequestException;
import io.sluice.control.agent.SluiceConfig;
import io.sluice.control.agent.StatusReport;
import io.sluice.control.agent.hubble.wire.ObserverGrpc;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsResponse;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetNamespacesRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetNamespacesResponse;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetNodesRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetNodesResponse;
import io.sluice.control.agent.hubble.wire.ObserverProto.Namespace;
import io.sluice.control.agent.hubble.wire.ObserverProto.Node;
import io.sluice.control.agent.hubble.wire.ObserverProto.ServerStatusRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.ServerStatusResponse;
import io.sluice.control.agent.hubble.wire.ObserverProto.TLS;
import io.sluice.control.agent.hubble.wire.RelayProto.NodeState;
import java.net.InetSocketAddress;
import java.time.Clock;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;

/**
 * What a client of the observer asks, and what it is answered.
 *
 * <p>A node of Hubble's answers GetNodes as its relay would: there is one node, this one.
 *
 * <p>Thread: those of gRPC's calls.
 */
final class ObserverService extends ObserverGrpc.ObserverImplBase implements AutoCloseable {
    private final ControlPlane control;
    private final SluiceConfig config;
    private final Executor threads;
    private final Clock clock;
    private final Set<FlowStream> streams = ConcurrentHashMap.newKeySet();

    /**
     * @param threads where answers of flows run, one for each
     */
    ObserverService(
            final ControlPlane control,
            final SluiceConfig config,
            final Executor threads,
            final Clock clock) {
        this.control = control;
        this.config = config;
        this.threads = threads;
        this.clock = clock;
    }

    @Override
    public void getFlows(
            final GetFlowsRequest request, final StreamObserver<GetFlowsResponse> answers) {
        if (streams.size() >= HubbleLimits.STREAMS_MAX) {
            answers.onError(
                    Status.RESOURCE_EXHAUSTED
                            .withDescription(
                                    "GetFlows: %d answers are on their way already"
                                            .formatted(HubbleLimits.STREAMS_MAX))
                            .asRuntimeException());
            return;
        }
        final FlowQuestion question;
        try {
            question = FlowQuestion.of(request);
        } catch (final RequestException e) {
            answers.onError(
                    Status.INVALID_ARGUMENT
                            .withDescription("GetFlows: " + e.getMessage())
                            .asRuntimeException());
            return;
        }
        final FlowStream stream =
                new FlowStream(
                        control,
                        question,
                        (ServerCallStreamObserver<GetFlowsResponse>) answers,
                        config.nodeName(),
                        clock);
        streams.add(stream);
        threads.execute(
                () -> {
                    try {
                        stream.run();
                    } finally {
                        streams.remove(stream);
                    }
                });
    }

    @Override
    public void getNodes(
            final GetNodesRequest request, final StreamObserver<GetNodesResponse> answer) {
        final StatusReport status = control.status();
        final FlowActivity activity = control.flowActivity();
        final Node.Builder node =
                Node.newBuilder()
                        .setName(config.nodeName())
                        .setVersion(version(status))
                        .setState(NodeState.NODE_CONNECTED)
                        .setTls(TLS.newBuilder().setEnabled(config.hubble().listen().isPresent()))
                        .setUptimeNs(uptimeNs(status))
                        .setNumFlows(activity.held())
                        .setMaxFlows(activity.capacity())
                        .setSeenFlows(activity.seen());
        config.hubble().listen().map(ObserverService::text).ifPresent(node::setAddress);
        answer.onNext(GetNodesResponse.newBuilder().addNodes(node).build());
        answer.onCompleted();
    }

    private static String text(final InetSocketAddress address) {
        return NetUtil.toSocketAddressString(address);
    }

    @Override
    public void getNamespaces(
            final GetNamespacesRequest request,
            final StreamObserver<GetNamespacesResponse> answer) {
        final GetNamespacesResponse.Builder response = GetNamespacesResponse.newBuilder();
        for (final String namespace : control.flowActivity().namespaces()) {
            response.addNamespaces(
                    Namespace.newBuilder()
                            .setCluster(config.clusterName())
                            .setNamespace(namespace));
        }
        answer.onNext(response.build());
        answer.onCompleted();
    }

    @Override
    public void serverStatus(
            final ServerStatusRequest request, final StreamObserver<ServerStatusResponse> answer) {
        final StatusReport status = control.status();
        final FlowActivity activity = control.flowActivity();
        answer.onNext(
                ServerStatusResponse.newBuilder()
                        .setNumFlows(activity.held())
                        .setMaxFlows(activity.capacity())
                        .setSeenFlows(activity.seen())
                        .setUptimeNs(uptimeNs(status))
                        .setNumConnectedNodes(UInt32Value.of(1))
                        .setNumUnavailableNodes(UInt32Value.of(0))
                        .setVersion(version(status))
                        .setFlowsRate(activity.perSecond())
                        .build());
        answer.onCompleted();
    }

    private static String version(final StatusReport status) {
        return "sluice " + status.version();
    }

    private long uptimeNs(final StatusReport status) {
        return Duration.between(status.startedAt(), clock.instant()).toNanos();
    }

    /** Ends all answers. */
    @Override
    public void close() {
        streams.forEach(FlowStream::stop);
    }
}
