package io.sluice.control.agent.api;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * JSON as programs write it, read where it lies.
 *
 * <p><b>Theory of operation.</b> Nearly every line of a record is of one plain form: an object in
 * ASCII, no escapes in its texts, small whole numbers, no blanks but single ones between tokens. Of
 * that form a token is found with one look at each byte, eight at a time within texts, and nothing
 * is made but the texts that are asked for. <i>Anything else</i>, be it JSON or not, or plain but
 * another kind of value than was asked for, is answered with {@link #failed}: the caller forgets
 * what it has read and gives the line to {@link JacksonTokens}, which decides what it is. So this
 * class need not know all of JSON; it must only never take for plain what Jackson reads
 * differently, and a test holds it to that with mutated lines.
 *
 * <p>A failure is sticky. Every step after it answers false or empty, so a reader comes to its end
 * without asking after each step.
 *
 * <p><b>Limits.</b> Objects and arrays nest {@value #DEPTH_MAX} deep, numbers have {@value
 * #DIGITS_MAX} digits; beyond that a line is not plain. Short texts, which repeat from line to
 * line, are kept: one for each of {@value #KEPT_TEXTS} places, the latest.
 *
 * <p>Thread: one; used for one line after another.
 */
final class PlainTokens implements LineTokens {
    private static final VarHandle LONGS =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private static final int DEPTH_MAX = 32;

    /** Fits an int whatever they are. */
    private static final int DIGITS_MAX = 9;

    /** Names of fields, addresses of some thousand pods; 64 bytes each and their places. */
    private static final int KEPT_TEXTS = 1 << 13;

    private static final int KEPT_BYTES_MAX = 64;

    // Each byte of a word, one of its bits, or a character.
    private static final long ONES = 0x0101_0101_0101_0101L;
    private static final long HIGHS = 0x8080_8080_8080_8080L;
    private static final long QUOTES = ONES * '"';
    private static final long BACKSLASHES = ONES * '\\';
    private static final long BLANKS = ONES * ' ';

    private static final byte[] TRUE = "true".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] FALSE = "false".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] NULL = "null".getBytes(StandardCharsets.US_ASCII);

    private final String[] kept = new String[KEPT_TEXTS];

    private byte[] text = new byte[0];
    private int at;
    private int end;
    private boolean failed;
    private String field = "";

    /** Whether a value of the object or array at hand has been stepped to: a comma follows. */
    private boolean isFirst;

    // Of the text that was passed last.
    private int textFrom;
    private int textTo;

    PlainTokens() {
        Arrays.fill(kept, "");
    }

    /**
     * Begins a line.
     *
     * @param bytes that are left as they are until the next line begins
     * @param from first of the line
     * @param to one past its last
     */
    void begin(final byte[] bytes, final int from, final int to) {
        text = bytes;
        at = from;
        end = to;
        failed = false;
    }

    /** Whether the line is not of the plain form; nothing that was read of it counts then. */
    boolean failed() {
        return failed;
    }

    /** Where the value at hand begins, or the one that was passed over last has ended. */
    int position() {
        return at;
    }

    /** The bytes of the line, at its place. */
    byte[] bytes() {
        return text;
    }

    /** Goes back to a value that was at hand. */
    void back(final int position) {
        at = position;
    }

    private boolean fail() {
        failed = true;
        return false;
    }

    /** The byte at hand; 0, which no token has, behind the end. */
    private byte peek() {
        return at < end ? text[at] : 0;
    }

    private boolean take(final char wanted) {
        if (at < end && text[at] == wanted) {
            at++;
            return true;
        }
        return false;
    }

    /** A program that writes blanks writes one. */
    private void passBlank() {
        if (at < end && text[at] == ' ') {
            at++;
        }
    }

    @Override
    public boolean isObject() {
        return peek() == '{';
    }

    @Override
    public boolean enterObject() {
        return enter('{');
    }

    @Override
    public boolean enterArray() {
        return enter('[');
    }

    /** What is neither of the kind nor null is rare enough for Jackson. */
    private boolean enter(final char start) {
        if (failed) {
            return false;
        }
        if (take(start)) {
            isFirst = true;
            return true;
        }
        return !passWord(NULL) && fail();
    }

    @Override
    public boolean nextField() {
        if (!nextElement('}')) {
            return false;
        }
        if (!passText()) {
            return false;
        }
        field = keptText();
        passBlank();
        if (!take(':')) {
            return fail();
        }
        passBlank();
        return true;
    }

    /** Steps over a comma, where there was a value before, or over the end. */
    private boolean nextElement(final char close) {
        if (failed) {
            return false;
        }
        final boolean first = isFirst;
        isFirst = false;
        passBlank();
        if (take(close)) {
            return false;
        }
        if (!first) {
            if (!take(',')) {
                return fail();
            }
            passBlank();
        }
        return true;
    }

    @Override
    public String field() {
        return field;
    }

    @Override
    public boolean nextText() {
        return nextElement(']') && (peek() == '"' || fail());
    }

    @Override
    public boolean nextObject() {
        return nextElement(']') && enterObject();
    }

    @Override
    public String text() {
        return !failed && passText() ? keptText() : "";
    }

    @Override
    public int number() {
        if (failed) {
            return 0;
        }
        final int from = at;
        if (!passNumber()) {
            return 0;
        }
        int i = text[from] == '-' ? from + 1 : from;
        int value = 0;
        for (; i < at; i++) {
            value = value * 10 + text[i] - '0';
        }
        return text[from] == '-' ? -value : value;
    }

    @Override
    public long count() {
        // Of lines that say how many events were lost, which are rare.
        fail();
        return 0;
    }

    @Override
    public boolean isTrue() {
        if (failed) {
            return false;
        }
        final boolean isTrue = peek() == 't';
        if (!passWord(isTrue ? TRUE : FALSE)) {
            fail();
        }
        return isTrue && !failed;
    }

    @Override
    public void skip() {
        if (!failed) {
            pass(0);
        }
    }

    private boolean pass(final int depth) {
        return switch (peek()) {
            case '"' -> passText();
            case '{' -> depth < DEPTH_MAX ? passObject(depth + 1) : fail();
            case '[' -> depth < DEPTH_MAX ? passArray(depth + 1) : fail();
            case 't' -> passWord(TRUE) || fail();
            case 'f' -> passWord(FALSE) || fail();
            case 'n' -> passWord(NULL) || fail();
            default -> passNumber();
        };
    }

    private boolean passObject(final int depth) {
        enterObject();
        while (nextElement('}')) {
            if (!passText()) {
                return false;
            }
            passBlank();
            if (!take(':')) {
                return fail();
            }
            passBlank();
            if (!pass(depth)) {
                return false;
            }
        }
        return !failed;
    }

    private boolean passArray(final int depth) {
        enterArray();
        while (nextElement(']')) {
            if (!pass(depth)) {
                return false;
            }
        }
        return !failed;
    }

    private boolean passWord(final byte[] word) {
        for (final byte letter : word) {
            if (peek() != letter) {
                return false;
            }
            at++;
        }
        return true;
    }

    /** RFC 8259 section 6, without fraction and exponent. */
    private boolean passNumber() {
        take('-');
        final int from = at;
        while (at < end && text[at] >= '0' && text[at] <= '9') {
            at++;
        }
        final int digits = at - from;
        if (digits == 0 || digits > DIGITS_MAX || (digits > 1 && text[from] == '0')) {
            return fail();
        }
        // What follows must be the end of the value: a comma, a bracket, a blank.
        final byte next = peek();
        return next == ',' || next == '}' || next == ']' || next == ' ' || fail();
    }

    private boolean passText() {
        if (!take('"')) {
            return fail();
        }
        textFrom = at;
        int i = at;
        while (i + Long.BYTES <= end) {
            final long word = (long) LONGS.get(text, i);
            final long special = specials(word);
            if (special != 0) {
                i += Long.numberOfTrailingZeros(special) >>> 3;
                break;
            }
            i += Long.BYTES;
        }
        while (i < end && text[i] >= ' ' && text[i] != '"' && text[i] != '\\') {
            i++;
        }
        if (i >= end || text[i] != '"') {
            // An escape, a control character, more than ASCII, or no end.
            return fail();
        }
        textTo = i;
        at = i + 1;
        return true;
    }

    /**
     * The lowest bit set is in the first byte of a word that is a quote, a backslash, a control
     * character or not ASCII; 0 where none is. A borrow out of a byte goes upwards only, so bytes
     * below the first are right.
     */
    private static long specials(final long word) {
        final long quote = word ^ QUOTES;
        final long backslash = word ^ BACKSLASHES;
        return (((quote - ONES) & ~quote)
                        | ((backslash - ONES) & ~backslash)
                        | ((word - BLANKS) & ~word)
                        | word)
                & HIGHS;
    }

    private String keptText() {
        final int length = textTo - textFrom;
        if (length > KEPT_BYTES_MAX) {
            return new String(text, textFrom, length, StandardCharsets.ISO_8859_1);
        }
        int hash = length;
        for (int i = textFrom; i < textTo; i++) {
            hash = 31 * hash + text[i];
        }
        final int place = (hash ^ (hash >>> 15)) & (KEPT_TEXTS - 1);
        final String known = kept[place];
        if (known.length() == length && isAt(known, textFrom)) {
            return known;
        }
        final String made = new String(text, textFrom, length, StandardCharsets.ISO_8859_1);
        kept[place] = made;
        return made;
    }

    private boolean isAt(final String known, final int from) {
        for (int i = 0; i < known.length(); i++) {
            if (known.charAt(i) != text[from + i]) {
                return false;
            }
        }
        return true;
    }
}
