package io.sluice.dataplane.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A network namespace: whose devices, addresses and routes a thread sees.
 *
 * <p>Found by the name that {@code ip netns} gave it, by a path, or by a process that lives in it.
 * This object is a way to the namespace and not a hold on it: it keeps no descriptor open, because
 * an open descriptor would keep a removed namespace, and every device in it, alive. It remembers
 * which namespace was found (device and inode number of its file in nsfs), and refuses to enter
 * another one that has taken the place since: a name used again, a process number used again. Once
 * a namespace is gone for good the kernel may give its inode number to a new one, which then passes
 * for it; ports of the old one have answered GONE by then.
 *
 * <p>{@link #call} runs work inside. A thread cannot be trusted after setns(2) (whatever it runs
 * next would silently act on the wrong network), so each call has a thread of its own which ends
 * with the work. Threads and processes that the work starts are born in the namespace too, and keep
 * it alive as long as they live: never touch an executor inside. That includes {@code
 * ProcessBuilder}, whose reaper thread stays for a minute; {@link IpCommand} therefore enters with
 * nsenter(1).
 *
 * <p>Thread: any; immutable.
 */
public final class NetworkNamespace {
    /** Where {@code ip netns add} puts names (iproute2, NETNS_RUN_DIR), and its older spelling. */
    private static final List<Path> NAME_FOLDERS =
            List.of(Path.of("/run/netns"), Path.of("/var/run/netns"));

    /** ioctl_nsfs(2): answers the CLONE_NEW... constant of a namespace. */
    private static final long NS_GET_NSTYPE = 0xb703;

    /** Work that may throw what its author says. */
    @FunctionalInterface
    public interface Work<T extends @Nullable Object, X extends Exception> {
        T run() throws X;
    }

    private final String name;
    private final Path path;
    private final Identity identity;

    /** Which namespace: the same while it lives, whatever the path to it. */
    private record Identity(long device, long inode) {}

    private NetworkNamespace(final String name, final Path path, final Identity identity) {
        this.name = name;
        this.path = path;
        this.identity = identity;
    }

    /**
     * The namespace this process was started in.
     *
     * @throws LinuxException where /proc is not mounted
     */
    public static NetworkNamespace current() {
        final Path path = processPath(ProcessHandle.current().pid());
        return resolve("own", path, "mount /proc");
    }

    /**
     * By name or path, as people write it: with a slash it is a path.
     *
     * @throws LinuxException where there is no such namespace
     */
    public static NetworkNamespace of(final String nameOrPath) {
        return nameOrPath.indexOf('/') >= 0 ? atPath(Path.of(nameOrPath)) : named(nameOrPath);
    }

    /**
     * By the name that {@code ip netns add} gave it.
     *
     * @throws LinuxException where there is no such namespace
     */
    public static NetworkNamespace named(final String name) {
        if (name.isEmpty() || name.equals(".") || name.equals("..") || name.indexOf('/') >= 0) {
            throw new LinuxException(
                    "network namespace '"
                            + name
                            + "': not a name; give a name or an absolute path");
        }
        for (final Path folder : NAME_FOLDERS) {
            final Path path = folder.resolve(name);
            if (Files.exists(path)) {
                return resolve(name, path, "make it again with: ip netns add " + name);
            }
        }
        throw new LinuxException(
                "network namespace "
                        + name
                        + ": not found in /run/netns or /var/run/netns: make it with: ip netns add "
                        + name);
    }

    /**
     * By path: a bind mount, or {@code /proc/PID/ns/net}.
     *
     * @throws LinuxException where there is no network namespace
     */
    public static NetworkNamespace atPath(final Path path) {
        if (!path.isAbsolute()) {
            throw new LinuxException(
                    "network namespace " + path + ": give a name or an absolute path");
        }
        if (!Files.exists(path)) {
            throw new LinuxException("network namespace " + path + ": no such file");
        }
        return resolve(path.toString(), path, "give a path such as /run/netns/NAME");
    }

    /**
     * The namespace a process lives in.
     *
     * @throws LinuxException where there is no such process
     */
    public static NetworkNamespace ofProcess(final long pid) {
        final Path path = processPath(pid);
        if (!Files.exists(Path.of("/proc/" + pid))) {
            throw new LinuxException("network namespace of process " + pid + ": no such process");
        }
        return resolve("of process " + pid, path, "run as root");
    }

    /** A path that leads to the namespace while whoever gave it its name lives. */
    public Path path() {
        return path;
    }

