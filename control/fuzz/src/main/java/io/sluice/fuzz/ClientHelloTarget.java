package io.sluice.fuzz;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.sluice.l7proxy.tls.ClientHelloReader;
import io.sluice.l7proxy.tls.ClientHelloReader.Progress;
import io.sluice.l7proxy.tls.TlsFault;

/** The start of a TLS connection: read alike wherever it is cut, and a name is among its bytes. */
public final class ClientHelloTarget {
    private ClientHelloTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        final String text = new String(input, ISO_8859_1);
        final String whole = read(input, Math.max(1, input.length));
        Promise.holds(read(input, 1).equals(whole), "cuts do not matter", text);
        Promise.holds(read(input, 5).equals(whole), "cuts do not matter", text);
    }

    private static String read(final byte[] input, final int piece) {
        final ClientHelloReader reader = new ClientHelloReader();
        for (int from = 0; from < input.length; from += piece) {
            final ByteBuf in =
                    Unpooled.wrappedBuffer(input, from, Math.min(piece, input.length - from));
            final Progress progress = reader.read(in);
            if (progress == Progress.FAULT) {
                Promise.holds(reader.fault() != TlsFault.NONE, "a refusal has a reason", from);
                return reader.fault().toString();
            }
            if (progress == Progress.COMPLETE) {
                return (from + in.readerIndex()) + reader.serverName() + reader.isOuterName();
            }
            Promise.holds(!in.isReadable(), "takes everything until it is complete", from);
        }
        return "more";
    }
}
