package io.sluice.control.policy;

import java.util.List;

/**
 * One rule of any kind of policy, in the form the compiler takes.
 *
 * @param peers whom it is about
 * @param ports which of their packets; empty means all
 * @param entry what happens to these
 */
record PolicyRule(PeerMatch peers, List<PortMatch> ports, PolicyEntry entry) {
    boolean hasNamedPorts() {
        for (final PortMatch port : ports) {
            if (port instanceof PortMatch.Named) {
                return true;
            }
        }
        return false;
    }

    /**
     * Order inside the additive group, lowest first. An explicit deny beats every allow. A peer
     * that must authenticate is not let in by a rule that does not ask it to (Cilium derives the
     * stricter demand). What a proxy would have to decide is denied only where no rule allows all
     * of it: with a proxy an L4 allow beside L7 rules lets everything pass as well.
     */
    int precedence() {
        return switch (entry.reason()) {
            case POLICY_DENY -> 0;
            case AUTH_REQUIRED -> 1;
            case NONE, POLICY_DENIED -> 2;
            case L7_NOT_ENFORCEABLE -> 3;
        };
    }
}
