/**
 * Transparent proxy for flows whose verdict depends on requests. Only their rules so far: they
 * allow nothing.
 */
@NullMarked
package io.sluice.l7proxy;

import org.jspecify.annotations.NullMarked;
