/**
 * What a fuzzer calls: one class for each reader of text that someone else wrote.
 *
 * <p>A target throws where the reader breaks a promise; texts that are refused as the reader
 * documents it are no finding. Targets know no fuzzer: {@code SeedsTest} runs them over their
 * seeds, {@code scripts/fuzz} under Jazzer, which calls {@code fuzzerTestOneInput}.
 */
@NullMarked
package io.sluice.fuzz;

import org.jspecify.annotations.NullMarked;
