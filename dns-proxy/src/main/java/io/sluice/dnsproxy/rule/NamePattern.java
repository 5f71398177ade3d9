package io.sluice.dnsproxy.rule;

import java.util.Locale;

/**
 * A DNS name, or names by pattern, as a policy writes it.
 *
 * <p>Three kinds of policy spell wildcards differently, so there is one parser each:
 *
 * <table>
 *   <caption>Wildcards</caption>
 *   <tr><td>{@link #parse}</td><td>Cilium {@code matchPattern}: {@code *} stays within a label and
 *       may be empty; leading {@code **.} is one or more labels; only stars is every name</td></tr>
 *   <tr><td>{@link #parseName}</td><td>Cilium {@code matchName}: none</td></tr>
 *   <tr><td>{@link #parseDomainName}</td><td>policy-api {@code domainNames}: leading {@code *.} is
 *       one or more labels</td></tr>
 *   <tr><td>{@link #parseCalicoDomain}</td><td>Calico {@code domains}: one {@code *} in place of a
 *       whole label is one or more labels</td></tr>
 * </table>
 *
 * <p>{@code **.} has its meaning since Cilium 1.19. Older ones read it as {@code *.}; none of the
 * published examples of those versions uses it, so the newer meaning is followed.
 *
 * <p>All come down to one shape: text before, at most one wildcard that spans labels, text after.
 * As {@code *} never crosses a dot, the text after it has a fixed number of dots and therefore one
 * possible place in the name. Matching is a walk over the name; within a label only the last star
 * is ever taken back, which bounds the work by name length times the longest text between two
 * stars. No regular expression, nothing allocated, also for names in upper case.
 *
 * <p>Immutable. Equal patterns are written alike in the same dialect.
 */
public final class NamePattern {
    /**
     * Characters of a pattern or name in text form: RFC 1035 allows 255 octets on the wire, of
     * which text shows at most 254, the final dot included. Cilium's limit, and a bound on
     * matching.
     */
    public static final int LENGTH_MAX = 255;

    private static final String LIMITS =
            ": accepted: at most "
                    + LENGTH_MAX
                    + " of the characters a-z, A-Z, 0-9, '-', '_', '.', '*'";

    private enum Span {
        /** No wildcard that spans labels: {@code before} is the whole pattern. */
        NONE,
        /** One or more labels between {@code before} and {@code after}. */
        LABELS,
        /** Every well-formed name, that of the root included. */
        EVERY_NAME
    }

    private final Span span;

    /** Whole pattern, or what precedes the spanned labels: then without stars. */
    private final String before;

    /** What follows the spanned labels, from its leading dot on. */
    private final String after;

    /** Dots in {@link #after}. */
    private final int dotsAfter;

    private final String text;

    private NamePattern(
            final Span span, final String before, final String after, final String text) {
        this.span = span;
        this.before = before;
        this.after = after;
        this.dotsAfter = dots(after);
        this.text = text;
    }

    /**
     * Reads a {@code matchPattern}.
     *
     * @throws IllegalArgumentException with what is wrong and what is accepted
     */
    public static NamePattern parse(final String pattern) {
        checkCharacters(pattern);
        final String lower = pattern.toLowerCase(Locale.ROOT);
        final int stars = leadingStars(lower);
        final String rest = lower.substring(stars);
        if (stars > 0 && (rest.isEmpty() || rest.equals("."))) {
            return new NamePattern(Span.EVERY_NAME, "", "", lower);
        }
        final String text = dotTerminated(lower);
        if (stars > 1 && text.charAt(stars) == '.') {
            return new NamePattern(Span.LABELS, "", text.substring(stars), text);
        }
        return new NamePattern(Span.NONE, text, "", text);
    }

    /**
     * Reads a {@code matchName}.
     *
     * @throws IllegalArgumentException with what is wrong and what is accepted
     */
    public static NamePattern parseName(final String name) {
        checkCharacters(name);
        if (name.indexOf('*') >= 0) {
            throw new IllegalArgumentException("\"" + name + "\": '*' needs matchPattern");
        }
        final String text = dotTerminated(name.toLowerCase(Locale.ROOT));
        return new NamePattern(Span.NONE, text, "", text);
    }

    /**
     * Reads an item of {@code domainNames}: a name, or {@code *.name} for what is below it, however
     * deep, but not the name itself.
     *
     * @throws IllegalArgumentException with what is wrong and what is accepted
     */
    public static NamePattern parseDomainName(final String name) {
        checkCharacters(name);
        final String text = dotTerminated(name.toLowerCase(Locale.ROOT));
        final boolean below = text.startsWith("*.");
        final String fixed = below ? text.substring(1) : text;
        if (fixed.indexOf('*') >= 0 || (below && fixed.length() == 1) || hasEmptyLabel(fixed)) {
            throw new IllegalArgumentException(
                    "\"" + name + "\": accepted: a name, or \"*.\" and a name");
        }
        return below
                ? new NamePattern(Span.LABELS, "", fixed, text)
                : new NamePattern(Span.NONE, text, "", text);
    }

