package io.sluice.l7proxy.tls;

import io.sluice.l7proxy.Wire;
import java.nio.ByteBuffer;
import java.util.List;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;

/** ClientHellos, a character per byte. */
final class Hellos {
    private static final int RECORD_HEADER = 5;

    private Hellos() {}

    /** What the JDK's client sends first; no name if empty. */
    static String of(final String serverName) throws Exception {
        final SSLEngine engine = SSLContext.getDefault().createSSLEngine();
        engine.setUseClientMode(true);
        final SSLParameters parameters = engine.getSSLParameters();
        if (!serverName.isEmpty()) {
            parameters.setServerNames(List.of(new SNIHostName(serverName)));
        }
        engine.setSSLParameters(parameters);
        final ByteBuffer out = ByteBuffer.allocate(engine.getSession().getPacketBufferSize());
        engine.wrap(ByteBuffer.allocate(0), out);
        return new String(out.array(), 0, out.position(), Wire.LATIN);
    }

    /** The same handshake message in records of so many bytes. */
    static String inRecords(final String hello, final int size) {
        final String message = hello.substring(RECORD_HEADER);
        final StringBuilder records = new StringBuilder();
        for (int i = 0; i < message.length(); i += size) {
            final String part = message.substring(i, Math.min(message.length(), i + size));
            records.append("\u0016\u0003\u0001")
                    .append((char) (part.length() >> 8))
                    .append((char) (part.length() & 0xff))
                    .append(part);
        }
        return records.toString();
    }

    /** A minimal hello with these extensions, each with its type and length. */
    static String with(final String... extensions) {
        final String all = String.join("", extensions);
        final String body =
                "\u0003\u0003"
                        + "r".repeat(32)
                        + "\0"
                        + "\0\u0002\u0013\u0001"
                        + "\u0001\0"
                        + vector(all);
        return inRecords("\u0016\u0003\u0001\0\0\u0001\0" + vector(body), 1 << 14);
    }

    static String extension(final int type, final String data) {
        return "" + (char) (type >> 8) + (char) (type & 0xff) + vector(data);
    }

    /** A server_name extension's data: a list of names of a type. */
    static String names(final int type, final String... names) {
        final StringBuilder list = new StringBuilder();
        for (final String name : names) {
            list.append((char) type).append(vector(name));
        }
        return vector(list.toString());
    }

    static String vector(final String data) {
        return "" + (char) (data.length() >> 8) + (char) (data.length() & 0xff) + data;
    }
}
