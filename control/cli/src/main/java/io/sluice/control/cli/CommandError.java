package io.sluice.control.cli;

/** Ends a command: the message goes to stderr as it is, the code becomes the exit status. */
final class CommandError extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int exitCode;

    private CommandError(final int exitCode, final String message) {
        // Neither cause nor stack: the message is for the user and says where and what.
        super(message, null, false, false);
        this.exitCode = exitCode;
    }

    static CommandError no(final String message) {
        return new CommandError(ExitCode.NO, message);
    }

    static CommandError usage(final String message) {
        return new CommandError(ExitCode.USAGE, message);
    }

    static CommandError unreachable(final String message) {
        return new CommandError(ExitCode.UNREACHABLE, message);
    }

    int exitCode() {
        return exitCode;
    }

    String text() {
        final String message = getMessage();
        return message == null ? "" : message;
    }
}
