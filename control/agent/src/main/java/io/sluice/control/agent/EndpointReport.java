package io.sluice.control.agent;

import java.util.List;

/**
 * One endpoint of this node.
 *
 * @param id number of the endpoint, from 1, stable while the endpoint exists; 0 for a Pod that
 *     cannot become one
 * @param namespace of its Pod
 * @param name of its Pod
 * @param state where it is in its life
 * @param reason why it is in that state, empty when READY
 * @param identity number of its identity, 0 before its policy is compiled
 * @param labels of its identity: {@code k8s:app=web}
 * @param addresses IPv4 and IPv6, as text
 * @param networkNamespace name, path or {@code pid:N}, as given
 * @param device name of the device in that namespace
 * @param mac of the device
 * @param mtu of the device, in bytes
 * @param policyRevision revision that judges its packets, 0 before it is READY
 * @param ingressEnforced whether some policy isolates it in ingress
 * @param egressEnforced whether some policy isolates it in egress
 * @param ingressPolicies policies that select it for ingress, as {@code kind/namespace/name}
 * @param egressPolicies policies that select it for egress
 * @param packetsReceived packets the switch received from it
 * @param packetsSent packets the switch sent to it
 * @param packetsLost packets that the kernel lost between it and the switch; only an AF_XDP port
 *     tells
 */
public record EndpointReport(
        int id,
        String namespace,
        String name,
        EndpointState state,
        String reason,
        int identity,
        List<String> labels,
        List<String> addresses,
        String networkNamespace,
        String device,
        String mac,
        int mtu,
        long policyRevision,
        boolean ingressEnforced,
        boolean egressEnforced,
        List<String> ingressPolicies,
        List<String> egressPolicies,
        long packetsReceived,
        long packetsSent,
        long packetsLost) {}
