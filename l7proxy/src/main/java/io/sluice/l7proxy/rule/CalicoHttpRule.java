package io.sluice.l7proxy.rule;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Calico's {@code http} clause: one of the methods and one of the paths; an empty list is any.
 *
 * <p>Methods are compared as written, {@code *} is any. Paths are compared on the {@linkplain
 * HttpPath#normalise normal form} of the request's path.
 *
 * @param methods in the spelling that requests use
 * @param paths on normalised paths
 */
public record CalicoHttpRule(List<String> methods, List<PathMatch> paths) {
    /**
     * A path.
     *
     * @param path starts with a slash; one at the end does not count, requests lose theirs too
     * @param prefix whether whole leading segments are enough
     */
    public record PathMatch(String path, boolean prefix) {
        /**
         * Checks the path.
         *
         * @throws IllegalArgumentException with what is wrong and what is accepted
         */
        public PathMatch {
            if (!path.startsWith("/") || path.indexOf('?') >= 0 || path.indexOf('#') >= 0) {
                throw new IllegalArgumentException(
                        "\"" + path + "\": accepted: a path from \"/\" on, without '?' and '#'");
            }
            path =
                    path.length() > 1 && path.endsWith("/")
                            ? path.substring(0, path.length() - 1)
                            : path;
        }

        boolean matches(final String normalised) {
            return normalised.equals(path)
                    || (prefix
                            && (path.equals("/")
                                    || (normalised.startsWith(path)
                                            && normalised.charAt(path.length()) == '/')));
        }
    }

    public CalicoHttpRule {
        methods = List.copyOf(methods);
        paths = List.copyOf(paths);
    }

    /** Whether it lets every request pass. */
    public boolean matchesEverything() {
        return (methods.isEmpty() || methods.contains("*")) && paths.isEmpty();
    }

    public boolean matches(final HttpRequest request) {
        return matchesMethod(request.method()) && matchesPath(request.path());
    }

    /** What the request lacks to match, a phrase each; empty exactly if {@link #matches}. */
    public List<String> unmet(final HttpRequest request) {
        final List<String> unmet = new ArrayList<>();
        if (!matchesMethod(request.method())) {
            unmet.add("method " + request.method() + " is not in " + String.join(", ", methods));
        }
        if (!matchesPath(request.path())) {
            unmet.add(
                    "path "
                            + request.path()
                            + " is not "
                            + String.join(
                                    " or ",
                                    paths.stream()
                                            .map(
                                                    path ->
                                                            path.prefix()
                                                                    ? "under " + path.path()
                                                                    : path.path())
                                            .toList()));
        }
        return List.copyOf(unmet);
    }

    private boolean matchesMethod(final String method) {
        return methods.isEmpty() || methods.contains("*") || methods.contains(method);
    }

    private boolean matchesPath(final String target) {
        if (paths.isEmpty()) {
            return true;
        }
        final Optional<String> normalised = HttpPath.normalise(target);
        return normalised.isPresent()
                && paths.stream().anyMatch(path -> path.matches(normalised.get()));
    }
}
