package io.sluice.control.agent;

import java.util.List;

/**
 * One identity.
 *
 * @param number of the identity
 * @param labels it stands for: {@code k8s:app=web}, {@code reserved:host}, {@code cidr:10.0.0.0/8}
 * @param endpointCount endpoints of this node that have it
 */
public record IdentityReport(int number, List<String> labels, int endpointCount) {}
