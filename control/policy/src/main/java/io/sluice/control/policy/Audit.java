package io.sluice.control.policy;

import java.util.Locale;
import java.util.Map;

/**
 * Which objects are audited: policy about them, or by them, is computed and reported, and the
 * packets go on.
 *
 * <p>Thread: any.
 */
public final class Audit {
    /** On a policy: Cilium's word for it. */
    static final String CILIUM_POLICY = "policy.cilium.io/audit-mode";

    /** On a Namespace: every endpoint in it. */
    static final String CALICO_NAMESPACE = "projectcalico.org/policy-audit-mode";

    /** On a policy, a Pod or a Namespace: Sluice's own. */
    public static final String SLUICE = "sluice.io/audit";

    private Audit() {}

    static boolean isAudited(final ObjectMeta meta) {
        return isAudited(meta.annotations());
    }

    /** Whether annotations of an object say that it is audited. */
    public static boolean isAudited(final Map<String, String> annotations) {
        return !annotations.isEmpty()
                && (isOn(annotations, CILIUM_POLICY)
                        || isOn(annotations, CALICO_NAMESPACE)
                        || isOn(annotations, SLUICE));
    }

    private static boolean isOn(final Map<String, String> annotations, final String key) {
        return switch (annotations.getOrDefault(key, "").toLowerCase(Locale.ROOT)) {
            case "true", "on", "enabled", "yes" -> true;
            default -> false;
        };
    }
}
