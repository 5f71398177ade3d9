package io.sluice.control.agent;

import java.io.IOException;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.status.CountersManager;
import org.agrona.concurrent.status.CountersReader;

/**
 * The lanes' counters in a mapped file of the run folder, readable by another process while the
 * daemon runs, hangs or has crashed (Agrona's layout: labels first, then values). Each lane has a
 * counter of its own under every label.
 *
 * <p>Thread: each counter has one writer; read by any.
 */
final class LaneCounterFile implements AutoCloseable {
    /** Counters of a lane there is room for; it has about 130. 640 bytes each, 160 KiB in all. */
    private static final int COUNTERS_PER_LANE = 256;

    private final Path file;
    private final Optional<Object> key;
    private final MappedByteBuffer mapping;
    private final CountersManager manager;

    private LaneCounterFile(
            final Path file,
            final Optional<Object> key,
            final MappedByteBuffer mapping,
            final CountersManager manager) {
        this.file = file;
        this.key = key;
        this.mapping = mapping;
        this.manager = manager;
    }

    /**
     * Makes the file, with all counters at 0; what a crashed daemon left there is overwritten.
     *
     * @param lanes that count
     * @throws StartupException when it cannot be written
     */
    static LaneCounterFile create(final Path file, final int lanes) throws StartupException {
        final int counters = COUNTERS_PER_LANE * lanes;
        final int labelBytes = counters * CountersReader.METADATA_LENGTH;
        final int valueBytes = counters * CountersReader.COUNTER_LENGTH;
        try {
            // A new file, so that a reader that still maps the old one is not written under.
            Files.deleteIfExists(file);
            try (FileChannel channel =
                    FileChannel.open(
                            file,
                            StandardOpenOption.CREATE_NEW,
                            StandardOpenOption.READ,
                            StandardOpenOption.WRITE)) {
                final MappedByteBuffer mapping =
                        channel.map(FileChannel.MapMode.READ_WRITE, 0, labelBytes + valueBytes);
                return new LaneCounterFile(
                        file,
                        fileKey(file),
                        mapping,
                        new CountersManager(
                                new UnsafeBuffer(mapping, 0, labelBytes),
                                new UnsafeBuffer(mapping, labelBytes, valueBytes)));
            }
        } catch (final IOException e) {
            throw new StartupException("%s: %s".formatted(file, e), e);
        }
    }

    CountersManager manager() {
        return manager;
    }

    /** All counters now, by label: of each the sum of the lanes. */
    Map<String, Long> values() {
        final Map<String, Long> values = new TreeMap<>();
        manager.forEach((value, counterId, label) -> values.merge(label, value, Long::sum));
        return values;
    }

    /** Removes the file; only after every writer has ended. */
    @Override
    public void close() throws IOException {
        // A successor may have put a file of its own in the place.
        if (fileKey(file).equals(key)) {
            Files.deleteIfExists(file);
        }
        BufferUtil.free(mapping);
    }

    private static Optional<Object> fileKey(final Path file) throws IOException {
        return Files.exists(file)
                ? Optional.ofNullable(
                        Files.readAttributes(file, BasicFileAttributes.class).fileKey())
                : Optional.empty();
    }
}
