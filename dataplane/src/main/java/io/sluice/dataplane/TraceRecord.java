package io.sluice.dataplane;

import io.sluice.conntrack.ConntrackState;

/**
 * What one traced packet met on its way. Which fields mean something depends on how far the packet
 * came, as in {@link Packet}. Immutable.
 *
 * @param atNs the lane's clock
 * @param end how the packet ended
 * @param reason why it was dropped; NONE if it was not
 * @param stoppedAt the last step that it reached
 * @param isReturned whether the DNS agent had it before: the steps up to conntrack were an earlier
 *     record's
 * @param known how far it was understood
 * @param inPort index of the port that it came from
 * @param outPort index of the port that it left through, or should have; negative if none was found
 * @param frameBytes length of the frame as it came, in bytes
 * @param isTracked whether conntrack was asked
 * @param state what it said
 * @param hasSides whether the identities are known
 * @param isJudged whether policy was asked about this very packet; else it followed its flow
 * @param egressEntry answer of the sender's egress map, if judged
 * @param ingressEntry answer of the receiver's ingress map, if judged and egress allowed
 * @param revision policy snapshot that was in force
 */
public record TraceRecord(
        long atNs,
        End end,
        DropReason reason,
        Step stoppedAt,
        boolean isReturned,
        Packet.Known known,
        int inPort,
        int outPort,
        int frameBytes,
        int etherType,
        long sourceMac,
        long destinationMac,
        long sourceHigh,
        long sourceLow,
        long destinationHigh,
        long destinationLow,
        int protocol,
        int sourcePort,
        int destinationPort,
        int tcpFlags,
        int icmpTypeCode,
        int ttl,
        Packet.Fragment fragment,
        boolean quotesPacket,
        boolean isTracked,
        ConntrackState state,
        boolean hasSides,
        int sourceIdentity,
        int destinationIdentity,
        boolean isJudged,
        long egressEntry,
        long ingressEntry,
        int revision) {
    /** How a packet ends. */
    public enum End {
        /** It left through a port. */
        FORWARDED,
        /** It left to the L7 proxy. */
        REDIRECTED,
        /** The DNS agent has it; another record tells its end. */
        PUNTED,
        /** The switch, or its DNS agent, answered it. */
        ANSWERED,
        /** It was dropped. */
        DROPPED
    }

    /** The steps of {@link Datapath}, in their order. */
    public enum Step {
        PARSE,
        ANSWER,
        GUARD,
        HOP_LIMIT,
        FRAGMENTS,
        CONNTRACK,
        IDENTITY,
        POLICY,
        PUNT,
        /** Out of a port: to the receiver, or to the proxy. */
        TRANSMIT;

        /**
         * The step that dropped a packet.
         *
         * @param isAdmitted whether it came as far as conntrack
         * @param hasSides whether its ends were looked up, and policy not yet asked
         */
        static Step dropping(
                final DropReason reason, final boolean isAdmitted, final boolean hasSides) {
            return switch (reason) {
                case NONE -> TRANSMIT;
                case UNSUPPORTED_L2_PROTOCOL,
                        UNSUPPORTED_L3_PROTOCOL,
                        INVALID_PACKET,
                        CT_TRUNCATED_OR_INVALID_HEADER,
                        INVALID_IPV6_EXTENSION_HEADER,
                        FRAGMENT_MALFORMED ->
                        PARSE;
                case MALFORMED_NEIGHBOUR_MESSAGE, NO_SERVICE_AT_GATEWAY -> ANSWER;
                case INVALID_SOURCE_MAC, INVALID_SOURCE_IP, MULTICAST_NOT_FORWARDED -> GUARD;
                case TTL_EXCEEDED -> HOP_LIMIT;
                case FRAGMENT_NOT_FOUND -> FRAGMENTS;
                case UNKNOWN_CONNECTION_TRACKING_STATE -> isAdmitted ? CONNTRACK : PARSE;
                case CT_MAP_INSERTION_FAILED -> CONNTRACK;
                case STALE_OR_UNROUTABLE_IP -> isAdmitted ? IDENTITY : GUARD;
                case POLICY_DENIED,
                        POLICY_DENY,
                        AUTH_REQUIRED,
                        INVALID_IDENTITY,
                        L7_NOT_ENFORCEABLE,
                        NO_SERVICE_AT_RESOLVER ->
                        POLICY;
                case EP_NOT_READY -> !isAdmitted ? GUARD : hasSides ? POLICY : TRANSMIT;
                case PORT_REFUSED_FRAME -> isAdmitted ? TRANSMIT : ANSWER;
                case FRAGMENTATION_NEEDED -> TRANSMIT;
                case DNS_RING_FULL,
                        DNS_NOT_WHOLE,
                        DNS_MALFORMED,
                        DNS_ANSWER_UNASKED,
                        DNS_QUERIES_FULL,
                        DNS_FLOW_GONE ->
                        PUNT;
            };
        }
    }
}
