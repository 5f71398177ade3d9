package io.sluice.l7proxy.http.common;

/** Classes of bytes: RFC 9110, 5.5 and 5.6.2; RFC 3986, 2. */
public final class Ascii {
    public static final int TOKEN = 1;

    /** Field content: visible, obs-text (0x80 and above), space and tab. */
    public static final int VALUE = 2;

    /**
     * Visible ASCII except {@code #}: a fragment is never sent, and servers differ about one that
     * is. Braces, quotes, bars and backslashes are no URI but common; they mean the same to every
     * server, or nothing.
     */
    public static final int TARGET = 4;

    /**
     * Registered names, IP literals, ports: RFC 3986, 3.2.2 and 3.2.3, without user information.
     */
    public static final int AUTHORITY = 8;

    private static final byte[] CLASSES = new byte[256];

    static {
        for (int c = 0; c < 256; c++) {
            int classes = 0;
            final boolean alphanumeric =
                    (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (alphanumeric || "!#$%&'*+-.^_`|~".indexOf(c) >= 0) {
                classes |= TOKEN;
            }
            if (c == '\t' || (c >= ' ' && c != 0x7f)) {
                classes |= VALUE;
            }
            if (c > ' ' && c < 0x7f && c != '#') {
                classes |= TARGET;
            }
            if (alphanumeric || "-._~%!$&'()*+;=:[]".indexOf(c) >= 0) {
                classes |= AUTHORITY;
            }
            CLASSES[c] = (byte) classes;
        }
    }

    private Ascii() {}

    public static boolean is(final byte b, final int classes) {
        return (CLASSES[b & 0xff] & classes) != 0;
    }

    /** Whether {@code bytes[from, to)} is the text, which is in lower case, in any case. */
    public static boolean equalsLower(
            final byte[] bytes, final int from, final int to, final String lower) {
        if (to - from != lower.length()) {
            return false;
        }
        for (int i = 0; i < lower.length(); i++) {
            if (lower(bytes[from + i]) != lower.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    public static int lower(final byte b) {
        return b >= 'A' && b <= 'Z' ? b + 32 : b;
    }

    /** The value of a hexadecimal digit, or -1. */
    public static int hexDigit(final byte b) {
        if (b >= '0' && b <= '9') {
            return b - '0';
        }
        final int lower = lower(b);
        return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    }

    /** Whether all characters are in the classes. */
    public static boolean are(final String text, final int classes) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) > 0x7f || !is((byte) text.charAt(i), classes)) {
                return false;
            }
        }
        return true;
    }
}
