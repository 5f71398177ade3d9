package io.sluice.l7proxy.kafka;

import io.sluice.l7proxy.kafka.ProduceReader.Topic;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.message.AddPartitionsToTxnRequestData;
import org.apache.kafka.common.message.AlterConfigsRequestData;
import org.apache.kafka.common.message.AlterPartitionReassignmentsRequestData;
import org.apache.kafka.common.message.AlterReplicaLogDirsRequestData;
import org.apache.kafka.common.message.AlterShareGroupOffsetsRequestData;
import org.apache.kafka.common.message.ConsumerGroupHeartbeatRequestData;
import org.apache.kafka.common.message.CreatePartitionsRequestData;
import org.apache.kafka.common.message.CreateTopicsRequestData;
import org.apache.kafka.common.message.DeleteRecordsRequestData;
import org.apache.kafka.common.message.DeleteShareGroupOffsetsRequestData;
import org.apache.kafka.common.message.DeleteTopicsRequestData;
import org.apache.kafka.common.message.DescribeConfigsRequestData;
import org.apache.kafka.common.message.DescribeLogDirsRequestData;
import org.apache.kafka.common.message.DescribeProducersRequestData;
import org.apache.kafka.common.message.DescribeQuorumRequestData;
import org.apache.kafka.common.message.DescribeShareGroupOffsetsRequestData;
import org.apache.kafka.common.message.DescribeTopicPartitionsRequestData;
import org.apache.kafka.common.message.ElectLeadersRequestData;
import org.apache.kafka.common.message.FetchRequestData;
import org.apache.kafka.common.message.FetchRequestData.FetchTopic;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.FetchResponseData.FetchableTopicResponse;
import org.apache.kafka.common.message.IncrementalAlterConfigsRequestData;
import org.apache.kafka.common.message.ListOffsetsRequestData;
import org.apache.kafka.common.message.ListPartitionReassignmentsRequestData;
import org.apache.kafka.common.message.MetadataRequestData;
import org.apache.kafka.common.message.MetadataRequestData.MetadataRequestTopic;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.message.MetadataResponseData.MetadataResponseBroker;
import org.apache.kafka.common.message.MetadataResponseData.MetadataResponseTopic;
import org.apache.kafka.common.message.OffsetCommitRequestData;
import org.apache.kafka.common.message.OffsetDeleteRequestData;
import org.apache.kafka.common.message.OffsetFetchRequestData;
import org.apache.kafka.common.message.OffsetFetchRequestData.OffsetFetchRequestGroup;
import org.apache.kafka.common.message.OffsetFetchRequestData.OffsetFetchRequestTopics;
import org.apache.kafka.common.message.OffsetFetchResponseData;
import org.apache.kafka.common.message.OffsetFetchResponseData.OffsetFetchResponseGroup;
import org.apache.kafka.common.message.OffsetFetchResponseData.OffsetFetchResponsePartitions;
import org.apache.kafka.common.message.OffsetFetchResponseData.OffsetFetchResponseTopics;
import org.apache.kafka.common.message.OffsetForLeaderEpochRequestData;
import org.apache.kafka.common.message.ProduceResponseData;
import org.apache.kafka.common.message.ProduceResponseData.PartitionProduceResponse;
import org.apache.kafka.common.message.ProduceResponseData.TopicProduceResponse;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.message.ShareAcknowledgeRequestData;
import org.apache.kafka.common.message.ShareFetchRequestData;
import org.apache.kafka.common.message.ShareGroupHeartbeatRequestData;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData;
import org.apache.kafka.common.message.TxnOffsetCommitRequestData;
import org.apache.kafka.common.message.WriteTxnMarkersRequestData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.AbstractRequest;
import org.apache.kafka.common.requests.AbstractResponse;
import org.apache.kafka.common.requests.FetchResponse;
import org.apache.kafka.common.requests.MetadataRequest;
import org.apache.kafka.common.requests.OffsetFetchResponse;
import org.apache.kafka.common.requests.ProduceResponse;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.RequestUtils;

