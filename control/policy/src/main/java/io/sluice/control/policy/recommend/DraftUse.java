package io.sluice.control.policy.recommend;

import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeSet;

/** What was seen of one port of one peer. Thread: the recommender's. */
final class DraftUse {
    private long flows;
    private final NavigableSet<String> names = new TreeSet<>();
    private final HttpUse http = new HttpUse();
    private final NavigableSet<KafkaUse> kafka = new TreeSet<>();
    private final NavigableSet<String> serverNames = new TreeSet<>();
    private final NavigableSet<String> queries = new TreeSet<>();

    /** A Kafka request: its API, and the topic it names. */
    record KafkaUse(String api, String topic) implements Comparable<KafkaUse> {
        @Override
        public int compareTo(final KafkaUse other) {
            final int order = api.compareTo(other.api);
            return order == 0 ? topic.compareTo(other.topic) : order;
        }
    }

    void addFlows(final long times) {
        flows += times;
    }

    void addNames(final Iterable<String> learned) {
        learned.forEach(names::add);
    }

    /** A request, in the fields of a probe. */
    void addRequest(final Map<String, String> request) {
        if (request.containsKey("dns")) {
            queries.add(request.getOrDefault("dns", ""));
        } else if (request.containsKey("kafka.api")) {
            final String api = request.getOrDefault("kafka.api", "");
            for (final String topic : request.getOrDefault("kafka.topic", "").split(",", -1)) {
                kafka.add(new KafkaUse(api, topic.equals("*") ? "" : topic));
            }
        } else if (request.containsKey("sni")) {
            serverNames.add(request.getOrDefault("sni", ""));
        } else {
            http.add(
                    request.getOrDefault("http.method", "GET"),
                    request.getOrDefault("http.path", "/"));
        }
    }

    /** What another port, or another peer, was used for as well. */
    void addAll(final DraftUse other) {
        flows += other.flows;
        names.addAll(other.names);
        http.addAll(other.http);
        kafka.addAll(other.kafka);
        serverNames.addAll(other.serverNames);
        queries.addAll(other.queries);
    }

    /** Connections. */
    long flows() {
        return flows;
    }

    /** Names that the peer's address was learned from. */
    NavigableSet<String> names() {
        return names;
    }

    HttpUse http() {
        return http;
    }

    NavigableSet<KafkaUse> kafka() {
        return kafka;
    }

    /** Names that TLS clients asked for; empty for one that named none. */
    NavigableSet<String> serverNames() {
        return serverNames;
    }

    /** Names that were asked for. */
    NavigableSet<String> queries() {
        return queries;
    }

    /** Protocols of the requests that were read. */
    int parsers() {
        return (http.isEmpty() ? 0 : 1)
                + (kafka.isEmpty() ? 0 : 1)
                + (serverNames.isEmpty() ? 0 : 1)
                + (queries.isEmpty() ? 0 : 1);
    }
}
