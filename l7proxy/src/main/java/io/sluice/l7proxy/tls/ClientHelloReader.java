package io.sluice.l7proxy.tls;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.netty.buffer.ByteBuf;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Reads the ClientHello that opens a TLS connection: RFC 8446, 4.1.2 and 5.1; RFC 6066, 3.
 *
 * <p><b>Theory of operation.</b> The hello may be cut anywhere: into segments by TCP, into records
 * by the client. Bytes are taken as they come; the payload of records is gathered in an array of
 * the size that the message's own header says, bounded by {@link #HELLO_BYTES_MAX}, and looked at
 * once, when it is complete. So the work is linear, whatever the cuts.
 *
 * <p>It is strict where a lenient server could see another name than we do: one server_name
 * extension, of one name, of type host_name, with no bytes left over; no extension twice; every
 * length must fit exactly. Unknown versions, ciphers and extensions, GREASE (RFC 8701) among them,
 * are nobody's business here.
 *
 * <p>With an encrypted_client_hello extension (RFC 9849) the name is the outer one, of whoever
 * serves the real one. That the extension may be GREASE cannot be seen from outside; so the name is
 * judged as it is, and the report says that it is an outer one.
 *
 * <p>Thread: one event loop.
 */
public final class ClientHelloReader {
    /** A hello with post-quantum key shares has 2 kB; tickets and ECH may add some. */
    public static final int HELLO_BYTES_MAX = 32 * 1024;

    /** RFC 8446, 5.1. */
    private static final int RECORD_BYTES_MAX = 1 << 14;

    private static final int RECORD_HEADER = 5;
    private static final int MESSAGE_HEADER = 4;
    private static final int HANDSHAKE = 22;
    private static final int CLIENT_HELLO = 1;
    private static final int RANDOM = 32;
    private static final int SESSION_ID_MAX = 32;
    private static final int SERVER_NAME = 0;

    /** RFC 7301, 3.1. */
    private static final int APPLICATION_PROTOCOLS = 16;

    private static final int ENCRYPTED_CLIENT_HELLO = 0xfe0d;
    private static final int HOST_NAME = 0;

    /** Extensions of a hello: browsers send 20. */
    private static final int EXTENSIONS_MAX = 128;

    /** What has become of the bytes. */
    public enum Progress {
        /** All were taken, and more is needed. */
        MORE,
        /** See {@link #serverName}. Bytes of later records were left. */
        COMPLETE,
        /** See {@link #fault}. */
        FAULT
    }

    private TlsFault fault = TlsFault.NONE;

    private int headerLength;
    private final byte[] header = new byte[RECORD_HEADER];
    private int recordRemaining;

    private byte[] message = new byte[MESSAGE_HEADER];
    private int length;

    private int at;
    private String serverName = "";
    private boolean isOuterName;
    private final List<String> applicationProtocols = new ArrayList<>();

    /** Starts with the first byte of a connection. */
    public ClientHelloReader() {}

    /**
     * Reads on.
     *
     * @param in read up to the end of the hello's last record
     */
    public Progress read(final ByteBuf in) {
        while (in.isReadable()) {
            if (recordRemaining == 0) {
                header[headerLength++] = in.readByte();
                if (headerLength == 1 && header[0] != HANDSHAKE) {
                    return fail(length == 0 ? TlsFault.NOT_TLS : TlsFault.BAD_RECORD);
                }
                if (headerLength < RECORD_HEADER) {
                    continue;
                }
                headerLength = 0;
                recordRemaining = (header[3] & 0xff) << 8 | (header[4] & 0xff);
                if (header[1] != 3 || recordRemaining == 0 || recordRemaining > RECORD_BYTES_MAX) {
                    return fail(TlsFault.BAD_RECORD);
                }
                continue;
            }
            final int taken =
                    Math.min(
                            Math.min(recordRemaining, in.readableBytes()), message.length - length);
            in.readBytes(message, length, taken);
            length += taken;
            recordRemaining -= taken;
            if (length == message.length) {
                if (length > MESSAGE_HEADER) {
                    return readHello();
                }
                final TlsFault found = readMessageHeader();
                if (found != TlsFault.NONE) {
                    return fail(found);
                }
            }
        }
        return Progress.MORE;
    }

    private Progress fail(final TlsFault found) {
        fault = found;
        return Progress.FAULT;
    }

