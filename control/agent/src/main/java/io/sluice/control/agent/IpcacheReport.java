package io.sluice.control.agent;

/**
 * One prefix of the ipcache.
 *
 * @param prefix as {@code 10.0.0.0/8}
 * @param identity number of its identity
 * @param endpoint the endpoint behind it as {@code namespace/name}, empty when none of this node's
 */
public record IpcacheReport(String prefix, int identity, String endpoint) {}
