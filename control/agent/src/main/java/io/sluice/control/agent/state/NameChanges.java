package io.sluice.control.agent.state;

import io.sluice.control.policy.IpAddress;
import java.util.List;

/**
 * What became of learned names since the state folder was suspended: what its next owner does not
 * find there. Immutable.
 *
 * @param learned or learned again; also rows that the folder had refused before
 * @param forgotten that were in the folder
 */
public record NameChanges(List<NameRow> learned, List<Key> forgotten) {
    public NameChanges {
        learned = List.copyOf(learned);
        forgotten = List.copyOf(forgotten);
    }

    /**
     * Which row.
     *
     * @param name in lower case with the final dot
     * @param address of the answer
     * @param endpoint who asked, as {@code namespace/name}
     */
    public record Key(String name, IpAddress address, String endpoint) {}

    /** Nothing has changed. */
    public static NameChanges none() {
        return new NameChanges(List.of(), List.of());
    }
}
