package io.sluice.control.cli;

/** What a command's exit status means, the same for every command. */
final class ExitCode {
    /** Yes, or done. */
    static final int YES = 0;

    /** No: denied, invalid, differs, not found, refused by the daemon. */
    static final int NO = 1;

    /** The command line or its input cannot be understood. */
    static final int USAGE = 2;

    /** No daemon answers on the control socket, or it failed to: it stops, or has a fault. */
    static final int UNREACHABLE = 3;

    private ExitCode() {}
}
