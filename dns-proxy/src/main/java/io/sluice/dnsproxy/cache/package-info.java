/** Which names stand for which addresses, as answers said. */
@NullMarked
package io.sluice.dnsproxy.cache;

import org.jspecify.annotations.NullMarked;
