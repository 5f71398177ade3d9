/**
 * Drafts of policies from traffic that was seen: read {@link
 * io.sluice.control.policy.recommend.PolicyRecommender} first.
 */
@NullMarked
package io.sluice.control.policy.recommend;

import org.jspecify.annotations.NullMarked;
