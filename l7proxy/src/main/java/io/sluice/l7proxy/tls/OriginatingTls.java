package io.sluice.l7proxy.tls;

import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslProvider;
import io.sluice.l7proxy.ServerTls;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;

/**
 * The TLS that servers meet: the proxy is their client. The server's certificate must lead to one
 * of the trusted CAs, be in date, and be made for the name that the client asked for (RFC 9525);
 * where the client named none, the CA alone counts. Nothing asks whether it was revoked.
 *
 * <p>Immutable; any thread.
 */
public final class OriginatingTls implements ServerTls {
    /** It would only name a session to go on with. */
    private static final int NO_PORT = -1;

    private final SslContext context;

    private OriginatingTls(final SslContext context) {
        this.context = context;
    }

    /** A certificate that the proxy shows to servers, with its key. */
    public record ClientCertificate(String certificatePem, String privateKeyPem) {
        @Override
        public String toString() {
            return "client certificate";
        }
    }

    /**
     * Reads keys.
     *
     * @param caPem CAs that are trusted, and no others
     * @param own shown to servers that ask for a certificate
     * @throws TlsKeyException with what is wrong with which of them
     */
    public static OriginatingTls of(final String caPem, final Optional<ClientCertificate> own)
            throws TlsKeyException {
        final SslContextBuilder builder =
                SslContextBuilder.forClient()
                        .sslProvider(SslProvider.JDK)
                        .protocols(TerminatingTls.VERSIONS)
                        .trustManager(OwnKey.cas(caPem))
                        .applicationProtocolConfig(ApplicationProtocolConfig.DISABLED);
        if (own.isPresent()) {
            final OwnKey key = OwnKey.read(own.get().certificatePem(), own.get().privateKeyPem());
            builder.keyManager(key.key(), key.chain());
        }
        try {
            return new OriginatingTls(builder.build());
        } catch (final SSLException bad) {
            throw new TlsKeyException("cannot be used for TLS", bad);
        }
    }

    @Override
    public SslHandler layer(
            final ByteBufAllocator buffers,
            final String serverName,
            final List<String> applicationProtocols) {
        final SSLEngine engine = context.newEngine(buffers, serverName, NO_PORT);
        final SSLParameters parameters = engine.getSSLParameters();
        if (serverName.isEmpty()) {
            parameters.setServerNames(List.of());
            parameters.setEndpointIdentificationAlgorithm("");
        } else {
            // From text it takes letters, digits and hyphens only; names in use have underscores.
            final byte[] name = serverName.getBytes(StandardCharsets.US_ASCII);
            parameters.setServerNames(List.of(new SNIHostName(name)));
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
        }
        parameters.setApplicationProtocols(applicationProtocols.toArray(new String[0]));
        engine.setSSLParameters(parameters);
        return new SslHandler(engine);
    }
}
