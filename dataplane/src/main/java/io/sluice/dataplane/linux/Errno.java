package io.sluice.dataplane.linux;

/**
 * Error numbers of system calls that this program meets, with their sentence
 * (include/uapi/asm-generic/errno*.h; the numbers are the same on x86-64 and AArch64).
 *
 * <p>Thread: any; immutable.
 */
public enum Errno {
    EPERM(1, "operation not permitted"),
    ENOENT(2, "no such file or directory"),
    ESRCH(3, "no such process"),
    EINTR(4, "interrupted system call"),
    EIO(5, "input/output error"),
    ENXIO(6, "no such device or address"),
    EBADF(9, "bad file descriptor"),
    EAGAIN(11, "nothing there now"),
    ENOMEM(12, "out of memory"),
    EACCES(13, "permission denied"),
    EFAULT(14, "bad address"),
    EBUSY(16, "device or resource busy"),
    EEXIST(17, "file exists"),
    ENODEV(19, "no such device"),
    ENOTDIR(20, "not a directory"),
    EINVAL(22, "invalid argument"),
    ENFILE(23, "too many open files in the system"),
    EMFILE(24, "too many open files in the process"),
    ENOTTY(25, "no such control operation"),
    EPIPE(32, "the other side has closed"),
    ENOSYS(38, "system call not there"),
    EBADFD(77, "file descriptor in bad state"),
    EMSGSIZE(90, "message too long"),
    EOPNOTSUPP(95, "operation not supported"),
    EAFNOSUPPORT(97, "address family not supported"),
    EADDRINUSE(98, "address in use"),
    ENETDOWN(100, "network is down"),
    ECONNRESET(104, "connection reset"),
    ENOBUFS(105, "no buffer space"),
    ECONNREFUSED(111, "connection refused");

    private final int number;
    private final String sentence;

    Errno(final int number, final String sentence) {
        this.number = number;
        this.sentence = sentence;
    }

    /** The kernel's number, above 0. */
    public int number() {
        return number;
    }

    /**
     * Whether a system call of {@link Libc} that returned {@code result} failed with this error.
     */
    public boolean is(final long result) {
        return result == -number;
    }

    /**
     * Name and sentence of an error number, {@code EBUSY (device or resource busy)}, or {@code
     * errno N} for one that is not listed here.
     */
    static String describe(final int number) {
        for (final Errno errno : values()) {
            if (errno.number == number) {
                return errno.name() + " (" + errno.sentence + ")";
            }
        }
        return "errno " + number;
    }
}
