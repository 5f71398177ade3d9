package io.sluice.l7proxy.kafka;

import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.kafka.KafkaJudge.Judgement;
import io.sluice.l7proxy.kafka.ReadRequest.Denial;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A request that was judged, until its answer. Thread: the link's event loop. */
final class KafkaExchange {
    private static final int CLIENT_ID_REPORTED = 256;
    private static final int TOPICS_REPORTED = 32;

    /** Who answers. */
    enum Answer {
        /** The server. */
        SERVER,
        /** The server, unless the request asks for none, which is not known. */
        SERVER_PERHAPS,
        /** The proxy: {@link #denial}. */
        PROXY,
        /** Nobody: the connection ends in its turn. */
        CLOSE
    }

    private final int apiKey;
    private final int apiVersion;
    private final int correlationId;
    private final String clientId;
    private final List<String> topics;
    private final long startNs;
    private final long revision;
    private final Judgement judgement;
    private Answer answer = Answer.SERVER;
    private @Nullable Denial denial;
    private @Nullable TopicsOfRequest sessionTopics;
    private Set<String> deniedTopics = Set.of();

    KafkaExchange(
            final RequestHead head,
            final TopicsOfRequest topics,
            final long revision,
            final Judgement judgement,
            final long nowNs) {
        this.apiKey = head.apiKey();
        this.apiVersion = head.apiVersion();
        this.correlationId = head.correlationId();
        final String id = head.clientId();
        this.clientId = id.substring(0, Math.min(id.length(), CLIENT_ID_REPORTED));
        this.topics = topics.forReport(TOPICS_REPORTED);
        this.revision = revision;
        this.judgement = judgement;
        this.startNs = nowNs;
    }

    int apiKey() {
        return apiKey;
    }

    int apiVersion() {
        return apiVersion;
    }

    int correlationId() {
        return correlationId;
    }

    Answer answer() {
        return answer;
    }

    /** Set if {@link Answer#PROXY}. */
    @Nullable Denial denial() {
        return denial;
    }

    void answerBy(final Answer who) {
        answer = who;
    }

    void answerWith(final Denial own) {
        answer = Answer.PROXY;
        denial = own;
    }

    /** The answer may say the number of a Fetch session that has these topics. */
    void beginsSession(final TopicsOfRequest all) {
        sessionTopics = all;
    }

    /** Null if the answer is about no session. */
    @Nullable TopicsOfRequest sessionTopics() {
        return sessionTopics;
    }

    /** The server was asked without these; its answer says so to the client. */
    void lacks(final Set<String> denied) {
        deniedTopics = denied;
    }

    /** Topics that the server's answer has to get; empty for most. */
    Set<String> deniedTopics() {
        return deniedTopics;
    }

    L7Event requestEvent(final Flow flow) {
        return event(flow, L7Event.Type.REQUEST, 0, 0);
    }

    L7Event answerEvent(final Flow flow, final int errorCode, final long nowNs) {
        return event(flow, L7Event.Type.ANSWER, errorCode, nowNs - startNs);
    }

    private L7Event event(
            final Flow flow, final L7Event.Type type, final int errorCode, final long latencyNs) {
        return new L7Event(
                flow,
                type,
                judgement.verdict(),
                revision,
                judgement.by(),
                new L7Event.Kafka(
                        apiKey, apiVersion, correlationId, clientId, topics, errorCode, latencyNs));
    }
}
