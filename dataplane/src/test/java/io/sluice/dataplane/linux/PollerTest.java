package io.sluice.dataplane.linux;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
final class PollerTest {
    private static final int FOR_EVER = -1;

    @Test
    void wakeUpBeforeTheWaitEndsThatWaitAndOnlyThat() {
        try (Poller poller = new Poller()) {
            poller.wake();
            poller.wake();
            assertThat(poller.await(FOR_EVER)).isZero();
            assertThat(poller.await(0)).isZero();
        }
    }

    @Test
    void wakeUpFromAnotherThreadEndsTheWait() throws InterruptedException {
        try (Poller poller = new Poller()) {
            final Thread other = Thread.ofPlatform().start(poller::wake);
            assertThat(poller.await(FOR_EVER)).isZero();
            other.join();
        }
    }

    @Test
    void readyDescriptorIsNamedUntilItIsDrained() {
        try (Poller poller = new Poller();
                EventFd quiet = new EventFd();
                EventFd loud = new EventFd()) {
            poller.watch(quiet.fd(), -1, loud.fd());
            assertThat(poller.await(0)).isZero();
            loud.signal();
            assertThat(poller.await(FOR_EVER)).isEqualTo(1);
            assertThat(poller.isReady(0)).isFalse();
            assertThat(poller.isReady(1)).isFalse();
            assertThat(poller.isReady(2)).isTrue();
            loud.drain();
            assertThat(poller.await(0)).isZero();
        }
    }

    @Test
    void lookSeesTheFirstDescriptorsAndLeavesAWakeUpAlone() {
        try (Poller poller = new Poller();
                EventFd first = new EventFd();
                EventFd second = new EventFd()) {
            poller.watch(first.fd(), second.fd());
            first.signal();
            second.signal();
            poller.wake();
            poller.look(1);
            assertThat(poller.isReady(0)).isTrue();
            assertThat(poller.isReady(1)).isFalse();
            poller.look(2);
            assertThat(poller.isReady(1)).isTrue();
            first.drain();
            second.drain();
            assertThat(poller.await(FOR_EVER)).as("the wake-up").isZero();
        }
    }

    @Test
    void wakeUpSurvivesThatThePortsChange() {
        try (Poller poller = new Poller();
                EventFd port = new EventFd()) {
            poller.wake();
            poller.watch(port.fd());
            port.signal();
            assertThat(poller.await(FOR_EVER)).isEqualTo(1);
            poller.watch();
            assertThat(poller.await(0)).isZero();
        }
    }
}
