package io.sluice.control.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/**
 * Left-aligned columns three blanks apart, as kubectl and cilium print them: no rulers, and an
 * empty cell stays empty. Lines carry no blanks at their end.
 *
 * <p>Thread: the command's.
 */
final class TextTable {
    private static final String GAP = "   ";

    private final List<List<String>> rows = new ArrayList<>();

    TextTable(final String... header) {
        rows.add(List.of(header));
    }

    void row(final String... cells) {
        rows.add(List.of(cells));
    }

    void print(final PrintWriter out) {
        final List<Integer> widths = new ArrayList<>();
        for (final List<String> row : rows) {
            for (int column = 0; column < row.size(); column++) {
                if (column == widths.size()) {
                    widths.add(0);
                }
                widths.set(column, Math.max(widths.get(column), row.get(column).length()));
            }
        }
        for (final List<String> row : rows) {
            final StringBuilder line = new StringBuilder();
            for (int column = 0; column < row.size(); column++) {
                line.append(column == 0 ? "" : GAP).append(row.get(column));
                line.repeat(' ', widths.get(column) - row.get(column).length());
            }
            out.println(line.toString().stripTrailing());
        }
    }
}
