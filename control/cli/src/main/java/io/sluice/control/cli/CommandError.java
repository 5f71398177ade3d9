package io.sluice.control.cli;

/** Ends a command: the message goes to stderr as it is, the code becomes the exit status. */
final class CommandError extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int exitCode;
    private final int status;

    private CommandError(final int exitCode, final int status, final String message) {
        // Neither cause nor stack: the message is for the user and says where and what.
        super(message, null, false, false);
        this.exitCode = exitCode;
        this.status = status;
    }

    static CommandError no(final String message) {
        return new CommandError(ExitCode.NO, 0, message);
    }

    static CommandError usage(final String message) {
        return new CommandError(ExitCode.USAGE, 0, message);
    }

    static CommandError unreachable(final String message) {
        return new CommandError(ExitCode.UNREACHABLE, 0, message);
    }

    /** The daemon's refusal, by its HTTP status. */
    static CommandError refused(final int status, final String message) {
        final int exitCode =
                status == 400 ? ExitCode.USAGE : status >= 500 ? ExitCode.UNREACHABLE : ExitCode.NO;
        return new CommandError(exitCode, status, message);
    }

    /** HTTP status with which the daemon refused, 0 where it is not its refusal. */
    int status() {
        return status;
    }

    int exitCode() {
        return exitCode;
    }

    String text() {
        final String message = getMessage();
        return message == null ? "" : message;
    }
}
