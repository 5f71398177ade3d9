package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;

/**
 * How many frames wait in a device for its reader (netdevice(7), SIOCSIFTXQLEN). Of a TAP these are
 * frames that the switch has not read yet. The kernel changes the ring in place while frames come
 * and are read (tun_queue_resize in drivers/net/tun.c); of a ring that becomes shorter, frames
 * beyond its new length are dropped, and no counter of the device tells.
 *
 * <p>Thread: any.
 */
public final class TransmitQueue {
    // include/uapi/linux/sockios.h
    private static final long SIOCSIFTXQLEN = 0x8943;

    /** {@code struct ifreq} (include/uapi/linux/if.h): 40 bytes, of which a number is used. */
    private static final StructLayout IFREQ =
            MemoryLayout.structLayout(
                    MemoryLayout.sequenceLayout(16, JAVA_BYTE).withName("name"),
                    JAVA_INT.withName("frames"),
                    MemoryLayout.paddingLayout(20));

    private static final VarHandle FRAMES = IFREQ.varHandle(PathElement.groupElement("frames"));

    private TransmitQueue() {}

    /**
     * Sets the length of a device's queue in the calling thread's namespace.
     *
     * @param frames 1 or more
     * @throws LinuxException ENODEV where there is no such device, EPERM without CAP_NET_ADMIN,
     *     ENOMEM
     */
    public static void setLength(final String device, final int frames) {
        final String tried = "device " + device + ": queue of " + frames + " frames";
        final byte[] name = device.getBytes(StandardCharsets.US_ASCII);
        // Requests about devices are taken by a socket of any kind (dev_ioctl).
        final int fd = Libc.socket(Libc.AF_UNIX, Libc.SOCK_SEQPACKET | Libc.SOCK_CLOEXEC);
        if (fd < 0) {
            throw LinuxException.of(tried, fd);
        }
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment request = arena.allocate(IFREQ);
            MemorySegment.copy(
                    name, 0, request, JAVA_BYTE, 0, Math.min(name.length, Tun.NAME_BYTES_MAX));
            FRAMES.set(request, 0L, frames);
            final int set = Libc.ioctl(fd, SIOCSIFTXQLEN, request.address());
            if (set < 0) {
                throw LinuxException.of(tried, set);
            }
        } finally {
            Libc.close(fd);
        }
    }
}
