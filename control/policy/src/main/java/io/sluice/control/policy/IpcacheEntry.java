package io.sluice.control.policy;

/**
 * One entry of the ipcache: the identity of every address whose longest entry this is.
 *
 * @param prefix the prefix
 * @param identity identity number
 */
public record IpcacheEntry(Cidr prefix, int identity) {}
