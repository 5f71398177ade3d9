package io.sluice.l7proxy.rule;

import java.util.List;
import java.util.Locale;

/**
 * One item of Cilium's {@code serverNames}: a TLS server name (SNI), or names by pattern.
 *
 * <p>{@code *} stays within a label; {@code **} in place of a whole label is one or more labels; a
 * pattern of nothing else is every name. Case does not matter. There is no dot at the end, RFC 6066
 * has none either.
 *
 * <p>Matching walks the labels; only the last {@code **} and, within a label, the last {@code *}
 * are ever taken back, and names are bounded, so the work is, too.
 *
 * <p>Immutable; equal if written alike but for case.
 */
public final class ServerNamePattern {
    /** Characters of a pattern or name: that of a DNS name. */
    public static final int LENGTH_MAX = 255;

    private static final String MANY_LABELS = "**";

    private final String text;
    private final List<String> labels;

    private ServerNamePattern(final String text) {
        this.text = text;
        this.labels = text.equals("*") ? List.of(MANY_LABELS) : List.of(text.split("\\.", -1));
    }

    /**
     * Reads a pattern as policies write it: {@linkplain #sanitise} first, then {@link #parse}.
     *
     * @throws IllegalArgumentException with what is wrong and what is accepted
     */
    public static ServerNamePattern compile(final String written) {
        return parse(sanitise(written));
    }

    /**
     * Reads a pattern strictly. The empty one is accepted and matches nothing.
     *
     * @throws IllegalArgumentException with what is wrong and what is accepted
     */
    public static ServerNamePattern parse(final String pattern) {
        final String lower = pattern.toLowerCase(Locale.ROOT);
        boolean accepted = pattern.length() <= LENGTH_MAX && isAscii(pattern);
        for (final String label : lower.split("\\.", -1)) {
            accepted &= isPatternLabel(label) || pattern.isEmpty();
        }
        if (!accepted) {
            throw new IllegalArgumentException(
                    "\""
                            + pattern.substring(0, Math.min(pattern.length(), LENGTH_MAX))
                            + "\": accepted: labels of a-z, A-Z, 0-9, '-', '_', '*', or \"**\" for"
                            + " one or more of them, "
                            + LENGTH_MAX
                            + " characters at most");
        }
        return new ServerNamePattern(lower);
    }

    private static boolean isPatternLabel(final String label) {
        if (label.equals(MANY_LABELS)) {
            return true;
        }
        boolean accepted = !label.isEmpty() && !label.contains("**");
        for (int i = 0; i < label.length() && accepted; i++) {
            accepted = label.charAt(i) == '*' || isLabelCharacter(label.charAt(i));
        }
        return accepted;
    }

    /**
     * What Cilium makes of a pattern before it is used: no dot at the end, a run of stars is one
     * star, but two where it is the first of several labels and was more than one.
     */
    public static String sanitise(final String written) {
        final String text =
                written.endsWith(".") ? written.substring(0, written.length() - 1) : written;
        final StringBuilder sanitised = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            final boolean again = text.charAt(i) == '*' && i > 0 && text.charAt(i - 1) == '*';
            if (!again) {
                sanitised.append(text.charAt(i));
            }
        }
        return text.startsWith(MANY_LABELS) && sanitised.length() > 1 && sanitised.charAt(1) == '.'
                ? "*" + sanitised
                : sanitised.toString();
    }

    /**
     * Whether the name is meant.
     *
     * @param serverName as the client sent it; what is not a host name never matches
     */
    public boolean matches(final String serverName) {
        if (serverName.isEmpty() || serverName.length() > LENGTH_MAX || !isAscii(serverName)) {
            return false;
        }
        final String[] names = serverName.toLowerCase(Locale.ROOT).split("\\.", -1);
        for (final String name : names) {
            if (!isLabel(name)) {
                return false;
            }
        }
        int at = 0;
        int many = -1;
        int manyEnd = 0;
        int i = 0;
        while (i < names.length) {
            final String wanted = at < labels.size() ? labels.get(at) : "";
            if (wanted.equals(MANY_LABELS)) {
                many = at++;
                manyEnd = ++i;
            } else if (!wanted.isEmpty() && matchesLabel(wanted, names[i])) {
                at++;
                i++;
            } else if (many >= 0) {
                i = ++manyEnd;
                at = many + 1;
            } else {
                return false;
            }
        }
        return at == labels.size();
    }

    private static boolean matchesLabel(final String pattern, final String name) {
        int at = 0;
        int star = -1;
        int starEnd = 0;
        int i = 0;
        while (i < name.length()) {
            final char wanted = at < pattern.length() ? pattern.charAt(at) : 0;
            if (wanted == '*') {
                star = at++;
                starEnd = i;
            } else if (wanted == name.charAt(i)) {
                at++;
                i++;
            } else if (star >= 0) {
                i = ++starEnd;
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

    private static boolean isLabel(final String label) {
        for (int i = 0; i < label.length(); i++) {
            if (!isLabelCharacter(label.charAt(i))) {
                return false;
            }
        }
        return !label.isEmpty();
    }

    /** Some letters beyond ASCII, such as the Kelvin sign, are ASCII in lower case. */
    private static boolean isAscii(final String name) {
        for (int i = 0; i < name.length(); i++) {
            if (name.charAt(i) >= 0x80) {
                return false;
            }
        }
        return true;
    }

    private static boolean isLabelCharacter(final char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }

    /** Whether every server name is meant. */
    public boolean matchesEveryName() {
        return labels.equals(List.of(MANY_LABELS));
    }

    @Override
    public boolean equals(final Object other) {
        return other instanceof final ServerNamePattern pattern && text.equals(pattern.text);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }

    /** As written, in lower case. */
    @Override
    public String toString() {
        return text;
    }
}
