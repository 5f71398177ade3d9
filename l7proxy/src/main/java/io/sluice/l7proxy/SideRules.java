package io.sluice.l7proxy;

import java.util.List;

/**
 * What one side of a flow asks of its requests: the first stage that lets a request pass decides,
 * else the end does. Immutable.
 *
 * @param isAudited a denial is reported, and the request passes
 * @param stages in order
 * @param isAllowedOtherwise whether a request passes that no stage lets pass
 * @param otherwiseBy policy and rule that decide this, for reports; may be empty
 */
public record SideRules(
        boolean isAudited, List<RuleStage> stages, boolean isAllowedOtherwise, String otherwiseBy) {
    /** A side that asks nothing, such as one outside the switch. */
    public static final SideRules ALLOW_ALL = new SideRules(false, List.of(), true, "");

    public SideRules {
        stages = List.copyOf(stages);
    }
}