/**
 * A request that has been read as a whole: which topics it names, and the answer that denies it.
 *
 * <p><b>Theory of operation.</b> Kafka's own message classes read the bytes, so that they are
 * understood as a broker would, in all versions that this library knows. Its generated readers
 * check each count against the bytes that are left before they allocate; what they make of a
 * request is at most some 30 times as large as the request, whose length has its limit. A request
 * with bytes behind its last field is refused.
 *
 * <p>Where a topic may be named both by name and by id, both count: brokers differ in which of them
 * they take. An API that is neither in the list of those without topics nor read here counts as
 * about every topic.
 *
 * <p>Denials are the library's own error answers, except where those are not per topic or
 * partition, or say less than clients need: Fetch, OffsetFetch, Metadata. This class and {@link
 * MetadataReader} are the only ones that know the library.
 *
 * <p>Thread: one.
 */
public final class ReadRequest {
    /** Rules know topics of none of these. */
    private static final Set<ApiKeys> WITHOUT_TOPICS =
            EnumSet.of(
                    ApiKeys.FIND_COORDINATOR,
                    ApiKeys.JOIN_GROUP,
                    ApiKeys.HEARTBEAT,
                    ApiKeys.LEAVE_GROUP,
                    ApiKeys.SYNC_GROUP,
                    ApiKeys.DESCRIBE_GROUPS,
                    ApiKeys.LIST_GROUPS,
                    ApiKeys.SASL_HANDSHAKE,
                    ApiKeys.API_VERSIONS,
                    ApiKeys.INIT_PRODUCER_ID,
                    ApiKeys.ADD_OFFSETS_TO_TXN,
                    ApiKeys.END_TXN,
                    ApiKeys.SASL_AUTHENTICATE,
                    ApiKeys.CREATE_DELEGATION_TOKEN,
                    ApiKeys.RENEW_DELEGATION_TOKEN,
                    ApiKeys.EXPIRE_DELEGATION_TOKEN,
                    ApiKeys.DESCRIBE_DELEGATION_TOKEN,
                    ApiKeys.DELETE_GROUPS,
                    ApiKeys.DESCRIBE_CLIENT_QUOTAS,
                    ApiKeys.ALTER_CLIENT_QUOTAS,
                    ApiKeys.DESCRIBE_USER_SCRAM_CREDENTIALS,
                    ApiKeys.ALTER_USER_SCRAM_CREDENTIALS,
                    ApiKeys.UPDATE_FEATURES,
                    ApiKeys.DESCRIBE_CLUSTER,
                    ApiKeys.UNREGISTER_BROKER,
                    ApiKeys.DESCRIBE_TRANSACTIONS,
                    ApiKeys.LIST_TRANSACTIONS,
                    ApiKeys.CONSUMER_GROUP_DESCRIBE,
                    ApiKeys.SHARE_GROUP_DESCRIBE,
                    ApiKeys.STREAMS_GROUP_DESCRIBE,
                    ApiKeys.GET_TELEMETRY_SUBSCRIPTIONS,
                    ApiKeys.PUSH_TELEMETRY,
                    ApiKeys.LIST_CONFIG_RESOURCES,
                    ApiKeys.ADD_RAFT_VOTER,
                    ApiKeys.REMOVE_RAFT_VOTER);

    private static final Set<ApiKeys> OF_GROUPS =
            EnumSet.of(
                    ApiKeys.FIND_COORDINATOR,
                    ApiKeys.JOIN_GROUP,
                    ApiKeys.HEARTBEAT,
                    ApiKeys.LEAVE_GROUP,
                    ApiKeys.SYNC_GROUP,
                    ApiKeys.DESCRIBE_GROUPS,
                    ApiKeys.LIST_GROUPS,
                    ApiKeys.DELETE_GROUPS,
                    ApiKeys.CONSUMER_GROUP_DESCRIBE,
                    ApiKeys.SHARE_GROUP_DESCRIBE,
                    ApiKeys.STREAMS_GROUP_DESCRIBE);

