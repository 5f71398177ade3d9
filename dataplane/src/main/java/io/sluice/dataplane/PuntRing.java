package io.sluice.dataplane;

import io.sluice.dataplane.wire.Udp;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import org.agrona.BitUtil;
import org.agrona.BufferUtil;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.MessageHandler;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.ringbuffer.OneToOneRingBuffer;
import org.agrona.concurrent.ringbuffer.RingBuffer;
import org.agrona.concurrent.ringbuffer.RingBufferDescriptor;

/**
 * The way of a datagram from the lane to the DNS agent and back.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A flow that a policy redirects to the DNS listener is never forwarded as it comes: each of its
 * datagrams, queries and answers, is copied into the ring to the agent, and the lane goes on. The
 * agent hands every one back exactly once, with what is to become of it ({@link Step}), and the
 * lane does that between two batches: it looks the flow up again, so that a policy that changed
 * meanwhile has its say, and sends the very bytes that came, or the agent's in their place.
 *
 * <p>Two rings, because each has one writer and one reader, and neither side ever waits for the
 * other while it owns something the other needs: the lane drops a datagram that finds the ring full
 * ({@link DropReason#DNS_RING_FULL}), the agent tries again until the lane has made room.
 *
 * <p>Wake-ups cost a system call and, where both sides share a processor, a switch to the other
 * side. So each side is woken only if it sleeps, and once for all that it was given: the agent
 * after a batch of the lane, the lane after a turn of the agent. Who is about to sleep announces it
 * and looks into its ring once more; who has put something in looks at the announcement afterwards.
 * One of the two sees the other.
 *
 * <p>Bound: {@link #RING_BYTES} each way. A query is some 200 bytes with its header: 20,000 of
 * them, a burst of 100 ms at 200,000 a second. An answer that is held is the agent's, not the
 * ring's.
 *
 * <p>Each lane has such a pair of rings; {@link PuntRings} is the agent's view of all of them. What
 * came from a lane goes back to it, as the port it came from is that lane's part.
 *
 * <p>Conservation: what is in the rings or held is {@code punted - returned} of {@link
 * LaneCounters}.
 *
 * <p>Thread: {@link #offer}, {@link #wakeAgent}, {@link #takeReturned} and {@link #setLaneSleeps}
 * the lane; {@link #poll}, {@link #giveBack}, {@link #wakeLane} and {@link #setAgentSleeps} the DNS
 * agent.
 */
public final class PuntRing {
    /** What becomes of a punted datagram. */
    public enum Step {
        /** The same frame goes on to where its flow leads. */
        RELEASE(0),
        /** A frame with other data goes on in its place. */
        REPLACE(1),
        /** A frame with other data goes back to the sender: the switch has answered. */
        ANSWER(2),
        /** It is dropped. */
        DROP(3);

        /** The constants by {@link #code}. */
        private static final Step[] BY_CODE = values();

        /** What the ring holds for the constant: its place in this list. */
        private final int code;

        Step(final int code) {
            this.code = code;
        }
    }

    /** What the agent does with a punt. */
    @FunctionalInterface
    public interface Handler {
        /** Takes a punt, which is to be given back. */
        void onPunt(Punt punt);
    }

    /** What the lane does with one that comes back. */
    interface Returns {
        /**
         * A punt that has come back.
         *
         * @param frame buffer in which frame and data lie, valid during the call
         */
        void onReturned(
                Step step,
                DropReason reason,
                int inPort,
                MemorySegment frame,
                long frameOffset,
                int frameBytes,
                long dataOffset,
                int dataBytes);
    }

    /** Bytes of each ring; a power of two (Agrona). */
    public static final int RING_BYTES = 1 << 22;

    /** Datagrams that the lane takes back per turn, so that a burst cannot hold up packets. */
    static final int RETURNS_PER_TURN = 64;

    private static final int MESSAGE = 1;

    // To the agent.
    private static final int INITIATOR_HIGH = 0;
    private static final int INITIATOR_LOW = 8;
    private static final int RESPONDER_HIGH = 16;
    private static final int RESPONDER_LOW = 24;
    private static final int INITIATOR_PORT = 32;
    private static final int RESPONDER_PORT = 36;
    private static final int WAY = 40;
    private static final int IN_PORT = 44;
    private static final int DATA_OFFSET = 48;
    private static final int DATA_LENGTH = 52;
    private static final int FRAME = 56;

