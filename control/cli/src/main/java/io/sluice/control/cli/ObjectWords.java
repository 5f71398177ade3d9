package io.sluice.control.cli;

import io.sluice.control.agent.ResourceKind;
import java.util.ArrayList;
import java.util.List;

/**
 * Kinds and names as kubectl takes them: {@code netpol}, {@code netpol,pods}, {@code netpol web
 * db}, {@code netpol/web}.
 *
 * @param kinds at least one, or none for all kinds
 * @param names none for all objects of the kinds
 */
record ObjectWords(List<String> kinds, List<String> names) {
    static ObjectWords of(final List<String> words) {
        if (words.isEmpty()) {
            return new ObjectWords(List.of(), List.of());
        }
        final String first = words.getFirst();
        final int slash = first.indexOf('/');
        if (slash < 0) {
            return new ObjectWords(
                    List.of(first.split(",", -1)), List.copyOf(words.subList(1, words.size())));
        }
        final String kind = first.substring(0, slash);
        final List<String> names = new ArrayList<>();
        for (final String word : words) {
            if (!word.startsWith(kind + "/")) {
                throw CommandError.usage(
                        word + ": after " + first + " only more of " + kind + "/NAME");
            }
            names.add(word.substring(slash + 1));
        }
        return new ObjectWords(List.of(kind), names);
    }

    /** kubectl's line for an object that is not there. */
    static String notFound(final String kind, final String name) {
        return "Error from server (NotFound): "
                + ResourceKind.find(kind).map(ResourceKind::pluralResource).orElse(kind)
                + " \""
                + name
                + "\" not found";
    }
}
