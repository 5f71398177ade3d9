package io.sluice.dataplane.table;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Policy map: (identity of the far side, protocol, ports) to {@link PolicyEntry}, for one direction
 * of one endpoint, or of all endpoints with the same rules.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Control has decided beforehand what every identity may do: a <em>verdict program</em> per
 * identity, equal programs stored once. A lookup is one hash probe for the identity and one binary
 * search over the port intervals of the protocol. Its cost does not depend on how many policies,
 * rules or endpoints there are. The search takes no branch that depends on the port: five of those
 * for twenty intervals, each mispredicted every other time, would cost more than all the loads, and
 * keep the processor from beginning the next packet's lookup meanwhile.
 *
 * <p>Layout, one native segment:
 *
 * <pre>
 *   identities   slots x { int identity + 1 (0 = free), int program offset }   open addressing, half full at most
 *   program      long entry for protocols not listed
 *                int number of protocols, int 0
 *                n x { int protocol, int intervals (absolute offset), int number of them, int source ports? }
 *   intervals    long entry of each
 *                int first port of each, ascending, the first is 0: together, since the search reads many
 *                int first source port of each; only where some is not 0
 * </pre>
 *
 * <p>An interval ends where the next begins, so every port has exactly one answer. Where a rule
 * asks for source ports (Calico's do, seldom), several intervals share a first port; the first of
 * them begins at source port 0. For ICMP the port is type * 256 + code. An identity without a
 * program is denied: control knows every identity that the ipcache can answer, and a gap must fail
 * closed.
 *
 * <p>A map in which a few identities say something else is a copy of the one before, with their
 * programs appended and their slots changed ({@link #with}): a thousand times less work than laying
 * ten thousand programs out again. The programs they had stay behind unused; {@link #isWorn} says
 * when it is time to lay the map out anew.
 *
 * <p>Immutable once built; any thread. The memory is control's to {@link #free}, once every lane
 * has passed a batch boundary with tables that do not have the map. The publication of those tables
 * is the boundary: a lane takes new tables between two batches and says so. There is no limit on
 * entries but 2 GiB a map; {@link #bytes} says how large one is.
 */
public final class PolicyMap {
    private static final int IDENTITY_SLOT_BYTES = 8;
    private static final int PROGRAM_HEADER_BYTES = 16;
    private static final int PROTOCOL_BYTES = 16;

    private final MemorySegment memory;
    private final int identityMask;
    private final int identityCount;
    private final int programCount;
    private final long unknownIdentity;

    /** Bytes behind this are programs of {@link #with}. */
    private final long builtBytes;

    /** Where the next program would be. */
    private final long end;

    private PolicyMap(
            final MemorySegment memory,
            final long builtBytes,
            final long end,
            final int identityMask,
            final int identityCount,
            final int programCount,
            final long unknownIdentity) {
        this.memory = memory;
        this.builtBytes = builtBytes;
        this.end = end;
        this.identityMask = identityMask;
        this.identityCount = identityCount;
        this.programCount = programCount;
        this.unknownIdentity = unknownIdentity;
    }

    /**
     * A map that gives every identity, protocol and port the same answer.
     *
     * @param entry the {@link PolicyEntry}
     */
    public static PolicyMap always(final long entry) {
        return new Builder(entry).build();
    }

    /**
     * This map with other programs for some identities: a map of its own, with memory of its own.
     *
     * @param changes by identity; each has a program here already
     * @throws IllegalArgumentException for an identity without a program
     * @throws IllegalStateException when the map would be larger than 2 GiB
     */
    public PolicyMap with(final Map<Integer, Program> changes) {
        final Map<Program, Integer> offsets = new HashMap<>();
        long next = end;
        for (final Program program : changes.values()) {
            if (offsets.putIfAbsent(program, (int) next) == null) {
                next = Builder.checked(next + Builder.sizeOf(program));
            }
        }
        final MemorySegment copy = NativeMemory.copyOf(memory, Math.max(next, memory.byteSize()));
        try {
            offsets.forEach((program, offset) -> Builder.write(copy, program, offset));
            changes.forEach(
                    (identity, program) ->
                            copy.set(
                                    ValueLayout.JAVA_INT,
                                    slotOf(identity) + 4,
                                    offsets.getOrDefault(program, 0)));
        } catch (final RuntimeException e) {
            NativeMemory.free(copy);
            throw e;
        }
        return new PolicyMap(
                copy,
                builtBytes,
                next,
                identityMask,
                identityCount,
                programCount + offsets.size(),
                unknownIdentity);
    }

    private long slotOf(final int identity) {
        int slot = hash(identity) & identityMask;
        while (true) {
            final long at = (long) slot * IDENTITY_SLOT_BYTES;
            final int found = memory.get(ValueLayout.JAVA_INT, at);
            if (found == identity + 1) {
                return at;
            }
            if (found == 0) {
                throw new IllegalArgumentException("identity " + identity + " has no program");
            }
            slot = (slot + 1) & identityMask;
        }
    }

    /** Whether programs that {@link #with} appended take a third of the map. */
    public boolean isWorn() {
        return (end - builtBytes) * 3 > end;
    }

    /**
     * The answer for a packet.
     *
     * @param identity of the far side
     * @param protocol IP protocol number
     * @param sourcePort source port; anything for protocols without ports
     * @param port destination port; ICMP type * 256 + code; 0 for protocols without ports
     * @return a {@link PolicyEntry}
     */
    public long lookup(
            final int identity, final int protocol, final int sourcePort, final int port) {
        int slot = hash(identity) & identityMask;
        while (true) {
            final long at = (long) slot * IDENTITY_SLOT_BYTES;
            final int found = memory.get(ValueLayout.JAVA_INT, at);
            if (found == identity + 1) {
                return run(memory.get(ValueLayout.JAVA_INT, at + 4), protocol, sourcePort, port);
            }
            if (found == 0) {
                return unknownIdentity;
            }
            slot = (slot + 1) & identityMask;
        }
    }

    private long run(final int program, final int protocol, final int sourcePort, final int port) {
        final int protocols = memory.get(ValueLayout.JAVA_INT, program + 8L);
        for (int i = 0; i < protocols; i++) {
            final long at = program + PROGRAM_HEADER_BYTES + (long) i * PROTOCOL_BYTES;
            if (memory.get(ValueLayout.JAVA_INT, at) == protocol) {
                final long entries = memory.get(ValueLayout.JAVA_INT, at + 4);
                final int count = memory.get(ValueLayout.JAVA_INT, at + 8);
                int interval = search(entries + (long) count * Long.BYTES, count, port);
                if (memory.get(ValueLayout.JAVA_INT, at + 12) != 0) {
                    interval = narrow(entries, count, interval, sourcePort);
                }
                return memory.get(ValueLayout.JAVA_LONG, entries + (long) interval * Long.BYTES);
            }
        }
        return memory.get(ValueLayout.JAVA_LONG, program);
    }

    /** The last interval that does not begin behind the port. */
    private int search(final long firstPorts, final int count, final int port) {
        int from = 0;
        int left = count;
        while (left > 1) {
            final int half = left >>> 1;
            final int firstPort =
                    memory.get(
                            ValueLayout.JAVA_INT,
                            firstPorts + (long) (from + half) * Integer.BYTES);
            // All ones if it begins at the port or before: 0 to 65535, so nothing overflows.
            from += half & (firstPort - port - 1) >> 31;
            left -= half;
        }
        return from;
    }

    /** The interval of those with the same ports that holds the source port. */
    private int narrow(final long entries, final int count, final int last, final int sourcePort) {
        final long firstSourcePorts = entries + (long) count * (Long.BYTES + Integer.BYTES);
        int interval = last;
        while (sourcePort
                < memory.get(
                        ValueLayout.JAVA_INT, firstSourcePorts + (long) interval * Integer.BYTES)) {
            interval--;
        }
        return interval;
    }

    /** Size of the map, in bytes. */
    public long bytes() {
        return memory.byteSize();
    }

    /** Bytes of all maps that are not freed. */
    public static long bytesOfAll() {
        return NativeMemory.bytes();
    }

    /**
     * Ends the map: no lane may have it any more, and nobody may call anything on it again. Thread:
     * control, once.
     */
    public void free() {
        NativeMemory.free(memory);
    }

    /** Identities that have a program. */
    public int identityCount() {
        return identityCount;
    }

    /** Distinct programs, those that {@link #with} left behind included. */
    public int programCount() {
        return programCount;
    }

    private static int hash(final int identity) {
        final int mixed = identity * 0x9E37_79B9;
        return mixed ^ mixed >>> 15;
    }

    /**
     * Verdict program of an identity.
     *
     * @param otherProtocols answer for protocols that are not listed
     * @param protocols answers by protocol; a protocol appears once
     */
    public record Program(long otherProtocols, List<ProtocolPorts> protocols) {
        public Program {
            protocols = List.copyOf(protocols);
        }
    }

    /**
     * Answers for the ports of one protocol.
     *
     * @param protocol IP protocol number, 0 to 255
     * @param intervals ascending by port, then source port; the first begins at 0, each ends where
     *     the next begins
     */
    public record ProtocolPorts(int protocol, List<Interval> intervals) {
        public ProtocolPorts {
            intervals = List.copyOf(intervals);
            if (intervals.isEmpty()
                    || intervals.getFirst().firstPort() != 0
                    || intervals.getFirst().firstSourcePort() != 0) {
                throw new IllegalArgumentException("intervals must cover all ports from 0");
            }
            for (int i = 1; i < intervals.size(); i++) {
                final Interval interval = intervals.get(i);
                final Interval before = intervals.get(i - 1);
                final boolean ascends =
                        interval.firstPort == before.firstPort
                                ? interval.firstSourcePort > before.firstSourcePort
                                : interval.firstPort > before.firstPort
                                        && interval.firstSourcePort == 0;
                if (!ascends) {
                    throw new IllegalArgumentException("intervals must ascend: " + intervals);
                }
            }
        }
    }

    /**
     * One answer from a port on, up to the next interval.
     *
     * @param firstPort 0 to 65535
     * @param firstSourcePort 0 to 65535; 0 in the first interval of a port
     * @param entry the {@link PolicyEntry}
     */
    public record Interval(int firstPort, int firstSourcePort, long entry) {
        /** An answer for every source port. */
        public Interval(final int firstPort, final long entry) {
            this(firstPort, 0, entry);
        }
    }

    /** Collects programs and lays them out. Thread: one. */
    public static final class Builder {
        private final long unknownIdentity;
        private final Map<Integer, Program> programs = new HashMap<>();

        /**
         * @param unknownIdentity answer for an identity without a program
         */
        public Builder(final long unknownIdentity) {
            this.unknownIdentity = unknownIdentity;
        }

        /**
         * Gives an identity its program; equal programs are stored once.
         *
         * @param identity 0 to 2^31-2
         */
        public Builder program(final int identity, final Program program) {
            programs.put(identity, program);
            return this;
        }

        /** Lays the map out in native memory. */
        public PolicyMap build() {
            final Map<Program, Integer> offsets = new HashMap<>();
            final List<Program> order = new ArrayList<>();
            final int slots = Integer.highestOneBit(Math.max(1, programs.size()) * 2) << 1;
            long next = (long) slots * IDENTITY_SLOT_BYTES;
            for (final Program program : programs.values()) {
                if (offsets.putIfAbsent(program, (int) next) == null) {
                    order.add(program);
                    next = checked(next + sizeOf(program));
                }
            }

            final MemorySegment memory = NativeMemory.allocate(next);
            for (final Program program : order) {
                write(memory, program, offsets.getOrDefault(program, 0));
            }
            programs.forEach(
                    (identity, program) -> {
                        int slot = hash(identity) & (slots - 1);
                        while (memory.get(ValueLayout.JAVA_INT, (long) slot * IDENTITY_SLOT_BYTES)
                                != 0) {
                            slot = (slot + 1) & (slots - 1);
                        }
                        final long at = (long) slot * IDENTITY_SLOT_BYTES;
                        memory.set(ValueLayout.JAVA_INT, at, identity + 1);
                        memory.set(ValueLayout.JAVA_INT, at + 4, offsets.getOrDefault(program, 0));
                    });
            return new PolicyMap(
                    memory, next, next, slots - 1, programs.size(), order.size(), unknownIdentity);
        }

        private static long checked(final long bytes) {
            if (bytes > Integer.MAX_VALUE) {
                throw new IllegalStateException("a policy map is larger than 2 GiB");
            }
            return bytes;
        }

        private static long sizeOf(final Program program) {
            long size = PROGRAM_HEADER_BYTES;
            for (final ProtocolPorts ports : program.protocols()) {
                size += PROTOCOL_BYTES + sizeOf(ports);
            }
            return size;
        }

        /** A multiple of 8. */
        private static long sizeOf(final ProtocolPorts ports) {
            final long count = ports.intervals().size();
            final long ints = asksForSourcePorts(ports) ? 2 * count : count;
            return count * Long.BYTES + ((ints + 1) & -2L) * Integer.BYTES;
        }

        private static boolean asksForSourcePorts(final ProtocolPorts ports) {
            return ports.intervals().stream().anyMatch(interval -> interval.firstSourcePort() != 0);
        }

        private static void write(
                final MemorySegment memory, final Program program, final int offset) {
            final int protocols = program.protocols().size();
            memory.set(ValueLayout.JAVA_LONG, offset, program.otherProtocols());
            memory.set(ValueLayout.JAVA_INT, offset + 8L, protocols);
            int next = offset + PROGRAM_HEADER_BYTES + protocols * PROTOCOL_BYTES;
            long at = offset + (long) PROGRAM_HEADER_BYTES;
            for (final ProtocolPorts ports : program.protocols()) {
                memory.set(ValueLayout.JAVA_INT, at, ports.protocol());
                memory.set(ValueLayout.JAVA_INT, at + 4, next);
                memory.set(ValueLayout.JAVA_INT, at + 8, ports.intervals().size());
                memory.set(ValueLayout.JAVA_INT, at + 12, asksForSourcePorts(ports) ? 1 : 0);
                at += PROTOCOL_BYTES;
                write(memory, ports, next);
                next += (int) sizeOf(ports);
            }
        }

        private static void write(
                final MemorySegment memory, final ProtocolPorts ports, final long entries) {
            final boolean sourcePorts = asksForSourcePorts(ports);
            final int count = ports.intervals().size();
            final long firstPorts = entries + (long) count * Long.BYTES;
            final long firstSourcePorts = firstPorts + (long) count * Integer.BYTES;
            for (int i = 0; i < count; i++) {
                final Interval interval = ports.intervals().get(i);
                final long inInts = (long) i * Integer.BYTES;
                memory.set(
                        ValueLayout.JAVA_LONG, entries + i * (long) Long.BYTES, interval.entry());
                memory.set(ValueLayout.JAVA_INT, firstPorts + inInts, interval.firstPort());
                if (sourcePorts) {
                    memory.set(
                            ValueLayout.JAVA_INT,
                            firstSourcePorts + inInts,
                            interval.firstSourcePort());
                }
            }
        }
    }
}
