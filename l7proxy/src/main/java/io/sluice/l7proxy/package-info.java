/**
 * Transparent proxy for flows whose verdict depends on requests.
 *
 * <p>{@link io.sluice.l7proxy.ProxyServer} accepts, {@link io.sluice.l7proxy.Link} joins client and
 * server, a {@link io.sluice.l7proxy.Protocol} reads what passes. A protocol is a package of its
 * own ({@code http}, {@code tls}); this one knows none of them.
 *
 * <p>What the proxy must be told comes through {@link io.sluice.l7proxy.OriginalDestination} and
 * {@link io.sluice.l7proxy.FlowPolicy}; what it saw leaves through {@link io.sluice.l7proxy.L7Sink}
 * and {@link io.sluice.l7proxy.ProxyCounters}.
 */
@NullMarked
package io.sluice.l7proxy;

import org.jspecify.annotations.NullMarked;
