package io.sluice.l7proxy.tls;

import static io.sluice.l7proxy.tls.Hellos.extension;
import static io.sluice.l7proxy.tls.Hellos.names;
import static io.sluice.l7proxy.tls.Hellos.vector;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.sluice.l7proxy.Wire;
import io.sluice.l7proxy.tls.ClientHelloReader.Progress;
import org.junit.jupiter.api.Test;

/** Server names from ClientHellos, and what is no ClientHello. */
final class ClientHelloReaderTest {
    private static ByteBuf bytes(final String text) {
        return Unpooled.wrappedBuffer(text.getBytes(Wire.LATIN));
    }

    private static String name(final String hello) {
        final ClientHelloReader reader = new ClientHelloReader();
        assertThat(reader.read(bytes(hello))).isEqualTo(Progress.COMPLETE);
        return reader.serverName();
    }

    private static TlsFault fault(final String hello) {
        final ClientHelloReader reader = new ClientHelloReader();
        assertThat(reader.read(bytes(hello))).isEqualTo(Progress.FAULT);
        return reader.fault();
    }

    @Test
    void theNameIsReadFromAHelloOfTheJdk() throws Exception {
        assertThat(name(Hellos.of("shop.example"))).isEqualTo("shop.example");
        assertThat(name(Hellos.of(""))).isEmpty();
    }

    @Test
    void whereItIsCutDoesNotMatter() throws Exception {
        final String hello = Hellos.of("shop.example");
        for (final String cut :
                new String[] {hello, Hellos.inRecords(hello, 1), Hellos.inRecords(hello, 100)}) {
            final ClientHelloReader reader = new ClientHelloReader();
            for (int i = 0; i < cut.length() - 1; i++) {
                assertThat(reader.read(bytes(cut.substring(i, i + 1)))).isEqualTo(Progress.MORE);
            }
            assertThat(reader.read(bytes(cut.substring(cut.length() - 1) + "next")))
                    .isEqualTo(Progress.COMPLETE);
            assertThat(reader.serverName()).isEqualTo("shop.example");
        }
    }

    @Test
    void unknownExtensionsAreNobodysBusiness() {
        final String hello =
                Hellos.with(
                        extension(0x0a0a, ""),
                        extension(0, names(0, "a.b")),
                        extension(0xfafa, "x"));
        assertThat(name(hello)).isEqualTo("a.b");
    }

    @Test
    void whatTheClientSpeaksIsReadInItsOrder() {
        final ClientHelloReader reader = new ClientHelloReader();
        reader.read(bytes(Hellos.with(extension(16, vector("\u0002h2\u0008http/1.1")))));
        assertThat(reader.applicationProtocols()).containsExactly("h2", "http/1.1");
        for (final String bad :
                new String[] {
                    "", vector(""), vector("\u0003h2"), vector("\0"), "\0\u0001\u0002h2"
                }) {
            assertThat(fault(Hellos.with(extension(16, bad)))).isEqualTo(TlsFault.BAD_HELLO);
        }
    }

    @Test
    void aNameBesideAnEncryptedHelloIsAnOuterOne() {
        final ClientHelloReader reader = new ClientHelloReader();
        reader.read(
                bytes(
                        Hellos.with(
                                extension(0, names(0, "front.example")),
                                extension(0xfe0d, "\0\0\u0001\0\u0001"))));
        assertThat(reader.serverName()).isEqualTo("front.example");
        assertThat(reader.isOuterName()).isTrue();
    }

    @Test
    void whatServersCouldReadOtherwiseIsRefused() {
        assertThat(fault(Hellos.with(extension(0, names(0, "a.b")), extension(0, names(0, "c.d")))))
                .isEqualTo(TlsFault.DUPLICATE_EXTENSION);
        assertThat(fault(Hellos.with(extension(7, ""), extension(7, ""))))
                .isEqualTo(TlsFault.DUPLICATE_EXTENSION);
        for (final String data :
                new String[] {
                    names(0, "a.b", "c.d"),
                    names(1, "a.b"),
                    names(0, ""),
                    names(0, "a.b") + "x",
                    "",
                    "\0",
                    vector("\0\0\u0009a.b"),
                    vector("\0" + vector("a.b") + "x")
                }) {
            assertThat(fault(Hellos.with(extension(0, data))))
                    .as(data)
                    .isEqualTo(TlsFault.BAD_SERVER_NAME);
        }
    }

    @Test
    void whatIsNoHelloIsRefusedAtTheFirstByteThatSaysSo() throws Exception {
        final String hello = Hellos.of("a.b");
        assertThat(fault("GET / HTTP/1.1\r\n")).isEqualTo(TlsFault.NOT_TLS);
        assertThat(fault("\u0080")).isEqualTo(TlsFault.NOT_TLS);
        assertThat(fault("\u0016\u0002\0\0\u0005")).isEqualTo(TlsFault.BAD_RECORD);
        assertThat(fault("\u0016\u0003\u0001\0\0")).isEqualTo(TlsFault.BAD_RECORD);
        assertThat(fault("\u0016\u0003\u0001@\u0001")).isEqualTo(TlsFault.BAD_RECORD);
        assertThat(fault(Hellos.inRecords(hello, 9).substring(0, 14) + "\u0017"))
                .isEqualTo(TlsFault.BAD_RECORD);
        assertThat(fault("\u0016\u0003\u0001\0\u0004\u0002\0\0\u0001"))
                .isEqualTo(TlsFault.NOT_CLIENT_HELLO);
        assertThat(fault("\u0016\u0003\u0001\0\u0004\u0001\0\u0080\u0001"))
                .isEqualTo(TlsFault.HELLO_TOO_LARGE);
        assertThat(fault("\u0016\u0003\u0001\0\u0004\u0001\0\0\0")).isEqualTo(TlsFault.BAD_HELLO);
        assertThat(fault("\u0016\u0003\u0001\0\u0006\u0001\0\0\u0001\0x"))
                .isEqualTo(TlsFault.TRAILING_BYTES);
    }

    /** No length may lead out of the message, and none may be ignored. */
    @Test
    void aChangedByteNeverLeadsAstray() throws Exception {
        final String hello = Hellos.of("shop.example");
        for (int i = 0; i < hello.length(); i++) {
            for (final int change : new int[] {1, 0x80, 0xff}) {
                final StringBuilder changed = new StringBuilder(hello);
                changed.setCharAt(i, (char) (hello.charAt(i) ^ change));
                final ClientHelloReader reader = new ClientHelloReader();
                if (reader.read(bytes(changed.toString())) == Progress.FAULT) {
                    assertThat(reader.fault()).isNotEqualTo(TlsFault.NONE);
                }
            }
        }
    }
}
