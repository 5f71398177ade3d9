/**
 * Transparent proxy for flows whose verdict depends on requests. Empty so far: such rules allow
 * nothing.
 */
@NullMarked
package io.sluice.l7proxy;

import org.jspecify.annotations.NullMarked;
