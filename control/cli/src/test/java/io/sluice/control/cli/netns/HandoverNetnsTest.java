package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** {@code sluice run --replace}: a daemon takes the place of another under traffic. */
@Tag("netns")
class HandoverNetnsTest {
    private static final int A = 11;
    private static final int B = 12;
    private static final int C = 13;

    /** Datagrams a second: their queue in the devices holds half a second of them. */
    private static final String RATE = "1000";

    /** Only a may come in to b. */
    private static final String POLICY =
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: { name: b, namespace: app }
            spec:
              podSelector: { matchLabels: { app: b } }
              ingress: [{ from: [{ podSelector: { matchLabels: { app: a } } }] }]
            """;

    private TestNode node;

    @BeforeEach
    void prepare() {
        node = new TestNode();
        node.addPod("a", A);
        node.addPod("b", B);
        node.addPod("c", C);
        node.save("policy.yaml", POLICY);
    }

    @AfterEach
    void stop() {
        node.close();
    }

    @Test
    void twoHandOversBreakNoConnectionAndThePolicyOfNowHolds() {
        final Running first = node.startDaemon("a", "b", "c");
        node.serve("b", "tcp:5001");
        final Running stream = node.startPeer("a", "stream", TestNode.ipv6(B), "5001");
        stream.await("echo", 10_000);
        final long revision = node.revision();

        final Running second = node.replaceDaemon(first);
        assertThat(first.awaitExit()).isZero();
        assertThat(first.output()).contains("handed over to process " + second.pid());
        assertThat(node.peer("a", "tcp", TestNode.ipv4(B), "5001")).contains("answered");
        assertThat(node.peer("c", "tcp", TestNode.ipv4(B), "5001")).contains("timed out");
        assertThat(node.revision()).isGreaterThan(revision);

        final Running third = node.replaceDaemon(second);
        node.awaitState("READY", "a", "b", "c");
        assertThat(second.output() + third.output())
                .as("the table of flows is passed on as often as one likes")
                .doesNotContain("begins empty");
        // A policy that the third reads cuts what the first let in.
        node.save("policy.yaml", POLICY.replace("app: a", "app: c"));
        TestNode.await(
                "c may come in",
                () ->
                        node.peer("c", "tcp", TestNode.ipv4(B), "5001").contains("answered")
                                || !third.isAlive());
        assertThat(node.peer("a", "tcp", TestNode.ipv4(B), "5001")).contains("timed out");
        node.save("policy.yaml", POLICY);
        TestNode.await(
                "a may come in again",
                () -> node.peer("a", "tcp", TestNode.ipv4(B), "5001").contains("answered"));
        stream.await("echo", 10_000);
        assertThat(third.isAlive()).isTrue();
    }

    @Test
    void numberedDatagramsAllArriveWhileTheDaemonIsReplaced() {
        final Running first = node.startDaemon("a", "b", "c");
        node.serve("b", "udp:5000");
        final Running counting = node.startPeer("a", "count", TestNode.ipv4(B), "5000", RATE);
        counting.await("ready", 10_000);

        node.replaceDaemon(first);

        counting.endInput();
        counting.awaitExit();
        assertThat(counting.output()).containsPattern("sent \\d{3,} lost 0$");
    }

    @Test
    void aMistakeInTheManifestsLeavesTheRunningDaemonInPlace() {
        final Running first = node.startDaemon("a", "b", "c");
        node.save("wrong.yaml", "kind: Pod\nmetadata: 7\n");

        final Running second = node.launch("--replace");

        assertThat(second.awaitExit()).isEqualTo(1);
        assertThat(second.output()).contains("wrong.yaml");
        assertThat(first.output()).doesNotContain("hands over");
        assertThat(first.isAlive()).isTrue();
    }

    @Test
    void whereNoneRunsItStartsAnew() {
        final Running daemon = node.launch("--replace");
        TestNode.await(
                "it runs", () -> !daemon.isAlive() || daemon.output().contains("sluice runs on"));
        assertThat(daemon.output()).contains("nothing to take over").contains("sluice runs on");
        node.awaitState("READY", "a", "b", "c");
    }
}
