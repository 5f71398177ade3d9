package io.sluice.conntrack;

import static io.sluice.conntrack.FlowSlot.INT;
import static io.sluice.conntrack.FlowSlot.LONG;
import static io.sluice.conntrack.FlowSlot.LONG_HANDLE;
import static io.sluice.conntrack.TableMemory.ALL;

import io.sluice.conntrack.ConntrackOrigin.Start;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What all lanes of a table share: its memory, both regions, counters.
 *
 * <p>The file, all numbers in the byte order of the machine: a header, then the hot and the cold
 * slots of IPv4, then those of IPv6, each from a multiple of 4 KiB, or of 2 MiB if it is as large.
 * The header: magic (8 bytes, written last), version (4), flows of IPv4 (4) and of IPv6 (4),
 * whether it was closed (4), seed (8), boot id (64 bytes of ASCII, padded with 0). Behind the slots
 * the occupancy and the numbers of flows of both regions.
 *
 * <p>After a crash occupancy and numbers are made anew from the slots, so nothing in the file can
 * contradict them; where a running process hands the table over ({@link #share}) they hold. Locks
 * and counters are each process's own.
 *
 * <p>Thread: any, after {@link #open}.
 */
final class FlowTable implements AutoCloseable {
    static final int CREATED_COUNT = 0;
    static final int EXPIRED_COUNT = 1;
    static final int REFUSED_COUNT = 2;
    static final int EVICTED_COUNT = 3;

    private static final long MAGIC = 0x534c_4349_4354_464cL;
    private static final int VERSION = 1;
    private static final long VERSION_AT = 8;
    private static final long FLOWS_AT = 12;
    private static final long FLOWS_IPV6_AT = 16;
    private static final long CLOSED_AT = 20;
    private static final long SEED_AT = 24;
    private static final long BOOT_AT = 32;
    private static final int BOOT_BYTES = 64;
    private static final long HEADER_BYTES = 4096;

    /** Each counter and count of flows has a line of its own. */
    private static final long COUNTER_BYTES = 64;

    private static final int COUNTERS = 4;

    final ConntrackConfig config;
    final FlowRegion ipv4;
    final FlowRegion ipv6;
    final KeyedHash hash;
    final ConntrackOrigin origin;
    private final TableMemory memory;
    private final TableMemory own;
    private volatile boolean marksClosed;

    private FlowTable(
            final ConntrackConfig config,
            final Layout layout,
            final TableMemory memory,
            final Start start,
            final long seed,
            final long nowNs) {
        this.config = config;
        this.memory = memory;
        // A successor that breaks off must not mark what its predecessor goes on with.
        this.marksClosed = start != Start.ANONYMOUS && start != Start.HANDED_OVER;
        this.hash = new KeyedHash(seed);
        final long occupancyBytes = layout.slots / Byte.SIZE;
        own = TableMemory.anonymous(COUNTERS * COUNTER_BYTES + 2 * FlowRegion.LOCKS_BYTES);
        final long locks = own.address() + COUNTERS * COUNTER_BYTES;
        final long sizes = memory.address() + layout.sizes;
        final long occupancy = memory.address() + layout.occupancy;
        ipv4 =
                new FlowRegion(
                        true,
                        config.capacityFlows(),
                        memory.address() + layout.hot,
                        memory.address() + layout.cold,
                        occupancy,
                        locks,
                        sizes);
        ipv6 =
                new FlowRegion(
                        false,
                        config.capacityFlowsIpv6(),
                        memory.address() + layout.hotIpv6,
                        memory.address() + layout.coldIpv6,
                        occupancy + occupancyBytes,
                        locks + FlowRegion.LOCKS_BYTES,
                        sizes + COUNTER_BYTES);
        origin = start(start, nowNs);
    }

    private ConntrackOrigin start(final Start start, final long nowNs) {
        return switch (start) {
            case ANONYMOUS, NEW_FILE, OTHER_FORMAT, OTHER_CAPACITY, OTHER_BOOT ->
                    ConntrackOrigin.empty(start);
            case HANDED_OVER -> new ConntrackOrigin(start, size(), 0, 0);
            case AFTER_CLOSE, AFTER_CRASH -> {
                final FlowRegion.Recovery found =
                        ipv4.recover(hash, nowNs, ConntrackConfig.TIMEOUT_NS_MAX)
                                .plus(ipv6.recover(hash, nowNs, ConntrackConfig.TIMEOUT_NS_MAX));
                yield new ConntrackOrigin(start, found.kept(), found.expired(), found.torn());
            }
        };
    }

    static FlowTable anonymous(final ConntrackConfig config, final long seed) {
        final Layout layout = new Layout(config);
        return new FlowTable(
                config, layout, TableMemory.anonymous(layout.bytes), Start.ANONYMOUS, seed, 0);
    }

    static FlowTable open(
            final ConntrackConfig config,
            final long seed,
            final Path file,
            final String bootId,
            final long nowNs)
            throws IOException {
        final byte[] boot = bootId.getBytes(StandardCharsets.US_ASCII);
        if (boot.length == 0 || boot.length > BOOT_BYTES) {
            throw new IllegalArgumentException(
                    "boot id '" + bootId + "': accepted are 1 to " + BOOT_BYTES + " characters");
        }
        final Layout layout = new Layout(config);
        final Start start = prepare(file, layout, config, boot);
        final TableMemory memory = TableMemory.mapped(file, layout.bytes);
        final long at = memory.address();
        final boolean resumes = start == Start.AFTER_CLOSE || start == Start.AFTER_CRASH;
        if (!resumes) {
            ALL.set(INT, at + VERSION_AT, VERSION);
            ALL.set(INT, at + FLOWS_AT, config.capacityFlows());
            ALL.set(INT, at + FLOWS_IPV6_AT, config.capacityFlowsIpv6());
            ALL.set(LONG, at + SEED_AT, seed);
            MemorySegment.copy(
                    MemorySegment.ofArray(boot), 0, memory.segment(), BOOT_AT, boot.length);
        }
        ALL.set(INT, at + CLOSED_AT, 0);
        // Release: the header is whole before it counts.
        LONG_HANDLE.setRelease(ALL, at, MAGIC);
        return new FlowTable(config, layout, memory, start, ALL.get(LONG, at + SEED_AT), nowNs);
    }

    /**
     * The table of a process that runs and will hand it over: as it is, and with all that becomes
     * of it until then. Whoever shares it must neither look anything up nor write before.
     *
     * @return null where the file is no use for this configuration; it stays the other process's
     */
    static @Nullable FlowTable share(
            final ConntrackConfig config, final Path file, final String bootId) throws IOException {
        final Layout layout = new Layout(config);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            if (read(channel, layout, config, bootId.getBytes(StandardCharsets.US_ASCII))
                    != Start.AFTER_CRASH) {
                return null;
            }
        } catch (final NoSuchFileException e) {
            return null;
        }
        final TableMemory memory = TableMemory.mapped(file, layout.bytes);
        return new FlowTable(
                config,
                layout,
                memory,
                Start.HANDED_OVER,
                ALL.get(LONG, memory.address() + SEED_AT),
                0);
    }

    /**
     * Looks at the header, and makes the file empty and as long as it has to be if it is no use.
     */
    private static Start prepare(
            final Path file, final Layout layout, final ConntrackConfig config, final byte[] boot)
            throws IOException {
        try (FileChannel channel =
                FileChannel.open(
                        file,
                        Set.of(
                                StandardOpenOption.CREATE,
                                StandardOpenOption.READ,
                                StandardOpenOption.WRITE),
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString("rw-------")))) {
            final Start start = read(channel, layout, config, boot);
            if (start != Start.AFTER_CLOSE && start != Start.AFTER_CRASH) {
                channel.truncate(0);
                channel.write(ByteBuffer.allocate(1), layout.bytes - 1);
            }
            return start;
        }
    }

    private static Start read(
            final FileChannel channel,
            final Layout layout,
            final ConntrackConfig config,
            final byte[] boot)
            throws IOException {
        if (channel.size() == 0) {
            return Start.NEW_FILE;
        }
        final ByteBuffer bytes = ByteBuffer.allocate((int) HEADER_BYTES);
        int read = 0;
        while (bytes.hasRemaining() && read >= 0) {
            read = channel.read(bytes);
        }
        final MemorySegment header = MemorySegment.ofArray(new long[(int) HEADER_BYTES / 8]);
        header.copyFrom(MemorySegment.ofArray(bytes.array()));
        if (header.get(LONG, 0) != MAGIC || header.get(INT, VERSION_AT) != VERSION) {
            return Start.OTHER_FORMAT;
        }
        if (header.get(INT, FLOWS_AT) != config.capacityFlows()
                || header.get(INT, FLOWS_IPV6_AT) != config.capacityFlowsIpv6()
                || channel.size() != layout.bytes) {
            return Start.OTHER_CAPACITY;
        }
        final MemorySegment padded = MemorySegment.ofArray(new byte[BOOT_BYTES]);
        padded.copyFrom(MemorySegment.ofArray(boot));
        if (padded.mismatch(header.asSlice(BOOT_AT, BOOT_BYTES)) >= 0) {
            return Start.OTHER_BOOT;
        }
        return header.get(INT, CLOSED_AT) == 0 ? Start.AFTER_CRASH : Start.AFTER_CLOSE;
    }

    FlowRegion regionOf(final FlowKey key) {
        return key.isIpv4 ? ipv4 : ipv6;
    }

    int size() {
        return ipv4.size() + ipv6.size();
    }

    long read(final int counter) {
        return (long) LONG_HANDLE.getOpaque(ALL, own.address() + counter * COUNTER_BYTES);
    }

    void add(final int counter, final long difference) {
        LONG_HANDLE.getAndAdd(ALL, own.address() + counter * COUNTER_BYTES, difference);
    }

    /** The slots, with checks; addresses of the regions lie in it. */
    MemorySegment checkedMemory() {
        return memory.segment();
    }

    /** Another process goes on with the file: its end here is not the table's. */
    void handedOver() {
        marksClosed = false;
    }

    @Override
    public void close() {
        if (marksClosed) {
            ALL.set(INT, memory.address() + CLOSED_AT, 1);
        }
        memory.close();
        own.close();
    }

    /** Where the parts begin, in bytes from the beginning. */
    private static final class Layout {
        final int slots;
        final int slotsIpv6;
        final long hot;
        final long cold;
        final long hotIpv6;
        final long coldIpv6;
        final long occupancy;
        final long sizes;
        final long bytes;

        Layout(final ConntrackConfig config) {
            slots = FlowRegion.slotCount(config.capacityFlows());
            slotsIpv6 = FlowRegion.slotCount(config.capacityFlowsIpv6());
            final long hotBytes = (long) slots << FlowSlot.IPV4_SLOT_SHIFT;
            final long coldBytes = (long) slots << TableMemory.LINE_SHIFT;
            final long hotBytesIpv6 = (long) slotsIpv6 << FlowSlot.IPV6_SLOT_SHIFT;
            final long coldBytesIpv6 = (long) slotsIpv6 << TableMemory.LINE_SHIFT;
            hot = aligned(HEADER_BYTES, hotBytes);
            cold = aligned(hot + hotBytes, coldBytes);
            hotIpv6 = aligned(cold + coldBytes, hotBytesIpv6);
            coldIpv6 = aligned(hotIpv6 + hotBytesIpv6, coldBytesIpv6);
            occupancy = aligned(coldIpv6 + coldBytesIpv6, 0);
            sizes = occupancy + (slots + slotsIpv6) / Byte.SIZE;
            bytes = aligned(sizes + 2 * COUNTER_BYTES, 0);
        }

        private static long aligned(final long offset, final long partBytes) {
            final long multiple =
                    partBytes >= TableMemory.HUGE_PAGE_BYTES
                            ? TableMemory.HUGE_PAGE_BYTES
                            : HEADER_BYTES;
            return (offset + multiple - 1) & -multiple;
        }
    }
}
