package io.sluice.l7proxy.http;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.buffer.ByteBuf;
import io.sluice.l7proxy.http.common.Ascii;
import io.sluice.l7proxy.http.common.Authority;
import io.sluice.l7proxy.rule.HttpRequest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads the heads of one direction of a connection, strictly.
 *
 * <p><b>Theory of operation.</b> A proxy is passed by if it and the server disagree about where a
 * request ends, or what it asks for. So this reads only what RFC 9112 lets a sender write, and
 * refuses whatever a lenient reader might understand otherwise: every refusal has its {@link
 * HttpFault}. It repairs nothing, and what it accepts is forwarded byte by byte as it came.
 *
 * <p>Bytes are copied once into an array of its own (a head is short, and arrays are read faster
 * than buffers), line by line: a line is looked at when its LF is there, and never again, so a head
 * that comes byte by byte costs no more than one in a piece. After {@link Progress#COMPLETE} the
 * accessors are valid until {@link #next}. The array is at most {@link HttpLimits#headBytesMax}
 * long, and given up after a head longer than {@link #KEPT_BYTES}.
 *
 * <pre>
 *   FIRST_LINE --(one empty line, dropped)--> FIRST_LINE --> HEADERS --(empty line)--> DONE
 * </pre>
 *
 * <p>Accepted beyond the RFC's grammar: a status line without a reason and without the space before
 * it, which many servers send; and characters in the target that should have been escaped, see
 * {@link Ascii#TARGET}. Refused although the RFC leaves it open: lists of equal Content-Lengths,
 * codings beside chunked, white space around chunk sizes, fragments, user information.
 *
 * <p>Thread: one event loop.
 */
public final class HeadParser implements HttpRequest {
    /** Bytes that a parser keeps between heads. Most heads of browsers fit. */
    static final int KEPT_BYTES = 2 * 1024;

    /** Positions per header: name from and to, value from and to. */
    private static final int MARKS = 4;

    private static final int MARKS_KEPT = 32 * MARKS;

    /** Digits of a Content-Length: fits a long with a place to spare. */
    private static final int LENGTH_DIGITS_MAX = 18;

    private static final byte[] NO_BYTES = {};

    private static final String[] COMMON_METHODS = {
        "GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"
    };

    /** Whose heads. */
    public enum Kind {
        REQUEST,
        RESPONSE
    }

    /** What has become of the bytes. */
    public enum Progress {
        /** All of them belong to a head that is not complete. */
        MORE,
        /** The head ends among them, see {@link #consumed}. */
        COMPLETE,
        /** See {@link #fault}; the direction cannot be read any further. */
        FAULT
    }

    private enum Phase {
        FIRST_LINE,
        HEADERS,
        DONE
    }

    private final Kind kind;
    private final HttpLimits limits;

    private byte[] bytes = NO_BYTES;
    private int length;
    private Phase phase = Phase.FIRST_LINE;
    private int at;
    private int lineStart;
    private int headStart;
    private int lengthBefore;
    private HttpFault fault = HttpFault.NONE;

    private int[] marks = new int[MARKS_KEPT];
    private int count;

    private int methodEnd;
    private int targetStart;
    private int targetEnd;
    private int pathStart;
    private int authorityStart;
    private int authorityEnd;
    private boolean isOldVersion;
    private int status;

    private int hostAt;
    private int lengthAt;
    private int codingAt;
    private long contentLength;
    private boolean hasClose;
    private boolean hasKeepAlive;
    private boolean hasUpgradeOption;
    private boolean hasUpgrade;
    private boolean hasExpectation;

    private @Nullable String method;
    private @Nullable String path;
    private @Nullable String host;

    /** Reads heads of one kind, one after the other. */
    public HeadParser(final Kind kind, final HttpLimits limits) {
        this.kind = kind;
        this.limits = limits;
        next();
    }

    /** Forgets the head: the next one is read. */
    public void next() {
        if (bytes.length > KEPT_BYTES) {
            bytes = NO_BYTES;
        }
        if (marks.length > MARKS_KEPT) {
            marks = new int[MARKS_KEPT];
        }
        phase = Phase.FIRST_LINE;
        length = 0;
        at = 0;
        lineStart = 0;
        headStart = 0;
        count = 0;
        hostAt = -1;
        lengthAt = -1;
        codingAt = -1;
        contentLength = -1;
        isOldVersion = false;
        hasClose = false;
        hasKeepAlive = false;
        hasUpgradeOption = false;
        hasUpgrade = false;
        hasExpectation = false;
        authorityStart = -1;
        method = null;
        path = null;
        host = null;
    }

    /** Whether some bytes of a head have been read, but not all. */
    boolean isWithinHead() {
        return phase != Phase.DONE && length > headStart;
    }

    /**
     * Reads on.
     *
     * @param in its bytes are looked at, its positions stay
     */
    public Progress read(final ByteBuf in) {
        lengthBefore = length;
        final int start = in.readerIndex() - lengthBefore;
        while (true) {
            final Progress progress = readLines();
            if (progress != Progress.MORE) {
                return progress;
            }
            final int available = in.writerIndex() - (start + length);
            if (length >= limits.headBytesMax()) {
                return fail(HttpFault.HEAD_TOO_LARGE);
            }
            if (available == 0) {
                return Progress.MORE;
            }
            final int copied =
                    Math.min(Math.min(available, KEPT_BYTES), limits.headBytesMax() - length);
            if (length + copied > bytes.length) {
                bytes =
                        Arrays.copyOf(
                                bytes,
                                Math.min(
                                        limits.headBytesMax(),
                                        length + copied <= KEPT_BYTES
                                                ? KEPT_BYTES
                                                : 2 * (length + copied)));
            }
            in.getBytes(start + length, bytes, length, copied);
            length += copied;
        }
    }

    private Progress readLines() {
        while (phase != Phase.DONE) {
            int i = at;
            while (i < length && bytes[i] != '\n') {
                i++;
            }
            at = i;
            if (i == length) {
                return Progress.MORE;
            }
            at = i + 1;
            if (i == lineStart || bytes[i - 1] != '\r') {
                return fail(HttpFault.BARE_LF);
            }
            final HttpFault found = readLine(lineStart, i - 1);
            if (found != HttpFault.NONE) {
                return fail(found);
            }
            lineStart = at;
        }
        return Progress.COMPLETE;
    }

    private Progress fail(final HttpFault found) {
        fault = found;
        return Progress.FAULT;
    }

    private HttpFault readLine(final int from, final int to) {
        if (phase == Phase.FIRST_LINE) {
            if (from == to) {
                // RFC 9112, 2.2: old clients end a body with one that does not count. Once.
                if (headStart > 0 || kind == Kind.RESPONSE) {
                    return HttpFault.EMPTY_LINES;
                }
                headStart = at;
                return HttpFault.NONE;
            }
            phase = Phase.HEADERS;
            return kind == Kind.REQUEST ? readRequestLine(from, to) : readStatusLine(from, to);
        }
        if (from < to) {
            return readHeader(from, to);
        }
        phase = Phase.DONE;
        return checkHead();
    }

    private HttpFault readRequestLine(final int from, final int to) {
        int i = skip(from, to, Ascii.TOKEN);
        if (i == from || i == to || bytes[i] != ' ') {
            return i < to && bytes[i] == '\r' ? HttpFault.BARE_CR : HttpFault.BAD_METHOD;
        }
        methodEnd = i;
        targetStart = i + 1;
        i = skip(targetStart, to, Ascii.TARGET);
        targetEnd = i;
        if (i == targetStart || i == to) {
            return HttpFault.BAD_REQUEST_LINE;
        }
        if (bytes[i] != ' ') {
            return bytes[i] == '\r' ? HttpFault.BARE_CR : HttpFault.BAD_TARGET;
        }
        if (!readVersion(i + 1, to)) {
            return bytes[to - 1] == '\r'
                    ? HttpFault.BARE_CR
                    : isVersion(i + 1, to) ? HttpFault.BAD_VERSION : HttpFault.BAD_REQUEST_LINE;
        }
        return readTarget();
    }

    private int skip(final int from, final int to, final int classes) {
        int i = from;
        while (i < to && Ascii.is(bytes[i], classes)) {
            i++;
        }
        return i;
    }

    /** {@code HTTP/1.1} or {@code HTTP/1.0} and nothing else. */
    private boolean readVersion(final int from, final int to) {
        if (to - from != 8 || !isVersion(from, to) || bytes[from + 5] != '1') {
            return false;
        }
        isOldVersion = bytes[from + 7] == '0';
        return isOldVersion || bytes[from + 7] == '1';
    }

    private boolean isVersion(final int from, final int to) {
        return to - from == 8
                && bytes[from] == 'H'
                && bytes[from + 1] == 'T'
                && bytes[from + 2] == 'T'
                && bytes[from + 3] == 'P'
                && bytes[from + 4] == '/'
                && isDigit(bytes[from + 5])
                && bytes[from + 6] == '.'
                && isDigit(bytes[from + 7]);
    }

    private static boolean isDigit(final byte b) {
        return b >= '0' && b <= '9';
    }

    /** RFC 9112, 3.2: origin-form, absolute-form, authority-form, asterisk-form. */
    private HttpFault readTarget() {
        pathStart = targetStart;
        if (is("CONNECT")) {
            authorityStart = targetStart;
            authorityEnd = targetEnd;
            return Authority.is(bytes, targetStart, targetEnd)
                            && Authority.hasPort(bytes, targetStart, targetEnd)
                    ? HttpFault.NONE
                    : HttpFault.BAD_TARGET_FORM;
        }
        if (bytes[targetStart] == '/') {
            return HttpFault.NONE;
        }
        if (bytes[targetStart] == '*') {
            return targetEnd - targetStart == 1 && is("OPTIONS")
                    ? HttpFault.NONE
                    : HttpFault.BAD_TARGET_FORM;
        }
        int i = targetStart;
        while (i < targetEnd && bytes[i] != ':') {
            i++;
        }
        final boolean isUri =
                (Ascii.equalsLower(bytes, targetStart, i, "http")
                                || Ascii.equalsLower(bytes, targetStart, i, "https"))
                        && i + 3 < targetEnd
                        && bytes[i + 1] == '/'
                        && bytes[i + 2] == '/';
        if (!isUri) {
            return HttpFault.BAD_TARGET_FORM;
        }
        authorityStart = i + 3;
        authorityEnd = skip(authorityStart, targetEnd, Ascii.AUTHORITY);
        pathStart = authorityEnd;
        // "http://host" alone and "http://host?query" mean "/": servers differ, so we refuse them.
        return Authority.is(bytes, authorityStart, authorityEnd)
                        && pathStart < targetEnd
                        && bytes[pathStart] == '/'
                ? HttpFault.NONE
                : HttpFault.BAD_TARGET_FORM;
    }

    private boolean is(final String wanted) {
        if (methodEnd - headStart != wanted.length()) {
            return false;
        }
        for (int i = 0; i < wanted.length(); i++) {
            if (bytes[headStart + i] != wanted.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    private HttpFault readStatusLine(final int from, final int to) {
        final int versionEnd = from + 8;
        if (to < versionEnd + 4
                || !readVersion(from, versionEnd)
                || bytes[versionEnd] != ' '
                || bytes[versionEnd + 1] == '0') {
            return HttpFault.BAD_STATUS_LINE;
        }
        status = 0;
        for (int i = versionEnd + 1; i < versionEnd + 4; i++) {
            if (!isDigit(bytes[i])) {
                return HttpFault.BAD_STATUS_LINE;
            }
            status = status * 10 + bytes[i] - '0';
        }
        final boolean hasReason = to > versionEnd + 4;
        if ((hasReason && bytes[versionEnd + 4] != ' ')
                || skip(versionEnd + 4, to, Ascii.VALUE) != to) {
            return HttpFault.BAD_STATUS_LINE;
        }
        return HttpFault.NONE;
    }

    private HttpFault readHeader(final int from, final int to) {
        if (bytes[from] == ' ' || bytes[from] == '\t') {
            return HttpFault.OBSOLETE_FOLDING;
        }
        if (count == limits.headersMax()) {
            return HttpFault.TOO_MANY_HEADERS;
        }
        final int nameEnd = skip(from, to, Ascii.TOKEN);
        if (nameEnd == to) {
            return HttpFault.MISSING_COLON;
        }
        if (bytes[nameEnd] != ':' || nameEnd == from) {
            return switch (bytes[nameEnd]) {
                case ' ', '\t' -> HttpFault.SPACE_BEFORE_COLON;
                case '\r' -> HttpFault.BARE_CR;
                default -> HttpFault.BAD_HEADER_NAME;
            };
        }
        final int checked = skip(nameEnd + 1, to, Ascii.VALUE);
        if (checked != to) {
            return bytes[checked] == '\r' ? HttpFault.BARE_CR : HttpFault.CONTROL_BYTE;
        }
        int valueStart = nameEnd + 1;
        while (valueStart < to && isSpace(bytes[valueStart])) {
            valueStart++;
        }
        int valueEnd = to;
        while (valueEnd > valueStart && isSpace(bytes[valueEnd - 1])) {
            valueEnd--;
        }
        final int mark = count * MARKS;
        if (mark == marks.length) {
            marks = Arrays.copyOf(marks, 2 * marks.length);
        }
        marks[mark] = from;
        marks[mark + 1] = nameEnd;
        marks[mark + 2] = valueStart;
        marks[mark + 3] = valueEnd;
        count++;
        return readKnown(mark);
    }

    private static boolean isSpace(final byte b) {
        return b == ' ' || b == '\t';
    }

    /** Headers that say where the message ends and where it goes. */
    private HttpFault readKnown(final int mark) {
        switch (marks[mark + 1] - marks[mark]) {
            case 4 -> {
                if (isNamed(mark, "host")) {
                    if (hostAt >= 0) {
                        return HttpFault.DUPLICATE_HOST;
                    }
                    hostAt = mark;
                }
            }
            case 6 -> hasExpectation |= isNamed(mark, "expect");
            case 7 -> hasUpgrade |= isNamed(mark, "upgrade");
            case 10 -> {
                if (isNamed(mark, "connection")) {
                    return readConnection(marks[mark + 2], marks[mark + 3]);
                }
            }
            case 14 -> {
                if (isNamed(mark, "content-length")) {
                    return readContentLength(mark);
                }
                if (isNamed(mark, "content_length")) {
                    return HttpFault.DISGUISED_FRAMING;
                }
            }
            case 17 -> {
                if (isNamed(mark, "transfer-encoding")) {
                    if (codingAt >= 0) {
                        return HttpFault.DUPLICATE_CODING;
                    }
                    codingAt = mark;
                    return Ascii.equalsLower(bytes, marks[mark + 2], marks[mark + 3], "chunked")
                            ? HttpFault.NONE
                            : HttpFault.UNKNOWN_CODING;
                }
                if (isNamed(mark, "transfer_encoding")) {
                    return HttpFault.DISGUISED_FRAMING;
                }
            }
            default -> {}
        }
        return HttpFault.NONE;
    }

    private boolean isNamed(final int mark, final String lower) {
        return Ascii.equalsLower(bytes, marks[mark], marks[mark + 1], lower);
    }

    private HttpFault readContentLength(final int mark) {
        if (lengthAt >= 0) {
            return HttpFault.DUPLICATE_CONTENT_LENGTH;
        }
        lengthAt = mark;
        final int from = marks[mark + 2];
        final int to = marks[mark + 3];
        if (to == from || to - from > LENGTH_DIGITS_MAX) {
            return HttpFault.BAD_CONTENT_LENGTH;
        }
        long value = 0;
        for (int i = from; i < to; i++) {
            if (!isDigit(bytes[i])) {
                return HttpFault.BAD_CONTENT_LENGTH;
            }
            value = value * 10 + bytes[i] - '0';
        }
        contentLength = value;
        return HttpFault.NONE;
    }

    /** RFC 9110, 7.6.1. A server that drops the headers named here must not drop these. */
    private HttpFault readConnection(final int from, final int to) {
        int i = from;
        while (i < to) {
            int end = i;
            while (end < to && bytes[end] != ',') {
                end++;
            }
            int last = end;
            while (i < last && isSpace(bytes[i])) {
                i++;
            }
            while (last > i && isSpace(bytes[last - 1])) {
                last--;
            }
            switch (last - i) {
                case 4 -> {
                    if (Ascii.equalsLower(bytes, i, last, "host")) {
                        return HttpFault.CONNECTION_NAMES_FRAMING;
                    }
                }
                case 5 -> hasClose |= Ascii.equalsLower(bytes, i, last, "close");
                case 7 -> hasUpgradeOption |= Ascii.equalsLower(bytes, i, last, "upgrade");
                case 10 -> hasKeepAlive |= Ascii.equalsLower(bytes, i, last, "keep-alive");
                case 14 -> {
                    if (Ascii.equalsLower(bytes, i, last, "content-length")) {
                        return HttpFault.CONNECTION_NAMES_FRAMING;
                    }
                }
                case 17 -> {
                    if (Ascii.equalsLower(bytes, i, last, "transfer-encoding")) {
                        return HttpFault.CONNECTION_NAMES_FRAMING;
                    }
                }
                default -> {}
            }
            i = end + 1;
        }
        return HttpFault.NONE;
    }

    private HttpFault checkHead() {
        if (lengthAt >= 0 && codingAt >= 0) {
            return HttpFault.LENGTH_AND_CODING;
        }
        if (codingAt >= 0 && isOldVersion) {
            return HttpFault.CODING_IN_OLD_VERSION;
        }
        return kind == Kind.REQUEST ? checkRequest() : HttpFault.NONE;
    }

    private HttpFault checkRequest() {
        if (isConnect() && (lengthAt >= 0 || codingAt >= 0)) {
            return HttpFault.BODY_IN_CONNECT;
        }
        if (hostAt < 0) {
            return isOldVersion ? HttpFault.NONE : HttpFault.MISSING_HOST;
        }
        final int from = marks[hostAt + 2];
        final int to = marks[hostAt + 3];
        // RFC 9112, 3.2: empty where the URI has no authority.
        if (from < to && !Authority.is(bytes, from, to)) {
            return HttpFault.BAD_HOST;
        }
        return authorityStart < 0 || isSameAuthority(from, to)
                ? HttpFault.NONE
                : HttpFault.HOST_DIFFERS;
    }

    private boolean isSameAuthority(final int from, final int to) {
        if (to - from != authorityEnd - authorityStart) {
            return false;
        }
        for (int i = 0; i < to - from; i++) {
            if (Ascii.lower(bytes[from + i]) != Ascii.lower(bytes[authorityStart + i])) {
                return false;
            }
        }
        return true;
    }

    // After FAULT.

    /** Why the head is refused. */
    public HttpFault fault() {
        return fault;
    }

    // After COMPLETE, until next().

    /** How many of the bytes given last belong to the head, dropped ones included. */
    public int consumed() {
        return at - lengthBefore;
    }

    /** How many bytes before the head are no part of it, all calls together. */
    public int dropped() {
        return headStart;
    }

    /** Whether all of the head was among the bytes given last. */
    boolean isWhole() {
        return lengthBefore == 0;
    }

    /** Writes the head as it came. */
    public void writeTo(final ByteBuf out) {
        out.writeBytes(bytes, headStart, at - headStart);
    }

    /** Bytes of the head. */
    int headLength() {
        return at - headStart;
    }

    /** Writes the start line and its end. */
    void writeFirstLineTo(final ByteBuf out) {
        final int end = count == 0 ? at - 2 : marks[0];
        out.writeBytes(bytes, headStart, end - headStart);
    }

    /** Number of headers. */
    int headerCount() {
        return count;
    }

    /** Whether the header has this name, which is in lower case. */
    boolean isNamedLower(final int header, final String lower) {
        return isNamed(header * MARKS, lower);
    }

    /** Writes one header and the end of its line, as it came. */
    void writeHeaderTo(final ByteBuf out, final int header) {
        final int from = marks[header * MARKS];
        final int end = header + 1 < count ? marks[(header + 1) * MARKS] : at - 2;
        out.writeBytes(bytes, from, end - from);
    }

    @Override
    public String method() {
        if (method == null) {
            method = readMethod();
        }
        return method;
    }

    private String readMethod() {
        for (final String common : COMMON_METHODS) {
            if (is(common)) {
                return common;
            }
        }
        return new String(bytes, headStart, methodEnd - headStart, UTF_8);
    }

    /** Of an absolute target what follows the authority: what {@code :path} would be in HTTP/2. */
    @Override
    public String path() {
        if (path == null) {
            path = new String(bytes, pathStart, targetEnd - pathStart, UTF_8);
        }
        return path;
    }

    @Override
    public String host() {
        if (host == null) {
            host =
                    hostAt >= 0
                            ? value(hostAt)
                            : authorityStart >= 0
                                    ? new String(
                                            bytes,
                                            authorityStart,
                                            authorityEnd - authorityStart,
                                            UTF_8)
                                    : "";
        }
        return host;
    }

    private String value(final int mark) {
        return new String(bytes, marks[mark + 2], marks[mark + 3] - marks[mark + 2], UTF_8);
    }

    @Override
    public List<String> headers(final String name) {
        List<String> values = List.of();
        for (int mark = 0; mark < count * MARKS; mark += MARKS) {
            if (isNamedAnyCase(mark, name)) {
                if (values.isEmpty()) {
                    values = new ArrayList<>(1);
                }
                values.add(value(mark));
            }
        }
        return values;
    }

    private boolean isNamedAnyCase(final int mark, final String name) {
        final int from = marks[mark];
        if (marks[mark + 1] - from != name.length()) {
            return false;
        }
        for (int i = 0; i < name.length(); i++) {
            final char c = name.charAt(i);
            if (Ascii.lower(bytes[from + i]) != (c >= 'A' && c <= 'Z' ? c + 32 : c)) {
                return false;
            }
        }
        return true;
    }

    boolean isConnect() {
        return is("CONNECT");
    }

    /** The request, to be kept. */
    HttpRequest snapshot() {
        final String[] namesAndValues = new String[2 * count];
        for (int i = 0; i < count; i++) {
            final int from = marks[i * MARKS];
            namesAndValues[2 * i] = new String(bytes, from, marks[i * MARKS + 1] - from, UTF_8);
            namesAndValues[2 * i + 1] = value(i * MARKS);
        }
        return HttpRequest.of(method(), host(), path(), namesAndValues);
    }

    /** Status code of a response. */
    int status() {
        return status;
    }

    /** Bytes of the body if Content-Length says so, else -1. */
    public long contentLength() {
        return contentLength;
    }

    /** Whether the body is chunked. */
    public boolean isChunked() {
        return codingAt >= 0;
    }

    /** Whether the sender will go on with the connection: RFC 9112, 9.3. */
    boolean isPersistent() {
        return !hasClose && (!isOldVersion || hasKeepAlive);
    }

    /** Whether the connection may become another protocol's: RFC 9110, 7.8. */
    boolean asksForUpgrade() {
        return hasUpgrade && hasUpgradeOption && !isOldVersion;
    }

    /** Whether there is an Upgrade header at all. */
    boolean hasUpgrade() {
        return hasUpgrade;
    }

    boolean hasExpectation() {
        return hasExpectation;
    }

    /** {@code HTTP/1.1} or {@code HTTP/1.0}. */
    String version() {
        return isOldVersion ? "HTTP/1.0" : "HTTP/1.1";
    }
}
