package io.sluice.control.agent.state;

import java.util.List;

/**
 * An identity as the state folder knows it.
 *
 * @param number of the identity
 * @param facts canonical text of what it stands for; empty for a reserved number, which is not
 *     given out
 * @param live whether the policy that was published last knows it
 * @param labels as {@code k8s:app=web}; none before its first publication
 * @param endpointCount endpoints of this node that have it
 */
public record IdentityRow(
        int number, String facts, boolean live, List<String> labels, int endpointCount) {
    public IdentityRow {
        labels = List.copyOf(labels);
    }
}
