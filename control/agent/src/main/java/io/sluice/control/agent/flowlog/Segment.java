package io.sluice.control.agent.flowlog;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import java.util.zip.Deflater;

/**
 * One file of a log.
 *
 * <pre>
 *   SLUICEF1  8 bytes: what it is, and the format
 *   block     SLFB, CRC-32C, header, key filter, entries (deflated where that is shorter)
 *   ...
 *   footer    for each block: offset, header, key filter     only when closed
 *   trailer   CRC-32C of the footer, its offset, SLFE        only when closed
 * </pre>
 *
 * <p>A file grows at its end and is never changed elsewhere. It is closed by its footer, in which
 * questions find what to read; of a file without one the blocks are looked at from the start, and
 * what comes after the last whole block is the work of a moment that a kill cut short.
 *
 * <p>Thread: the writer's; {@link #read} any, on a channel of its own.
 */
final class Segment {
    private static final long MAGIC = 0x534c554943454631L;
    private static final int TRAILER_MAGIC = 0x534c4645;
    private static final int FILE_HEADER_BYTES = 8;
    private static final int TRAILER_BYTES = 12;

    private final Path file;
    private final List<BlockPlace> places = new ArrayList<>();
    private final List<KeyFilter> filters = new ArrayList<>();
    private long endBytes;
    private boolean closed;

    private Segment(final Path file) {
        this.file = file;
    }

    /** A file that begins. */
    static Segment create(final Path file, final FileChannel channel) throws IOException {
        final Segment segment = new Segment(file);
        channel.truncate(0);
        writeFully(channel, ByteBuffer.allocate(FILE_HEADER_BYTES).putLong(MAGIC).flip(), 0);
        segment.endBytes = FILE_HEADER_BYTES;
        return segment;
    }

    /**
     * What is whole in a file.
     *
     * @return a segment without blocks where it is no file of this format
     */
    static Segment open(final Path file, final FileChannel channel) throws IOException {
        final Segment segment = new Segment(file);
        final long fileBytes = channel.size();
        if (fileBytes < FILE_HEADER_BYTES
                || readFully(channel, 0, FILE_HEADER_BYTES).getLong() != MAGIC) {
            return segment;
        }
        segment.endBytes = FILE_HEADER_BYTES;
        segment.closed = segment.readFooter(channel, fileBytes);
        if (!segment.closed) {
            segment.scan(channel, fileBytes);
        }
        return segment;
    }

    private boolean readFooter(final FileChannel channel, final long fileBytes) throws IOException {
        final int footerOffset = footerOffset(channel, fileBytes);
        if (footerOffset == 0) {
            return false;
        }
        final ByteBuffer footer =
                readFully(channel, footerOffset, (int) fileBytes - TRAILER_BYTES - footerOffset);
        if (crc(footer) != readFully(channel, fileBytes - TRAILER_BYTES, 4).getInt()) {
            return false;
        }
        while (footer.hasRemaining()) {
            final BlockPlace place = BlockPlace.read(footer, footer.getInt());
            footer.position(footer.position() + place.filterBytes());
            places.add(place);
        }
        endBytes = fileBytes;
        return true;
    }

    /** 0 where there is none. */
    private static int footerOffset(final FileChannel channel, final long fileBytes)
            throws IOException {
        if (fileBytes < FILE_HEADER_BYTES + TRAILER_BYTES || fileBytes > Integer.MAX_VALUE) {
            return 0;
        }
        final ByteBuffer trailer = readFully(channel, fileBytes - TRAILER_BYTES, TRAILER_BYTES);
        final int offset = trailer.getInt(4);
        return trailer.getInt(8) == TRAILER_MAGIC
                        && offset >= FILE_HEADER_BYTES
                        && offset <= fileBytes - TRAILER_BYTES
                ? offset
                : 0;
    }

    private void scan(final FileChannel channel, final long fileBytes) throws IOException {
        while (endBytes + BlockPlace.HEADER_BYTES <= fileBytes && endBytes <= Integer.MAX_VALUE) {
            final ByteBuffer header = readFully(channel, endBytes, BlockPlace.HEADER_BYTES);
            final int magic = header.getInt();
            final int crc = header.getInt();
            final BlockPlace place = BlockPlace.read(header, (int) endBytes);
            if (magic != BlockPlace.MAGIC || !place.fits(fileBytes)) {
                return;
            }
            final ByteBuffer checked = checkedBytes(channel, place);
            if (crc(checked) != crc) {
                return;
            }
            checked.position(BlockPlace.HEADER_BYTES - BlockPlace.UNCHECKED_BYTES);
            places.add(place);
            filters.add(KeyFilter.read(checked, place.filterBytes()));
            endBytes = place.end();
        }
    }

    private static ByteBuffer checkedBytes(final FileChannel channel, final BlockPlace place)
            throws IOException {
        return readFully(
                channel,
                place.offset() + BlockPlace.UNCHECKED_BYTES,
                (int) (place.end() - place.offset()) - BlockPlace.UNCHECKED_BYTES);
    }

    private static int crc(final ByteBuffer bytes) {
        final CRC32C crc = new CRC32C();
        crc.update(bytes.duplicate());
        return (int) crc.getValue();
    }

