/**
 * HTTP/1.1 through the proxy. Read {@link io.sluice.l7proxy.http.HttpConversation} first: a
 * request's way, in the order it happens.
 */
@NullMarked
package io.sluice.l7proxy.http;

import org.jspecify.annotations.NullMarked;
