package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.denyAll;
import static io.sluice.control.agent.Manifests.podAt;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.conntrack.FlowVerdict;
import io.sluice.conntrack.Tuple;
import io.sluice.control.agent.ChangeRequest.CutMode;
import io.sluice.control.agent.ChangeRequest.Manifest;
import io.sluice.control.agent.ConfirmationReport.State;
import io.sluice.control.agent.ObjectChange.Outcome;
import io.sluice.control.agent.RequestException.Reason;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.World;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** History, rollback, confirmation and cut flows, with clocks that the test turns. */
class RolloutsTest {
    private static final String A = "10.244.0.2";
    private static final String B = "10.244.0.3";
    private static final Duration MINUTE = Duration.ofSeconds(60);

    @TempDir private Path folder;
    private final ControlThread thread =
            new ControlThread(
                    error -> {
                        throw error;
                    });
    private SwitchInOneThread sluice;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
    }

    @AfterEach
    void stop() throws Exception {
        thread.close();
        sluice.close();
    }

    /** A new process on what the last one left. */
    private void restart() throws Exception {
        final var timeOfDay = sluice.timeOfDay;
        sluice.close();
        sluice = new SwitchInOneThread(folder);
        sluice.timeOfDay = timeOfDay;
        sluice.rollouts.recover();
    }

    private ChangeReport change(final ChangeRequest request) {
        return sluice.rollouts.change(request, parts());
    }

    private Rollouts.Switch parts() {
        return new Rollouts.Switch(
                thread, sluice.reconciler, sluice.publisher, sluice.conntrack, () -> sluice.nowNs);
    }

    private ChangeReport apply(final String... texts) {
        return change(
                ChangeRequest.of(new ChangeRequest.Apply(manifests(texts)), ChangeMode.CHANGE));
    }

    private ChangeReport applyFor(final Duration within, final String... texts) {
        return change(
                new ChangeRequest(
                        new ChangeRequest.Apply(manifests(texts)),
                        ChangeMode.CHANGE,
                        CutMode.TELL,
                        Optional.of(within),
                        "root"));
    }

    private static List<Manifest> manifests(final String... texts) {
        final List<Manifest> manifests = new ArrayList<>();
        for (final String text : texts) {
            manifests.add(new Manifest("f" + manifests.size() + ".yaml", text));
        }
        return manifests;
    }

    private ChangeReport rollback(final int revision) {
        return change(ChangeRequest.of(new ChangeRequest.Rollback(revision), ChangeMode.CHANGE));
    }

    private void delete(final String name) {
        change(
                ChangeRequest.of(
                        new ChangeRequest.DeleteObject("netpol", "shop", name), ChangeMode.CHANGE));
    }

    private void confirm() {
        sluice.rollouts.confirm(parts());
    }

    private void tick() {
        thread.call(
                () -> {
                    sluice.rollouts.tick(sluice.reconciler);
                    return sluice;
                });
    }

    private void waitFor(final Duration time) {
        sluice.nowNs += time.toNanos();
        sluice.timeOfDay = sluice.timeOfDay.plus(time);
    }

    /** Applied objects and their files, by name. */
    private Map<String, String> objects() throws IOException {
        final Map<String, String> texts = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder.resolve("objects"))) {
            for (final Path file : files.toList()) {
                texts.put(file.getFileName().toString(), Files.readString(file));
            }
        }
        assertThat(sluice.store.reports().stream().map(ObjectReport::name))
                .containsAll(
                        texts.keySet().stream()
                                .map(name -> name.replaceAll(".*_|\\.yaml", ""))
                                .toList());
        return texts;
    }

    private static String policy(final String name, final int port) {
        return """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: %s, namespace: shop}
        spec:
          podSelector: {}
          policyTypes: [Ingress]
          ingress: [{ports: [{port: %d, protocol: UDP}]}]
        """
                .formatted(name, port);
    }

    @Test
    void everyChangeIsInTheHistoryWithWhoAndWhat() throws Exception {
        applyFor(MINUTE, policy("p", 80), denyAll("q"));
        confirm();
        apply(policy("p", 81), denyAll("q"));
        delete("q");
        apply(policy("p", 81));

        restart();

        assertThat(sluice.rollouts.revisions())
                .extracting(
                        RevisionReport::revision,
                        RevisionReport::command,
                        RevisionReport::user,
                        revision -> String.join(",", revision.sources()),
                        revision ->
                                revision.objects().stream()
                                        .map(object -> object.name() + " " + object.outcome())
                                        .toList())
                .containsExactly(
                        row(1, "apply", "root", "f0.yaml,f1.yaml", "p CREATED", "q CREATED"),
                        row(2, "apply", "", "f0.yaml,f1.yaml", "p CONFIGURED"),
                        row(3, "delete", "", "netpol q -n shop", "q DELETED"));
        final RevisionReport.ChangedObject changed =
                sluice.rollouts.revision(2).objects().getFirst();
        assertThat(changed.before().get("spec")).asString().contains("80");
        assertThat(changed.after().get("spec")).asString().contains("81");
    }

    private static org.assertj.core.groups.Tuple row(
            final int revision,
            final String command,
            final String user,
            final String sources,
            final String... objects) {
        return org.assertj.core.groups.Tuple.tuple(
                revision, command, user, sources, List.of(objects));
    }

    @Test
    void aRollbackBringsBackWhatWasAfterARevisionAndIsOneItself() throws Exception {
        apply(policy("p", 80));
        final Map<String, String> first = objects();
        apply(policy("p", 81), policy("q", 82));
        final Map<String, String> second = objects();
        delete("p");

        final ChangeReport back = rollback(1);

        assertThat(back.revision()).isEqualTo(4);
        assertThat(back.changes())
                .extracting(ObjectChange::name, ObjectChange::outcome)
                .containsExactly(
                        org.assertj.core.groups.Tuple.tuple("p", Outcome.CREATED),
                        org.assertj.core.groups.Tuple.tuple("q", Outcome.DELETED));
        assertThat(objects()).isEqualTo(first);

        rollback(2);
        assertThat(objects()).isEqualTo(second);
        rollback(0);
        assertThat(objects()).isEmpty();
    }

    @Test
    void historyOfAnyChangesLeadsBackToEveryStateThatIsKept() throws Exception {
        final long seed = 20261127;
        final Random dice = new Random(seed);
        final Map<Integer, Map<String, String>> states = new TreeMap<>();
        states.put(0, objects());
        for (int step = 0; step < 60; step++) {
            final String name = "p" + dice.nextInt(4);
            final boolean present = objects().containsKey("NetworkPolicy_shop_" + name + ".yaml");
            if (dice.nextInt(4) == 0) {
                final int newest = sluice.revisions.newest();
                final int oldest = sluice.revisions.oldestState();
                final int target = oldest + dice.nextInt(newest - oldest + 1);
                rollback(target);
                assertThat(objects())
                        .as("seed %d step %d", seed, step)
                        .isEqualTo(states.get(target));
            } else if (present && dice.nextBoolean()) {
                delete(name);
            } else {
                apply(policy(name, 1 + dice.nextInt(3)));
            }
            states.put(sluice.revisions.newest(), objects());
            if (dice.nextInt(10) == 0) {
                restart();
            }
        }
    }

    @Test
    void theOldestRevisionsMakeRoomAndNumbersGoOn() throws Exception {
        for (int port = 1; port <= 8; port++) {
            apply(policy("p", port));
        }

        restart();

        assertThat(sluice.rollouts.revisions())
                .extracting(RevisionReport::revision)
                .containsExactly(4, 5, 6, 7, 8);
        assertThatThrownBy(() -> rollback(2))
                .hasMessage("revision 2 is not in the history: accepted are 3 to 8");
        rollback(3);
        assertThat(objects().values()).singleElement().asString().contains("port: 3");
    }

    @Test
    void aFoldersObjectIsItsFilesToChange() {
        apply(policy("p", 80));
        apply(policy("p", 81));
        sluice.store.setFolderContent(Manifests.read(policy("p", 82)), List.of());

        assertThatThrownBy(() -> rollback(1))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> assertThat(e.reason()).isEqualTo(Reason.CONFLICT))
                .hasMessage("NetworkPolicy shop/p is defined at test.yaml:1:1: edit that file");
        assertThat(sluice.revisions.newest()).isEqualTo(2);
    }

    @Test
    void podsThatWerePluggedInOrOutSinceStayAsTheyAre() throws Exception {
        apply(podAt("a", A), policy("p", 80));
        apply(podAt("a", B), podAt("b", "10.244.0.9"));
        sluice.store.delete(io.sluice.control.policy.ObjectRef.pod("shop", "a"), ChangeMode.CHANGE);

        rollback(1);

        assertThat(objects()).containsOnlyKeys("NetworkPolicy_shop_p.yaml");
    }

    @Test
    void aDryRunChangesNothingAndLeavesNoTrace() throws Exception {
        sluice.folder(podAt("a", A), podAt("b", B));
        sluice.send("a", A, B, 80);
        final int revision = sluice.publisher.live().revision();

        final ChangeReport report =
                change(
                        ChangeRequest.of(
                                new ChangeRequest.Apply(manifests(denyAll("p"))),
                                ChangeMode.DRY_RUN));

        assertThat(report.revision()).isZero();
        assertThat(report.cuts().cut()).isEqualTo(1);
        assertThat(sluice.publisher.live().revision()).isEqualTo(revision);
        assertThat(sluice.revisions.newest()).isZero();
        assertThat(objects()).isEmpty();
        sluice.received("b");
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();
    }

    @Test
    void openFlowsThatAChangeCutsAreListedWithTheDecidingPolicy() {
        sluice.folder(podAt("a", A), podAt("b", B));
        sluice.send("a", A, B, 80);
        sluice.send("a", A, B, 81);
        sluice.send("b", B, A, 53);

        final CutsReport cuts = apply(policy("only-80", 80)).cuts();

        assertThat(cuts.open()).isEqualTo(3);
        assertThat(cuts.cut()).isEqualTo(2);
        assertThat(cuts.pairs())
                .extracting(CutsReport.Pair::toString)
                .containsExactly(
                        "shop/a -> shop/b 81/UDP: 1: ingress denied: end of tier default: isolated"
                                + " by NetworkPolicy shop/only-80 ("
                                + folder
                                + "/objects/NetworkPolicy_shop_only-80.yaml:1)",
                        "shop/b -> shop/a 53/UDP: 1: ingress denied: end of tier default: isolated"
                                + " by NetworkPolicy shop/only-80 ("
                                + folder
                                + "/objects/NetworkPolicy_shop_only-80.yaml:1)");
        // What was said is what happens.
        for (int sent = 0; sent < 2; sent++) {
            assertThat(sluice.received("b")).isTrue();
        }
        sluice.send("a", A, B, 81);
        assertThat(sluice.received("b")).isFalse();
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();
        // Cut already: the next change does not cut it again.
        assertThat(apply(policy("only-80", 80), denyAll("all")).cuts().cut()).isZero();
        assertThat(rollback(0).cuts().cut()).isZero();
    }

    /** A flow between two of the pods, by the port that it goes to. */
    private record Talk(String from, String to, int port) {}

    @Test
    void whatIsListedIsWhatTheLaneCuts() {
        final long seed = 7_112_026;
        final Random dice = new Random(seed);
        final List<String> pods = List.of("a", "b", "c");
        sluice.folder(pods.stream().map(pod -> podAt(pod, address(pod))).toArray(String[]::new));
        final List<Talk> talks = new ArrayList<>();
        for (final String from : pods) {
            for (final String to : pods) {
                for (int port = 1; port <= 3 && !from.equals(to); port++) {
                    talks.add(new Talk(from, to, port));
                }
            }
        }
        int cut = 0;
        Set<Talk> open = passing(talks);
        for (int step = 0; step < 80; step++) {
            final ChangeReport report =
                    step % 10 == 9
                            ? rollback(sluice.revisions.oldestState())
                            : apply(
                                    randomPolicy(dice),
                                    randomPolicy(dice).replace("name: r", "name: s"));

            final Set<Talk> stillOpen = passing(talks);
            final Set<String> closed = new TreeSet<>();
            for (final Talk talk : open) {
                if (!stillOpen.contains(talk)) {
                    closed.add("shop/%s shop/%s %d".formatted(talk.from(), talk.to(), talk.port()));
                }
            }
            assertThat(report.cuts().pairs())
                    .as("seed %d step %d", seed, step)
                    .extracting(pair -> "%s %s %d".formatted(pair.from(), pair.to(), pair.port()))
                    .containsExactlyInAnyOrderElementsOf(closed);
            assertThat(report.cuts().open()).isEqualTo(open.size());
            cut += closed.size();
            open = stillOpen;
        }
        assertThat(cut).isGreaterThan(100);
    }

    private Set<Talk> passing(final List<Talk> talks) {
        final Set<Talk> passing = new HashSet<>();
        for (final Talk talk : talks) {
            sluice.send(talk.from(), address(talk.from()), address(talk.to()), talk.port());
            if (sluice.received(talk.to())) {
                passing.add(talk);
            }
        }
        return passing;
    }

    private static String randomPolicy(final Random dice) {
        final boolean ingress = dice.nextBoolean();
        return """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: r%d, namespace: shop}
        spec:
          podSelector: {matchLabels: {app: %s}}
          policyTypes: [%s]
          %s: [{%s: [{podSelector: {matchLabels: {app: %s}}}], ports: [{port: %d, protocol: UDP}]}]
        """
                .formatted(
                        dice.nextInt(3),
                        name(dice),
                        ingress ? "Ingress" : "Egress",
                        ingress ? "ingress" : "egress",
                        ingress ? "from" : "to",
                        name(dice),
                        1 + dice.nextInt(3));
    }

    private static String address(final String pod) {
        return "10.244.0." + (2 + "abc".indexOf(pod));
    }

    private static String name(final Random dice) {
        return String.valueOf("abc".charAt(dice.nextInt(3)));
    }

    @Test
    void aChangeThatCutsIsRefusedWhereThatIsWanted() throws Exception {
        sluice.folder(podAt("a", A), podAt("b", B));
        sluice.send("a", A, B, 80);

        assertThatThrownBy(
                        () ->
                                change(
                                        new ChangeRequest(
                                                new ChangeRequest.Apply(manifests(denyAll("p"))),
                                                ChangeMode.CHANGE,
                                                CutMode.REFUSE,
                                                Optional.empty(),
                                                "")))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> {
                            assertThat(e.reason()).isEqualTo(Reason.CONFLICT);
                            assertThat(e.problems()).hasSize(2);
                        })
                .hasMessageStartingWith("nothing was changed: 1 of 1 open flows would be cut");
        assertThat(objects()).isEmpty();
    }

    @Test
    void aConnectionThatTheProxyBeginsToReadIsCut() {
        sluice.folder(podAt("a", A), podAt("b", B));
        final Tuple tuple = new Tuple();
        tuple.protocol = 6;
        tuple.sourceHigh = ip(A).high();
        tuple.sourceLow = ip(A).low();
        tuple.sourcePort = 40_000;
        tuple.destinationHigh = ip(B).high();
        tuple.destinationLow = ip(B).low();
        tuple.destinationPort = 80;
        final int syn = 0x02;
        Objects.requireNonNull(sluice.conntrack.create(tuple, syn, sluice.nowNs))
                .recordVerdict(FlowVerdict.ALLOW, 0, 0, sluice.publisher.live().revision());

        final CutsReport cuts =
                apply(
                                """
                                apiVersion: cilium.io/v2
                                kind: CiliumNetworkPolicy
                                metadata: {name: web, namespace: shop}
                                spec:
                                  endpointSelector: {matchLabels: {app: b}}
                                  ingress:
                                  - toPorts:
                                    - ports: [{port: "80", protocol: TCP}]
                                      rules: {http: [{method: GET}]}
                                """)
                        .cuts();

        assertThat(cuts.pairs())
                .singleElement()
                .asString()
                .startsWith(
                        "shop/a -> shop/b 80/TCP: 1: reset, to be read by the L7 proxy from now on:"
                                + " CiliumNetworkPolicy shop/web ingress[0]");
        assertThat(sluice.journal)
                .as("the proxy is there, and the lane leads to it")
                .contains("proxy listens", "open proxy");
    }

    private static IpAddress ip(final String text) {
        return IpAddress.parse(text).orElseThrow();
    }

    @Test
    void anEndpointThatGoesTakesItsFlowsWithIt() {
        sluice.folder();
        apply(podAt("a", A), podAt("b", B));
        sluice.send("a", A, B, 80);

        final ChangeReport report =
                change(
                        ChangeRequest.of(
                                new ChangeRequest.DeleteObject("pod", "shop", "b"),
                                ChangeMode.DRY_RUN));

        assertThat(report.cuts().pairs())
                .extracting(CutsReport.Pair::toString)
                .containsExactly("shop/a -> shop/b 80/UDP: 1: endpoint unplugged");
    }

    @Test
    void whatIsNotConfirmedInTimeIsUndoneAndInForceAtOnce() throws Exception {
        sluice.folder(podAt("a", A), podAt("b", B));
        apply(policy("p", 80));
        final Map<String, String> before = objects();
        final ChangeReport report = applyFor(MINUTE, denyAll("p"), denyAll("q"));
        assertThat(report.confirmation())
                .isEqualTo(
                        new ConfirmationReport(State.PENDING, 2, 1, sluice.timeOfDay.plus(MINUTE)));
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isFalse();

        waitFor(Duration.ofSeconds(59));
        tick();
        assertThat(sluice.rollouts.confirmation().state()).isEqualTo(State.PENDING);
        waitFor(Duration.ofSeconds(1));
        tick();

        assertThat(sluice.rollouts.confirmation().state()).isEqualTo(State.UNDONE);
        assertThat(objects()).isEqualTo(before);
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();
        assertThat(sluice.rollouts.revisions().getLast().command()).isEqualTo("undo");
        assertThatThrownBy(this::confirm)
                .hasMessage("nothing waits for a confirmation: revision 2 was undone");
    }

    @Test
    void whatIsConfirmedStays() throws Exception {
        applyFor(MINUTE, denyAll("p"));
        final Map<String, String> applied = objects();
        confirm();

        waitFor(MINUTE);
        tick();
        restart();

        assertThat(objects()).isEqualTo(applied);
        assertThat(sluice.rollouts.confirmation().state()).isEqualTo(State.CONFIRMED);
        assertThatThrownBy(this::confirm).hasMessage("nothing waits for a confirmation");
    }

    @Test
    void aConfirmationAfterTheDeadlineIsTooLate() {
        applyFor(MINUTE, denyAll("p"));
        waitFor(MINUTE);

        assertThatThrownBy(this::confirm).hasMessage("too late: revision 1 is being undone");
    }

    @Test
    void untilItIsDecidedNothingElseIsChangedButItsOwnUndoing() throws Exception {
        apply(policy("p", 80));
        final Map<String, String> before = objects();
        applyFor(MINUTE, policy("p", 81));

        assertThatThrownBy(() -> apply(denyAll("q")))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> assertThat(e.reason()).isEqualTo(Reason.CONFLICT))
                .hasMessageStartingWith("revision 2 waits for its confirmation until 2026-03-01T");
        assertThatThrownBy(() -> rollback(0)).isInstanceOf(RequestException.class);
        rollback(1);

        assertThat(objects()).isEqualTo(before);
        assertThat(sluice.rollouts.confirmation().state()).isEqualTo(State.UNDONE);
        apply(denyAll("q"));
    }

    @Test
    void aClockThatIsSetDoesNotKeepAnUndoWaiting() {
        applyFor(MINUTE, denyAll("p"));

        sluice.timeOfDay = sluice.timeOfDay.minus(Duration.ofHours(5));
        sluice.nowNs += MINUTE.toNanos();
        tick();

        assertThat(sluice.rollouts.confirmation().state()).isEqualTo(State.UNDONE);
    }

    @Test
    void aRestartAfterTheDeadlineUndoesBeforeTheObjectsAreUsed() throws Exception {
        applyFor(MINUTE, denyAll("p"));

        sluice.timeOfDay = sluice.timeOfDay.plus(MINUTE);
        restart();

        assertThat(sluice.store.objects()).isEmpty();
        assertThat(objects()).isEmpty();
        assertThat(sluice.rollouts.confirmation().state()).isEqualTo(State.UNDONE);
    }

    @Test
    void aRestartBeforeTheDeadlineWaitsForTheRestOfIt() throws Exception {
        applyFor(MINUTE, denyAll("p"));

        sluice.timeOfDay = sluice.timeOfDay.plus(Duration.ofSeconds(20));
        restart();
        waitFor(Duration.ofSeconds(39));
        tick();
        assertThat(objects()).hasSize(1);
        waitFor(Duration.ofSeconds(1));
        tick();

        assertThat(objects()).isEmpty();
    }

    @Test
    void aChangeThatNothingWasWrittenOfIsForgottenAtTheStart() throws Exception {
        apply(policy("p", 80));
        final Map<String, String> before = objects();
        applyFor(MINUTE, policy("p", 81), policy("q", 82));
        restoreObjects(before);

        restart();

        assertThat(objects()).isEqualTo(before);
        assertThat(sluice.revisions.newest()).isEqualTo(1);
        assertThat(sluice.rollouts.confirmation().isPending()).isFalse();
        apply(policy("q", 83));
    }

    @Test
    void aChangeThatWasWrittenInPartIsCompletedAtTheStartAndUndoneInItsTime() throws Exception {
        apply(policy("p", 80));
        final Map<String, String> before = objects();
        applyFor(MINUTE, policy("p", 81), policy("q", 82));
        final Map<String, String> after = objects();
        final Map<String, String> torn = new TreeMap<>(after);
        torn.putAll(before);
        restoreObjects(torn);

        restart();

        assertThat(objects()).isEqualTo(after);
        waitFor(MINUTE);
        tick();
        assertThat(objects()).isEqualTo(before);
    }

    private void restoreObjects(final Map<String, String> texts) throws IOException {
        try (Stream<Path> files = Files.list(folder.resolve("objects"))) {
            for (final Path file : files.toList()) {
                Files.delete(file);
            }
        }
        for (final Map.Entry<String, String> text : texts.entrySet()) {
            Files.writeString(folder.resolve("objects").resolve(text.getKey()), text.getValue());
        }
    }

    @Test
    void anUndoThatStoppedHalfWayIsFinished() throws Exception {
        apply(policy("p", 80));
        final Map<String, String> before = objects();
        applyFor(MINUTE, policy("p", 81));
        final Path confirmation = folder.resolve("history/confirmation.yaml");
        final Path kept = Files.copy(confirmation, folder.resolve("pending"));
        waitFor(MINUTE);
        tick();
        // Objects and revision are written, the word that it is done is not.
        Files.copy(kept, confirmation, StandardCopyOption.REPLACE_EXISTING);

        restart();

        assertThat(objects()).isEqualTo(before);
        assertThat(sluice.rollouts.confirmation().state()).isEqualTo(State.UNDONE);
        assertThat(sluice.revisions.newest()).isEqualTo(3);
    }

    @Test
    void withoutAHistoryNothingIsChangedAndAnUndoIsTriedAgain() throws Exception {
        applyFor(MINUTE, denyAll("p"));
        final Path history = folder.resolve("history");
        final Path away = Files.move(history, folder.resolve("away"));
        waitFor(MINUTE);
        tick();
        assertThat(sluice.rollouts.problem())
                .startsWith("revision 1 was not confirmed and cannot be undone, it is tried again");
        assertThat(objects()).hasSize(1);

        Files.move(away, history);
        tick();

        assertThat(sluice.rollouts.problem()).isEmpty();
        assertThat(objects()).isEmpty();

        Files.move(history, away);
        assertThatThrownBy(() -> apply(denyAll("q")))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> assertThat(e.reason()).isEqualTo(Reason.UNAVAILABLE))
                .hasMessageStartingWith("nothing was changed: the history cannot be written");
        assertThat(objects()).isEmpty();
    }

    @Test
    void aChangeIsInForceBeforeItsFilesAreInPlaceAndAnsweredAfter() throws Exception {
        sluice.folder(podAt("a", A), podAt("b", B));
        final List<Integer> revisions = new ArrayList<>();
        final List<Set<String>> files = new ArrayList<>();
        sluice.afterPublish =
                _ -> {
                    revisions.add(sluice.revisions.newest());
                    files.add(inPlace(folder.resolve("objects")));
                    files.add(inPlace(folder.resolve("history")));
                };

        applyFor(MINUTE, denyAll("p"));

        assertThat(revisions).containsExactly(0);
        assertThat(files).containsExactly(Set.of(), Set.of());
        assertThat(sluice.revisions.newest()).isEqualTo(1);
        assertThat(objects()).containsOnlyKeys("NetworkPolicy_shop_p.yaml");
        assertThat(sluice.rollouts.confirmation().state()).isEqualTo(State.PENDING);
        assertThat(names(folder.resolve("history")))
                .isEqualTo(inPlace(folder.resolve("history")))
                .hasSize(2);
    }

    /** A crash between the two leaves what was before, as if nobody had asked. */
    @Test
    void whatWasInForceButNotKeptIsGoneAfterACrash() throws Exception {
        sluice.folder(podAt("a", A), podAt("b", B));
        final Path copy = folder.resolve("crash");
        sluice.afterPublish =
                _ -> {
                    copy(folder.resolve("objects"), copy.resolve("objects"));
                    copy(folder.resolve("history"), copy.resolve("history"));
                };
        applyFor(MINUTE, denyAll("p"));

        final ObjectStore store = ObjectStore.load(copy.resolve("objects"));
        final PolicyHistory history = PolicyHistory.load(copy.resolve("history"), 5, 1 << 20);

        assertThat(store.objects()).isEmpty();
        assertThat(history.newest()).isZero();
        assertThat(history.confirmation().isPending()).isFalse();
    }

    @Test
    void aChangeThatTheDiskDoesNotKeepAfterAllIsTakenBack() throws Exception {
        sluice.folder(podAt("a", A), podAt("b", B));
        apply(policy("q", 80));
        final Map<String, String> before = objects();
        sluice.afterPublish =
                _ -> {
                    sluice.afterPublish = again -> {};
                    try (Stream<Path> written = Files.list(folder.resolve("history"))) {
                        for (final Path file : written.toList()) {
                            if (file.getFileName().toString().startsWith(".")) {
                                Files.delete(file);
                            }
                        }
                    } catch (final IOException e) {
                        throw new UncheckedIOException(e);
                    }
                };

        assertThatThrownBy(() -> applyFor(MINUTE, policy("q", 81), policy("r", 82)))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> assertThat(e.reason()).isEqualTo(Reason.UNAVAILABLE))
                .hasMessageStartingWith("nothing was changed");

        assertThat(objects()).isEqualTo(before);
        assertThat(sluice.revisions.newest()).isEqualTo(1);
        assertThat(sluice.rollouts.confirmation().isPending()).isFalse();
        sluice.send("a", A, B, 80);
        assertThat(sluice.received("b")).isTrue();
        sluice.send("a", A, B, 81);
        assertThat(sluice.received("b")).isFalse();
        assertThat(apply(policy("q", 83)).revision()).isEqualTo(2);
    }

    /** Less what is written beside its place. */
    private static Set<String> inPlace(final Path folder) {
        final Set<String> names = new HashSet<>(names(folder));
        names.removeIf(name -> name.startsWith("."));
        return names;
    }

    private static Set<String> names(final Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return Set.copyOf(files.map(file -> file.getFileName().toString()).toList());
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void copy(final Path from, final Path to) {
        try {
            Files.createDirectories(to);
            for (final String name : names(from)) {
                Files.copy(from.resolve(name), to.resolve(name));
            }
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A change of some objects ends where the whole road ends. */
    @Test
    void afterAnyChangesTheWholeRoadFindsNothingToDo() {
        final long seed = 20_261_128;
        final Random dice = new Random(seed);
        final List<String> pods = List.of("a", "b", "c");
        sluice.folder(
                Stream.concat(
                                pods.stream().map(pod -> podAt(pod, address(pod))),
                                Stream.of(policy("owned", 7), denyAll("owned")))
                        .toArray(String[]::new));
        for (int step = 0; step < 60; step++) {
            switch (dice.nextInt(5)) {
                case 0 -> rollback(sluice.revisions.oldestState());
                case 1 ->
                        sluice.store.objects().stream()
                                .filter(object -> object.where().file().contains("objects"))
                                .findFirst()
                                .ifPresent(object -> delete(object.meta().name()));
                default ->
                        apply(randomPolicy(dice), randomPolicy(dice).replace("name: r", "name: s"));
            }
            final LivePolicy live = sluice.publisher.live();
            final List<String> problems = sluice.reconciler.snapshot().problems();

            sluice.reconciler.reconcile();

            assertThat(sluice.publisher.live().revision())
                    .as("seed %d step %d", seed, step)
                    .isEqualTo(live.revision());
            assertThat(live.world().objects())
                    .filteredOn(object -> !object.ref().equals(ResolverPod.REF))
                    .filteredOn(object -> !(object instanceof Pod))
                    .containsExactlyInAnyOrderElementsOf(
                            World.of(sluice.store.objects()).objects().stream()
                                    .filter(object -> !(object instanceof Pod))
                                    .toList());
            assertThat(sluice.reconciler.snapshot().problems())
                    .containsExactlyInAnyOrderElementsOf(problems);
        }
    }

    @Test
    void aSecretsValuesAreInNoReport() {
        apply(
                """
                apiVersion: v1
                kind: Secret
                metadata: {name: s, namespace: shop}
                stringData: {token: geheim}
                """);

        assertThat(sluice.rollouts.revision(1).toString()).doesNotContain("geheim");
    }
}
