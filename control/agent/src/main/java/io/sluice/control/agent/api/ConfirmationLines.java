package io.sluice.control.agent.api;

import io.sluice.control.agent.ConfirmationReport;
import io.sluice.control.agent.ConfirmationReport.State;
import io.sluice.control.agent.ControlPlane;
import org.jspecify.annotations.Nullable;

/**
 * How a confirmation stands, and how it ends: a line at once, and one when it is decided, after
 * which the stream ends. Who reads it decides nothing: a reader that goes away changes nothing.
 */
final class ConfirmationLines implements ApiReply.LineSource {
    private final ControlPlane control;
    private ConfirmationReport told = ConfirmationReport.NONE;
    private boolean begun;

    ConfirmationLines(final ControlPlane control) {
        this.control = control;
    }

    @Override
    public @Nullable String next() throws InterruptedException {
        if (begun && told.state() != State.PENDING) {
            return null;
        }
        final ConfirmationReport now = control.confirmation();
        if (begun && now.equals(told)) {
            Thread.sleep(ApiLimits.STREAM_WAIT_MS);
            return "";
        }
        begun = true;
        told = now;
        return ApiJson.write(now) + "\n";
    }

    @Override
    public void close() {
        // Nothing is held.
    }
}
