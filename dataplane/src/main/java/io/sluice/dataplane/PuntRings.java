package io.sluice.dataplane;

import java.util.List;

/**
 * The DNS agent's side of the punt rings of all lanes.
 *
 * <p>Thread: the DNS agent's.
 */
public final class PuntRings {
    private final List<PuntRing> rings;

    /**
     * @param rings of the lanes, at least one
     */
    public PuntRings(final List<PuntRing> rings) {
        this.rings = List.copyOf(rings);
    }

    /** See {@link PuntRing#onWake}; any lane may call it. */
    public void onWake(final Runnable wake) {
        rings.forEach(ring -> ring.onWake(wake));
    }

    /** See {@link PuntRing#setAgentSleeps}. */
    public void setAgentSleeps(final boolean sleeps) {
        for (int i = 0; i < rings.size(); i++) {
            rings.get(i).setAgentSleeps(sleeps);
        }
    }

    /** Whether no lane has something for the agent. */
    public boolean isEmpty() {
        for (int i = 0; i < rings.size(); i++) {
            if (!rings.get(i).isEmpty()) {
                return false;
            }
        }
        return true;
    }

    /**
     * Hands over punts, in the order they came from each lane; how many.
     *
     * @param limitPerLane of one lane at most
     */
    public int poll(final PuntRing.Handler handler, final int limitPerLane) {
        int count = 0;
        for (int i = 0; i < rings.size(); i++) {
            count += rings.get(i).poll(handler, limitPerLane);
        }
        return count;
    }

    /** See {@link PuntRing#giveBack}. */
    public boolean giveBack(
            final Punt punt, final PuntRing.Step step, final DropReason reason, final byte[] data) {
        return punt.ring().giveBack(punt, step, reason, data);
    }

    /** Wakes each lane that sleeps and was given something back. */
    public void wakeLanes() {
        for (int i = 0; i < rings.size(); i++) {
            rings.get(i).wakeLane();
        }
    }
}
