package io.sluice.l7proxy.tls;

/** A certificate or key that cannot be used; the message says why, and never quotes it. */
public final class TlsKeyException extends Exception {
    private static final long serialVersionUID = 1L;

    public TlsKeyException(final String message) {
        super(message);
    }

    public TlsKeyException(final String message, final Throwable cause) {
        super(message, cause);
    }
}
