package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.denyAll;
import static io.sluice.control.agent.Manifests.pod;
import static io.sluice.control.agent.ObjectChange.Outcome.CONFIGURED;
import static io.sluice.control.agent.ObjectChange.Outcome.CREATED;
import static io.sluice.control.agent.ObjectChange.Outcome.DELETED;
import static io.sluice.control.agent.ObjectChange.Outcome.UNCHANGED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Problem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ObjectStoreTest {
    @TempDir private Path folder;
    private ObjectStore store;

    @BeforeEach
    void emptyStore() throws StartupException {
        store = ObjectStore.load(folder);
    }

    @Test
    void applyCreatesThenConfiguresThenLeavesUnchanged() {
        assertThat(apply(denyAll("p")))
                .containsExactly(
                        new ObjectChange("networkpolicy.networking.k8s.io", "shop", "p", CREATED));
        assertThat(apply(denyAll("p")))
                .extracting(ObjectChange::outcome)
                .containsExactly(UNCHANGED);
        assertThat(apply(denyAll("p").replace("Ingress", "Egress")))
                .extracting(ObjectChange::outcome)
                .containsExactly(CONFIGURED);
    }

    @Test
    void whatWasAppliedIsThereAfterARestart() throws StartupException {
        apply(denyAll("p") + "\n---\n" + pod("a"));

        assertThat(ObjectStore.load(folder).objects())
                .extracting(KubeObject::ref)
                .extracting(ObjectRef::toString)
                .containsExactly("NetworkPolicy shop/p", "Pod shop/a");
    }

    @Test
    void theNetworkPoliciesOfTwoProjectsAreTwoObjectsInTwoFiles() throws StartupException {
        final String calico =
                """
                {apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: p, namespace: shop},
                 spec: {selector: all()}}
                """;

        assertThat(apply(denyAll("p") + "\n---\n" + calico))
                .extracting(ObjectChange::resource)
                .containsExactly(
                        "networkpolicy.networking.k8s.io", "networkpolicy.projectcalico.org");
        store = ObjectStore.load(folder);
        store.delete(new ObjectRef("NetworkPolicy", "shop", "p"), ChangeMode.CHANGE);

        assertThat(ObjectStore.load(folder).objects())
                .extracting(object -> object.ref().toString())
                .containsExactly("NetworkPolicy.projectcalico.org shop/p");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "True",
                "01",
                "010",
                "0x1f",
                "0o17",
                "+1",
                "1e3",
                ".inf",
                "~",
                "null",
                "<<",
                "-1",
                "1_000",
                "yes",
                "12:30:45",
                ""
            })
    void aTextThatLooksLikeANumberOrATruthValueStaysText(final String value)
            throws StartupException {
        final String policy =
                denyAll("p")
                        .replace(
                                "podSelector: {}",
                                "podSelector: {matchExpressions: [{key: zone, operator: Exists}]}");
        final String annotated =
                policy.replace("name: p,", "name: p, annotations: {a: \"" + value + "\"},");
        assertThat(apply(annotated)).extracting(ObjectChange::outcome).containsExactly(CREATED);

        assertThat(store.objects()).hasSize(1);
        assertThat(apply(annotated)).extracting(ObjectChange::outcome).containsExactly(UNCHANGED);
        assertThat(ObjectStore.load(folder).objects())
                .singleElement()
                .satisfies(
                        object ->
                                assertThat(object.meta().annotations()).containsEntry("a", value));
    }

    @Test
    void namesThatOnlyDifferInWhereTheNamespaceEndsAreTwoObjects() throws StartupException {
        apply(
                denyAll("c--d").replace("shop", "a")
                        + "\n---\n"
                        + denyAll("d").replace("shop", "a--c"));

        assertThat(ObjectStore.load(folder).objects()).hasSize(2);
    }

    @Test
    void aNameTooLongForAFileIsRefusedInOneLine() {
        assertThatThrownBy(() -> apply(denyAll("a.".repeat(126) + "b")))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> {
                            assertThat(e.reason()).isEqualTo(RequestException.Reason.INVALID);
                            assertThat(e.problems())
                                    .singleElement()
                                    .asString()
                                    .contains("too long");
                        });
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void whatAnObjectDoesNotDoIsSaidOnApplyAndStaysAProblem() throws StartupException {
        final String names =
                """
                apiVersion: cilium.io/v2
                kind: CiliumNetworkPolicy
                metadata: {name: names, namespace: shop}
                spec:
                  endpointSelector: {}
                  egress: [{toPorts: [{ports: [{port: "9092", protocol: TCP}], rules: {l7proto: own, l7: [{key: value}]}}]}]
                """;
        final List<ObjectChange> changes = apply(denyAll("p") + "\n---\n" + names);

        assertThat(changes.getFirst().warnings()).isEmpty();
        assertThat(changes.getLast().warnings())
                .singleElement()
                .asString()
                .startsWith("-:")
                .contains("warning: not enforced yet");
        assertThat(store.problems())
                .singleElement()
                .asString()
                .contains("CiliumNetworkPolicy_shop_names.yaml:")
                .contains("warning: not enforced yet");
        assertThat(ObjectStore.load(folder).problems()).isEqualTo(store.problems());
    }

    @Test
    void aDocumentThatIsLeftOutIsSaidToo() {
        assertThat(
                        apply(
                                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\n"
                                        + denyAll("p")))
                .singleElement()
                .satisfies(change -> assertThat(change.warnings()).hasSize(1));
    }

    @Test
    void aDryRunAnswersTheSameAndChangesNothing() {
        assertThat(store.apply("-", denyAll("p"), ChangeMode.DRY_RUN))
                .extracting(ObjectChange::outcome)
                .containsExactly(CREATED);

        assertThat(store.objects()).isEmpty();
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void oneWrongDocumentStopsAllOfThem() {
        assertThatThrownBy(
                        () ->
                                apply(
                                        denyAll("p")
                                                + "\n---\n"
                                                + denyAll("q").replace("Ingress", "In")))
                .isInstanceOfSatisfying(
                        RequestException.class,
                        e -> {
                            assertThat(e.reason()).isEqualTo(RequestException.Reason.INVALID);
                            assertThat(e.problems().getFirst()).startsWith("-:");
                        });
        assertThat(store.objects()).isEmpty();
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void anObjectOfAFolderIsNeitherAppliedNorDeleted() {
        store.setFolderContent(Manifests.read(denyAll("p")), List.of());

        assertThatThrownBy(() -> apply(denyAll("p")))
                .isInstanceOf(RequestException.class)
                .hasMessage("NetworkPolicy shop/p is defined at test.yaml:1:1: edit that file");
        assertThatThrownBy(() -> store.delete("-", denyAll("p"), ChangeMode.CHANGE))
                .isInstanceOf(RequestException.class)
                .hasMessageContaining("edit that file");
    }

    @Test
    void aFoldersObjectIsInForceBeforeAnAppliedOneAndTheProblemIsTold() {
        apply(denyAll("p").replace("Ingress", "Egress"));
        store.setFolderContent(Manifests.read(denyAll("p")), List.of());

        assertThat(store.objects())
                .extracting(object -> object.where().file())
                .containsExactly("test.yaml");
        assertThat(store.problems())
                .extracting(Problem::message)
                .containsExactly(
                        "NetworkPolicy shop/p was applied, but test.yaml:1:1 defines it: the file's"
                                + " is in force");
        assertThat(store.reports())
                .extracting(ObjectReport::origin)
                .containsExactly(ObjectReport.Origin.FOLDER);
    }

    @Test
    void deleteForgetsTheObjectAndItsFile() {
        apply(denyAll("p"));

        assertThat(store.delete("-", denyAll("p"), ChangeMode.DRY_RUN))
                .extracting(ObjectChange::outcome)
                .containsExactly(DELETED);
        assertThat(store.objects()).hasSize(1);
        assertThat(store.delete("-", denyAll("p"), ChangeMode.CHANGE))
                .extracting(ObjectChange::outcome)
                .containsExactly(DELETED);
        assertThat(store.objects()).isEmpty();
        assertThat(folder).isEmptyDirectory();
        assertThatThrownBy(() -> store.delete("-", denyAll("p"), ChangeMode.CHANGE))
                .isInstanceOf(RequestException.class)
                .hasMessage("networkpolicy.networking.k8s.io \"p\" not found");
    }

    @Test
    void aKeptObjectThatCannotBeReadStopsTheStart() throws Exception {
        Files.writeString(folder.resolve("NetworkPolicy_shop_p.yaml"), "kind: Nonsense");

        assertThatThrownBy(() -> ObjectStore.load(folder))
                .isInstanceOf(StartupException.class)
                .hasMessageContaining("NetworkPolicy_shop_p.yaml:1");
    }

    private List<ObjectChange> apply(final String text) {
        return store.apply("-", text, ChangeMode.CHANGE);
    }
}
