package io.sluice.control.agent.api;

import io.sluice.control.agent.ControlPlane;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is answered to anybody who reaches the metrics address: {@code /metrics} for Prometheus, and
 * {@code /healthz}, which is 200 while packets are forwarded by a policy in force and 503 with the
 * reason otherwise. Nothing can be changed here, and no object, address or flow is shown.
 *
 * <p>Thread: any; holds no state.
 */
final class MetricsRoutes implements Routes {
    private static final Logger LOG = LoggerFactory.getLogger(MetricsRoutes.class);

    private static final String TEXT = "text/plain; charset=utf-8";

    private final ControlPlane control;

    MetricsRoutes(final ControlPlane control) {
        this.control = control;
    }

    @Override
    public ApiReply answer(final ApiRequest request) {
        final boolean known =
                request.segments().equals(List.of("metrics"))
                        || request.segments().equals(List.of("healthz"));
        if (!known) {
            return new ApiReply.Page(404, TEXT, "here are /metrics and /healthz\n");
        }
        if (!request.method().equals("GET")) {
            return new ApiReply.Page(405, TEXT, "accepted is GET\n");
        }
        try {
            return request.segments().equals(List.of("metrics"))
                    ? new ApiReply.Page(
                            200, PrometheusText.CONTENT_TYPE, PrometheusText.of(control.counters()))
                    : health();
        } catch (final RuntimeException e) {
            // Whoever asks must get an answer whatever is wrong with us; the log has the rest.
            LOG.error("/{} failed", request.segments().getFirst(), e);
            return new ApiReply.Page(500, TEXT, "internal error, see the log\n");
        }
    }

    private ApiReply health() {
        final Optional<String> illness = control.illness();
        return new ApiReply.Page(illness.isEmpty() ? 200 : 503, TEXT, illness.orElse("ok") + "\n");
    }
}
