package io.sluice.l7proxy;

/**
 * The rules for one flow in one revision of the policy. Both sides must let a request pass.
 * Immutable.
 *
 * @param revision differs whenever the rules may
 * @param egress the client's
 * @param ingress the server's
 */
public record FlowRules(long revision, SideRules egress, SideRules ingress) {}
