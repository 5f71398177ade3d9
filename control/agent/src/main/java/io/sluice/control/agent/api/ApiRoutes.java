package io.sluice.control.agent.api;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.agent.ChangeMode;
import io.sluice.control.agent.ChangeRequest;
import io.sluice.control.agent.ChangeRequest.CutMode;
import io.sluice.control.agent.ChangeRequest.Manifest;
import io.sluice.control.agent.ControlPlane;
import io.sluice.control.agent.EndpointRequest;
import io.sluice.control.agent.FlowQuery;
import io.sluice.control.agent.ObjectChange;
import io.sluice.control.agent.ObjectReport;
import io.sluice.control.agent.PolicySnapshot;
import io.sluice.control.agent.RequestException;
import io.sluice.control.agent.TraceQuery;
import io.sluice.control.policy.ProbeException;
import io.sluice.control.policy.ReachabilityMatrix;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which request gets which answer. The reference is docs/api.md; read {@link #route} beside it.
 *
 * <p>An error is a page {@code {"error": "one line per problem"}} whose status is 400 for a request
 * that is wrong, 404 for something that does not exist, 405 for a method that a path does not know,
 * 409 for a conflict, 503 when the daemon is stopping, and 500 for a fault of the daemon itself,
 * which is also logged.
 *
 * <p>Thread: any; holds no state.
 */
final class ApiRoutes implements Routes {
    static final String JSON = "application/json";
    static final String JSON_LINES = "application/x-ndjson";

    private static final Logger LOG = LoggerFactory.getLogger(ApiRoutes.class);

    /** As in hubble observe. */
    private static final int FLOWS_LAST_DEFAULT = 20;

    private static final int TRACE_COUNT_DEFAULT = 10;
    private static final int TRACE_TIMEOUT_SECONDS_DEFAULT = 60;

    private final ControlPlane control;

    ApiRoutes(final ControlPlane control) {
        this.control = control;
    }

    @Override
    public ApiReply answer(final ApiRequest request) {
        try {
            return route(request);
        } catch (final RequestException e) {
            final int status =
                    switch (e.reason()) {
                        case INVALID -> 400;
                        case NOT_FOUND -> 404;
                        case CONFLICT -> 409;
                        case UNAVAILABLE -> 503;
                    };
            return error(status, String.join("\n", e.problems()));
        } catch (final RuntimeException e) {
            // A client must get an answer whatever is wrong with us; the log has the rest.
            LOG.error("API: {} {} failed", request.method(), request.segments(), e);
            return error(500, "internal error: " + e);
        }
    }

    private ApiReply route(final ApiRequest request) {
        final List<String> path = request.segments();
        if (path.size() < 2 || !path.getFirst().equals("v1")) {
            return notFound(path);
        }
        final List<String> rest = path.subList(2, path.size());
        return switch (path.get(1)) {
            case "endpoints" -> endpoints(request, rest);
            case "objects" -> objects(request, rest);
            case "policy" -> policy(request, rest);
            case "changes" -> rest.isEmpty() ? changes(request) : notFound(path);
            case "flows" -> rest.isEmpty() ? flows(request) : notFound(path);
            case "trace" -> rest.isEmpty() ? trace(request) : notFound(path);
            case "metrics" ->
                    rest.isEmpty()
                            ? get(request, PrometheusText.CONTENT_TYPE, this::metrics)
                            : notFound(path);
            case "status" -> listing(request, rest, control::status);
            case "identities" -> listing(request, rest, control::identities);
            case "ipcache" -> listing(request, rest, control::ipcache);
            case "conntrack" -> rest.isEmpty() ? conntrack(request) : notFound(path);
            case "fqdn" -> names(request, rest);
            case "drops" -> listing(request, rest, control::drops);
            case "counters" -> listing(request, rest, control::counters);
            default -> notFound(path);
        };
    }

    private interface Answer<T> {
        T get();
    }

    private ApiReply listing(
            final ApiRequest request, final List<String> rest, final Answer<?> answer) {
        return rest.isEmpty()
                ? get(request, JSON, () -> ApiJson.write(answer.get()))
                : notFound(request.segments());
    }

    private static ApiReply get(
            final ApiRequest request, final String contentType, final Answer<String> answer) {
        if (!request.method().equals("GET")) {
            return wrongMethod(request, "GET");
        }
        request.accept(Set.of());
        return new ApiReply.Page(200, contentType, answer.get());
    }

    private ApiReply conntrack(final ApiRequest request) {
        if (!request.method().equals("GET")) {
            return wrongMethod(request, "GET");
        }
        request.accept(Set.of());
        return new ApiReply.Lines(ListStream.array(control.conntrack().iterator()));
    }

    private String metrics() {
        return PrometheusText.of(control.counters());
    }

    // Names: GET and DELETE /v1/fqdn, GET /v1/fqdn/selectors

    private ApiReply names(final ApiRequest request, final List<String> rest) {
        if (rest.equals(List.of("selectors"))) {
            return get(request, JSON, () -> ApiJson.write(control.nameSelectors()));
        }
        if (!rest.isEmpty()) {
            return notFound(request.segments());
        }
        return switch (request.method()) {
            case "GET" -> get(request, JSON, () -> ApiJson.write(control.names()));
            case "DELETE" -> {
                request.accept(Set.of("endpoint", "pattern"));
                yield page(
                        Map.of(
                                "forgotten",
                                control.forgetNames(
                                        request.parameter("endpoint", ""),
                                        request.parameter("pattern", "*"))));
            }
            default -> wrongMethod(request, "GET or DELETE");
        };
    }

    // Endpoints: /v1/endpoints, /v1/endpoints/NUMBER, /v1/endpoints/NAME, .../NAMESPACE/NAME

    private ApiReply endpoints(final ApiRequest request, final List<String> rest) {
        request.accept(Set.of());
        if (rest.isEmpty()) {
            return switch (request.method()) {
                case "GET" -> page(control.endpoints());
                case "POST" -> page(control.addEndpoint(endpointRequest(request.body())));
                default -> wrongMethod(request, "GET or POST");
            };
        }
        if (rest.size() > 2) {
            return notFound(request.segments());
        }
        final String ref = String.join("/", rest);
        return switch (request.method()) {
            case "GET" -> page(control.endpoint(ref));
            case "DELETE" -> {
                control.deleteEndpoint(ref);
                yield page(Map.of("deleted", ref));
            }
            default -> wrongMethod(request, "GET or DELETE");
        };
    }

    private static EndpointRequest endpointRequest(final String body) {
        final JsonNode json =
                ApiJson.object(
                        ApiJson.read(body),
                        "",
                        Set.of(
                                "namespace",
                                "name",
                                "networkNamespace",
                                "pid",
                                "addresses",
                                "labels",
                                "device",
                                "mtu",
                                "port"));
        final Map<String, String> labels = new LinkedHashMap<>();
        final JsonNode given = json.path("labels");
        if (!given.isMissingNode() && !given.isObject()) {
            throw ApiRequest.invalid("labels: " + given + ": an object of strings");
        }
        for (final Map.Entry<String, JsonNode> label : given.properties()) {
            labels.put(label.getKey(), ApiJson.text(given, label.getKey(), ""));
        }
        return new EndpointRequest(
                ApiJson.text(json, "namespace", ""),
                ApiJson.text(json, "name", ""),
                ApiJson.text(json, "networkNamespace", ""),
                ApiJson.number(json, "pid", 0, Integer.MAX_VALUE),
                ApiJson.texts(json, "addresses"),
                labels,
                ApiJson.text(json, "device", ""),
                ApiJson.number(json, "mtu", 0, 65535),
                ApiJson.text(json, "port", ""));
    }

    // Objects: GET, POST, DELETE /v1/objects; POST /v1/objects/delete with a manifest

    private ApiReply objects(final ApiRequest request, final List<String> rest) {
        if (rest.equals(List.of("delete"))) {
            if (!request.method().equals("POST")) {
                return wrongMethod(request, "POST");
            }
            request.accept(Set.of("source", "dryRun"));
            return page(change(request, new ChangeRequest.Delete(List.of(manifest(request)))));
        }
        if (!rest.isEmpty()) {
            return notFound(request.segments());
        }
        return switch (request.method()) {
            case "GET" -> {
                request.accept(Set.of("kind", "namespace", "name"));
                yield page(find(request));
            }
            case "POST" -> {
                request.accept(Set.of("source", "dryRun"));
                yield page(change(request, new ChangeRequest.Apply(List.of(manifest(request)))));
            }
            case "DELETE" -> {
                request.accept(Set.of("kind", "namespace", "name", "dryRun"));
                yield page(
                        change(
                                        request,
                                        new ChangeRequest.DeleteObject(
                                                required(request, "kind"),
                                                request.parameter("namespace", ""),
                                                required(request, "name")))
                                .getFirst());
            }
            default -> wrongMethod(request, "GET, POST or DELETE");
        };
    }

    private List<ObjectReport> find(final ApiRequest request) {
        final String namespace = request.parameter("namespace", "");
        final Set<String> names = new HashSet<>(request.all("name"));
        final List<ObjectReport> found = new ArrayList<>();
        for (final ObjectReport object : control.objects(request.all("kind"))) {
            // A cluster-wide object has no namespace that could differ.
            final boolean inNamespace =
                    namespace.isEmpty()
                            || object.namespace().isEmpty()
                            || object.namespace().equals(namespace);
            if (inNamespace && (names.isEmpty() || names.contains(object.name()))) {
                found.add(object);
            }
        }
        return found;
    }

    private List<ObjectChange> change(final ApiRequest request, final ChangeRequest.What what) {
        return control.change(
                        new ChangeRequest(
                                what,
                                mode(request),
                                CutMode.TELL,
                                Optional.empty(),
                                request.user()))
                .changes();
    }

    private static Manifest manifest(final ApiRequest request) {
        return new Manifest(request.parameter("source", "-"), request.body());
    }

    private static ChangeMode mode(final ApiRequest request) {
        return request.flag("dryRun") ? ChangeMode.DRY_RUN : ChangeMode.CHANGE;
    }

    private static String required(final ApiRequest request, final String name) {
        final String value = request.parameter(name, "");
        if (value.isEmpty()) {
            throw ApiRequest.invalid("parameter " + name + ": missing");
        }
        return value;
    }

    // Changes: POST /v1/changes

    private ApiReply changes(final ApiRequest request) {
        if (!request.method().equals("POST")) {
            return wrongMethod(request, "POST");
        }
        request.accept(Set.of());
        return page(control.change(ChangeJson.read(request.body(), request.user())));
    }

    // History: GET /v1/policy/history, GET /v1/policy/history/NUMBER

    private ApiReply history(final ApiRequest request, final List<String> rest) {
        if (rest.size() == 1) {
            return get(request, JSON, () -> ApiJson.write(control.revisions()));
        }
        if (rest.size() == 2 && rest.getLast().matches("[0-9]{1,9}")) {
            final int revision = Integer.parseInt(rest.getLast());
            return get(request, JSON, () -> ApiJson.write(control.revision(revision)));
        }
        return notFound(request.segments());
    }

    // Confirmation: GET (follow=true waits for the decision) and POST /v1/policy/confirmation

    private ApiReply confirmation(final ApiRequest request) {
        return switch (request.method()) {
            case "GET" -> {
                request.accept(Set.of("follow"));
                yield request.flag("follow")
                        ? new ApiReply.Lines(new ConfirmationLines(control))
                        : page(control.confirmation());
            }
            case "POST" -> {
                request.accept(Set.of());
                yield page(control.confirm());
            }
            default -> wrongMethod(request, "GET or POST");
        };
    }

    // Policy: POST /v1/policy/eval with probe lines, GET /v1/policy/matrix

    private ApiReply policy(final ApiRequest request, final List<String> rest) {
        if (rest.equals(List.of("requests"))) {
            return get(request, JSON, () -> ApiJson.write(control.requests()));
        }
        if (!rest.isEmpty() && rest.getFirst().equals("history")) {
            return history(request, rest);
        }
        if (rest.equals(List.of("confirmation"))) {
            return confirmation(request);
        }
        final PolicySnapshot policy = control.policy();
        if (rest.equals(List.of("eval"))) {
            if (!request.method().equals("POST")) {
                return wrongMethod(request, "POST");
            }
            request.accept(Set.of("explain"));
            final ProbeJson.Answers answers =
                    ProbeJson.answerAll(
                            request.body(),
                            policy.evaluator(),
                            request.flag("explain")
                                    ? ProbeJson.Detail.EXPLAINED
                                    : ProbeJson.Detail.VERDICT);
            return new ApiReply.Page(200, JSON_LINES, answers.lines());
        }
        if (rest.equals(List.of("matrix"))) {
            if (!request.method().equals("GET")) {
                return wrongMethod(request, "GET");
            }
            request.accept(Set.of("protocol", "port"));
            final String protocol = request.parameter("protocol", "TCP");
            final String port = request.parameter("port", "");
            try {
                return page(
                        MatrixJson.of(
                                ReachabilityMatrix.of(
                                        policy.world(), policy.evaluator(), protocol, port),
                                protocol,
                                port));
            } catch (final ProbeException e) {
                throw ApiRequest.invalid(String.valueOf(e.getMessage()));
            }
        }
        return notFound(request.segments());
    }

    // Flows

    private ApiReply flows(final ApiRequest request) {
        if (!request.method().equals("GET")) {
            return wrongMethod(request, "GET");
        }
        final Set<String> accepted = new HashSet<>(FlowFilter.parameters());
        accepted.add("follow");
        request.accept(accepted);
        final boolean follow = request.flag("follow");
        final FlowQuery query =
                FlowFilter.query(request.parameters(), follow ? 0 : FLOWS_LAST_DEFAULT);
        return new ApiReply.Lines(
                follow
                        ? new FlowLines(
                                control.follow(query),
                                control.status().nodeName(),
                                Clock.systemUTC())
                        : new FlowPages(control.flows(query)));
    }

    // Traces

    private ApiReply trace(final ApiRequest request) {
        if (!request.method().equals("GET")) {
            return wrongMethod(request, "GET");
        }
        request.accept(Set.of("match", "count", "timeout"));
        return new ApiReply.Lines(
                new TraceLines(
                        control.trace(
                                new TraceQuery(
                                        request.parameter("match", ""),
                                        request.number("count", TRACE_COUNT_DEFAULT),
                                        Duration.ofSeconds(
                                                request.number(
                                                        "timeout",
                                                        TRACE_TIMEOUT_SECONDS_DEFAULT))))));
    }

    // Answers

    private static ApiReply page(final Object value) {
        return new ApiReply.Page(200, JSON, ApiJson.write(value));
    }

    static ApiReply.Page error(final int status, final String message) {
        return new ApiReply.Page(status, JSON, ApiJson.write(Map.of("error", message)));
    }

    private static ApiReply notFound(final List<String> path) {
        return error(404, "/" + String.join("/", path) + ": no such path: see docs/api.md");
    }

    private static ApiReply wrongMethod(final ApiRequest request, final String accepted) {
        return error(
                405,
                "/"
                        + String.join("/", request.segments())
                        + ": method "
                        + request.method()
                        + ": accepted is "
                        + accepted);
    }
}
