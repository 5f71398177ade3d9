package io.sluice.control.agent.api;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.ReachabilityMatrix;

/**
 * A reachability matrix in JSON: {@code endpoints} names rows and columns, {@code rows} has one
 * text per source as the matrix itself ({@code .}, {@code X}, {@code =}), and {@code connections}
 * says the same for programs that rather read pairs.
 */
public final class MatrixJson {
    private MatrixJson() {}

    public static ObjectNode of(
            final ReachabilityMatrix matrix, final String protocol, final String port) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("protocol", protocol);
        json.put("port", port);
        final ArrayNode endpoints = json.putArray("endpoints");
        for (final ObjectRef pod : matrix.pods()) {
            endpoints.add(pod.path());
        }
        final ArrayNode rows = json.putArray("rows");
        matrix.rows().forEach(rows::add);
        final ArrayNode connections = json.putArray("connections");
        for (int from = 0; from < matrix.pods().size(); from++) {
            for (int to = 0; to < matrix.pods().size(); to++) {
                if (from != to) {
                    connections
                            .addObject()
                            .put("from", matrix.pods().get(from).path())
                            .put("to", matrix.pods().get(to).path())
                            .put("allowed", matrix.isAllowed(from, to));
                }
            }
        }
        return json;
    }
}
