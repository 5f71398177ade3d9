package io.sluice.dataplane.linux;

import java.io.Serial;

/**
 * Linux refused something. The message is one line for people: what was tried, the error, and what
 * to do where that is known, for instance {@code open /dev/net/tun: EACCES (permission denied): run
 * as root or with CAP_NET_ADMIN}.
 */
public final class LinuxException extends RuntimeException {
    @Serial private static final long serialVersionUID = 1L;

    private final int errno;

    /** For failures that have no error number, such as a command that said no. */
    public LinuxException(final String message) {
        super(message);
        this.errno = 0;
    }

    /** For failures that another exception explains. */
    public LinuxException(final String message, final Throwable cause) {
        super(message, cause);
        this.errno = 0;
    }

    private LinuxException(final String message, final int errno) {
        super(message);
        this.errno = errno;
    }

    /**
     * @param tried what was tried: {@code open /dev/net/tun}
     * @param result answer of the system call, a negated error number
     */
    static LinuxException of(final String tried, final long result) {
        return new LinuxException(tried + ": " + Errno.describe((int) -result), (int) -result);
    }

    /**
     * @param advice what to do about it, without a full stop
     */
    static LinuxException of(final String tried, final long result, final String advice) {
        return new LinuxException(
                tried + ": " + Errno.describe((int) -result) + ": " + advice, (int) -result);
    }

    /** Whether the system call failed with this error. */
    public boolean is(final Errno expected) {
        return errno == expected.number();
    }
}
