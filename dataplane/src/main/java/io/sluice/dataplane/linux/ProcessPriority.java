package io.sluice.dataplane.linux;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The share of the processors that this process gets while others want them too (setpriority(2)).
 * On Linux it belongs to threads, and a new thread has that of the one which starts it.
 */
public final class ProcessPriority {
    private static final Path THREADS = Path.of("/proc/self/task");

    private ProcessPriority() {}

    /**
     * Sets the nice value of the calling thread.
     *
     * @param nice -20 for the largest share, 0 for the ordinary one, 19 for the least
     * @throws LinuxException EACCES where a lower value than now needs CAP_SYS_NICE
     */
    public static void niceThread(final int nice) {
        set(0, nice);
    }

    /**
     * Changes the nice value of every thread that has a certain one; others have their own reasons.
     *
     * @throws LinuxException EACCES where a lower value than now needs CAP_SYS_NICE
     */
    public static void renice(final int from, final int to) {
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(THREADS)) {
            for (final Path thread : threads) {
                final int id = Integer.parseInt(thread.getFileName().toString());
                if (Libc.getpriority(Libc.PRIO_PROCESS, id) == from) {
                    set(id, to);
                }
            }
        } catch (final IOException e) {
            throw new LinuxException("list " + THREADS + ": " + e.getMessage(), e);
        }
    }

    private static void set(final int id, final int nice) {
        final int set = Libc.setpriority(Libc.PRIO_PROCESS, id, nice);
        if (set < 0 && !Errno.ESRCH.is(set)) {
            throw LinuxException.of("set the nice value to " + nice, set);
        }
    }
}
