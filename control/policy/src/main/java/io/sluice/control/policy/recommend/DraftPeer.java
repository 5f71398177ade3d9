package io.sluice.control.policy.recommend;

import io.sluice.control.policy.IpAddress;
import java.util.Comparator;
import java.util.List;

/** The far end of a drafted rule. */
sealed interface DraftPeer {
    /** Pods. */
    record OfWorkload(Workload workload) implements DraftPeer {}

    /**
     * A node.
     *
     * @param address at which it was seen
     * @param own whether it is the pod's own
     */
    record OfNode(IpAddress address, boolean own) implements DraftPeer {}

    /** What was reached by a name, sorted; at whatever address. */
    record Named(List<String> names) implements DraftPeer {}

    /** An address outside. */
    record At(IpAddress address) implements DraftPeer {}

    /** Everything outside, of one family. */
    record Outside(boolean ipv4) implements DraftPeer {}

    /** Pods, nodes, names, addresses, everything. */
    Comparator<DraftPeer> ORDER =
            Comparator.comparingInt(DraftPeer::rank).thenComparing(DraftPeer::compareAlike);

    private static int rank(final DraftPeer peer) {
        return switch (peer) {
            case OfWorkload _ -> 0;
            case OfNode _ -> 1;
            case Named _ -> 2;
            case At _ -> 3;
            case Outside _ -> 4;
        };
    }

    private static int compareAlike(final DraftPeer one, final DraftPeer other) {
        if (one instanceof final OfWorkload a && other instanceof final OfWorkload b) {
            return a.workload.compareTo(b.workload);
        }
        if (one instanceof final OfNode a && other instanceof final OfNode b) {
            final int order = a.address.compareTo(b.address);
            return order == 0 ? Boolean.compare(a.own, b.own) : order;
        }
        if (one instanceof final At a && other instanceof final At b) {
            return a.address.compareTo(b.address);
        }
        return one.toString().compareTo(other.toString());
    }
}
