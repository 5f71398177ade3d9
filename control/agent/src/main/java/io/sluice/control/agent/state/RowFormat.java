package io.sluice.control.agent.state;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * Rows as bytes, format {@link StateFolder#FORMAT}: big-endian numbers; a text is its length in
 * bytes (4) and its UTF-8.
 *
 * <pre>
 *   identities   number (4)                            -&gt; live (1), endpoints (4), labels: count (4), texts; facts: text
 *   ipcache      address (16), length of its family (1) -&gt; identity (4), source (1), endpoint: text
 *   fqdn         name: text, endpoint: text, address (16) -&gt; expiry, ms since 1970 (8)
 * </pre>
 *
 * <p>Addresses are of 128 bits, IPv4 mapped. Reading throws {@link IllegalArgumentException} for
 * bytes that are no row.
 *
 * <p>Thread: any.
 */
final class RowFormat {
    private RowFormat() {}

    static byte[] identityKey(final int number) {
        return ByteBuffer.allocate(4).putInt(number).array();
    }

    static byte[] identityValue(final IdentityRow row) {
        final List<byte[]> labels = row.labels().stream().map(RowFormat::utf8).toList();
        final byte[] facts = utf8(row.facts());
        final int labelBytes = labels.stream().mapToInt(label -> 4 + label.length).sum();
        final ByteBuffer bytes = ByteBuffer.allocate(9 + labelBytes + 4 + facts.length);
        bytes.put((byte) (row.live() ? 1 : 0)).putInt(row.endpointCount()).putInt(labels.size());
        labels.forEach(label -> bytes.putInt(label.length).put(label));
        return bytes.putInt(facts.length).put(facts).array();
    }

    static IdentityRow identity(final byte[] key, final byte[] value) {
        try {
            final ByteBuffer bytes = ByteBuffer.wrap(value);
            final boolean live = bytes.get() == 1;
            final int endpointCount = bytes.getInt();
            final int labelCount = bytes.getInt();
            final List<String> labels = new ArrayList<>();
            for (int i = 0; i < labelCount; i++) {
                labels.add(text(bytes));
            }
            final String facts = text(bytes);
            requireEnd(bytes);
            return new IdentityRow(number(key), facts, live, labels, endpointCount);
        } catch (final BufferUnderflowException e) {
            throw new IllegalArgumentException("not an identity", e);
        }
    }

    private static int number(final byte[] key) {
        if (key.length != 4) {
            throw new IllegalArgumentException("not an identity's number");
        }
        return ByteBuffer.wrap(key).getInt();
    }

    static byte[] prefixKey(final Cidr prefix) {
        return ByteBuffer.allocate(17)
                .putLong(prefix.network().high())
                .putLong(prefix.network().low())
                .put((byte) prefix.lengthBits())
                .array();
    }

    static byte[] prefixValue(final PrefixRow row) {
        final byte[] endpoint = utf8(row.endpoint());
        return ByteBuffer.allocate(9 + endpoint.length)
                .putInt(row.identity())
                .put((byte) row.source().code())
                .putInt(endpoint.length)
                .put(endpoint)
                .array();
    }

    static PrefixRow prefix(final byte[] key, final byte[] value) {
        try {
            final ByteBuffer prefix = ByteBuffer.wrap(key);
            final IpAddress address = new IpAddress(prefix.getLong(), prefix.getLong());
            final Cidr cidr = new Cidr(address, prefix.get() & 0xff);
            requireEnd(prefix);
            final ByteBuffer bytes = ByteBuffer.wrap(value);
            final int identity = bytes.getInt();
            final PrefixRow.Source source = source(bytes.get());
            final String endpoint = text(bytes);
            requireEnd(bytes);
            return new PrefixRow(cidr, identity, source, endpoint);
        } catch (final BufferUnderflowException e) {
            throw new IllegalArgumentException("not a prefix", e);
        }
    }

    private static PrefixRow.Source source(final int code) {
        for (final PrefixRow.Source source : PrefixRow.Source.values()) {
            if (source.code() == code) {
                return source;
            }
        }
        throw new IllegalArgumentException("source " + code);
    }

    static byte[] nameKey(final NameRow row) {
        return nameKey(row.name(), row.address(), row.endpoint());
    }

    static byte[] nameKey(final String text, final IpAddress address, final String owner) {
        final byte[] name = utf8(text);
        final byte[] endpoint = utf8(owner);
        return ByteBuffer.allocate(24 + name.length + endpoint.length)
                .putInt(name.length)
                .put(name)
                .putInt(endpoint.length)
                .put(endpoint)
                .putLong(address.high())
                .putLong(address.low())
                .array();
    }

    static byte[] nameValue(final NameRow row) {
        return ByteBuffer.allocate(17)
                .putLong(row.learnedAt().toEpochMilli())
                .putLong(row.expiresAt().toEpochMilli())
                .put((byte) (row.zombie() ? 1 : 0))
                .array();
    }

    static NameRow name(final byte[] key, final byte[] value) {
        try {
            final ByteBuffer bytes = ByteBuffer.wrap(key);
            final String name = text(bytes);
            final String endpoint = text(bytes);
            final IpAddress address = new IpAddress(bytes.getLong(), bytes.getLong());
            requireEnd(bytes);
            final ByteBuffer facts = ByteBuffer.wrap(value);
            final Instant learnedAt = Instant.ofEpochMilli(facts.getLong());
            final Instant expiresAt = Instant.ofEpochMilli(facts.getLong());
            final boolean zombie = facts.get() == 1;
            requireEnd(facts);
            return new NameRow(name, address, endpoint, learnedAt, expiresAt, zombie);
        } catch (final BufferUnderflowException e) {
            throw new IllegalArgumentException("not a name", e);
        }
    }

    private static byte[] utf8(final String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(final ByteBuffer bytes) {
        final int length = bytes.getInt();
        if (length < 0 || length > bytes.remaining()) {
            throw new IllegalArgumentException("a text of " + length + " bytes");
        }
        final String text =
                new String(
                        bytes.array(),
                        bytes.arrayOffset() + bytes.position(),
                        length,
                        StandardCharsets.UTF_8);
        bytes.position(bytes.position() + length);
        return text;
    }

    private static void requireEnd(final ByteBuffer bytes) {
        if (bytes.hasRemaining()) {
            throw new IllegalArgumentException(bytes.remaining() + " bytes too many");
        }
    }
}
