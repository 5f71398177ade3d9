package io.sluice.l7proxy.kafka;

import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.message.MetadataResponseData.MetadataResponseTopic;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.RequestUtils;
import org.apache.kafka.common.requests.ResponseHeader;

/**
 * Learns topic ids from Metadata answers, and adds topics to them. Pure but for what it learns.
 * Thread: any.
 */
final class MetadataReader {
    /** KIP-516. */
    private static final int IDS_SINCE = 10;

    /** What {@link #withDenied} says of topics. */
    static final int DENIED_ERROR_CODE = Errors.TOPIC_AUTHORIZATION_FAILED.code();

    private MetadataReader() {}

    /** Whether the answer to a request has topic ids. */
    static boolean hasIds(final int apiKey, final int apiVersion) {
        return apiKey == ApiKeys.METADATA.id
                && apiVersion >= IDS_SINCE
                && ReadRequest.isReadable(apiKey, apiVersion);
    }

    /**
     * Reads an answer that {@link #hasIds}.
     *
     * @param bytes from the correlation id to the answer's end
     * @return false if it is not as the protocol has it; it may have been read in part
     */
    static boolean learn(
            final ByteBuffer bytes,
            final int apiVersion,
            final long serverIdentity,
            final TopicIds ids) {
        try {
            ResponseHeader.parse(bytes, ApiKeys.METADATA.responseHeaderVersion((short) apiVersion));
            new MetadataResponseData(new ByteBufferAccessor(bytes), (short) apiVersion)
                    .topics()
                    .forEach(
                            topic -> {
                                final Uuid id = topic.topicId();
                                if (topic.errorCode() == Errors.NONE.code()
                                        && topic.name() != null
                                        && !Uuid.ZERO_UUID.equals(id)) {
                                    ids.learn(
                                            serverIdentity,
                                            new UUID(
                                                    id.getMostSignificantBits(),
                                                    id.getLeastSignificantBits()),
                                            topic.name());
                                }
                            });
            return true;
        } catch (final RuntimeException malformed) {
            // The library has no exception of its own for this.
            return false;
        }
    }

    /**
     * An answer with more topics in it, which are denied.
     *
     * @param bytes from the correlation id to the answer's end
     * @param apiVersion one that is readable
     * @return without its length; empty if it is not as the protocol has it
     */
    static Optional<ByteBuffer> withDenied(
            final ByteBuffer bytes, final int apiVersion, final Set<String> names) {
        final short version = (short) apiVersion;
        try {
            final ResponseHeader header =
                    ResponseHeader.parse(bytes, ApiKeys.METADATA.responseHeaderVersion(version));
            final MetadataResponseData data =
                    new MetadataResponseData(new ByteBufferAccessor(bytes), version);
            for (final String name : names) {
                data.topics()
                        .add(
                                new MetadataResponseTopic()
                                        .setName(name)
                                        .setErrorCode((short) DENIED_ERROR_CODE));
            }
            return Optional.of(
                    RequestUtils.serialize(header.data(), header.headerVersion(), data, version));
        } catch (final RuntimeException malformed) {
            // The library has no exception of its own for this.
            return Optional.empty();
        }
    }
}
