package io.sluice.control.policy;

import java.util.List;

/**
 * What a reader made of its input.
 *
 * @param objects the objects that are right; one with an error is left out whole
 * @param problems everything found, in the order of the text
 */
public record ReadResult(List<KubeObject> objects, List<Problem> problems) {
    public boolean hasErrors() {
        return problems.stream().anyMatch(Problem::isError);
    }
}
