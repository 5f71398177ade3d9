package io.sluice.control.agent;

import java.util.List;

/**
 * A name or pattern that policies name.
 *
 * @param selector as {@code *.example.com.}
 * @param identities numbers of identities that have it
 * @param learned what was learned under it
 */
public record NameSelectorReport(
        String selector, List<Integer> identities, List<NameReport> learned) {}
