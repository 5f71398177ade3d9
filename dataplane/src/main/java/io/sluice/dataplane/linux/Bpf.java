package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The four commands of bpf(2) that lead frames of a device to an AF_XDP socket. Structures: {@code
 * union bpf_attr} (include/uapi/linux/bpf.h); offsets are written out, every field not named is 0.
 *
 * <p>Results are those of {@link Libc}. Needs CAP_NET_ADMIN and CAP_BPF, or root.
 *
 * <p>Thread: any.
 */
final class Bpf {
    /** Attach in the kernel's generic code, behind any driver. */
    static final int XDP_FLAGS_SKB_MODE = 1 << 1;

    /** Attach in the driver. */
    static final int XDP_FLAGS_DRV_MODE = 1 << 2;

    private static final int MAP_CREATE = 0;
    private static final int MAP_UPDATE_ELEM = 2;
    private static final int PROG_LOAD = 5;
    private static final int LINK_CREATE = 28;
    private static final int MAP_TYPE_XSKMAP = 17;
    private static final int PROG_TYPE_XDP = 6;
    private static final int ATTACH_TYPE_XDP = 37;

    /** The program does not look into a frame, so it may lie in several pieces. */
    private static final int F_XDP_HAS_FRAGS = 1 << 5;

    private static final long ATTRIBUTE_BYTES = 128;

    private Bpf() {}

    /**
     * A map from queue to AF_XDP socket; a descriptor.
     *
     * @param queues entries, 1 or more
     */
    static long createSocketMap(final int queues) {
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment attributes = arena.allocate(ATTRIBUTE_BYTES, 8);
            attributes.set(JAVA_INT, 0, MAP_TYPE_XSKMAP);
            attributes.set(JAVA_INT, 4, Integer.BYTES); // key
            attributes.set(JAVA_INT, 8, Integer.BYTES); // value
            attributes.set(JAVA_INT, 12, queues); // entries
            return call(MAP_CREATE, attributes);
        }
    }

    /** Leads a queue to a socket that is bound. */
    static long putSocket(final int mapFd, final int queue, final int socketFd) {
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment attributes = arena.allocate(ATTRIBUTE_BYTES, 8);
            attributes.set(JAVA_INT, 0, mapFd);
            attributes.set(JAVA_LONG, 8, arena.allocateFrom(JAVA_INT, queue).address());
            attributes.set(JAVA_LONG, 16, arena.allocateFrom(JAVA_INT, socketFd).address());
            return call(MAP_UPDATE_ELEM, attributes);
        }
    }

    /** Loads {@link XdpProgram} for a map; a descriptor. */
    static long loadProgram(final int mapFd) {
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment program =
                    arena.allocate(
                            (long) XdpProgram.INSTRUCTIONS * XdpProgram.INSTRUCTION_BYTES, 8);
            XdpProgram.write(program, mapFd);
            final MemorySegment attributes = arena.allocate(ATTRIBUTE_BYTES, 8);
            attributes.set(JAVA_INT, 0, PROG_TYPE_XDP);
            attributes.set(JAVA_INT, 4, XdpProgram.INSTRUCTIONS);
            attributes.set(JAVA_LONG, 8, program.address());
            attributes.set(JAVA_LONG, 16, arena.allocateFrom(XdpProgram.LICENSE).address());
            attributes.set(JAVA_INT, 44, F_XDP_HAS_FRAGS);
            attributes.setString(48, "sluice"); // 15 characters at most
            attributes.set(JAVA_INT, 68, ATTACH_TYPE_XDP);
            return call(PROG_LOAD, attributes);
        }
    }

    /**
     * Attaches a program to a device; a descriptor. The program stays attached as long as somebody
     * holds the descriptor or the device lives.
     *
     * @param flags {@link #XDP_FLAGS_DRV_MODE} or {@link #XDP_FLAGS_SKB_MODE}
     */
    static long attach(final int programFd, final int deviceIndex, final int flags) {
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment attributes = arena.allocate(ATTRIBUTE_BYTES, 8);
            attributes.set(JAVA_INT, 0, programFd);
            attributes.set(JAVA_INT, 4, deviceIndex);
            attributes.set(JAVA_INT, 8, ATTACH_TYPE_XDP);
            attributes.set(JAVA_INT, 12, flags);
            return call(LINK_CREATE, attributes);
        }
    }

    private static long call(final int command, final MemorySegment attributes) {
        return Libc.syscall(SystemCall.BPF, command, attributes);
    }

    /** The number of a system call is the machine's; asked once, when it is first needed. */
    private static final class SystemCall {
        static final long BPF =
                switch (Libc.machine()) {
                    case "x86_64" -> 321;
                    // The numbers that newer machines share (include/uapi/asm-generic/unistd.h).
                    default -> 280;
                };
    }
}
