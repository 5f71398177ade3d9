package io.sluice.control.agent;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * A change of objects, as one: all of it is made, or nothing.
 *
 * @param what is to change
 * @param mode whether it is made, or only checked
 * @param cuts what to do when open flows would be cut
 * @param confirmWithin when given, the change undoes itself unless {@link ControlPlane#confirm} is
 *     called in time; {@link #CONFIRM_MIN} to {@link #CONFIRM_MAX}
 * @param user who asks, as the history names him; empty where that is unknown
 */
public record ChangeRequest(
        What what, ChangeMode mode, CutMode cuts, Optional<Duration> confirmWithin, String user) {
    /** The control thread looks at the deadline once a second. */
    public static final Duration CONFIRM_MIN = Duration.ofSeconds(1);

    /** A day: whoever has to wait longer has another way to undo than a deadline. */
    public static final Duration CONFIRM_MAX = Duration.ofDays(1);

    public ChangeRequest {
        if (confirmWithin.isPresent()
                && (confirmWithin.get().compareTo(CONFIRM_MIN) < 0
                        || confirmWithin.get().compareTo(CONFIRM_MAX) > 0)) {
            throw new RequestException(
                    RequestException.Reason.INVALID,
                    "confirm: %s s: %d to %d seconds"
                            .formatted(
                                    confirmWithin.get().toSeconds(),
                                    CONFIRM_MIN.toSeconds(),
                                    CONFIRM_MAX.toSeconds()));
        }
    }

    /** A change that is made, and tells of cut flows. */
    static ChangeRequest of(final What what, final ChangeMode mode) {
        return new ChangeRequest(what, mode, CutMode.TELL, Optional.empty(), "");
    }

    /** What to do when open flows would be cut. */
    public enum CutMode {
        /** They are told, and cut. */
        TELL,
        /** The change is refused with the list of them. */
        REFUSE
    }

    /**
     * A manifest as somebody sent it.
     *
     * @param source where the text is from, for messages: a file name or {@code -}
     * @param text YAML or JSON, any number of documents
     */
    public record Manifest(String source, String text) {}

    /** Kinds of change. */
    public sealed interface What {}

    /** Adds or changes the objects of manifests. */
    public record Apply(List<Manifest> manifests) implements What {
        public Apply {
            manifests = List.copyOf(manifests);
        }
    }

    /** Deletes the objects that manifests name. */
    public record Delete(List<Manifest> manifests) implements What {
        public Delete {
            manifests = List.copyOf(manifests);
        }
    }

    /**
     * Deletes one object.
     *
     * @param kind kind, plural, or short name, in any case
     * @param namespace empty for a cluster-wide kind
     */
    public record DeleteObject(String kind, String namespace, String name) implements What {}

    /**
     * Gives the applied objects the contents that they had after a revision of the history.
     *
     * @param revision 0 is before the first
     */
    public record Rollback(int revision) implements What {}
}