    /** KIP-227: a Fetch that goes on with a session names only what has changed. */
    private static final int FETCH_SESSIONS_SINCE = 7;

    private static final int OFFSET_FETCH_GROUPS_SINCE = 8;

    /**
     * KIP-402 and later: before a client knows brokers, it gives those it was told numbers below 0.
     */
    private static final int BOOTSTRAP_NODE = -1;

    /**
     * An answer.
     *
     * @param bytes with their length
     * @param errorCode that it says
     */
    public record Denial(ByteBuffer bytes, int errorCode) {}

    private final RequestHeader header;
    private final ApiKeys api;
    private final short version;
    private final AbstractRequest request;

    private ReadRequest(final RequestHeader header, final AbstractRequest request) {
        this.header = header;
        this.api = header.apiKey();
        this.version = header.apiVersion();
        this.request = request;
    }

    /** Makes the library load its schemas, which takes some tenths of a second. */
    static void load() {
        ApiKeys.values();
    }

    /** Whether requests of an API and version can be read. */
    public static boolean isReadable(final int apiKey, final int apiVersion) {
        return ApiKeys.hasId(apiKey)
                && ApiKeys.forId(apiKey).isVersionSupported((short) apiVersion);
    }

    /**
     * Whether rules about topics do not matter to an API whose request has not been read.
     * ApiVersions has no topics in any version: a client asks in its newest one, and a broker that
     * does not know it answers all the same (KIP-511).
     */
    static boolean isWithoutTopics(final int apiKey, final int apiVersion) {
        return apiKey == ApiKeys.API_VERSIONS.id
                || (isReadable(apiKey, apiVersion)
                        && WITHOUT_TOPICS.contains(ApiKeys.forId(apiKey)));
    }

    /**
     * Reads a request of an API and version that {@link #isReadable}.
     *
     * @param bytes from the API key to the request's end
     * @return empty if it is not as the protocol has it
     */
    public static Optional<ReadRequest> read(final ByteBuffer bytes) {
        try {
            final RequestHeader header = RequestHeader.parse(bytes);
            final AbstractRequest request =
                    AbstractRequest.parseRequest(
                                    header.apiKey(),
                                    header.apiVersion(),
                                    new ByteBufferAccessor(bytes))
                            .request;
            return bytes.hasRemaining()
                    ? Optional.empty()
                    : Optional.of(new ReadRequest(header, request));
        } catch (final RuntimeException malformed) {
            // The library has no exception of its own for this: buffers, numbers, states.
            return Optional.empty();
        }
    }

    // Topics.

    /** Whether it is a Metadata request about topics by their names, as clients make them. */
    boolean isMetadataByName() {
        return request instanceof final MetadataRequest metadata
                && !metadata.isAllTopics()
                && metadata.data().topics().stream()
                        .allMatch(
                                topic ->
                                        topic.name() != null
                                                && Uuid.ZERO_UUID.equals(topic.topicId()));
    }

    /**
     * A {@linkplain #isMetadataByName() Metadata request} without some of its topics; must have
     * others, as an empty list means every topic in version 0.
     *
     * @return with its length
     */
    ByteBuffer withoutTopics(final Set<String> names) {
        final MetadataRequestData data = ((MetadataRequest) request).data().duplicate();
        data.topics().removeIf(topic -> names.contains(topic.name()));
        return new MetadataRequest(data, version).serializeWithHeader(header);
    }

    /** Adds the topics that the request names. */
    public void addTopics(final TopicsOfRequest to) {
        if (!WITHOUT_TOPICS.contains(api)) {
            addTopics(request.data(), to);
        }
    }

