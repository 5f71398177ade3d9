package io.sluice.conntrack;

import static io.sluice.conntrack.FlowSlot.LONG;
import static io.sluice.conntrack.TableMemory.ALL;
import static io.sluice.conntrack.TableMemory.lineAddress;

/**
 * Whether a TCP segment fits what both sides have said so far.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Somebody off the path can forge addresses and guess ports, and so end other people's flows
 * with an RST or FIN. What he does not know is where the sequence numbers are. The table remembers
 * of each side: the end of what it has sent, the highest acknowledgment it has sent, and the
 * largest window it has offered (Guido van Rooij, "Real Stateful TCP Packet Filtering in IP
 * Filter", 2001, which the kernel's nf_conntrack_proto_tcp.c follows too). A segment is believed if
 * all of these hold:
 *
 * <ol>
 *   <li>it ends no farther than the other side's acknowledgment plus its largest window;
 *   <li>it begins no earlier than one such window before the end of what its sender has sent;
 *   <li>it acknowledges no more than the other side has sent;
 *   <li>and no less than that minus the largest window, 66,000 bytes at least.
 * </ol>
 *
 * <p>An RST must also begin no earlier than what the other side has acknowledged: it has to lie in
 * the window (RFC 9293 section 3.5.2), as the kernel asks. It need not be exactly the next number
 * expected, as RFC 5961 has it for receivers: between the two ends a switch may be behind what the
 * receiver knows. An RST that answers a SYN carries the acknowledgment of that SYN, and the
 * sequence 0.
 *
 * <p>A segment that is not believed passes nevertheless, and moves neither state nor windows nor
 * deadline: the receiver checks for itself. Dropping it would break connections of which the switch
 * has missed a packet.
 *
 * <p>A side that has not been seen constrains nothing. A connection picked up in the middle learns
 * both sides from its first segments; as it may have agreed on any scale, the largest is assumed
 * (14, RFC 7323 section 2.3). A scale counts only if both SYNs carried the option.
 *
 * <p>Works on the cold slot. Thread: who holds the slot's lock.
 */
final class TcpWindow {
    private static final int FIN = 0x01;
    private static final int SYN = 0x02;
    private static final int RST = 0x04;
    private static final int ACK = 0x10;

    /** Least distance that an old acknowledgment may have (kernel: MAXACKWINCONST). */
    private static final int OLD_ACK_BYTES_MIN = 66_000;

    private static final int SCALE_MAX = 14;

    // Offsets from WINDOWS in the cold slot: a word for each side (end of what it sent, its highest
    // acknowledgment), and a word of both for the rest.
    private static final long INITIATOR = FlowSlot.WINDOWS;
    private static final long RESPONDER = FlowSlot.WINDOWS + 8;
    private static final long COMMON = FlowSlot.WINDOWS + 16;

    // The word at COMMON: largest window of the initiator (16 bits), of the responder (16),
    // unscaled;
    // scale of each (4 and 4); then:
    private static final int RESPONDER_SHIFT = 16;
    private static final int SCALES_SHIFT = 32;
    private static final int RESPONDER_SCALE_SHIFT = 4;

    /** The initiator has been seen; shifted by one, the responder. */
    private static final long SEEN = 1L << 40;

    /** The initiator has acknowledged something; shifted by one, the responder. */
    private static final long HAS_ACKED = 1L << 42;

    /** The initiator's SYN carried a scale; shifted by one, the responder's. */
    private static final long HAS_SCALE = 1L << 44;

    private TcpWindow() {}

