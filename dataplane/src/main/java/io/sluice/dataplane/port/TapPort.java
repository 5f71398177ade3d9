package io.sluice.dataplane.port;

import io.sluice.dataplane.linux.Errno;
import io.sluice.dataplane.linux.IpCommand;
import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.Tun;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A port whose far end is a TAP device, in a pod's namespace or in our own.
 *
 * <h2>Birth</h2>
 *
 * A new device is made in our own namespace under a passing name and moved into the pod's. Not born
 * there, although that is simpler: the descriptor would hold the namespace it was opened in, so a
 * removed namespace would live on with its device for as long as the switch runs, and nobody would
 * be told. As it is, the device ends with the pod's namespace and {@link #receive} answers {@link
 * Port#GONE}. (TunPlatformNetnsTest shows both.)
 *
 * <h2>Finding a device again</h2>
 *
 * A device of lifetime {@code NAMESPACE} waits in its namespace when the process has died. Opening
 * it again takes the same road backwards: move it out, attach to it, move it in. The kernel forgets
 * addresses and routes at each move, so the caller applies its {@link PodInterface} after every
 * open. Connections of the pod survive that. Devices of ours carry the alias {@value #ALIAS}; a
 * device of that name without it is somebody else's and refused, and so is one that another process
 * holds.
 *
 * <h2>Handing over</h2>
 *
 * A process that takes the place of another gets the descriptor itself and {@link #adopt}s it: the
 * device is not moved, keeps addresses and routes, and its frames wait in its queue meanwhile. The
 * queue has {@link #QUEUE_FRAMES} from the start: to change it later costs frames, as the kernel
 * drops what is sent while it does so (dev_qdisc_change_tx_queue_len in net/sched/sch_generic.c).
 *
 * <h2>Frames</h2>
 *
 * See {@link Tun}: frames arrive with their checksum open and unsegmented, up to 64 KiB, and leave
 * as they came. A frame is read straight into the batch.
 *
 * <h2>End</h2>
 *
 * {@link #close} lets go; {@link #release} also removes the device. Both only after the lane has
 * let go of the port: the kernel reuses descriptor numbers.
 *
 * <p>Thread: see {@link Port}.
 */
public final class TapPort implements Port {
    /** Marks devices as ours, for {@link #open} and for readers of {@code ip link}. */
    static final String ALIAS = "sluice";

    /**
     * Frames that wait in a device: 80 ms of 50,000 a second, in which a lane may be without a
     * processor while another process takes over; the kernel's default is 1,000. Longer would be
     * delay before a lane that is too slow. 8 bytes each while unused.
     */
    static final int QUEUE_FRAMES = 4_096;

    /** Numbers the passing names of this process. */
    private static final AtomicLong PASSING_NAMES = new AtomicLong();

    private final TapOptions options;
    private final Tun tun;
    private final AtomicLong unreadableFrames = new AtomicLong();

    private TapPort(final TapOptions options, final Tun tun) {
        this.options = options;
        this.tun = tun;
    }

    /**
     * Makes the device, or finds it again, with the MAC address and MTU of the options. The device
     * is down and without addresses, except where it was found again in our own namespace.
     *
     * @throws LinuxException where that cannot be; the message is one line that says what to do
     */
    public static TapPort open(final TapOptions options) {
        final NetworkNamespace own = NetworkNamespace.current();
        final NetworkNamespace namespace = options.namespace();
        final Tun tun =
                namespace == null || namespace.isSameAs(own)
                        ? openHere(options)
                        : openInside(options, namespace, own);
        return new TapPort(options, tun);
    }

    /**
     * A port that another process had open, as it is.
     *
     * @param options that it was opened with
     * @param fd descriptor that the other process passed on; the port's own from now on
     */
    public static TapPort adopt(final TapOptions options, final int fd) {
        return new TapPort(options, Tun.adopt(options.device(), fd));
    }

    @Override
    public String name() {
        return options.device();
    }

    @Override
    public int mtu() {
        return options.mtu();
    }

    @Override
    public int pollFd() {
        return tun.fd();
    }

    @Override
    public int receive(final PacketBatch batch) {
        final long memory = batch.memory().address();
        int received = 0;
        while (batch.hasRoom()) {
            final long length = tun.read(memory + batch.nextOffset(), PacketBatch.FRAME_BYTES_MAX);
            if (length > 0) {
                batch.add((int) length);
                received++;
            } else if (Errno.EAGAIN.is(length) || Errno.EINTR.is(length)) {
                break;
            } else if (Errno.EINVAL.is(length)) {
                // A frame of a segmentation type that was never offered: the kernel has dropped it.
                unreadableFrames.incrementAndGet();
                break;
            } else {
                // EBADFD, and whatever a dying device may say. Frames before it still count.
                return received > 0 ? received : GONE;
            }
        }
        return received;
    }

    @Override
    public boolean send(final MemorySegment memory, final long offset, final int length) {
        Objects.checkFromIndexSize(offset, length, memory.byteSize());
        try {
            return tun.write(memory.address() + offset, length) == length;
        } finally {
            Reference.reachabilityFence(memory);
        }
    }

    /** Frames that the kernel could not describe by a virtio-net header and dropped; 0 so far. */
    public long unreadableFrames() {
        return unreadableFrames.get();
    }

    /** Whether senders hand over unsegmented UDP as well as TCP. */
    public boolean segmentsUdp() {
        return tun.segmentsUdp();
    }

    /**
     * Lets go of the device. A device of lifetime {@code NAMESPACE} stays, and may be opened again.
     */
    @Override
    public void close() {
        tun.close();
    }

    /** Lets go of the device and removes it, with its addresses and routes. */
    public void release() {
        if (tun.fd() >= 0) {
            tun.unpersist();
            tun.close();
        }
    }

    private static Tun openHere(final TapOptions options) {
        final IpCommand ip = IpCommand.here();
        if (Tun.deviceExists(options.device())) {
            requireOurs(options, ip, "");
        }
        final Tun tun = Tun.open(options.device());
        try {
            ip.batch(List.of("link set dev " + options.device() + properties(options)));
            keep(options, tun);
            return tun;
        } catch (final RuntimeException e) {
            tun.close();
            throw e;
        }
    }

    private static Tun openInside(
            final TapOptions options,
            final NetworkNamespace namespace,
            final NetworkNamespace own) {
        final String passingName = passingName();
        if (namespace.call(() -> Tun.deviceExists(options.device()))) {
            final IpCommand inside = IpCommand.in(namespace);
            requireOurs(options, inside, " in network namespace " + namespace);
            // Whether another process holds it, only the kernel knows; attaching asks.
            namespace.<@Nullable Void, RuntimeException>call(
                    () -> {
                        Tun.open(options.device()).close();
                        return null;
                    });
            inside.batch(List.of(move(options.device(), "", own, passingName)));
        }
        final Tun tun = Tun.open(passingName);
        try {
            // Until it is back inside, a crash must not leave the device here.
            tun.unpersist();
            IpCommand.here()
                    .batch(
                            List.of(
                                    move(
                                            passingName,
                                            properties(options),
                                            namespace,
                                            options.device())));
            keep(options, tun);
            return tun;
        } catch (final RuntimeException e) {
            tun.close();
            throw e;
        }
    }

    private static String move(
            final String device,
            final String properties,
            final NetworkNamespace to,
            final String name) {
        return "link set dev " + device + properties + " netns " + to.path() + " name " + name;
    }

    private static String properties(final TapOptions options) {
        return " alias %s address %s mtu %d txqueuelen %d"
                .formatted(ALIAS, options.macText(), options.mtu(), QUEUE_FRAMES);
    }

    private static void keep(final TapOptions options, final Tun tun) {
        switch (options.lifetime()) {
            case NAMESPACE -> tun.persist();
            case PORT -> tun.unpersist();
        }
    }

    private static void requireOurs(
            final TapOptions options, final IpCommand ip, final String where) {
        final String link = ip.query("link", "show", "dev", options.device());
        if (link.lines().noneMatch(line -> line.strip().equals("alias " + ALIAS))) {
            throw new LinuxException(
                    "device "
                            + options.device()
                            + where
                            + ": the name is taken by a device that is not ours: remove it or choose"
                            + " another name");
        }
    }

    /** Unique on the node while this process lives, and at most 15 characters. */
    private static String passingName() {
        final long pid = ProcessHandle.current().pid();
        final long number = PASSING_NAMES.getAndIncrement() % (36 * 36 * 36 * 36);
        return "sl-" + Long.toString(pid, 36) + "-" + Long.toString(number, 36);
    }
}
