/**
 * TLS that passes undecrypted: its server name is read from the ClientHello and judged. Read {@link
 * io.sluice.l7proxy.tls.TlsConversation} first.
 */
@NullMarked
package io.sluice.l7proxy.tls;

import org.jspecify.annotations.NullMarked;
