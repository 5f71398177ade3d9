package io.sluice.control.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;

/**
 * One connection to the daemon's Unix socket, whose waits end.
 *
 * <p>A blocking channel of a Unix socket knows no time-out, so the channel does not block and a
 * selector waits for it. A daemon that is stopped in a debugger, or hangs, then ends the command
 * instead of holding it up for ever.
 *
 * <p>Thread: the command's.
 */
final class DaemonConnection extends InputStream {
    private final SocketChannel channel;
    private final Selector selector;
    private final SelectionKey key;
    private final ByteBuffer received = ByteBuffer.allocate(1 << 16).flip();
    private Duration silenceMax;

    private DaemonConnection(
            final SocketChannel channel, final Selector selector, final Duration silenceMax)
            throws IOException {
        this.channel = channel;
        this.selector = selector;
        this.silenceMax = silenceMax;
        channel.configureBlocking(false);
        this.key = channel.register(selector, 0);
    }

    /**
     * Connects.
     *
     * @param silenceMax longest wait for the daemon to take or send anything
     * @throws IOException when nobody listens on the socket
     */
    static DaemonConnection open(final Path socket, final Duration silenceMax) throws IOException {
        final SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            channel.connect(UnixDomainSocketAddress.of(socket));
            return new DaemonConnection(channel, Selector.open(), silenceMax);
        } catch (final IOException e) {
            channel.close();
            throw e;
        }
    }

    /** From here on the daemon may be silent for as long as it likes: a follower waits. */
    void waitForEver() {
        silenceMax = Duration.ZERO;
    }

    void write(final byte[] bytes) throws IOException {
        final ByteBuffer buffer = ByteBuffer.wrap(bytes);
        while (buffer.hasRemaining()) {
            if (channel.write(buffer) == 0) {
                await(SelectionKey.OP_WRITE);
            }
        }
    }

    @Override
    public int read() throws IOException {
        return fill() ? received.get() & 0xff : -1;
    }

    @Override
    public int read(final byte[] bytes, final int offset, final int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        if (length == 0) {
            return 0;
        }
        if (!fill()) {
            return -1;
        }
        final int count = Math.min(length, received.remaining());
        received.get(bytes, offset, count);
        return count;
    }

    private boolean fill() throws IOException {
        while (!received.hasRemaining()) {
            received.clear();
            final int count = channel.read(received);
            received.flip();
            if (count < 0) {
                return false;
            }
            if (count == 0) {
                await(SelectionKey.OP_READ);
            }
        }
        return true;
    }

    private void await(final int operation) throws IOException {
        key.interestOps(operation);
        // A time-out of zero is the selector's word for none.
        final int ready = selector.select(silenceMax.toMillis());
        selector.selectedKeys().clear();
        if (ready == 0) {
            if (Thread.currentThread().isInterrupted()) {
                throw new InterruptedIOException("interrupted");
            }
            throw new SocketTimeoutException(
                    "nothing happened for " + silenceMax.toSeconds() + " seconds");
        }
    }

    @Override
    public void close() throws IOException {
        try (selector) {
            channel.close();
        }
    }
}