    // To the lane.
    private static final int STEP = 0;
    private static final int REASON = 4;
    private static final int RETURN_PORT = 8;
    private static final int FRAME_LENGTH = 12;
    private static final int RETURNED = 16;

    // Not arrays: a JVM need not align their longs, which both sides change atomically.
    private final ByteBuffer outMemory = ringMemory();
    private final ByteBuffer backMemory = ringMemory();
    private final MemorySegment outSegment = MemorySegment.ofBuffer(outMemory);
    private final MemorySegment backSegment = MemorySegment.ofBuffer(backMemory);
    private final RingBuffer out = new OneToOneRingBuffer(new UnsafeBuffer(outMemory));
    private final RingBuffer back = new OneToOneRingBuffer(new UnsafeBuffer(backMemory));
    private final Runnable laneWaker;
    private volatile Runnable agentWaker = () -> {};

    // Written by who sleeps, before and after, and by who wakes it, so that it is woken once.
    private volatile boolean agentSleeps;
    private volatile boolean laneSleeps;

    /** Offers since the agent was looked after; the lane's. */
    private boolean offered;

    /** Returns since the lane was looked after; the agent's. */
    private boolean gaveBack;

    /**
     * @param laneWaker ends the lane's sleep
     */
    PuntRing(final Runnable laneWaker) {
        this.laneWaker = laneWaker;
    }

    private static ByteBuffer ringMemory() {
        return BufferUtil.allocateDirectAligned(
                RING_BYTES + RingBufferDescriptor.TRAILER_LENGTH, BitUtil.CACHE_LINE_LENGTH);
    }

    // The lane's side.

    /**
     * Copies a datagram into the ring; {@link #wakeAgent} is to follow.
     *
     * @param packet parsed, UDP, whole
     * @return whether there was room
     */
    boolean offer(final Packet packet, final Punt.Way way) {
        final int index = out.tryClaim(MESSAGE, FRAME + packet.length);
        if (index < 0) {
            return false;
        }
        final var buffer = out.buffer();
        final boolean isQuery = way == Punt.Way.TO_RESPONDER;
        final var tuple = packet.tuple;
        buffer.putLong(index + INITIATOR_HIGH, isQuery ? tuple.sourceHigh : tuple.destinationHigh);
        buffer.putLong(index + INITIATOR_LOW, isQuery ? tuple.sourceLow : tuple.destinationLow);
        buffer.putLong(index + RESPONDER_HIGH, isQuery ? tuple.destinationHigh : tuple.sourceHigh);
        buffer.putLong(index + RESPONDER_LOW, isQuery ? tuple.destinationLow : tuple.sourceLow);
        buffer.putInt(index + INITIATOR_PORT, isQuery ? tuple.sourcePort : tuple.destinationPort);
        buffer.putInt(index + RESPONDER_PORT, isQuery ? tuple.destinationPort : tuple.sourcePort);
        buffer.putInt(index + WAY, isQuery ? 1 : 0);
        buffer.putInt(index + IN_PORT, packet.inPort);
        buffer.putInt(index + DATA_OFFSET, packet.l4 - packet.start + Udp.BYTES);
        buffer.putInt(index + DATA_LENGTH, Udp.length(packet.memory(), packet.l4) - Udp.BYTES);
        MemorySegment.copy(packet.memory(), packet.start, outSegment, index + FRAME, packet.length);
        out.commit(index);
        offered = true;
        return true;
    }

    /** Wakes the agent if it sleeps and something was offered. */
    void wakeAgent() {
        if (!offered) {
            return;
        }
        offered = false;
        // Either the agent's last look sees the commits, or this look sees that it sleeps.
        VarHandle.fullFence();
        if (agentSleeps) {
            agentSleeps = false;
            agentWaker.run();
        }
    }

    /** Announces that the lane is about to sleep, or is awake again; as {@link #setAgentSleeps}. */
    void setLaneSleeps(final boolean sleeps) {
        laneSleeps = sleeps;
    }

    /** Whether something waits for the lane. */
    boolean hasReturned() {
        return back.size() > 0;
    }

