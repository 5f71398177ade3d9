package io.sluice.dataplane.port;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.LongSupplier;

/**
 * A port that replays one capture file and records what is sent into another.
 *
 * <p>Both files are classic pcap (draft-ietf-opsawg-pcap) with Ethernet frames. Microsecond and
 * nanosecond files of both byte orders are read; nanosecond little-endian is written. pcapng is not
 * read. The whole input is checked when it is opened, so nothing can go wrong while it is replayed.
 *
 * <p>Frames are replayed as fast as they are asked for; the times in the file do not matter. A
 * capture holds no virtio-net header: on the way in it is zero, on the way out it is left away, so
 * a frame with an open checksum is recorded with its checksum open. After its last frame the port
 * stays quiet, it is not {@link Port#GONE}.
 *
 * <p>Thread: see {@link Port}. Sending writes to the file and may block: this port is for tests and
 * replay.
 */
public final class PcapPort implements Port {
    private static final int FILE_HEADER_BYTES = 24;
    private static final int RECORD_HEADER_BYTES = 16;
    private static final int MAGIC_MICROSECONDS = 0xa1b2_c3d4;
    private static final int MAGIC_NANOSECONDS = 0xa1b2_3c4d;
    private static final int MAGIC_PCAPNG = 0x0a0d_0d0a;
    private static final int LINKTYPE_ETHERNET = 1;

    /** The link type's own bits; the others tell of a frame check sequence. */
    private static final int LINKTYPE_MASK = 0x0fff_ffff;

    private static final long NS_PER_SECOND = 1_000_000_000L;

    private static final int ETHERNET_BYTES_MAX =
            PacketBatch.FRAME_BYTES_MAX - PacketBatch.VNET_HEADER_BYTES;

