package io.sluice.control.policy;

import java.util.List;

/**
 * What policy can see of a peer, as a number.
 *
 * <p>Peers that some policy could tell apart have different numbers: the number stands for labels,
 * namespace labels, service account, named ports, and the policy prefixes around the peer's address
 * where the kind of policy lets a prefix match such a peer.
 *
 * @param number reserved numbers below 256, cluster identities from 256, prefixes from 16777217,
 *     nodes from 33554433
 * @param labels sorted, as in {@code k8s:app=web}, {@code reserved:host}, {@code cidr:10.0.0.0/8}
 */
public record Identity(int number, List<String> labels) {
    public static final int UNKNOWN = 0;
    public static final int HOST = 1;
    public static final int WORLD = 2;
    public static final int UNMANAGED = 3;
    public static final int HEALTH = 4;
    public static final int INIT = 5;
    public static final int REMOTE_NODE = 6;
    public static final int KUBE_APISERVER = 7;
    public static final int INGRESS = 8;
    public static final int WORLD_IPV4 = 9;
    public static final int WORLD_IPV6 = 10;

    /** First number of endpoints. */
    public static final int CLUSTER_FIRST = 256;

    /** First number of prefixes outside the cluster; below it are endpoints. */
    public static final int CIDR_FIRST = 0x100_0001;

    /** First number of nodes that one reserved number cannot tell apart. */
    public static final int NODE_FIRST = 0x200_0001;

    /** One past the last number of nodes. */
    public static final int NODE_END = 0x300_0000;

    /** Whether the number is one of a workload in the cluster. */
    public boolean isCluster() {
        return number >= CLUSTER_FIRST && number < CIDR_FIRST - 1;
    }
}
