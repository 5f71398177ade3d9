package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class WorldTest {
    @Test
    void theEmptyWorldHasNotChangedSinceItself() {
        assertThat(World.EMPTY.changedSince(World.EMPTY)).isEmpty();
    }
}
