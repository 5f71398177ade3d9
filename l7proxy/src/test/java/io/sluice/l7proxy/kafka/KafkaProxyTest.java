package io.sluice.l7proxy.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.Origin;
import io.sluice.l7proxy.ProxyConfig;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.Wire;
import io.sluice.l7proxy.kafka.KafkaWire.Frame;
import io.sluice.l7proxy.rule.KafkaRule;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.FetchRequestData;
import org.apache.kafka.common.message.FetchRequestData.FetchPartition;
import org.apache.kafka.common.message.FetchRequestData.FetchTopic;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.HeartbeatRequestData;
import org.apache.kafka.common.message.HeartbeatResponseData;
import org.apache.kafka.common.message.MetadataRequestData;
import org.apache.kafka.common.message.MetadataRequestData.MetadataRequestTopic;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.message.MetadataResponseData.MetadataResponseTopic;
import org.apache.kafka.common.message.OffsetFetchRequestData;
import org.apache.kafka.common.message.OffsetFetchRequestData.OffsetFetchRequestGroup;
import org.apache.kafka.common.message.OffsetFetchRequestData.OffsetFetchRequestTopics;
import org.apache.kafka.common.message.OffsetFetchResponseData;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.message.ProduceRequestData.PartitionProduceData;
import org.apache.kafka.common.message.ProduceRequestData.TopicProduceData;
import org.apache.kafka.common.message.ProduceResponseData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** Message by message: what passes, in which order, and what is answered in the server's place. */
@ExtendWith(LeakCheck.class)
@Timeout(60)
final class KafkaProxyTest {
    private static final Uuid ID_A = new Uuid(1, 2);
    private static final Uuid ID_B = new Uuid(3, 4);

    private static ProxyHarness proxy(final Origin origin) {
        return proxy(origin, KafkaLimits.DEFAULTS, ProxyHarness.CONFIG);
    }

    private static ProxyHarness proxy(
            final Origin origin, final KafkaLimits limits, final ProxyConfig config) {
        return new ProxyHarness(config, origin.address(), sink -> new KafkaProtocol(limits, sink));
    }

    private static SideRules side(final KafkaRule... rules) {
        return new SideRules(
                false, List.of(RuleStage.ofKafka(List.of(rules), "policy")), false, "nobody");
    }

    private static KafkaRule role(final String role, final String topic) {
        return KafkaRule.compile(role, "", "", "", topic);
    }

    private static final KafkaRule EVERYTHING = KafkaRule.compile("", "", "", "", "");

    private static Frame metadata(final int correlationId, final String... topics) {
        return KafkaWire.request(12, correlationId, metadataOf(topics));
    }

    private static MetadataRequestData metadataOf(final String... topics) {
        return new MetadataRequestData()
                .setTopics(
                        Arrays.stream(topics)
                                .map(topic -> new MetadataRequestTopic().setName(topic))
                                .toList());
    }

    private static Frame metadataAnswer(final Frame request) {
        final MetadataResponseData data = new MetadataResponseData();
        data.topics().add(new MetadataResponseTopic().setName("a").setTopicId(ID_A));
        data.topics().add(new MetadataResponseTopic().setName("b").setTopicId(ID_B));
        return KafkaWire.answer(12, request.correlationId(), data);
    }

    private static Frame produce(
            final int version, final int acks, final int correlationId, final String... topics) {
        final ProduceRequestData data =
                new ProduceRequestData().setAcks((short) acks).setTimeoutMs(1000);
        for (final String topic : topics) {
            data.topicData()
                    .add(
                            new TopicProduceData()
                                    .setName(topic)
                                    .setPartitionData(List.of(records(3, 100), records(5, 2000))));
        }
        return KafkaWire.request(version, correlationId, data);
    }

    private static Frame produce(final int correlationId, final Uuid topic) {
        final ProduceRequestData data = new ProduceRequestData().setAcks((short) 1);
        data.topicData()
                .add(
                        new TopicProduceData()
                                .setTopicId(topic)
                                .setPartitionData(List.of(records(0, 10))));
        return KafkaWire.request(13, correlationId, data);
    }

    /** The proxy does not look at records: any bytes will do. */
    private static PartitionProduceData records(final int partition, final int bytes) {
        return new PartitionProduceData()
                .setIndex(partition)
                .setRecords(MemoryRecords.readableRecords(ByteBuffer.allocate(bytes)));
    }

