package io.sluice.conntrack;

import static io.sluice.conntrack.FlowSlot.INT_HANDLE;
import static io.sluice.conntrack.FlowSlot.LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.function.Consumer;

/**
 * A walk over all flows by a thread that owns none of them.
 *
 * <p>Reads through the segment with checks, so that a table which is closed meanwhile is an
 * exception here, not a crash. Flows do not move, and each occupied slot is copied between two
 * equal even sequence numbers: a snapshot is of one moment.
 *
 * <p>Thread: one, any.
 */
final class FlowListing {
    private final FlowTable table;
    private final MemorySegment memory;
    private final long nowNs;
    private final FlowCopy flow = new FlowCopy();

    FlowListing(final FlowTable table, final long nowNs) {
        this.table = table;
        this.memory = table.checkedMemory();
        this.nowNs = nowNs;
    }

    void forEach(final Consumer<FlowSnapshot> sink) {
        forEach(table.ipv4, sink);
        forEach(table.ipv6, sink);
    }

    private void forEach(final FlowRegion region, final Consumer<FlowSnapshot> sink) {
        final MemorySegment occupancy = table.checkedMemory();
        final long base = region.occupancy() - occupancy.address();
        final long hotWords = (region.hotOf(1) - region.hotOf(0)) / Long.BYTES;
        final long[] hot = new long[(int) hotWords];
        final long[] cold = new long[FlowSlot.COLD_WORDS];
        for (int first = 0; first < region.slotCount; first += Long.SIZE) {
            // Acquire: who sees the bit sees at least the claim; the key says whether a flow is
            // there.
            long word = (long) FlowSlot.LONG_HANDLE.getAcquire(occupancy, base + first / Byte.SIZE);
            for (; word != 0; word &= word - 1) {
                final int slot = first + Long.numberOfTrailingZeros(word);
                copy(region, slot, hot, cold);
                final long key = hot[(int) FlowSlot.KEY / Long.BYTES];
                final long deadlineNs = hot[(int) FlowSlot.DEADLINE / Long.BYTES];
                if ((key & FlowSlot.KEY_OCCUPIED) != 0 && deadlineNs - nowNs > 0) {
                    sink.accept(snapshot(region.isIpv4, hot, cold));
                }
            }
        }
    }

    /** Copies a slot as it was at one moment. Waits while a lane is writing it. */
    private void copy(
            final FlowRegion region, final int slot, final long[] hot, final long[] cold) {
        final long hotAt = region.hotOf(slot) - memory.address();
        final long coldAt = region.coldOf(slot) - memory.address();
        while (true) {
            final int before = (int) INT_HANDLE.getAcquire(memory, hotAt + FlowSlot.SEQUENCE);
            if ((before & 1) == 0) {
                MemorySegment.copy(memory, LONG, hotAt, hot, 0, hot.length);
                MemorySegment.copy(memory, LONG, coldAt, cold, 0, cold.length);
                // The copy is complete before the number is read again.
                VarHandle.loadLoadFence();
                if ((int) INT_HANDLE.getOpaque(memory, hotAt + FlowSlot.SEQUENCE) == before) {
                    return;
                }
            }
            // A write is a dozen stores; only a lane that lost its core inside one lasts longer.
            Thread.onSpinWait();
        }
    }

    private FlowSnapshot snapshot(final boolean isIpv4, final long[] hot, final long[] cold) {
        flow.read(isIpv4, MemorySegment.ofArray(hot), 0, MemorySegment.ofArray(cold), 0);
        return new FlowSnapshot(
                flow.tuple.protocol,
                flow.tuple.sourceHigh,
                flow.tuple.sourceLow,
                flow.tuple.sourcePort,
                flow.tuple.destinationHigh,
                flow.tuple.destinationLow,
                flow.tuple.destinationPort,
                flow.state,
                flow.verdict,
                flow.dropReason,
                flow.proxyPort,
                flow.policyRevision,
                flow.initiatorPort,
                flow.responderPort,
                flow.initiatorIdentity,
                flow.responderIdentity,
                flow.initiatorPackets,
                flow.initiatorBytes,
                flow.responderPackets,
                flow.responderBytes,
                nowNs - flow.createdNs,
                flow.deadlineNs - nowNs);
    }
}
