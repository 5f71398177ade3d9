package io.sluice.dataplane;

import io.sluice.dataplane.Lane.IdleMode;

/**
 * What a lane does in turns without work: looks again, or sleeps.
 *
 * <p>Theory of operation. A sleep costs a wake-up: some 30 us until the lane runs again, on a
 * virtual machine, and as long for whoever it then wakes. Spinning costs the processor. Which is
 * dearer depends on how soon the next packet comes, and the last pause is the best guess that there
 * is (the kernel polls for its virtual machines by the same rule, virt/kvm/kvm_main.c,
 * grow_halt_poll_ns). So a pause that was shorter than the mode's longest spin lets the lane spin
 * for so long in the next; each longer one halves that, down to the mode's shortest. A lane that is
 * asked and answered without a pause stays awake; one that is seldom asked sleeps after 2 us.
 *
 * <p>Past the shortest spin the lane offers its processor to others after each look: on a machine
 * that is full, pods go first.
 *
 * <p>States: working; idle since a time. Time is handed in.
 *
 * <p>Thread: the lane's.
 */
final class IdlePolicy {
    /** What to do before the next turn. */
    enum Step {
        /** Turn again. */
        SPIN,
        /** Turn again, after others who want the processor. */
        YIELD,
        /** Sleep until there is something. */
        SLEEP
    }

    private final IdleMode mode;
    private long spinNs;
    private boolean isIdle;
    private long idleSinceNs;

    IdlePolicy(final IdleMode mode) {
        this.mode = mode;
        this.spinNs = mode.spinNsMin();
    }

    /** The turn that began now had work. */
    void worked(final long nowNs) {
        if (isIdle) {
            isIdle = false;
            spinNs =
                    nowNs - idleSinceNs < mode.spinNsMax()
                            ? mode.spinNsMax()
                            : Math.max(mode.spinNsMin(), spinNs / 2);
        }
    }

    /** The turn that began now had no work. */
    Step idle(final long nowNs) {
        if (!isIdle) {
            isIdle = true;
            idleSinceNs = nowNs;
        }
        final long idleNs = nowNs - idleSinceNs;
        if (idleNs >= spinNs) {
            return Step.SLEEP;
        }
        return idleNs < mode.spinNsMin() ? Step.SPIN : Step.YIELD;
    }
}
