package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

// Well below the 30 s that a request waits: an answer that never comes would take that long.
@Timeout(20)
class ControlThreadTest {
    private final BlockingQueue<Error> failures = new LinkedBlockingQueue<>();
    private final ControlThread thread = new ControlThread(failures::add);

    @AfterEach
    void stop() {
        thread.close();
    }

    @Test
    void anErrorIsAnsweredAtOnceAndToldAndTheThreadGoesOnForTheStop() throws Exception {
        final StackOverflowError error = new StackOverflowError("for this test");
        final Callable<Integer> failing =
                () -> {
                    throw error;
                };

        assertThatThrownBy(() -> thread.call(failing)).hasCause(error);

        assertThat(failures.take()).isSameAs(error);
        assertThat(thread.<Integer>callUnlimited(() -> 1)).isEqualTo(1);
    }

    @Test
    void anExceptionFailsItsTaskAlone() {
        final Callable<Integer> failing =
                () -> {
                    throw new IllegalStateException("for this test");
                };

        assertThatThrownBy(() -> thread.call(failing)).hasMessageContaining("for this test");

        assertThat(thread.<Integer>call(() -> 1)).isEqualTo(1);
        assertThat(failures).isEmpty();
    }
}
