package io.sluice.control.policy;

import io.sluice.control.policy.CalicoSelector.SyntaxException;

/**
 * The tokens of a Calico selector, one at a time: a cursor that {@link #advance} moves.
 *
 * <p>Words are read by place: behind a label stands an operator, everywhere else a label or one of
 * {@code has(x)}, {@code all()}, {@code global()}. So {@code contains contains "contains"} is a
 * selector. White space is space and tab.
 *
 * <p>Thread: its creator's.
 */
final class CalicoSelectorTokenizer {
    /** Longest label, as in Calico: more than Kubernetes' 253 + 1 + 63. */
    static final int LABEL_LENGTH_MAX = 512;

    /** A word longer than this is cut in messages. */
    private static final int SHOWN_LENGTH_MAX = 40;

    enum Kind {
        LABEL,
        STRING,
        LEFT_BRACE,
        RIGHT_BRACE,
        COMMA,
        EQUAL,
        NOT_EQUAL,
        IN,
        NOT_IN,
        CONTAINS,
        STARTS_WITH,
        ENDS_WITH,
        ALL,
        GLOBAL,
        HAS,
        NOT,
        LEFT_PARENTHESIS,
        RIGHT_PARENTHESIS,
        AND,
        OR,
        END
    }

    private final String text;

    /** Where the next token is looked for. */
    private int next;

    private Kind kind = Kind.END;
    private String value = "";
    private int position;

    /** Before the first token. */
    CalicoSelectorTokenizer(final String text) {
        this.text = text;
    }

    Kind kind() {
        return kind;
    }

    /** The label of LABEL and HAS, what is between the quotes of STRING, otherwise empty. */
    String value() {
        return value;
    }

    /** Moves to the next token; after the last one that is END, for ever. */
    void advance() throws SyntaxException {
        final boolean afterLabel = kind == Kind.LABEL;
        skipBlanks();
        position = next;
        value = "";
        kind = next == text.length() ? Kind.END : read(text.charAt(next), afterLabel);
    }

    private Kind read(final char first, final boolean afterLabel) throws SyntaxException {
        return switch (first) {
            case '(' -> symbol("(", Kind.LEFT_PARENTHESIS);
            case ')' -> symbol(")", Kind.RIGHT_PARENTHESIS);
            case '{' -> symbol("{", Kind.LEFT_BRACE);
            case '}' -> symbol("}", Kind.RIGHT_BRACE);
            case ',' -> symbol(",", Kind.COMMA);
            case '=' -> symbol("==", Kind.EQUAL);
            case '&' -> symbol("&&", Kind.AND);
            case '|' -> symbol("||", Kind.OR);
            case '!' ->
                    text.startsWith("!=", next)
                            ? symbol("!=", Kind.NOT_EQUAL)
                            : symbol("!", Kind.NOT);
            case '"', '\'' -> string(first);
            default -> afterLabel ? operator() : labelOrFunction();
        };
    }

    private Kind symbol(final String symbol, final Kind symbolKind) throws SyntaxException {
        if (!text.startsWith(symbol, next)) {
            throw expected("'" + symbol + "'");
        }
        next += symbol.length();
        return symbolKind;
    }

    private Kind string(final char quote) throws SyntaxException {
        final int end = text.indexOf(quote, next + 1);
        if (end < 0) {
            throw new SyntaxException(
                    position, "a string without an end, expected a second " + quote);
        }
        value = text.substring(next + 1, end);
        next = end + 1;
        return Kind.STRING;
    }

    private Kind operator() throws SyntaxException {
        String word = word();
        if (word.equals("starts") || word.equals("ends") || word.equals("not")) {
            skipBlanks();
            word += word();
        }
        return switch (word) {
            case "in" -> Kind.IN;
            case "notin" -> Kind.NOT_IN;
            case "contains" -> Kind.CONTAINS;
            case "startswith" -> Kind.STARTS_WITH;
            case "endswith" -> Kind.ENDS_WITH;
            default -> throw expected(CalicoSelectorParser.OPERATOR);
        };
    }

    private Kind labelOrFunction() throws SyntaxException {
        final int start = next;
        final String word = word();
        if (next < text.length() && text.charAt(next) == '(') {
            switch (word) {
                case "all" -> {
                    next++;
                    return closed(Kind.ALL, start);
                }
                case "global" -> {
                    next++;
                    return closed(Kind.GLOBAL, start);
                }
                case "has" -> {
                    next++;
                    skipBlanks();
                    position = next;
                    value = label(word(), "a label");
                    return closed(Kind.HAS, start);
                }
                default -> {
                    // A label; the parenthesis is the parser's to refuse.
                }
            }
        }
        value = label(word, CalicoSelectorParser.OPERAND);
        return Kind.LABEL;
    }

    private Kind closed(final Kind function, final int start) throws SyntaxException {
        skipBlanks();
        position = next;
        final Kind read = symbol(")", function);
        position = start;
        return read;
    }

    private String label(final String word, final String expected) throws SyntaxException {
        if (word.isEmpty()) {
            throw expected(expected);
        }
        if (word.length() > LABEL_LENGTH_MAX) {
            throw expected("a label of at most " + LABEL_LENGTH_MAX + " characters");
        }
        return word;
    }

    private void skipBlanks() {
        while (next < text.length() && (text.charAt(next) == ' ' || text.charAt(next) == '\t')) {
            next++;
        }
    }

    /** The characters of a label from here on, possibly none. */
    private String word() {
        final int start = next;
        next = endOfWord(start);
        return text.substring(start, next);
    }

    private int endOfWord(final int start) {
        int end = start;
        while (end < text.length() && isLabelCharacter(text.charAt(end))) {
            end++;
        }
        return end;
    }

    private static boolean isLabelCharacter(final char c) {
        return (c >= 'a' && c <= 'z')
                || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9')
                || c == '_'
                || c == '.'
                || c == '/'
                || c == '-';
    }

    /** The refusal of the current token. */
    SyntaxException expected(final String expected) {
        return new SyntaxException(position, "found " + found() + ", expected " + expected);
    }

    private String found() {
        if (position == text.length()) {
            return "the end";
        }
        final int first = text.codePointAt(position);
        if (Character.isISOControl(first)) {
            return "U+%04X".formatted(first);
        }
        final int wordEnd = endOfWord(position);
        if (wordEnd > position) {
            return wordEnd - position > SHOWN_LENGTH_MAX
                    ? "'" + text.substring(position, position + SHOWN_LENGTH_MAX) + "...'"
                    : "'" + text.substring(position, wordEnd) + "'";
        }
        if (first == '"' || first == '\'') {
            return "a string";
        }
        final boolean doubled =
                text.startsWith("==", position)
                        || text.startsWith("!=", position)
                        || text.startsWith("&&", position)
                        || text.startsWith("||", position);
        return "'"
                + (doubled ? text.substring(position, position + 2) : Character.toString(first))
                + "'";
    }
}
