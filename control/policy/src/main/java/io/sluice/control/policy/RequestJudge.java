package io.sluice.control.policy;

import io.sluice.control.policy.Evaluation.RequestAnswer;
import io.sluice.control.policy.PolicyEntry.Redirect;
import io.sluice.l7proxy.rule.HttpRequest;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.KafkaApi;
import io.sluice.l7proxy.rule.KafkaRequest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

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
        final Optional<Boolean> allowed = allows(rules);
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

    /** Whether the rules let the request pass; empty if it is none that they read. */
    private Optional<Boolean> allows(final L7Rules rules) {
        return passes(rules).map(passes -> passes && rules.tls().isUsable());
    }

    private Optional<Boolean> passes(final L7Rules rules) {
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

    /**
     * What the request lacks to pass by these rules: of several rules of a list the closest one's
     * conditions. Empty if it passes, and if the probe has no request that they read.
     */
    List<UnmetCondition> unmet(final L7Rules rules) {
        if (allows(rules).orElse(true)) {
            return List.of();
        }
        final List<String> unmet = new ArrayList<>();
        if (fields.containsKey("sni") && !rules.allowsServerName(fields.getOrDefault("sni", ""))) {
            unmet.add(
                    "server name " + fields.get("sni") + " is not " + orList(rules.serverNames()));
        }
        switch (rules.parser()) {
            case HTTP -> {
                if (has("http.") && !rules.allows(httpRequest())) {
                    final HttpRequest request = httpRequest();
                    unmet.addAll(
                            closest(
                                    Stream.concat(
                                                    rules.http().stream()
                                                            .map(
                                                                    rule ->
                                                                            rule.unmet(
                                                                                    request,
                                                                                    HttpRule
                                                                                            .NO_SECRETS)),
                                                    rules.calicoHttp().stream()
                                                            .map(rule -> rule.unmet(request)))
                                            .toList()));
                }
            }
            case KAFKA -> {
                final KafkaRequest request = kafkaRequest();
                unmet.addAll(
                        closest(rules.kafka().stream().map(rule -> rule.unmet(request)).toList()));
            }
            case DNS -> unmet.add("name " + fields.get("dns") + " is not " + orList(rules.dns()));
            case TLS, CUSTOM -> {}
        }
        if (!rules.tls().isUsable()) {
            unmet.add("the TLS contexts of the rule cannot be used");
        }
        if (unmet.isEmpty()) {
            unmet.add("the request is none that the rule lets pass");
        }
        return unmet.stream()
                .map(text -> UnmetCondition.of(UnmetCondition.Kind.REQUEST, text))
                .toList();
    }

    private static List<String> closest(final List<List<String>> alternatives) {
        return alternatives.stream().min(Comparator.comparingInt(List::size)).orElse(List.of());
    }

    private static String orList(final List<?> patterns) {
        return String.join(" or ", patterns.stream().map(Object::toString).toList());
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
