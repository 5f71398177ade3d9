/**
 * HTTP/2 through the proxy, and gRPC on it. Read {@link io.sluice.l7proxy.http2.Http2Conversation}
 * first: a stream's way, in the order it happens.
 */
@NullMarked
package io.sluice.l7proxy.http2;

import org.jspecify.annotations.NullMarked;