    /** Made once, so that a turn allocates nothing. */
    MessageHandler handlerOf(final Returns returns) {
        return (type, buffer, index, length) -> onMessage(returns, buffer, index, length);
    }

    /**
     * Hands over what has come back; how many.
     *
     * @param handler of {@link #handlerOf}
     */
    int takeReturned(final MessageHandler handler) {
        return back.read(handler, RETURNS_PER_TURN);
    }

    private void onMessage(
            final Returns returns,
            final MutableDirectBuffer buffer,
            final int index,
            final int length) {
        final int frameBytes = buffer.getInt(index + FRAME_LENGTH);
        returns.onReturned(
                Step.BY_CODE[buffer.getInt(index + STEP)],
                DropReason.ofCode(buffer.getInt(index + REASON)),
                buffer.getInt(index + RETURN_PORT),
                backSegment,
                index + RETURNED,
                frameBytes,
                (long) index + RETURNED + frameBytes,
                length - RETURNED - frameBytes);
    }

    // The agent's side.

    /**
     * Says how the agent is woken; once, before the lane runs.
     *
     * @param wake must not block
     */
    public void onWake(final Runnable wake) {
        agentWaker = wake;
    }

    /**
     * Announces that the agent is about to sleep, or is awake again. Look into the ring once more
     * between the announcement and the sleep: what came before it wakes nobody.
     */
    public void setAgentSleeps(final boolean sleeps) {
        agentSleeps = sleeps;
    }

    /** Whether nothing waits for the agent. */
    public boolean isEmpty() {
        return out.size() == 0;
    }

    /** Hands over punts, in the order they came; how many. */
    public int poll(final Handler handler, final int limit) {
        return out.read(
                (type, buffer, index, length) -> handler.onPunt(punt(buffer, index, length)),
                limit);
    }

    private Punt punt(final MutableDirectBuffer buffer, final int index, final int length) {
        final byte[] frame = new byte[length - FRAME];
        buffer.getBytes(index + FRAME, frame);
        return new Punt(
                this,
                buffer.getInt(index + WAY) == 1 ? Punt.Way.TO_RESPONDER : Punt.Way.TO_INITIATOR,
                buffer.getInt(index + IN_PORT),
                buffer.getLong(index + INITIATOR_HIGH),
                buffer.getLong(index + INITIATOR_LOW),
                buffer.getInt(index + INITIATOR_PORT),
                buffer.getLong(index + RESPONDER_HIGH),
                buffer.getLong(index + RESPONDER_LOW),
                buffer.getInt(index + RESPONDER_PORT),
                frame,
                buffer.getInt(index + DATA_OFFSET),
                buffer.getInt(index + DATA_LENGTH));
    }

    /**
     * Gives a punt back to the lane; {@link #wakeLane} is to follow.
     *
     * @param reason NONE but for DROP
     * @param data for REPLACE and ANSWER; else empty
     * @return whether there was room; if not, try again: the lane makes room by itself
     */
    public boolean giveBack(
            final Punt punt, final Step step, final DropReason reason, final byte[] data) {
        final byte[] frame = punt.frame();
        final int index = back.tryClaim(MESSAGE, RETURNED + frame.length + data.length);
        if (index < 0) {
            return false;
        }
        final var buffer = back.buffer();
        buffer.putInt(index + STEP, step.code);
        buffer.putInt(index + REASON, reason.code());
        buffer.putInt(index + RETURN_PORT, punt.inPort());
        buffer.putInt(index + FRAME_LENGTH, frame.length);
        MemorySegment.copy(
                frame,
                0,
                backSegment,
                ValueLayout.JAVA_BYTE,
                (long) index + RETURNED,
                frame.length);
        MemorySegment.copy(
                data,
                0,
                backSegment,
                ValueLayout.JAVA_BYTE,
                (long) index + RETURNED + frame.length,
                data.length);
        back.commit(index);
        gaveBack = true;
        return true;
    }

    /** Wakes the lane if it sleeps and something was given back. */
    public void wakeLane() {
        if (!gaveBack) {
            return;
        }
        gaveBack = false;
        // As in wakeAgent.
        VarHandle.fullFence();
        if (laneSleeps) {
            laneSleeps = false;
            laneWaker.run();
        }
    }
}
