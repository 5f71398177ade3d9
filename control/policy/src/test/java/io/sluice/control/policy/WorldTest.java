package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class WorldTest {
    private static final String FIRST = pod("first", "10.0.0.1");
    private static final String SECOND = pod("second", "10.0.0.1");
    private static final ObjectRef FIRST_REF = ObjectRef.pod("shop", "first");
    private static final IpAddress SHARED = IpAddress.parse("10.0.0.1").orElseThrow();

    private static String pod(final String name, final String address) {
        return """
               ---
               apiVersion: v1
               kind: Pod
               metadata: {name: %s, namespace: shop}
               status: {podIP: %s}
               """
                .formatted(name, address);
    }

    private static List<KubeObject> objects(final String... texts) {
        return ManifestReader.read("world.yaml", String.join("", texts)).objects();
    }

    @Test
    void theEmptyWorldHasNotChangedSinceItself() {
        assertThat(World.EMPTY.changedSince(World.EMPTY)).isEmpty();
    }

    @Test
    void keepsTheOrderInWhichObjectsWereGiven() {
        final World world = World.of(objects(SECOND, FIRST));
        assertThat(world.pods())
                .extracting(pod -> pod.ref().name())
                .containsExactly("second", "first");
        final World replaced = world.with(objects(pod("second", "10.0.0.9")));
        assertThat(replaced.objects())
                .extracting(object -> object.ref().name())
                .containsExactly("second", "first");
        assertThat(replaced.size()).isEqualTo(2);
    }

    @Test
    void theFirstPodKeepsAnAddressAndTheNextGetsItWhenTheFirstGoes() {
        final World world = World.of(objects(FIRST, SECOND));
        assertThat(world.podAt(SHARED)).map(pod -> pod.ref().name()).contains("first");
        assertThat(world.problems())
                .singleElement()
                .extracting(Problem::message)
                .asString()
                .contains("10.0.0.1 already belongs to Pod shop/first at world.yaml:");

        final World without = world.without(List.of(FIRST_REF));
        assertThat(without.podAt(SHARED)).map(pod -> pod.ref().name()).contains("second");
        assertThat(without.problems()).isEmpty();

        final World moved = world.with(objects(pod("first", "10.0.0.2")));
        assertThat(moved.podAt(SHARED)).map(pod -> pod.ref().name()).contains("second");
        assertThat(moved.with(objects(FIRST)).podAt(SHARED))
                .map(pod -> pod.ref().name())
                .contains("first");
    }

    @Test
    void aNameThatIsTakenIsReportedUntilTheObjectChanges() {
        final World world = World.of(objects(FIRST, pod("first", "10.0.0.7")));
        assertThat(world.problems())
                .singleElement()
                .extracting(Problem::message)
                .asString()
                .contains("Pod shop/first is already defined at world.yaml:");
        assertThat(world.with(objects(SECOND)).withNames(Map.of()).problems())
                .filteredOn(problem -> problem.message().contains("already defined"))
                .hasSize(1);
        assertThat(world.with(objects(FIRST)).problems()).isEmpty();
    }

    @Test
    void tellsWhatChanged() {
        final World world = World.of(objects(FIRST, SECOND));
        assertThat(world.changedSince(World.EMPTY))
                .containsExactlyInAnyOrder(FIRST_REF, ObjectRef.pod("shop", "second"));
        assertThat(world.with(objects(pod("first", "10.0.0.5"))).changedSince(world))
                .containsExactly(FIRST_REF);
        assertThat(world.without(List.of(FIRST_REF)).changedSince(world))
                .containsExactly(FIRST_REF);
        assertThat(World.of(world.objects().reversed()).changedSince(world)).isEmpty();
    }

    @Test
    void tellsWhichAddressesHaveOtherNames() {
        final World world = World.EMPTY.withNames(Map.of(SHARED, Set.of("api.example.com")));
        assertThat(world.renamedSince(World.EMPTY)).containsExactly(SHARED);
        assertThat(world.withNames(world.names()).renamedSince(world)).isEmpty();
        assertThat(world.withNames(Map.of()).renamedSince(world)).containsExactly(SHARED);
    }
}
