package io.sluice.dataplane.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;

/**
 * A network namespace of this process's own, without a name.
 *
 * <p>It lives as long as a thread is in it: one that was made for nothing else, until {@link
 * #close}, and those that entered. It ends with the process, however that ends, and leaves nothing
 * behind; two processes cannot have the same. People reach it by {@link NetworkNamespace#path}:
 * {@code nsenter --net=PATH ss -tn}.
 *
 * <p>Thread: any.
 */
public final class PrivateNamespace implements AutoCloseable {
    private static final Path OWN_THREAD = Path.of("/proc/thread-self");

    private final NetworkNamespace namespace;
    private final CountDownLatch end;

    private PrivateNamespace(final NetworkNamespace namespace, final CountDownLatch end) {
        this.namespace = namespace;
        this.end = end;
    }

    /**
     * Makes one, empty but for the loopback device, which is down.
     *
     * @param thread name of the thread that keeps it
     * @throws LinuxException without CAP_SYS_ADMIN (EPERM), or above the system's limit (ENOSPC)
     */
    public static PrivateNamespace create(final String thread) {
        final CompletableFuture<Path> made = new CompletableFuture<>();
        final CountDownLatch end = new CountDownLatch(1);
        Thread.ofPlatform().name(thread).daemon().start(() -> keep(made, end));
        try {
            return new PrivateNamespace(NetworkNamespace.atPath(made.get()), end);
        } catch (final ExecutionException e) {
            throw e.getCause() instanceof final LinuxException failed
                    ? failed
                    : new IllegalStateException(e.getCause());
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            end.countDown();
            throw new LinuxException("interrupted while a network namespace was made", e);
        }
    }

    private static void keep(final CompletableFuture<Path> made, final CountDownLatch end) {
        try {
            final int result = Libc.unshare(Libc.CLONE_NEWNET);
            if (result < 0) {
                throw LinuxException.of(
                        "make a network namespace", result, "run as root or with CAP_SYS_ADMIN");
            }
            // Named by numbers: /proc/thread-self means another thread to whoever opens it.
            made.complete(
                    Path.of("/proc").resolve(Files.readSymbolicLink(OWN_THREAD)).resolve("ns/net"));
            end.await();
        } catch (final IOException e) {
            made.completeExceptionally(
                    new LinuxException("read " + OWN_THREAD + ": " + e.getMessage(), e));
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (final RuntimeException e) {
            made.completeExceptionally(e);
        }
    }

    /** The way to it. */
    public NetworkNamespace namespace() {
        return namespace;
    }

    /** Lets go of it: it ends, with its devices, when no other thread is in it. */
    @Override
    public void close() {
        end.countDown();
    }
}
