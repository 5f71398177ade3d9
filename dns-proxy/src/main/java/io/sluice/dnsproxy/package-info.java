/** DNS proxy and FQDN cache. Empty so far: rules that name domains allow nothing. */
@NullMarked
package io.sluice.dnsproxy;

import org.jspecify.annotations.NullMarked;
