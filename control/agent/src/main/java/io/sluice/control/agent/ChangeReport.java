package io.sluice.control.agent;

import java.util.List;

/**
 * What became of a {@link ChangeRequest}.
 *
 * @param revision of the history that it made; 0 for none: nothing has changed, or it was only
 *     checked
 * @param changes what became of each object, in the order of the request
 * @param cuts open flows that it cuts
 * @param confirmation what it waits for
 */
public record ChangeReport(
        int revision,
        List<ObjectChange> changes,
        CutsReport cuts,
        ConfirmationReport confirmation) {
    public ChangeReport {
        changes = List.copyOf(changes);
    }
}
