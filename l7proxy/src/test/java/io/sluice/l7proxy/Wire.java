package io.sluice.l7proxy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.Nullable;

/** A client that sends bytes as they are, and reads answers. */
public final class Wire implements AutoCloseable {
    /** A character per byte. */
    public static final Charset LATIN = StandardCharsets.ISO_8859_1;

    /** Nothing here takes a second; a test that hangs says where. */
    private static final int TIMEOUT_MS = 20_000;

    /** A request or an answer, as a lenient reader understands it. */
    public record Message(String firstLine, List<String> headers, String body) {
        public int status() {
            return Integer.parseInt(firstLine.split(" ", -1)[1]);
        }

        public String header(final String name) {
            final String prefix = name.toLowerCase(Locale.ROOT) + ":";
            return headers.stream()
                    .filter(header -> header.toLowerCase(Locale.ROOT).startsWith(prefix))
                    .map(header -> header.substring(prefix.length()).strip())
                    .findFirst()
                    .orElse("");
        }
    }

    private final Socket socket;

    private Wire(final Socket socket) {
        this.socket = socket;
    }

    public static Wire to(final InetSocketAddress address) throws IOException {
        return from("127.0.0.1", address);
    }

    /** Connects from one of the host's addresses. */
    public static Wire from(final String own, final InetSocketAddress address) throws IOException {
        final Socket socket = new Socket();
        socket.setSoTimeout(TIMEOUT_MS);
        socket.setTcpNoDelay(true);
        socket.bind(new InetSocketAddress(InetAddress.ofLiteral(own), 0));
        socket.connect(address, TIMEOUT_MS);
        return new Wire(socket);
    }

    /** Connects, and speaks TLS to a server of this name: empty asks for none. */
    public static Wire secure(
            final InetSocketAddress address, final SSLContext tls, final String name)
            throws IOException {
        final Socket below = to(address).socket();
        final SSLSocket socket =
                (SSLSocket) tls.getSocketFactory().createSocket(below, name, 443, true);
        final SSLParameters parameters = socket.getSSLParameters();
        parameters.setServerNames(name.isEmpty() ? List.of() : List.of(new SNIHostName(name)));
        parameters.setEndpointIdentificationAlgorithm(name.isEmpty() ? "" : "HTTPS");
        socket.setSSLParameters(parameters);
        return new Wire(socket);
    }

    public Socket socket() {
        return socket;
    }

    public InetSocketAddress address() {
        return new InetSocketAddress(socket.getLocalAddress(), socket.getLocalPort());
    }

    public Wire send(final String bytes) throws IOException {
        socket.getOutputStream().write(bytes.getBytes(LATIN));
        return this;
    }

    /** FIN. */
    public Wire end() throws IOException {
        socket.shutdownOutput();
        return this;
    }

    /** RST. */
    public void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    /** The next answer. */
    public Message read() throws IOException {
        final Message message = read(socket.getInputStream(), false);
        if (message == null) {
            throw new EOFException("no answer");
        }
        return message;
    }

    /** The next answer, which is to HEAD. */
    public String readHead() throws IOException {
        return head(socket.getInputStream());
    }

    /** Whatever comes until FIN. */
    public String readToEnd() throws IOException {
        return new String(socket.getInputStream().readAllBytes(), LATIN);
    }

    /** Exactly so many bytes. */
    public String read(final int length) throws IOException {
        return new String(socket.getInputStream().readNBytes(length), LATIN);
    }

    /** All requests in some bytes, as a lenient server reads them. */
    public static List<Message> requests(final String bytes) throws IOException {
        return messages(bytes, true);
    }

    /** All answers in some bytes. */
    public static List<Message> answers(final String bytes) throws IOException {
        return messages(bytes, false);
    }

    private static List<Message> messages(final String bytes, final boolean areRequests)
            throws IOException {
        final InputStream in = new ByteArrayInputStream(bytes.getBytes(LATIN));
        final List<Message> messages = new ArrayList<>();
        for (Message next = read(in, areRequests); next != null; next = read(in, areRequests)) {
            messages.add(next);
        }
        return messages;
    }

    /** Up to and including the empty line; empty at the end of the stream. */
    public static String head(final InputStream in) throws IOException {
        final ByteArrayOutputStream head = new ByteArrayOutputStream();
        int last = 0;
        for (int b = in.read(); b >= 0; b = in.read()) {
            head.write(b);
            last = last << 8 | b;
            if (last == 0x0d0a0d0a) {
                break;
            }
        }
        return head.toString(LATIN);
    }

    /** Null at the end of the stream. */
    static @Nullable Message read(final InputStream in, final boolean isRequest)
            throws IOException {
        final String head = head(in);
        if (!head.endsWith("\r\n\r\n")) {
            return null;
        }
        final List<String> lines = new ArrayList<>(List.of(head.strip().split("\r\n", -1)));
        final Message bare = new Message(lines.removeFirst(), List.copyOf(lines), "");
        return new Message(bare.firstLine(), bare.headers(), body(in, bare, isRequest));
    }

    /**
     * The first lines of all requests on one connection, as a lenient server sees them: also of one
     * whose body is broken or does not come whole, after which it reads no more.
     */
    public static List<String> requestLines(final String bytes) throws IOException {
        final InputStream in = new ByteArrayInputStream(bytes.getBytes(LATIN));
        final List<String> firstLines = new ArrayList<>();
        for (String head = head(in); head.endsWith("\r\n\r\n"); head = head(in)) {
            final List<String> lines = new ArrayList<>(List.of(head.strip().split("\r\n", -1)));
            final Message bare = new Message(lines.removeFirst(), List.copyOf(lines), "");
            firstLines.add(bare.firstLine());
            try {
                body(in, bare, true);
            } catch (final EOFException | NumberFormatException broken) {
                break;
            }
        }
        return firstLines;
    }

    private static String body(final InputStream in, final Message bare, final boolean isRequest)
            throws IOException {
        final String body;
        if (bare.header("transfer-encoding").equalsIgnoreCase("chunked")) {
            body = chunks(in);
        } else if (!bare.header("content-length").isEmpty()) {
            body =
                    new String(
                            in.readNBytes(Integer.parseInt(bare.header("content-length"))), LATIN);
        } else {
            body =
                    isRequest || bare.status() < 200 || bare.status() == 204 || bare.status() == 304
                            ? ""
                            : new String(in.readAllBytes(), LATIN);
        }
        return body;
    }

    private static String chunks(final InputStream in) throws IOException {
        final StringBuilder body = new StringBuilder();
        while (true) {
            final int length = Integer.parseInt(line(in).split(";", -1)[0].strip(), 16);
            if (length == 0) {
                while (!line(in).isEmpty()) {}
                return body.toString();
            }
            body.append(new String(in.readNBytes(length), LATIN));
            line(in);
        }
    }

    private static String line(final InputStream in) throws IOException {
        final StringBuilder line = new StringBuilder();
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b < 0) {
                throw new EOFException("within a chunked body");
            }
            if (b != '\r') {
                line.append((char) b);
            }
        }
        return line.toString();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
