package io.sluice.l7proxy.rule;

/**
 * How large an expression becomes when its repeats are written out.
 *
 * <p>Reads the syntax only as far as repeats need it: groups, classes, escapes. What it does not
 * understand it counts as plain characters, which is never too little; whether the expression is
 * well-formed is for RE2/J to say. Both bounds hold before anything is built.
 */
final class RepeatScan {
    private final String source;
    private int at;

    /** Size of the open groups, outermost first; saturates far above the limit. */
    private final long[] groupSize = new long[TextPattern.DEPTH_MAX + 1];

    private int depth;

    /** Size of what a repeat right here would repeat. */
    private long atomSize;

    private RepeatScan(final String source) {
        this.source = source;
    }

    /**
     * Steps of an expression with its repeats written out: at least as many as RE2/J makes, but for
     * the few that every expression has. Counting stops above the limit.
     *
     * @throws IllegalArgumentException if it has groups too deep within groups
     */
    static long expandedSize(final String source) {
        final RepeatScan scan = new RepeatScan(source);
        while (scan.at < source.length()
                && scan.groupSize[scan.depth] <= TextPattern.EXPANDED_MAX) {
            scan.step();
        }
        return scan.groupSize[scan.depth];
    }

    private void step() {
        final char c = source.charAt(at++);
        switch (c) {
            case '\\' -> escape();
            case '[' -> characterClass();
            case '(' -> open();
            case ')' -> close();
            case '|' -> {
                // The choice, and what stands for a branch that is empty.
                groupSize[depth] += 2;
                atomSize = 0;
            }
            case '*', '+', '?' -> {
                groupSize[depth]++;
                atomSize++;
            }
            case '{' -> repeat();
            default -> atom(1);
        }
    }

    private void atom(final long size) {
        atomSize = size;
        groupSize[depth] += size;
    }

    private void open() {
        if (at < source.length() && source.charAt(at) == '?') {
            int end = at + 1;
            while (end < source.length() && "imsU-".indexOf(source.charAt(end)) >= 0) {
                end++;
            }
            if (end < source.length() && source.charAt(end) == ')') {
                // (?i) is no group: a repeat behind it repeats what is before it.
                at = end + 1;
                return;
            }
            // What else follows the question mark, as in (?: and (?P<name>, counts as characters.
            at++;
        }
        if (depth == TextPattern.DEPTH_MAX) {
            throw new IllegalArgumentException(
                    "groups within groups: accepted: at most " + TextPattern.DEPTH_MAX + " deep");
        }
        depth++;
        // A group that captures has a step at each end, an empty one a step between.
        groupSize[depth] = 3;
        atomSize = 0;
    }

    private void close() {
        if (depth > 0) {
            final long size = groupSize[depth];
            depth--;
            atom(size);
        }
    }

    private void escape() {
        if (at == source.length()) {
            return;
        }
        final char escaped = source.charAt(at++);
        if (escaped == 'Q') {
            final int end = source.indexOf("\\E", at);
            final int to = end < 0 ? source.length() : end;
            groupSize[depth] += to - at;
            at = Math.min(source.length(), to + 2);
            atomSize = 1;
            return;
        }
        if ((escaped == 'x' || escaped == 'p' || escaped == 'P')
                && at < source.length()
                && source.charAt(at) == '{') {
            final int end = source.indexOf('}', at);
            at = end < 0 ? source.length() : end + 1;
        }
        atom(1);
    }

    /** A class is one instruction, however many characters it has. */
    private void characterClass() {
        if (at < source.length() && source.charAt(at) == '^') {
            at++;
        }
        // A bracket in first place is a member.
        int i = at;
        boolean first = true;
        while (i < source.length() && (first || source.charAt(i) != ']')) {
            first = false;
            if (source.charAt(i) == '\\') {
                i++;
            } else if (source.startsWith("[:", i)) {
                final int end = source.indexOf(":]", i + 2);
                i = end < 0 ? i : end + 1;
            }
            i++;
        }
        at = Math.min(source.length(), i + 1);
        atom(1);
    }

    private void repeat() {
        final int end = source.indexOf('}', at);
        final String[] counts = end < 0 ? new String[0] : source.substring(at, end).split(",", -1);
        final boolean wellFormed =
                (counts.length == 1 || counts.length == 2)
                        && isCount(counts[0])
                        && (counts.length == 1 || counts[1].isEmpty() || isCount(counts[1]));
        if (!wellFormed) {
            atom(1);
            return;
        }
        at = end + 1;
        final long least = Long.parseLong(counts[0]);
        final long most =
                counts.length == 1
                        ? least
                        : counts[1].isEmpty() ? least + 1 : Long.parseLong(counts[1]);
        // Up to `most` each optional copy has an instruction of its own to skip it.
        final long size = (atomSize + (most > least || most == 0 ? 1 : 0)) * Math.max(1, most);
        groupSize[depth] += size - atomSize;
        atomSize = size;
    }

    /** Whether it is a number that fits: RE2 itself takes at most 1000. */
    private static boolean isCount(final String text) {
        boolean digits = !text.isEmpty() && text.length() <= 9;
        for (int i = 0; i < text.length(); i++) {
            digits &= text.charAt(i) >= '0' && text.charAt(i) <= '9';
        }
        return digits;
    }
}
