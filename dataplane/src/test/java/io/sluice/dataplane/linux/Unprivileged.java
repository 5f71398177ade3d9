package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Runs work on a thread that has given up root for good. The raw system call changes the calling
 * thread alone; the C library's setresuid(3) would change all of them.
 */
final class Unprivileged {
    private static final long NOBODY = 65_534;

    private static final MethodHandle SYSCALL =
            Linker.nativeLinker()
                    .downcallHandle(
                            Linker.nativeLinker().defaultLookup().findOrThrow("syscall"),
                            FunctionDescriptor.of(
                                    JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG),
                            Linker.Option.firstVariadicArg(1));

    private Unprivileged() {}

    /** What the work threw, or null. */
    static @Nullable Throwable run(final Runnable work) {
        final AtomicReference<@Nullable Throwable> thrown = new AtomicReference<>();
        final Thread thread =
                Thread.ofPlatform()
                        .start(
                                () -> {
                                    try {
                                        becomeNobody();
                                        work.run();
                                    } catch (final Throwable e) {
                                        thrown.set(e);
                                    }
                                });
        while (thread.isAlive()) {
            Thread.onSpinWait();
        }
        return thrown.get();
    }

    private static void becomeNobody() throws Throwable {
        final long setresuid = System.getProperty("os.arch").equals("amd64") ? 117 : 147;
        final long result = (long) SYSCALL.invokeExact(setresuid, NOBODY, NOBODY, NOBODY);
        if (result != 0) {
            throw new AssertionError("setresuid refused");
        }
    }
}
