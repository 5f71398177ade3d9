package io.sluice.dataplane;

import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.port.Port;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A port that makes its frames as they are received, from one IPv4 frame whose source address and
 * transport ports are counted on, and only counts what it is sent: millions of packets without an
 * object for each, so that a test can see what the switch allocates.
 *
 * <p>The transport's checksum is left as it was: a switch does not look at it.
 */
final class FramePattern implements Port {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final int IP = PacketBatch.VNET_HEADER_BYTES + 14;
    private static final int IP_BYTES = 20;
    private static final int IP_CHECKSUM = IP + 10;
    private static final int SOURCE = IP + 12;
    private static final int SOURCE_PORT = IP + IP_BYTES;
    private static final int DESTINATION_PORT = SOURCE_PORT + 2;

    /** Which of a frame's fields tells its number. */
    enum Varies {
        /** The source address from that of the template on: each frame is another host's. */
        SOURCE_ADDRESS,
        /** The source port in its lower 8 bits and the destination port in the upper ones. */
        PORTS,
        /** The same, of the opposite direction. */
        PORTS_OF_REPLY
    }

    private final String name;
    private final MemorySegment template;
    private final Varies varies;
    private int next;
    private int left;
    private long sentCount;

    /**
     * @param ethernet the template, IPv4 without options
     */
    FramePattern(final String name, final byte[] ethernet, final Varies varies) {
        this.name = name;
        this.varies = varies;
        final byte[] frame = new byte[PacketBatch.VNET_HEADER_BYTES + ethernet.length];
        System.arraycopy(ethernet, 0, frame, PacketBatch.VNET_HEADER_BYTES, ethernet.length);
        template = MemorySegment.ofArray(frame);
    }

    /** Lets frames of these numbers arrive. */
    void offer(final int first, final int count) {
        next = first;
        left = count;
    }

    /** The same for TCP segments of other flags. */
    void offer(final int first, final int count, final int tcpFlags) {
        template.set(ValueLayout.JAVA_BYTE, SOURCE_PORT + 13, (byte) tcpFlags);
        offer(first, count);
    }

    /** Frames that the port was sent. */
    long sentCount() {
        return sentCount;
    }

    @Override
    public int receive(final PacketBatch batch) {
        int received = 0;
        while (left > 0 && batch.hasRoom()) {
            final MemorySegment memory = batch.memory();
            final long at = batch.nextOffset();
            MemorySegment.copy(template, 0, memory, at, template.byteSize());
            number(memory, at, next);
            batch.add((int) template.byteSize());
            next++;
            left--;
            received++;
        }
        return received;
    }

    private void number(final MemorySegment memory, final long at, final int number) {
        switch (varies) {
            case SOURCE_ADDRESS -> {
                memory.set(INT, at + SOURCE, memory.get(INT, at + SOURCE) + number);
                memory.set(SHORT, at + IP_CHECKSUM, (short) 0);
                int sum = 0;
                for (int i = 0; i < IP_BYTES; i += 2) {
                    sum += memory.get(SHORT, at + IP + i) & 0xffff;
                }
                sum = (sum & 0xffff) + (sum >>> 16);
                memory.set(SHORT, at + IP_CHECKSUM, (short) ~(sum + (sum >>> 16)));
            }
            case PORTS -> ports(memory, at, SOURCE_PORT, DESTINATION_PORT, number);
            case PORTS_OF_REPLY -> ports(memory, at, DESTINATION_PORT, SOURCE_PORT, number);
        }
    }

    private static void ports(
            final MemorySegment memory,
            final long at,
            final int ofInitiator,
            final int ofResponder,
            final int number) {
        memory.set(SHORT, at + ofInitiator, (short) (1024 + (number & 0xff)));
        memory.set(SHORT, at + ofResponder, (short) (1024 + (number >>> 8)));
    }

    @Override
    public boolean send(final MemorySegment memory, final long offset, final int length) {
        sentCount++;
        return true;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int mtu() {
        return 65_521;
    }

    @Override
    public int pollFd() {
        return -1;
    }

    @Override
    public void close() {}
}
