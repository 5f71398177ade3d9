package io.sluice.control.agent.flowlog;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Blocks of a log in the order of their numbers or against it, as they were when the cursor was
 * made. Segments that were deleted since are left out; the one being read is read to its end.
 *
 * <p>Thread: one.
 */
public final class BlockCursor implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(BlockCursor.class);

    /** A segment as it was: a closed one has its filters in the file. */
    record Part(Path file, boolean closed, List<BlockPlace> places, List<KeyFilter> filters) {}

    /**
     * A block.
     *
     * @param firstSequence number of its first entry
     * @param bytes its entries
     */
    @SuppressWarnings("ArrayRecordComponent") // Decoded at once.
    public record Block(long firstSequence, byte[] bytes) {}

    private final BlockQuery query;
    private final int step;
    private final List<Part> parts;
    private final Runnable damaged;
    private int part;
    private int place;
    private List<KeyFilter> filters = List.of();
    private Optional<FileChannel> channel = Optional.empty();

    BlockCursor(
            final BlockQuery query,
            final FlowLog.Direction direction,
            final List<Part> parts,
            final Runnable damaged) {
        this.query = query;
        this.step = direction == FlowLog.Direction.FORWARD ? 1 : -1;
        this.parts = parts;
        this.damaged = damaged;
        this.part = step > 0 ? -1 : parts.size();
    }

    /**
     * The next block that may have what is wanted.
     *
     * @return empty at the end
     * @throws UncheckedIOException when a file cannot be read
     */
    public Optional<Block> next() {
        try {
            while (true) {
                if (channel.isEmpty() && !openNext()) {
                    return Optional.empty();
                }
                final List<BlockPlace> places = parts.get(part).places();
                for (place += step; place >= 0 && place < places.size(); place += step) {
                    final BlockPlace candidate = places.get(place);
                    if (query.wants(candidate)
                            && (query.clauses().isEmpty()
                                    || filters.get(place).mayAnswer(query.clauses()))) {
                        final Optional<Block> block = read(candidate);
                        if (block.isPresent()) {
                            return block;
                        }
                    }
                }
                close();
            }
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Optional<Block> read(final BlockPlace candidate) throws IOException {
        try {
            return Optional.of(
                    new Block(
                            candidate.firstSequence(),
                            FlowLog.inflate(
                                    Segment.read(channel.orElseThrow(), candidate), candidate)));
        } catch (final Segment.DamagedException e) {
            damaged.run();
            LOG.warn("{}: left out: {}", parts.get(part).file(), e.getMessage());
            return Optional.empty();
        }
    }

    /** Opens the next segment that has a block of the wanted times and numbers. */
    private boolean openNext() throws IOException {
        for (part += step; part >= 0 && part < parts.size(); part += step) {
            final Part candidate = parts.get(part);
            if (candidate.places().stream().noneMatch(query::wants)) {
                continue;
            }
            try {
                final FileChannel opened =
                        FileChannel.open(candidate.file(), StandardOpenOption.READ);
                channel = Optional.of(opened);
                if (!query.clauses().isEmpty()) {
                    filters =
                            candidate.closed()
                                    ? Segment.readFilters(opened, candidate.places().size())
                                    : candidate.filters();
                }
                place = step > 0 ? -1 : candidate.places().size();
                return true;
            } catch (final NoSuchFileException e) {
                LOG.debug("{} was deleted before it was read", candidate.file(), e);
            }
        }
        return false;
    }

    /** Lets go of the file being read. */
    @Override
    public void close() throws IOException {
        if (channel.isPresent()) {
            final FileChannel open = channel.get();
            channel = Optional.empty();
            open.close();
        }
    }
}
