package io.sluice.l7proxy.tls;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;

/**
 * Certificates and private keys as Secrets hold them: PEM (RFC 7468).
 *
 * <p>Keys come as PKCS#8 (RFC 5208), and, from older tools and from cert-manager by default, as
 * PKCS#1 (RFC 8017, A.1.2) or SEC 1 (RFC 5915). The JDK reads PKCS#8 only, so the others are put
 * into its envelope, which names the algorithm and holds the same bytes. Keys behind a password are
 * refused: nobody is there to give it.
 *
 * <p>Pure; any thread.
 */
final class PemReader {
    /**
     * Of one text, in characters. A certificate has some 2,000; the public CAs together 220,000.
     */
    static final int TEXT_LENGTH_MAX = 1 << 20;

    /** Of one text. There are about 150 public CAs. */
    static final int CERTIFICATES_MAX = 1_000;

    private static final String BEGIN = "-----BEGIN ";
    private static final String DASHES = "-----";

    private static final int SEQUENCE = 0x30;
    private static final int OCTET_STRING = 0x04;
    private static final int PARAMETERS = 0xa0;

    /** INTEGER 0, the version of PKCS#8. */
    private static final byte[] VERSION = {2, 1, 0};

    /** SEQUENCE of 1.2.840.113549.1.1.1 (rsaEncryption) and NULL. */
    private static final byte[] RSA = {
        0x30, 13, 6, 9, 0x2a, (byte) 0x86, 0x48, (byte) 0x86, (byte) 0xf7, 13, 1, 1, 1, 5, 0
    };

    /** 1.2.840.10045.2.1 (ecPublicKey). */
    private static final byte[] EC = {6, 7, 0x2a, (byte) 0x86, 0x48, (byte) 0xce, 0x3d, 2, 1};

    private PemReader() {}

    /**
     * Certificates, in the order of the text; one at least.
     *
     * @throws TlsKeyException if there is none, or one cannot be read
     */
    static List<X509Certificate> certificates(final String pem) throws TlsKeyException {
        checkLength(pem);
        if (!pem.contains(BEGIN + "CERTIFICATE")) {
            throw new TlsKeyException("holds no PEM certificate");
        }
        final Collection<? extends Certificate> read;
        try {
            read =
                    CertificateFactory.getInstance("X.509")
                            .generateCertificates(
                                    new ByteArrayInputStream(
                                            pem.getBytes(StandardCharsets.US_ASCII)));
        } catch (final CertificateException bad) {
            throw new TlsKeyException("holds a certificate that cannot be read", bad);
        }
        final List<X509Certificate> certificates = new ArrayList<>();
        for (final Certificate certificate : read) {
            if (certificate instanceof final X509Certificate x509) {
                certificates.add(x509);
            }
        }
        if (certificates.isEmpty() || certificates.size() > CERTIFICATES_MAX) {
            throw new TlsKeyException(
                    "holds " + certificates.size() + " certificates: 1 to " + CERTIFICATES_MAX);
        }
        return List.copyOf(certificates);
    }

    private static void checkLength(final String pem) throws TlsKeyException {
        if (pem.length() > TEXT_LENGTH_MAX) {
            throw new TlsKeyException("is longer than " + TEXT_LENGTH_MAX + " characters");
        }
    }

    /**
     * The private key that belongs to a certificate.
     *
     * @throws TlsKeyException if there is none, it cannot be read, or is another's
     */
    static PrivateKey privateKey(final String pem, final X509Certificate certificate)
            throws TlsKeyException {
        checkLength(pem);
        final PrivateKey key = privateKey(pem, certificate.getPublicKey().getAlgorithm());
        if (!isPair(key, certificate)) {
            throw new TlsKeyException("is not the key of the certificate");
        }
        return key;
    }

    private static PrivateKey privateKey(final String pem, final String algorithm)
            throws TlsKeyException {
        try {
            return KeyFactory.getInstance(algorithm)
                    .generatePrivate(new PKCS8EncodedKeySpec(pkcs8(pem)));
        } catch (final GeneralSecurityException | IllegalArgumentException bad) {
            // The cause may quote what it could not read.
            throw new TlsKeyException("holds no private key of the certificate's kind");
        }
    }

