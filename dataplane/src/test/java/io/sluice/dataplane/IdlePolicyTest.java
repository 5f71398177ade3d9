package io.sluice.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.IdlePolicy.Step;
import io.sluice.dataplane.Lane.IdleMode;
import org.junit.jupiter.api.Test;

class IdlePolicyTest {
    private final IdlePolicy policy = new IdlePolicy(IdleMode.ADAPTIVE);
    private long nowNs = 1_000_000;

    @Test
    void sleepsAfterTwoMicrosecondsAtFirst() {
        assertThat(policy.idle(nowNs)).isEqualTo(Step.SPIN);
        assertThat(policy.idle(nowNs + 1_999)).isEqualTo(Step.SPIN);
        assertThat(policy.idle(nowNs + 2_000)).isEqualTo(Step.SLEEP);
    }

    @Test
    void spinsForFiftyMicrosecondsAfterAShorterPauseAndOffersItsProcessor() {
        pause(49_999);
        assertThat(policy.idle(nowNs)).isEqualTo(Step.SPIN);
        assertThat(policy.idle(nowNs + 2_000)).isEqualTo(Step.YIELD);
        assertThat(policy.idle(nowNs + 49_999)).isEqualTo(Step.YIELD);
        assertThat(policy.idle(nowNs + 50_000)).isEqualTo(Step.SLEEP);
    }

    @Test
    void eachLongerPauseHalvesTheSpinDownToTwoMicroseconds() {
        pause(10_000);
        for (final int spinNs : new int[] {50_000, 25_000, 12_500, 6_250, 3_125, 2_000, 2_000}) {
            assertThat(policy.idle(nowNs)).isEqualTo(Step.SPIN);
            assertThat(policy.idle(nowNs + spinNs - 1)).isNotEqualTo(Step.SLEEP);
            assertThat(policy.idle(nowNs + spinNs)).isEqualTo(Step.SLEEP);
            pause(50_000);
        }
    }

    @Test
    void sleepThatEndsWithoutWorkGoesOnAtOnce() {
        policy.idle(nowNs);
        assertThat(policy.idle(nowNs + 50_000_000)).isEqualTo(Step.SLEEP);
        assertThat(policy.idle(nowNs + 50_000_001)).isEqualTo(Step.SLEEP);
    }

    @Test
    void busyNeverSleeps() {
        final IdlePolicy busy = new IdlePolicy(IdleMode.BUSY);
        assertThat(busy.idle(nowNs)).isEqualTo(Step.SPIN);
        assertThat(busy.idle(nowNs + 1_000_000_000_000L)).isEqualTo(Step.SPIN);
    }

    /** Work after so long without. */
    @Test
    void sleepySleepsAtOnceHoweverShortThePauses() {
        final IdlePolicy sleepy = new IdlePolicy(IdleMode.SLEEPY);
        for (long ns = 1; ns < 100; ns++) {
            assertThat(sleepy.idle(ns)).isEqualTo(Step.SLEEP);
            sleepy.worked(ns);
        }
    }

    private void pause(final long ns) {
        policy.idle(nowNs);
        nowNs += ns;
        policy.worked(nowNs);
    }
}
