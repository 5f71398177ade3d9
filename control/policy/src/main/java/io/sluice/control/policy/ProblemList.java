package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The problems of one text while it is read: all are counted, so that nothing with an error passes,
 * but only the first are kept, each of a length that can be read. A text of a megabyte may hold a
 * hundred thousand problems, or one whose value is the megabyte.
 *
 * <p>Thread: that of the reader.
 */
final class ProblemList {
    /** Kept errors, and kept warnings; who has more looks at the first, and then again. */
    static final int COUNT_MAX = 1_000;

    /**
     * Characters of a field's path, and of a message. The longest messages that are not about a
     * long value list the accepted kinds, with less than half of it.
     */
    static final int LENGTH_MAX = 4_000;

    private final List<Problem> kept = new ArrayList<>();
    private int errorCount;
    private int warningCount;

    void add(final Problem problem) {
        final int count = problem.isError() ? ++errorCount : ++warningCount;
        if (count <= COUNT_MAX) {
            kept.add(
                    new Problem(
                            problem.where(),
                            readable(problem.field()),
                            problem.severity(),
                            readable(problem.message())));
        }
    }

    /** Errors so far, those included that are not kept. */
    int errorCount() {
        return errorCount;
    }

    /** In the order of the text, then how many more there were. */
    List<Problem> inOrder(final String file) {
        final List<Problem> problems = new ArrayList<>(kept);
        problems.sort(
                Comparator.comparingInt((Problem problem) -> problem.where().line())
                        .thenComparingInt(problem -> problem.where().column()));
        final SourceLocation whole = SourceLocation.ofFile(file);
        if (errorCount > COUNT_MAX) {
            problems.add(
                    Problem.error(
                            whole,
                            "",
                            errorCount - COUNT_MAX + " more errors, which are not listed"));
        }
        if (warningCount > COUNT_MAX) {
            problems.add(
                    Problem.warning(
                            whole,
                            "",
                            warningCount - COUNT_MAX + " more warnings, which are not listed"));
        }
        return List.copyOf(problems);
    }

    /** Cut in the middle, as the complaint comes after the value; what moves a terminal escaped. */
    private static String readable(final String text) {
        final StringBuilder readable = new StringBuilder();
        if (text.length() <= LENGTH_MAX) {
            appendEscaped(readable, text, 0, text.length());
        } else {
            appendEscaped(readable, text, 0, LENGTH_MAX / 2);
            readable.append(" ... (")
                    .append(text.length() - LENGTH_MAX)
                    .append(" characters left out) ... ");
            appendEscaped(readable, text, text.length() - LENGTH_MAX / 2, text.length());
        }
        return readable.toString();
    }

    private static void appendEscaped(
            final StringBuilder into, final String text, final int from, final int to) {
        int position = from;
        while (position < to) {
            final int codePoint = text.codePointAt(position);
            position += Character.charCount(codePoint);
            switch (Character.getType(codePoint)) {
                case Character.CONTROL,
                        Character.FORMAT,
                        Character.LINE_SEPARATOR,
                        Character.PARAGRAPH_SEPARATOR,
                        Character.SURROGATE ->
                        into.append("\\u{").append(Integer.toHexString(codePoint)).append('}');
                default -> into.appendCodePoint(codePoint);
            }
        }
    }
}
