package io.sluice.control.agent.state;

import io.sluice.control.policy.Cidr;

/**
 * A prefix of the ipcache.
 *
 * @param prefix the prefix
 * @param identity number of its identity
 * @param source where it came from
 * @param endpoint the endpoint behind it as {@code namespace/name}, empty when none of this node's
 */
public record PrefixRow(Cidr prefix, int identity, Source source, String endpoint) {
    /** Why the ipcache has a prefix. */
    public enum Source {
        /** Address of an endpoint of this node. */
        ENDPOINT(1),
        /** Everything else that the objects name: remote pods, nodes, prefixes of policies. */
        OBJECTS(2),
        /** One of the node's address pools. */
        POOL(3);

        // In files: never changed, never used again.
        private final int code;

        Source(final int code) {
            this.code = code;
        }

        int code() {
            return code;
        }
    }
}
