package io.sluice.control.agent;

import java.util.Map;

/**
 * One object in force.
 *
 * @param apiVersion as in the manifest
 * @param kind as in the manifest
 * @param namespace empty for a cluster-wide kind
 * @param name of the object
 * @param labels of the object
 * @param origin who owns it
 * @param file file it was read from
 * @param line line of its first field, from 1
 * @param manifest the whole object as plain maps, lists, strings, numbers, booleans and nulls
 */
public record ObjectReport(
        String apiVersion,
        String kind,
        String namespace,
        String name,
        Map<String, String> labels,
        Origin origin,
        String file,
        int line,
        Map<String, Object> manifest) {
    /** Who owns an object, and so may change it. */
    public enum Origin {
        /** A file under {@code -f}: only an edit of that file changes it. */
        FOLDER,
        /** {@code sluice apply} or {@code endpoint add}; kept in the state folder. */
        APPLIED
    }
}