    private void addTopics(final ApiMessage data, final TopicsOfRequest to) {
        switch (data) {
            case final FetchRequestData fetch -> {
                for (final FetchTopic topic : fetch.topics()) {
                    add(topic.topic(), topic.topicId(), to);
                }
                for (final FetchRequestData.ForgottenTopic topic : fetch.forgottenTopicsData()) {
                    add(topic.topic(), topic.topicId(), to);
                }
            }
            case final MetadataRequestData metadata -> {
                if (((MetadataRequest) request).isAllTopics()) {
                    to.addEvery();
                } else {
                    metadata.topics().forEach(topic -> add(topic.name(), topic.topicId(), to));
                }
            }
            case final ListOffsetsRequestData offsets ->
                    offsets.topics().forEach(topic -> to.add(topic.name()));
            case final OffsetCommitRequestData commit ->
                    commit.topics().forEach(topic -> add(topic.name(), topic.topicId(), to));
            case final OffsetFetchRequestData fetch -> addTopics(fetch, to);
            case final OffsetDeleteRequestData delete ->
                    delete.topics().forEach(topic -> to.add(topic.name()));
            case final TxnOffsetCommitRequestData commit ->
                    commit.topics().forEach(topic -> to.add(topic.name()));
            case final AddPartitionsToTxnRequestData add -> {
                add.v3AndBelowTopics().forEach(topic -> to.add(topic.name()));
                add.transactions()
                        .forEach(txn -> txn.topics().forEach(topic -> to.add(topic.name())));
            }
            case final OffsetForLeaderEpochRequestData epochs ->
                    epochs.topics().forEach(topic -> to.add(topic.topic()));
            case final ConsumerGroupHeartbeatRequestData beat -> addTopics(beat, to);
            default -> addAdminTopics(data, to);
        }
    }

    private static void addTopics(final OffsetFetchRequestData fetch, final TopicsOfRequest to) {
        if (fetch.topics() == null) {
            to.addEvery();
        } else {
            fetch.topics().forEach(topic -> to.add(topic.name()));
        }
        for (final OffsetFetchRequestGroup group : fetch.groups()) {
            if (group.topics() == null) {
                to.addEvery();
            } else {
                group.topics().forEach(topic -> add(topic.name(), topic.topicId(), to));
            }
        }
    }

    private static void addTopics(
            final ConsumerGroupHeartbeatRequestData beat, final TopicsOfRequest to) {
        if (beat.subscribedTopicNames() != null) {
            beat.subscribedTopicNames().forEach(to::add);
        }
        if (beat.subscribedTopicRegex() != null && !beat.subscribedTopicRegex().isEmpty()) {
            to.addEvery();
        }
        if (beat.topicPartitions() != null) {
            beat.topicPartitions().forEach(topic -> add("", topic.topicId(), to));
        }
    }

