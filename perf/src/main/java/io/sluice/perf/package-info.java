/** Benchmarks. They measure; nothing depends on them, and none of them fails a build. */
@NullMarked
package io.sluice.perf;

import org.jspecify.annotations.NullMarked;
