package io.sluice.dataplane.port;

import io.sluice.dataplane.linux.Errno;
import io.sluice.dataplane.linux.IpCommand;
import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.Tun;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
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
 * <h2>Queues</h2>
 *
 * A device for several lanes has a queue for each ({@link Tun#openQueues}), and the port a part
 * with that queue. Both directions of a flow come to the lane that had its first packet: the kernel
 * sends a device's frames to the queue into which the other direction was written. A device that
 * has queues keeps the ability when fewer lanes open it again; one that has none is removed and
 * made anew for more lanes. Connections of the pod survive that, too.
 *
 * <p>A device with queues has 256 of them in the kernel's books, whatever is open (tun_set_iff),
 * and so many queueing disciplines of {@link #QUEUE_FRAMES} frames each if it is left alone, 24
 * MiB. It gets none (qdisc noqueue): frames wait in the queues of the descriptors and nowhere else,
 * as they do in any TAP.
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

    /** What {@code ip -d link} says of a device with queues. */
    private static final Pattern QUEUES = Pattern.compile("\\bmulti_queue numqueues (\\d+)");

    private final TapOptions options;
    private final Tun tun;
    private final AtomicLong unreadableFrames = new AtomicLong();

    /** Lane 0's part, which has the others; itself there. */
    private final TapPort whole;

    private final List<TapPort> others = new ArrayList<>();

    private TapPort(final TapOptions options, final List<Tun> queues) {
        this.options = options;
        this.tun = queues.getFirst();
        this.whole = this;
        for (final Tun queue : queues.subList(1, queues.size())) {
            others.add(new TapPort(this, queue));
        }
    }

    private TapPort(final TapPort whole, final Tun queue) {
        this.options = whole.options;
        this.tun = queue;
        this.whole = whole;
    }

    /** {@link #open(TapOptions, int)} for one lane. */
    public static TapPort open(final TapOptions options) {
        return open(options, 1);
    }

    /**
     * Makes the device, or finds it again, with the MAC address and MTU of the options. The device
     * is down and without addresses, except where it was found again in our own namespace.
     *
     * @param lanes for how many, 1 to {@link Tun#QUEUES_MAX}
     * @throws LinuxException where that cannot be; the message is one line that says what to do
     */
    public static TapPort open(final TapOptions options, final int lanes) {
        final NetworkNamespace own = NetworkNamespace.current();
        final NetworkNamespace namespace = options.namespace();
        return new TapPort(
                options,
                namespace == null || namespace.isSameAs(own)
                        ? openHere(options, lanes)
                        : openInside(options, lanes, namespace, own));
    }

    /**
     * A port that another process had open, as it is.
     *
     * @param options that it was opened with
     * @param fds descriptors that the other process passed on, a queue for each lane; the port's
     *     own from now on
     */
    public static TapPort adopt(final TapOptions options, final List<Integer> fds) {
        return new TapPort(
                options, fds.stream().map(fd -> Tun.adopt(options.device(), fd)).toList());
    }

    @Override
    public TapPort ofLane(final int lane) {
        return lane == 0 ? this : others.get(lane - 1);
    }

    @Override
    public TapPort whole() {
        return whole;
    }

    /** Descriptors of all queues, in order; empty after {@link #close}. */
    public List<Integer> descriptors() {
        return tun.fd() < 0
                ? List.of()
                : Stream.concat(Stream.of(this), others.stream()).map(Port::pollFd).toList();
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
        long sum = unreadableFrames.get();
        for (final TapPort other : others) {
            sum += other.unreadableFrames();
        }
        return sum;
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
        others.forEach(TapPort::close);
    }

    /** Lets go of the device and removes it, with its addresses and routes. */
    public void release() {
        if (tun.fd() >= 0) {
            tun.unpersist();
            close();
        }
    }

    private static List<Tun> openHere(final TapOptions options, final int lanes) {
        final IpCommand ip = IpCommand.here();
        final Found found =
                Tun.deviceExists(options.device()) ? requireOurs(options, ip, "") : Found.NONE;
        if (found == Found.PLAIN && lanes > 1) {
            remove(options.device());
        }
        final List<Tun> queues = attach(options.device(), lanes, found);
        try {
            if (hasQueues(lanes, found)) {
                ip.takeQueueingDiscipline(options.device());
            }
            ip.batch(List.of("link set dev " + options.device() + properties(options)));
            keep(options, queues.getFirst());
            return queues;
        } catch (final RuntimeException e) {
            queues.forEach(Tun::close);
            throw e;
        }
    }

    private static List<Tun> openInside(
            final TapOptions options,
            final int lanes,
            final NetworkNamespace namespace,
            final NetworkNamespace own) {
        final String passingName = passingName();
        Found found = Found.NONE;
        if (namespace.call(() -> Tun.deviceExists(options.device()))) {
            final IpCommand inside = IpCommand.in(namespace);
            found = requireOurs(options, inside, " in network namespace " + namespace);
            if (found == Found.PLAIN) {
                final boolean isWanted = lanes == 1;
                // Whether another process holds it, only the kernel knows; attaching asks.
                namespace.<@Nullable Void, RuntimeException>call(
                        () -> {
                            if (isWanted) {
                                Tun.open(options.device()).close();
                            } else {
                                remove(options.device());
                            }
                            return null;
                        });
            }
            if (found == Found.WITH_QUEUES || lanes == 1) {
                inside.batch(List.of(move(options.device(), "", own, passingName)));
            }
        }
        final List<Tun> queues = attach(passingName, lanes, found);
        try {
            // Until it is back inside, a crash must not leave the device here.
            queues.getFirst().unpersist();
            IpCommand.here()
                    .batch(
                            List.of(
                                    move(
                                            passingName,
                                            properties(options),
                                            namespace,
                                            options.device())));
            if (hasQueues(lanes, found)) {
                // The kernel forgets it at a move, like addresses, and asks for it when it is up.
                IpCommand.in(namespace).takeQueueingDiscipline(options.device());
            }
            keep(options, queues.getFirst());
            return queues;
        } catch (final RuntimeException e) {
            queues.forEach(Tun::close);
            throw e;
        }
    }

    private static List<Tun> attach(final String device, final int lanes, final Found found) {
        return hasQueues(lanes, found) ? Tun.openQueues(device, lanes) : List.of(Tun.open(device));
    }

    /** A device that was made with queues keeps them, whoever opens it. */
    private static boolean hasQueues(final int lanes, final Found found) {
        return lanes > 1 || found == Found.WITH_QUEUES;
    }

    /** Removes a device without queues, unless another process holds it. */
    private static void remove(final String device) {
        try (Tun tun = Tun.open(device)) {
            tun.unpersist();
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

    /** What is there under a device's name. */
    private enum Found {
        NONE,
        /** A device of ours with room for one lane. */
        PLAIN,
        /** A device of ours that has room for any number, held by nobody. */
        WITH_QUEUES
    }

    private static Found requireOurs(
            final TapOptions options, final IpCommand ip, final String where) {
        final String link = ip.query("-d", "link", "show", "dev", options.device());
        if (link.lines().noneMatch(line -> line.strip().equals("alias " + ALIAS))) {
            throw new LinuxException(
                    "device "
                            + options.device()
                            + where
                            + ": the name is taken by a device that is not ours: remove it or choose"
                            + " another name");
        }
        final Matcher queues = QUEUES.matcher(link);
        if (!queues.find()) {
            return Found.PLAIN;
        }
        if (!queues.group(1).equals("0")) {
            throw new LinuxException(
                    "device " + options.device() + where + ": another process holds the device");
        }
        return Found.WITH_QUEUES;
    }

    /** Unique on the node while this process lives, and at most 15 characters. */
    private static String passingName() {
        final long pid = ProcessHandle.current().pid();
        final long number = PASSING_NAMES.getAndIncrement() % (36 * 36 * 36 * 36);
        return "sl-" + Long.toString(pid, 36) + "-" + Long.toString(number, 36);
    }
}
