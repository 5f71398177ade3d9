package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Two descriptors joined to each other: a frame that is written to one is read from the other, with
 * its boundaries kept and without waiting, as from a TAP device (unix(7), {@code SOCK_SEQPACKET}).
 *
 * @param one whoever adopts it closes it
 * @param other the same
 */
public record FramePair(int one, int other) {
    /**
     * A new pair.
     *
     * @throws LinuxException EMFILE, ENFILE
     */
    public static FramePair open() {
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment pair = arena.allocate(JAVA_INT, 2);
            final int made =
                    Libc.socketpair(
                            Libc.AF_UNIX,
                            Libc.SOCK_SEQPACKET | Libc.SOCK_CLOEXEC | Libc.SOCK_NONBLOCK,
                            pair);
            if (made < 0) {
                throw LinuxException.of("make a pair of sockets", made);
            }
            return new FramePair(pair.getAtIndex(JAVA_INT, 0), pair.getAtIndex(JAVA_INT, 1));
        }
    }
}
