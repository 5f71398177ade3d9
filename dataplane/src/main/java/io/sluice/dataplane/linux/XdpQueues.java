package io.sluice.dataplane.linux;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * The queues of a device read through AF_XDP: a socket for each, and the program that leads the
 * frames of a queue to its socket.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Purpose. A veth has one receive queue for each queue that its other end sends by, and works on
 * each of them on the processor of who sends. With one queue, senders on several processors take
 * turns at it; with as many queues as processors they do not wait for each other. Who reads the
 * queues is one thread here, so that several do not make it faster; what is sent leaves by the
 * first.
 *
 * <p>The program ({@link XdpProgram}) is attached when all sockets are bound, in the device's
 * driver where that takes one, else in the kernel's generic code: {@link #isNative}. A queue
 * without a socket loses its frames: there has to be a socket for every queue.
 *
 * <p>Waiting. {@link #pollFd} is the socket's own descriptor, or with several queues an epoll(7)
 * descriptor, which polls readable while one of them does.
 *
 * <p>Limits. Each socket has memory of its own, see {@link XdpSocket}; {@link #MAX} of them.
 *
 * <p>End. The program is attached by a link, which ends with the process; then and after {@link
 * #close} the device goes on without a program.
 *
 * <p>Thread: any, but sockets: see there.
 */
public final class XdpQueues implements AutoCloseable {
    /** Queues at most: 96 MiB of frames. */
    public static final int MAX = 16;

    /** Where the program runs. */
    public enum Mode {
        /** In the device's driver, or in generic code where the driver takes none. */
        AUTO,
        /** In the kernel's generic code, for a driver that does not do it well. */
        GENERIC
    }

    private final String device;
    private final List<XdpSocket> sockets = new ArrayList<>();
    private final Deque<Integer> descriptors = new ArrayDeque<>();
    private int pollFd;
    private boolean isNative;

    private XdpQueues(final String device) {
        this.device = device;
    }

    /**
     * Opens sockets on a device of the calling thread's namespace, attaches the program, and
     * receives from then on.
     *
     * @param queues how many the device has to receive by, 1 to {@link #MAX}
     * @param frameBytes longest Ethernet frame to be received or sent
     * @param mode where the program is to run
     * @param busyPollUs see {@link XdpSocket#open}
     * @throws LinuxException as {@link XdpSocket#open}; where the process lacks CAP_NET_ADMIN or
     *     CAP_BPF (EPERM), or another program is attached (EBUSY)
     */
    public static XdpQueues open(
            final String device,
            final int queues,
            final int frameBytes,
            final Mode mode,
            final int busyPollUs) {
        final XdpQueues opened = new XdpQueues(device);
        try {
            for (int queue = 0; queue < queues; queue++) {
                opened.sockets.add(XdpSocket.open(device, queue, frameBytes, busyPollUs));
            }
            opened.attach(mode);
            opened.pollFd = opened.pollTogether();
            return opened;
        } catch (final RuntimeException e) {
            opened.close();
            throw e;
        }
    }

    /** The sockets, by queue. */
    public List<XdpSocket> sockets() {
        return List.copyOf(sockets);
    }

    /** Descriptor that polls readable when a queue has frames. */
    public int pollFd() {
        return pollFd;
    }

    /** Whether the program runs in the device's driver; else in the kernel's generic code. */
    public boolean isNative() {
        return isNative;
    }

    /** Detaches the program and closes the sockets; a second call does nothing. */
    @Override
    public void close() {
        while (!descriptors.isEmpty()) {
            Libc.close(descriptors.pop());
        }
        sockets.forEach(XdpSocket::close);
    }

    private void attach(final Mode mode) {
        final int map = held(Bpf.createSocketMap(sockets.size()), "make an XSKMAP");
        final int program = held(Bpf.loadProgram(map), "load the XDP program");
        for (int queue = 0; queue < sockets.size(); queue++) {
            final long put = Bpf.putSocket(map, queue, sockets.get(queue).fd());
            if (put < 0) {
                throw LinuxException.of(
                        "AF_XDP on " + device + ": put the socket into the XSKMAP", put);
            }
        }
        final int index = Libc.deviceIndex(device);
        long link =
                switch (mode) {
                    case AUTO -> Bpf.attach(program, index, Bpf.XDP_FLAGS_DRV_MODE);
                    case GENERIC -> -Errno.EOPNOTSUPP.number();
                };
        isNative = link >= 0;
        if (!isNative && !Errno.EBUSY.is(link)) {
            link = Bpf.attach(program, index, Bpf.XDP_FLAGS_SKB_MODE);
        }
        held(link, "attach the XDP program");
    }

    private int pollTogether() {
        if (sockets.size() == 1) {
            return sockets.getFirst().fd();
        }
        final int together = held(Libc.epollCreate(), "make an epoll descriptor");
        for (final XdpSocket socket : sockets) {
            final int added = Libc.epollAdd(together, socket.fd());
            if (added < 0) {
                throw LinuxException.of("AF_XDP on " + device + ": epoll_ctl", added);
            }
        }
        return together;
    }

    private int held(final long descriptor, final String tried) {
        if (descriptor < 0) {
            throw LinuxException.of(
                    "AF_XDP on " + device + ": " + tried,
                    descriptor,
                    Errno.EBUSY.is(descriptor)
                            ? "another program is attached there"
                            : "run as root or with CAP_NET_ADMIN and CAP_BPF");
        }
        descriptors.push((int) descriptor);
        return (int) descriptor;
    }
}
