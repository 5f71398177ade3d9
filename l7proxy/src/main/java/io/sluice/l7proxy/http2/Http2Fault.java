package io.sluice.l7proxy.http2;

import io.netty.handler.codec.http2.Http2Error;

/**
 * Why a stream or a connection is refused. A fault of a head, or of one stream, resets that stream;
 * nothing of a refused request reaches the server. The others end the connection.
 */
enum Http2Fault {
    NONE(Http2Error.NO_ERROR, "none"),

    // The connection.
    BAD_PREFACE(Http2Error.PROTOCOL_ERROR, "the connection does not begin with the preface"),
    NO_SETTINGS(Http2Error.PROTOCOL_ERROR, "the first frame is not SETTINGS"),
    BAD_FRAME(Http2Error.PROTOCOL_ERROR, "a frame is not as it must be"),
    BAD_COMPRESSION(Http2Error.COMPRESSION_ERROR, "headers cannot be decompressed"),
    BAD_STREAM_NUMBER(
            Http2Error.PROTOCOL_ERROR, "a stream's number is even, or not above all before"),
    IDLE_STREAM(Http2Error.PROTOCOL_ERROR, "a frame of a stream that has not begun"),
    PUSH(Http2Error.PROTOCOL_ERROR, "PUSH_PROMISE, which was ruled out"),
    BEYOND_WINDOW(Http2Error.FLOW_CONTROL_ERROR, "more data than the window takes"),
    WINDOW_TOO_LARGE(Http2Error.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1 bytes"),
    LATE(Http2Error.PROTOCOL_ERROR, "the preface or a head did not arrive in time"),

    // Floods.
    FLOOD_OF_RESETS(Http2Error.ENHANCE_YOUR_CALM, "too many resets"),
    FLOOD_OF_SETTINGS(Http2Error.ENHANCE_YOUR_CALM, "too many SETTINGS"),
    FLOOD_OF_PINGS(Http2Error.ENHANCE_YOUR_CALM, "too many PINGs"),
    FLOOD_OF_EMPTY_FRAMES(Http2Error.ENHANCE_YOUR_CALM, "too many DATA frames without data"),
    FLOOD_OF_IDLE_FRAMES(Http2Error.ENHANCE_YOUR_CALM, "too many frames that do nothing"),
    FLOOD_OF_CONTINUATIONS(Http2Error.ENHANCE_YOUR_CALM, "a head without an end"),

    // A stream.
    AFTER_END(Http2Error.STREAM_CLOSED, "a frame after the end of the stream"),
    TRAILERS_WITHOUT_END(Http2Error.PROTOCOL_ERROR, "trailers that do not end the stream"),
    LENGTH_DIFFERS(Http2Error.PROTOCOL_ERROR, "content-length is not the length of the body"),
    BEYOND_STREAM_WINDOW(Http2Error.FLOW_CONTROL_ERROR, "more data than the stream's window takes"),

    // Headers: RFC 9113, 8.2.
    BAD_NAME(Http2Error.PROTOCOL_ERROR, "a header's name is not a token in lower case"),
    BAD_VALUE(Http2Error.PROTOCOL_ERROR, "a header's value has a control byte, or space at an end"),
    CONNECTION_HEADER(Http2Error.PROTOCOL_ERROR, "a header that is about the connection"),
    BAD_TE(Http2Error.PROTOCOL_ERROR, "te is not \"trailers\""),
    BAD_LENGTH(Http2Error.PROTOCOL_ERROR, "content-length is not a number of at most 18 digits"),
    DUPLICATE_LENGTH(Http2Error.PROTOCOL_ERROR, "more than one content-length"),
    DISGUISED_FRAMING(
            Http2Error.PROTOCOL_ERROR,
            "a framing header's name with an underscore in place of the hyphen"),
    FRAMING_IN_TRAILER(Http2Error.PROTOCOL_ERROR, "a trailer that frames or routes the message"),

    // Pseudo-headers: RFC 9113, 8.3.
    UNKNOWN_PSEUDO_HEADER(
            Http2Error.PROTOCOL_ERROR, "a pseudo-header that is unknown, or not asked for"),
    DUPLICATE_PSEUDO_HEADER(Http2Error.PROTOCOL_ERROR, "a pseudo-header twice"),
    LATE_PSEUDO_HEADER(Http2Error.PROTOCOL_ERROR, "a pseudo-header after a header"),
    MISSING_PSEUDO_HEADER(Http2Error.PROTOCOL_ERROR, "a pseudo-header is missing"),
    PSEUDO_HEADER_IN_TRAILER(Http2Error.PROTOCOL_ERROR, "a pseudo-header in trailers"),
    BAD_METHOD(Http2Error.PROTOCOL_ERROR, "the method is not a token"),
    BAD_SCHEME(Http2Error.PROTOCOL_ERROR, "the scheme is neither http nor https"),
    BAD_PATH(
            Http2Error.PROTOCOL_ERROR,
            "the path does not begin with a slash, or has a byte that it must not have"),
    BAD_AUTHORITY(
            Http2Error.PROTOCOL_ERROR,
            "the authority is not a name or address with an optional port"),
    MISSING_AUTHORITY(Http2Error.PROTOCOL_ERROR, "neither :authority nor host"),
    DUPLICATE_HOST(Http2Error.PROTOCOL_ERROR, "more than one host"),
    HOST_DIFFERS(Http2Error.PROTOCOL_ERROR, "host is not :authority"),
    BAD_CONNECT(
            Http2Error.PROTOCOL_ERROR,
            "CONNECT with a scheme, a path or a length, or without a port"),
    BAD_STATUS(Http2Error.PROTOCOL_ERROR, "the status is not three digits, or is 101"),

    // Limits of a head: 431.
    HEAD_TOO_LARGE(Http2Error.NO_ERROR, "the head is longer than the limit"),
    TOO_MANY_HEADERS(Http2Error.NO_ERROR, "more headers than the limit");

    private final Http2Error error;
    private final String meaning;

    Http2Fault(final Http2Error error, final String meaning) {
        this.error = error;
        this.meaning = meaning;
    }

    /** Code of the RST_STREAM or GOAWAY. */
    Http2Error error() {
        return error;
    }

    /** A phrase for people. */
    String meaning() {
        return meaning;
    }

    /** Whether a request with it is answered with 431, and not reset. */
    boolean isTooLarge() {
        return this == HEAD_TOO_LARGE || this == TOO_MANY_HEADERS;
    }
}
