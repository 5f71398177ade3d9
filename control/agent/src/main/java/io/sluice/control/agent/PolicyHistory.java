package io.sluice.control.agent;

import io.sluice.control.agent.ConfirmationReport.State;
import io.sluice.control.agent.ObjectChange.Outcome;
import io.sluice.control.agent.RequestException.Reason;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.ReadResult;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/**
 * Every change of applied objects, in the folder {@code history} of the state folder, and the
 * change that waits to be confirmed.
 *
 * <p>Storage. A revision is a file, {@code NNNNNNNN.yaml}: number, time, command, user, sources,
 * and of each object that changed the text of its file before and after. It is written before the
 * objects are, so that what is in force has always been told here first, and never changes
 * afterwards. {@code confirmation.yaml} holds the latest change that has to be confirmed, or had
 * to. Both replace whole files by a rename, readable by the owner only: objects may be Secrets.
 *
 * <p>Bounds. The oldest revisions go when there are more than a number, or all together are larger
 * than a size; the two newest always stay: numbers go on, and an undo can be finished.
 *
 * <p>A crash between a revision and its objects is mended at the start ({@link Rollouts#recover}).
 * A revision that cannot be read any more is left out of listings, with a warning in the log, and
 * does not keep the daemon from starting: policy is in the objects, and only the way back beyond
 * that revision is gone.
 *
 * <p>Thread: control; {@link #revisions}, {@link #revision} and {@link #confirmation} any.
 */
final class PolicyHistory {
    private static final Logger LOG = LoggerFactory.getLogger(PolicyHistory.class);

    /** A change that waits to be confirmed, and its undoing. */
    static final int REVISIONS_MIN = 2;

    private static final String CONFIRMATION = "confirmation.yaml";

    /**
     * One change.
     *
     * @param revision its number, from 1
     */
    record Revision(
            int revision,
            Instant at,
            String command,
            String user,
            List<String> sources,
            List<Change> changes) {}

    /** Texts of an object's file; empty where there is none. */
    record Change(ObjectRef ref, Optional<String> before, Optional<String> after) {
        Outcome outcome() {
            return before.isEmpty()
                    ? Outcome.CREATED
                    : after.isEmpty() ? Outcome.DELETED : Outcome.CONFIGURED;
        }
    }

    private final Path folder;
    private final int revisionsMax;
    private final long bytesMax;
    // Numbers of the revisions kept, and bytes of their files. Replaced whole by control.
    private volatile NavigableMap<Integer, Long> kept;
    private volatile ConfirmationReport confirmation;

    private PolicyHistory(
            final Path folder,
            final int revisionsMax,
            final long bytesMax,
            final NavigableMap<Integer, Long> kept,
            final ConfirmationReport confirmation) {
        this.folder = folder;
        this.revisionsMax = revisionsMax;
        this.bytesMax = bytesMax;
        this.kept = kept;
        this.confirmation = confirmation;
    }

    /**
     * Finds what was kept; reads no revision.
     *
     * @param folder {@code history} in the state folder
     * @param revisionsMax revisions kept, at least {@link #REVISIONS_MIN}
     * @param bytesMax of their files together
     * @throws StartupException when the folder cannot be read, or whether a change waits to be
     *     confirmed cannot be told: it might have to be undone
     */
    static PolicyHistory load(final Path folder, final int revisionsMax, final long bytesMax)
            throws StartupException {
        try {
            Files.createDirectories(folder);
            final NavigableMap<Integer, Long> kept = new TreeMap<>();
            try (DirectoryStream<Path> files =
                    Files.newDirectoryStream(folder, "[0-9][0-9][0-9][0-9]*.yaml")) {
                for (final Path file : files) {
                    final String name = file.getFileName().toString();
                    final String number = name.substring(0, name.length() - ".yaml".length());
                    if (number.matches("[0-9]{8}")) {
                        kept.put(Integer.parseInt(number), Files.size(file));
                    }
                }
            }
            final Path file = folder.resolve(CONFIRMATION);
            return new PolicyHistory(
                    folder,
                    revisionsMax,
                    bytesMax,
                    kept,
                    Files.exists(file) ? confirmation(map(read(file))) : ConfirmationReport.NONE);
        } catch (final IOException | Unreadable e) {
            throw new StartupException("%s: %s".formatted(folder, e.getMessage()), e);
        }
    }

