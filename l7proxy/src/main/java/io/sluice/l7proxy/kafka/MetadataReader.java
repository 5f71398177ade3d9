package io.sluice.l7proxy.kafka;

import java.nio.ByteBuffer;
import java.util.UUID;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.ResponseHeader;

/** Learns topic ids from Metadata answers. Pure but for what it learns. Thread: any. */
final class MetadataReader {
    /** KIP-516. */
    private static final int IDS_SINCE = 10;

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
}
