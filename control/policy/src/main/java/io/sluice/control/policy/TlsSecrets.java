package io.sluice.control.policy;

import io.sluice.control.policy.CiliumPolicy.TlsContext;
import io.sluice.l7proxy.rule.SecretName;
import io.sluice.l7proxy.tls.OriginatingTls;
import io.sluice.l7proxy.tls.OriginatingTls.ClientCertificate;
import io.sluice.l7proxy.tls.TerminatingTls;
import io.sluice.l7proxy.tls.TlsKeyException;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * Finds what policies refer to in Secrets.
 *
 * <p>Keys of a TLS context are {@code tls.crt}, {@code tls.key} and {@code ca.crt} where the policy
 * names no others. Clients are asked for a certificate only if {@code trustedCA} is written: a
 * {@code ca.crt} beside the server's own keys is who signed those, not who signs clients'. Servers
 * are shown a certificate if the Secret has one.
 *
 * <p>Pure; any thread.
 */
public final class TlsSecrets {
    private static final String CERTIFICATE = "tls.crt";
    private static final String KEY = "tls.key";
    private static final String CA = "ca.crt";

    /** Keys of a Secret of type {@code kubernetes.io/tls}. */
    static final List<String> PAIR = List.of(CERTIFICATE, KEY);

    private TlsSecrets() {}

    /** Finds Secrets by name. */
    @FunctionalInterface
    public interface Lookup extends Function<SecretName, Optional<KubeObject.Secret>> {
        /** Those of a world. */
        static Lookup in(final World world) {
            return name ->
                    world.lookup(new ObjectRef("Secret", name.namespace(), name.name()))
                            .map(KubeObject.Secret.class::cast);
        }
    }

    /**
     * The TLS that clients meet.
     *
     * @throws TlsKeyException with what is missing or wrong
     */
    public static TerminatingTls terminating(final Lookup secrets, final TlsContext context)
            throws TlsKeyException {
        final KubeObject.Secret secret = secret(secrets, context.secret());
        final String certificate = value(secret, or(context.certificate(), CERTIFICATE));
        final String key = value(secret, or(context.privateKey(), KEY));
        final Optional<String> clientCa =
                context.trustedCa().isEmpty()
                        ? Optional.empty()
                        : Optional.of(value(secret, context.trustedCa()));
        try {
            return TerminatingTls.of(certificate, key, clientCa);
        } catch (final TlsKeyException bad) {
            throw of(secret, bad);
        }
    }

    /**
     * The TLS that servers meet.
     *
     * @throws TlsKeyException with what is missing or wrong
     */
    public static OriginatingTls originating(final Lookup secrets, final TlsContext context)
            throws TlsKeyException {
        final KubeObject.Secret secret = secret(secrets, context.secret());
        final String ca = value(secret, or(context.trustedCa(), CA));
        final boolean isWritten =
                !context.certificate().isEmpty() || !context.privateKey().isEmpty();
        final boolean hasPair =
                secret.values().containsKey(CERTIFICATE) && secret.values().containsKey(KEY);
        final Optional<ClientCertificate> own =
                isWritten || hasPair
                        ? Optional.of(
                                new ClientCertificate(
                                        value(secret, or(context.certificate(), CERTIFICATE)),
                                        value(secret, or(context.privateKey(), KEY))))
                        : Optional.empty();
        try {
            return OriginatingTls.of(ca, own);
        } catch (final TlsKeyException bad) {
            throw of(secret, bad);
        }
    }

    private static TlsKeyException of(final KubeObject.Secret secret, final TlsKeyException bad) {
        return new TlsKeyException(secret.ref() + ": " + bad.getMessage(), bad);
    }

    /**
     * The value that a header is compared with: that of a Secret with one key only, as in Cilium
     * ({@code GetSecretString}).
     */
    public static Optional<String> headerValue(final Lookup secrets, final SecretName name) {
        return secrets.apply(name)
                .filter(secret -> secret.values().size() == 1)
                .map(secret -> secret.values().values().iterator().next());
    }

    private static String or(final String written, final String otherwise) {
        return written.isEmpty() ? otherwise : written;
    }

    private static KubeObject.Secret secret(final Lookup secrets, final SecretName name)
            throws TlsKeyException {
        final Optional<KubeObject.Secret> secret = secrets.apply(name);
        if (secret.isEmpty()) {
            throw new TlsKeyException(
                    name.namespace().isEmpty()
                            ? "the Secret "
                                    + name.name()
                                    + " needs a namespace: the policy has none"
                            : "there is no Secret " + name.namespace() + "/" + name.name());
        }
        return secret.get();
    }

    private static String value(final KubeObject.Secret secret, final String key)
            throws TlsKeyException {
        final String value = secret.values().get(key);
        if (value == null) {
            throw new TlsKeyException(secret.ref() + " has no key " + key);
        }
        return value;
    }
}
