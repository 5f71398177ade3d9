package io.sluice.control.agent;

/**
 * What serves the daemon to the outside.
 *
 * @param control the control API
 * @param flows Hubble's observer
 * @param export writes flows for other programs
 */
public record Servers(ControlServer control, FlowServer flows, FlowExport export) {}
