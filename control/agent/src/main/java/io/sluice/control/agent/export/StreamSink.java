package io.sluice.control.agent.export;

import java.io.IOException;
import java.io.PrintStream;

/** A stream of this process, which stays open. */
final class StreamSink implements LineSink {
    private final PrintStream stream;

    StreamSink(final PrintStream stream) {
        this.stream = stream;
    }

    @Override
    public void write(final byte[] lines) throws IOException {
        stream.write(lines, 0, lines.length);
        if (stream.checkError()) {
            throw new IOException("the stream takes nothing more");
        }
    }

    @Override
    public void close() {
        stream.flush();
    }
}
