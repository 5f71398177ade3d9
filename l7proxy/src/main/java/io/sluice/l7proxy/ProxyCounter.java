package io.sluice.l7proxy;

/** What the proxy counts. The names are those of its metrics. */
public enum ProxyCounter {
    CONNECTIONS_ACCEPTED("connections taken on"),
    CONNECTIONS_OVER_LIMIT("connections reset because there were as many as allowed"),
    CONNECTIONS_UNKNOWN("connections reset because the switch knows no flow for them"),
    CONNECTIONS_IDLE("connections closed after a long time without traffic"),
    CONNECTIONS_RESET("connections that one end reset, and so the other"),
    CONNECTIONS_CUT("tunnels and handshakes cut because policy no longer allows them"),
    SERVER_CONNECTS("connections opened to servers"),
    SERVER_UNREACHABLE("servers that refused, or did not answer in time"),
    CLIENT_TLS_FAILED("TLS handshakes that clients began and that failed"),
    SERVER_TLS_FAILED("servers whose TLS failed, such as by a certificate that is not trusted"),
    REQUESTS_FORWARDED("requests that rules let pass"),
    REQUESTS_DENIED("requests that no rule lets pass"),
    REQUESTS_AUDITED("requests that no rule lets pass, and that went on because of audit"),
    REQUESTS_MALFORMED("requests that were refused because they cannot be read one way only"),
    REQUESTS_LATE("requests whose head did not arrive in time"),
    ANSWERS_MALFORMED("answers of servers that cannot be read one way only, or that nobody awaits"),
    STREAMS_REFUSED("HTTP/2 streams beyond the limit of streams at once"),
    STREAMS_RESET("HTTP/2 streams that one end reset before their end"),
    FLOODS_OF_RESETS("HTTP/2 connections ended because of too many resets"),
    FLOODS_OF_SETTINGS("HTTP/2 connections ended because of too many SETTINGS"),
    FLOODS_OF_PINGS("HTTP/2 connections ended because of too many PINGs"),
    FLOODS_OF_EMPTY_FRAMES("HTTP/2 connections ended because of too many DATA frames without data"),
    FLOODS_OF_IDLE_FRAMES("HTTP/2 connections ended because of too many frames that do nothing"),
    FLOODS_OF_CONTINUATIONS("HTTP/2 connections ended because of a head without an end"),
    BYTES_TO_SERVER("bytes sent to servers"),
    BYTES_TO_CLIENT("bytes sent to clients");

    private final String meaning;

    ProxyCounter(final String meaning) {
        this.meaning = meaning;
    }

    /** A phrase for people. */
    public String meaning() {
        return meaning;
    }
}