    /** Number of the newest revision; 0 before the first. */
    int newest() {
        return kept.isEmpty() ? 0 : kept.lastKey();
    }

    /** Oldest number that {@link #before} can go back to. */
    int oldestState() {
        return kept.isEmpty() ? 0 : kept.firstKey() - 1;
    }

    /** The latest change that has to be confirmed, or had to. */
    ConfirmationReport confirmation() {
        return confirmation;
    }

    /**
     * Writes the next revision, and forgets those that are too many.
     *
     * @throws IOException when it cannot be written; nothing has changed then
     */
    void append(final Revision revision) throws IOException {
        final String text = yaml(revision);
        StateFiles.replace(file(revision.revision()), text);
        appended(revision.revision(), text.getBytes(StandardCharsets.UTF_8).length);
    }

    /** What {@link #append} writes, for whoever writes it together with other files. */
    Map<Path, String> files(final Revision revision) {
        return Map.of(file(revision.revision()), yaml(revision));
    }

    /** The {@link #files} of a revision are in their places. */
    void appended(final int revision) throws IOException {
        appended(revision, Files.size(file(revision)));
    }

    private void appended(final int revision, final long revisionBytes) {
        final NavigableMap<Integer, Long> now = new TreeMap<>(kept);
        now.put(revision, revisionBytes);
        long bytes = now.values().stream().mapToLong(Long::longValue).sum();
        while (now.size() > REVISIONS_MIN && (now.size() > revisionsMax || bytes > bytesMax)) {
            final Map.Entry<Integer, Long> oldest = now.firstEntry();
            remove(oldest.getKey());
            now.remove(oldest.getKey());
            bytes -= oldest.getValue();
        }
        kept = now;
    }

    /** Takes back the newest revision, whose objects were never written. */
    void dropNewest() {
        final NavigableMap<Integer, Long> now = new TreeMap<>(kept);
        final Map.Entry<Integer, Long> dropped = now.pollLastEntry();
        if (dropped != null) {
            remove(dropped.getKey());
            kept = now;
        }
    }

    /** Takes a revision back of which the file may be there, or not. */
    void drop(final int revision) {
        if (newest() == revision) {
            dropNewest();
        } else {
            remove(revision);
        }
    }

    private void remove(final int revision) {
        try {
            Files.deleteIfExists(file(revision));
        } catch (final IOException e) {
            // It is in nobody's way, and goes with the next one that is too many after a restart.
            LOG.warn("{}: cannot be deleted", file(revision), e);
        }
    }

    /**
     * Remembers how a confirmation stands.
     *
     * @throws IOException when it cannot be written; it stands as before then
     */
    void setConfirmation(final ConfirmationReport now) throws IOException {
        StateFiles.replaceAll(files(now));
        confirmation = now;
    }

    /** What {@link #setConfirmation} writes, for whoever writes it together with other files. */
    Map<Path, String> files(final ConfirmationReport now) {
        final Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("state", now.state().name());
        fields.put("revision", now.revision());
        fields.put("undoneTo", now.undoneTo());
        fields.put("until", now.until().toString());
        return Map.of(folder.resolve(CONFIRMATION), ObjectStore.yaml(fields));
    }

    /** The {@link #files} of a confirmation are in their places. */
    void confirmationWritten(final ConfirmationReport now) {
        confirmation = now;
    }

    /**
     * Texts that objects had after a revision: of those that a later one changed.
     *
     * @throws RequestException NOT_FOUND for a number that is too old or not there yet; CONFLICT
     *     where a revision on the way cannot be read
     */
    Map<ObjectRef, Optional<String>> before(final int revision) {
        final Map<ObjectRef, Optional<String>> texts = new LinkedHashMap<>();
        for (final Revision later : after(revision)) {
            later.changes().forEach(change -> texts.putIfAbsent(change.ref(), change.before()));
        }
        return texts;
    }

    /** Texts that objects have since their last change after a revision, as {@link #before}. */
    Map<ObjectRef, Optional<String>> newestTexts(final int revision) {
        final Map<ObjectRef, Optional<String>> texts = new LinkedHashMap<>();
        for (final Revision later : after(revision)) {
            later.changes().forEach(change -> texts.put(change.ref(), change.after()));
        }
        return texts;
    }