    private static void addAdminTopics(final ApiMessage data, final TopicsOfRequest to) {
        switch (data) {
            case final CreateTopicsRequestData create ->
                    create.topics().forEach(topic -> to.add(topic.name()));
            case final DeleteTopicsRequestData delete -> {
                delete.topicNames().forEach(to::add);
                delete.topics().forEach(topic -> add(topic.name(), topic.topicId(), to));
            }
            case final DeleteRecordsRequestData delete ->
                    delete.topics().forEach(topic -> to.add(topic.name()));
            case final CreatePartitionsRequestData create ->
                    create.topics().forEach(topic -> to.add(topic.name()));
            case final DescribeConfigsRequestData configs ->
                    configs.resources()
                            .forEach(of -> addResource(of.resourceType(), of.resourceName(), to));
            case final AlterConfigsRequestData configs ->
                    configs.resources()
                            .forEach(of -> addResource(of.resourceType(), of.resourceName(), to));
            case final IncrementalAlterConfigsRequestData configs ->
                    configs.resources()
                            .forEach(of -> addResource(of.resourceType(), of.resourceName(), to));
            case final DescribeLogDirsRequestData dirs -> {
                if (dirs.topics() == null) {
                    to.addEvery();
                } else {
                    dirs.topics().forEach(topic -> to.add(topic.topic()));
                }
            }
            case final AlterReplicaLogDirsRequestData dirs ->
                    dirs.dirs().forEach(dir -> dir.topics().forEach(topic -> to.add(topic.name())));
            case final ElectLeadersRequestData elect -> {
                if (elect.topicPartitions() == null) {
                    to.addEvery();
                } else {
                    elect.topicPartitions().forEach(topic -> to.add(topic.topic()));
                }
            }
            case final AlterPartitionReassignmentsRequestData alter ->
                    alter.topics().forEach(topic -> to.add(topic.name()));
            case final ListPartitionReassignmentsRequestData list -> {
                if (list.topics() == null) {
                    to.addEvery();
                } else {
                    list.topics().forEach(topic -> to.add(topic.name()));
                }
            }
            case final DescribeProducersRequestData producers ->
                    producers.topics().forEach(topic -> to.add(topic.name()));
            case final DescribeQuorumRequestData quorum ->
                    quorum.topics().forEach(topic -> to.add(topic.topicName()));
            case final DescribeTopicPartitionsRequestData describe -> {
                describe.topics().forEach(topic -> to.add(topic.name()));
                if (describe.topics().isEmpty()) {
                    to.addEvery();
                }
                if (describe.cursor() != null) {
                    to.add(describe.cursor().topicName());
                }
            }
            case final WriteTxnMarkersRequestData write ->
                    write.markers()
                            .forEach(of -> of.topics().forEach(topic -> to.add(topic.name())));
            default -> addGroupTopics(data, to);
        }
    }

    private static void addGroupTopics(final ApiMessage data, final TopicsOfRequest to) {
        switch (data) {
            case final ShareGroupHeartbeatRequestData beat -> {
                if (beat.subscribedTopicNames() != null) {
                    beat.subscribedTopicNames().forEach(to::add);
                }
            }
            case final ShareFetchRequestData fetch -> {
                fetch.topics().forEach(topic -> add("", topic.topicId(), to));
                fetch.forgottenTopicsData().forEach(topic -> add("", topic.topicId(), to));
                // What its session has from before is not known here.
                if (fetch.shareSessionEpoch() > 0) {
                    to.addEvery();
                }
            }
            case final ShareAcknowledgeRequestData acknowledge ->
                    acknowledge.topics().forEach(topic -> add("", topic.topicId(), to));
            case final DescribeShareGroupOffsetsRequestData offsets -> {
                for (final var group : offsets.groups()) {
                    if (group.topics() == null) {
                        to.addEvery();
                    } else {
                        group.topics().forEach(topic -> to.add(topic.topicName()));
                    }
                }
            }
            case final AlterShareGroupOffsetsRequestData offsets ->
                    offsets.topics().forEach(topic -> to.add(topic.topicName()));
            case final DeleteShareGroupOffsetsRequestData offsets ->
                    offsets.topics().forEach(topic -> to.add(topic.topicName()));
            case final StreamsGroupHeartbeatRequestData beat -> {
                // A topology has patterns and topics that brokers make of its names.
                if (beat.topology() != null) {
                    to.addEvery();
                }
            }
            // ACLs are about patterns of names; the rest is what brokers say to each other.
            default -> to.addEvery();
        }
    }

    private static void add(final String name, final Uuid id, final TopicsOfRequest to) {
        if (name != null && !name.isEmpty()) {
            to.add(name);
        }
        if (!Uuid.ZERO_UUID.equals(id)) {
            to.add(new UUID(id.getMostSignificantBits(), id.getLeastSignificantBits()));
        } else if (name == null || name.isEmpty()) {
            to.add("");
        }
    }