    /**
     * Reads an item of Calico's {@code domains} or {@code allowedEgressDomains}: a name, or one
     * with {@code *} in place of one whole label, first, last or between, for one or more labels
     * there.
     *
     * @throws IllegalArgumentException with what is wrong and what is accepted
     */
    public static NamePattern parseCalicoDomain(final String name) {
        checkCharacters(name);
        final String text = dotTerminated(name.toLowerCase(Locale.ROOT));
        final int star = text.indexOf('*');
        final boolean wholeLabel =
                star < 0
                        || ((star == 0 || text.charAt(star - 1) == '.')
                                && text.charAt(star + 1) == '.');
        if (!wholeLabel || star != text.lastIndexOf('*') || hasEmptyLabel(text)) {
            throw new IllegalArgumentException(
                    "\"" + name + "\": accepted: a name, in which one whole label may be '*'");
        }
        return star < 0
                ? new NamePattern(Span.NONE, text, "", text)
                : new NamePattern(
                        Span.LABELS, text.substring(0, star), text.substring(star + 1), text);
    }

    private static void checkCharacters(final String pattern) {
        boolean accepted = !pattern.isEmpty() && pattern.length() <= LENGTH_MAX;
        for (int i = 0; i < pattern.length() && accepted; i++) {
            final char c = pattern.charAt(i);
            accepted = isLabelCharacter(c) || c == '.' || c == '*';
        }
        if (!accepted) {
            final String shown =
                    pattern.length() <= LENGTH_MAX
                            ? "\"" + pattern + "\""
                            : pattern.length() + " characters";
            throw new IllegalArgumentException(shown + LIMITS);
        }
    }

    private static int dots(final String text) {
        int dots = 0;
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) == '.') {
                dots++;
            }
        }
        return dots;
    }

    private static int leadingStars(final String pattern) {
        int stars = 0;
        while (stars < pattern.length() && pattern.charAt(stars) == '*') {
            stars++;
        }
        return stars;
    }

    private static String dotTerminated(final String name) {
        return name.endsWith(".") ? name : name + ".";
    }

    /** Whether labels are missing; a leading dot, as what follows a wildcard has, is none. */
    private static boolean hasEmptyLabel(final String name) {
        return name.contains("..") || name.equals(".");
    }

    /**
     * Whether the name is meant.
     *
     * @param name dot-terminated, in any case; one without the final dot, or longer than {@link
     *     #LENGTH_MAX}, is not a name and never matches
     */
    public boolean matches(final String name) {
        if (name.length() > LENGTH_MAX) {
            return false;
        }
        return switch (span) {
            case NONE -> matchesLabels(before, name, 0);
            case LABELS -> matchesAround(name);
            case EVERY_NAME -> name.equals(".") || areLabels(name, 0, name.length());
        };
    }

    private boolean matchesAround(final String name) {
        int end = name.length();
        for (int dots = 0; dots < dotsAfter; dots++) {
            end = name.lastIndexOf('.', end - 1);
            if (end < 0) {
                return false;
            }
        }
        // The spanned labels end with the dot that "after" starts with.
        return end > before.length()
                && startsWith(name, before)
                && areLabels(name, before.length(), end + 1)
                && matchesLabels(after, name, end);
    }

    /** Whether these characters are labels of at least one character, each with its dot. */
    private static boolean areLabels(final String name, final int from, final int to) {
        boolean inLabel = false;
        for (int i = from; i < to; i++) {
            final char c = name.charAt(i);
            if (c == '.' ? !inLabel : !isLabelCharacter(c)) {
                return false;
            }
            inLabel = c != '.';
        }
        return from < to && !inLabel;
    }

    private static boolean startsWith(final String name, final String literal) {
        for (int i = 0; i < literal.length(); i++) {
            if (lower(name.charAt(i)) != literal.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    /** Whether the name from here on is the pattern, in which a star stays within its label. */
    private static boolean matchesLabels(final String pattern, final String name, final int from) {
        int at = 0;
        int star = -1;
        int starEnd = from;
        int i = from;
        while (i < name.length()) {
            final char wanted = at < pattern.length() ? pattern.charAt(at) : 0;
            if (wanted == '*') {
                star = at++;
                starEnd = i;
            } else if (wanted == lower(name.charAt(i))) {
                at++;
                i++;
                if (wanted == '.') {
                    star = -1;
                }
            } else if (star >= 0 && isLabelCharacter(name.charAt(starEnd))) {
                starEnd++;
                i = starEnd;
                at = star + 1;
            } else {
                return false;
            }
        }
        while (at < pattern.length() && pattern.charAt(at) == '*') {
            at++;
        }
        return at == pattern.length();
    }

    private static char lower(final char c) {
        return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
    }

    private static boolean isLabelCharacter(final char c) {
        return (c >= 'a' && c <= 'z')
                || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9')
                || c == '-'
                || c == '_';
    }

    /** Whether it restricts nothing. */
    public boolean matchesEveryName() {
        return span == Span.EVERY_NAME;
    }

    /** Whether it is a single name, which could be asked for. */
    public boolean isName() {
        return span == Span.NONE && before.indexOf('*') < 0;
    }

    /** What every match begins with: the text up to the first star, in lower case. */
    String literalStart() {
        final int star = before.indexOf('*');
        return star < 0 ? before : before.substring(0, star);
    }

    /** What every match ends with: the text after the last star, in lower case. */
    String literalEnd() {
        final String end = span == Span.NONE ? before : after;
        return end.substring(end.lastIndexOf('*') + 1);
    }

    @Override
    public boolean equals(final Object other) {
        return other instanceof final NamePattern pattern
                && span == pattern.span
                && text.equals(pattern.text);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }

    /** As written, in lower case and with the final dot; only stars stay without one. */
    @Override
    public String toString() {
        return text;
    }
}
