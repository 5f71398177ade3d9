package io.sluice.control.agent;

import io.sluice.control.policy.CiliumPolicy.TlsContext;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.TlsSecrets;
import io.sluice.control.policy.World;
import io.sluice.l7proxy.rule.SecretName;
import io.sluice.l7proxy.tls.OriginatingTls;
import io.sluice.l7proxy.tls.TerminatingTls;
import io.sluice.l7proxy.tls.TlsKeyException;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What Secrets of the newest policy's world hold, ready for the L7 proxy.
 *
 * <p>Keys are read once, and again when their Secret is another: connections from then on have the
 * new ones. A Secret that can no longer be used gives none, and new connections fail until the
 * policy that denies the port is published a moment later.
 *
 * <p>Thread: any.
 */
final class SecretKeys {
    private static final Logger LOG = LoggerFactory.getLogger(SecretKeys.class);

    /** Contexts kept; a node has as many as its policies write, and gone ones are forgotten. */
    private static final int KEPT_MAX = 1_024;

    /** Keys that were read, and from what. */
    private record Kept<T>(KubeObject.Secret secret, Optional<T> keys) {}

    @FunctionalInterface
    private interface Reader<T> {
        T read(TlsSecrets.Lookup secrets, TlsContext context) throws TlsKeyException;
    }

    private final Supplier<World> world;
    private final Map<TlsContext, Kept<TerminatingTls>> terminating = new ConcurrentHashMap<>();
    private final Map<TlsContext, Kept<OriginatingTls>> originating = new ConcurrentHashMap<>();

    /**
     * @param world the newest
     */
    SecretKeys(final Supplier<World> world) {
        this.world = world;
    }

    /** The value that a header is compared with. */
    Optional<String> headerValue(final SecretName name) {
        return TlsSecrets.headerValue(TlsSecrets.Lookup.in(world.get()), name);
    }

    Optional<TerminatingTls> terminating(final TlsContext context) {
        return find(terminating, context, TlsSecrets::terminating);
    }

    Optional<OriginatingTls> originating(final TlsContext context) {
        return find(originating, context, TlsSecrets::originating);
    }

    private <T> Optional<T> find(
            final Map<TlsContext, Kept<T>> kept, final TlsContext context, final Reader<T> reader) {
        final TlsSecrets.Lookup secrets = TlsSecrets.Lookup.in(world.get());
        final Optional<KubeObject.Secret> secret = secrets.apply(context.secret());
        if (secret.isEmpty()) {
            return Optional.empty();
        }
        final Kept<T> known = kept.get(context);
        if (known != null && known.secret().equals(secret.get())) {
            return known.keys();
        }
        Optional<T> keys;
        try {
            keys = Optional.of(reader.read(secrets, context));
        } catch (final TlsKeyException bad) {
            LOG.warn("{}", bad.getMessage());
            keys = Optional.empty();
        }
        if (kept.size() >= KEPT_MAX) {
            kept.clear();
        }
        kept.put(context, new Kept<>(secret.get(), keys));
        return keys;
    }
}
