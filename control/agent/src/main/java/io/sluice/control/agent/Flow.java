package io.sluice.control.agent;

import io.sluice.control.policy.replay.FlowEvent;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * One flow event: something that was decided about a packet, or about a request in a connection,
 * with names.
 *
 * @param sequence number of the event, from 0, without gaps but for lost ones
 * @param time when the packet was judged
 * @param id unique over all nodes
 * @param nodeName node that saw it
 * @param kind what kind of event
 * @param verdict what became of the packet
 * @param dropReason number of the drop reason, 0 when it was not dropped
 * @param dropReasonName name of the drop reason, empty when it was not dropped
 * @param ipVersion 4 or 6, 0 for a frame that is neither
 * @param protocol IP protocol number, 0 when unknown
 * @param tcpFlags low eight bits of the TCP flags, 0 for other protocols
 * @param icmpType type of an ICMP message, -1 for other protocols
 * @param icmpCode code of an ICMP message, -1 for other protocols
 * @param source side that sent the packet
 * @param destination side it was sent to
 * @param direction policy direction of the decision
 * @param reply whether the packet runs against the direction in which its flow was opened
 * @param policyRevision revision that judged it
 * @param egressBy authors of the sender's egress verdict, empty when it was not asked
 * @param ingressBy authors of the receiver's ingress verdict, empty when it was not asked
 * @param lengthBytes length of the IP packet, in bytes
 * @param l7 the request or answer, where the event is about one
 * @param totals what had passed of a flow, where the event is its end
 */
