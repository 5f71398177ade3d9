package io.sluice.dataplane.port;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A cable between two ports: every frame of one leaves at the other, as it is. Runs on a thread of
 * its own until closed, and remembers what it has seen.
 */
final class Wire implements AutoCloseable {
    /** virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset. */
    private static final int GSO_TYPE = 1;

    private static final int GSO_SIZE = 4;

    private final AtomicBoolean running = new AtomicBoolean(true);
    private final Thread thread;
    final AtomicInteger longestFrame = new AtomicInteger();
    final AtomicInteger superFrames = new AtomicInteger();
    final AtomicInteger openChecksums = new AtomicInteger();
    final AtomicLong frames = new AtomicLong();
    final AtomicLong refused = new AtomicLong();
    final AtomicInteger fullestBatch = new AtomicInteger();

    Wire(final Port left, final Port right) {
        this.thread = Thread.ofPlatform().name("wire").start(() -> run(left, right));
    }

    private void run(final Port left, final Port right) {
        try (Arena arena = Arena.ofConfined()) {
            final PacketBatch batch = new PacketBatch(arena);
            while (running.get()) {
                if (carry(left, right, batch) + carry(right, left, batch) == 0) {
                    Thread.onSpinWait();
                }
            }
        }
    }

    private int carry(final Port from, final Port to, final PacketBatch batch) {
        batch.clear();
        final int received = from.receive(batch);
        final MemorySegment memory = batch.memory();
        for (int i = 0; i < batch.count(); i++) {
            final int offset = batch.offset(i);
            if (!to.send(memory, offset, batch.length(i))) {
                refused.incrementAndGet();
            }
            frames.incrementAndGet();
            longestFrame.accumulateAndGet(batch.length(i), Math::max);
            if ((memory.get(JAVA_BYTE, offset) & 1) != 0) {
                openChecksums.incrementAndGet();
            }
            if (memory.get(JAVA_BYTE, offset + GSO_TYPE) != 0
                    && memory.get(JAVA_SHORT_UNALIGNED, offset + GSO_SIZE) != 0) {
                superFrames.incrementAndGet();
            }
        }
        to.flush();
        fullestBatch.accumulateAndGet(batch.count(), Math::max);
        return Math.max(received, 0);
    }

    @Override
    public void close() {
        running.set(false);
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (final InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
