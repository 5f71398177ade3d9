package io.sluice.control.agent;

/** What writes flows for other programs, started by the caller. */
@FunctionalInterface
public interface FlowExport {
    /**
     * Begins to export where the configuration says so.
     *
     * @param exports counts what becomes of the lines
     * @return ends the export
     * @throws StartupException when the configuration's filters cannot be read
     */
    AutoCloseable start(SluiceConfig config, ControlPlane control, Exports exports)
            throws StartupException;
}
