package io.sluice.l7proxy.rule;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeSet;

/**
 * One item of Cilium's {@code rules.kafka}: everything that is given must hold, {@code {}} lets
 * every request pass.
 *
 * <p>Several rules: each topic that a request names must be covered by some rule that also fits the
 * rest of the request. A request that names no topic needs one rule that fits the rest.
 *
 * <p>Kept as it was up to Cilium 1.19, the last that had it.
 *
 * @param role {@code role}
 * @param apiKey {@code apiKey}, as number; empty if not written; never beside a role
 * @param apiVersion {@code apiVersion}; empty if not written
 * @param clientId client that asks; empty if not written
 * @param topic {@code topic}; empty if not written
 */
public record KafkaRule(
        Role role,
        Optional<Integer> apiKey,
        Optional<Integer> apiVersion,
        String clientId,
        String topic) {
    /** Characters of a topic's name: Cilium's limit; Kafka's own is 249. */
    private static final int TOPIC_LENGTH_MAX = 255;

    /** API keys and versions are signed 16-bit numbers on the wire. */
    private static final int INT16_MAX = 32_767;

    /** APIs by what a client is there for. */
    public enum Role {
        NONE,
        /** Produce, Metadata, ApiVersions. */
        PRODUCE(0, 3, 18),
        /** Fetch, ListOffsets, Metadata, those of offsets and groups, ApiVersions. */
        CONSUME(1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 18);

        /** One bit per API key; all are below 64. */
        private final long apiKeys;

        Role(final int... apiKeys) {
            long bits = 0;
            for (final int key : apiKeys) {
                bits |= 1L << key;
            }
            this.apiKeys = bits;
        }

        boolean includes(final int apiKey) {
            return apiKey >= 0 && apiKey < Long.SIZE && (apiKeys >> apiKey & 1) != 0;
        }
    }

    public KafkaRule {
        if (role != Role.NONE && apiKey.isPresent()) {
            throw new RuleSyntaxException("", "Cannot set both Role and APIKey together");
        }
        checkTopic(topic);
    }

    /**
     * Compiles a rule; what is not written is empty.
     *
     * @param role produce or consume, in any case
     * @param apiKey name in any case, or number
     * @param apiVersion number
     * @throws RuleSyntaxException with the field, what is wrong and what is accepted
     */
    public static KafkaRule compile(
            final String role,
            final String apiKey,
            final String apiVersion,
            final String clientId,
            final String topic) {
        return new KafkaRule(
                parseRole(role),
                apiKey.isEmpty() ? Optional.empty() : Optional.of(parseApiKey(apiKey)),
                apiVersion.isEmpty()
                        ? Optional.empty()
                        : Optional.of(
                                int16(apiVersion)
                                        .orElseThrow(
                                                () ->
                                                        new RuleSyntaxException(
                                                                "apiVersion",
                                                                "\""
                                                                        + apiVersion
                                                                        + "\": accepted: 0 to "
                                                                        + INT16_MAX))),
                clientId,
                topic);
    }

    private static Role parseRole(final String role) {
        return switch (role.toLowerCase(Locale.ROOT)) {
            case "" -> Role.NONE;
            case "produce" -> Role.PRODUCE;
            case "consume" -> Role.CONSUME;
            default ->
                    throw new RuleSyntaxException(
                            "role", "\"" + role + "\": accepted: produce, consume");
        };
    }

    private static int parseApiKey(final String text) {
        return int16(text)
                .or(() -> KafkaApi.byName(text))
                .orElseThrow(
                        () ->
                                new RuleSyntaxException(
                                        "apiKey",
                                        "\""
                                                + text
                                                + "\": accepted: 0 to "
                                                + INT16_MAX
                                                + ", "
                                                + String.join(
                                                        ", ", new TreeSet<>(KafkaApi.names()))));
    }

    private static Optional<Integer> int16(final String text) {
        boolean digits = !text.isEmpty() && text.length() <= 5;
        for (int i = 0; i < text.length(); i++) {
            digits &= text.charAt(i) >= '0' && text.charAt(i) <= '9';
        }
        return digits && Integer.parseInt(text) <= INT16_MAX
                ? Optional.of(Integer.parseInt(text))
                : Optional.empty();
    }

    private static void checkTopic(final String topic) {
        boolean legal = topic.length() <= TOPIC_LENGTH_MAX;
        for (int i = 0; i < topic.length() && legal; i++) {
            final char c = topic.charAt(i);
            legal =
                    (c >= 'a' && c <= 'z')
                            || (c >= 'A' && c <= 'Z')
                            || (c >= '0' && c <= '9')
                            || c == '.'
                            || c == '_'
                            || c == '-';
        }
        if (!legal) {
            throw new RuleSyntaxException(
                    "topic",
                    "\""
                            + topic.substring(0, Math.min(topic.length(), TOPIC_LENGTH_MAX))
                            + "\": accepted: at most "
                            + TOPIC_LENGTH_MAX
                            + " of the characters a-z, A-Z, 0-9, '.', '_', '-'");
        }
    }

    /** Whether it lets every request pass. */
    public boolean matchesEverything() {
        return role == Role.NONE
                && apiKey.isEmpty()
                && apiVersion.isEmpty()
                && clientId.isEmpty()
                && topic.isEmpty();
    }

    /** Whether the rules together let the request pass. */
    public static boolean allow(final List<KafkaRule> rules, final KafkaRequest request) {
        final List<KafkaRule> fitting = new ArrayList<>();
        for (final KafkaRule rule : rules) {
            if (rule.fits(request)) {
                fitting.add(rule);
            }
        }
        for (final String topic : request.topics()) {
            if (fitting.stream().noneMatch(rule -> rule.covers(topic))) {
                return false;
            }
        }
        return !fitting.isEmpty();
    }

    /**
     * What the request lacks to pass by this rule alone, a phrase each; empty exactly if the rule
     * is about the request and covers all its topics.
     */
    public List<String> unmet(final KafkaRequest request) {
        final List<String> unmet = new ArrayList<>();
        final String api = KafkaApi.name(request.apiKey());
        if (role != Role.NONE && !role.includes(request.apiKey())) {
            unmet.add("api " + api + " is none of role " + role.name().toLowerCase(Locale.ROOT));
        }
        if (apiKey.isPresent() && apiKey.get() != request.apiKey()) {
            unmet.add("api " + api + " is not " + KafkaApi.name(apiKey.get()));
        }
        if (apiVersion.isPresent() && apiVersion.get() != request.apiVersion()) {
            unmet.add("version " + request.apiVersion() + " is not " + apiVersion.get());
        }
        if (!clientId.isEmpty() && !clientId.equals(request.clientId())) {
            unmet.add("client " + request.clientId() + " is not " + clientId);
        }
        for (final String name : request.topics()) {
            if (!covers(name)) {
                unmet.add("topic " + name + " is not " + topic);
            }
        }
        return List.copyOf(unmet);
    }

    private boolean fits(final KafkaRequest request) {
        return (role == Role.NONE || role.includes(request.apiKey()))
                && (apiKey.isEmpty() || apiKey.get() == request.apiKey())
                && (apiVersion.isEmpty() || apiVersion.get() == request.apiVersion())
                && (clientId.isEmpty() || clientId.equals(request.clientId()));
    }

    private boolean covers(final String name) {
        return topic.isEmpty() || topic.equals(name);
    }
}
