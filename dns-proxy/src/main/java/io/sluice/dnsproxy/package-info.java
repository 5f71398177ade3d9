/** DNS proxy and FQDN cache. Only their rules so far: what names domains allows nothing. */
@NullMarked
package io.sluice.dnsproxy;

import org.jspecify.annotations.NullMarked;