    private final String name;
    private final int mtu;
    private final Arena arena;
    private final MemorySegment capture;
    private final ValueLayout.OfInt number;
    private final FileChannel output;
    private final LongSupplier clockNs;
    private final ByteBuffer recordHeader =
            ByteBuffer.allocateDirect(RECORD_HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private long next = FILE_HEADER_BYTES;

    private PcapPort(
            final String name,
            final int mtu,
            final Arena arena,
            final MemorySegment capture,
            final ValueLayout.OfInt number,
            final FileChannel output,
            final LongSupplier clockNs) {
        this.name = name;
        this.mtu = mtu;
        this.arena = arena;
        this.capture = capture;
        this.number = number;
        this.output = output;
        this.clockNs = clockNs;
    }

    /**
     * Opens both files and checks the input.
     *
     * @param mtu largest IP packet in bytes
     * @param input capture to replay
     * @param output capture to write; a file of that name is replaced
     * @param clockNs time of sent frames, in nanoseconds since 1970
     * @throws IOException where a file cannot be opened or the input is not as described above; the
     *     message says where and why
     */
    public static PcapPort open(
            final String name,
            final int mtu,
            final Path input,
            final Path output,
            final LongSupplier clockNs)
            throws IOException {
        final Arena arena = Arena.ofShared();
        try {
            final MemorySegment capture;
            try (FileChannel channel = FileChannel.open(input, StandardOpenOption.READ)) {
                capture = channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
            }
            final ValueLayout.OfInt number = checkFileHeader(capture, input);
            checkRecords(capture, number, input);
            return new PcapPort(name, mtu, arena, capture, number, create(output), clockNs);
        } catch (final IOException | RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    /** Whether all frames of the input have been received. */
    public boolean isExhausted() {
        return next == capture.byteSize();
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int mtu() {
        return mtu;
    }

    @Override
    public int receive(final PacketBatch batch) {
        int received = 0;
        while (!isExhausted() && batch.hasRoom()) {
            final int length = capture.get(number, next + 8);
            final int start = batch.nextOffset();
            batch.memory().asSlice(start, PacketBatch.VNET_HEADER_BYTES).fill((byte) 0);
            MemorySegment.copy(
                    capture,
                    next + RECORD_HEADER_BYTES,
                    batch.memory(),
                    start + PacketBatch.VNET_HEADER_BYTES,
                    length);
            batch.add(PacketBatch.VNET_HEADER_BYTES + length);
            next += RECORD_HEADER_BYTES + length;
            received++;
        }
        return received;
    }

    @Override
    public boolean send(final MemorySegment memory, final long offset, final int length) {
        final int ethernetLength = length - PacketBatch.VNET_HEADER_BYTES;
        final long timeNs = clockNs.getAsLong();
        recordHeader
                .clear()
                .putInt((int) (timeNs / NS_PER_SECOND))
                .putInt((int) (timeNs % NS_PER_SECOND))
                .putInt(ethernetLength)
                .putInt(ethernetLength)
                .flip();
        final ByteBuffer frame =
                memory.asSlice(offset + PacketBatch.VNET_HEADER_BYTES, ethernetLength)
                        .asByteBuffer();
        try {
            writeFully(output, recordHeader);
            writeFully(output, frame);
            return true;
        } catch (final IOException e) {
            // The file system is full or gone: refused, as by any port that cannot take more.
            return false;
        }
    }

    @Override
    public int pollFd() {
        return -1;
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
            try {
                output.close();
            } catch (final IOException e) {
                throw new UncheckedIOException("close the capture of port " + name, e);
            }
        }
    }

    /** How numbers of this file are read. */
    private static ValueLayout.OfInt checkFileHeader(final MemorySegment capture, final Path input)
            throws IOException {
        if (capture.byteSize() < FILE_HEADER_BYTES) {
            throw new IOException(
                    input + ": " + capture.byteSize() + " bytes are too short for a pcap file");
        }
        final ValueLayout.OfInt little = JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        final ValueLayout.OfInt big = JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
        final ValueLayout.OfInt number;
        if (isMagic(capture.get(little, 0))) {
            number = little;
        } else if (isMagic(capture.get(big, 0))) {
            number = big;
        } else if (capture.get(little, 0) == MAGIC_PCAPNG) {
            throw new IOException(
                    input + ": a pcapng file; convert it: editcap -F nsecpcap IN OUT");
        } else {
            throw new IOException(
                    input
                            + ": no pcap file, it begins with 0x"
                            + Integer.toHexString(capture.get(big, 0)));
        }
        final int linkType = capture.get(number, 20) & LINKTYPE_MASK;
        if (linkType != LINKTYPE_ETHERNET) {
            throw new IOException(
                    input + ": link type " + linkType + "; only Ethernet (1) is replayed");
        }
        return number;
    }

    private static boolean isMagic(final int magic) {
        return magic == MAGIC_MICROSECONDS || magic == MAGIC_NANOSECONDS;
    }

    /** After this, every record lies inside the file and fits into a batch. */
    private static void checkRecords(
            final MemorySegment capture, final ValueLayout.OfInt number, final Path input)
            throws IOException {
        long at = FILE_HEADER_BYTES;
        for (long packet = 1; at < capture.byteSize(); packet++) {
            final String where = input + ": packet " + packet + " at byte " + at;
            if (at + RECORD_HEADER_BYTES > capture.byteSize()) {
                throw new IOException(where + ": the file ends in its header");
            }
            final long length = Integer.toUnsignedLong(capture.get(number, at + 8));
            if (length > ETHERNET_BYTES_MAX) {
                throw new IOException(
                        where + ": " + length + " bytes; at most " + ETHERNET_BYTES_MAX + " fit");
            }
            at += RECORD_HEADER_BYTES + length;
            if (at > capture.byteSize()) {
                throw new IOException(where + ": the file ends in its frame");
            }
        }
    }

    private static FileChannel create(final Path file) throws IOException {
        final FileChannel channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE);
        try {
            final ByteBuffer header =
                    ByteBuffer.allocate(FILE_HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
            header.putInt(MAGIC_NANOSECONDS)
                    .putShort((short) 2)
                    .putShort((short) 4)
                    .putInt(0)
                    .putInt(0)
                    .putInt(ETHERNET_BYTES_MAX)
                    .putInt(LINKTYPE_ETHERNET)
                    .flip();
            writeFully(channel, header);
            return channel;
        } catch (final IOException e) {
            channel.close();
            throw e;
        }
    }

    private static void writeFully(final FileChannel channel, final ByteBuffer bytes)
            throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
