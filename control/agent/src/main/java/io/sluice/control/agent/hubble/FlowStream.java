package io.sluice.control.agent.hubble;

import com.google.protobuf.util.FieldMaskUtil;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.sluice.control.agent.ControlPlane;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowCursor;
import io.sluice.control.agent.FlowReader;
import io.sluice.control.agent.RequestException;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsResponse;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One answer to GetFlows, from its first flow to its end.
 *
 * <p>Theory of operation. The stream pulls flows piece by piece and gives gRPC one at a time, when
 * gRPC says that it can take it (32 KiB are not yet sent): a month of flows is never in memory, and
 * a slow client holds up its own thread only. A follower that is too slow is overtaken by the ring;
 * it then gets a lost_events with the exact number. A client that goes away ends the stream with
 * the next flow, or after {@link HubbleLimits#FOLLOW_WAIT_MS} without one.
 *
 * <p>Thread: {@link #run} a thread of its own; gRPC's call back; {@link #stop} any.
 */
final class FlowStream {
    private static final Logger LOG = LoggerFactory.getLogger(FlowStream.class);

    private static final Duration WAIT = Duration.ofMillis(HubbleLimits.FOLLOW_WAIT_MS);

    private final ControlPlane control;
    private final FlowQuestion question;
    private final ServerCallStreamObserver<GetFlowsResponse> answers;
    private final String nodeName;
    private final Clock clock;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    // Guarded by lock.
    private boolean ended;

    /** Within the call, because gRPC takes its listeners only there. */
    FlowStream(
            final ControlPlane control,
            final FlowQuestion question,
            final ServerCallStreamObserver<GetFlowsResponse> answers,
            final String nodeName,
            final Clock clock) {
        this.control = control;
        this.question = question;
        this.answers = answers;
        this.nodeName = nodeName;
        this.clock = clock;
        answers.setOnReadyHandler(this::signal);
        answers.setOnCancelHandler(this::stop);
    }

    private void signal() {
        lock.lock();
        try {
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Has it end without another flow. */
    void stop() {
        lock.lock();
        try {
            ended = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Sends all there is to send. */
    void run() {
        try {
            if (question.follow()) {
                follow();
            } else {
                read();
            }
            if (!hasEnded()) {
                answers.onCompleted();
            }
        } catch (final RequestException e) {
            fail(Status.INVALID_ARGUMENT.withDescription("GetFlows: " + e.getMessage()));
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            fail(Status.UNAVAILABLE.withDescription("the daemon stops"));
        } catch (final RuntimeException e) {
            LOG.error("hubble: an answer failed", e);
            fail(Status.INTERNAL.withDescription("GetFlows failed, the daemon's log tells more"));
        }
    }

    private void fail(final Status status) {
        if (!answers.isCancelled()) {
            answers.onError(status.asRuntimeException());
        }
    }

    private boolean hasEnded() {
        lock.lock();
        try {
            return ended;
        } finally {
            lock.unlock();
        }
    }

    private void read() throws InterruptedException {
        try (FlowReader reader = control.flows(question.query())) {
            List<Flow> flows = reader.next();
            while (!flows.isEmpty() && send(flows)) {
                flows = reader.next();
            }
        }
    }

    private void follow() throws InterruptedException {
        long lostReported = 0;
        try (FlowCursor cursor = control.follow(question.query())) {
            while (!hasEnded() && !cursor.ended()) {
                final List<Flow> flows = cursor.next(WAIT);
                final long lost = cursor.lost();
                if (lost != lostReported
                        && !send(
                                FlowMessages.lost(
                                        lost - lostReported, nodeName, clock.instant()))) {
                    return;
                }
                lostReported = lost;
                if (!send(flows)
                        || (flows.isEmpty() && clock.instant().isAfter(question.query().until()))) {
                    return;
                }
            }
        }
    }

    private boolean send(final List<Flow> flows) throws InterruptedException {
        for (final Flow flow : flows) {
            if (!send(masked(FlowMessages.response(flow)))) {
                return false;
            }
        }
        return true;
    }

    private GetFlowsResponse masked(final GetFlowsResponse response) {
        return question.mask().getPathsCount() == 0
                ? response
                : response.toBuilder()
                        .setFlow(FieldMaskUtil.trim(question.mask(), response.getFlow()))
                        .build();
    }

    /** Sends when it can be sent; says whether to go on. */
    private boolean send(final GetFlowsResponse response) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (!ended && !answers.isReady()) {
                changed.await();
            }
            if (ended) {
                return false;
            }
        } finally {
            lock.unlock();
        }
        answers.onNext(response);
        return true;
    }
}
