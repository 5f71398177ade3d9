package io.sluice.control.agent;

import io.sluice.control.agent.ChangeRequest.Manifest;
import io.sluice.control.agent.ObjectChange.Outcome;
import io.sluice.control.agent.ObjectReport.Origin;
import io.sluice.control.agent.RequestException.Reason;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
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
 * <p>Thread: control.
 */
final class ObjectStore {
    /** Longest name of a file on any file system in use, less what {@link StateFiles} adds. */
    private static final int FILE_NAME_BYTES_MAX = 255 - ".".length() - ".new".length();

    /** An applied object, what the reader says it does not do, and the text of its file. */
    private record Kept(KubeObject object, List<Problem> warnings, String text) {}

    private final Path folder;
    private List<KubeObject> folderObjects = List.of();
    private List<Problem> folderProblems = List.of();
    private final Map<ObjectRef, Kept> applied = new TreeMap<>();

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
        applied.put(object.ref(), new Kept(object, result.problems(), text));
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
        folderObjects = List.copyOf(objects);
        folderProblems = List.copyOf(problems);
    }

    /**
     * All objects in force, the folders' first; of two folder objects with one name both are here,
     * and the world tells which one counts.
     */
    List<KubeObject> objects() {
        return inForce(applied.values().stream().map(Kept::object).toList());
    }

    private List<KubeObject> inForce(final Collection<KubeObject> ofApply) {
        final List<KubeObject> all = new ArrayList<>(folderObjects);
        final Map<ObjectRef, KubeObject> owned = byRef(folderObjects);
        for (final KubeObject object : ofApply) {
            if (!owned.containsKey(object.ref())) {
                all.add(object);
            }
        }
        return all;
    }

    private static Map<ObjectRef, KubeObject> byRef(final List<KubeObject> objects) {
        final Map<ObjectRef, KubeObject> byRef = new LinkedHashMap<>();
        objects.forEach(object -> byRef.putIfAbsent(object.ref(), object));
        return byRef;
    }

    /**
     * What is wrong with files, what applied objects do not do, and applied objects that a folder's
     * object hides.
     */
    List<Problem> problems() {
        final List<Problem> problems = new ArrayList<>(folderProblems);
        final Map<ObjectRef, KubeObject> owned = byRef(folderObjects);
        applied.forEach(
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

    /** Objects in force as the interface reports them, by kind, namespace and name. */
    List<ObjectReport> reports() {
        final Map<ObjectRef, ObjectReport> reports = new TreeMap<>();
        applied.values()
                .forEach(
                        kept ->
                                reports.put(
                                        kept.object().ref(),
                                        report(kept.object(), Origin.APPLIED)));
        byRef(folderObjects)
                .values()
                .forEach(object -> reports.put(object.ref(), report(object, Origin.FOLDER)));
        return List.copyOf(reports.values());
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
        final Kept before = applied.get(ref);
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
        return Optional.ofNullable(applied.get(ref)).map(Kept::text);
    }

    /** Where a watched folder defines an object of this name; empty where none does. */
    Optional<SourceLocation> folderOf(final ObjectRef ref) {
        return Optional.ofNullable(byRef(folderObjects).get(ref)).map(KubeObject::where);
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
                    final Kept before = applied.get(ref);
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
                        applied.containsKey(ref) ? Outcome.CONFIGURED : Outcome.CREATED,
                        List.of()),
                text(ref),
                Optional.of(result.objects().getFirst()),
                Optional.of(text),
                result.problems());
    }

    /** All objects that would be in force after a change, as {@link #objects}. */
    List<KubeObject> objectsAfter(final List<Step> steps) {
        final Map<ObjectRef, KubeObject> after = new TreeMap<>();
        applied.forEach((ref, kept) -> after.put(ref, kept.object()));
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
        final Map<Path, String> files = new LinkedHashMap<>();
        for (final Step step : steps) {
            if (step.changesSomething()) {
                step.text().ifPresent(text -> files.put(file(step.ref()), text));
            }
        }
        write(files);
        for (final Step step : steps) {
            if (step.changesSomething() && step.text().isPresent()) {
                applied.put(
                        step.ref(),
                        new Kept(
                                step.after().orElseThrow(),
                                step.warnings(),
                                step.text().orElseThrow()));
            }
        }
        for (final Step step : steps) {
            if (step.text().isEmpty()) {
                remove(step.ref());
            }
        }
    }

    private void remove(final ObjectRef ref) {
        try {
            Files.deleteIfExists(file(ref));
        } catch (final IOException e) {
            throw new RequestException(
                    Reason.UNAVAILABLE, "%s cannot be deleted: %s".formatted(file(ref), e));
        }
        applied.remove(ref);
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

    private void write(final Map<Path, String> files) {
        try {
            StateFiles.replaceAll(files);
        } catch (final IOException e) {
            throw new RequestException(
                    Reason.UNAVAILABLE,
                    "nothing was changed: %s cannot be written: %s".formatted(folder, e));
        }
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
        final KubeObject owner = byRef(folderObjects).get(ref);
        if (owner != null) {
            throw new RequestException(
                    Reason.CONFLICT,
                    "%s is defined at %s: edit that file".formatted(ref, owner.where()));
        }
    }

    private void requireApplied(final ObjectRef ref) {
        refuseFolderObject(ref);
        if (!applied.containsKey(ref)) {
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
                                .setSchema(new CoreSchema())
                                .build())
                .dumpToString(manifest);
    }
}
