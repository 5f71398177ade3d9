package io.sluice.l7proxy;

import io.sluice.l7proxy.rule.HttpOutcome.LoggedHeader;
import java.util.List;

/**
 * One request that was judged, or the answer to it. Immutable.
 *
 * @param flow the connection
 * @param type request or answer
 * @param verdict what became of the request
 * @param revision of the rules that judged it; 0 if it was not judged
 * @param by policy and rule that decided, both sides' if both did; the fault of an ERROR
 * @param detail what was asked and answered
 */
public record L7Event(
        Flow flow, Type type, Verdict verdict, long revision, String by, Detail detail) {
    /** Which half of an exchange. */
    public enum Type {
        REQUEST,
        ANSWER
    }

    /** What became of a request. */
    public enum Verdict {
        FORWARDED,
        /** Answered by the proxy in the server's place. */
        DENIED,
        /** Denied by rules that are only audited: it went on. */
        AUDITED,
        /** Malformed, or the server could not be reached or understood. */
        ERROR
    }

    /** What is particular to a protocol. */
    public sealed interface Detail {}

    /**
     * HTTP.
     *
     * @param protocol such as {@code HTTP/1.1}
     * @param method as sent; empty if it could not be read
     * @param url {@code http://host/path?query} as sent; empty if it could not be read
     * @param status of the answer; 0 for a request, and if there was no answer
     * @param grpcStatus {@code grpc-status} of the answer; {@link #NO_GRPC} without one
     * @param latencyNs from the end of the request's head to the end of the answer's, for gRPC to
     *     its status; in nanoseconds; 0 for a request
     * @param missing headers that were not as rules expect
     * @param rejected headers that rules do not want
     */
    public record Http(
            String protocol,
            String method,
            String url,
            int status,
            int grpcStatus,
            long latencyNs,
            List<LoggedHeader> missing,
            List<LoggedHeader> rejected)
            implements Detail {
        /** In place of a {@code grpc-status}. */
        public static final int NO_GRPC = -1;
    }

    /**
     * The start of a TLS handshake.
     *
     * @param serverName empty if the client sent none
     * @param isOuterName an encrypted ClientHello came with it: the name may not be the real one
     */
    public record Tls(String serverName, boolean isOuterName) implements Detail {}

    /**
     * Kafka.
     *
     * @param apiKey number of the API
     * @param apiVersion version of the API
     * @param correlationId the client's number for the request
     * @param clientId at most 256 characters of it; empty if the client says none
     * @param topics that the request names, at most 32; ids where the name is not known; {@code *}
     *     where it is about all, or could not be read
     * @param errorCode of the proxy's own answer; 0 for a request, and for a server's answer, which
     *     is not read
     * @param latencyNs from the request's judgement to the start of the answer, in nanoseconds; 0
     *     for a request
     */
    public record Kafka(
            int apiKey,
            int apiVersion,
            int correlationId,
            String clientId,
            List<String> topics,
            int errorCode,
            long latencyNs)
            implements Detail {}
}