    /**
     * Judges a segment, and if it is believed learns from it.
     *
     * @param coldLine number of the line that is the flow's cold slot
     * @param fresh whether this packet opens the flow, or is another SYN of a side that had no
     *     answer: then its numbers hold, whatever was before
     * @return whether it is believed
     */
    static boolean accepts(
            final long coldLine,
            final boolean fromInitiator,
            final boolean fresh,
            final int tcpFlags,
            final TcpSegment segment) {
        final long cold = lineAddress(coldLine);
        final long ownAt = cold + (fromInitiator ? INITIATOR : RESPONDER);
        final long own = ALL.get(LONG, ownAt);
        final long other = ALL.get(LONG, cold + (fromInitiator ? RESPONDER : INITIATOR));
        long common = ALL.get(LONG, cold + COMMON);
        final int ownSide = fromInitiator ? 0 : 1;
        final int otherSide = 1 - ownSide;
        final boolean ownSeen = !fresh && (common & (SEEN << ownSide)) != 0;
        final boolean otherSeen = (common & (SEEN << otherSide)) != 0;
        final int begin = segment.sequence;
        final int end = begin + segment.payloadBytes + phantoms(tcpFlags);
        final boolean hasAck = (tcpFlags & ACK) != 0;

        if (!fresh
                && !fits(
                        common, own, other, ownSide, ownSeen, otherSeen, begin, end, hasAck,
                        tcpFlags, segment)) {
            return false;
        }
        if ((tcpFlags & RST) != 0) {
            return true;
        }
        if ((tcpFlags & SYN) != 0) {
            final boolean agreed = !otherSeen || (common & (HAS_SCALE << otherSide)) != 0;
            common = withScale(common, ownSide, agreed ? segment.windowScale : TcpSegment.NO_SCALE);
        } else if (fresh) {
            common |= (long) (SCALE_MAX << RESPONDER_SCALE_SHIFT | SCALE_MAX) << SCALES_SHIFT;
        }
        final int sent = ownSeen && before(end, end(own)) ? end(own) : end;
        int acked = acked(own);
        if (hasAck) {
            final boolean first = fresh || (common & (HAS_ACKED << ownSide)) == 0;
            acked = first || before(acked, segment.acknowledgment) ? segment.acknowledgment : acked;
            common |= HAS_ACKED << ownSide;
        }
        // The window of a SYN is not scaled (RFC 7323 section 2.2): rounded up to what is kept.
        final int scale = (tcpFlags & SYN) == 0 ? 0 : scale(common, ownSide);
        final int window = (segment.window + (1 << scale) - 1) >>> scale;
        common = withWindow(common, ownSide, window) | (SEEN << ownSide);
        ALL.set(LONG, ownAt, Integer.toUnsignedLong(sent) | ((long) acked << 32));
        ALL.set(LONG, cold + COMMON, common);
        return true;
    }

    private static boolean fits(
            final long common,
            final long own,
            final long other,
            final int ownSide,
            final boolean ownSeen,
            final boolean otherSeen,
            final int begin,
            final int end,
            final boolean hasAck,
            final int tcpFlags,
            final TcpSegment segment) {
        final int otherSide = 1 - ownSide;
        final boolean isRst = (tcpFlags & RST) != 0;
        if (isRst && hasAck && !ownSeen && otherSeen) {
            // The answer to a SYN: it knows what the SYN was.
            return segment.acknowledgment == end(other);
        }
        final boolean otherHasAcked = (common & (HAS_ACKED << otherSide)) != 0;
        final long otherWindow = window(common, otherSide);
        if (otherHasAcked) {
            final int acked = acked(other);
            // A keepalive or a probe may lie one byte beyond a closed window.
            if ((long) (end - acked) > Math.max(otherWindow, 1)) {
                return false;
            }
            if (isRst && before(begin, acked)) {
                return false;
            }
        }
        if (ownSeen && (long) (end(own) - end) > Math.max(otherWindow, OLD_ACK_BYTES_MIN)) {
            return false;
        }
        if (hasAck && otherSeen) {
            final int behind = end(other) - segment.acknowledgment;
            return behind >= 0 && behind <= Math.max(window(common, ownSide), OLD_ACK_BYTES_MIN);
        }
        return true;
    }

    /** SYN and FIN take a number each. */
    private static int phantoms(final int tcpFlags) {
        return ((tcpFlags >>> 1) & 1) + (tcpFlags & FIN);
    }

    private static int end(final long side) {
        return (int) side;
    }

    private static int acked(final long side) {
        return (int) (side >>> 32);
    }

    private static boolean before(final int a, final int b) {
        return a - b < 0;
    }

    /** Largest window a side has offered, in bytes. */
    private static long window(final long common, final int side) {
        final long unscaled = (common >>> (side * RESPONDER_SHIFT)) & 0xffff;
        return unscaled << scale(common, side);
    }

    private static int scale(final long common, final int side) {
        return (int) (common >>> (SCALES_SHIFT + side * RESPONDER_SCALE_SHIFT)) & 0xf;
    }

    private static long withWindow(final long common, final int side, final int window) {
        final int shift = side * RESPONDER_SHIFT;
        return window > ((common >>> shift) & 0xffff)
                ? (common & ~(0xffffL << shift)) | ((long) window << shift)
                : common;
    }

    /** Scales hold from the second SYN on, and only if the first had one as well. */
    private static long withScale(final long common, final int side, final int scale) {
        final int shift = SCALES_SHIFT + side * RESPONDER_SCALE_SHIFT;
        final long without = common & ~(0xfL << shift) & ~(HAS_SCALE << side);
        if (scale == TcpSegment.NO_SCALE) {
            return without & ~(0xffL << SCALES_SHIFT);
        }
        return without | ((long) Math.min(scale, SCALE_MAX) << shift) | (HAS_SCALE << side);
    }
}
