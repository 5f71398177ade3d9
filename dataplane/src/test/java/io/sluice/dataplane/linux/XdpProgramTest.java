package io.sluice.dataplane.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

final class XdpProgramTest {
    /** Encoded by hand from the instruction set page that the class names. */
    @Test
    void redirectsByQueueAndDropsWithoutASocket() {
        final byte[] program = new byte[XdpProgram.INSTRUCTIONS * XdpProgram.INSTRUCTION_BYTES];
        XdpProgram.write(MemorySegment.ofArray(program), 0x0102);

        assertThat(HexFormat.of().formatHex(program))
                .isEqualTo(
                        "6112100000000000" // r2 = *(u32 *)(r1 + 16)
                                + "1811000002010000" // r1 = map 0x102 ll
                                + "0000000000000000"
                                + "b703000001000000" // r3 = XDP_DROP
                                + "8500000033000000" // call bpf_redirect_map
                                + "9500000000000000"); // exit
    }
}
