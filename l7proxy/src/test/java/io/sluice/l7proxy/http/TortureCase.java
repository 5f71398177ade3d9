package io.sluice.l7proxy.http;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.sluice.l7proxy.Wire;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A line of {@code torture.txt}.
 *
 * @param statuses of the answers
 * @param staysOpen whether the connection can be used further
 * @param isPartial whether the start of the request may have been forwarded, never all of it
 * @param bytes what the client sends, a character per byte
 * @param forwarded what of it reaches the server
 */
record TortureCase(
        String name,
        List<Integer> statuses,
        boolean staysOpen,
        boolean isPartial,
        String bytes,
        String forwarded) {
    static List<TortureCase> all() throws IOException {
        final List<TortureCase> cases = new ArrayList<>();
        try (InputStream in =
                Objects.requireNonNull(
                        TortureCase.class.getResourceAsStream("/http/torture.txt"))) {
            new String(in.readAllBytes(), UTF_8)
                    .lines()
                    .filter(line -> !line.isBlank() && !line.startsWith("#"))
                    .forEach(line -> cases.add(parse(line)));
        }
        return cases;
    }

    private static TortureCase parse(final String line) {
        final String[] columns = line.split(" \\| ", 3);
        final List<Integer> statuses = new ArrayList<>();
        boolean staysOpen = false;
        boolean isPartial = false;
        for (final String word : columns[1].split(" ", -1)) {
            switch (word) {
                case "open" -> staysOpen = true;
                case "close" -> staysOpen = false;
                case "partial" -> isPartial = true;
                default -> statuses.add(Integer.parseInt(word));
            }
        }
        final StringBuilder forwarded = new StringBuilder();
        final StringBuilder bytes = new StringBuilder();
        for (final String part : columns[2].split("(?=«)|(?<=»)", -1)) {
            final boolean isForwarded = part.startsWith("«");
            final String sent = unescape(isForwarded ? part.substring(1, part.length() - 1) : part);
            bytes.append(sent);
            forwarded.append(isForwarded ? sent : "");
        }
        return new TortureCase(
                columns[0], statuses, staysOpen, isPartial, bytes.toString(), forwarded.toString());
    }

    private static String unescape(final String text) {
        final StringBuilder bytes = new StringBuilder();
        int i = 0;
        while (i < text.length()) {
            final char c = text.charAt(i);
            if (c == '{') {
                final int star = text.indexOf('*', i);
                final int end = text.indexOf('}', star);
                bytes.append(
                        unescape(text.substring(star + 1, end))
                                .repeat(Integer.parseInt(text.substring(i + 1, star))));
                i = end + 1;
            } else if (c == '\\') {
                i += 2;
                switch (text.charAt(i - 1)) {
                    case 'r' -> bytes.append('\r');
                    case 'n' -> bytes.append('\n');
                    case 't' -> bytes.append('\t');
                    case '0' -> bytes.append('\0');
                    case '\\' -> bytes.append('\\');
                    case 'x' -> {
                        bytes.append((char) Integer.parseInt(text.substring(i, i + 2), 16));
                        i += 2;
                    }
                    default -> throw new IllegalArgumentException("escape in " + text);
                }
            } else {
                bytes.append(c);
                i++;
            }
        }
        return bytes.toString();
    }

    /** The first lines of the requests that reach the server, for cases without bodies in them. */
    List<String> forwardedLines() throws IOException {
        return Wire.requests(forwarded).stream().map(Wire.Message::firstLine).toList();
    }

    @Override
    public String toString() {
        return name;
    }
}
