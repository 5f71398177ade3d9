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
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
 *   plan -> compile on trial -> judge open flows -> history -> confirmation -> objects -> in force
 *   (control)                   (the caller's)      (control)
 * </pre>
 *
 * <p>The trial compiles what would be and publishes nothing; open flows are judged against it on
 * the caller's thread, so that neither lanes nor control wait for a million of them. Between trial
 * and change an endpoint may come or a folder change: the list of cut flows is of a moment.
 *
 * <p>History first. A revision is on disk before the objects are, and holds both their texts. So a
 * crash leaves one of three things, which {@link #recover} tells apart by the objects: none has its
 * new text (the change was not made, its revision goes), all have (it was made), or some have (the
 * others are given theirs). No history, no change: a file system without room refuses.
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
        startDeadline(Duration.between(clock.instant(), pending.until()));
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
        changing.lock();
        try {
            final Trial trial = parts.control().call(() -> trial(request, parts));
            final CutsReport cuts = trial.judge(parts);
            if (request.cuts() == ChangeRequest.CutMode.REFUSE) {
                refuse(cuts);
            }
            if (request.mode() == ChangeMode.DRY_RUN) {
                return new ChangeReport(0, trial.changes(), cuts, history.confirmation());
            }
            return parts.control().call(() -> make(request, cuts, parts));
        } finally {
            changing.unlock();
        }
    }

    /** What a change would do, and the policy that would be; empty where it cannot be compiled. */
    private record Trial(
            List<ObjectChange> changes,
            LivePolicy before,
            Optional<FlowCuts.Other> after,
            String problem) {
        CutsReport judge(final Switch parts) {
            if (after.isEmpty()) {
                return new CutsReport(0, 0, List.of(), problem);
            }
            return FlowCuts.of(
                    before,
                    after.get(),
                    sink -> parts.conntrack().forEach(parts.laneClockNs().getAsLong(), sink));
        }
    }

    private Trial trial(final ChangeRequest request, final Switch parts) {
        final List<Step> steps = plan(request);
        final List<ObjectChange> changes = steps.stream().map(Step::change).toList();
        final LivePolicy before = parts.publisher().live();
        if (steps.stream().noneMatch(Step::changesSomething)) {
            return new Trial(changes, before, Optional.of(FlowCuts.Other.of(before)), "");
        }
        try {
            return new Trial(
                    changes,
                    before,
                    Optional.of(parts.reconciler().onTrial(store.objectsAfter(steps))),
                    "");
        } catch (final RuntimeException e) {
            LOG.warn("the policy that would be does not compile", e);
            return new Trial(
                    changes,
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

    private ChangeReport make(
            final ChangeRequest request, final CutsReport cuts, final Switch parts) {
        final ConfirmationReport pending = history.confirmation();
        final List<Step> steps = plan(request);
        int revision = 0;
        if (steps.stream().anyMatch(Step::changesSomething)) {
            revision = history.newest() + 1;
            write(request, revision, steps);
        }
        if (pending.isPending()) {
            // The plan was its undoing.
            remember(pending.in(State.UNDONE));
        }
        parts.reconciler().reconcile();
        return new ChangeReport(
                revision, steps.stream().map(Step::change).toList(), cuts, history.confirmation());
    }

    /** History, deadline, objects; of a change that cannot be written nothing is left. */
    private void write(final ChangeRequest request, final int revision, final List<Step> steps) {
        final ConfirmationReport before = history.confirmation();
        try {
            append(command(request.what()), request.user(), sources(request.what()), steps);
            if (request.confirmWithin().isPresent()) {
                await(revision, request.confirmWithin().get());
            }
            store.carryOut(steps);
        } catch (final IOException | RequestException e) {
            if (steps.stream().allMatch(step -> store.text(step.ref()).equals(step.before()))) {
                if (!before.equals(history.confirmation())) {
                    remember(before);
                }
                if (history.newest() == revision) {
                    history.dropNewest();
                }
            }
            throw e instanceof final RequestException refused
                    ? refused
                    : new RequestException(
                            Reason.UNAVAILABLE,
                            "nothing was changed: the history cannot be written: %s".formatted(e));
        }
    }

    private void append(
            final String command,
            final String user,
            final List<String> sources,
            final List<Step> steps)
            throws IOException {
        history.append(
                new Revision(
                        history.newest() + 1,
                        clock.instant(),
                        command,
                        user,
                        sources,
                        steps.stream()
                                .filter(Step::changesSomething)
                                .map(step -> new Change(step.ref(), step.before(), step.text()))
                                .toList()));
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

    private void await(final int revision, final Duration within) throws IOException {
        final Instant until = clock.instant().plus(within);
        history.setConfirmation(
                new ConfirmationReport(State.PENDING, revision, revision - 1, until));
        startDeadline(within);
        LOG.info("revision {} has to be confirmed until {}", revision, until);
    }

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
        if (history.confirmation().isPending() && isDue() && undo()) {
            reconciler.reconcileUnasked();
        }
    }

    /** Whether the objects are as they were before; if not, call again. */
    private boolean undo() {
        final ConfirmationReport pending = history.confirmation();
        try {
            final List<Step> steps = store.planRestore(textsAfter(pending.undoneTo()));
            if (steps.stream().anyMatch(Step::changesSomething)) {
                append(
                        "undo",
                        "",
                        List.of("revision %d was not confirmed".formatted(pending.revision())),
                        steps);
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
