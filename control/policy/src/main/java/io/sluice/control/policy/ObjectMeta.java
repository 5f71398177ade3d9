package io.sluice.control.policy;

import java.util.Map;

/**
 * What every object carries.
 *
 * @param ref kind, namespace and name; a namespaced object without a namespace is in {@code
 *     default}
 * @param apiVersion as written
 * @param where start of the object's document
 * @param labels {@code metadata.labels}
 * @param annotations {@code metadata.annotations}
 * @param manifest the object as written, as plain maps, lists, strings, numbers and booleans;
 *     immutable, in the order of the file, null fields left out
 */
public record ObjectMeta(
        ObjectRef ref,
        String apiVersion,
        SourceLocation where,
        Map<String, String> labels,
        Map<String, String> annotations,
        Map<String, Object> manifest) {
    public String namespace() {
        return ref.namespace();
    }

    public String name() {
        return ref.name();
    }
}
