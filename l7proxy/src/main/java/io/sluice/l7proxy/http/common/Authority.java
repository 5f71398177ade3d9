package io.sluice.l7proxy.http.common;

/** Host and port as requests name them: RFC 3986, 3.2, without user information. */
public final class Authority {
    private Authority() {}

    /** A host, which has no colon but within brackets, and perhaps a colon and digits. */
    public static boolean is(final byte[] bytes, final int from, final int to) {
        for (int i = from; i < to; i++) {
            if (!Ascii.is(bytes[i], Ascii.AUTHORITY)) {
                return false;
            }
        }
        if (from == to) {
            return false;
        }
        int i = from;
        if (bytes[i] == '[') {
            while (i < to && bytes[i] != ']') {
                i++;
            }
            if (i == to) {
                return false;
            }
            i++;
        } else {
            while (i < to && bytes[i] != ':' && bytes[i] != '[' && bytes[i] != ']') {
                i++;
            }
            if (i == from) {
                return false;
            }
        }
        if (i == to) {
            return true;
        }
        if (bytes[i] != ':') {
            return false;
        }
        i++;
        while (i < to && isDigit(bytes[i])) {
            i++;
        }
        return i == to;
    }

    /** Whether it ends with a colon and at least one digit. */
    public static boolean hasPort(final byte[] bytes, final int from, final int to) {
        int i = to;
        while (i > from && isDigit(bytes[i - 1])) {
            i--;
        }
        return i < to && i > from && bytes[i - 1] == ':';
    }

    private static boolean isDigit(final byte b) {
        return b >= '0' && b <= '9';
    }
}