    /**
     * The bytes of the block that {@link #write} takes, for the place that is next.
     *
     * @param deflater reset and ready
     */
    ByteBuffer layOut(final LogBlock block, final Deflater deflater) {
        final byte[] deflated = new byte[block.bytes().length];
        deflater.reset();
        deflater.setInput(block.bytes());
        deflater.finish();
        final int length = deflater.deflate(deflated);
        final boolean shorter = deflater.finished() && length < block.bytes().length;
        final BlockPlace place =
                new BlockPlace(
                        (int) endBytes,
                        block.keys().bytes(),
                        shorter ? length : block.bytes().length,
                        block.bytes().length,
                        block.count(),
                        block.firstSequence(),
                        block.lastSequence(),
                        block.earliest(),
                        block.latest());
        final ByteBuffer bytes = ByteBuffer.allocate((int) (place.end() - place.offset()));
        bytes.putInt(BlockPlace.MAGIC).putInt(0);
        place.write(bytes);
        block.keys().write(bytes);
        bytes.put(shorter ? deflated : block.bytes(), 0, place.storedBytes());
        bytes.flip();
        bytes.putInt(4, crc(bytes.slice(8, bytes.limit() - 8)));
        return bytes;
    }

    /**
     * Writes what {@link #layOut} made; it counts with {@link #added}.
     *
     * @throws IOException when it was not written; the file then ends where it ended before
     */
    void write(final FileChannel channel, final ByteBuffer bytes) throws IOException {
        writeOrCut(channel, bytes.duplicate());
    }

    /** What was written is a block from now on. */
    void added(final LogBlock block, final ByteBuffer bytes) {
        places.add(
                BlockPlace.read(
                        bytes.duplicate().position(BlockPlace.UNCHECKED_BYTES), (int) endBytes));
        filters.add(block.keys());
        endBytes += bytes.remaining();
    }

    private void writeOrCut(final FileChannel channel, final ByteBuffer bytes) throws IOException {
        try {
            writeFully(channel, bytes, endBytes);
        } catch (final IOException e) {
            channel.truncate(endBytes);
            throw e;
        }
    }

    /** Bytes that the footer will take. */
    int footerBytes() {
        int bytes = TRAILER_BYTES;
        for (final BlockPlace place : places) {
            bytes +=
                    Integer.BYTES
                            + BlockPlace.HEADER_BYTES
                            - BlockPlace.UNCHECKED_BYTES
                            + place.filterBytes();
        }
        return bytes;
    }

    /** Writes the footer and has the file on the disk; it is closed with {@link #closed}. */
    void writeFooter(final FileChannel channel) throws IOException {
        final int footerBytes = footerBytes() - TRAILER_BYTES;
        final ByteBuffer footer = ByteBuffer.allocate(footerBytes + TRAILER_BYTES);
        for (int i = 0; i < places.size(); i++) {
            footer.putInt(places.get(i).offset());
            places.get(i).write(footer);
            filters.get(i).write(footer);
        }
        final int crc = crc(footer.slice(0, footerBytes));
        footer.putInt(crc).putInt((int) endBytes).putInt(TRAILER_MAGIC).flip();
        writeOrCut(channel, footer);
        channel.force(false);
    }

    /** The file has its footer. */
    void closed() {
        endBytes += footerBytes();
        filters.clear();
        closed = true;
    }

    /** Takes away what is behind the last whole block. */
    void cut(final FileChannel channel) throws IOException {
        channel.truncate(endBytes);
    }

    Path file() {
        return file;
    }

    boolean isClosed() {
        return closed;
    }

    List<BlockPlace> places() {
        return places;
    }

    /** Those of an open file; a closed one has them in its footer. */
    List<KeyFilter> filters() {
        return filters;
    }

    long bytes() {
        return endBytes;
    }

    /** The key filters of a closed file. */
    static List<KeyFilter> readFilters(final FileChannel channel, final int blocks)
            throws IOException {
        final long fileBytes = channel.size();
        final int footerOffset = footerOffset(channel, fileBytes);
        final ByteBuffer footer =
                readFully(channel, footerOffset, (int) fileBytes - TRAILER_BYTES - footerOffset);
        final List<KeyFilter> filters = new ArrayList<>(blocks);
        while (footer.hasRemaining()) {
            final BlockPlace place = BlockPlace.read(footer, footer.getInt());
            filters.add(KeyFilter.read(footer, place.filterBytes()));
        }
        return filters;
    }

    /**
     * Header and entries of a block as they are in the file.
     *
     * @throws DamagedException when they are not what was written
     */
    static ByteBuffer read(final FileChannel channel, final BlockPlace place) throws IOException {
        final int crc = readFully(channel, place.offset() + 4L, 4).getInt();
        final ByteBuffer checked = checkedBytes(channel, place);
        if (crc(checked) != crc) {
            throw new DamagedException("block at " + place.offset() + ": wrong checksum");
        }
        final int skipped =
                BlockPlace.HEADER_BYTES - BlockPlace.UNCHECKED_BYTES + place.filterBytes();
        return checked.slice(skipped, place.storedBytes());
    }

    /** A block is not what was written. */
    static final class DamagedException extends IOException {
        private static final long serialVersionUID = 1L;

        DamagedException(final String message) {
            super(message);
        }
    }

    private static ByteBuffer readFully(
            final FileChannel channel, final long offset, final int bytes) throws IOException {
        final ByteBuffer read = ByteBuffer.allocate(bytes);
        while (read.hasRemaining()) {
            if (channel.read(read, offset + read.position()) < 0) {
                throw new EOFException("the file ends at " + (offset + read.position()));
            }
        }
        return read.flip();
    }

    private static void writeFully(
            final FileChannel channel, final ByteBuffer bytes, final long offset)
            throws IOException {
        long at = offset;
        while (bytes.hasRemaining()) {
            at += channel.write(bytes, at);
        }
    }
}