    private static Frame fetch(
            final int correlationId, final int sessionId, final int epoch, final Uuid... topics) {
        return KafkaWire.request(
                17,
                correlationId,
                new FetchRequestData()
                        .setSessionId(sessionId)
                        .setSessionEpoch(epoch)
                        .setTopics(
                                Arrays.stream(topics)
                                        .map(
                                                topic ->
                                                        new FetchTopic()
                                                                .setTopicId(topic)
                                                                .setPartitions(
                                                                        List.of(
                                                                                new FetchPartition()
                                                                                        .setPartition(
                                                                                                4))))
                                        .toList()));
    }

    private static Frame fetchAnswer(final Frame request, final int sessionId) {
        return KafkaWire.answer(
                17, request.correlationId(), new FetchResponseData().setSessionId(sessionId));
    }

    /** Answers everything but Produce with acks 0, which none of these tests sends it wrongly. */
    private static Optional<Frame> answered(final Frame request) {
        return Optional.of(
                switch (request.api()) {
                    case METADATA -> metadataAnswer(request);
                    case FETCH -> fetchAnswer(request, 7);
                    default -> KafkaWire.emptyAnswer(request.correlationId());
                });
    }

    private static String text(final Frame... frames) {
        final StringBuilder all = new StringBuilder();
        for (final Frame frame : frames) {
            all.append(frame.text());
        }
        return all.toString();
    }

    private static boolean isClosed(final Wire client) throws IOException {
        try {
            return client.socket().getInputStream().read() < 0;
        } catch (final java.net.SocketException reset) {
            return true;
        }
    }

    private static List<Short> produceErrors(final Frame answer, final int version) {
        final ProduceResponseData data =
                (ProduceResponseData) KafkaWire.parse(answer, ApiKeys.PRODUCE, version).data();
        final List<Short> errors = new ArrayList<>();
        data.responses()
                .forEach(
                        topic ->
                                topic.partitionResponses()
                                        .forEach(of -> errors.add(of.errorCode())));
        return errors;
    }

    private static FetchResponseData fetchData(final Frame answer) {
        return (FetchResponseData) KafkaWire.parse(answer, ApiKeys.FETCH, 17).data();
    }

    private static L7Event.Kafka detail(final L7Event event) {
        return (L7Event.Kafka) event.detail();
    }

