package io.sluice.control.agent.api;

import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowReader;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Lines of a question about the past, piece by piece.
 *
 * <p>Thread: the request's.
 */
final class FlowPages implements ApiReply.LineSource {
    private final FlowReader reader;

    FlowPages(final FlowReader reader) {
        this.reader = reader;
    }

    @Override
    public @Nullable String next() {
        final List<Flow> flows = reader.next();
        return flows.isEmpty() ? null : FlowJson.lines(flows);
    }

    @Override
    public void close() {
        reader.close();
    }
}
