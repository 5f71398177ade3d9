package io.sluice.control.agent;

import io.sluice.control.agent.ObjectChange.Outcome;
import io.sluice.control.agent.ObjectReport.Origin;
import io.sluice.control.agent.RequestException.Reason;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.SourceLocation;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;

/**
 * All objects in force: those of the watched folders, and those that were applied.
 *
 * <p>Every object has one owner. A folder's object is changed by editing its file; an applied one
 * by {@code apply} and {@code delete}, and it is kept as a file of the state folder, {@code
 * objects/Kind--namespace--name.yaml}, so that it is there after a restart. Where a folder brings
 * an object that was applied before, the folder's is in force and {@link #problems} says so.
 *
 * <p>Thread: control.
 */
final class ObjectStore {
    private final Path folder;
    private List<KubeObject> folderObjects = List.of();
    private List<Problem> folderProblems = List.of();
    private final Map<ObjectRef, KubeObject> applied = new TreeMap<>();

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
                    final ReadResult result =
                            ManifestReader.read(file.toString(), Files.readString(file));
                    if (result.hasErrors()) {
                        throw new StartupException(errors(result));
                    }
                    result.objects().forEach(object -> store.applied.put(object.ref(), object));
                }
            }
            return store;
        } catch (final IOException e) {
            throw new StartupException("%s: %s".formatted(folder, e), e);
        }
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
        final List<KubeObject> all = new ArrayList<>(folderObjects);
        final Map<ObjectRef, KubeObject> owned = byRef(folderObjects);
        applied.values().stream()
                .filter(object -> !owned.containsKey(object.ref()))
                .forEach(all::add);
        return all;
    }

    private static Map<ObjectRef, KubeObject> byRef(final List<KubeObject> objects) {
        final Map<ObjectRef, KubeObject> byRef = new LinkedHashMap<>();
        objects.forEach(object -> byRef.putIfAbsent(object.ref(), object));
        return byRef;
    }

    /** What is wrong with files, and applied objects that a folder's object hides. */
    List<Problem> problems() {
        final List<Problem> problems = new ArrayList<>(folderProblems);
        final Map<ObjectRef, KubeObject> owned = byRef(folderObjects);
        applied.forEach(
                (ref, object) -> {
                    final KubeObject owner = owned.get(ref);
                    if (owner != null) {
                        problems.add(
                                Problem.warning(
                                        object.where(),
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
                .forEach(object -> reports.put(object.ref(), report(object, Origin.APPLIED)));
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
                object.meta().manifest());
    }

    /** As {@link ControlPlane#apply}. */
    List<ObjectChange> apply(final String source, final String text, final ChangeMode mode) {
        final List<KubeObject> objects = read(source, text);
        objects.forEach(this::refuseFolderObject);
        final List<ObjectChange> changes = new ArrayList<>();
        final Map<Path, String> files = new LinkedHashMap<>();
        for (final KubeObject object : objects) {
            final KubeObject before = applied.get(object.ref());
            final Outcome outcome =
                    before == null
                            ? Outcome.CREATED
                            : before.meta().manifest().equals(object.meta().manifest())
                                    ? Outcome.UNCHANGED
                                    : Outcome.CONFIGURED;
            changes.add(change(object.ref(), outcome));
            if (outcome != Outcome.UNCHANGED) {
                files.put(file(object.ref()), yaml(object.meta().manifest()));
            }
        }
        if (mode == ChangeMode.CHANGE) {
            keep(files);
        }
        return changes;
    }

    /** Writes the objects' files and reads them back, so that their places are those files'. */
    private void keep(final Map<Path, String> files) {
        try {
            StateFiles.replaceAll(files);
        } catch (final IOException e) {
            throw new RequestException(
                    Reason.UNAVAILABLE,
                    "nothing was changed: %s cannot be written: %s".formatted(folder, e));
        }
        files.forEach(
                (file, text) -> {
                    for (final KubeObject object :
                            ManifestReader.read(file.toString(), text).objects()) {
                        applied.put(object.ref(), object);
                    }
                });
    }

    /** As {@link ControlPlane#delete(String, String, ChangeMode)}. */
    List<ObjectChange> delete(final String source, final String text, final ChangeMode mode) {
        final List<ObjectRef> refs = read(source, text).stream().map(KubeObject::ref).toList();
        refs.forEach(this::requireApplied);
        final List<ObjectChange> changes = new ArrayList<>();
        for (final ObjectRef ref : refs) {
            changes.add(delete(ref, mode));
        }
        return changes;
    }

    /**
     * Deletes one applied object.
     *
     * @throws RequestException NOT_FOUND, CONFLICT
     */
    ObjectChange delete(final ObjectRef ref, final ChangeMode mode) {
        requireApplied(ref);
        if (mode == ChangeMode.CHANGE) {
            try {
                Files.deleteIfExists(file(ref));
            } catch (final IOException e) {
                throw new RequestException(
                        Reason.UNAVAILABLE, "%s cannot be deleted: %s".formatted(file(ref), e));
            }
            applied.remove(ref);
        }
        return change(ref, Outcome.DELETED);
    }

    private static List<KubeObject> read(final String source, final String text) {
        final ReadResult result = ManifestReader.read(source, text);
        if (result.hasErrors()) {
            throw new RequestException(Reason.INVALID, List.of(errors(result).split("\n")));
        }
        if (result.objects().isEmpty()) {
            throw new RequestException(
                    Reason.INVALID, "%s: no objects passed to apply".formatted(source));
        }
        final Map<ObjectRef, SourceLocation> seen = new LinkedHashMap<>();
        for (final KubeObject object : result.objects()) {
            final SourceLocation first = seen.putIfAbsent(object.ref(), object.where());
            if (first != null) {
                throw new RequestException(
                        Reason.INVALID,
                        "%s: %s is already defined at %s"
                                .formatted(object.where(), object.ref(), first));
            }
        }
        return result.objects();
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

    private static ObjectChange change(final ObjectRef ref, final Outcome outcome) {
        return new ObjectChange(
                ResourceKind.of(ref.kind()).resource(), ref.namespace(), ref.name(), outcome);
    }

    private Path file(final ObjectRef ref) {
        return folder.resolve(
                String.join(
                                "--",
                                ref.kind(),
                                URLEncoder.encode(ref.namespace(), StandardCharsets.UTF_8),
                                URLEncoder.encode(ref.name(), StandardCharsets.UTF_8))
                        + ".yaml");
    }

    /** Block-style YAML of plain maps, lists and scalars. */
    static String yaml(final Map<String, Object> manifest) {
        return new Dump(DumpSettings.builder().setDefaultFlowStyle(FlowStyle.BLOCK).build())
                .dumpToString(manifest);
    }
}