    @Test
    void bytesOfAllowedRequestsPassUnchangedWhereverTheyAreCut() throws Exception {
        final Frame[] requests = {
            metadata(1, "a"), produce(8, 1, 2, "a", "b"), produce(12, -1, 3, "b", "a"), metadata(4)
        };
        final byte[] all = text(requests).getBytes(Wire.LATIN);
        for (final int piece : new int[] {1, 7, 1000, all.length}) {
            try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                    ProxyHarness proxy = proxy(origin);
                    Wire client = proxy.connect()) {
                proxy.ingress(side(role("", "a"), role("", "b")));
                for (int from = 0; from < all.length; from += piece) {
                    client.socket()
                            .getOutputStream()
                            .write(all, from, Math.min(piece, all.length - from));
                }
                for (int i = 1; i <= requests.length; i++) {
                    assertThat(KafkaWire.read(client).answerTo()).isEqualTo(i);
                }
                assertThat(origin.received()).isEqualTo(text(requests));
            }
        }
    }

    @Test
    void denialsWaitForTheAnswersBeforeThem() throws Exception {
        final CountDownLatch denied = new CountDownLatch(1);
        try (Origin origin =
                        new Origin(
                                (socket, in, out) -> {
                                    final Frame first = KafkaWire.read(in);
                                    KafkaWire.await(denied);
                                    final Frame third = KafkaWire.read(in);
                                    out.write(metadataAnswer(first).bytes());
                                    out.write(metadataAnswer(third).bytes());
                                    KafkaWire.read(in);
                                });
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("produce", "a")));
            KafkaWire.send(
                    client,
                    metadata(1, "a"),
                    metadata(2, "b"),
                    produce(9, 1, 3, "a", "b"),
                    metadata(4, "a"));
            for (int i = 0; i < 4; i++) {
                proxy.event();
            }
            denied.countDown();
            for (int i = 1; i <= 4; i++) {
                assertThat(KafkaWire.read(client).answerTo()).isEqualTo(i);
            }
            assertThat(origin.received()).isEqualTo(text(metadata(1, "a"), metadata(4, "a")));
        }
    }

    @Test
    void eachPartitionOfADeniedProduceGetsItsError() throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("produce", "a")));
            for (int version = 3; version <= 12; version++) {
                KafkaWire.send(client, produce(version, 1, version, "a", "b"));
                assertThat(produceErrors(KafkaWire.read(client), version))
                        .hasSize(4)
                        .containsOnly(Errors.TOPIC_AUTHORIZATION_FAILED.code());
            }
            assertThat(origin.peers()).isEmpty();
            assertThat(proxy.count(ProxyCounter.REQUESTS_DENIED)).isEqualTo(10);
            assertThat(client.socket().isClosed()).isFalse();
        }
    }

    @Test
    void aDeniedProduceWithoutAnAnswerEndsTheConnectionAfterTheAnswersBefore() throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("produce", "a")));
            KafkaWire.send(client, metadata(1, "a"), produce(9, 0, 2, "b"), metadata(3, "a"));
            assertThat(KafkaWire.read(client).answerTo()).isEqualTo(1);
            assertThat(isClosed(client)).isTrue();
            assertThat(origin.received()).isEqualTo(metadata(1, "a").text());
        }
    }

    @Test
    void anAllowedProduceWithoutAnAnswerIsWaitedForByNobody() throws Exception {
        try (Origin origin =
                        KafkaWire.server(
                                request ->
                                        request.api() == ApiKeys.PRODUCE
                                                ? Optional.empty()
                                                : answered(request));
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(EVERYTHING));
            final Frame old = KafkaWire.raw(0, 2, 2, new byte[] {0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
            KafkaWire.send(client, produce(9, 0, 1, "a"), old, metadata(3, "a"));
            assertThat(KafkaWire.read(client).answerTo()).isEqualTo(3);
            client.end();
            assertThat(isClosed(client)).isTrue();
        }
    }

    @Test
    void topicIdsAreKnownOnceAMetadataAnswerHasPassedOnAnyConnection() throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect();
                Wire other = proxy.connect()) {
            proxy.ingress(side(role("", "a")));
            KafkaWire.send(client, fetch(1, 0, 0, ID_A), produce(2, ID_A));
            final FetchResponseData unknown = fetchData(KafkaWire.read(client));
            assertThat(unknown.errorCode()).isEqualTo(Errors.NONE.code());
            assertThat(unknown.responses().getFirst().topicId()).isEqualTo(ID_A);
            assertThat(unknown.responses().getFirst().partitions().getFirst().errorCode())
                    .isEqualTo(Errors.UNKNOWN_TOPIC_ID.code());
            assertThat(produceErrors(KafkaWire.read(client), 13))
                    .containsExactly(Errors.UNKNOWN_TOPIC_ID.code());
            assertThat(origin.peers()).isEmpty();

            KafkaWire.send(client, metadata(3, "a"));
            assertThat(KafkaWire.read(client).answerTo()).isEqualTo(3);

            KafkaWire.send(other, fetch(4, 0, 0, ID_A), produce(5, ID_A), produce(6, ID_B));
            assertThat(fetchData(KafkaWire.read(other)).sessionId()).isEqualTo(7);
            assertThat(KafkaWire.read(other).bytes()).isEqualTo(KafkaWire.emptyAnswer(5).bytes());
            assertThat(produceErrors(KafkaWire.read(other), 13))
                    .containsExactly(Errors.TOPIC_AUTHORIZATION_FAILED.code());
            assertThat(origin.receivedByConnection().getLast())
                    .isEqualTo(text(fetch(4, 0, 0, ID_A), produce(5, ID_A)));
        }
    }

    @Test
    void theServerGetsTheAllowedTopicsOfAMetadataAndItsAnswerTheErrorsOfTheOthers()
            throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("produce", "a"), role("produce", "b")));
            KafkaWire.send(client, metadata(1, "x", "a", "y", "b"), metadata(2, "a"));
            final MetadataResponseData answer =
                    (MetadataResponseData)
                            KafkaWire.parse(KafkaWire.read(client), ApiKeys.METADATA, 12).data();
            assertThat(answer.topics())
                    .extracting(MetadataResponseTopic::name)
                    .containsExactly("a", "b", "x", "y");
            final short denied = Errors.TOPIC_AUTHORIZATION_FAILED.code();
            assertThat(answer.topics())
                    .extracting(MetadataResponseTopic::errorCode)
                    .containsExactly((short) 0, (short) 0, denied, denied);
            assertThat(KafkaWire.read(client).answerTo()).isEqualTo(2);
            assertThat(origin.received()).isEqualTo(text(metadata(1, "a", "b"), metadata(2, "a")));

            final L7Event asked = proxy.event();
            assertThat(asked.verdict()).isEqualTo(Verdict.DENIED);
            assertThat(detail(asked).topics()).containsExactly("x", "y");
            // The ids of the answer that was held are known.
            KafkaWire.send(client, produce(3, ID_A));
            assertThat(KafkaWire.read(client).answerTo()).isEqualTo(3);
            assertThat(origin.received()).endsWith(produce(3, ID_A).text());
        }
    }

    @Test
    void aMetadataWhoseTopicsNoStageAllowsTogetherIsDeniedWhole() throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(
                    new SideRules(
                            false,
                            List.of(
                                    RuleStage.ofKafka(List.of(role("produce", "a")), "first"),
                                    RuleStage.ofKafka(List.of(role("produce", "b")), "second")),
                            false,
                            "nobody"));
            KafkaWire.send(client, metadata(1, "a", "b"));
            final MetadataResponseData answer =
                    (MetadataResponseData)
                            KafkaWire.parse(KafkaWire.read(client), ApiKeys.METADATA, 12).data();
            assertThat(answer.topics())
                    .extracting(MetadataResponseTopic::errorCode)
                    .containsOnly(Errors.TOPIC_AUTHORIZATION_FAILED.code());
            assertThat(origin.peers()).isEmpty();
        }
    }

    @Test
    void everyVersionOfMetadataIsAskedInPart() throws Exception {
        for (short version = ApiKeys.METADATA.oldestVersion();
                version <= ApiKeys.METADATA.latestVersion();
                version++) {
            final short of = version;
            try (Origin origin =
                            KafkaWire.server(
                                    request ->
                                            Optional.of(
                                                    KafkaWire.answer(
                                                            of,
                                                            request.correlationId(),
                                                            new MetadataResponseData())));
                    ProxyHarness proxy = proxy(origin);
                    Wire client = proxy.connect()) {
                proxy.ingress(side(role("consume", "a")));
                KafkaWire.send(client, KafkaWire.request(of, 1, metadataOf("b", "a")));
                final MetadataResponseData answer =
                        (MetadataResponseData)
                                KafkaWire.parse(KafkaWire.read(client), ApiKeys.METADATA, of)
                                        .data();
                assertThat(answer.topics())
                        .singleElement()
                        .satisfies(topic -> assertThat(topic.name()).isEqualTo("b"));
                assertThat(origin.received())
                        .isEqualTo(KafkaWire.request(of, 1, metadataOf("a")).text());
            }
        }
    }

    @Test
    void anAnswerInPartThatIsTooLongToBeHeldEndsTheConnection() throws Exception {
        final KafkaLimits limits = new KafkaLimits(1 << 20, 1 << 20, 1 << 20, 1024, 100, 10, 100);
        final MetadataResponseData data = new MetadataResponseData();
        for (int i = 0; i < 100; i++) {
            data.topics().add(new MetadataResponseTopic().setName("topic-" + i));
        }
        try (Origin origin =
                        KafkaWire.server(
                                request ->
                                        Optional.of(
                                                KafkaWire.answer(
                                                        12, request.correlationId(), data)));
                ProxyHarness proxy = proxy(origin, limits, ProxyHarness.CONFIG);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("consume", "a")));
            KafkaWire.send(client, metadata(1, "a"));
            assertThat(KafkaWire.read(client).answerTo()).isEqualTo(1);
            KafkaWire.send(client, metadata(2, "a", "b"));
            assertThat(isClosed(client)).isTrue();
        }
    }

    @Test
    void anAnswerTooLongToBeHeldPassesAndItsIdsAreNotLearned() throws Exception {
        final KafkaLimits limits = new KafkaLimits(1 << 20, 1 << 20, 1 << 20, 1024, 100, 10, 100);
        try (Origin origin = KafkaWire.server(request -> Optional.of(longMetadataAnswer(request)));
                ProxyHarness proxy = proxy(origin, limits, ProxyHarness.CONFIG);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("", "a")));
            final Frame asked = metadata(1, "a");
            KafkaWire.send(client, asked);
            assertThat(KafkaWire.read(client).bytes()).isEqualTo(longMetadataAnswer(asked).bytes());
            KafkaWire.send(client, produce(2, ID_A));
            assertThat(produceErrors(KafkaWire.read(client), 13))
                    .containsExactly(Errors.UNKNOWN_TOPIC_ID.code());
        }
    }

    private static Frame longMetadataAnswer(final Frame request) {
        final MetadataResponseData data = new MetadataResponseData();
        data.setClusterId("c".repeat(2_000));
        data.topics().add(new MetadataResponseTopic().setName("a").setTopicId(ID_A));
        return KafkaWire.answer(12, request.correlationId(), data);
    }

    @Test
    void aNameDoesNotHideTheIdBesideIt() throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("", "a")));
            final Frame both =
                    KafkaWire.request(
                            12,
                            1,
                            new MetadataRequestData()
                                    .setTopics(
                                            List.of(
                                                    new MetadataRequestTopic()
                                                            .setName("a")
                                                            .setTopicId(ID_B))));
            KafkaWire.send(client, both);
            final MetadataResponseData answer =
                    (MetadataResponseData)
                            KafkaWire.parse(KafkaWire.read(client), ApiKeys.METADATA, 12).data();
            assertThat(answer.topics())
                    .singleElement()
                    .satisfies(
                            topic ->
                                    assertThat(topic.errorCode())
                                            .isEqualTo(Errors.UNKNOWN_TOPIC_ID.code()));
            assertThat(origin.peers()).isEmpty();
        }
    }

    @Test
    void aFetchSessionIsJudgedByTheTopicsThatItHasFromBefore() throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("", "a"), role("", "b")));
            KafkaWire.send(client, metadata(1, "a"));
            KafkaWire.read(client);
            KafkaWire.send(client, fetch(2, 7, 1), fetch(3, 0, 0, ID_A, ID_B), fetch(4, 7, 1));
            // Nobody knows what is in this session: it is of another connection.
            assertThat(fetchData(KafkaWire.read(client)).errorCode())
                    .isEqualTo(Errors.FETCH_SESSION_ID_NOT_FOUND.code());
            assertThat(fetchData(KafkaWire.read(client)).sessionId()).isEqualTo(7);
            // Judged before its session was known to exist.
            assertThat(fetchData(KafkaWire.read(client)).errorCode())
                    .isEqualTo(Errors.FETCH_SESSION_ID_NOT_FOUND.code());

            KafkaWire.send(client, fetch(5, 0, 0, ID_A, ID_B));
            assertThat(fetchData(KafkaWire.read(client)).sessionId()).isEqualTo(7);
            KafkaWire.send(client, fetch(6, 7, 1));
            assertThat(fetchData(KafkaWire.read(client)).sessionId()).isEqualTo(7);

            proxy.ingress(side(role("", "a")));
            KafkaWire.send(client, fetch(7, 7, 2));
            assertThat(fetchData(KafkaWire.read(client)).errorCode())
                    .isEqualTo(Errors.FETCH_SESSION_ID_NOT_FOUND.code());
            KafkaWire.send(client, fetch(8, 7, 0, ID_A));
            assertThat(fetchData(KafkaWire.read(client)).sessionId()).isEqualTo(7);
            assertThat(origin.received()).endsWith(text(fetch(6, 7, 1), fetch(8, 7, 0, ID_A)));
        }
    }

    @Test
    void requestsWithoutTopicsGetTheErrorsOfGroupsAndOffsets() throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("produce", "a")));
            KafkaWire.send(
                    client,
                    KafkaWire.request(4, 1, new HeartbeatRequestData().setGroupId("g")),
                    KafkaWire.request(
                            9,
                            2,
                            new OffsetFetchRequestData()
                                    .setGroups(
                                            List.of(
                                                    new OffsetFetchRequestGroup()
                                                            .setGroupId("g")
                                                            .setTopics(
                                                                    List.of(
                                                                            new OffsetFetchRequestTopics()
                                                                                    .setName("a")
                                                                                    .setPartitionIndexes(
                                                                                            List.of(
                                                                                                    1))))))));
            final HeartbeatResponseData beat =
                    (HeartbeatResponseData)
                            KafkaWire.parse(KafkaWire.read(client), ApiKeys.HEARTBEAT, 4).data();
            assertThat(beat.errorCode()).isEqualTo(Errors.GROUP_AUTHORIZATION_FAILED.code());
            final OffsetFetchResponseData offsets =
                    (OffsetFetchResponseData)
                            KafkaWire.parse(KafkaWire.read(client), ApiKeys.OFFSET_FETCH, 9).data();
            assertThat(
                            offsets.groups()
                                    .getFirst()
                                    .topics()
                                    .getFirst()
                                    .partitions()
                                    .getFirst()
                                    .errorCode())
                    .isEqualTo(Errors.TOPIC_AUTHORIZATION_FAILED.code());
        }
    }

    @Test
    void whatIsNotKnownPassesOnlyWhereEveryTopicMay() throws Exception {
        final Frame unknownApi = KafkaWire.raw(9999, 0, 1, new byte[100]);
        final Frame unknownVersion = KafkaWire.raw(3, 99, 1, new byte[100]);
        final Frame newestVersions = KafkaWire.raw(18, 99, 1, new byte[3]);
        try (Origin origin =
                        KafkaWire.server(
                                request ->
                                        Optional.of(
                                                KafkaWire.emptyAnswer(request.body().getInt(8))));
                ProxyHarness proxy = proxy(origin)) {
            proxy.ingress(side(role("", "a")));
            for (final Frame frame : List.of(unknownApi, unknownVersion)) {
                try (Wire client = proxy.connect()) {
                    KafkaWire.send(client, frame);
                    assertThat(isClosed(client)).isTrue();
                }
            }
            assertThat(origin.peers()).isEmpty();
            try (Wire client = proxy.connect()) {
                KafkaWire.send(client, newestVersions);
                assertThat(KafkaWire.read(client).answerTo()).isEqualTo(1);
            }
            proxy.ingress(side(EVERYTHING));
            for (final Frame frame : List.of(unknownApi, unknownVersion)) {
                try (Wire client = proxy.connect()) {
                    KafkaWire.send(client, frame);
                    assertThat(KafkaWire.read(client).answerTo()).isEqualTo(1);
                }
            }
        }
    }

    @Test
    void requestsTooLongToBeHeldPassOnlyWhereEveryTopicMay() throws Exception {
        final KafkaLimits limits = new KafkaLimits(1 << 20, 1024, 1 << 20, 1 << 20, 100, 10, 100);
        final Frame longProduce = produce(9, 1, 1, "a", "a", "a");
        final Frame oneTopic = produce(9, 1, 1, "a");
        final String[] many = new String[200];
        Arrays.fill(many, "a-topic-with-a-name");
        final Frame longMetadata = metadata(1, many);
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin, limits, ProxyHarness.CONFIG)) {
            proxy.ingress(side(role("", "a"), role("", "a-topic-with-a-name")));
            try (Wire client = proxy.connect()) {
                // The first topic's records, and the rest after the proxy has held too much.
                client.socket().getOutputStream().write(longProduce.bytes(), 0, 2000);
                assertThat(proxy.event().verdict()).isEqualTo(Verdict.DENIED);
                client.socket()
                        .getOutputStream()
                        .write(longProduce.bytes(), 2000, longProduce.bytes().length - 2000);
                assertThat(produceErrors(KafkaWire.read(client), 9))
                        .hasSize(6)
                        .containsOnly(Errors.TOPIC_AUTHORIZATION_FAILED.code());
                KafkaWire.send(client, longMetadata);
                assertThat(isClosed(client)).isTrue();
            }
            assertThat(origin.peers()).isEmpty();
            proxy.ingress(side(role("", "a"), role("", "")));
            try (Wire client = proxy.connect()) {
                KafkaWire.send(client, oneTopic, longMetadata, longProduce);
                KafkaWire.read(client);
                KafkaWire.read(client);
                KafkaWire.read(client);
                assertThat(origin.received()).isEqualTo(text(oneTopic, longMetadata, longProduce));
            }
        }
    }

    @Test
    void theClientIsNotReadWhileTooManyRequestsHaveNoAnswer() throws Exception {
        final KafkaLimits limits = new KafkaLimits(1 << 20, 1 << 20, 1 << 20, 1 << 20, 100, 2, 100);
        final CountDownLatch goOn = new CountDownLatch(1);
        try (Origin origin =
                        new Origin(
                                (socket, in, out) -> {
                                    final Frame first = KafkaWire.read(in);
                                    final Frame second = KafkaWire.read(in);
                                    KafkaWire.await(goOn);
                                    out.write(metadataAnswer(first).bytes());
                                    out.write(metadataAnswer(second).bytes());
                                    while (true) {
                                        out.write(metadataAnswer(KafkaWire.read(in)).bytes());
                                    }
                                });
                ProxyHarness proxy = proxy(origin, limits, ProxyHarness.CONFIG);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("", "a")));
            KafkaWire.send(
                    client,
                    metadata(1, "a"),
                    metadata(2, "a"),
                    metadata(3, "b"),
                    metadata(4, "a"),
                    metadata(5, "a"));
            proxy.event();
            proxy.event();
            assertThat(proxy.hasEvent()).isFalse();
            goOn.countDown();
            for (int i = 1; i <= 5; i++) {
                assertThat(KafkaWire.read(client).answerTo()).isEqualTo(i);
            }
        }
    }

    @Test
    void bytesHeldByAllConnectionsTogetherHaveALimit() throws Exception {
        final KafkaLimits limits =
                new KafkaLimits(4 << 20, 4 << 20, 512 * 1024, 1 << 20, 100, 2, 100);
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin, limits, ProxyHarness.CONFIG);
                Wire client = proxy.connect()) {
            proxy.ingress(side(role("", "a")));
            final Frame one = KafkaWire.raw(3, 12, 1, new byte[3 << 20]);
            try {
                KafkaWire.send(client, one);
            } catch (final IOException reset) {
                assertThat(reset).isNotNull();
            }
            assertThat(proxy.event().by()).isEqualTo(KafkaFault.HELD_TOO_MUCH.meaning());
            assertThat(isClosed(client)).isTrue();
            assertThat(origin.peers()).isEmpty();
        }
    }

    @Test
    void anAnswerThatNobodyAwaitsEndsTheConnection() throws Exception {
        try (Origin origin =
                        KafkaWire.server(
                                request ->
                                        Optional.of(
                                                KafkaWire.emptyAnswer(
                                                        request.correlationId() + 1)));
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.ingress(side(EVERYTHING));
            KafkaWire.send(client, metadata(1, "a"));
            assertThat(isClosed(client)).isTrue();
            assertThat(proxy.count(ProxyCounter.ANSWERS_MALFORMED)).isEqualTo(1);
        }
    }

    @Test
    void aHeadThatDoesNotComeInTimeEndsTheConnection() throws Exception {
        final ProxyConfig config =
                new ProxyConfig(
                        ProxyHarness.CONFIG.transport(),
                        1,
                        ProxyHarness.CONFIG.addressing(),
                        10,
                        Duration.ofSeconds(5),
                        Duration.ofHours(1),
                        Duration.ofMillis(1),
                        Duration.ofMillis(1));
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin, KafkaLimits.DEFAULTS, config);
                Wire client = proxy.connect()) {
            client.socket().getOutputStream().write(metadata(1, "a").bytes(), 0, 6);
            assertThat(isClosed(client)).isTrue();
            assertThat(proxy.count(ProxyCounter.REQUESTS_LATE)).isEqualTo(1);
        }
    }

    @Test
    void requestsAndAnswersAreReported() throws Exception {
        try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                ProxyHarness proxy = proxy(origin);
                Wire client = proxy.connect()) {
            proxy.egress(side(role("produce", "")));
            proxy.ingress(side(role("", "a")));
            KafkaWire.send(client, metadata(11, "a"));
            final L7Event asked = proxy.event();
            assertThat(asked.verdict()).isEqualTo(Verdict.FORWARDED);
            assertThat(asked.by()).isEqualTo("policy; policy");
            assertThat(detail(asked))
                    .isEqualTo(new L7Event.Kafka(3, 12, 11, "wire", List.of("a"), 0, 0));
            KafkaWire.read(client);
            assertThat(detail(proxy.event()).latencyNs()).isPositive();

            KafkaWire.send(client, produce(9, 1, 12, "a", "b"));
            final L7Event denied = proxy.event();
            assertThat(denied.verdict()).isEqualTo(Verdict.DENIED);
            assertThat(denied.by()).isEqualTo("nobody");
            assertThat(detail(denied).topics()).containsExactly("a", "b");
            final L7Event answered = proxy.event();
            assertThat(answered.type()).isEqualTo(L7Event.Type.ANSWER);
            assertThat(detail(answered).errorCode())
                    .isEqualTo(Errors.TOPIC_AUTHORIZATION_FAILED.code());
        }
    }

    // Hostile messages.

    private static byte[] bytes(final int... values) {
        final byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return bytes;
    }

    private static byte[] cut(final Frame frame, final int less) {
        final byte[] shorter = Arrays.copyOf(frame.bytes(), frame.bytes().length - less);
        ByteBuffer.wrap(shorter).putInt(0, shorter.length - 4);
        return shorter;
    }

    private static byte[] grown(final Frame frame) {
        final byte[] longer = Arrays.copyOf(frame.bytes(), frame.bytes().length + 1);
        ByteBuffer.wrap(longer).putInt(0, longer.length - 4);
        return longer;
    }

    private static byte[] raw(final int apiKey, final int version, final int... body) {
        return KafkaWire.raw(apiKey, version, 1, bytes(body)).bytes();
    }

    /** Comes with one read. */
    private static Frame shortProduce() {
        final ProduceRequestData data = new ProduceRequestData().setAcks((short) 1);
        data.topicData()
                .add(new TopicProduceData().setName("a").setPartitionData(List.of(records(0, 10))));
        return KafkaWire.request(9, 1, data);
    }

    @Test
    void aMalformedProduceThatHasBegunToPassNeverGetsThereWhole() throws Exception {
        for (final byte[] message :
                List.of(cut(produce(9, 1, 1, "a"), 1), grown(produce(9, 1, 1, "a")))) {
            try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                    ProxyHarness proxy = proxy(origin);
                    Wire client = proxy.connect()) {
                proxy.ingress(side(role("", "a")));
                client.socket().getOutputStream().write(message);
                assertThat(isClosed(client)).isTrue();
                origin.join();
                assertThat(origin.received().length()).isLessThan(message.length);
                assertThat(proxy.count(ProxyCounter.REQUESTS_MALFORMED)).isEqualTo(1);
            }
        }
    }

    /** By what it is, its bytes. */
    private static Map<String, byte[]> hostile() {
        return Map.ofEntries(
                Map.entry("length below the head's", bytes(0, 0, 0, 9, 0, 3, 0, 12)),
                Map.entry("negative length", bytes(0xff, 0xff, 0xff, 0xff)),
                Map.entry("length over the limit", bytes(0x7f, 0xff, 0xff, 0xff)),
                Map.entry("text", KafkaWire.utf8("GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
                Map.entry("TLS", bytes(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3)),
                Map.entry(
                        "client id beyond the request",
                        bytes(0, 0, 0, 12, 0, 3, 0, 12, 0, 0, 0, 1, 0x7f, 0xff, 65, 65)),
                Map.entry(
                        "client id of length -2",
                        bytes(0, 0, 0, 10, 0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xfe)),
                Map.entry("Metadata that ends early", cut(metadata(1, "a"), 1)),
                Map.entry("Metadata with a byte too many", grown(metadata(1, "a"))),
                Map.entry("Metadata without a body", raw(3, 12)),
                Map.entry(
                        "Metadata of 2^31 topics", raw(3, 12, 0, 0xff, 0xff, 0xff, 0xff, 0x07, 1)),
                Map.entry(
                        "Metadata, a varint without end",
                        raw(3, 12, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
                Map.entry("Metadata of 2^31 topics, old", raw(3, 1, 0x7f, 0xff, 0xff, 0xff, 0, 1)),
                Map.entry(
                        "head with 2^28 tagged fields",
                        raw(3, 12, 0xff, 0xff, 0xff, 0x7f, 1, 1, 1)),
                Map.entry("Fetch of nothing but zeros", raw(1, 17, new int[64])),
                Map.entry("JoinGroup cut in a string", raw(11, 2, 0, 50, 65)),
                Map.entry("Produce that ends early", cut(shortProduce(), 1)),
                Map.entry("Produce with a byte too many", grown(shortProduce())),
                Map.entry("Produce without a body", raw(0, 9)),
                Map.entry(
                        "Produce, transactional id beyond the request",
                        raw(0, 7, 0x7f, 0xff, 0, 1, 0, 0, 0, 0)),
                Map.entry(
                        "Produce of 2^31 topics",
                        raw(0, 7, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff)),
                Map.entry(
                        "Produce of -1 topics",
                        raw(0, 7, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)),
                Map.entry(
                        "Produce, varint of six bytes",
                        raw(0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0x81, 0x80, 0x80, 0x80, 0x80, 0, 0, 0)),
                Map.entry(
                        "Produce, varint that loses its top bits",
                        raw(0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0x81, 0x80, 0x80, 0x80, 0x10, 0, 0, 0)),
                Map.entry(
                        "Produce, records beyond the request",
                        raw(
                                0, 7, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0,
                                1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff)),
                Map.entry(
                        "Produce, records of length -2",
                        raw(
                                0, 7, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0,
                                1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe)),
                Map.entry(
                        "Produce, a null topic",
                        raw(
                                0, 7, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0,
                                0)));
    }

    /** Also under rules that let everything pass: what can be read must be right. */
    @TestFactory
    Stream<DynamicTest> hostileMessagesEndTheConnectionAndNothingOfThemGoesOn() {
        return hostile().entrySet().stream()
                .map(
                        message ->
                                DynamicTest.dynamicTest(
                                        message.getKey(), () -> isRefused(message.getValue())));
    }

    private static void isRefused(final byte[] message) throws Exception {
        for (final SideRules side : List.of(side(role("", "a")), side(EVERYTHING))) {
            try (Origin origin = KafkaWire.server(KafkaProxyTest::answered);
                    ProxyHarness proxy = proxy(origin);
                    Wire client = proxy.connect()) {
                proxy.ingress(side);
                client.socket().getOutputStream().write(message);
                assertThat(isClosed(client)).isTrue();
                assertThat(origin.received()).isEmpty();
                assertThat(proxy.count(ProxyCounter.REQUESTS_MALFORMED)).isEqualTo(1);
            }
        }
    }
}
