package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.pod;
import static io.sluice.control.agent.MemoryPorts.UPLINK;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.state.NameChanges;
import io.sluice.control.agent.state.NameRow;
import io.sluice.control.policy.IpAddress;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.wire.Address;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** From an answer to the tables that packets are judged by. */
class LearnedNamesTest {
    private static final String A = "10.244.0.2";
    private static final String B = "10.244.0.3";
    private static final String FIRST = "198.51.100.1";
    private static final String SECOND = "198.51.100.2";
    private static final String NAME = "api.example.com.";

    /** Pod a may go to api.example.com, pod b nowhere. */
    private static final String POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: names, namespace: shop }
            spec:
              endpointSelector: { matchLabels: { app: a } }
              egress:
              - toFQDNs: [{ matchName: api.example.com }]
            """;

    private static final String CLOSED =
            POLICY.replace("app: a", "app: b")
                    .replace("name: names", "name: closed")
                    .replace("api.example.com", "other.example.com");

    @TempDir private Path folder;
    private SwitchInOneThread sluice;
    private long batch;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
        sluice.folder(pod("a"), pod("b"), POLICY, CLOSED);
    }

    @AfterEach
    void stop() throws Exception {
        sluice.close();
    }

    private boolean learn(final String endpoint, final String name, final String address) {
        return sluice.names.learned(++batch, endpoint, name, List.of(Address.parse(address)));
    }

    private void forget(final String endpoint, final String address) {
        sluice.names.forgotten(new FqdnRecord(endpoint, NAME, Address.parse(address), 0, 0, false));
        sluice.runTasks();
    }

    private boolean passes(final String pod, final String source, final String destination) {
        sluice.send(pod, source, destination, 4000);
        return sluice.received(UPLINK);
    }

    @Test
    void anAddressIsOpenOnceItsNameIsPublishedAndOnlyToWhomPolicyNamesIt() {
        assertThat(passes("a", A, FIRST)).isFalse();

        assertThat(learn("shop/a", NAME, FIRST)).as("live at once").isFalse();
        assertThat(passes("a", A, FIRST)).as("before control has published it").isFalse();
        sluice.runTasks();
        assertThat(passes("a", A, FIRST)).isTrue();
        assertThat(passes("b", B, FIRST)).as("whose policy names another name").isFalse();
        assertThat(passes("a", A, SECOND)).isFalse();
    }

    @Test
    void aSecondAddressOfTheNameNeedsNoNewRevision() {
        learn("shop/a", NAME, FIRST);
        sluice.runTasks();
        final int revision = sluice.publisher.live().revision();
        sluice.journal.clear();

        learn("shop/a", NAME, SECOND);
        sluice.runTasks();

        assertThat(passes("a", A, SECOND)).isTrue();
        assertThat(sluice.publisher.live().revision()).isEqualTo(revision);
        assertThat(sluice.journal).containsExactly("publish " + revision);
        assertThat(sluice.publisher.live().ipcache())
                .anyMatch(route -> route.prefix().toString().equals(SECOND + "/32"));
    }

    @Test
    void whatIsForgottenCutsItsFlows() {
        learn("shop/a", NAME, FIRST);
        learn("shop/a", NAME, SECOND);
        sluice.runTasks();
        assertThat(passes("a", A, SECOND)).isTrue();

        forget("shop/a", SECOND);
        assertThat(passes("a", A, SECOND)).as("the same flow").isFalse();
        assertThat(passes("a", A, FIRST)).isTrue();
    }

    @Test
    void anAddressStaysWhileAnotherEndpointHasLearnedIt() {
        learn("shop/a", NAME, FIRST);
        sluice.runTasks();
        assertThat(learn("shop/b", NAME, FIRST)).as("known under that name").isTrue();
        sluice.runTasks();

        forget("shop/a", FIRST);
        assertThat(passes("a", A, FIRST)).isTrue();
        sluice.names.forgotEndpoint("shop/b");
        sluice.runTasks();
        assertThat(passes("a", A, FIRST)).isFalse();
    }

    @Test
    void aNameThatNoPolicyNamesIsKeptForOneThatMayCome() {
        assertThat(learn("shop/a", "later.example.com.", FIRST)).as("nothing to wait for").isTrue();
        sluice.runTasks();
        assertThat(passes("a", A, FIRST)).isFalse();

        sluice.folder(pod("a"), pod("b"), POLICY.replace("api.example.com", "later.example.com"));
        assertThat(passes("a", A, FIRST)).isTrue();
    }

    @Test
    void whatCannotBePublishedIsConfirmedWithWhatCan() {
        sluice.unanswered = "publish 2";
        learn("shop/a", NAME, FIRST);
        sluice.runTasks();
        assertThat(learn("shop/b", NAME, FIRST)).as("who knows what the lane has").isFalse();

        sluice.unanswered = "";
        sluice.reconciler.reconcileUnasked();
        sluice.names.tick();
        assertThat(passes("a", A, FIRST)).isTrue();
        assertThat(learn("shop/c", NAME, FIRST)).as("nothing waits any more").isTrue();
    }

    /** What it learned and forgot while this process read its state folder. */
    @Test
    void whatAPredecessorLearnedLastIsOpenAndWhatItForgotLastIsNot() throws Exception {
        final Instant now = Instant.ofEpochMilli(0);
        sluice.dns.learnMore(
                passed(new NameChanges(List.of(row(FIRST, now), row(SECOND, now)), List.of())));
        sluice.dns.turn();
        sluice.runTasks();
        assertThat(passes("a", A, FIRST)).isTrue();
        assertThat(passes("b", B, FIRST)).as("whose policy names another name").isFalse();

        sluice.dns.learnMore(
                passed(
                        new NameChanges(
                                List.of(),
                                List.of(
                                        new NameChanges.Key(
                                                NAME,
                                                IpAddress.parse(SECOND).orElseThrow(),
                                                "shop/a")))));
        sluice.dns.turn();
        sluice.runTasks();
        assertThat(passes("a", A, SECOND)).isFalse();
        assertThat(passes("a", A, FIRST)).isTrue();
    }

    private static NameRow row(final String address, final Instant now) {
        return new NameRow(
                NAME,
                IpAddress.parse(address).orElseThrow(),
                "shop/a",
                now,
                now.plusSeconds(3600),
                false);
    }

    /** As the other process gets it. */
    private static NameChanges passed(final NameChanges changes) {
        final NameChanges passed = PassedNames.of(PassedNames.facts(changes));
        assertThat(passed).isEqualTo(changes);
        return passed;
    }

    @Test
    void namesOfAFormerProcessAreInTheFirstPolicy() throws Exception {
        sluice.close();
        sluice = new SwitchInOneThread(folder);
        sluice.names.restore(
                List.of(new FqdnRecord("shop/a", NAME, Address.parse(FIRST), 0, 0, false)));

        sluice.folder(pod("a"), pod("b"), POLICY, CLOSED);
        assertThat(passes("a", A, FIRST)).isTrue();
    }
}
