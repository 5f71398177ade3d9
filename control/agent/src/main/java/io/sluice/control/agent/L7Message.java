package io.sluice.control.agent;

import java.util.List;

/**
 * A request or an answer as a proxy read it: Hubble's {@code Layer7} (flow.proto).
 *
 * @param isRequest false for an answer
 * @param latencyNs from the request to its answer, in nanoseconds; 0 for a request
 * @param content what is particular to the protocol
 */
public record L7Message(boolean isRequest, long latencyNs, Content content) {
    /** What is particular to a protocol. */
    public sealed interface Content {}

    /**
     * HTTP.
     *
     * @param protocol such as {@code HTTP/1.1}
     * @param method as sent
     * @param url with scheme and host
     * @param code status of the answer, 0 for a request
     * @param headers those that rules asked for and that were not so
     */
    public record Http(String protocol, String method, String url, int code, List<Header> headers)
            implements Content {}

    /**
     * A header.
     *
     * @param key its name
     * @param value as sent, or as it should have been
     */
    public record Header(String key, String value) {}

    /**
     * Kafka.
     *
     * @param errorCode of an answer that the proxy gave; 0 for others
     * @param apiVersion version of the API
     * @param apiKey name of the API, or its number
     * @param correlationId the client's number for the request
     * @param topic that the request names; several with commas between, {@code *} for every topic
     */
    public record Kafka(
            int errorCode, int apiVersion, String apiKey, int correlationId, String topic)
            implements Content {}

    /**
     * DNS.
     *
     * @param query name asked for, lower case, with the final dot
     * @param type record type asked for: {@code A}
     * @param rcode of an answer, 0 to 15; 0 for a query
     * @param addresses of an answer
     * @param aliases names that the answer's chain goes through
     * @param ttlSeconds the least of the answer, 0 without addresses
     */
    public record Dns(
            String query,
            String type,
            int rcode,
            List<String> addresses,
            List<String> aliases,
            int ttlSeconds)
            implements Content {}

    /**
     * The start of a TLS handshake, whose content nobody read.
     *
     * @param serverName empty if the client sent none
     */
    public record Tls(String serverName) implements Content {}
}
