package io.sluice.l7proxy.rule;

import java.util.List;

/**
 * What rules may ask of a Kafka request.
 *
 * @param apiKey number of the API, see {@link KafkaApi}
 * @param apiVersion version of the API
 * @param clientId empty if the request has none
 * @param topics topics that it names; {@link #EVERY_TOPIC} where it means all (Metadata with a null
 *     list), empty where it names none or its kind has no topics
 */
public record KafkaRequest(int apiKey, int apiVersion, String clientId, List<String> topics) {
    /** Not a legal name of a topic, so no rule that names one covers it. */
    public static final String EVERY_TOPIC = "*";

    public KafkaRequest {
        topics = List.copyOf(topics);
    }
}
