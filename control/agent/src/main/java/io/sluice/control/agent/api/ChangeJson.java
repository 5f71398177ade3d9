package io.sluice.control.agent.api;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.agent.ChangeMode;
import io.sluice.control.agent.ChangeRequest;
import io.sluice.control.agent.ChangeRequest.CutMode;
import io.sluice.control.agent.ChangeRequest.Manifest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The body of {@code POST /v1/changes}, read strictly. */
final class ChangeJson {
    private static final List<String> KINDS =
            List.of("apply", "delete", "deleteObject", "rollback");

    private ChangeJson() {}

    /**
     * @param user who asks
     * @throws io.sluice.control.agent.RequestException INVALID
     */
    static ChangeRequest read(final String body, final String user) {
        final JsonNode json =
                ApiJson.object(
                        ApiJson.read(body),
                        "",
                        Set.of(
                                "apply",
                                "delete",
                                "deleteObject",
                                "rollback",
                                "dryRun",
                                "refuseCuts",
                                "confirmSeconds"));
        final int confirmSeconds = ApiJson.number(json, "confirmSeconds", 0, Integer.MAX_VALUE);
        return new ChangeRequest(
                what(json),
                ApiJson.flag(json, "dryRun") ? ChangeMode.DRY_RUN : ChangeMode.CHANGE,
                ApiJson.flag(json, "refuseCuts") ? CutMode.REFUSE : CutMode.TELL,
                json.has("confirmSeconds")
                        ? Optional.of(Duration.ofSeconds(confirmSeconds))
                        : Optional.empty(),
                user);
    }

    private static ChangeRequest.What what(final JsonNode json) {
        final List<String> given = KINDS.stream().filter(json::has).toList();
        if (given.size() != 1) {
            throw ApiRequest.invalid("exactly one of " + String.join(", ", KINDS));
        }
        return switch (given.getFirst()) {
            case "apply" -> new ChangeRequest.Apply(manifests(json.path("apply"), "apply"));
            case "delete" -> new ChangeRequest.Delete(manifests(json.path("delete"), "delete"));
            case "rollback" ->
                    new ChangeRequest.Rollback(
                            ApiJson.number(json, "rollback", 0, Integer.MAX_VALUE));
            default -> object(json.path("deleteObject"));
        };
    }

    private static List<Manifest> manifests(final JsonNode list, final String where) {
        if (!list.isArray() || list.isEmpty()) {
            throw ApiRequest.invalid(where + ": a list of manifests, at least one");
        }
        final List<Manifest> manifests = new ArrayList<>();
        for (final JsonNode item : list) {
            final JsonNode manifest = ApiJson.object(item, where, Set.of("source", "text"));
            manifests.add(
                    new Manifest(
                            ApiJson.text(manifest, "source", "-"),
                            ApiJson.text(manifest, "text", "")));
        }
        return manifests;
    }

    private static ChangeRequest.DeleteObject object(final JsonNode json) {
        final JsonNode object =
                ApiJson.object(json, "deleteObject", Set.of("kind", "namespace", "name"));
        final String kind = ApiJson.text(object, "kind", "");
        final String name = ApiJson.text(object, "name", "");
        if (kind.isEmpty() || name.isEmpty()) {
            throw ApiRequest.invalid("deleteObject: kind and name are needed");
        }
        return new ChangeRequest.DeleteObject(kind, ApiJson.text(object, "namespace", ""), name);
    }
}
