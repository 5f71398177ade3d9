/** Orderings that the code claims, checked with jcstress: {@code scripts/stress}. */
@NullMarked
package io.sluice.perf.stress;

import org.jspecify.annotations.NullMarked;
