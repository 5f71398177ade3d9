package io.sluice.l7proxy.tls;

/** Why a ClientHello cannot be read. */
public enum TlsFault {
    NONE("none"),
    NOT_TLS("the first byte is not that of a handshake record"),
    BAD_RECORD("a record is empty, too long, of another type or version"),
    NOT_CLIENT_HELLO("the first handshake message is no ClientHello"),
    HELLO_TOO_LARGE("the ClientHello is longer than the limit"),
    BAD_HELLO("a field of the ClientHello has an impossible length"),
    DUPLICATE_EXTENSION("an extension comes twice"),
    BAD_SERVER_NAME("the server name extension is not one host name"),
    TRAILING_BYTES("more handshake bytes follow the ClientHello in its record");

    private final String meaning;

    TlsFault(final String meaning) {
        this.meaning = meaning;
    }

    /** A phrase for people. */
    public String meaning() {
        return meaning;
    }
}
