package io.sluice.l7proxy.rule;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * An RE2 expression that must match a text as a whole, as Envoy's {@code safe_regex} does.
 *
 * <p>RE2 takes time in proportion to expression times text, whatever both are; {@code
 * java.util.regex} does not, and its syntax differs. RE2/J is a plain NFA, so the expression's size
 * counts in full: it is bounded before it is compiled, since {@code ((x{1000}){1000})} takes its
 * memory while compiling. The common cases need no NFA, which takes some 20 ns a character: text
 * without metacharacters is compared as it is, such text with {@code .*} behind it as a beginning.
 *
 * <p>Immutable; equal if written alike.
 */
final class TextPattern {
    /** Characters of an expression. The longest seen in published policies has about 100. */
    static final int LENGTH_MAX = 4_096;

    /**
     * Instructions of an expression with its repeats written out, estimated from above. A request
     * target of 8 kB then costs at most 33 million steps; usual expressions have some 50.
     */
    static final int EXPANDED_MAX = 4_096;

    /** Groups within groups: RE2/J recurses. */
    static final int DEPTH_MAX = 100;

    private static final String ANYTHING = ".*";

    private static final String METACHARACTERS = "\\.+*?()|[]{}^$";

    private final String source;

    /** Null: see {@code beginning}. */
    private final @Nullable Pattern expression;

    /** What comes before a final {@code .*}; null: the source is compared as it is. */
    private final @Nullable String beginning;

    private TextPattern(
            final String source,
            final @Nullable Pattern expression,
            final @Nullable String beginning) {
        this.source = source;
        this.expression = expression;
        this.beginning = beginning;
    }

    /**
     * Compiles.
     *
     * @throws IllegalArgumentException with what is wrong and what is accepted
     */
    static TextPattern compile(final String source) {
        if (source.length() > LENGTH_MAX) {
            throw new IllegalArgumentException(
                    source.length() + " characters: accepted: at most " + LENGTH_MAX);
        }
        if (isLiteral(source)) {
            return new TextPattern(source, null, null);
        }
        if (source.endsWith(ANYTHING)) {
            final String beginning = source.substring(0, source.length() - ANYTHING.length());
            if (isLiteral(beginning)) {
                return new TextPattern(source, null, beginning);
            }
        }
        final long expanded = RepeatScan.expandedSize(source);
        if (expanded > EXPANDED_MAX) {
            throw new IllegalArgumentException(
                    "repeats make "
                            + expanded
                            + " steps of the expression: accepted: at most "
                            + EXPANDED_MAX);
        }
        try {
            final Pattern expression = Pattern.compile(source);
            return new TextPattern(source, expression, null);
        } catch (final PatternSyntaxException malformed) {
            throw new IllegalArgumentException(
                    "\""
                            + source
                            + "\": "
                            + malformed.getDescription()
                            + ": accepted: an RE2 expression for the whole text",
                    malformed);
        }
    }

    private static boolean isLiteral(final String source) {
        for (int i = 0; i < source.length(); i++) {
            if (METACHARACTERS.indexOf(source.charAt(i)) >= 0) {
                return false;
            }
        }
        return true;
    }

    boolean matches(final String text) {
        if (expression != null) {
            return expression.matches(text);
        }
        // The dot stands for anything but LF.
        return beginning == null
                ? source.equals(text)
                : text.startsWith(beginning) && text.indexOf('\n', beginning.length()) < 0;
    }

    @Override
    public boolean equals(final Object other) {
        return other instanceof final TextPattern pattern && source.equals(pattern.source);
    }

    @Override
    public int hashCode() {
        return source.hashCode();
    }

    /** As written. */
    @Override
    public String toString() {
        return source;
    }
}
