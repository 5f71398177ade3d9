package io.sluice.control.agent.flowlog;

import java.nio.ByteBuffer;
import java.time.Instant;

/**
 * Where a block is in its file, and what its header says.
 *
 * @param offset of the header in the file, in bytes
 * @param filterBytes length of the key filter after the header
 * @param storedBytes length of the entries in the file
 * @param rawBytes length of the entries when inflated; the same as {@code storedBytes} if they are
 *     not deflated
 */
record BlockPlace(
        int offset,
        int filterBytes,
        int storedBytes,
        int rawBytes,
        int count,
        long firstSequence,
        long lastSequence,
        Instant earliest,
        Instant latest) {
    /** {@code SLFB}. */
    static final int MAGIC = 0x534c4642;

    /** Magic, checksum of what follows, four lengths, two numbers, two times. */
    static final int HEADER_BYTES = 64;

    /** Bytes of a header that the checksum does not cover: magic and the checksum itself. */
    static final int UNCHECKED_BYTES = 8;

    /** Entries of one block, inflated: many times what a writer puts there. */
    private static final int RAW_BYTES_MAX = 64 << 20;

    /** First byte after the block. */
    long end() {
        return (long) offset + HEADER_BYTES + filterBytes + storedBytes;
    }

    /** Everything of the header but magic and checksum. */
    void write(final ByteBuffer into) {
        into.putInt(filterBytes).putInt(storedBytes).putInt(rawBytes).putInt(count);
        into.putLong(firstSequence).putLong(lastSequence);
        into.putLong(earliest.getEpochSecond()).putInt(earliest.getNano());
        into.putLong(latest.getEpochSecond()).putInt(latest.getNano());
    }

    static BlockPlace read(final ByteBuffer from, final int offset) {
        return new BlockPlace(
                offset,
                from.getInt(),
                from.getInt(),
                from.getInt(),
                from.getInt(),
                from.getLong(),
                from.getLong(),
                instant(from),
                instant(from));
    }

    private static Instant instant(final ByteBuffer from) {
        final long second = from.getLong();
        final int nano = from.getInt();
        // Whatever the bytes are: the checksum is looked at afterwards.
        return Math.abs(second) > Instant.MAX.getEpochSecond() / 2
                ? Instant.MAX
                : Instant.ofEpochSecond(second, nano);
    }

    /** Whether the lengths can be those of a block that ends within the file. */
    boolean fits(final long fileBytes) {
        return filterBytes >= 0
                && storedBytes > 0
                && rawBytes >= storedBytes
                && rawBytes <= RAW_BYTES_MAX
                && count > 0
                && end() <= fileBytes;
    }
}
