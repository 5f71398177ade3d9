package io.sluice.control.policy.recommend;

import io.sluice.control.policy.replay.SeenTraffic;
import java.util.List;

/**
 * Drafted policies. The same for the same flows, in whatever order they came.
 *
 * @param text manifests, YAML with comments; empty where nothing was drafted
 * @param policies how many
 * @param used the flows that they are for: every one of them is meant to pass
 * @param warnings what could not be expressed, and what needs a look
 */
public record Recommendation(
        String text, int policies, List<SeenTraffic> used, List<String> warnings) {}