    private static byte[] pkcs8(final String pem) throws TlsKeyException {
        int begin = pem.indexOf(BEGIN);
        while (begin >= 0) {
            final int labelEnd = pem.indexOf(DASHES, begin + BEGIN.length());
            final int end = pem.indexOf("-----END ", begin);
            if (labelEnd < 0 || end < labelEnd) {
                throw new TlsKeyException("holds PEM that does not end");
            }
            final String label = pem.substring(begin + BEGIN.length(), labelEnd);
            final String body = pem.substring(labelEnd + DASHES.length(), end);
            if (label.startsWith("ENCRYPTED") || body.contains("ENCRYPTED")) {
                throw new TlsKeyException("holds a key behind a password");
            }
            switch (label) {
                case "PRIVATE KEY" -> {
                    return decoded(body);
                }
                case "RSA PRIVATE KEY" -> {
                    return envelope(RSA, decoded(body));
                }
                case "EC PRIVATE KEY" -> {
                    final byte[] key = decoded(body);
                    return envelope(der(SEQUENCE, joined(EC, curve(key))), key);
                }
                default -> begin = pem.indexOf(BEGIN, end);
            }
        }
        throw new TlsKeyException("holds no PEM private key");
    }

    private static byte[] decoded(final String body) {
        return Base64.getMimeDecoder().decode(body);
    }

    private static byte[] envelope(final byte[] algorithm, final byte[] key) {
        return der(SEQUENCE, joined(VERSION, algorithm, der(OCTET_STRING, key)));
    }

    /** RFC 5915, 3: the curve's name, which PKCS#8 has outside of the key. */
    private static byte[] curve(final byte[] sec1) throws TlsKeyException {
        final ByteBuffer key = ByteBuffer.wrap(sec1);
        try {
            key.get();
            length(key);
            while (key.hasRemaining()) {
                final int tag = key.get() & 0xff;
                final byte[] value = new byte[length(key)];
                key.get(value);
                if (tag == PARAMETERS) {
                    return value;
                }
            }
        } catch (final RuntimeException cut) {
            throw new TlsKeyException("holds an EC key that cannot be read");
        }
        throw new TlsKeyException("holds an EC key that does not name its curve");
    }

    /** X.690, 8.1.3; never longer than what follows. */
    private static int length(final ByteBuffer der) {
        int length = der.get() & 0xff;
        if (length > 0x80) {
            int bytes = length - 0x80;
            length = 0;
            while (bytes-- > 0) {
                length = length << 8 | (der.get() & 0xff);
            }
        }
        if (length < 0 || length > der.remaining()) {
            throw new IllegalArgumentException("a length beyond the end");
        }
        return length;
    }

    private static byte[] der(final int tag, final byte[] value) {
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(tag);
        if (value.length < 0x80) {
            out.write(value.length);
        } else {
            out.write(0x83);
            out.write(value.length >> 16);
            out.write(value.length >> 8);
            out.write(value.length);
        }
        out.writeBytes(value);
        return out.toByteArray();
    }

    private static byte[] joined(final byte[]... parts) {
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (final byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }

    /** By a signature: the algorithms have nothing else in common. */
    private static boolean isPair(final PrivateKey key, final X509Certificate certificate) {
        final String scheme =
                switch (key.getAlgorithm()) {
                    case "RSA" -> "SHA256withRSA";
                    case "EC" -> "SHA256withECDSA";
                    default -> key.getAlgorithm();
                };
        try {
            final byte[] text = {1, 2, 3};
            final Signature signature = Signature.getInstance(scheme);
            signature.initSign(key);
            signature.update(text);
            final byte[] signed = signature.sign();
            signature.initVerify(certificate.getPublicKey());
            signature.update(text);
            return signature.verify(signed);
        } catch (final GeneralSecurityException bad) {
            return false;
        }
    }
}
