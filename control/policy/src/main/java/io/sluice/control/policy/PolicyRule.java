package io.sluice.control.policy;

import java.util.List;
import java.util.Optional;

/**
 * One rule of any kind of policy, in the form the compiler takes.
 *
 * @param peers whom it is about
 * @param local which of the endpoint's own addresses it is about; nearly always {@link
 *     PeerMatch#EVERYONE}
 * @param traffic which of their packets; empty means all
 * @param effect what happens to these
 * @param l7 what their requests must be, on ALLOW
 * @param by where it stands
 */
record PolicyRule(
        PeerMatch peers,
        PeerMatch local,
        List<Traffic> traffic,
        Effect effect,
        Optional<L7Rules> l7,
        Author by) {
    /** What a rule does with the packets that it is about. */
    enum Effect {
        /** Lets them pass. */
        ALLOW,
        /** Drops them. */
        DENY,
        /** Lets them pass if the peer has authenticated, which no peer can yet: drops them. */
        AUTHENTICATE,
        /** Skips the rest of the tier. */
        PASS,
        /** Records them, and goes on. */
        LOG
    }

    static PolicyRule allow(final PeerMatch peers, final List<Traffic> traffic, final Author by) {
        return new PolicyRule(
                peers, PeerMatch.EVERYONE, traffic, Effect.ALLOW, Optional.empty(), by);
    }

    boolean hasNamedPorts() {
        for (final Traffic packets : traffic) {
            if (packets.hasNames()) {
                return true;
            }
        }
        return false;
    }

    /** The same rule for peers that also meet a condition. */
    PolicyRule when(final PeerMatch condition) {
        return new PolicyRule(
                PeerMatch.allOf(List.of(condition, peers)),
                PeerMatch.EVERYONE,
                traffic,
                effect,
                l7,
                by);
    }
}
