package io.sluice.control.agent;

import io.sluice.control.agent.ChangeRequest.Manifest;
import io.sluice.control.agent.ObjectChange.Outcome;
import io.sluice.control.agent.ObjectReport.Origin;
import io.sluice.control.agent.RequestException.Reason;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.PersistentMap;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.SourceLocation;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.resolver.ScalarResolver;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/**
 * All objects in force: those of the watched folders, and those that were applied.
 *
 * <p>Every object has one owner. A folder's object is changed by editing its file; an applied one
 * by {@code apply} and {@code delete}, and it is kept as a file of the state folder, {@code
 * objects/Kind_namespace_name.yaml} (no name can hold an underscore), so that it is there after a
 * restart. What is kept is read back before it replaces anything: an object that would not come
 * back as it was applied is refused. Where a folder brings an object that was applied before, the
 * folder's is in force and {@link #problems} says so.
 *
 * <p>Thread: control; a {@link Listing} any.
 */
final class ObjectStore {
    /** Longest name of a file on any file system in use, less what {@link StateFiles} adds. */
    private static final int FILE_NAME_BYTES_MAX = 255 - ".".length() - ".new".length();

    /** An applied object, what the reader says it does not do, and the text of its file. */
    private record Kept(KubeObject object, List<Problem> warnings, String text) {}

    /**
     * All objects at one moment. Immutable, any thread; what is listed is made when asked for.
     *
     * @param folderObjects the folders', in their order
     * @param owned the same by name: of two the first
     * @param folderProblems what is wrong with files
     * @param applied what was applied
     */
    private record Content(
            List<KubeObject> folderObjects,
            Map<ObjectRef, KubeObject> owned,
            List<Problem> folderProblems,
            PersistentMap<ObjectRef, Kept> applied)
            implements Listing {
        static final Content NONE =
                new Content(List.of(), Map.of(), List.of(), PersistentMap.empty());

        Content withFolders(final List<KubeObject> objects, final List<Problem> problems) {
            final Map<ObjectRef, KubeObject> byRef = new HashMap<>();
            objects.forEach(object -> byRef.putIfAbsent(object.ref(), object));
            return new Content(List.copyOf(objects), byRef, List.copyOf(problems), applied);
        }

        Content withApplied(final PersistentMap<ObjectRef, Kept> now) {
            return new Content(folderObjects, owned, folderProblems, now);
        }

        Map<ObjectRef, Kept> appliedInOrder() {
            return new TreeMap<>(applied);
        }

        @Override
        public List<Problem> problems() {
            final List<Problem> problems = new ArrayList<>(folderProblems);
            appliedInOrder()
                    .forEach(
                            (ref, kept) -> {
                                final KubeObject owner = owned.get(ref);
                                if (owner == null) {
                                    problems.addAll(kept.warnings());
                                } else {
                                    problems.add(
                                            Problem.warning(
                                                    kept.object().where(),
                                                    "",
                                                    "%s was applied, but %s defines it: the file's is in force"
                                                            .formatted(ref, owner.where())));
                                }
                            });
            return problems;
        }

        @Override
        public List<ObjectReport> reports() {
            final Map<ObjectRef, ObjectReport> reports = new TreeMap<>();
            applied.forEach((ref, kept) -> reports.put(ref, report(kept.object(), Origin.APPLIED)));
            owned.forEach((ref, object) -> reports.put(ref, report(object, Origin.FOLDER)));
            return List.copyOf(reports.values());
        }
    }

    /** What reports say of the objects of one moment. Immutable, any thread. */
    interface Listing {
        /**
         * What is wrong with files, what applied objects do not do, and applied objects that a
         * folder's object hides.
         */
        List<Problem> problems();

        /** Objects in force as the interface reports them, by kind, namespace and name. */
        List<ObjectReport> reports();
    }

    private final Path folder;
    private Content content = Content.NONE;

    private ObjectStore(final Path folder) {
        this.folder = folder;
    }

