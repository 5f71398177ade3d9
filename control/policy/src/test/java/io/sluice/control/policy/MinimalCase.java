package io.sluice.control.policy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Cuts a world down to what a failure needs: policies go first, then their rules and fields, then
 * the rest of the world, as long as the failure is still there, and all over until nothing can go.
 *
 * <p>Worlds are manifests as plain maps and lists: cutting needs no knowledge of kinds, and what
 * cannot be read any more simply does not show the failure.
 */
final class MinimalCase {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Failure failure;
    private List<Map<String, Object>> manifests;

    private MinimalCase(final List<Map<String, Object>> manifests, final Failure failure) {
        this.manifests = manifests;
        this.failure = failure;
    }

    /** What is looked for. */
    interface Failure {
        /** Whether the world of these manifests, which may be nonsense, shows it. */
        boolean isIn(String manifests);
    }

    /** A text of manifests that shows the failure, made from one that does. */
    static String of(final String manifests, final Failure failure) {
        final List<Map<String, Object>> written = new ArrayList<>();
        for (final KubeObject object : ManifestReader.read("whole", manifests).objects()) {
            written.add(object.meta().manifest());
        }
        final MinimalCase minimal = new MinimalCase(written, failure);
        minimal.cut();
        return text(minimal.manifests);
    }

    private void cut() {
        boolean smaller = true;
        while (smaller) {
            smaller = cutDocuments(MinimalCase::isPolicy);
            smaller |= cutInside(MinimalCase::isPolicy);
            smaller |= cutDocuments(manifest -> !isPolicy(manifest));
            smaller |= cutInside(manifest -> !isPolicy(manifest));
        }
    }

    private interface Which {
        boolean takes(Map<String, Object> manifest);
    }

    private static boolean isPolicy(final Map<String, Object> manifest) {
        return String.valueOf(manifest.get("kind")).endsWith("Policy");
    }

    private boolean cutDocuments(final Which which) {
        boolean smaller = false;
        for (int i = manifests.size() - 1; i >= 0; i--) {
            if (which.takes(manifests.get(i))) {
                final List<Map<String, Object>> without = new ArrayList<>(manifests);
                without.remove(i);
                smaller |= keepIfItFails(without);
            }
        }
        return smaller;
    }

    private boolean cutInside(final Which which) {
        boolean smaller = false;
        for (int i = 0; i < manifests.size(); i++) {
            while (which.takes(manifests.get(i)) && cutInside(i)) {
                smaller = true;
            }
        }
        return smaller;
    }

    private boolean cutInside(final int index) {
        final List<Object> cuts = new ArrayList<>();
        forEachCut(manifests.get(index), cuts::add);
        for (final Object cut : cuts) {
            final List<Map<String, Object>> with = new ArrayList<>(manifests);
            @SuppressWarnings("unchecked") // A cut of a map of strings is one.
            final Map<String, Object> manifest = (Map<String, Object>) cut;
            with.set(index, manifest);
            if (keepIfItFails(with)) {
                return true;
            }
        }
        return false;
    }

    private boolean keepIfItFails(final List<Map<String, Object>> candidate) {
        if (failure.isIn(text(candidate))) {
            manifests = candidate;
            return true;
        }
        return false;
    }

    /** Every value with one entry or item less, outer ones first. */
    private static void forEachCut(final Object value, final Consumer<Object> cuts) {
        switch (value) {
            case final Map<?, ?> map -> {
                for (final Object key : map.keySet()) {
                    final Map<Object, Object> without = new LinkedHashMap<>(map);
                    without.remove(key);
                    cuts.accept(without);
                }
                map.forEach(
                        (key, inner) ->
                                forEachCut(
                                        inner,
                                        cut -> {
                                            final Map<Object, Object> with =
                                                    new LinkedHashMap<>(map);
                                            with.put(key, cut);
                                            cuts.accept(with);
                                        }));
            }
            case final List<?> list -> {
                for (int i = 0; i < list.size(); i++) {
                    final List<Object> without = new ArrayList<>(list);
                    without.remove(i);
                    cuts.accept(without);
                }
                for (int i = 0; i < list.size(); i++) {
                    final int position = i;
                    forEachCut(
                            list.get(i),
                            cut -> {
                                final List<Object> with = new ArrayList<>(list);
                                with.set(position, cut);
                                cuts.accept(with);
                            });
                }
            }
            default -> {}
        }
    }

    private static String text(final List<Map<String, Object>> manifests) {
        final StringBuilder text = new StringBuilder();
        for (final Map<String, Object> manifest : manifests) {
            try {
                text.append("---\n").append(JSON.writeValueAsString(manifest)).append('\n');
            } catch (final JsonProcessingException e) {
                throw new AssertionError(e);
            }
        }
        return text.toString();
    }
}
