package io.sluice.control.agent;

/**
 * Drops of one reason.
 *
 * @param code stable number of the drop reason
 * @param reason its name: {@code POLICY_DENIED}
 * @param sentence what it means
 * @param direction {@code ingress}, {@code egress}, or empty where there is none
 * @param packets dropped since start
 * @param bytes of those packets
 */
public record DropReport(
        int code, String reason, String sentence, String direction, long packets, long bytes) {}