    /** Inode number of the namespace in nsfs: what {@code ls -Li} and {@code lsns} show. */
    public long inode() {
        return identity.inode;
    }

    /** Whether both are the same namespace, whatever the paths to it. */
    public boolean isSameAs(final NetworkNamespace other) {
        return identity.equals(other.identity);
    }

    /** Whether the path still leads to the namespace that was found first. */
    public boolean isPresent() {
        try {
            return identity.equals(identify(path));
        } catch (final IOException e) {
            return false;
        }
    }

    /**
     * Runs work on a short-lived thread inside the namespace and waits for it. An interrupt of the
     * caller is kept for later: the work is not abandoned half way.
     *
     * @return what the work answers
     * @throws X what the work throws
     * @throws LinuxException where the namespace is gone or must not be entered
     */
    public <T extends @Nullable Object, X extends Exception> T call(final Work<T, X> work)
            throws X {
        final int fd = open();
        final Inside<T, X> inside = new Inside<>(fd, "enter network namespace " + name, work);
        try {
            final Thread thread = Thread.ofPlatform().name("sluice-netns-" + name).start(inside);
            joinUninterruptibly(thread);
        } finally {
            Libc.close(fd);
        }
        return inside.answer();
    }

    /**
     * Moves the calling thread inside, for the rest of its life. Only for threads that do nothing
     * else: see above.
     *
     * @throws LinuxException where the namespace is gone or must not be entered
     */
    public void enter() {
        final int fd = open();
        try {
            final int entered = Libc.setns(fd, Libc.CLONE_NEWNET);
            if (entered < 0) {
                throw LinuxException.of(
                        "enter network namespace " + name,
                        entered,
                        "run as root or with CAP_SYS_ADMIN");
            }
        } finally {
            Libc.close(fd);
        }
    }

    @Override
    public String toString() {
        return name;
    }

    private int open() {
        if (!isPresent()) {
            throw new LinuxException("network namespace " + name + ": gone from " + path);
        }
        final int fd = Libc.open(path.toString(), Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0) {
            throw LinuxException.of("open network namespace " + path, fd);
        }
        return fd;
    }

    private static NetworkNamespace resolve(
            final String name, final Path path, final String advice) {
        final int fd = Libc.open(path.toString(), Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0) {
            throw LinuxException.of("open network namespace " + path, fd, advice);
        }
        try {
            if (Libc.ioctl(fd, NS_GET_NSTYPE, 0) != Libc.CLONE_NEWNET) {
                throw new LinuxException(
                        "network namespace "
                                + path
                                + ": the file is no network namespace: "
                                + advice);
            }
            return new NetworkNamespace(name, path, identify(path));
        } catch (final IOException e) {
            throw new LinuxException("network namespace " + path + ": " + e.getMessage(), e);
        } finally {
            Libc.close(fd);
        }
    }

    private static Identity identify(final Path path) throws IOException {
        final var attributes = Files.readAttributes(path, "unix:dev,ino");
        if (attributes.get("dev") instanceof Long device
                && attributes.get("ino") instanceof Long inode) {
            return new Identity(device, inode);
        }
        throw new IOException("no device and inode number at " + path);
    }

    private static Path processPath(final long pid) {
        return Path.of("/proc/" + pid + "/ns/net");
    }

    private static void joinUninterruptibly(final Thread thread) {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (final InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** The thread's work; its fields are read after the thread has ended. */
    private static final class Inside<T extends @Nullable Object, X extends Exception>
            implements Runnable {
        private final int fd;
        private final String tried;
        private final Work<T, X> work;
        private @Nullable T result;
        private @Nullable Throwable thrown;

        Inside(final int fd, final String tried, final Work<T, X> work) {
            this.fd = fd;
            this.tried = tried;
            this.work = work;
        }

        @Override
        public void run() {
            try {
                final int entered = Libc.setns(fd, Libc.CLONE_NEWNET);
                if (entered < 0) {
                    throw LinuxException.of(tried, entered, "run as root or with CAP_SYS_ADMIN");
                }
                result = work.run();
            } catch (final Throwable e) {
                thrown = e;
            }
        }

        // run() is the only writer of both fields: thrown is an X or unchecked, and result is a T
        // wherever nothing was thrown.
        @SuppressWarnings({"unchecked", "NullAway"})
        T answer() throws X {
            if (thrown instanceof RuntimeException unchecked) {
                throw unchecked;
            }
            if (thrown instanceof Error error) {
                throw error;
            }
            if (thrown != null) {
                throw (X) thrown;
            }
            return result;
        }
    }
}
