package io.sluice.control.policy;

/**
 * A place in a manifest.
 *
 * @param file name as the user gave it; "-" for standard input
 * @param line 1-based; 0 when the place is the file as a whole
 * @param column 1-based; 0 when the place is the file as a whole
 */
public record SourceLocation(String file, int line, int column) {
    /** Place of an object that no file holds, such as a namespace that is only implied. */
    public static final SourceLocation NONE = new SourceLocation("", 0, 0);

    public static SourceLocation ofFile(final String file) {
        return new SourceLocation(file, 0, 0);
    }

    /** {@code file:line:column}, or the file alone. */
    @Override
    public String toString() {
        return line == 0 ? file : file + ":" + line + ":" + column;
    }
}
