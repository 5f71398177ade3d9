package io.sluice.control.agent;

/**
 * One tracked flow.
 *
 * @param protocol IP protocol number
 * @param initiatorAddress address of the side that opened it
 * @param initiatorPort its port, or the echo identifier
 * @param responderAddress address of the other side
 * @param responderPort its port, or the echo identifier
 * @param state lifecycle state
 * @param verdict ALLOW, DENY or REDIRECT
 * @param initiatorIdentity identity of the side that opened it
 * @param responderIdentity identity of the other side
 * @param policyRevision revision that judged it last
 * @param packetsForward packets from initiator to responder
 * @param bytesForward bytes of those packets
 * @param packetsReply packets the other way
 * @param bytesReply bytes of those packets
 * @param expiresInSeconds seconds until it is forgotten if it stays idle
 */
public record ConntrackReport(
        int protocol,
        String initiatorAddress,
        int initiatorPort,
        String responderAddress,
        int responderPort,
        String state,
        String verdict,
        int initiatorIdentity,
        int responderIdentity,
        long policyRevision,
        long packetsForward,
        long bytesForward,
        long packetsReply,
        long bytesReply,
        long expiresInSeconds) {}
