/** DNS messages as bytes: the only place of this module that knows offsets (RFC 1035 section 4). */
@NullMarked
package io.sluice.dnsproxy.wire;

import org.jspecify.annotations.NullMarked;