    private static void addResource(final byte type, final String name, final TopicsOfRequest to) {
        if (ConfigResource.Type.forId(type) == ConfigResource.Type.TOPIC) {
            to.add(name);
        }
    }

    // Fetch sessions.

    /** Whether the request goes on with a session, whose topics it does not repeat. */
    boolean isFetchOfSession() {
        return request.data() instanceof final FetchRequestData fetch
                && version >= FETCH_SESSIONS_SINCE
                && fetch.sessionEpoch() > 0;
    }

    /** Whether the answer may say the number of a session. */
    boolean isFetchWithSession() {
        return request.data() instanceof FetchRequestData && version >= FETCH_SESSIONS_SINCE;
    }

    /** Number of the session; 0 is none. */
    int sessionId() {
        return request.data() instanceof final FetchRequestData fetch ? fetch.sessionId() : 0;
    }

    // Denials.

    /**
     * The answer to a request that rules do not let pass.
     *
     * @param correlationId the client's
     * @param server address that the client means
     * @param topics that the request names
     * @param isOnlyUnknown whether it is denied only because names of topic ids are not known: the
     *     client is told in a way that makes it ask for them
     * @return empty if there is no such answer
     */
    public Optional<Denial> deny(
            final int correlationId,
            final InetSocketAddress server,
            final TopicsOfRequest topics,
            final boolean isOnlyUnknown) {
        final Errors error = error(isOnlyUnknown && topics.hasUnknownIds());
        try {
            return Optional.of(denial(api, version, correlationId, answer(error, server), error));
        } catch (final RuntimeException unanswerable) {
            // Some of the library's error answers exist in some versions only.
            return Optional.empty();
        }
    }

    /** The answer that makes a client begin a new session, in which it names all topics again. */
    Denial denySession(final int correlationId) {
        final Errors error = Errors.FETCH_SESSION_ID_NOT_FOUND;
        return denial(
                api,
                version,
                correlationId,
                new FetchResponseData().setErrorCode(error.code()),
                error);
    }

    private Errors error(final boolean isOnlyUnknown) {
        if (isOnlyUnknown) {
            return Errors.UNKNOWN_TOPIC_ID;
        }
        if (OF_GROUPS.contains(api)) {
            return Errors.GROUP_AUTHORIZATION_FAILED;
        }
        return WITHOUT_TOPICS.contains(api)
                ? Errors.CLUSTER_AUTHORIZATION_FAILED
                : Errors.TOPIC_AUTHORIZATION_FAILED;
    }

    private ApiMessage answer(final Errors error, final InetSocketAddress server) {
        return switch (request.data()) {
            case final FetchRequestData fetch -> fetchAnswer(fetch, error);
            case final MetadataRequestData metadata -> metadataAnswer(metadata, error, server);
            case final OffsetFetchRequestData fetch when version >= OFFSET_FETCH_GROUPS_SINCE ->
                    offsetFetchAnswer(fetch, error);
            default -> {
                final AbstractResponse answer = request.getErrorResponse(0, error.exception());
                yield answer.data();
            }
        };
    }

    /**
     * Per partition: a consumer takes an error of the whole answer for one of the session, and
     * tries again for ever.
     */
    private static ApiMessage fetchAnswer(final FetchRequestData fetch, final Errors error) {
        final List<FetchableTopicResponse> topics = new ArrayList<>();
        for (final FetchTopic topic : fetch.topics()) {
            topics.add(
                    new FetchableTopicResponse()
                            .setTopic(topic.topic())
                            .setTopicId(topic.topicId())
                            .setPartitions(
                                    topic.partitions().stream()
                                            .map(
                                                    of ->
                                                            FetchResponse.partitionResponse(
                                                                    of.partition(), error))
                                            .toList()));
        }
        return new FetchResponseData().setResponses(topics);
    }

