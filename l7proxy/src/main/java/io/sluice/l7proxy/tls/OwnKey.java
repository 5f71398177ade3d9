package io.sluice.l7proxy.tls;

import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.List;

/**
 * A private key and the certificates that are shown for it. Immutable; prints no key.
 *
 * @param chain its own certificate first
 */
record OwnKey(PrivateKey key, List<X509Certificate> chain) {
    static OwnKey read(final String certificatePem, final String privateKeyPem)
            throws TlsKeyException {
        final List<X509Certificate> chain = certificates("the certificate", certificatePem);
        try {
            return new OwnKey(PemReader.privateKey(privateKeyPem, chain.getFirst()), chain);
        } catch (final TlsKeyException bad) {
            throw new TlsKeyException("the private key " + bad.getMessage(), bad);
        }
    }

    static List<X509Certificate> cas(final String pem) throws TlsKeyException {
        return certificates("the trusted CA", pem);
    }

    private static List<X509Certificate> certificates(final String what, final String pem)
            throws TlsKeyException {
        try {
            return PemReader.certificates(pem);
        } catch (final TlsKeyException bad) {
            throw new TlsKeyException(what + " " + bad.getMessage(), bad);
        }
    }

    @Override
    public String toString() {
        return "key of " + chain.getFirst().getSubjectX500Principal();
    }
}
