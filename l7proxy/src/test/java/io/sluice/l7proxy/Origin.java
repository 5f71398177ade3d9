package io.sluice.l7proxy;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.net.ssl.SSLException;

/**
 * A server in this process that records every byte it gets, one thread per connection. What it
 * answers is the test's to say.
 */
public final class Origin implements AutoCloseable {
    /** What it does with a connection. Its end is the connection's. */
    @FunctionalInterface
    public interface Service {
        void serve(Socket socket, InputStream in, OutputStream out) throws IOException;
    }

    private final ServerSocket listener;
    private final Service service;
    private final List<Thread> threads = new CopyOnWriteArrayList<>();
    private final List<InetSocketAddress> peers = new CopyOnWriteArrayList<>();
    private final ByteArrayOutputStream received = new ByteArrayOutputStream();
    private final List<ByteArrayOutputStream> receivedByConnection = new ArrayList<>();

    public Origin(final Service service) throws IOException {
        this(service, new ServerSocket(0, 1024, InetAddress.getLoopbackAddress()));
    }

    /** A server that accepts as the socket does: with TLS, or what else it brings. */
    public Origin(final Service service, final ServerSocket listener) {
        this.service = service;
        this.listener = listener;
        threads.add(Thread.ofVirtual().start(this::accept));
    }

    /** Answers each request with 200 and its first line, as a lenient server would read it. */
    public static Origin echo() throws IOException {
        return new Origin(Origin::echo);
    }

    /** As {@link #echo()}, for a service of one's own. */
    public static void echo(final Socket socket, final InputStream in, final OutputStream out)
            throws IOException {
        for (Wire.Message request = Wire.read(in, true);
                request != null;
                request = Wire.read(in, true)) {
            final byte[] body = request.firstLine().getBytes(Wire.LATIN);
            final String head = "HTTP/1.1 200 OK\r\nContent-Length: " + body.length + "\r\n\r\n";
            out.write(head.getBytes(Wire.LATIN));
            if (!request.firstLine().startsWith("HEAD ")) {
                out.write(body);
            }
            out.flush();
        }
    }

    /** Sends these bytes after the head of each request has been read. */
    public static Origin answering(final String answer) throws IOException {
        return new Origin(
                (socket, in, out) -> {
                    while (Wire.read(in, true) != null) {
                        out.write(answer.getBytes(Wire.LATIN));
                        out.flush();
                    }
                });
    }

    private void accept() {
        while (true) {
            final Socket socket;
            try {
                socket = listener.accept();
            } catch (final IOException closed) {
                return;
            }
            threads.add(Thread.ofVirtual().start(() -> serve(socket)));
        }
    }

    private void serve(final Socket socket) {
        try (socket) {
            if (socket.getRemoteSocketAddress() instanceof InetSocketAddress peer) {
                peers.add(peer);
            }
            service.serve(socket, new Recorder(socket.getInputStream()), socket.getOutputStream());
        } catch (final EOFException | java.net.SocketException | SSLException gone) {
            // The proxy closed or reset it: what came before is recorded.
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private final class Recorder extends InputStream {
        private final InputStream in;
        private final ByteArrayOutputStream own = new ByteArrayOutputStream();

        Recorder(final InputStream in) {
            this.in = in;
            synchronized (received) {
                receivedByConnection.add(own);
            }
        }

        @Override
        public int read() throws IOException {
            final int b = in.read();
            if (b >= 0) {
                synchronized (received) {
                    received.write(b);
                    own.write(b);
                }
            }
            return b;
        }

        @Override
        public int read(final byte[] to, final int offset, final int length) throws IOException {
            final int n = in.read(to, offset, length);
            if (n > 0) {
                synchronized (received) {
                    received.write(to, offset, n);
                    own.write(to, offset, n);
                }
            }
            return n;
        }
    }

    public InetSocketAddress address() {
        return new InetSocketAddress(listener.getInetAddress(), listener.getLocalPort());
    }

    /** Everything that was read, of all connections. */
    public String received() {
        synchronized (received) {
            return received.toString(Wire.LATIN);
        }
    }

    /** What was read of each connection. */
    public List<String> receivedByConnection() {
        synchronized (received) {
            return receivedByConnection.stream().map(own -> own.toString(Wire.LATIN)).toList();
        }
    }

    /** Who connected. */
    public List<InetSocketAddress> peers() {
        return List.copyOf(peers);
    }

    /** Waits until all connections have ended by themselves; takes no more. */
    public void join() throws IOException, InterruptedException {
        listener.close();
        for (final Thread thread : threads) {
            thread.join();
        }
    }

    @Override
    public void close() throws IOException {
        listener.close();
    }
}
