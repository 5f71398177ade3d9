package io.sluice.control.agent;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Which process a process id means: {@code BOOT/TICKS}, the boot id of the kernel ({@code
 * /proc/sys/kernel/random/boot_id}) and the process's start in clock ticks since then ({@code
 * /proc/PID/stat}, field 22, proc_pid_stat(5)). The kernel gives a process id to another process
 * when the first has ended; it never gives it twice with the same start.
 *
 * <p>Thread: any.
 */
final class ProcessStart {
    /** What {@link #isValid} accepts, in words. */
    static final String ACCEPTED =
            "boot id, slash and start time (field 22 of /proc/PID/stat), as endpoint add writes it";

    private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

    /** Position of field 22 after the name, which is field 2 and ends at the last bracket. */
    private static final int START_AFTER_NAME = 22 - 3;

    private ProcessStart() {}

    static boolean isValid(final String text) {
        return text.matches("[0-9a-f-]{36}/[0-9]{1,20}");
    }

    /** The start of the process that has this id now; empty when none has. */
    static Optional<String> of(final long pid) {
        try {
            final String stat = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
            final String[] fields =
                    stat.substring(stat.lastIndexOf(')') + 1).strip().split(" ", -1);
            return Optional.of(Files.readString(BOOT_ID).strip() + "/" + fields[START_AFTER_NAME]);
        } catch (final IOException e) {
            return Optional.empty();
        }
    }
}
