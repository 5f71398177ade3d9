package io.sluice.control.agent;

import io.sluice.conntrack.Conntrack;
import io.sluice.control.agent.ConfirmationReport.State;
import io.sluice.control.agent.ObjectStore.Step;
import io.sluice.control.agent.PolicyHistory.Change;
import io.sluice.control.agent.PolicyHistory.Revision;
import io.sluice.control.agent.RequestException.Reason;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.SourceLocation;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Changes of applied objects, made so that they can be undone.
 *
 * <h2>Theory of operation</h2>
 *
 * <pre>
 *   plan -> files beside their places -> in force -> files in place -> answer    judge open flows
 *   (control)                                                                    (the caller's)
 * </pre>
 *
 * <p>Written, in force, kept, answered. The revision with both texts of every object, the deadline
 * where there is one, and the objects' files are written beside their places first: a file system
 * without room refuses the change before anything has happened. Then it is put in force, and only
 * then forced to disk and renamed, history first: a disk takes milliseconds for that, which packets
 * do not have to wait for. Whoever asked is answered when it is in force and kept. A crash in
 * between leaves what was before, of a change that nobody was told of. If the files cannot be
 * brought into place after all, the change is taken back. A change with Pods among its objects is
 * kept first, so that no device is made that nothing would tell of after a crash.
 *
 * <p>A crash while files are renamed leaves one of three things, which {@link #recover} tells apart
 * by the objects: none has its new text (the change was not made, its revision goes), all have (it
 * was made), or some have (the others are given theirs).
 *
 * <p>Cut flows. Where only the list is wanted, flows are judged when the change is in force, on the
 * caller's thread, by the policy before and by the one after: nothing waits for it. Where cuts
 * refuse the change, nothing is to be changed, or endpoints may go, they are judged before, against
 * a trial: what would be is compiled and published to nobody. Between trial and change an endpoint
 * may come or a folder change: that list is of a moment.
 *
 * <p>Rollback. Objects that a later revision touched get the text they had before the first of
 * these; others stay. A rollback is itself a revision. What a watched folder defines is its file's
 * to change: a rollback that would have to is refused whole, with the file's name. Plugging in and
 * out ({@code endpoint add}, {@code delete}) makes no revision, because it follows workloads and
 * not policy; a Pod that it touched since its last revision is left as it is.
 *
 * <p>Confirmation, as network gear's "commit confirmed": a change with a deadline is undone by the
 * daemon unless it is confirmed in time. The deadline is on disk before the objects are. A daemon
 * that was killed undoes at its start, before anything is compiled, if the deadline has passed
 * meanwhile. It has passed when the wall clock says so, or as much time has gone by here: a clock
 * that is set back does not keep it waiting. One at a time: until it is decided every other change
 * is refused, because undoing one of two that build on each other is a third that nobody asked for.
 * Rolling back to where it would be undone to, by hand, is undoing it at once. An undo does what it
 * can where a rollback would be refused: what a folder defines meanwhile stays in force, and the
 * applied object behind it is restored. An undo that the disk has no room for is tried again every
 * second, and {@link #problem} says so.
 *
 * <p>Thread: {@link #change}, {@link #confirm} and the reports any but control; {@link #recover}
 * the start, before control runs; {@link #tick} control.
 */
final class Rollouts {
    private static final Logger LOG = LoggerFactory.getLogger(Rollouts.class);

    private static final String POD = "Pod";

    /** How long a change waits for one before it; clients wait for 60 seconds. */
    private static final long TURN_SECONDS = 20;

    private final ObjectStore store;
    private final PolicyHistory history;
    private final Clock clock;
    private final LongSupplier monotonicNs;
    // One change at a time, from its plan to its end.
    private final ReentrantLock changing = new ReentrantLock();
    // Control only, as the store and the history: when the pending change is undone.
    private long deadlineNs;
    private volatile String problem = "";

    /** What changes are judged by and put in force with. */
    record Switch(
            ControlThread control,
            Reconciler reconciler,
            PolicyPublisher publisher,
            Conntrack conntrack,
            LongSupplier laneClockNs) {}

    /**
     * @param clock tells times of day
     * @param monotonicNs never goes back
     */
    Rollouts(
            final ObjectStore store,
            final PolicyHistory history,
            final Clock clock,
            final LongSupplier monotonicNs) {
        this.store = store;
        this.history = history;
        this.clock = clock;
        this.monotonicNs = monotonicNs;
    }

    /**
     * Brings objects and history together after a crash, and undoes a change whose deadline has
     * passed. Call before the objects are used, with the folders' content set.
     */
    void recover() {
        history.newestRevision().ifPresent(this::finish);
        final ConfirmationReport pending = history.confirmation();
        if (!pending.isPending()) {
            return;
        }
        if (pending.revision() > history.newest()) {
            // Its objects were never written.
            remember(pending.in(State.UNDONE));
            return;
        }
        final Duration left = Duration.between(clock.instant(), pending.until());
        // The clock may have been set back while nobody ran.
        startDeadline(
                left.compareTo(ChangeRequest.CONFIRM_MAX) < 0 ? left : ChangeRequest.CONFIRM_MAX);
        if (isDue()) {
            undo();
        } else {
            LOG.warn(
                    "revision {} waits for its confirmation: undone at {}",
                    pending.revision(),
                    pending.until());
        }
    }

    private void finish(final Revision newest) {
        int atBefore = 0;
        final Map<ObjectRef, Optional<String>> missing = new LinkedHashMap<>();
        for (final Change change : newest.changes()) {
            final Optional<String> now = store.text(change.ref());
            if (!now.equals(change.after()) && now.equals(change.before())) {
                atBefore++;
                missing.put(change.ref(), change.after());
            }
        }
        if (atBefore == 0) {
            return;
        }
        if (atBefore == newest.changes().size()) {
            LOG.warn("revision {} was not made before the crash", newest.revision());
            history.dropNewest();
            return;
        }
        LOG.warn("revision {} was made in part before the crash: completed", newest.revision());
        store.carryOut(store.planRestore(missing));
    }

    // Changes.

    /** As {@link ControlPlane#change}. */
    ChangeReport change(final ChangeRequest request, final Switch parts) {
        if (!await(changing)) {
            throw new RequestException(
                    Reason.UNAVAILABLE, "another change is being made: try again");
        }
        try {
            final boolean changesAnyway =
                    request.mode() == ChangeMode.CHANGE
                            && request.cuts() == ChangeRequest.CutMode.TELL;
            final Begun begun =
                    parts.control()
                            .call(
                                    () -> {
                                        final List<Step> steps = plan(request);
                                        return changesAnyway && !hasPods(steps)
                                                ? make(request, steps, parts)
                                                : trial(steps, parts);
                                    });
            final CutsReport cuts = judge(begun, parts);
            return switch (begun) {
                case final Made made ->
                        new ChangeReport(
                                made.revision(), changes(made.steps()), cuts, made.confirmation());
                case final Trial trial -> afterTrial(request, trial, cuts, parts);
            };
        } finally {
            changing.unlock();
        }
    }

    private ChangeReport afterTrial(
            final ChangeRequest request,
            final Trial trial,
            final CutsReport cuts,
            final Switch parts) {
        if (request.cuts() == ChangeRequest.CutMode.REFUSE) {
            refuse(cuts);
        }
        if (request.mode() == ChangeMode.DRY_RUN) {
            return new ChangeReport(0, changes(trial.steps()), cuts, history.confirmation());
        }
        final Made made = parts.control().call(() -> make(request, plan(request), parts));
        return new ChangeReport(made.revision(), changes(made.steps()), cuts, made.confirmation());
    }

    private static List<ObjectChange> changes(final List<Step> steps) {
        return steps.stream().map(Step::change).toList();
    }

    private static boolean hasPods(final List<Step> steps) {
        return steps.stream().anyMatch(step -> step.ref().kind().equals(POD));
    }

    private static boolean await(final ReentrantLock lock) {
        try {
            return lock.tryLock(TURN_SECONDS, TimeUnit.SECONDS);
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** A change of which flows are to be judged: the policy before, and the other one. */
    private sealed interface Begun {
        LivePolicy before();

        /** Empty where it cannot be compiled. */
        Optional<FlowCuts.Other> after();

        /** Why it cannot be. */
        String problem();
    }

    /** What a change would do, and the policy that would be. */
    private record Trial(
            List<Step> steps, LivePolicy before, Optional<FlowCuts.Other> after, String problem)
            implements Begun {}

    /** A change that is in force. */
    private record Made(
            int revision,
            List<Step> steps,
            LivePolicy before,
            LivePolicy inForce,
            ConfirmationReport confirmation)
            implements Begun {
        @Override
        public Optional<FlowCuts.Other> after() {
            return Optional.of(FlowCuts.Other.of(inForce));
        }

        @Override
        public String problem() {
            return "";
        }
    }

    private static CutsReport judge(final Begun begun, final Switch parts) {
        if (begun.after().isEmpty()) {
            return new CutsReport(0, 0, List.of(), begun.problem());
        }
        return FlowCuts.of(
                begun.before(),
                begun.after().get(),
                sink -> parts.conntrack().forEach(parts.laneClockNs().getAsLong(), sink));
    }

    private static Trial trial(final List<Step> steps, final Switch parts) {
        final LivePolicy before = parts.publisher().live();
        if (steps.stream().noneMatch(Step::changesSomething)) {
            return new Trial(steps, before, Optional.of(FlowCuts.Other.of(before)), "");
        }
        try {
            return new Trial(steps, before, Optional.of(parts.reconciler().onTrial(steps)), "");
        } catch (final RuntimeException e) {
            LOG.warn("the policy that would be does not compile", e);
            return new Trial(
                    steps,
                    before,
                    Optional.empty(),
                    "open flows were not judged: the policy does not compile: " + e);
        }
    }

    private static void refuse(final CutsReport cuts) {
        if (!cuts.problem().isEmpty()) {
            throw new RequestException(
                    Reason.UNAVAILABLE, "nothing was changed: " + cuts.problem());
        }
        if (cuts.cut() > 0) {
            final List<String> lines = new ArrayList<>();
            lines.add(
                    "nothing was changed: %d of %d open flows would be cut"
                            .formatted(cuts.cut(), cuts.open()));
            cuts.pairs().forEach(pair -> lines.add(pair.toString()));
            throw new RequestException(Reason.CONFLICT, lines);
        }
    }

    private List<Step> plan(final ChangeRequest request) {
        final ConfirmationReport pending = history.confirmation();
        final boolean undoes =
                request.what() instanceof final ChangeRequest.Rollback back
                        && back.revision() == pending.undoneTo()
                        && request.confirmWithin().isEmpty();
        if (pending.isPending() && !undoes) {
            throw new RequestException(
                    Reason.CONFLICT,
                    "revision %d waits for its confirmation until %s: `sluice policy confirm` keeps it, `sluice policy rollback %d` undoes it; nothing else is changed until then"
                            .formatted(pending.revision(), pending.until(), pending.undoneTo()));
        }
        return switch (request.what()) {
            case ChangeRequest.Apply apply -> store.planApply(apply.manifests());
            case ChangeRequest.Delete delete -> store.planDelete(delete.manifests());
            case ChangeRequest.DeleteObject object -> List.of(store.planDelete(ref(object)));
            case ChangeRequest.Rollback rollback -> planRollback(rollback.revision());
        };
    }

    private static ObjectRef ref(final ChangeRequest.DeleteObject object) {
        final ResourceKind resource = ResourceKind.of(object.kind());
        final String namespace = object.namespace().isEmpty() ? "default" : object.namespace();
        return new ObjectRef(
                resource.kind(), resource.isNamespaced() ? namespace : "", object.name());
    }

    private List<Step> planRollback(final int revision) {
        final List<Step> steps = store.planRestore(textsAfter(revision));
        final List<String> owned = new ArrayList<>();
        for (final Step step : steps) {
            final Optional<SourceLocation> where = store.folderOf(step.ref());
            if (step.changesSomething() && where.isPresent()) {
                owned.add("%s is defined at %s: edit that file".formatted(step.ref(), where.get()));
            }
        }
        if (!owned.isEmpty()) {
            throw new RequestException(Reason.CONFLICT, owned);
        }
        return steps;
    }

    /** What objects had, less the Pods that were plugged in or out since. */
    private Map<ObjectRef, Optional<String>> textsAfter(final int revision) {
        final Map<ObjectRef, Optional<String>> texts = history.before(revision);
        final Map<ObjectRef, Optional<String>> newest = history.newestTexts(revision);
        texts.keySet()
                .removeIf(
                        ref ->
                                ref.kind().equals(POD)
                                        && !store.text(ref)
                                                .equals(
                                                        newest.getOrDefault(
                                                                ref, Optional.empty())));
        return texts;
    }

    private Made make(final ChangeRequest request, final List<Step> steps, final Switch parts) {
        if (parts.reconciler().isStopping()) {
            throw new RequestException(Reason.UNAVAILABLE, "the daemon is stopping");
        }
        final LivePolicy before = parts.publisher().live();
        final ConfirmationReport pending = history.confirmation();
        int revision = 0;
        Optional<RequestException> refused = Optional.empty();
        if (steps.stream().anyMatch(Step::changesSomething)) {
            revision = history.newest() + 1;
            refused = write(request, revision, steps, parts);
        } else {
            parts.reconciler().reconcile();
        }
        if (pending.isPending()) {
            // The plan was its undoing.
            remember(pending.in(State.UNDONE));
        }
        if (refused.isPresent()) {
            throw refused.get();
        }
        return new Made(revision, steps, before, parts.publisher().live(), history.confirmation());
    }

    /**
     * Puts a change in force and keeps it; of one that cannot be written nothing is left.
     *
     * @return why it is kept, but not in force
     */
    private Optional<RequestException> write(
            final ChangeRequest request,
            final int revision,
            final List<Step> steps,
            final Switch parts) {
        final Optional<ConfirmationReport> awaited =
                request.confirmWithin()
                        .map(
                                within ->
                                        new ConfirmationReport(
                                                State.PENDING,
                                                revision,
                                                revision - 1,
                                                clock.instant().plus(within)));
        final Map<Path, String> files =
                new LinkedHashMap<>(
                        history.files(
                                revision(
                                        command(request.what()),
                                        request.user(),
                                        sources(request.what()),
                                        steps)));
        awaited.map(history::files).ifPresent(files::putAll);
        final boolean isKeptFirst = hasPods(steps);
        Optional<RequestException> refused = Optional.empty();
        try (StateFiles.Prepared told = StateFiles.prepare(files);
                StateFiles.Prepared objects = store.prepare(steps)) {
            store.hold(steps);
            try {
                if (!isKeptFirst) {
                    refused = putInForce(steps, parts);
                }
                told.replace();
                history.appended(revision);
                awaited.ifPresent(history::confirmationWritten);
                store.replaceFiles(objects, steps);
            } catch (final IOException | RequestException e) {
                takeBack(steps, revision, parts);
                throw e;
            }
        } catch (final IOException e) {
            throw new RequestException(
                    Reason.UNAVAILABLE,
                    "nothing was changed: the history cannot be written: %s".formatted(e));
        }
        request.confirmWithin().ifPresent(this::startDeadline);
        awaited.ifPresent(
                waits ->
                        LOG.info(
                                "revision {} has to be confirmed until {}",
                                revision,
                                waits.until()));
        return isKeptFirst ? putInForce(steps, parts) : refused;
    }

    /** Why a change is not in force: it is kept, and tried again. */
    private static Optional<RequestException> putInForce(
            final List<Step> steps, final Switch parts) {
        try {
            parts.reconciler().reconcile(steps.stream().map(Step::ref).toList());
            return Optional.empty();
        } catch (final RequestException e) {
            return Optional.of(e);
        }
    }

    /** The disk failed between the files' first half and their second. */
    private void takeBack(final List<Step> steps, final int revision, final Switch parts) {
        LOG.error("revision {} cannot be kept and is taken back", revision);
        final Map<ObjectRef, Optional<String>> before = new LinkedHashMap<>();
        steps.forEach(step -> before.put(step.ref(), step.before()));
        final List<Step> back = store.planRestore(before);
        store.hold(back);
        final Optional<RequestException> refused = putInForce(back, parts);
        refused.ifPresent(e -> LOG.error("what was before is not in force", e));
        try {
            store.carryOut(back);
        } catch (final RequestException e) {
            LOG.error("what was before is not kept", e);
        }
        if (history.confirmation().revision() == revision) {
            remember(history.confirmation().in(State.UNDONE));
        }
        history.drop(revision);
    }

    private Revision revision(
            final String command,
            final String user,
            final List<String> sources,
            final List<Step> steps) {
        return new Revision(
                history.newest() + 1,
                clock.instant(),
                command,
                user,
                sources,
                steps.stream()
                        .filter(Step::changesSomething)
                        .map(step -> new Change(step.ref(), step.before(), step.text()))
                        .toList());
    }

    private static String command(final ChangeRequest.What what) {
        return switch (what) {
            case ChangeRequest.Apply _ -> "apply";
            case ChangeRequest.Delete _, ChangeRequest.DeleteObject _ -> "delete";
            case ChangeRequest.Rollback _ -> "rollback";
        };
    }

    private static List<String> sources(final ChangeRequest.What what) {
        return switch (what) {
            case ChangeRequest.Apply apply ->
                    apply.manifests().stream().map(ChangeRequest.Manifest::source).toList();
            case ChangeRequest.Delete delete ->
                    delete.manifests().stream().map(ChangeRequest.Manifest::source).toList();
            case ChangeRequest.DeleteObject object ->
                    List.of(
                            object.namespace().isEmpty()
                                    ? object.kind() + " " + object.name()
                                    : "%s %s -n %s"
                                            .formatted(
                                                    object.kind(),
                                                    object.name(),
                                                    object.namespace()));
            case ChangeRequest.Rollback rollback -> List.of("to revision " + rollback.revision());
        };
    }

    // Confirmation.

    private void startDeadline(final Duration within) {
        deadlineNs = monotonicNs.getAsLong() + within.toNanos();
    }

    private boolean isDue() {
        return monotonicNs.getAsLong() - deadlineNs >= 0
                || !clock.instant().isBefore(history.confirmation().until());
    }

    /** As {@link ControlPlane#confirm}. */
    ConfirmationReport confirm(final Switch parts) {
        return parts.control().call(this::confirmNow);
    }

    private ConfirmationReport confirmNow() throws IOException {
        final ConfirmationReport pending = history.confirmation();
        if (!pending.isPending()) {
            throw new RequestException(
                    Reason.CONFLICT,
                    pending.state() == State.UNDONE
                            ? "nothing waits for a confirmation: revision %d was undone"
                                    .formatted(pending.revision())
                            : "nothing waits for a confirmation");
        }
        if (isDue()) {
            throw new RequestException(
                    Reason.CONFLICT,
                    "too late: revision %d is being undone".formatted(pending.revision()));
        }
        try {
            history.setConfirmation(pending.in(State.CONFIRMED));
        } catch (final IOException e) {
            throw new RequestException(
                    Reason.UNAVAILABLE,
                    "not confirmed: the history cannot be written: %s".formatted(e));
        }
        LOG.info("revision {} is confirmed", pending.revision());
        return history.confirmation();
    }

    /** Undoes what was not confirmed in time; call every second. */
    void tick(final Reconciler reconciler) {
        if (!reconciler.isStopping() && history.confirmation().isPending() && isDue() && undo()) {
            reconciler.reconcileUnasked();
        }
    }

    /** Whether the objects are as they were before; if not, call again. */
    private boolean undo() {
        final ConfirmationReport pending = history.confirmation();
        try {
            final List<Step> steps = store.planRestore(textsAfter(pending.undoneTo()));
            if (steps.stream().anyMatch(Step::changesSomething)) {
                history.append(
                        revision(
                                "undo",
                                "",
                                List.of(
                                        "revision %d was not confirmed"
                                                .formatted(pending.revision())),
                                steps));
                store.carryOut(steps);
            }
            history.setConfirmation(pending.in(State.UNDONE));
            problem = "";
            LOG.warn("revision {} was not confirmed in time: undone", pending.revision());
            return true;
        } catch (final IOException | RequestException e) {
            final String now =
                    "revision %d was not confirmed and cannot be undone, it is tried again: %s"
                            .formatted(pending.revision(), e.getMessage());
            if (!now.equals(problem)) {
                LOG.error("{}", now);
            }
            problem = now;
            return false;
        }
    }

    private void remember(final ConfirmationReport now) {
        try {
            history.setConfirmation(now);
        } catch (final IOException e) {
            // Undoing it again at the deadline finds nothing to do.
            LOG.warn("the history cannot be written", e);
        }
    }

    // Reports.

    /** Why a change that was not confirmed is still in force; empty if there is none. */
    String problem() {
        return problem;
    }

    ConfirmationReport confirmation() {
        return history.confirmation();
    }

    /** The history, the oldest first. */
    List<RevisionReport> revisions() {
        return history.revisions();
    }

    /** One revision with its manifests. */
    RevisionReport revision(final int number) {
        return history.revision(number);
    }
}
