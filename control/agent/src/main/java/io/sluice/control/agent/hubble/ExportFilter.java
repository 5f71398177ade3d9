package io.sluice.control.agent.hubble;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.RequestException;
import io.sluice.control.agent.SluiceConfig;
import io.sluice.control.agent.StartupException;
import io.sluice.control.agent.api.FlowFilter;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsRequest;
import java.util.function.Predicate;

/** Filters of the export: Hubble's, as JSON, with the meaning that they have in GetFlows. */
public final class ExportFilter {
    private ExportFilter() {}

    /**
     * The flows that the configuration wants.
     *
     * @param prefix of the selection's keys, with its dot
     * @throws StartupException with the key whose filters cannot be read
     */
    public static Predicate<Flow> of(
            final String prefix, final SluiceConfig.FlowExport.Selection selection)
            throws StartupException {
        if (selection.allowList().isEmpty() && selection.denyList().isEmpty()) {
            return FlowFilter.NOT_ENDS;
        }
        final GetFlowsRequest allowed =
                read(prefix + "allowList", "whitelist", selection.allowList());
        final GetFlowsRequest denied = read(prefix + "denyList", "blacklist", selection.denyList());
        return FlowQuestion.of(allowed.toBuilder().mergeFrom(denied).build()).query().filter();
    }

    /** A list as a question that means something. */
    private static GetFlowsRequest read(final String key, final String list, final String filters)
            throws StartupException {
        final GetFlowsRequest.Builder request = GetFlowsRequest.newBuilder();
        try {
            JsonFormat.parser().merge("{\"%s\":[%s]}".formatted(list, filters), request);
            final GetFlowsRequest question = request.build();
            FlowQuestion.of(question);
            return question;
        } catch (final InvalidProtocolBufferException | RequestException e) {
            throw new StartupException(
                    "%s: a list of Hubble's filters as JSON, such as {\"verdict\":[\"DROPPED\"]}: %s"
                            .formatted(key, e.getMessage()),
                    e);
        }
    }
}
