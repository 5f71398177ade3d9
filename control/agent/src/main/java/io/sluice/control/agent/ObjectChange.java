package io.sluice.control.agent;

/**
 * What became of one object.
 *
 * @param resource plural and API group as kubectl prints them, in the singular: {@code
 *     networkpolicy.networking.k8s.io}, {@code pod}
 * @param namespace empty for a cluster-wide kind
 * @param name of the object
 * @param outcome what happened
 */
public record ObjectChange(String resource, String namespace, String name, Outcome outcome) {
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
