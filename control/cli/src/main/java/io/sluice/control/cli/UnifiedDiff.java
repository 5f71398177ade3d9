package io.sluice.control.cli;

import java.util.ArrayList;
import java.util.List;

/**
 * Two texts in the form of {@code diff -u}: hunks of changed lines with three lines around them.
 *
 * <p>By the longest common subsequence of lines, in time and memory of the product of the lines
 * between the first and the last difference; a manifest has some hundred.
 */
final class UnifiedDiff {
    private static final int CONTEXT_LINES = 3;

    /**
     * One line of the comparison.
     *
     * @param mark blank for a common line, - for one of the old text, + for one of the new
     */
    private record Line(char mark, String text) {}

    private UnifiedDiff() {}

    /** The hunks, each line with its end; empty for equal texts. */
    static String of(final String before, final String after) {
        final List<Line> lines = compare(before.lines().toList(), after.lines().toList());
        final StringBuilder hunks = new StringBuilder();
        int oldLine = 1;
        int newLine = 1;
        for (int at = 0; at < lines.size(); ) {
            final int first = firstOfHunk(lines, at);
            final int end = endOfHunk(lines, first);
            for (; at < first; at++) {
                oldLine++;
                newLine++;
            }
            if (first == end) {
                break;
            }
            final List<Line> hunk = lines.subList(first, end);
            final int oldCount = count(hunk, '-');
            final int newCount = count(hunk, '+');
            hunks.append("@@ -").append(span(oldLine, oldCount));
            hunks.append(" +").append(span(newLine, newCount)).append(" @@\n");
            hunk.forEach(line -> hunks.append(line.mark).append(line.text).append('\n'));
            oldLine += oldCount;
            newLine += newCount;
            at = end;
        }
        return hunks.toString();
    }

    /** Where the next hunk begins: before its first change, with context. */
    private static int firstOfHunk(final List<Line> lines, final int from) {
        int change = from;
        while (change < lines.size() && lines.get(change).mark == ' ') {
            change++;
        }
        return change == lines.size() ? change : Math.max(from, change - CONTEXT_LINES);
    }

    /** Changes with so few lines between them that their contexts touch are one hunk. */
    private static int endOfHunk(final List<Line> lines, final int first) {
        int end = first;
        for (int at = first; at < lines.size() && at <= end + 2 * CONTEXT_LINES; at++) {
            if (lines.get(at).mark != ' ') {
                end = at + 1;
            }
        }
        return end == first ? first : Math.min(lines.size(), end + CONTEXT_LINES);
    }

    private static int count(final List<Line> hunk, final char mark) {
        return (int) hunk.stream().filter(line -> line.mark == mark || line.mark == ' ').count();
    }

    private static String span(final int line, final int count) {
        final int first = count == 0 ? line - 1 : line;
        return count == 1 ? Integer.toString(first) : first + "," + count;
    }

    private static List<Line> compare(final List<String> before, final List<String> after) {
        int same = 0;
        while (same < Math.min(before.size(), after.size())
                && before.get(same).equals(after.get(same))) {
            same++;
        }
        int oldEnd = before.size();
        int newEnd = after.size();
        while (oldEnd > same
                && newEnd > same
                && before.get(oldEnd - 1).equals(after.get(newEnd - 1))) {
            oldEnd--;
            newEnd--;
        }
        final List<Line> lines = new ArrayList<>();
        before.subList(0, same).forEach(text -> lines.add(new Line(' ', text)));
        addMiddle(before.subList(same, oldEnd), after.subList(same, newEnd), lines);
        before.subList(oldEnd, before.size()).forEach(text -> lines.add(new Line(' ', text)));
        return lines;
    }

    private static void addMiddle(
            final List<String> before, final List<String> after, final List<Line> lines) {
        final int[][] common = commonLengths(before, after);
        int i = 0;
        int k = 0;
        while (i < before.size() || k < after.size()) {
            if (i < before.size() && k < after.size() && before.get(i).equals(after.get(k))) {
                lines.add(new Line(' ', before.get(i)));
                i++;
                k++;
            } else if (k == after.size()
                    || (i < before.size() && common[i + 1][k] >= common[i][k + 1])) {
                lines.add(new Line('-', before.get(i)));
                i++;
            } else {
                lines.add(new Line('+', after.get(k)));
                k++;
            }
        }
    }

    /** Length of the longest common subsequence of what begins at two lines. */
    private static int[][] commonLengths(final List<String> before, final List<String> after) {
        final int[][] common = new int[before.size() + 1][after.size() + 1];
        for (int i = before.size() - 1; i >= 0; i--) {
            for (int k = after.size() - 1; k >= 0; k--) {
                common[i][k] =
                        before.get(i).equals(after.get(k))
                                ? common[i + 1][k + 1] + 1
                                : Math.max(common[i + 1][k], common[i][k + 1]);
            }
        }
        return common;
    }
}
