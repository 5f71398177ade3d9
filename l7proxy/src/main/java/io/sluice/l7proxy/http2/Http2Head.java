package io.sluice.l7proxy.http2;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.util.AsciiString;
import io.sluice.l7proxy.http.common.Ascii;
import io.sluice.l7proxy.http.common.Authority;
import io.sluice.l7proxy.rule.HttpOutcome.Edit;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import io.sluice.l7proxy.rule.HttpRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A field section as it came: a request's head, an answer's, or trailers.
 *
 * <p><b>Theory of operation.</b> HPACK gives one header after the other to {@link #add}, which
 * checks each and remembers the first fault; Netty's own checks are off, since it has no names for
 * what they find, and since its headers forget their order. Once all are there, one of {@link
 * #requestFault}, {@link #answerFault} and {@link #trailersFault} says whether it may be forwarded.
 * The rules are RFC 9113, 8.2 and 8.3, and where it leaves a choice what HTTP/1.1 is held to here:
 * a server behind us may turn the message into HTTP/1.1.
 *
 * <p>Thread: the link's event loop.
 */
@SuppressWarnings("serial") // Never written out.
final class Http2Head extends DefaultHttp2Headers implements HttpRequest {
    private static final int LENGTH_DIGITS_MAX = 18;
    private static final long NONE = -1;

    private final int headersMax;
    private Http2Fault fault = Http2Fault.NONE;
    private int count;
    private boolean hasHeader;
    private boolean isFraming;

    private @Nullable String method;
    private @Nullable String scheme;
    private @Nullable String path;
    private @Nullable String authority;
    private @Nullable String protocol;
    private @Nullable String host;
    private int status;
    private boolean hasStatus;
    private long contentLength = NONE;

    Http2Head(final int headersMax, final int sizeHint) {
        super(false, false, sizeHint);
        this.headersMax = headersMax;
    }

    @Override
    public Http2Headers add(final CharSequence name, final CharSequence value) {
        if (fault == Http2Fault.NONE) {
            fault = take(AsciiString.of(name), AsciiString.of(value));
        }
        return super.add(name, value);
    }

    private Http2Fault take(final AsciiString name, final AsciiString value) {
        if (++count > headersMax) {
            return Http2Fault.TOO_MANY_HEADERS;
        }
        if (!isValue(value)) {
            return Http2Fault.BAD_VALUE;
        }
        if (!name.isEmpty() && name.byteAt(0) == ':') {
            return hasHeader ? Http2Fault.LATE_PSEUDO_HEADER : takePseudo(name, value);
        }
        hasHeader = true;
        return isName(name) ? takeHeader(name, value) : Http2Fault.BAD_NAME;
    }

    private static boolean isName(final AsciiString name) {
        for (int i = 0; i < name.length(); i++) {
            final byte b = name.byteAt(i);
            if (!Ascii.is(b, Ascii.TOKEN) || Ascii.lower(b) != b) {
                return false;
            }
        }
        return !name.isEmpty();
    }

    private static boolean isValue(final AsciiString value) {
        final int length = value.length();
        for (int i = 0; i < length; i++) {
            if (!Ascii.is(value.byteAt(i), Ascii.VALUE)) {
                return false;
            }
        }
        return length == 0 || !(isSpace(value.byteAt(0)) || isSpace(value.byteAt(length - 1)));
    }

    private static boolean isSpace(final byte b) {
        return b == ' ' || b == '\t';
    }

    private Http2Fault takePseudo(final AsciiString name, final AsciiString value) {
        final String text = text(value);
        final @Nullable String before;
        switch (name.toString()) {
            case ":method" -> {
                before = method;
                method = text;
            }
            case ":scheme" -> {
                before = scheme;
                scheme = text;
            }
            case ":path" -> {
                before = path;
                path = text;
            }
            case ":authority" -> {
                before = authority;
                authority = text;
            }
            case ":protocol" -> {
                before = protocol;
                protocol = text;
            }
            case ":status" -> {
                before = hasStatus ? text : null;
                hasStatus = true;
                status = statusOf(text);
            }
            default -> {
                return Http2Fault.UNKNOWN_PSEUDO_HEADER;
            }
        }
        return before == null ? Http2Fault.NONE : Http2Fault.DUPLICATE_PSEUDO_HEADER;
    }

    private static int statusOf(final String text) {
        if (text.length() != 3) {
            return 0;
        }
        int status = 0;
        for (int i = 0; i < text.length(); i++) {
            final int digit = text.charAt(i) - '0';
            if (digit < 0 || digit > 9) {
                return 0;
            }
            status = 10 * status + digit;
        }
        return status;
    }

    private Http2Fault takeHeader(final AsciiString name, final AsciiString value) {
        return switch (name.length()) {
            case 2 -> is(name, "te") ? takeTe(value) : Http2Fault.NONE;
            case 4 -> is(name, "host") ? takeHost(value) : Http2Fault.NONE;
            case 7 -> is(name, "upgrade") ? Http2Fault.CONNECTION_HEADER : Http2Fault.NONE;
            case 10 ->
                    is(name, "connection") || is(name, "keep-alive")
                            ? Http2Fault.CONNECTION_HEADER
                            : Http2Fault.NONE;
            case 14 ->
                    is(name, "content-length")
                            ? takeLength(value)
                            : is(name, "content_length")
                                    ? Http2Fault.DISGUISED_FRAMING
                                    : Http2Fault.NONE;
            case 16 ->
                    is(name, "proxy-connection") ? Http2Fault.CONNECTION_HEADER : Http2Fault.NONE;
            case 17 ->
                    is(name, "transfer-encoding")
                            ? Http2Fault.CONNECTION_HEADER
                            : is(name, "transfer_encoding")
                                    ? Http2Fault.DISGUISED_FRAMING
                                    : Http2Fault.NONE;
            default -> Http2Fault.NONE;
        };
    }

    private static boolean is(final AsciiString name, final String lower) {
        return name.contentEquals(lower);
    }

    private Http2Fault takeTe(final AsciiString value) {
        isFraming = true;
        return value.contentEqualsIgnoreCase("trailers") ? Http2Fault.NONE : Http2Fault.BAD_TE;
    }

    private Http2Fault takeHost(final AsciiString value) {
        isFraming = true;
        if (host != null) {
            return Http2Fault.DUPLICATE_HOST;
        }
        host = text(value);
        return Http2Fault.NONE;
    }

    private Http2Fault takeLength(final AsciiString value) {
        isFraming = true;
        if (contentLength != NONE) {
            return Http2Fault.DUPLICATE_LENGTH;
        }
        if (value.isEmpty() || value.length() > LENGTH_DIGITS_MAX) {
            return Http2Fault.BAD_LENGTH;
        }
        long length = 0;
        for (int i = 0; i < value.length(); i++) {
            final int digit = value.byteAt(i) - '0';
            if (digit < 0 || digit > 9) {
                return Http2Fault.BAD_LENGTH;
            }
            length = 10 * length + digit;
        }
        contentLength = length;
        return Http2Fault.NONE;
    }

    private static String text(final AsciiString value) {
        return new String(value.array(), value.arrayOffset(), value.length(), UTF_8);
    }

    /**
     * What keeps it from being a request.
     *
     * @param mayExtendConnect whether RFC 8441 was offered to the client
     */
    Http2Fault requestFault(final boolean mayExtendConnect) {
        if (fault != Http2Fault.NONE) {
            return fault;
        }
        if (hasStatus || (protocol != null && !mayExtendConnect)) {
            return Http2Fault.UNKNOWN_PSEUDO_HEADER;
        }
        if (method == null) {
            return Http2Fault.MISSING_PSEUDO_HEADER;
        }
        if (method.isEmpty() || !Ascii.are(method, Ascii.TOKEN)) {
            return Http2Fault.BAD_METHOD;
        }
        if (isPlainConnect()) {
            return connectFault();
        }
        if (protocol != null && !method.equals("CONNECT")) {
            return Http2Fault.UNKNOWN_PSEUDO_HEADER;
        }
        if (scheme == null || path == null) {
            return Http2Fault.MISSING_PSEUDO_HEADER;
        }
        if (!scheme.equals("http") && !scheme.equals("https")) {
            return Http2Fault.BAD_SCHEME;
        }
        if (!isPath(path)) {
            return Http2Fault.BAD_PATH;
        }
        return authorityFault();
    }

    private boolean isPath(final String text) {
        return (text.startsWith("/") || (text.equals("*") && "OPTIONS".equals(method)))
                && Ascii.are(text, Ascii.TARGET);
    }

    /** RFC 9113, 8.5. */
    private Http2Fault connectFault() {
        if (scheme != null || path != null || contentLength != NONE || authority == null) {
            return Http2Fault.BAD_CONNECT;
        }
        final byte[] bytes = authority.getBytes(UTF_8);
        return Authority.hasPort(bytes, 0, bytes.length)
                ? authorityFault()
                : Http2Fault.BAD_CONNECT;
    }

    private Http2Fault authorityFault() {
        final String named = authority == null ? host : authority;
        if (named == null) {
            return Http2Fault.MISSING_AUTHORITY;
        }
        final byte[] bytes = named.getBytes(UTF_8);
        if (!Authority.is(bytes, 0, bytes.length)) {
            return Http2Fault.BAD_AUTHORITY;
        }
        return host == null || host.equalsIgnoreCase(named)
                ? Http2Fault.NONE
                : Http2Fault.HOST_DIFFERS;
    }

    /** What keeps it from being the head of an answer. */
    Http2Fault answerFault() {
        if (fault != Http2Fault.NONE) {
            return fault;
        }
        if (hasRequestPseudo()) {
            return Http2Fault.UNKNOWN_PSEUDO_HEADER;
        }
        if (!hasStatus) {
            return Http2Fault.MISSING_PSEUDO_HEADER;
        }
        return status < 100 || status == 101 ? Http2Fault.BAD_STATUS : Http2Fault.NONE;
    }

    /** What keeps it from being trailers. */
    Http2Fault trailersFault() {
        if (fault != Http2Fault.NONE) {
            return fault;
        }
        if (hasStatus || hasRequestPseudo()) {
            return Http2Fault.PSEUDO_HEADER_IN_TRAILER;
        }
        return isFraming ? Http2Fault.FRAMING_IN_TRAILER : Http2Fault.NONE;
    }

    /** Whether something in it belongs to requests alone. */
    boolean hasRequestPseudo() {
        return method != null
                || scheme != null
                || path != null
                || authority != null
                || protocol != null;
    }

    boolean isConnect() {
        return "CONNECT".equals(method);
    }

    private boolean isPlainConnect() {
        return isConnect() && protocol == null;
    }

    /** Of an answer without {@link #answerFault}. */
    int statusCode() {
        return status;
    }

    /** Negative if there is none. */
    long contentLength() {
        return contentLength;
    }

    /** Whether the content is gRPC's. */
    boolean isGrpc() {
        final CharSequence type = get("content-type");
        return type != null && AsciiString.of(type).toLowerCase().startsWith("application/grpc");
    }

    /** {@code grpc-status}, or -1. */
    int grpcStatus() {
        final CharSequence text = get("grpc-status");
        if (text == null || text.isEmpty() || text.length() > 2) {
            return -1;
        }
        int code = 0;
        for (int i = 0; i < text.length(); i++) {
            final int digit = text.charAt(i) - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            code = 10 * code + digit;
        }
        return code;
    }

    // What rules ask of a request without a fault.

    @Override
    public String method() {
        return method == null ? "" : method;
    }

    /** For CONNECT without a path it is the authority, as in HTTP/1.1. */
    @Override
    public String path() {
        return path == null ? host() : path;
    }

    @Override
    public String host() {
        return authority == null ? host == null ? "" : host : authority;
    }

    /** Cookies may come in pieces, which belong together: RFC 9113, 8.2.3. */
    @Override
    public List<String> headers(final String name) {
        final String lower = name.toLowerCase(Locale.ROOT);
        if (lower.startsWith(":")) {
            return List.of();
        }
        final List<CharSequence> values = getAll(lower);
        if (values.isEmpty()) {
            return List.of();
        }
        final List<String> texts = new ArrayList<>(values.size());
        for (final CharSequence value : values) {
            texts.add(text(AsciiString.of(value)));
        }
        return lower.equals("cookie") ? List.of(String.join("; ", texts)) : texts;
    }

    /** As reports show it. */
    String url() {
        return path == null ? host() : (scheme == null ? "http" : scheme) + "://" + host() + path;
    }

    /** What can be judged again once this has been edited. */
    HttpRequest snapshot() {
        final List<String> namesAndValues = new ArrayList<>();
        for (final CharSequence name : names()) {
            if (name.charAt(0) != ':') {
                for (final String value : headers(name.toString())) {
                    namesAndValues.add(name.toString());
                    namesAndValues.add(value);
                }
            }
        }
        return HttpRequest.of(method(), host(), path(), namesAndValues.toArray(new String[0]));
    }

    /**
     * Changes headers as rules ask.
     *
     * @param edits that were found safe
     */
    void edit(final List<HeaderEdit> edits) {
        for (final HeaderEdit edit : edits) {
            final AsciiString name = AsciiString.of(edit.name().toLowerCase(Locale.ROOT));
            if (edit.edit() != Edit.ADD) {
                remove(name);
            }
            if (edit.edit() != Edit.DELETE) {
                super.add(name, new AsciiString(edit.value().getBytes(UTF_8), false));
            }
        }
    }

    /** Equal only to itself: Netty compares all headers, which nothing here asks for. */
    @Override
    public boolean equals(final @Nullable Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }
}
