package io.sluice.l7proxy.rule;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The path of a request as a server is likely to understand it.
 *
 * <p>A rule about {@code /public} must not let {@code /public/../admin} pass, in any spelling: the
 * query and fragment are cut off, percent escapes decoded once, backslashes are slashes, path
 * parameters ({@code ;x=1}) are left out, then {@code .}, {@code ..} and empty segments are
 * resolved. What servers read differently has no normal form and matches no rule: NUL, escapes that
 * are malformed, or still there after decoding, bytes that are not UTF-8, and targets that do not
 * start with a slash.
 */
public final class HttpPath {
    private HttpPath() {}

    /**
     * The normal form, without a slash at the end; empty if there is none.
     *
     * @param target as in the request, with or without a query
     */
    public static Optional<String> normalise(final String target) {
        final String raw = target.substring(0, pathLength(target));
        if (raw.isEmpty() || (raw.charAt(0) != '/' && raw.charAt(0) != '\\')) {
            return Optional.empty();
        }
        final Optional<String> decoded = raw.indexOf('%') < 0 ? Optional.of(raw) : decode(raw);
        return decoded.filter(path -> path.indexOf('\0') < 0 && !hasEscape(path))
                .map(HttpPath::resolve);
    }

    private static int pathLength(final String target) {
        for (int i = 0; i < target.length(); i++) {
            if (target.charAt(i) == '?' || target.charAt(i) == '#') {
                return i;
            }
        }
        return target.length();
    }

    private static Optional<String> decode(final String path) {
        final ByteBuffer bytes = ByteBuffer.allocate(path.length() * 3);
        int from = 0;
        for (int i = path.indexOf('%'); i >= 0; i = path.indexOf('%', i + 3)) {
            if (!isEscape(path, i)) {
                return Optional.empty();
            }
            bytes.put(path.substring(from, i).getBytes(StandardCharsets.UTF_8));
            bytes.put((byte) Integer.parseInt(path.substring(i + 1, i + 3), 16));
            from = i + 3;
        }
        bytes.put(path.substring(from).getBytes(StandardCharsets.UTF_8));
        bytes.flip();
        try {
            return Optional.of(StandardCharsets.UTF_8.newDecoder().decode(bytes).toString());
        } catch (final CharacterCodingException notText) {
            return Optional.empty();
        }
    }

    private static boolean isEscape(final String path, final int at) {
        return at + 2 < path.length()
                && Character.digit(path.charAt(at + 1), 16) >= 0
                && Character.digit(path.charAt(at + 2), 16) >= 0
                && path.charAt(at + 1) < 0x80
                && path.charAt(at + 2) < 0x80;
    }

    private static boolean hasEscape(final String path) {
        for (int i = path.indexOf('%'); i >= 0; i = path.indexOf('%', i + 1)) {
            if (isEscape(path, i)) {
                return true;
            }
        }
        return false;
    }

    private static String resolve(final String path) {
        final List<String> segments = new ArrayList<>();
        for (final String written : path.replace('\\', '/').split("/", -1)) {
            final int parameters = written.indexOf(';');
            final String segment = parameters < 0 ? written : written.substring(0, parameters);
            if (segment.equals("..")) {
                if (!segments.isEmpty()) {
                    segments.removeLast();
                }
            } else if (!segment.isEmpty() && !segment.equals(".")) {
                segments.add(segment);
            }
        }
        return "/" + String.join("/", segments);
    }
}