    private TlsFault readMessageHeader() {
        if (message[0] != CLIENT_HELLO) {
            return TlsFault.NOT_CLIENT_HELLO;
        }
        final int size = (message[1] & 0xff) << 16 | (message[2] & 0xff) << 8 | (message[3] & 0xff);
        if (size > HELLO_BYTES_MAX) {
            return TlsFault.HELLO_TOO_LARGE;
        }
        if (size == 0) {
            return TlsFault.BAD_HELLO;
        }
        message = Arrays.copyOf(message, MESSAGE_HEADER + size);
        return TlsFault.NONE;
    }

    private Progress readHello() {
        if (recordRemaining > 0) {
            return fail(TlsFault.TRAILING_BYTES);
        }
        at = MESSAGE_HEADER;
        // legacy_version, random, legacy_session_id, cipher_suites, legacy_compression_methods.
        if (!skip(2 + RANDOM)
                || !skipVector(1, 0, SESSION_ID_MAX)
                || !skipVector(2, 2, 0xfffe)
                || !skipVector(1, 1, 0xff)) {
            return fail(TlsFault.BAD_HELLO);
        }
        if (at < length) {
            final int extensionsLength = number(2);
            if (extensionsLength < 0 || at + extensionsLength != length) {
                return fail(TlsFault.BAD_HELLO);
            }
            final TlsFault found = readExtensions();
            if (found != TlsFault.NONE) {
                return fail(found);
            }
        }
        return Progress.COMPLETE;
    }

    private boolean skip(final int bytes) {
        if (length - at < bytes) {
            return false;
        }
        at += bytes;
        return true;
    }

    private boolean skipVector(final int lengthBytes, final int least, final int most) {
        final int size = number(lengthBytes);
        return size >= least && size <= most && skip(size);
    }

    /** A number of one or two bytes; -1 if they are not there. */
    private int number(final int bytes) {
        if (length - at < bytes) {
            return -1;
        }
        int number = 0;
        for (int i = 0; i < bytes; i++) {
            number = number << 8 | (message[at++] & 0xff);
        }
        return number;
    }

    private TlsFault readExtensions() {
        final int[] seen = new int[EXTENSIONS_MAX];
        int count = 0;
        while (at < length) {
            final int type = number(2);
            final int size = number(2);
            if (type < 0 || size < 0 || length - at < size) {
                return TlsFault.BAD_HELLO;
            }
            for (int i = 0; i < count; i++) {
                if (seen[i] == type) {
                    return TlsFault.DUPLICATE_EXTENSION;
                }
            }
            if (count == EXTENSIONS_MAX) {
                return TlsFault.HELLO_TOO_LARGE;
            }
            seen[count++] = type;
            final int end = at + size;
            if (type == SERVER_NAME && !readServerName(end)) {
                return TlsFault.BAD_SERVER_NAME;
            }
            if (type == APPLICATION_PROTOCOLS && !readApplicationProtocols(end)) {
                return TlsFault.BAD_HELLO;
            }
            isOuterName |= type == ENCRYPTED_CLIENT_HELLO;
            at = end;
        }
        return TlsFault.NONE;
    }

    /** RFC 6066, 3: a list that has room for other types of name; none was ever defined. */
    private boolean readServerName(final int end) {
        if (end - at < 5) {
            return false;
        }
        final int listLength = number(2);
        final int type = number(1);
        final int size = number(2);
        if (listLength != size + 3 || type != HOST_NAME || size == 0 || at + size != end) {
            return false;
        }
        serverName = new String(message, at, size, ISO_8859_1);
        return true;
    }

    private boolean readApplicationProtocols(final int end) {
        if (end - at < 2 || at + 2 + number(2) != end) {
            return false;
        }
        while (at < end) {
            final int size = number(1);
            if (size <= 0 || end - at < size) {
                return false;
            }
            applicationProtocols.add(new String(message, at, size, ISO_8859_1));
            at += size;
        }
        return !applicationProtocols.isEmpty();
    }

    /** After FAULT. */
    public TlsFault fault() {
        return fault;
    }

    /** After COMPLETE: as sent, a character per byte; empty if the client sent none. */
    public String serverName() {
        return serverName;
    }

    /**
     * After COMPLETE: what the client offers to speak, its favourite first; a character per byte.
     */
    public List<String> applicationProtocols() {
        return List.copyOf(applicationProtocols);
    }

    /** After COMPLETE: whether an encrypted ClientHello came with it. */
    public boolean isOuterName() {
        return isOuterName;
    }
}
