package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.dsl.Disruptor;
import com.lmax.disruptor.dsl.ProducerType;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class SleepUntilWokenTest {
    private static final int EVENTS = 20;

    private static final class Event {
        private long number;
    }

    private final AtomicReference<Thread> reader = new AtomicReference<>();
    private final AtomicLong read = new AtomicLong();
    private final Disruptor<Event> disruptor =
            new Disruptor<>(
                    Event::new,
                    1024,
                    task -> {
                        final Thread thread = Thread.ofPlatform().daemon().unstarted(task);
                        reader.set(thread);
                        return thread;
                    },
                    ProducerType.MULTI,
                    new SleepUntilWoken());
    private final RingBuffer<Event> ring = start();

    private RingBuffer<Event> start() {
        final EventHandler<Event> handler =
                (event, sequence, endOfBatch) -> read.addAndGet(event.number);
        disruptor.handleEventsWith(handler);
        return disruptor.start();
    }

    @AfterEach
    void end() {
        disruptor.shutdown();
    }

    /** WAITING is a sleep without a time-out: no timer wakes the thread. */
    private void awaitLongSleep() {
        while (reader.get().getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
    }

    private void publish(final long number) {
        final long sequence = ring.next();
        ring.get(sequence).number = number;
        ring.publish(sequence);
    }

    private void awaitRead(final long sum) {
        while (read.get() != sum) {
            Thread.onSpinWait();
        }
    }

    @Test
    void withoutEventsTheReaderSleepsForGoodAndEachEventWakesIt() {
        for (int i = 1; i <= EVENTS; i++) {
            awaitLongSleep();
            publish(1);
            awaitRead(i);
        }
        assertThat(read.get()).isEqualTo(EVENTS);
    }

    @Test
    void noEventOfTwoWritersIsMissedHoweverTheyMeetTheSleep() throws Exception {
        final int rounds = 20_000;
        final Runnable writer =
                () -> {
                    for (int i = 0; i < rounds; i++) {
                        publish(1);
                    }
                };
        awaitLongSleep();
        final Thread first = Thread.ofPlatform().start(writer);
        final Thread second = Thread.ofPlatform().start(writer);
        first.join();
        second.join();

        awaitRead(2L * rounds);
        awaitLongSleep();
        publish(5);
        awaitRead(2L * rounds + 5);
    }

    @Test
    void aSleepingReaderHearsOfTheEnd() throws Exception {
        awaitLongSleep();
        disruptor.halt();
        reader.get().join();

        assertThat(reader.get().isAlive()).isFalse();
    }
}