    /** Clients ignore an answer without brokers: there is the one that they are talking to. */
    private ApiMessage metadataAnswer(
            final MetadataRequestData metadata,
            final Errors error,
            final InetSocketAddress server) {
        final MetadataResponseData answer = new MetadataResponseData();
        answer.brokers()
                .add(
                        new MetadataResponseBroker()
                                .setNodeId(BOOTSTRAP_NODE)
                                .setHost(server.getAddress().getHostAddress())
                                .setPort(server.getPort()));
        if (!((MetadataRequest) request).isAllTopics()) {
            for (final MetadataRequestTopic topic : metadata.topics()) {
                answer.topics()
                        .add(
                                new MetadataResponseTopic()
                                        .setName(topic.name() == null ? "" : topic.name())
                                        .setTopicId(topic.topicId())
                                        .setErrorCode(error.code()));
            }
        }
        return answer;
    }

    private static ApiMessage offsetFetchAnswer(
            final OffsetFetchRequestData fetch, final Errors error) {
        final OffsetFetchResponseData answer = new OffsetFetchResponseData();
        for (final OffsetFetchRequestGroup group : fetch.groups()) {
            final OffsetFetchResponseGroup ofGroup =
                    new OffsetFetchResponseGroup().setGroupId(group.groupId());
            if (group.topics() == null) {
                ofGroup.setErrorCode(Errors.GROUP_AUTHORIZATION_FAILED.code());
            } else {
                for (final OffsetFetchRequestTopics topic : group.topics()) {
                    ofGroup.topics().add(offsetFetchAnswer(topic, error));
                }
            }
            answer.groups().add(ofGroup);
        }
        return answer;
    }

    private static OffsetFetchResponseTopics offsetFetchAnswer(
            final OffsetFetchRequestTopics topic, final Errors error) {
        final OffsetFetchResponseTopics answer =
                new OffsetFetchResponseTopics().setName(topic.name()).setTopicId(topic.topicId());
        for (final int partition : topic.partitionIndexes()) {
            answer.partitions()
                    .add(
                            new OffsetFetchResponsePartitions()
                                    .setPartitionIndex(partition)
                                    .setCommittedOffset(OffsetFetchResponse.INVALID_OFFSET)
                                    .setMetadata(OffsetFetchResponse.NO_METADATA)
                                    .setErrorCode(error.code()));
        }
        return answer;
    }

    /**
     * The answer to a Produce request that rules do not let pass.
     *
     * @param isOnlyUnknown as in {@link #deny}
     */
    static Denial denyProduce(
            final int apiVersion,
            final int correlationId,
            final List<Topic> topics,
            final boolean isOnlyUnknown) {
        final Errors error =
                isOnlyUnknown ? Errors.UNKNOWN_TOPIC_ID : Errors.TOPIC_AUTHORIZATION_FAILED;
        final ProduceResponseData answer = new ProduceResponseData();
        for (final Topic topic : topics) {
            final TopicProduceResponse ofTopic =
                    new TopicProduceResponse()
                            .setName(topic.name())
                            .setTopicId(
                                    new Uuid(
                                            topic.id().getMostSignificantBits(),
                                            topic.id().getLeastSignificantBits()));
            for (int i = 0; i < topic.partitions().count(); i++) {
                ofTopic.partitionResponses()
                        .add(
                                new PartitionProduceResponse()
                                        .setIndex(topic.partitions().get(i))
                                        .setBaseOffset(ProduceResponse.INVALID_OFFSET)
                                        .setErrorCode(error.code()));
            }
            answer.responses().add(ofTopic);
        }
        return denial(ApiKeys.PRODUCE, (short) apiVersion, correlationId, answer, error);
    }

    private static Denial denial(
            final ApiKeys api,
            final short version,
            final int correlationId,
            final ApiMessage answer,
            final Errors error) {
        return new Denial(
                RequestUtils.serialize(
                        new ResponseHeaderData().setCorrelationId(correlationId),
                        api.responseHeaderVersion(version),
                        answer,
                        version),
                error.code());
    }
}
