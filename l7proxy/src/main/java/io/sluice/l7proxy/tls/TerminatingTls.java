package io.sluice.l7proxy.tls;

import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslProvider;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;

/**
 * The TLS that clients meet: the proxy shows a certificate in the server's place. TLS 1.2 and 1.3,
 * the JDK's cipher suites in its order.
 *
 * <p>Immutable; any thread. Making one costs a signature, so it is kept as long as its keys are the
 * same.
 */
public final class TerminatingTls {
    static final List<String> VERSIONS = List.of("TLSv1.3", "TLSv1.2");

    private final SslContext context;

    private TerminatingTls(final SslContext context) {
        this.context = context;
    }

    /**
     * Reads keys.
     *
     * @param certificatePem the certificate, then those that lead to its CA
     * @param privateKeyPem its key
     * @param clientCaPem CAs of which clients must show a certificate; empty asks for none
     * @throws TlsKeyException with what is wrong with which of them
     */
    public static TerminatingTls of(
            final String certificatePem,
            final String privateKeyPem,
            final Optional<String> clientCaPem)
            throws TlsKeyException {
        final OwnKey own = OwnKey.read(certificatePem, privateKeyPem);
        final List<X509Certificate> clientCas =
                clientCaPem.isPresent() ? OwnKey.cas(clientCaPem.get()) : List.of();
        try {
            return new TerminatingTls(context(own.key(), own.chain(), clientCas));
        } catch (final SSLException bad) {
            throw new TlsKeyException("cannot be used for TLS", bad);
        }
    }

    private static SslContext context(
            final PrivateKey key,
            final List<X509Certificate> chain,
            final List<X509Certificate> clientCas)
            throws SSLException {
        final SslContextBuilder builder =
                SslContextBuilder.forServer(key, chain)
                        .sslProvider(SslProvider.JDK)
                        .protocols(VERSIONS)
                        .applicationProtocolConfig(ApplicationProtocolConfig.DISABLED);
        if (!clientCas.isEmpty()) {
            builder.trustManager(clientCas).clientAuth(ClientAuth.REQUIRE);
        }
        return builder.build();
    }

    /**
     * The layer for one connection.
     *
     * @param applicationProtocol to agree on, one that the client offers; empty agrees on none
     */
    SslHandler layer(final ByteBufAllocator buffers, final String applicationProtocol) {
        final SslHandler layer = context.newHandler(buffers);
        if (!applicationProtocol.isEmpty()) {
            final SSLParameters parameters = layer.engine().getSSLParameters();
            parameters.setApplicationProtocols(new String[] {applicationProtocol});
            layer.engine().setSSLParameters(parameters);
        }
        return layer;
    }
}
