package io.sluice.control.policy;

/**
 * Name of an object.
 *
 * @param kind as in the manifest, {@code Pod}; with its group where two projects use one word:
 *     {@code NetworkPolicy.projectcalico.org}
 * @param namespace empty for cluster-scoped kinds
 * @param name {@code metadata.name}
 */
public record ObjectRef(String kind, String namespace, String name)
        implements Comparable<ObjectRef> {
    public static ObjectRef pod(final String namespace, final String name) {
        return new ObjectRef("Pod", namespace, name);
    }

    /** The kind as in the manifest, without the group that tells it from another project's. */
    public String simpleKind() {
        final int group = kind.indexOf('.');
        return group < 0 ? kind : kind.substring(0, group);
    }

    /** {@code namespace/name}, or the name alone for cluster-scoped kinds. */
    public String path() {
        return namespace.isEmpty() ? name : namespace + "/" + name;
    }

    @Override
    public int compareTo(final ObjectRef other) {
        int order = kind.compareTo(other.kind);
        if (order == 0) {
            order = namespace.compareTo(other.namespace);
        }
        return order == 0 ? name.compareTo(other.name) : order;
    }

    /** {@code Pod shop/frontend}. */
    @Override
    public String toString() {
        return kind + " " + path();
    }
}
