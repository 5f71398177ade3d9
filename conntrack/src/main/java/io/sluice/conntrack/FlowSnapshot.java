package io.sluice.conntrack;

/**
 * One flow as it was at one moment, for listings. Immutable.
 *
 * @param protocol IP protocol number
 * @param initiatorHigh high half of the initiator's address, as in {@link Tuple}
 * @param initiatorTransportPort TCP, UDP or SCTP port of the initiator; the identifier for echo
 * @param responderTransportPort the same of the responder
 * @param dropReason why a {@link FlowVerdict#DENY} flow is cut, a drop reason's number; else 0
 * @param proxyPort listener of a {@link FlowVerdict#REDIRECT} flow; else 0
 * @param initiatorPort switch port index of the initiator, or {@link FlowEntry#NO_PORT}
 * @param responderPort switch port index of the responder, or {@link FlowEntry#NO_PORT}
 * @param initiatorPackets packets the initiator sent
 * @param responderPackets packets the responder sent
 * @param ageNs since the flow was opened
 * @param expiresInNs until the flow is forgotten if no packet comes, more than 0
 */
public record FlowSnapshot(
        int protocol,
        long initiatorHigh,
        long initiatorLow,
        int initiatorTransportPort,
        long responderHigh,
        long responderLow,
        int responderTransportPort,
        FlowState state,
        FlowVerdict verdict,
        int dropReason,
        int proxyPort,
        int policyRevision,
        int initiatorPort,
        int responderPort,
        int initiatorIdentity,
        int responderIdentity,
        long initiatorPackets,
        long initiatorBytes,
        long responderPackets,
        long responderBytes,
        long ageNs,
        long expiresInNs) {}