    /**
     * Reads what was applied before.
     *
     * @param folder {@code objects} in the state folder
     * @throws StartupException when a kept object cannot be read: starting without a policy that
     *     was in force would open what it closes
     */
    static ObjectStore load(final Path folder) throws StartupException {
        final ObjectStore store = new ObjectStore(folder);
        try {
            Files.createDirectories(folder);
            try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "[!.]*.yaml")) {
                for (final Path file : files) {
                    store.loadFile(file);
                }
            }
            return store;
        } catch (final IOException e) {
            throw new StartupException("%s: %s".formatted(folder, e), e);
        }
    }

    private void loadFile(final Path file) throws IOException, StartupException {
        final String text = Files.readString(file);
        final ReadResult result = DaemonManifests.read(file.toString(), text);
        if (result.hasErrors()) {
            throw new StartupException(errors(result));
        }
        if (result.objects().size() != 1) {
            throw new StartupException(
                    "%s: holds %d objects: one is expected in each file of this folder"
                            .formatted(file, result.objects().size()));
        }
        final KubeObject object = result.objects().getFirst();
        if (!file.equals(file(object.ref()))) {
            throw new StartupException(
                    "%s: holds %s: rename it to %s, or delete it"
                            .formatted(file, object.ref(), file(object.ref()).getFileName()));
        }
        keep(object.ref(), new Kept(object, result.problems(), text));
    }

    private void keep(final ObjectRef ref, final Kept kept) {
        content = content.withApplied(content.applied().with(ref, kept));
    }

    private static String errors(final ReadResult result) {
        return String.join(
                "\n",
                result.problems().stream()
                        .filter(Problem::isError)
                        .map(Problem::toString)
                        .toList());
    }

    /** Replaces everything the folders hold. */
    void setFolderContent(final List<KubeObject> objects, final List<Problem> problems) {
        content = content.withFolders(objects, problems);
    }

    /**
     * All objects in force, the folders' first; of two folder objects with one name both are here,
     * and the world tells which one counts.
     */
    List<KubeObject> objects() {
        return inForce(content.appliedInOrder().values().stream().map(Kept::object).toList());
    }

    private List<KubeObject> inForce(final Collection<KubeObject> ofApply) {
        final List<KubeObject> all = new ArrayList<>(content.folderObjects());
        for (final KubeObject object : ofApply) {
            if (!content.owned().containsKey(object.ref())) {
                all.add(object);
            }
        }
        return all;
    }

    /** The object of a name that is in force; empty where there is none. */
    Optional<KubeObject> inForce(final ObjectRef ref) {
        return Optional.ofNullable(content.owned().get(ref))
                .or(() -> Optional.ofNullable(content.applied().get(ref)).map(Kept::object));
    }

    /** The object of a step's name that would be in force after it. */
    Optional<KubeObject> inForceAfter(final Step step) {
        return Optional.ofNullable(content.owned().get(step.ref())).or(step::after);
    }

    /** What reports say of the objects as they are now. Costs nothing. */
    Listing listing() {
        return content;
    }

    /** As {@link Listing#problems}. */
    List<Problem> problems() {
        return content.problems();
    }

    /** As {@link Listing#reports}. */
    List<ObjectReport> reports() {
        return content.reports();
    }

    private static ObjectReport report(final KubeObject object, final Origin origin) {
        return new ObjectReport(
                object.meta().apiVersion(),
                object.ref().kind(),
                object.ref().namespace(),
                object.ref().name(),
                object.meta().labels(),
                origin,
                object.where().file(),
                object.where().line(),
                object.shown());
    }

    /**
     * What a change would do to one applied object.
     *
     * @param change as it is told to whoever asked
     * @param before text of its file; empty where there is none
     * @param after the object from then on; empty where it goes
     * @param text of its file from then on; empty where it goes
     */
    record Step(
            ObjectRef ref,
            ObjectChange change,
            Optional<String> before,
            Optional<KubeObject> after,
            Optional<String> text,
            List<Problem> warnings) {
        boolean changesSomething() {
            return change.outcome() != Outcome.UNCHANGED;
        }
    }

    /** As {@link ControlPlane#apply}. */
    List<ObjectChange> apply(final String source, final String text, final ChangeMode mode) {
        return make(planApply(List.of(new Manifest(source, text))), mode);
    }

    private List<ObjectChange> make(final List<Step> steps, final ChangeMode mode) {
        if (mode == ChangeMode.CHANGE) {
            carryOut(steps);
        }
        return steps.stream().map(Step::change).toList();
    }

    /**
     * What applying manifests would do; changes nothing.
     *
     * @throws RequestException INVALID, CONFLICT as for {@link ControlPlane#apply}
     */
    List<Step> planApply(final List<Manifest> manifests) {
        final List<Step> steps = new ArrayList<>();
        for (final ReadResult result : readAll(manifests)) {
            result.objects().forEach(this::refuseFolderObject);
            final Map<ObjectRef, List<String>> warnings = warnings(result);
            for (final KubeObject object : result.objects()) {
                steps.add(planApply(object, warnings.getOrDefault(object.ref(), List.of())));
            }
        }
        return steps;
    }

    private Step planApply(final KubeObject object, final List<String> warnings) {
        final ObjectRef ref = object.ref();
        final Kept before = content.applied().get(ref);
        if (before != null && sameManifest(before.object(), object)) {
            return unchanged(ref, before, warnings);
        }
        final String own = yaml(object.meta().manifest());
        final Kept kept = readBack(object, own);
        return new Step(
                ref,
                change(ref, before == null ? Outcome.CREATED : Outcome.CONFIGURED, warnings),
                Optional.ofNullable(before).map(Kept::text),
                Optional.of(kept.object()),
                Optional.of(own),
                kept.warnings());
    }

    private static Step unchanged(
            final ObjectRef ref, final Kept kept, final List<String> warnings) {
        return new Step(
                ref,
                change(ref, Outcome.UNCHANGED, warnings),
                Optional.of(kept.text()),
                Optional.of(kept.object()),
                Optional.of(kept.text()),
                kept.warnings());
    }

    /**
     * What deleting the objects that manifests name would do; changes nothing.
     *
     * @throws RequestException INVALID, NOT_FOUND, CONFLICT
     */
    List<Step> planDelete(final List<Manifest> manifests) {
        final List<ObjectRef> refs = new ArrayList<>();
        for (final ReadResult result : readAll(manifests)) {
            result.objects().forEach(object -> refs.add(object.ref()));
        }
        refs.forEach(this::requireApplied);
        return refs.stream().map(this::planDelete).toList();
    }

    /**
     * What deleting one applied object would do; changes nothing.
     *
     * @throws RequestException NOT_FOUND, CONFLICT
     */
    Step planDelete(final ObjectRef ref) {
        requireApplied(ref);
        return gone(ref);
    }

    private Step gone(final ObjectRef ref) {
        return new Step(
                ref,
                change(ref, Outcome.DELETED, List.of()),
                text(ref),
                Optional.empty(),
                Optional.empty(),
                List.of());
    }

    /** Text of the file of an applied object; empty where there is none. */
    Optional<String> text(final ObjectRef ref) {
        return Optional.ofNullable(content.applied().get(ref)).map(Kept::text);
    }

    /** Where a watched folder defines an object of this name; empty where none does. */
    Optional<SourceLocation> folderOf(final ObjectRef ref) {
        return Optional.ofNullable(content.owned().get(ref)).map(KubeObject::where);
    }

    /**
     * What giving applied objects former contents would do; changes nothing, and asks no folder.
     *
     * @param texts of the files; empty where there was none
     * @throws RequestException INVALID where a text cannot be read any more
     */
    List<Step> planRestore(final Map<ObjectRef, Optional<String>> texts) {
        final List<Step> steps = new ArrayList<>();
        texts.forEach(
                (ref, text) -> {
                    final Kept before = content.applied().get(ref);
                    if (text(ref).equals(text)) {
                        if (before != null) {
                            steps.add(unchanged(ref, before, List.of()));
                        }
                    } else if (text.isEmpty()) {
                        steps.add(gone(ref));
                    } else {
                        steps.add(planRestore(ref, text.get()));
                    }
                });
        return steps;
    }

    private Step planRestore(final ObjectRef ref, final String text) {
        final ReadResult result = DaemonManifests.read(file(ref).toString(), text);
        if (result.hasErrors()
                || result.objects().size() != 1
                || !result.objects().getFirst().ref().equals(ref)) {
            throw new RequestException(
                    Reason.INVALID,
                    "%s cannot be restored: its former text is not read any more:%n%s"
                            .formatted(ref, errors(result)));
        }
        return new Step(
                ref,
                change(
                        ref,
                        content.applied().containsKey(ref) ? Outcome.CONFIGURED : Outcome.CREATED,
                        List.of()),
                text(ref),
                Optional.of(result.objects().getFirst()),
                Optional.of(text),
                result.problems());
    }

    /** All objects that would be in force after a change, as {@link #objects}. */
    List<KubeObject> objectsAfter(final List<Step> steps) {
        final Map<ObjectRef, KubeObject> after = new TreeMap<>();
        content.applied().forEach((ref, kept) -> after.put(ref, kept.object()));
        for (final Step step : steps) {
            step.after()
                    .ifPresentOrElse(
                            object -> after.put(step.ref(), object),
                            () -> after.remove(step.ref()));
        }
        return inForce(after.values());
    }

    /**
     * Makes a change: files first, memory then. Of files that are replaced all or none are, but for
     * a file system that fails half-way; those that go, go last.
     *
     * @throws RequestException UNAVAILABLE where the files cannot be written
     */
    void carryOut(final List<Step> steps) {
        try (StateFiles.Prepared files = prepare(steps)) {
            files.replace();
        } catch (final IOException e) {
            throw unwritten(e);
        }
        hold(steps.stream().filter(step -> step.text().isPresent()).toList());
        for (final Step step : steps) {
            if (step.text().isEmpty()) {
                deleteFile(step.ref());
                hold(List.of(step));
            }
        }
    }

    /**
     * Writes the files that a change replaces, beside their places.
     *
     * @throws RequestException UNAVAILABLE where they cannot be written; nothing has changed then
     */
    StateFiles.Prepared prepare(final List<Step> steps) {
        final Map<Path, String> files = new LinkedHashMap<>();
        for (final Step step : steps) {
            if (step.changesSomething()) {
                step.text().ifPresent(text -> files.put(file(step.ref()), text));
            }
        }
        try {
            return StateFiles.prepare(files);
        } catch (final IOException e) {
            throw unwritten(e);
        }
    }

    private RequestException unwritten(final IOException e) {
        return new RequestException(
                Reason.UNAVAILABLE,
                "nothing was changed: %s cannot be written: %s".formatted(folder, e));
    }

    /** Makes a change in memory. */
    void hold(final List<Step> steps) {
        PersistentMap<ObjectRef, Kept> next = content.applied();
        for (final Step step : steps) {
            if (step.changesSomething()) {
                next =
                        step.text().isEmpty()
                                ? next.without(step.ref())
                                : next.with(
                                        step.ref(),
                                        new Kept(
                                                step.after().orElseThrow(),
                                                step.warnings(),
                                                step.text().get()));
            }
        }
        content = content.withApplied(next);
    }

    /** Brings what {@link #prepare} wrote into place; files that go, go last. */
    void replaceFiles(final StateFiles.Prepared files, final List<Step> steps) throws IOException {
        files.replace();
        for (final Step step : steps) {
            if (step.text().isEmpty()) {
                deleteFile(step.ref());
            }
        }
    }

    private void deleteFile(final ObjectRef ref) {
        try {
            Files.deleteIfExists(file(ref));
        } catch (final IOException e) {
            throw new RequestException(
                    Reason.UNAVAILABLE, "%s cannot be deleted: %s".formatted(file(ref), e));
        }
    }

    private static boolean sameManifest(final KubeObject one, final KubeObject other) {
        return one.meta().manifest().equals(other.meta().manifest());
    }

    /**
     * Warnings by the object they are about, which is the last that begins before their place. One
     * about a document that was left out goes with the object before it, or with the first.
     */
    private static Map<ObjectRef, List<String>> warnings(final ReadResult result) {
        final Map<ObjectRef, List<String>> warnings = new LinkedHashMap<>();
        for (final Problem warning : result.problems()) {
            KubeObject about = result.objects().getFirst();
            for (final KubeObject object : result.objects()) {
                if (isBefore(about.where(), object.where())
                        && !isBefore(warning.where(), object.where())) {
                    about = object;
                }
            }
            warnings.computeIfAbsent(about.ref(), _ -> new ArrayList<>()).add(warning.toString());
        }
        return warnings;
    }

    private static boolean isBefore(final SourceLocation one, final SourceLocation other) {
        return one.line() < other.line()
                || (one.line() == other.line() && one.column() < other.column());
    }

    /**
     * The object as its file will hold it, with its places there.
     *
     * @param text of the file, which is not written yet
     */
    private Kept readBack(final KubeObject object, final String text) {
        final Path file = file(object.ref());
        final int nameBytes = file.getFileName().toString().getBytes(StandardCharsets.UTF_8).length;
        if (nameBytes > FILE_NAME_BYTES_MAX) {
            throw new RequestException(
                    Reason.INVALID,
                    "%s: %s: namespace and name are too long to be kept: %d bytes more than a file's name can have"
                            .formatted(
                                    object.where(), object.ref(), nameBytes - FILE_NAME_BYTES_MAX));
        }
        final ReadResult back = DaemonManifests.read(file.toString(), text);
        if (back.hasErrors()
                || back.objects().size() != 1
                || !back.objects().getFirst().ref().equals(object.ref())
                || !sameManifest(back.objects().getFirst(), object)) {
            throw new RequestException(
                    Reason.INVALID,
                    "%s: %s cannot be kept: written to its file it would be read back as something else%s"
                            .formatted(
                                    object.where(),
                                    object.ref(),
                                    back.hasErrors()
                                            ? ": " + errors(back).lines().findFirst().orElse("")
                                            : ""));
        }
        return new Kept(back.objects().getFirst(), back.problems(), text);
    }

    /** As {@link ControlPlane#delete(String, String, ChangeMode)}. */
    List<ObjectChange> delete(final String source, final String text, final ChangeMode mode) {
        return make(planDelete(List.of(new Manifest(source, text))), mode);
    }

    /**
     * Deletes one applied object.
     *
     * @throws RequestException NOT_FOUND, CONFLICT
     */
    ObjectChange delete(final ObjectRef ref, final ChangeMode mode) {
        return make(List.of(planDelete(ref)), mode).getFirst();
    }

    /** Reads manifests that are one change: no object may be in two of them. */
    private static List<ReadResult> readAll(final List<Manifest> manifests) {
        final List<ReadResult> results = new ArrayList<>();
        final Map<ObjectRef, SourceLocation> seen = new LinkedHashMap<>();
        for (final Manifest manifest : manifests) {
            results.add(read(manifest.source(), manifest.text(), seen));
        }
        return results;
    }

    private static ReadResult read(
            final String source, final String text, final Map<ObjectRef, SourceLocation> seen) {
        final ReadResult result = DaemonManifests.read(source, text);
        if (result.hasErrors()) {
            throw new RequestException(Reason.INVALID, List.of(errors(result).split("\n")));
        }
        if (result.objects().isEmpty()) {
            throw new RequestException(
                    Reason.INVALID, "%s: no objects passed to apply".formatted(source));
        }
        for (final KubeObject object : result.objects()) {
            final SourceLocation first = seen.putIfAbsent(object.ref(), object.where());
            if (first != null) {
                throw new RequestException(
                        Reason.INVALID,
                        "%s: %s is already defined at %s"
                                .formatted(object.where(), object.ref(), first));
            }
        }
        return result;
    }

    private void refuseFolderObject(final KubeObject object) {
        refuseFolderObject(object.ref());
    }

    private void refuseFolderObject(final ObjectRef ref) {
        final KubeObject owner = content.owned().get(ref);
        if (owner != null) {
            throw new RequestException(
                    Reason.CONFLICT,
                    "%s is defined at %s: edit that file".formatted(ref, owner.where()));
        }
    }

    private void requireApplied(final ObjectRef ref) {
        refuseFolderObject(ref);
        if (!content.applied().containsKey(ref)) {
            throw new RequestException(
                    Reason.NOT_FOUND,
                    "%s \"%s\" not found"
                            .formatted(ResourceKind.of(ref.kind()).resource(), ref.name()));
        }
    }

    private static ObjectChange change(
            final ObjectRef ref, final Outcome outcome, final List<String> warnings) {
        return new ObjectChange(
                ResourceKind.of(ref.kind()).resource(),
                ref.namespace(),
                ref.name(),
                outcome,
                warnings);
    }

    private Path file(final ObjectRef ref) {
        return folder.resolve("%s_%s_%s.yaml".formatted(ref.kind(), ref.namespace(), ref.name()));
    }

    /**
     * Block-style YAML of plain maps, lists and scalars, with quotes around every text that the
     * core schema, by which manifests are read, would take for something else.
     */
    static String yaml(final Map<String, Object> manifest) {
        return new Dump(
                        DumpSettings.builder()
                                .setDefaultFlowStyle(FlowStyle.BLOCK)
                                .setSchema(new WrittenSchema())
                                .build())
                .dumpToString(manifest);
    }

    /**
     * The core schema with one resolver. The library asks for it at every scalar that it writes,
     * and makes a new one each time: most of the time and memory of writing a large object.
     */
    private static final class WrittenSchema extends CoreSchema {
        private final ScalarResolver resolver = super.getScalarResolver();

        @Override
        public ScalarResolver getScalarResolver() {
            return resolver;
        }
    }
}
