package io.sluice.dataplane.linux;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The XDP program, as the kernel's instructions: {@code return bpf_redirect_map(&map,
 * context->rx_queue_index, XDP_DROP)}.
 *
 * <p>A frame goes to the socket that the map holds for its queue. Where the map holds none, the
 * frame is dropped and not passed to the kernel's own stack: nothing goes round the switch.
 *
 * <p>Encoding: {@code struct bpf_insn} and {@code struct xdp_md} (include/uapi/linux/bpf.h),
 * opcodes of Documentation/bpf/standardization/instruction-set.rst. One instruction is 8 bytes:
 * opcode, source and destination register in one byte, a 16-bit offset, a 32-bit number.
 *
 * <p>Thread: any.
 */
final class XdpProgram {
    /** Instructions; the map's descriptor takes two of them. */
    static final int INSTRUCTIONS = 6;

    static final int INSTRUCTION_BYTES = 8;

    /** Needs no GPL-only function of the kernel. */
    static final String LICENSE = "Apache-2.0";

    private static final int LOAD_WORD = 0x61;
    private static final int LOAD_64_BIT_NUMBER = 0x18;
    private static final int MOVE_NUMBER = 0xb7;
    private static final int CALL = 0x85;
    private static final int EXIT = 0x95;

    /** In the source register of a 64-bit load: the number is the descriptor of a map. */
    private static final int PSEUDO_MAP_FD = 1;

    /** Of {@code rx_queue_index} in {@code struct xdp_md}, in bytes. */
    private static final int RX_QUEUE_INDEX = 16;

    private static final int XDP_DROP = 1;
    private static final int REDIRECT_MAP = 51;

    private XdpProgram() {}

    /**
     * Writes the program.
     *
     * @param out at least {@link #INSTRUCTIONS} times {@link #INSTRUCTION_BYTES}
     * @param mapFd an XSKMAP with an entry for each queue
     */
    static void write(final MemorySegment out, final int mapFd) {
        put(out, 0, LOAD_WORD, 2, 1, RX_QUEUE_INDEX, 0);
        put(out, 1, LOAD_64_BIT_NUMBER, 1, PSEUDO_MAP_FD, 0, mapFd);
        put(out, 2, 0, 0, 0, 0, 0);
        put(out, 3, MOVE_NUMBER, 3, 0, 0, XDP_DROP);
        put(out, 4, CALL, 0, 0, 0, REDIRECT_MAP);
        put(out, 5, EXIT, 0, 0, 0, 0);
    }

    private static void put(
            final MemorySegment out,
            final int index,
            final int opcode,
            final int destination,
            final int source,
            final int offset,
            final int number) {
        final long at = (long) index * INSTRUCTION_BYTES;
        out.set(ValueLayout.JAVA_BYTE, at, (byte) opcode);
        out.set(ValueLayout.JAVA_BYTE, at + 1, (byte) (source << 4 | destination));
        out.set(ValueLayout.JAVA_SHORT_UNALIGNED, at + 2, (short) offset);
        out.set(ValueLayout.JAVA_INT_UNALIGNED, at + 4, number);
    }
}
