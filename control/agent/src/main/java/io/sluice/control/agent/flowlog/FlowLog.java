package io.sluice.control.agent.flowlog;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A log of numbered entries with times, on disk: append-only, bounded by size and age, whole after
 * a kill at any moment.
 *
 * <p><b>Theory of operation.</b> Entries come in blocks of opaque bytes. Big blocks go to the
 * active segment, {@code flows-NUMBER}; a segment that has its size or its age is closed by a
 * footer, and a new one begins ({@link Segment}). What has not filled a block yet goes to the
 * <i>tail</i>, {@code tail-NUMBER}, in small blocks as they come, and once more to a segment when
 * there is enough: so few entries a second neither wait for a block to fill up, where a kill would
 * lose them, nor make blocks of one entry each, which cost ten times the room and time. The tail
 * begins anew after each block of a segment, and only after it. A kill between the two leaves
 * entries in both; numbers say which those are.
 *
 * <p><b>Finding.</b> Of every block its place, numbers and times are in memory, some 100 bytes for
 * a block of some 30 KB, and a Bloom filter of what it can be asked for is in the footer. A
 * question reads the footers of the segments of its time, and inflates the blocks that may answer
 * it.
 *
 * <p><b>Limits.</b> Before a write that would make the files larger than {@link
 * LogLimits#bytesMax}, the oldest segments are deleted. A segment whose latest entry is older than
 * {@link LogLimits#ageMax} is deleted at the next write or {@link #retain}; readers do not see
 * older entries that are still in a younger segment. A reader that is in the middle of a segment
 * when that is deleted reads it to its end. A clock that jumps makes times of a segment wide, and
 * questions slower; not wrong.
 *
 * <p><b>Failures.</b> A write that fails leaves the file as it was, throws, and may be tried again:
 * the block is lost unless it is. Bytes written are with the kernel: they survive the process, not
 * a power cut; a closed segment survives both. A block whose checksum is wrong is left out and
 * counted.
 *
 * <p><b>Two processes.</b> During a hand-over the successor opens the log beside its predecessor
 * ({@link Start#BESIDE}): it reads what is there, writes files of its own with numbers far above,
 * and leaves the predecessor's open files alone until {@link #adopt}.
 *
 * <p>Thread: one writer; {@link #read} and the numbers any. The lock is held for changes of lists
 * in memory, never for a write.
 */
public final class FlowLog implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(FlowLog.class);

    /** How a log is opened. */
    public enum Start {
        /** Nobody else writes: what a killed process left is made whole. */
        ALONE,
        /** Another process still writes. */
        BESIDE
    }

    /** Opens a file for reading and writing, and makes it if it is not there. */
    @FunctionalInterface
    interface FileOpener {
        FileChannel open(Path file) throws IOException;
    }

    /** Numbers that a predecessor may still give away beside its successor. */
    static final long NUMBERS_BESIDE = 1L << 32;

    private static final String SEGMENT_PREFIX = "flows-";
    private static final String TAIL_PREFIX = "tail-";

    /** Flows name addresses, paths and names that people asked for. */
    private static final FileAttribute<Set<PosixFilePermission>> FILE_MODE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private static final FileAttribute<Set<PosixFilePermission>> FOLDER_MODE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

    private final Path folder;
    private final LogLimits limits;
    private final InstantSource clock;
    private final FileOpener opener;
    // Level 1: level 6 makes files a tenth smaller in three times the time.
    private final Deflater deflater = new Deflater(Deflater.BEST_SPEED);

    private final ReentrantLock lock = new ReentrantLock();

    // Guarded by lock: written by the writer, read by any. Oldest first; the active one, if there
    // is one, is among them.
    private final List<Segment> segments = new ArrayList<>();
    private long damagedBlocks;

    // The writer's.
    private final List<Path> recoveredTails = new ArrayList<>();
    private List<byte[]> recovered = List.of();
    private volatile long foreignTailBytes;
    private long nextSequence;
    private Optional<Growing> active = Optional.empty();
    // Read by any, too, for its size.
    private volatile Optional<Growing> tail = Optional.empty();

    /** A segment that grows. */
    private record Growing(Segment segment, FileChannel channel) {}

    private FlowLog(
            final Path folder,
            final LogLimits limits,
            final InstantSource clock,
            final FileOpener opener) {
        this.folder = folder;
        this.limits = limits;
        this.clock = clock;
        this.opener = opener;
    }

    /**
     * Opens the log of a folder.
     *
     * @param folder made if it is not there
     */
    public static FlowLog open(
            final Path folder, final LogLimits limits, final InstantSource clock, final Start start)
            throws IOException {
        return open(folder, limits, clock, start, FlowLog::openFile);
    }

    static FlowLog open(
            final Path folder,
            final LogLimits limits,
            final InstantSource clock,
            final Start start,
            final FileOpener opener)
            throws IOException {
        Files.createDirectories(folder, FOLDER_MODE);
        final FlowLog log = new FlowLog(folder, limits, clock, opener);
        log.load(start);
        log.retain();
        return log;
    }

    static FileChannel openFile(final Path file) throws IOException {
        return FileChannel.open(
                file,
                Set.of(
                        StandardOpenOption.CREATE,
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE),
                FILE_MODE);
    }

    private void load(final Start start) throws IOException {
        final List<Path> files = list(SEGMENT_PREFIX);
        for (int i = 0; i < files.size(); i++) {
            loadSegment(files.get(i), start, i == files.size() - 1);
        }
        for (final Segment segment : segments) {
            nextSequence = Math.max(nextSequence, segment.places().getLast().lastSequence() + 1);
        }
        if (start == Start.ALONE) {
            recoverTails();
        } else {
            // Of a tail that grows only the numbers count: its flows come with adopt().
            nextSequence += NUMBERS_BESIDE;
        }
    }

    private void loadSegment(final Path file, final Start start, final boolean isLast)
            throws IOException {
        final FileChannel channel = opener.open(file);
        final Segment segment = Segment.open(file, channel);
        if (start == Start.ALONE && !segment.isClosed()) {
            segment.cut(channel);
            if (segment.places().isEmpty()) {
                channel.close();
                Files.deleteIfExists(file);
                return;
            }
            if (isLast && segment.bytes() < limits.segmentBytes()) {
                segments.add(segment);
                active = Optional.of(new Growing(segment, channel));
                return;
            }
            segment.writeFooter(channel);
            segment.closed();
        }
        channel.close();
        if (!segment.places().isEmpty()) {
            segments.add(segment);
        }
    }

    /** What killed processes had not put into segments. */
    private void recoverTails() throws IOException {
        final List<byte[]> blocks = new ArrayList<>();
        final long stored = nextSequence;
        long tailBytes = 0;
        for (final Path file : list(TAIL_PREFIX)) {
            if (isFileOf(tail, file)) {
                continue;
            }
            try (FileChannel channel = opener.open(file)) {
                final Segment segment = Segment.open(file, channel);
                for (final BlockPlace place : segment.places()) {
                    if (isNew(place, stored)) {
                        blocks.add(inflate(Segment.read(channel, place), place));
                        nextSequence = Math.max(nextSequence, place.lastSequence() + 1);
                    }
                }
                tailBytes += channel.size();
            }
            recoveredTails.add(file);
        }
        foreignTailBytes = tailBytes;
        recovered = List.copyOf(blocks);
        if (blocks.isEmpty()) {
            dropRecovered();
        }
    }

    /** Whether the block is in no segment. After a hand-over numbers below the last may be new. */
    private boolean isNew(final BlockPlace place, final long stored) {
        if (place.lastSequence() >= stored) {
            return true;
        }
        return segments.stream().allMatch(segment -> isInNone(place, segment.places()));
    }

    private static boolean isInNone(final BlockPlace place, final List<BlockPlace> others) {
        for (final BlockPlace other : others) {
            if (other.firstSequence() <= place.lastSequence()
                    && place.firstSequence() <= other.lastSequence()) {
                return false;
            }
        }
        return true;
    }

    private List<Path> list(final String prefix) throws IOException {
        return list(folder, prefix);
    }

    private static List<Path> list(final Path folder, final String prefix) throws IOException {
        final List<Path> files = new ArrayList<>();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, prefix + "*")) {
            found.forEach(files::add);
        }
        // Numbers in names have leading zeros.
        files.sort(null);
        return files;
    }

    /**
     * Entries that a killed process left in its tail, block by block: to be given to {@link
     * #appendRecovered} in one block.
     */
    public List<byte[]> recovered() {
        return recovered;
    }

    /** Number for the next entry: higher than any that is there. */
    public long nextSequence() {
        return nextSequence;
    }

    /**
     * Takes over what a predecessor left that has ended since.
     *
     * <p>{@link #recovered} then has the entries of its tail, if it did not end in good order.
     */
    public void adopt() throws IOException {
        for (final Path file : list(SEGMENT_PREFIX)) {
            if (!isFileOf(active, file) && !isClosed(file)) {
                adopt(file);
            }
        }
        recoverTails();
    }

    private static boolean isFileOf(final Optional<Growing> growing, final Path file) {
        return growing.isPresent() && growing.get().segment().file().equals(file);
    }

    private boolean isClosed(final Path file) {
        for (final Segment segment : segments) {
            if (segment.file().equals(file)) {
                return segment.isClosed();
            }
        }
        return false;
    }

    private void adopt(final Path file) throws IOException {
        try (FileChannel channel = opener.open(file)) {
            final Segment segment = Segment.open(file, channel);
            if (!segment.isClosed() && !segment.places().isEmpty()) {
                segment.cut(channel);
                segment.writeFooter(channel);
                segment.closed();
            }
            replace(file, segment);
            if (segment.places().isEmpty()) {
                Files.deleteIfExists(file);
            }
        }
    }

    private void replace(final Path file, final Segment segment) {
        lock.lock();
        try {
            segments.removeIf(known -> known.file().equals(file));
            insert(segment);
        } finally {
            lock.unlock();
        }
    }

    /** Segments are in the order of their first numbers. */
    private void insert(final Segment segment) {
        if (segment.places().isEmpty()) {
            return;
        }
        final long first = segment.places().getFirst().firstSequence();
        int at = segments.size();
        while (at > 0 && segments.get(at - 1).places().getFirst().firstSequence() > first) {
            at--;
        }
        segments.add(at, segment);
    }

    /**
     * Appends a block for good; the tail begins anew.
     *
     * @throws IOException when it could not be written; nothing has changed then
     */
    public void append(final LogBlock block) throws IOException {
        write(block);
        if (tail.isPresent()) {
            final Growing full = tail.get();
            tail =
                    Optional.of(
                            new Growing(
                                    Segment.create(full.segment().file(), full.channel()),
                                    full.channel()));
        }
    }

    /** Appends what {@link #recovered} gave, in one block. */
    public void appendRecovered(final LogBlock block) throws IOException {
        final boolean isOld =
                active.isPresent()
                        && block.firstSequence()
                                < active.get().segment().places().getLast().lastSequence();
        if (isOld) {
            // Of a predecessor, and so before all that is in the active segment.
            final Path file = segmentFile(block.firstSequence());
            try (FileChannel channel = opener.open(file)) {
                final Segment segment = Segment.create(file, channel);
                final ByteBuffer bytes = segment.layOut(block, deflater);
                segment.write(channel, bytes);
                segment.added(block, bytes);
                segment.writeFooter(channel);
                segment.closed();
                replace(file, segment);
            }
        } else {
            write(block);
        }
        dropRecovered();
    }

    private void dropRecovered() throws IOException {
        for (final Path file : recoveredTails) {
            Files.deleteIfExists(file);
        }
        recoveredTails.clear();
        recovered = List.of();
        foreignTailBytes = 0;
    }

    private void write(final LogBlock block) throws IOException {
        if (active.isPresent() && isDone(active.get().segment())) {
            closeActive(active.get());
        }
        if (active.isPresent()) {
            final Segment segment = active.get().segment();
            final ByteBuffer bytes = segment.layOut(block, deflater);
            makeRoom(bytes.remaining());
            segment.write(active.get().channel(), bytes);
            added(segment, block, bytes);
        } else {
            begin(block);
        }
        nextSequence = Math.max(nextSequence, block.lastSequence() + 1);
    }

    /** Begins a segment, which is there only with its first block. */
    private void begin(final LogBlock block) throws IOException {
        final Path file = segmentFile(block.firstSequence());
        final FileChannel channel = opener.open(file);
        try {
            final Segment segment = Segment.create(file, channel);
            final ByteBuffer bytes = segment.layOut(block, deflater);
            makeRoom(bytes.remaining());
            segment.write(channel, bytes);
            added(segment, block, bytes);
            active = Optional.of(new Growing(segment, channel));
        } catch (final IOException e) {
            channel.close();
            Files.deleteIfExists(file);
            throw e;
        }
    }

    private void added(final Segment segment, final LogBlock block, final ByteBuffer bytes) {
        lock.lock();
        try {
            segment.added(block, bytes);
            if (segment.places().size() == 1) {
                segments.add(segment);
            }
        } finally {
            lock.unlock();
        }
    }

    private Path segmentFile(final long firstSequence) {
        return folder.resolve("%s%020d".formatted(SEGMENT_PREFIX, firstSequence));
    }

    private boolean isDone(final Segment segment) {
        return segment.bytes() >= limits.segmentBytes()
                || segment.places()
                        .getFirst()
                        .earliest()
                        .isBefore(clock.instant().minus(limits.segmentAge()));
    }

    private void closeActive(final Growing done) throws IOException {
        makeRoom(done.segment().footerBytes());
        done.segment().writeFooter(done.channel());
        lock.lock();
        try {
            done.segment().closed();
        } finally {
            lock.unlock();
        }
        active = Optional.empty();
        done.channel().close();
    }

    /**
     * Appends a small block to the tail.
     *
     * @throws IOException when it could not be written: a kill would lose its entries
     */
    public void appendTail(final LogBlock block) throws IOException {
        if (tail.isEmpty()) {
            final Path file =
                    folder.resolve("%s%020d".formatted(TAIL_PREFIX, block.firstSequence()));
            final FileChannel channel = opener.open(file);
            tail = Optional.of(new Growing(Segment.create(file, channel), channel));
        }
        final Segment segment = tail.get().segment();
        final ByteBuffer bytes = segment.layOut(block, deflater);
        makeRoom(bytes.remaining());
        segment.write(tail.get().channel(), bytes);
        segment.added(block, bytes);
    }

    /** Deletes segments whose time is over. */
    public void retain() throws IOException {
        final Instant oldest = clock.instant().minus(limits.ageMax());
        while (!segments.isEmpty() && isOver(segments.getFirst(), oldest)) {
            deleteOldest();
        }
    }

    private static boolean isOver(final Segment segment, final Instant oldest) {
        if (!segment.isClosed()) {
            return false;
        }
        for (final BlockPlace place : segment.places()) {
            if (!place.latest().isBefore(oldest)) {
                return false;
            }
        }
        return true;
    }

    private void makeRoom(final int bytes) throws IOException {
        retain();
        while (bytes() + bytes > limits.bytesMax()
                && !segments.isEmpty()
                && segments.getFirst().isClosed()) {
            deleteOldest();
        }
    }

    private void deleteOldest() throws IOException {
        final Path file = segments.getFirst().file();
        Files.deleteIfExists(file);
        lock.lock();
        try {
            segments.removeFirst();
        } finally {
            lock.unlock();
        }
    }

    /** Size of all files, in bytes. */
    public long bytes() {
        long bytes = foreignTailBytes + tail.map(growing -> growing.segment().bytes()).orElse(0L);
        lock.lock();
        try {
            for (final Segment segment : segments) {
                bytes += segment.bytes();
            }
        } finally {
            lock.unlock();
        }
        return bytes;
    }

    /** Entries of all segments; those of the tail are the writer's. */
    public long entries() {
        long entries = 0;
        lock.lock();
        try {
            for (final Segment segment : segments) {
                for (final BlockPlace place : segment.places()) {
                    entries += place.count();
                }
            }
        } finally {
            lock.unlock();
        }
        return entries;
    }

    /** Blocks that were not what had been written, since the log was opened. */
    public long damagedBlocks() {
        lock.lock();
        try {
            return damagedBlocks;
        } finally {
            lock.unlock();
        }
    }

    private void damaged() {
        lock.lock();
        try {
            damagedBlocks++;
        } finally {
            lock.unlock();
        }
    }

    /** Which way a reader goes. */
    public enum Direction {
        FORWARD,
        BACKWARD
    }

    /** The blocks of a question, as of now. Thread: any. */
    public BlockCursor read(final BlockQuery query, final Direction direction) {
        final Instant oldest = clock.instant().minus(limits.ageMax());
        final BlockQuery clipped =
                new BlockQuery(
                        query.from().isBefore(oldest) ? oldest : query.from(),
                        query.until(),
                        query.fromSequence(),
                        query.beforeSequence(),
                        query.clauses());
        final List<BlockCursor.Part> parts = new ArrayList<>();
        lock.lock();
        try {
            for (final Segment segment : segments) {
                parts.add(
                        new BlockCursor.Part(
                                segment.file(),
                                segment.isClosed(),
                                segment.isClosed()
                                        ? segment.places()
                                        : List.copyOf(segment.places()),
                                List.copyOf(segment.filters())));
            }
        } finally {
            lock.unlock();
        }
        return new BlockCursor(clipped, direction, parts, this::damaged);
    }

    /**
     * The blocks of a folder, without a change to it: those of segments, oldest first, then those
     * that are in a tail and in no segment. Beside a writer, what is on its way from the tail to a
     * segment may be missing.
     *
     * @param from least time of an entry
     * @param damaged is told of each block that is left out because it is not what was written
     */
    public static BlockCursor readOnly(
            final Path folder, final Instant from, final Runnable damaged) throws IOException {
        final List<BlockCursor.Part> parts = new ArrayList<>();
        final List<BlockPlace> stored = new ArrayList<>();
        for (final String prefix : List.of(SEGMENT_PREFIX, TAIL_PREFIX)) {
            for (final Path file : list(folder, prefix)) {
                try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
                    final List<BlockPlace> places =
                            Segment.open(file, channel).places().stream()
                                    .filter(place -> isInNone(place, stored))
                                    .toList();
                    parts.add(new BlockCursor.Part(file, false, places, List.of()));
                } catch (final NoSuchFileException e) {
                    // Its time was over, or a tail has become a segment's: read that.
                    LOG.debug("{} was deleted before it was read", file, e);
                }
            }
            parts.forEach(part -> stored.addAll(part.places()));
        }
        return new BlockCursor(
                new BlockQuery(from, Instant.MAX, 0, Long.MAX_VALUE, List.of()),
                Direction.FORWARD,
                parts,
                damaged);
    }

    /** Entries of a block. */
    static byte[] inflate(final ByteBuffer stored, final BlockPlace place)
            throws Segment.DamagedException {
        final byte[] raw = new byte[place.rawBytes()];
        if (place.rawBytes() == place.storedBytes()) {
            stored.get(raw);
            return raw;
        }
        try (Inflater inflater = new Inflater()) {
            inflater.setInput(stored);
            if (inflater.inflate(raw) != raw.length) {
                throw new Segment.DamagedException("block at " + place.offset() + ": too short");
            }
            return raw;
        } catch (final DataFormatException e) {
            final Segment.DamagedException damaged =
                    new Segment.DamagedException("block at " + place.offset() + ": " + e);
            damaged.initCause(e);
            throw damaged;
        }
    }

    /** Ends the writing; the tail goes away if there is nothing in it. */
    @Override
    public void close() throws IOException {
        try (Deflater _ = deflater) {
            if (active.isPresent()) {
                active.get().channel().close();
            }
            if (tail.isPresent()) {
                tail.get().channel().close();
                if (tail.get().segment().places().isEmpty()) {
                    Files.deleteIfExists(tail.get().segment().file());
                }
            }
        }
    }
}
