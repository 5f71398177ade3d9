/**
 * Pitfalls of policies that are right as text: read {@link
 * io.sluice.control.policy.lint.PolicyLint} first.
 */
@NullMarked
package io.sluice.control.policy.lint;

import org.jspecify.annotations.NullMarked;
