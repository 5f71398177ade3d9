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
        Files.writeString(folder.resolve("NetworkPolicy--shop--p.yaml"), "kind: Nonsense");

        assertThatThrownBy(() -> ObjectStore.load(folder))
                .isInstanceOf(StartupException.class)
                .hasMessageContaining("NetworkPolicy--shop--p.yaml:1");
    }

    private List<ObjectChange> apply(final String text) {
        return store.apply("-", text, ChangeMode.CHANGE);
    }
}
