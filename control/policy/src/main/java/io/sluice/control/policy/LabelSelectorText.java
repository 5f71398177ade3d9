package io.sluice.control.policy;

import io.sluice.control.policy.LabelSelector.Operator;
import io.sluice.control.policy.LabelSelector.Requirement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * A label selector as kubectl's {@code -l} takes it: {@code a=b,c!=d,e in (x,y),f notin (z),g,!h}.
 *
 * <p>Requirements come out in the order of their keys, and the words for what is wrong are
 * apimachinery's. Its comparisons of numbers ({@code gt}, {@code lt}) are refused: {@link
 * LabelSelector} is what manifests can say, and they cannot say those.
 *
 * <p>Thread: its creator's; for one text.
 */
public final class LabelSelectorText {
    private static final String SYMBOLS = "=!(),<>";

    private static final String OPERATORS = "in, notin, =, ==, !=";

    /** A text that is no label selector. */
    public static final class SyntaxException extends Exception {
        private static final long serialVersionUID = 1L;

        private SyntaxException(final String message) {
            super(message);
        }
    }

    private final String text;

    /** Where the next token is looked for. */
    private int next;

    /** A word, or a symbol; empty at the end. */
    private String token = "";

    private LabelSelectorText(final String text) {
        this.text = text;
    }

    /** Reads a selector; blank text is everything. */
    public static LabelSelector parse(final String text) throws SyntaxException {
        return new LabelSelectorText(text).selector();
    }

    private LabelSelector selector() throws SyntaxException {
        final List<Requirement> requirements = new ArrayList<>();
        advance();
        if (!isEnd() && !startsRequirement()) {
            throw expected("!, identifier, or 'end of string'");
        }
        while (!isEnd()) {
            requirements.add(requirement());
            if (token.equals(",")) {
                advance();
                if (!startsRequirement()) {
                    throw expected("identifier after ','");
                }
            } else if (!isEnd()) {
                throw expected("',' or 'end of string'");
            }
        }
        requirements.sort(Comparator.comparing(Requirement::key));
        return new LabelSelector(List.copyOf(requirements));
    }

    private boolean startsRequirement() {
        return isWord() || token.equals("!");
    }

    private Requirement requirement() throws SyntaxException {
        if (token.equals("!")) {
            advance();
            return new Requirement(key(), Operator.DOES_NOT_EXIST, Set.of());
        }
        final String key = key();
        if (isEnd() || token.equals(",")) {
            return new Requirement(key, Operator.EXISTS, Set.of());
        }
        final Operator operator =
                switch (token) {
                    case "=", "==", "in" -> Operator.IN;
                    case "!=", "notin" -> Operator.NOT_IN;
                    default -> throw expected(OPERATORS);
                };
        final boolean one = !isWord();
        advance();
        return new Requirement(key, operator, one ? Set.of(value(key)) : values(key));
    }

    private String key() throws SyntaxException {
        if (!isWord()) {
            throw expected("identifier");
        }
        final String key = token;
        for (final String complaint : NameSyntax.labelKey(key)) {
            throw invalid("key", key, complaint);
        }
        advance();
        return key;
    }

    /** One value; none is the empty one. */
    private String value(final String key) throws SyntaxException {
        if (isEnd() || token.equals(",")) {
            return "";
        }
        if (!isWord()) {
            throw expected("identifier");
        }
        final String value = checked(key, token);
        advance();
        return value;
    }

    /** Values in parentheses; between two commas, and beside one, stands the empty value. */
    private Set<String> values(final String key) throws SyntaxException {
        if (!token.equals("(")) {
            throw expected("'('");
        }
        advance();
        if (token.equals(")")) {
            throw new SyntaxException(
                    "values[" + key + "]: for 'in', 'notin' operators, values set can't be empty");
        }
        final Set<String> values = new TreeSet<>();
        while (true) {
            if (isWord()) {
                values.add(checked(key, token));
                advance();
            } else if (token.equals(",") || token.equals(")")) {
                values.add("");
            } else {
                throw expected("',', or identifier");
            }
            if (token.equals(")")) {
                advance();
                return Collections.unmodifiableSet(values);
            }
            if (!token.equals(",")) {
                throw expected("',' or ')'");
            }
            advance();
        }
    }

    private static String checked(final String key, final String value) throws SyntaxException {
        for (final String complaint : NameSyntax.labelValue(value)) {
            throw invalid("values[" + key + "]", value, complaint);
        }
        return value;
    }

    private boolean isEnd() {
        return token.isEmpty();
    }

    private boolean isWord() {
        return !token.isEmpty() && !isSymbol(token.charAt(0));
    }

    private void advance() {
        while (next < text.length() && isBlank(text.charAt(next))) {
            next++;
        }
        final int start = next;
        if (start < text.length() && isSymbol(text.charAt(start))) {
            next += text.startsWith("==", start) || text.startsWith("!=", start) ? 2 : 1;
        } else {
            while (next < text.length()
                    && !isSymbol(text.charAt(next))
                    && !isBlank(text.charAt(next))) {
                next++;
            }
        }
        token = text.substring(start, next);
    }

    private static boolean isSymbol(final char c) {
        return SYMBOLS.indexOf(c) >= 0;
    }

    private static boolean isBlank(final char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
    }

    private SyntaxException expected(final String expected) {
        return new SyntaxException("found '" + token + "', expected: " + expected);
    }

    private static SyntaxException invalid(
            final String field, final String value, final String complaint) {
        return new SyntaxException(field + ": Invalid value: \"" + value + "\": " + complaint);
    }
}
