package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Which processor a thread runs on (sched_setaffinity(2)).
 *
 * <p>A pinned thread never waits for one processor while another is free to take it: it waits for
 * its own. Threads that it starts afterwards are pinned as well.
 *
 * <p>Thread: any.
 */
public final class ProcessorAffinity {
    /** Numbers of processors are below this (CONFIG_NR_CPUS is at most 8192). */
    public static final int PROCESSORS_MAX = 8192;

    private static final Path ONLINE = Path.of("/sys/devices/system/cpu/online");

    private ProcessorAffinity() {}

    /**
     * Has the calling thread run on one processor alone.
     *
     * @param processor its number, 0 to {@link #PROCESSORS_MAX} - 1
     * @throws LinuxException where it is not there, or the cpuset of this process does not allow it
     */
    public static void pinThread(final int processor) {
        if (processor < 0 || processor >= PROCESSORS_MAX) {
            throw new IllegalArgumentException(
                    "processor " + processor + ": 0 to " + (PROCESSORS_MAX - 1));
        }
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment mask = arena.allocate(PROCESSORS_MAX / Byte.SIZE, Long.BYTES);
            mask.setAtIndex(JAVA_LONG, processor / Long.SIZE, 1L << processor);
            final int set = Libc.setAffinity(mask);
            if (set < 0) {
                throw LinuxException.of("run on processor " + processor, set, advice());
            }
        }
    }

    private static String advice() {
        try {
            return "processors of this machine: "
                    + Files.readString(ONLINE).strip()
                    + "; the cpuset of this process (cgroup) may allow fewer";
        } catch (final IOException e) {
            return "it is not there, or the cpuset of this process (cgroup) does not allow it";
        }
    }
}
