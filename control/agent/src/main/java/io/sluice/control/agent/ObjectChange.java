package io.sluice.control.agent;

import java.util.List;

/**
 * What became of one object.
 *
 * @param resource plural and API group as kubectl prints them, in the singular: {@code
 *     networkpolicy.networking.k8s.io}, {@code pod}
 * @param namespace empty for a cluster-wide kind
 * @param name of the object
 * @param outcome what happened
 * @param warnings what the reader says of the object: one line each, what it does not do
 */
public record ObjectChange(
        String resource, String namespace, String name, Outcome outcome, List<String> warnings) {
    public ObjectChange {
        warnings = List.copyOf(warnings);
    }

    /** An object about which there is nothing to say. */
    public ObjectChange(
            final String resource,
            final String namespace,
            final String name,
            final Outcome outcome) {
        this(resource, namespace, name, outcome, List.of());
    }

    /** What happened to an object; the constant's text is kubectl's word. */
    public enum Outcome {
        CREATED("created"),
        CONFIGURED("configured"),
        UNCHANGED("unchanged"),
        DELETED("deleted");

        private final String word;

        Outcome(final String word) {
            this.word = word;
        }

        /** The word kubectl prints. */
        public String word() {
            return word;
        }
    }
}
