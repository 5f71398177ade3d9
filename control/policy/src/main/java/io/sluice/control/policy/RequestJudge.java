package io.sluice.control.policy;

import io.sluice.control.policy.Evaluation.RequestAnswer;
import io.sluice.control.policy.PolicyEntry.Redirect;
import io.sluice.l7proxy.rule.HttpRequest;
import io.sluice.l7proxy.rule.KafkaApi;
import io.sluice.l7proxy.rule.KafkaRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * The request of a probe, asked of the rules of redirects as a proxy would ask it. Thread: any; one
 * per probe.
 */
final class RequestJudge {
    private static final String HEADER = "http.headers.";
    private static final int KAFKA_VERSION_UNKNOWN = 0;
    private static final int KAFKA_API_UNKNOWN = -1;

    private final Map<String, String> fields;

    RequestJudge(final Map<String, String> fields) {
        this.fields = fields;
    }

    /** What becomes of the request; empty if the entry asks no proxy, or the probe has none. */
    Optional<RequestAnswer> judge(final PolicyEntry entry) {
        return entry.redirect().flatMap(redirect -> judge(redirect, entry.by()));
    }

    private Optional<RequestAnswer> judge(final Redirect redirect, final Author by) {
        final L7Rules rules = redirect.rules();
        final Optional<Boolean> allowed =
                allows(rules).map(passes -> passes && rules.tls().isUsable());
        if (allowed.isEmpty()) {
            return Optional.empty();
        }
        if (allowed.get()) {
            return Optional.of(new RequestAnswer(true, "", by));
        }
        final PolicyEntry otherwise = redirect.otherwise();
        return switch (otherwise.verdict()) {
            case ALLOW -> Optional.of(new RequestAnswer(true, "", otherwise.by()));
            case DENY -> Optional.of(new RequestAnswer(false, refusal(rules), otherwise.by()));
            case REDIRECT -> judge(otherwise);
        };
    }

    private Optional<Boolean> allows(final L7Rules rules) {
        final boolean named =
                !fields.containsKey("sni")
                        || rules.allowsServerName(fields.getOrDefault("sni", ""));
        return switch (rules.parser()) {
            case HTTP ->
                    has("http.")
                            ? Optional.of(named && rules.allows(httpRequest()))
                            : fields.containsKey("sni") && !rules.serverNames().isEmpty()
                                    ? Optional.of(named)
                                    : Optional.empty();
            case KAFKA ->
                    has("kafka.") ? Optional.of(rules.allows(kafkaRequest())) : Optional.empty();
            case DNS -> Optional.ofNullable(fields.get("dns")).map(rules::allowsName);
            case TLS -> fields.containsKey("sni") ? Optional.of(named) : Optional.empty();
            // Whoever reads it is not ours: no request is known to pass.
            case CUSTOM -> Optional.empty();
        };
    }

    private boolean has(final String prefix) {
        return fields.keySet().stream().anyMatch(field -> field.startsWith(prefix));
    }

    private HttpRequest httpRequest() {
        final List<String> headers = new ArrayList<>();
        fields.forEach(
                (field, value) -> {
                    if (field.startsWith(HEADER)) {
                        headers.add(field.substring(HEADER.length()));
                        headers.add(value);
                    }
                });
        return HttpRequest.of(
                fields.getOrDefault("http.method", "GET"),
                fields.getOrDefault("http.host", ""),
                fields.getOrDefault("http.path", "/"),
                headers.toArray(new String[0]));
    }

    private KafkaRequest kafkaRequest() {
        final String topic = fields.getOrDefault("kafka.topic", "");
        return new KafkaRequest(
                KafkaApi.byName(fields.getOrDefault("kafka.api", "produce"))
                        .orElse(KAFKA_API_UNKNOWN),
                KAFKA_VERSION_UNKNOWN,
                fields.getOrDefault("kafka.clientId", ""),
                topics(topic));
    }

    /** Several with commas between, which no topic's name has in it, and {@code *} for no list. */
    private static List<String> topics(final String text) {
        return text.isEmpty() || text.equals("*") ? List.of() : List.of(text.split(",", -1));
    }

    private String refusal(final L7Rules rules) {
        return switch (rules.parser()) {
            case HTTP ->
                    fields.entrySet().stream()
                                    .anyMatch(
                                            field ->
                                                    field.getKey()
                                                                    .toLowerCase(Locale.ROOT)
                                                                    .equals(HEADER + "content-type")
                                                            && field.getValue()
                                                                    .startsWith("application/grpc"))
                            ? "gRPC status 7"
                            : "HTTP 403";
            case KAFKA -> "TOPIC_AUTHORIZATION_FAILED";
            case DNS -> "REFUSED";
            case TLS -> "TLS closed";
            case CUSTOM -> "refused";
        };
    }
}
