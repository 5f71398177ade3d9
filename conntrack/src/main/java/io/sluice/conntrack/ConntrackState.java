package io.sluice.conntrack;

/** What a packet is to the flow table: the answer of {@link Conntrack#lookup}. */
public enum ConntrackState {
    /** No flow, and the packet may open one: policy judges it. */
    NEW,

    /** Of a known flow, sent by its initiator. */
    ESTABLISHED,

    /** Of a known flow, sent by its responder. */
    REPLY,

    /** An ICMP error about a packet of a known flow ({@link Conntrack#lookupRelated}). */
    RELATED,

    /** Of no flow and not able to open one, or impossible: drop it. */
    INVALID
}
