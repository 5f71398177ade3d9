package io.sluice.control.agent.export;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/**
 * Which fields of a flow are exported, as Hubble's exporter has it: {@code source.namespace},
 * {@code l4}. A field that a flow does not have is left out.
 *
 * @param paths names with dots between; without any the whole flow
 */
record FieldMask(List<String> paths) {
    FieldMask {
        paths = List.copyOf(paths);
    }

    /** The flow with these fields alone. */
    ObjectNode of(final ObjectNode flow) {
        if (paths.isEmpty()) {
            return flow;
        }
        final ObjectNode masked = JsonNodeFactory.instance.objectNode();
        for (final String path : paths) {
            copy(flow, masked, List.of(path.split("\\.", -1)));
        }
        return masked;
    }

    private static void copy(final JsonNode from, final ObjectNode to, final List<String> names) {
        final String name = names.getFirst();
        final JsonNode value = from.path(name);
        if (value.isMissingNode()) {
            return;
        }
        if (names.size() == 1) {
            to.set(name, value);
            return;
        }
        final List<String> rest = names.subList(1, names.size());
        if (value instanceof final ArrayNode array) {
            copyEach(array, to.withArray(name), rest);
        } else if (value.isObject()) {
            copy(value, to.withObject("/" + name), rest);
        }
    }

    /** A path into a list means each of its elements. */
    private static void copyEach(
            final ArrayNode from, final ArrayNode to, final List<String> rest) {
        while (to.size() < from.size()) {
            to.addObject();
        }
        for (int i = 0; i < from.size(); i++) {
            copy(from.get(i), (ObjectNode) to.get(i), rest);
        }
    }
}
