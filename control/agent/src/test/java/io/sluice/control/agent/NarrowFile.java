package io.sluice.control.agent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;

/** A file on a file system with room for some bytes more: a write that is too long is cut short. */
public final class NarrowFile extends FileChannel {
    private final FileChannel file;
    private final long[] room;

    public NarrowFile(final FileChannel file, final long[] room) {
        this.file = file;
        this.room = room;
    }

    @Override
    public int write(final ByteBuffer bytes, final long position) throws IOException {
        final long more = position + bytes.remaining() - file.size();
        if (more > room[0]) {
            if (room[0] <= 0) {
                throw new IOException("No space left on device");
            }
            final int fits = (int) (bytes.remaining() - (more - room[0]));
            final ByteBuffer part = bytes.slice(bytes.position(), Math.max(1, fits));
            room[0] = 0;
            final int written = file.write(part, position);
            bytes.position(bytes.position() + written);
            return written;
        }
        room[0] -= Math.max(0, more);
        return file.write(bytes, position);
    }

    @Override
    public FileChannel truncate(final long size) throws IOException {
        room[0] += Math.max(0, file.size() - size);
        file.truncate(size);
        return this;
    }

    @Override
    public int read(final ByteBuffer into, final long position) throws IOException {
        return file.read(into, position);
    }

    @Override
    public long size() throws IOException {
        return file.size();
    }

    @Override
    public void force(final boolean metaData) throws IOException {
        file.force(metaData);
    }

    @Override
    protected void implCloseChannel() throws IOException {
        file.close();
    }

    // What a log has no use for.

    @Override
    public int read(final ByteBuffer into) {
        throw new UnsupportedOperationException();
    }

    @Override
    public long read(final ByteBuffer[] into, final int offset, final int length) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int write(final ByteBuffer bytes) {
        throw new UnsupportedOperationException();
    }

    @Override
    public long write(final ByteBuffer[] bytes, final int offset, final int length) {
        throw new UnsupportedOperationException();
    }

    @Override
    public long position() {
        throw new UnsupportedOperationException();
    }

    @Override
    public FileChannel position(final long position) {
        throw new UnsupportedOperationException();
    }

    @Override
    public long transferTo(
            final long position, final long count, final WritableByteChannel target) {
        throw new UnsupportedOperationException();
    }

    @Override
    public long transferFrom(
            final ReadableByteChannel source, final long position, final long count) {
        throw new UnsupportedOperationException();
    }

    @Override
    public MappedByteBuffer map(final MapMode mode, final long position, final long size) {
        throw new UnsupportedOperationException();
    }

    @Override
    public FileLock lock(final long position, final long size, final boolean shared) {
        throw new UnsupportedOperationException();
    }

    @Override
    public FileLock tryLock(final long position, final long size, final boolean shared) {
        throw new UnsupportedOperationException();
    }
}
