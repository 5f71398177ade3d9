package io.sluice.l7proxy.http;

/**
 * Why a message is refused: it could be read in more than one way, by us and by the server behind
 * us, or it is beyond a limit. Requests get {@link #status}, and the connection ends; none of their
 * bytes reaches the server. Answers get the client a 502.
 */
public enum HttpFault {
    NONE(0, "none"),

    // The first line.
    BAD_METHOD(400, "the method is not a token"),
    BAD_TARGET(400, "the request target has a byte that it must not have"),
    BAD_TARGET_FORM(400, "the request target is neither a path, nor an absolute http URI"),
    BAD_REQUEST_LINE(400, "the request line is not method, target and version with one space each"),
    BAD_VERSION(505, "the version is not HTTP/1.1 or HTTP/1.0"),
    BAD_STATUS_LINE(502, "the status line is not version, three digits and a reason"),
    EMPTY_LINES(400, "more than one empty line before the request line"),

    // Lines of the head, and of trailers.
    BARE_LF(400, "a line ends with LF alone"),
    BARE_CR(400, "CR without LF"),
    OBSOLETE_FOLDING(400, "a header line continues the one before"),
    SPACE_BEFORE_COLON(400, "white space between a header's name and the colon"),
    BAD_HEADER_NAME(400, "a header's name is not a token"),
    MISSING_COLON(400, "a header line without a colon"),
    CONTROL_BYTE(400, "a control byte in a header's value"),

    // Whose request it is.
    MISSING_HOST(400, "HTTP/1.1 without Host"),
    DUPLICATE_HOST(400, "more than one Host"),
    BAD_HOST(400, "Host is not a name or address with an optional port"),
    HOST_DIFFERS(400, "Host is not the authority of the absolute request target"),

    // Where it ends: RFC 9112, 6 and 7.
    DUPLICATE_CONTENT_LENGTH(400, "more than one Content-Length"),
    BAD_CONTENT_LENGTH(400, "Content-Length is not a number of at most 18 digits"),
    LENGTH_AND_CODING(400, "both Content-Length and Transfer-Encoding"),
    DUPLICATE_CODING(400, "more than one Transfer-Encoding"),
    UNKNOWN_CODING(501, "Transfer-Encoding is not \"chunked\" and nothing else"),
    CODING_IN_OLD_VERSION(400, "Transfer-Encoding in HTTP/1.0"),
    DISGUISED_FRAMING(400, "a framing header's name with an underscore in place of the hyphen"),
    CONNECTION_NAMES_FRAMING(400, "Connection names a header that frames or routes the message"),
    BODY_IN_CONNECT(400, "CONNECT with a body"),
    BAD_CHUNK_SIZE(400, "a chunk's size is not a hexadecimal number of at most 15 digits"),
    BAD_CHUNK_EXTENSION(400, "a chunk extension has a byte that it must not have"),
    BAD_CHUNK_END(400, "a chunk's data does not end with CR LF"),
    FRAMING_IN_TRAILER(400, "a trailer that frames or routes the message"),

    // Limits.
    HEAD_TOO_LARGE(431, "the head is longer than the limit"),
    TOO_MANY_HEADERS(431, "more headers than the limit"),
    CHUNK_EXTENSIONS_TOO_LARGE(400, "chunk extensions are longer than the limit"),
    TRAILERS_TOO_LARGE(431, "trailers are longer than the limit");

    private final int status;
    private final String meaning;

    HttpFault(final int status, final String meaning) {
        this.status = status;
        this.meaning = meaning;
    }

    /** Status code that a client gets for such a request. */
    public int status() {
        return status;
    }

    /** A phrase for people. */
    public String meaning() {
        return meaning;
    }
}
