package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.pod;
import static io.sluice.control.agent.MemoryPorts.UPLINK;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.IpAddress;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.wire.Address;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The count of wrong drops, with the promise kept and with the promise broken. */
class ReleasedAddressesTest {
    private static final String A = "10.244.0.2";
    private static final String SERVER = "198.51.100.1";
    private static final String NAME = "api.example.com.";
    private static final int UDP = 17;
    private static final int PORT = 4000;
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

    @TempDir private Path folder;
    private SwitchInOneThread sluice;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
        sluice.folder(pod("a"), POLICY);
    }

    @AfterEach
    void stop() throws Exception {
        sluice.close();
    }

    private void learn(final String name) {
        sluice.names.learned(1, "shop/a", name, List.of(Address.parse(SERVER)));
    }

    private void release() {
        sluice.released.released("shop/a", List.of(Address.parse(SERVER)));
        sluice.nowNs++;
    }

    private boolean passes() {
        sluice.send("a", A, SERVER, PORT);
        return sluice.received(UPLINK);
    }

    /** Returns when the flow events' thread has told of all that was dropped; it ends. */
    private void dropsAreTold() {
        sluice.recorder.close();
    }

    /** A drop of now that is told now. */
    private void tellDrop() {
        sluice.released.dropped(
                IpAddress.parse(A).orElseThrow(),
                IpAddress.parse(SERVER).orElseThrow(),
                UDP,
                PORT,
                sluice.nowNs);
    }

    @Test
    void tablesFirstAndTheAnswerThenDropsNothing() {
        learn(NAME);
        sluice.runTasks();
        release();

        assertThat(passes()).isTrue();
        assertThat(sluice.released.wrongDrops()).isZero();
    }

    /** The promise broken on purpose: the lane drops, and only then control publishes. */
    @Test
    void anAnswerThatGoesOutBeforeItsAddressIsLiveIsCounted() {
        learn(NAME);
        release();
        assertThat(passes()).as("before control has published it").isFalse();
        dropsAreTold();
        sluice.runTasks();

        assertThat(sluice.released.wrongDrops()).isEqualTo(1);
        assertThat(sluice.released.wrongDrops()).as("once").isEqualTo(1);
        assertThat(passes()).isTrue();
    }

    @Test
    void aDropThatIsToldAfterThePublicationIsCountedAtOnce() {
        learn(NAME);
        release();
        sluice.runTasks();
        tellDrop();

        assertThat(sluice.released.wrongDrops()).isEqualTo(1);
    }

    @Test
    void aDropBeforeTheAnswerWentOutIsRight() {
        assertThat(passes()).isFalse();
        dropsAreTold();
        sluice.nowNs++;
        learn(NAME);
        release();
        sluice.runTasks();

        assertThat(sluice.released.wrongDrops()).isZero();
    }

    @Test
    void anAddressWhoseNameNoPolicyNamesIsDroppedRightly() {
        learn("other.example.com.");
        release();
        sluice.runTasks();
        assertThat(passes()).isFalse();
        dropsAreTold();
        assertThat(sluice.released.wrongDrops()).isZero();

        sluice.folder(pod("a"), POLICY.replace("api.example.com", "other.example.com"));
        assertThat(passes()).isTrue();
        assertThat(sluice.released.wrongDrops()).as("a later policy is no earlier one").isZero();
    }

    @Test
    void aDropIsRememberedForTenSeconds() {
        learn(NAME);
        release();
        tellDrop();
        sluice.nowNs += TimeUnit.SECONDS.toNanos(11);
        assertThat(sluice.released.wrongDrops()).isZero();
        sluice.runTasks();

        assertThat(sluice.released.wrongDrops()).isZero();
    }

    @Test
    void whatIsForgottenIsPromisedToNobody() {
        learn(NAME);
        release();
        sluice.released.forgotten(
                new FqdnRecord("shop/a", NAME, Address.parse(SERVER), 0, 0, false));
        tellDrop();
        sluice.runTasks();

        assertThat(sluice.released.wrongDrops()).isZero();
    }
}
