/**
 * Traffic that was seen, asked of another policy: read {@link
 * io.sluice.control.policy.replay.FlowReplay} first.
 */
@NullMarked
package io.sluice.control.policy.replay;

import org.jspecify.annotations.NullMarked;