    private List<Revision> after(final int revision) {
        if (revision < oldestState() || revision > newest()) {
            throw new RequestException(
                    Reason.NOT_FOUND,
                    "revision %d is not in the history: accepted are %d to %d"
                            .formatted(revision, oldestState(), newest()));
        }
        final List<Revision> later = new ArrayList<>();
        for (int number = revision + 1; number <= newest(); number++) {
            try {
                later.add(parse(file(number)));
            } catch (final IOException | Unreadable e) {
                throw new RequestException(
                        Reason.CONFLICT,
                        "what was changed after revision %d is not known any more: %s"
                                .formatted(revision, e.getMessage()));
            }
        }
        return later;
    }

    /** The newest revision; empty where there is none, or it cannot be read. */
    Optional<Revision> newestRevision() {
        try {
            return kept.isEmpty() ? Optional.empty() : Optional.of(parse(file(newest())));
        } catch (final IOException | Unreadable e) {
            LOG.warn("the history's newest revision cannot be read: {}", e.getMessage());
            return Optional.empty();
        }
    }

    /** What is kept, the oldest first, without manifests; what cannot be read is left out. */
    List<RevisionReport> revisions() {
        final List<RevisionReport> reports = new ArrayList<>();
        for (final int number : kept.keySet()) {
            try {
                reports.add(report(parse(file(number)), false));
            } catch (final NoSuchFileException e) {
                LOG.debug("revision {} went meanwhile", number, e);
            } catch (final IOException | Unreadable e) {
                LOG.warn("the history: {}", e.getMessage());
            }
        }
        return reports;
    }

    /**
     * One revision, with the manifests before and after.
     *
     * @throws RequestException NOT_FOUND
     */
    RevisionReport revision(final int number) {
        if (kept.containsKey(number)) {
            try {
                return report(parse(file(number)), true);
            } catch (final IOException | Unreadable e) {
                throw new RequestException(
                        Reason.NOT_FOUND, "revision %d: %s".formatted(number, e.getMessage()));
            }
        }
        throw new RequestException(
                Reason.NOT_FOUND,
                "revision %d is not in the history: %s"
                        .formatted(
                                number,
                                kept.isEmpty()
                                        ? "it is empty"
                                        : "it has %d to %d"
                                                .formatted(kept.firstKey(), kept.lastKey())));
    }

    private static RevisionReport report(final Revision revision, final boolean withManifests) {
        return new RevisionReport(
                revision.revision(),
                revision.at(),
                revision.command(),
                revision.user(),
                revision.sources(),
                revision.changes().stream()
                        .map(
                                change ->
                                        new RevisionReport.ChangedObject(
                                                change.ref().kind(),
                                                change.ref().namespace(),
                                                change.ref().name(),
                                                change.outcome(),
                                                withManifests ? shown(change.before()) : Map.of(),
                                                withManifests ? shown(change.after()) : Map.of()))
                        .toList());
    }

    /** The manifest of a text, without the values of Secrets. */
    private static Map<String, Object> shown(final Optional<String> text) {
        if (text.isEmpty()) {
            return Map.of();
        }
        final ReadResult result = DaemonManifests.read("history", text.get());
        return result.objects().stream().findFirst().map(KubeObject::shown).orElse(Map.of());
    }

    private Path file(final int revision) {
        return folder.resolve("%08d.yaml".formatted(revision));
    }

    // The files' form.

    private static String yaml(final Revision revision) {
        final Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("revision", revision.revision());
        fields.put("at", revision.at().toString());
        fields.put("command", revision.command());
        fields.put("user", revision.user());
        fields.put("sources", revision.sources());
        final List<Map<String, Object>> changes = new ArrayList<>();
        for (final Change change : revision.changes()) {
            final Map<String, Object> fieldsOfChange = new LinkedHashMap<>();
            fieldsOfChange.put("kind", change.ref().kind());
            fieldsOfChange.put("namespace", change.ref().namespace());
            fieldsOfChange.put("name", change.ref().name());
            change.before().ifPresent(text -> fieldsOfChange.put("before", text));
            change.after().ifPresent(text -> fieldsOfChange.put("after", text));
            changes.add(fieldsOfChange);
        }
        fields.put("changes", changes);
        return ObjectStore.yaml(fields);
    }