public record Flow(
        long sequence,
        Instant time,
        FlowId id,
        String nodeName,
        Kind kind,
        Verdict verdict,
        int dropReason,
        String dropReasonName,
        int ipVersion,
        int protocol,
        int tcpFlags,
        int icmpType,
        int icmpCode,
        FlowPeer source,
        FlowPeer destination,
        Direction direction,
        boolean reply,
        long policyRevision,
        List<PolicyAuthor> egressBy,
        List<PolicyAuthor> ingressBy,
        int lengthBytes,
        Optional<L7Message> l7,
        Optional<FlowTotals> totals) {
    /** An event whose identity is text, of a UUID or any other. */
    public Flow(
            final long sequence,
            final Instant time,
            final String uuid,
            final String nodeName,
            final Kind kind,
            final Verdict verdict,
            final int dropReason,
            final String dropReasonName,
            final int ipVersion,
            final int protocol,
            final int tcpFlags,
            final int icmpType,
            final int icmpCode,
            final FlowPeer source,
            final FlowPeer destination,
            final Direction direction,
            final boolean reply,
            final long policyRevision,
            final List<PolicyAuthor> egressBy,
            final List<PolicyAuthor> ingressBy,
            final int lengthBytes,
            final Optional<L7Message> l7,
            final Optional<FlowTotals> totals) {
        this(
                sequence,
                time,
                FlowId.of(uuid),
                nodeName,
                kind,
                verdict,
                dropReason,
                dropReasonName,
                ipVersion,
                protocol,
                tcpFlags,
                icmpType,
                icmpCode,
                source,
                destination,
                direction,
                reply,
                policyRevision,
                egressBy,
                ingressBy,
                lengthBytes,
                l7,
                totals);
    }

    /** The same, not the end of a flow. */
    public Flow(
            final long sequence,
            final Instant time,
            final String uuid,
            final String nodeName,
            final Kind kind,
            final Verdict verdict,
            final int dropReason,
            final String dropReasonName,
            final int ipVersion,
            final int protocol,
            final int tcpFlags,
            final int icmpType,
            final int icmpCode,
            final FlowPeer source,
            final FlowPeer destination,
            final Direction direction,
            final boolean reply,
            final long policyRevision,
            final List<PolicyAuthor> egressBy,
            final List<PolicyAuthor> ingressBy,
            final int lengthBytes,
            final Optional<L7Message> l7) {
        this(
                sequence,
                time,
                FlowId.of(uuid),
                nodeName,
                kind,
                verdict,
                dropReason,
                dropReasonName,
                ipVersion,
                protocol,
                tcpFlags,
                icmpType,
                icmpCode,
                source,
                destination,
                direction,
                reply,
                policyRevision,
                egressBy,
                ingressBy,
                lengthBytes,
                l7,
                Optional.empty());
    }

    /** The same event at another place: its number is the lower half of its identity. */
    Flow withSequence(final long number) {
        return new Flow(
                number,
                time,
                new FlowId(id.high(), number),
                nodeName,
                kind,
                verdict,
                dropReason,
                dropReasonName,
                ipVersion,
                protocol,
                tcpFlags,
                icmpType,
                icmpCode,
                source,
                destination,
                direction,
                reply,
                policyRevision,
                egressBy,
                ingressBy,
                lengthBytes,
                l7,
                totals);
    }

    /** Its identity as text. */
    public String uuid() {
        return id.text();
    }

    /** Kind of event, with the number of Cilium's monitor (pkg/monitor/api/types.go). */
    public enum Kind {
        /** A packet was dropped. */
        DROP(1),
        /** A new flow was judged by policy. */
        POLICY_VERDICT(5),
        /** A request was judged by a proxy, or answered. */
        L7(129),
        /**
         * A flow is no more. Sluice's own: Cilium's types are below 200, and who asks for no type
         * is not told of these, so that nobody counts a flow twice.
         */
        END(FlowEvent.END);

        private final int number;

        Kind(final int number) {
            this.number = number;
        }

        public int number() {
            return number;
        }
    }

    /** Verdict, with Hubble's number (flow.proto). */
    public enum Verdict {
        FORWARDED(1),
        DROPPED(2),
        /** Something went wrong that policy has no part in. */
        ERROR(3),
        /** It passed, though audited policies would deny it. */
        AUDIT(4),
        /** It was sent to a proxy, which has to read it. */
        REDIRECTED(5);

        private final int number;

        Verdict(final int number) {
            this.number = number;
        }

        public int number() {
            return number;
        }
    }

    /**
     * How much of a packet the entry of a policy map names that decided, with Cilium's number
     * (pkg/monitor/api PolicyMatchType).
     *
     * <p>A Sluice entry stands for an interval of ports of one identity, so a rule is always L3-L4.
     * What matters to readers is kept: {@link #NONE} is a drop because nothing allowed the packet,
     * {@link #ALL} an endpoint without any policy.
     */
    public enum Match {
        NONE(0, "none"),
        L3_L4(2, "l3-l4"),
        ALL(4, "all"),
        /** Policy was not asked. */
        UNASKED(0, "none");

        private final int number;
        private final String text;

        Match(final int number, final String text) {
            this.number = number;
            this.text = text;
        }

        public int number() {
            return number;
        }

        /** As Hubble's metrics write it. */
        public String text() {
            return text;
        }
    }

    /** Which kind of entry decided, in the direction that the flow tells of. */
    public Match match() {
        final List<PolicyAuthor> authors = direction == Direction.EGRESS ? egressBy : ingressBy;
        if (verdict == Verdict.DROPPED && authors.isEmpty()) {
            return Match.UNASKED;
        }
        for (final PolicyAuthor author : authors) {
            if (!author.kind().isEmpty()) {
                return Match.L3_L4;
            }
        }
        return verdict == Verdict.DROPPED ? Match.NONE : Match.ALL;
    }

    /**
     * Whether policy denied it in a direction. A packet dropped by the receiver's ingress was
     * allowed by the sender's egress before.
     */
    public boolean isDeniedIn(final Direction asked) {
        return (verdict == Verdict.DROPPED || verdict == Verdict.AUDIT) && direction == asked;
    }

    /** Policy direction, with Hubble's number (flow.proto TrafficDirection). */
    public enum Direction {
        UNKNOWN(0),
        INGRESS(1),
        EGRESS(2);

        private final int number;

        Direction(final int number) {
            this.number = number;
        }

        public int number() {
            return number;
        }
    }
}
