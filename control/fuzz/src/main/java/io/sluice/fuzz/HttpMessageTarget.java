package io.sluice.fuzz;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.sluice.l7proxy.http.BodyFramer;
import io.sluice.l7proxy.http.HeadParser;
import io.sluice.l7proxy.http.HeadParser.Progress;
import io.sluice.l7proxy.http.HttpFault;
import io.sluice.l7proxy.http.HttpLimits;
import java.util.ArrayList;
import java.util.List;

/**
 * A connection's requests, and the same bytes as answers: heads and bodies are found at the same
 * places wherever the bytes are cut, a head is written as it came, and no line of it ends otherwise
 * than with CR LF.
 */
public final class HttpMessageTarget {
    private static final HttpLimits LIMITS = new HttpLimits(1024, 20, 256, 64, 8, 1024);

    private HttpMessageTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        for (final HeadParser.Kind kind : HeadParser.Kind.values()) {
            final List<String> whole = read(kind, input, Math.max(1, input.length));
            for (final int piece : new int[] {1, 7}) {
                Promise.holds(
                        read(kind, input, piece).equals(whole),
                        "cuts do not matter",
                        new String(input, ISO_8859_1));
            }
        }
    }

    /** What is found, with the places. */
    private static List<String> read(
            final HeadParser.Kind kind, final byte[] input, final int piece) {
        final List<String> found = new ArrayList<>();
        final HeadParser head = new HeadParser(kind, LIMITS);
        final BodyFramer body = new BodyFramer(LIMITS);
        int headStart = 0;
        for (int from = 0; from < input.length; from += piece) {
            final int length = Math.min(piece, input.length - from);
            final ByteBuf in = Unpooled.wrappedBuffer(input, from, length);
            while (in.isReadable()) {
                if (!body.isDone()) {
                    in.skipBytes(body.read(in));
                    if (body.fault() != HttpFault.NONE) {
                        found.add(body.fault() + " at " + (from + in.readerIndex()));
                        return found;
                    }
                    headStart = from + in.readerIndex();
                    continue;
                }
                final Progress progress = head.read(in);
                if (progress == Progress.FAULT) {
                    found.add(head.fault().toString());
                    return found;
                }
                if (progress == Progress.MORE) {
                    break;
                }
                in.skipBytes(head.consumed());
                final int end = from + in.readerIndex();
                found.add(
                        describe(head, new String(input, headStart, end - headStart, ISO_8859_1)));
                if (head.isChunked()) {
                    body.startChunked();
                } else {
                    body.startCounted(Math.max(0, head.contentLength()));
                }
                head.next();
                headStart = end;
            }
        }
        return found;
    }

    private static String describe(final HeadParser head, final String sent) {
        final ByteBuf out = Unpooled.buffer();
        head.writeTo(out);
        // Not out.toString(): Jazzer's watch over Unsafe cannot start Netty's allocators.
        final String written = new String(out.array(), 0, out.writerIndex(), ISO_8859_1);
        Promise.holds(written.equals(sent.substring(head.dropped())), "writes what came", sent);
        Promise.holds(
                written.replace("\r\n", "").chars().allMatch(c -> c != '\r' && c != '\n' && c != 0),
                "lines end with CR LF",
                sent);
        Promise.holds(
                !head.isChunked() || head.contentLength() < 0, "has one framing at most", sent);
        return head.method() + " " + head.host() + " " + head.path() + " " + sent.length();
    }
}
