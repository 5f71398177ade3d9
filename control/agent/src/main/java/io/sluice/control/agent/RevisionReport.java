package io.sluice.control.agent;

import java.time.Instant;
import java.util.List;
import java.util.Map;

/**
 * One change in the history.
 *
 * @param revision its number, from 1
 * @param at when it was made
 * @param command what made it: apply, delete, rollback, undo
 * @param user who asked for it; empty where that is unknown
 * @param sources file names, or what else it was asked by
 * @param objects what it changed
 */
public record RevisionReport(
        int revision,
        Instant at,
        String command,
        String user,
        List<String> sources,
        List<ChangedObject> objects) {
    public RevisionReport {
        sources = List.copyOf(sources);
        objects = List.copyOf(objects);
    }

    /**
     * An object that changed.
     *
     * @param outcome CREATED, CONFIGURED or DELETED
     * @param before manifest as it may be shown; empty where there was none, and in listings
     * @param after the same from then on
     */
    public record ChangedObject(
            String kind,
            String namespace,
            String name,
            ObjectChange.Outcome outcome,
            Map<String, Object> before,
            Map<String, Object> after) {}
}
