package io.sluice.control.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.URLEncoder;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * The CLI's side of the control API: one HTTP/1.1 request per connection over the daemon's Unix
 * socket.
 *
 * <p>Written on the JDK's own socket channel because java.net.http knows no Unix sockets and
 * Netty's start alone takes longer than most commands. It understands what {@code ApiServer} sends:
 * a body with a length, chunked, or up to the end of the connection.
 *
 * <p>Thread: the command's. Calls block until the daemon has answered.
 */
final class ApiClient {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** A header line of the daemon is far shorter; anything longer is not our daemon. */
    private static final int LINE_BYTES_MAX = 8192;

    private final Path socket;

    ApiClient(final Path socket) {
        this.socket = socket;
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

    JsonNode delete(final String target) {
        return json(exchange("DELETE", target, "application/json", ""));
    }

    /** The body as it came: metrics, JSON lines. */
    String text(final String method, final String target, final String type, final String body) {
        return exchange(method, target, type, body);
    }

    /** Hands every line of the answer to the consumer until the daemon ends it. */
    void lines(final String target, final Consumer<String> consumer) {
        try (SocketChannel channel = connect()) {
            final Reply reply = send(channel, "GET", target, "application/json", "");
            final ByteArrayOutputStream line = new ByteArrayOutputStream();
            for (int next = reply.body.read(); next >= 0; next = reply.body.read()) {
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
            throw CommandError.unreachable(
                    "sluice: " + socket + ": the daemon went away while answering: " + reason(e));
        }
    }

    private String exchange(
            final String method, final String target, final String type, final String body) {
        try (SocketChannel channel = connect()) {
            final Reply reply = send(channel, method, target, type, body);
            return new String(reply.body.readAllBytes(), StandardCharsets.UTF_8);
        } catch (final IOException e) {
            throw CommandError.unreachable(
                    "sluice: " + socket + ": the daemon went away while answering: " + reason(e));
        }
    }

    private SocketChannel connect() {
        try {
            final SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
            try {
                channel.connect(UnixDomainSocketAddress.of(socket));
                return channel;
            } catch (final IOException e) {
                channel.close();
                throw e;
            }
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

    private Reply send(
            final SocketChannel channel,
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
        write(channel, head.getBytes(StandardCharsets.UTF_8));
        write(channel, content);

        final InputStream in = new BufferedInputStream(Channels.newInputStream(channel), 1 << 16);
        final int status = status(line(in));
        final Map<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        for (String header = line(in); !header.isEmpty(); header = line(in)) {
            final int colon = header.indexOf(':');
            if (colon > 0) {
                headers.put(header.substring(0, colon), header.substring(colon + 1).strip());
            }
        }
        final InputStream answer =
                "chunked".equalsIgnoreCase(headers.get("Transfer-Encoding"))
                        ? new ChunkedBody(in)
                        : in;
        if (status >= 400) {
            throw refusal(status, new String(answer.readAllBytes(), StandardCharsets.UTF_8));
        }
        return new Reply(answer);
    }

    private static CommandError refusal(final int status, final String body) {
        String message = "HTTP " + status;
        try {
            message = JSON.readTree(body).path("error").asText(message);
        } catch (final JsonProcessingException e) {
            // Not our daemon's form of an error: the status alone has to do.
            message = message + " " + body.strip();
        }
        return status == 400 ? CommandError.usage(message) : CommandError.no(message);
    }

    private static void write(final SocketChannel channel, final byte[] bytes) throws IOException {
        final ByteBuffer buffer = ByteBuffer.wrap(bytes);
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    private static int status(final String line) throws IOException {
        if (!line.startsWith("HTTP/1.1 ") || line.length() < 12) {
            throw new IOException("not an HTTP answer: " + line);
        }
        return Integer.parseInt(line.substring(9, 12));
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

    private static JsonNode json(final String body) {
        try {
            return JSON.readTree(body);
        } catch (final JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String reason(final Exception e) {
        final String message = e.getMessage();
        return message == null ? e.getClass().getSimpleName() : message;
    }

    private record Reply(InputStream body) {}

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
            left = Long.parseLong(extension < 0 ? size : size.substring(0, extension), 16);
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
