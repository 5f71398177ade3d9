package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A TAP device as seen from its file descriptor (Documentation/networking/tuntap.rst,
 * drivers/net/tun.c).
 *
 * <p>Frames carry a virtio-net header of 10 bytes, and the device is told that its reader takes
 * unfinished checksums and unsegmented TCP and UDP. So a sender in the namespace hands over packets
 * of up to 64 KiB with their checksum open, and they can be written to another such device as they
 * are.
 *
 * <p>A device made by {@link #openQueues} has a queue for each descriptor. What is sent to the
 * device comes out of the queue into which the last frame of the same flow was written, whichever
 * direction that had, and where there was none, out of the one that the flow's hash names; later
 * fragments and first ones alike have the hash of their addresses (tun_automq_select_queue,
 * tun_flow_update; __skb_get_hash_symmetric in net/core/flow_dissector.c).
 *
 * <p>The descriptor belongs to the namespace of the thread that opened it, for ever, and keeps that
 * namespace alive; the device itself may move to another one. A device that is to end with its
 * namespace must therefore be opened outside and moved in.
 *
 * <p>Thread: {@link #read} and {@link #write} one owner; the rest any, but {@link #close} only
 * after the owner has let go.
 */
public final class Tun implements AutoCloseable {
    /** Longest device name in bytes: IFNAMSIZ less the final zero. */
    public static final int NAME_BYTES_MAX = 15;

    /** Queues of a device at most (MAX_TAP_QUEUES in include/linux/if_tun.h). */
    public static final int QUEUES_MAX = 256;

    /** Largest IP packet of a TAP in bytes: 65535 less an Ethernet header (tun_net_initialize). */
    public static final int MTU_MAX = 65_521;

    /** Smallest IP packet limit of any device in bytes (ETH_MIN_MTU). */
    public static final int MTU_MIN = 68;

    private static final Path CLONE_DEVICE = Path.of("/dev/net/tun");

    // include/uapi/linux/if_tun.h
    private static final long TUNSETIFF = 0x4004_54caL;
    private static final long TUNSETPERSIST = 0x4004_54cbL;
    private static final long TUNGETFEATURES = 0x8004_54cfL;
    private static final long TUNSETOFFLOAD = 0x4004_54d0L;
    private static final long TUNSETVNETHDRSZ = 0x4004_54d8L;
    private static final int IFF_TAP = 0x0002;
    private static final int IFF_MULTI_QUEUE = 0x0100;
    private static final int IFF_NO_PI = 0x1000;
    private static final int IFF_VNET_HDR = 0x4000;
    private static final int TUN_F_CSUM = 0x01;
    private static final int TUN_F_TSO4 = 0x02;
    private static final int TUN_F_TSO6 = 0x04;
    private static final int TUN_F_TSO_ECN = 0x08;
    private static final int TUN_F_USO4 = 0x20;
    private static final int TUN_F_USO6 = 0x40;

    private static final int TCP_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

    /** The kernel takes both of these or refuses (set_offload in drivers/net/tun.c, since 6.2). */
    private static final int UDP_OFFLOADS = TUN_F_USO4 | TUN_F_USO6;

    private static final int VNET_HEADER_BYTES = 10;

    /** {@code struct ifreq} (include/uapi/linux/if.h): 40 bytes, of which the flags are used. */
    private static final StructLayout IFREQ =
            MemoryLayout.structLayout(
                    MemoryLayout.sequenceLayout(16, JAVA_BYTE).withName("name"),
                    JAVA_SHORT.withName("flags"),
                    MemoryLayout.paddingLayout(22));

    private static final VarHandle IFREQ_FLAGS = IFREQ.varHandle(PathElement.groupElement("flags"));
    private static final VarHandle NUMBER = JAVA_INT.varHandle();

    private final String tried;
    private final int fd;
    private final AtomicBoolean closed = new AtomicBoolean();
    private final boolean udpSegmentation;

    private Tun(final String tried, final int fd) {
        this.tried = tried;
        this.fd = fd;
        this.udpSegmentation = Libc.ioctl(fd, TUNSETOFFLOAD, TCP_OFFLOADS | UDP_OFFLOADS) >= 0;
    }

    /**
     * Attaches to the TAP device of this name in the calling thread's namespace, and makes it first
     * where there is none.
     *
     * @throws LinuxException where the kernel has no TAP devices (ENOENT, ENODEV), the process
     *     lacks CAP_NET_ADMIN (EACCES, EPERM), another process holds the device (EBUSY), or the
     *     name belongs to a device of another kind (EINVAL)
     */
    public static Tun open(final String device) {
        return open(CLONE_DEVICE, device, 0);
    }

    /** As {@link #open(String)}, with the clone device at another path. */
    static Tun open(final Path cloneDevice, final String device) {
        return open(cloneDevice, device, 0);
    }

    /**
     * Attaches to the TAP device of this name with several queues, and makes it first where there
     * is none. A device of this kind admits queues of any process: whether another holds it, the
     * caller has to find out before.
     *
     * @param queues how many, 1 to {@link #QUEUES_MAX}
     * @return the queues, in order
     * @throws LinuxException as {@link #open(String)}; EINVAL also for a device made by that
     */
    public static List<Tun> openQueues(final String device, final int queues) {
        final List<Tun> opened = new ArrayList<>();
        try {
            for (int i = 0; i < queues; i++) {
                opened.add(open(CLONE_DEVICE, device, IFF_MULTI_QUEUE));
            }
            return opened;
        } catch (final LinuxException e) {
            opened.forEach(Tun::close);
            throw e;
        }
    }

    private static Tun open(final Path cloneDevice, final String device, final int moreFlags) {
        final String opening = "open " + cloneDevice;
        final int fd =
                Libc.open(cloneDevice.toString(), Libc.O_RDWR | Libc.O_NONBLOCK | Libc.O_CLOEXEC);
        if (Errno.ENOENT.is(fd) || Errno.ENODEV.is(fd) || Errno.ENXIO.is(fd)) {
            throw LinuxException.of(
                    opening,
                    fd,
                    "load the kernel module (modprobe tun); in a container, pass the device in");
        }
        if (Errno.EACCES.is(fd) || Errno.EPERM.is(fd)) {
            throw LinuxException.of(opening, fd, "run as root or with CAP_NET_ADMIN");
        }
        if (fd < 0) {
            throw LinuxException.of(opening, fd);
        }
        try {
            requireVnetHeader(fd);
            attach(fd, device, moreFlags);
            final String tried = "tap " + device;
            setNumber(fd, TUNSETVNETHDRSZ, VNET_HEADER_BYTES, tried + ": set header size");
            final Tun tun = new Tun(tried, fd);
            if (!tun.udpSegmentation) {
                final int set = Libc.ioctl(fd, TUNSETOFFLOAD, TCP_OFFLOADS);
                if (set < 0) {
                    throw LinuxException.of(tried + ": set offloads", set);
                }
            }
            return tun;
        } catch (final LinuxException e) {
            Libc.close(fd);
            throw e;
        }
    }

    /**
     * A device that another process had open, from the descriptor that it passed on.
     *
     * @param device its name, for messages
     * @param fd this process's own from now on
     */
    public static Tun adopt(final String device, final int fd) {
        return new Tun("tap " + device, fd);
    }

    /**
     * Whether the calling thread's namespace has a device of this name, of whatever kind.
     *
     * @throws LinuxException where /proc is not mounted
     */
    public static boolean deviceExists(final String device) {
        final Path devices = Path.of("/proc/thread-self/net/dev");
        try {
            // Two lines of heading, then "  NAME: counters".
            return Files.readAllLines(devices).stream()
                    .skip(2)
                    .anyMatch(line -> line.strip().startsWith(device + ":"));
        } catch (final IOException e) {
            throw new LinuxException("read " + devices + ": " + e.getMessage(), e);
        }
    }

    /** Descriptor to poll; -1 after {@link #close}. */
    public int fd() {
        return closed.get() ? -1 : fd;
    }

    /** Whether senders hand over unsegmented UDP as well as TCP (kernel 6.2 and newer). */
    public boolean segmentsUdp() {
        return udpSegmentation;
    }

    /**
     * Lets the device live on when its last descriptor is closed, also by the end of the process.
     */
    public void persist() {
        final int result = Libc.ioctl(fd, TUNSETPERSIST, 1);
        if (result < 0) {
            throw LinuxException.of(tried + ": persist", result);
        }
    }

    /** Lets the device end with its last descriptor; one that has already ended is no error. */
    public void unpersist() {
        final int result = Libc.ioctl(fd, TUNSETPERSIST, 0);
        if (result < 0 && !Errno.EBADFD.is(result)) {
            throw LinuxException.of(tried + ": unpersist", result);
        }
    }

    /**
     * Reads one frame with its virtio-net header.
     *
     * @param address where it goes
     * @param lengthBytes room there; a longer frame is cut
     * @return bytes read, or a negated error number: EAGAIN where no frame waits, EBADFD once the
     *     device is gone, EINVAL for a frame that the header cannot describe (it is lost)
     */
    public long read(final long address, final int lengthBytes) {
        return Libc.read(fd, address, lengthBytes);
    }

    /**
     * Writes one frame with its virtio-net header.
     *
     * @return bytes written, or a negated error number: EIO while the device is down, EBADFD once
     *     it is gone, EINVAL for a frame that contradicts its header, EAGAIN and ENOMEM under
     *     pressure
     */
    public long write(final long address, final int lengthBytes) {
        return Libc.write(fd, address, lengthBytes);
    }

    /** Closes the descriptor; the device goes with it unless it was told to persist. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            Libc.close(fd);
        }
    }

    private static void requireVnetHeader(final int fd) {
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment features = arena.allocate(JAVA_INT);
            final int got = Libc.ioctl(fd, TUNGETFEATURES, features.address());
            if (got < 0) {
                throw LinuxException.of("ask /dev/net/tun for its features", got);
            }
            if (((int) NUMBER.get(features, 0L) & IFF_VNET_HDR) == 0) {
                throw new LinuxException(
                        "/dev/net/tun: no virtio-net header (IFF_VNET_HDR): use kernel 5.10 or newer");
            }
        }
    }

    private static void attach(final int fd, final String device, final int moreFlags) {
        final byte[] name = device.getBytes(StandardCharsets.US_ASCII);
        if (name.length == 0 || name.length > NAME_BYTES_MAX) {
            throw new LinuxException(
                    "tap '"
                            + device
                            + "': a device name has 1 to "
                            + NAME_BYTES_MAX
                            + " characters");
        }
        final String tried = "attach to tap " + device;
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment request = arena.allocate(IFREQ);
            MemorySegment.copy(name, 0, request, JAVA_BYTE, 0, name.length);
            IFREQ_FLAGS.set(request, 0L, (short) (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | moreFlags));
            final int result = Libc.ioctl(fd, TUNSETIFF, request.address());
            if (Errno.EBUSY.is(result)) {
                throw LinuxException.of(tried, result, "another process holds the device");
            }
            if (Errno.EINVAL.is(result)) {
                throw LinuxException.of(
                        tried,
                        result,
                        "the name is taken by a device of another kind, or is no device name");
            }
            if (Errno.EPERM.is(result)) {
                throw LinuxException.of(tried, result, "run as root or with CAP_NET_ADMIN");
            }
            if (result < 0) {
                throw LinuxException.of(tried, result);
            }
        }
    }

    /** For the requests that take the address of an int. */
    private static void setNumber(
            final int fd, final long request, final int value, final String tried) {
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment number = arena.allocateFrom(JAVA_INT, value);
            final int result = Libc.ioctl(fd, request, number.address());
            if (result < 0) {
                throw LinuxException.of(tried, result);
            }
        }
    }
}
