package io.sluice.control.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.agent.api.JsonTree;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketTimeoutException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * The CLI's side of the control API: one HTTP/1.1 request per connection over the daemon's Unix
 * socket.
 *
 * <p>Written on the JDK's own socket channel because java.net.http knows no Unix sockets and
 * Netty's start alone takes longer than most commands. It understands what {@code ApiServer} sends:
 * a body with a length, or chunked. An answer that ends early, or does not come, is never taken for
 * a whole one.
 *
 * <p>A refusal ends the command: {@link ExitCode#USAGE} for a request that is wrong (400), {@link
 * ExitCode#UNREACHABLE} where the daemon could not answer (500 and above), else {@link
 * ExitCode#NO}.
 *
 * <p>Thread: the command's. Calls block until the daemon has answered.
 */
final class ApiClient {
    /** A header line of the daemon is far shorter; anything longer is not our daemon. */
    private static final int LINE_BYTES_MAX = 8192;

    /**
     * Longest silence of the daemon. It answers a change within 30 seconds, if only to say that it
     * takes longer; twice that is a daemon that hangs.
     */
    private static final Duration SILENCE_MAX = Duration.ofSeconds(60);

    private final Path socket;
    private final Duration silenceMax;

    ApiClient(final Path socket) {
        this(socket, SILENCE_MAX);
    }

    ApiClient(final Path socket, final Duration silenceMax) {
        this.socket = socket;
        this.silenceMax = silenceMax;
    }

    /** One page of query parameters, percent-encoded, in key order. */
    static String query(final Map<String, String> parameters) {
        final StringBuilder query = new StringBuilder();
        new TreeMap<>(parameters)
                .forEach(
                        (name, value) ->
                                query.append(query.isEmpty() ? '?' : '&')
                                        .append(encode(name))
                                        .append('=')
                                        .append(encode(value)));
        return query.toString();
    }

    static String encode(final String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    JsonNode get(final String target) {
        return json(exchange("GET", target, "application/json", ""));
    }

    JsonNode post(final String target, final String contentType, final String body) {
        return json(exchange("POST", target, contentType, body));
    }

    /** Asks for a change of objects; a manifest that is invalid is a no, not wrong usage. */
    JsonNode change(final JsonNode request) {
        try {
            return post("/v1/changes", "application/json", request.toString());
        } catch (final CommandError e) {
            throw e.status() == 400 ? CommandError.no(e.text()) : e;
        }
    }

    JsonNode delete(final String target) {
        return json(exchange("DELETE", target, "application/json", ""));
    }

    /** The body as it came: metrics, JSON lines. */
    String text(final String method, final String target, final String type, final String body) {
        return exchange(method, target, type, body);
    }

    /** What is made of an answer as it comes. */
    @FunctionalInterface
    interface BodyReader<T> {
        T read(InputStream body) throws IOException;
    }

    /** Has the answer read as it comes; the reader reads to its end. */
    <T> T read(final String target, final BodyReader<T> reader) {
        try (DaemonConnection connection = connect()) {
            return reader.read(send(connection, "GET", target, "application/json", ""));
        } catch (final IOException e) {
            throw broken(reason(e));
        }
    }

    /** Hands every line of the answer to the consumer until the daemon ends it. */
    void lines(final String target, final Consumer<String> consumer) {
        lines(target, false, consumer);
    }

    /** As {@link #lines}, for an answer that goes on with whatever happens. */
    void follow(final String target, final Consumer<String> consumer) {
        lines(target, true, consumer);
    }

    private void lines(
            final String target, final boolean endless, final Consumer<String> consumer) {
        try (DaemonConnection connection = connect()) {
            final InputStream body = send(connection, "GET", target, "application/json", "");
            if (endless) {
                connection.waitForEver();
            }
            final ByteArrayOutputStream line = new ByteArrayOutputStream();
            for (int next = body.read(); next >= 0; next = body.read()) {
                if (next == '\n') {
                    consumer.accept(line.toString(StandardCharsets.UTF_8));
                    line.reset();
                } else {
                    line.write(next);
                }
            }
            if (line.size() > 0) {
                consumer.accept(line.toString(StandardCharsets.UTF_8));
            }
        } catch (final IOException e) {
            throw broken(reason(e));
        }
    }

    private String exchange(
            final String method, final String target, final String type, final String body) {
        try (DaemonConnection connection = connect()) {
            return new String(
                    send(connection, method, target, type, body).readAllBytes(),
                    StandardCharsets.UTF_8);
        } catch (final IOException e) {
            throw broken(reason(e));
        }
    }

    private CommandError broken(final String reason) {
        return CommandError.unreachable(
                "sluice: " + socket + ": the daemon's answer did not come whole: " + reason);
    }

    private DaemonConnection connect() {
        try {
            return DaemonConnection.open(socket, silenceMax);
        } catch (final IOException | UnsupportedOperationException e) {
            throw CommandError.unreachable(
                    "sluice: "
                            + socket
                            + ": no daemon answers ("
                            + reason(e)
                            + "): start one with `sluice run -f DIR`, or name its socket with"
                            + " --socket or SLUICE_SOCKET");
        }
    }

    /** Sends a request and returns the body of its answer. */
    private static InputStream send(
            final DaemonConnection connection,
            final String method,
            final String target,
            final String type,
            final String body)
            throws IOException {
        final byte[] content = body.getBytes(StandardCharsets.UTF_8);
        final String head =
                method
                        + ' '
                        + target
                        + " HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\nContent-Type: "
                        + type
                        + "\r\nContent-Length: "
                        + content.length
                        + "\r\n\r\n";
        try {
            connection.write(head.getBytes(StandardCharsets.UTF_8));
            connection.write(content);
        } catch (final SocketTimeoutException e) {
            throw e;
        } catch (final IOException e) {
            // A daemon that refuses a request need not read it to its end. Its answer is there.
        }

        final int status = status(line(connection));
        final Map<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        for (String header = line(connection); !header.isEmpty(); header = line(connection)) {
            final int colon = header.indexOf(':');
            if (colon > 0) {
                headers.put(header.substring(0, colon), header.substring(colon + 1).strip());
            }
        }
        final InputStream answer =
                "chunked".equalsIgnoreCase(headers.get("Transfer-Encoding"))
                        ? new ChunkedBody(connection)
                        : new SizedBody(
                                connection,
                                number(headers.getOrDefault("Content-Length", "none"), 10));
        if (status >= 400) {
            throw refusal(status, new String(answer.readAllBytes(), StandardCharsets.UTF_8));
        }
        return answer;
    }

    private static CommandError refusal(final int status, final String body) {
        String message = "HTTP " + status;
        try {
            message = JsonTree.read(body).path("error").asText(message);
        } catch (final JsonProcessingException e) {
            // Not our daemon's form of an error: the status alone has to do.
            message = message + " " + body.strip();
        }
        return CommandError.refused(status, message);
    }

    private static int status(final String line) throws IOException {
        if (!line.startsWith("HTTP/1.1 ") || line.length() < 12) {
            throw new IOException("not an HTTP answer: " + line);
        }
        return (int) number(line.substring(9, 12), 10);
    }

    private static long number(final String text, final int radix) throws IOException {
        try {
            return Long.parseUnsignedLong(text, radix);
        } catch (final NumberFormatException e) {
            throw new IOException("not an HTTP answer: \"" + text + "\" is not a number", e);
        }
    }

    private static String line(final InputStream in) throws IOException {
        final ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) {
                throw new EOFException("connection closed in the middle of the answer");
            }
            if (line.size() == LINE_BYTES_MAX) {
                throw new IOException("header line longer than " + LINE_BYTES_MAX + " bytes");
            }
            line.write(next);
        }
        return line.toString(StandardCharsets.UTF_8).stripTrailing();
    }

    private JsonNode json(final String body) {
        try {
            return JsonTree.read(body);
        } catch (final JsonProcessingException e) {
            throw broken("not JSON: " + e.getOriginalMessage());
        }
    }

    private static String reason(final Exception e) {
        final String message = e.getMessage();
        return message == null ? e.getClass().getSimpleName() : message;
    }

    /** A body of a length that is told; one that ends before is an error. */
    private static final class SizedBody extends InputStream {
        private final InputStream in;
        private long left;

        SizedBody(final InputStream in, final long length) {
            this.in = in;
            this.left = length;
        }

        @Override
        public int read() throws IOException {
            final byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(final byte[] bytes, final int offset, final int length) throws IOException {
            if (left == 0 || length == 0) {
                return left == 0 ? -1 : 0;
            }
            final int count = in.read(bytes, offset, (int) Math.min(length, left));
            if (count < 0) {
                throw new EOFException("connection closed " + left + " bytes before the end");
            }
            left -= count;
            return count;
        }
    }

    /** RFC 9112 section 7.1; extensions and trailers are skipped. */
    private static final class ChunkedBody extends InputStream {
        private final InputStream in;
        private long left;
        private boolean first = true;
        private boolean ended;

        ChunkedBody(final InputStream in) {
            this.in = in;
        }

        @Override
        public int read() throws IOException {
            if (!nextChunk()) {
                return -1;
            }
            left--;
            final int value = in.read();
            if (value < 0) {
                throw new EOFException("connection closed in the middle of a chunk");
            }
            return value;
        }

        @Override
        public int read(final byte[] bytes, final int offset, final int length) throws IOException {
            if (length == 0) {
                return 0;
            }
            if (!nextChunk()) {
                return -1;
            }
            final int count = in.read(bytes, offset, (int) Math.min(length, left));
            if (count < 0) {
                throw new EOFException("connection closed in the middle of a chunk");
            }
            left -= count;
            return count;
        }

        private boolean nextChunk() throws IOException {
            if (left > 0) {
                return true;
            }
            if (ended) {
                return false;
            }
            if (!first) {
                line(in);
            }
            first = false;
            final String size = line(in);
            final int extension = size.indexOf(';');
            left = number(extension < 0 ? size : size.substring(0, extension), 16);
            if (left == 0) {
                ended = true;
                while (!line(in).isEmpty()) {
                    // A trailer field; the daemon sends none.
                }
            }
            return !ended;
        }
    }
}