    /** A file is not what was written to it. */
    private static final class Unreadable extends Exception {
        private static final long serialVersionUID = 1L;

        Unreadable(final String reason) {
            super(reason);
        }
    }

    private static Object read(final Path file) throws IOException, Unreadable {
        try {
            final Object value =
                    new Load(
                                    LoadSettings.builder()
                                            .setSchema(new CoreSchema())
                                            .setCodePointLimit(Integer.MAX_VALUE)
                                            .setLabel(file.toString())
                                            .build())
                            .loadFromString(Files.readString(file));
            if (value == null) {
                throw new Unreadable(file + ": is empty");
            }
            return value;
        } catch (final YamlEngineException e) {
            throw new Unreadable(
                    "%s: %s".formatted(file, String.valueOf(e.getMessage()).replace('\n', ' ')));
        }
    }

    private static Revision parse(final Path file) throws IOException, Unreadable {
        final Map<?, ?> fields = map(read(file));
        try {
            return parse(fields);
        } catch (final Unreadable e) {
            throw new Unreadable("%s: %s".formatted(file, e.getMessage()));
        }
    }

    private static Revision parse(final Map<?, ?> fields) throws Unreadable {
        final List<Change> changes = new ArrayList<>();
        for (final Object change : list(fields, "changes")) {
            final Map<?, ?> fieldsOfChange = map(change);
            changes.add(
                    new Change(
                            new ObjectRef(
                                    text(fieldsOfChange, "kind"),
                                    text(fieldsOfChange, "namespace"),
                                    text(fieldsOfChange, "name")),
                            optional(fieldsOfChange, "before"),
                            optional(fieldsOfChange, "after")));
        }
        final List<String> sources = new ArrayList<>();
        list(fields, "sources").forEach(source -> sources.add(String.valueOf(source)));
        return new Revision(
                number(fields, "revision"),
                time(fields, "at"),
                text(fields, "command"),
                text(fields, "user"),
                List.copyOf(sources),
                List.copyOf(changes));
    }

    private static ConfirmationReport confirmation(final Map<?, ?> fields) throws Unreadable {
        final String word = text(fields, "state");
        for (final State state : State.values()) {
            if (state.name().equals(word)) {
                return new ConfirmationReport(
                        state,
                        number(fields, "revision"),
                        number(fields, "undoneTo"),
                        time(fields, "until"));
            }
        }
        throw new Unreadable("%s: state: \"%s\" is none".formatted(CONFIRMATION, word));
    }

    private static Map<?, ?> map(final Object value) throws Unreadable {
        if (value instanceof final Map<?, ?> map) {
            return map;
        }
        throw new Unreadable("a map is expected, not " + value);
    }

    private static Object field(final Map<?, ?> fields, final String name) throws Unreadable {
        final @Nullable Object value = fields.get(name);
        if (value == null) {
            throw new Unreadable("field " + name + " is missing");
        }
        return value;
    }

    private static List<?> list(final Map<?, ?> fields, final String name) throws Unreadable {
        if (field(fields, name) instanceof final List<?> list) {
            return list;
        }
        throw new Unreadable("field " + name + ": a list is expected");
    }

    private static String text(final Map<?, ?> fields, final String name) throws Unreadable {
        if (field(fields, name) instanceof final String text) {
            return text;
        }
        throw new Unreadable("field " + name + ": a text is expected");
    }

    private static Optional<String> optional(final Map<?, ?> fields, final String name)
            throws Unreadable {
        return fields.containsKey(name) ? Optional.of(text(fields, name)) : Optional.empty();
    }

    private static int number(final Map<?, ?> fields, final String name) throws Unreadable {
        if (field(fields, name) instanceof final Integer number) {
            return number;
        }
        throw new Unreadable("field " + name + ": a number is expected");
    }

    private static Instant time(final Map<?, ?> fields, final String name) throws Unreadable {
        try {
            return Instant.parse(text(fields, name));
        } catch (final DateTimeException e) {
            throw new Unreadable("field " + name + ": " + e.getMessage());
        }
    }
}
