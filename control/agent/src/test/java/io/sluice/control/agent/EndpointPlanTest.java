package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.annotated;
import static io.sluice.control.agent.Manifests.pod;
import static io.sluice.control.agent.Manifests.podAt;
import static io.sluice.control.agent.Manifests.pods;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.EndpointPlan.Add;
import io.sluice.control.agent.EndpointPlan.NodeFacts;
import io.sluice.control.agent.EndpointPlan.Remove;
import io.sluice.control.agent.EndpointSpec.PortKind;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.Pod;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EndpointPlanTest {
    private static final NodeFacts NODE =
            new NodeFacts(
                    "node-1",
                    1500,
                    List.of(pool("10.244.0.0/29"), pool("fd00::/64")),
                    Set.of(address("10.0.0.1")));

    @TempDir private Path folder;
    private AddressBook book;

    @BeforeEach
    void emptyBook() throws StartupException {
        book = AddressBook.load(folder.resolve("addresses"));
    }

    @Test
    void aPodWithANamespaceBecomesAnEndpointWithAddressesOfThePools() {
        final EndpointPlan plan = plan(Map.of(), pod("a"), pod("b"));

        assertThat(plan.failures()).isEmpty();
        assertThat(plan.actions())
                .containsExactly(
                        new Add(spec("a", "10.244.0.2", "fd00::2")),
                        new Add(spec("b", "10.244.0.3", "fd00::3")));
    }

    @Test
    void policySeesThePodAtTheAddressesItWasGiven() {
        assertThat(plan(Map.of(), pod("a")).pods())
                .extracting(Pod::addresses)
                .containsExactly(List.of(address("10.244.0.2"), address("fd00::2")));
    }

    @Test
    void aPodThatNamesItsAddressesHasExactlyThose() {
        assertThat(plan(Map.of(), podAt("a", "10.0.0.9")).actions())
                .containsExactly(new Add(spec("a", "10.0.0.9")));
    }

    @Test
    void anAddressThatAPodNamesIsNotGivenFromThePool() {
        assertThat(plan(Map.of(), pod("a"), podAt("z", "10.244.0.2")).actions())
                .containsExactlyInAnyOrder(
                        new Add(spec("a", "10.244.0.3", "fd00::2")),
                        new Add(spec("z", "10.244.0.2")));
    }

    @Test
    void whatIsAlreadySoNeedsNoAction() {
        final Map<String, EndpointSpec> current = specs(plan(Map.of(), pod("a"), pod("b")));

        assertThat(plan(current, pod("b"), pod("a")).actions()).isEmpty();
    }

    @Test
    void aChangedPodIsRemovedBeforeItIsAddedAgain() {
        final Map<String, EndpointSpec> current = specs(plan(Map.of(), pod("a")));

        assertThat(
                        plan(current, annotated("a", "sluice.io/netns: a, sluice.io/mtu: \"9000\""))
                                .actions())
                .containsExactly(
                        new Remove("shop/a"),
                        new Add(
                                new EndpointSpec(
                                        "shop",
                                        "a",
                                        "a",
                                        "eth0",
                                        9000,
                                        List.of(address("10.244.0.2"), address("fd00::2")))));
    }

    @Test
    void aPodSaysHowItIsJoinedAndIsMadeAnewWhenThatChanges() {
        final Map<String, EndpointSpec> current = specs(plan(Map.of(), pod("a")));
        assertThat(current.values()).extracting(EndpointSpec::port).containsOnly(PortKind.TAP);
        final EndpointPlan changed =
                plan(current, annotated("a", "sluice.io/netns: a, sluice.io/port: xdp"));

        assertThat(changed.actions()).first().isEqualTo(new Remove("shop/a"));
        assertThat(specs(changed).values())
                .extracting(EndpointSpec::port)
                .containsOnly(PortKind.XDP);
        assertThat(
                        plan(
                                        specs(changed),
                                        annotated("a", "sluice.io/netns: a, sluice.io/port: tap"))
                                .actions())
                .hasSize(2);
    }

    @Test
    void aPodThatIsGoneIsRemoved() {
        final Map<String, EndpointSpec> current = specs(plan(Map.of(), pod("a"), pod("b")));

        assertThat(plan(current, pod("b")).actions()).containsExactly(new Remove("shop/a"));
    }

    @Test
    void aPodOfAnotherNodeIsRemoteAndATerminatedOneIsGone() {
        final EndpointPlan plan =
                plan(
                        Map.of(),
                        pod("a", "spec: {nodeName: node-2}"),
                        pod("b", "status: {phase: Succeeded}"),
                        pod("c", "spec: {nodeName: node-1}"));

        assertThat(specs(plan)).containsOnlyKeys("shop/c");
        assertThat(plan.failures()).isEmpty();
    }

    @Test
    void ofTwoPodsWithOneAddressTheOneThatHasItKeepsIt() {
        final Map<String, EndpointSpec> current = specs(plan(Map.of(), podAt("z", "10.0.0.9")));

        final EndpointPlan plan =
                plan(current, podAt("a", "10.0.0.9"), podAt("z", "10.0.0.9"), pod("b"));

        assertThat(plan.actions()).containsExactly(new Add(spec("b", "10.244.0.2", "fd00::2")));
        assertThat(plan.failures())
                .containsExactly(Map.entry("shop/a", "address 10.0.0.9 belongs to Pod shop/z"));
        assertThat(plan.pods().getFirst().addresses()).isEmpty();
    }

    @Test
    void aPodThatTakesAnotherOnesAddressFailsAndTheOtherStays() {
        final Map<String, EndpointSpec> current =
                specs(plan(Map.of(), podAt("a", "10.0.0.8"), podAt("b", "10.0.0.9")));

        final EndpointPlan plan = plan(current, podAt("a", "10.0.0.9"), podAt("b", "10.0.0.9"));

        assertThat(plan.actions()).containsExactly(new Remove("shop/a"));
        assertThat(plan.failures()).containsOnlyKeys("shop/a");
    }

    @Test
    void anAddressOfTheNodeOrOfAPodElsewhereIsTaken() {
        assertThat(
                        plan(
                                        Map.of(),
                                        podAt("a", "10.0.0.1"),
                                        podAt("b", "10.0.0.7"),
                                        """
                                        apiVersion: v1
                                        kind: Pod
                                        metadata: {name: far, namespace: shop}
                                        spec: {nodeName: node-2}
                                        status: {podIP: 10.0.0.7}
                                        """)
                                .failures())
                .containsExactly(
                        Map.entry("shop/a", "address 10.0.0.1 belongs to this node"),
                        Map.entry("shop/b", "address 10.0.0.7 belongs to Pod shop/far"));
    }

    @Test
    void aFullPoolFailsTheNextPodAndOnlyThat() {
        // 10.244.0.0/29 has five addresses for pods.
        final EndpointPlan plan =
                plan(Map.of(), pod("a"), pod("b"), pod("c"), pod("d"), pod("e"), pod("f"));

        assertThat(specs(plan)).hasSize(5);
        assertThat(plan.failures())
                .containsExactly(Map.entry("shop/f", "no free address in 10.244.0.0/29"));
    }

    @Test
    void twoPodsCannotHaveOneDevice() {
        final EndpointPlan plan =
                plan(
                        Map.of(),
                        annotated("a", "sluice.io/netns: x"),
                        annotated("b", "sluice.io/netns: x"),
                        annotated("c", "sluice.io/netns: x, sluice.io/interface: eth1"));

        assertThat(specs(plan)).containsOnlyKeys("shop/a", "shop/c");
        assertThat(plan.failures())
                .containsExactly(
                        Map.entry("shop/b", "device eth0 in namespace x belongs to Pod shop/a"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "sluice.io/netns: a/b | annotation sluice.io/netns: \"a/b\": the name of a network namespace or an absolute path",
                "sluice.io/pid: \"x\" | annotation sluice.io/pid: \"x\" is no process id",
                "sluice.io/pid: \"7\", sluice.io/netns: a | annotations sluice.io/netns and sluice.io/pid: only one of them",
                "sluice.io/netns: a, sluice.io/port: veth | annotation sluice.io/port: \"veth\": tap or xdp",
                "sluice.io/netns: a, sluice.io/mtu: \"67\" | annotation sluice.io/mtu: \"67\": 68 to 65521 bytes",
                "sluice.io/netns: a, sluice.io/interface: lo | annotation sluice.io/interface: \"lo\": 1 to 15 letters, digits, '-', '_' and '.', beginning with a letter",
                "sluice.io/netnss: a | annotation sluice.io/netnss: no such annotation: sluice.io/audit, sluice.io/interface, sluice.io/mtu, sluice.io/netns, sluice.io/pid, sluice.io/pid-start, sluice.io/port",
                "sluice.io/netns: a, sluice.io/pid-start: x | annotation sluice.io/pid-start: only together with sluice.io/pid",
                "sluice.io/pid: \"7\", sluice.io/pid-start: x | annotation sluice.io/pid-start: \"x\": boot id, slash and start time (field 22 of /proc/PID/stat), as endpoint add writes it",
            })
    void aWrongAnnotationIsToldWithWhatIsAccepted(final String annotations, final String reason) {
        final EndpointPlan plan = plan(Map.of(), annotated("a", annotations), pod("b"));

        assertThat(plan.failures()).containsExactly(Map.entry("shop/a", reason));
        assertThat(specs(plan)).containsOnlyKeys("shop/b");
    }

    @ParameterizedTest
    @CsvSource({"127.0.0.1", "169.254.1.1", "224.0.0.1", "0.0.0.1", "fe80::5", "ff02::1", "::1"})
    void anAddressThatNoPodCanHaveIsRefused(final String text) {
        assertThat(plan(Map.of(), podAt("a", text)).failures().get("shop/a"))
                .startsWith("status.podIPs: " + text + " is not an address a pod can have");
    }

    @Test
    void aPodOnTheHostsNetworkCannotBePluggedIn() {
        assertThat(plan(Map.of(), pod("a", "spec: {hostNetwork: true}")).failures())
                .containsOnlyKeys("shop/a");
    }

    @Test
    void theMacOfADeviceIsLocalUnicastAndStable() {
        final long mac = spec("a", "10.0.0.9").mac();

        assertThat(mac >>> 40).isEqualTo(0x02);
        assertThat(spec("a", "10.0.0.8").mac()).isEqualTo(mac);
        assertThat(spec("b", "10.0.0.9").mac()).isNotEqualTo(mac);
    }

    private EndpointPlan plan(final Map<String, EndpointSpec> current, final String... manifests) {
        return EndpointPlan.of(pods(manifests), current, book, NODE);
    }

    private static Map<String, EndpointSpec> specs(final EndpointPlan plan) {
        final Map<String, EndpointSpec> specs = new TreeMap<>();
        plan.actions()
                .forEach(
                        action -> {
                            if (action instanceof final Add add) {
                                specs.put(add.spec().path(), add.spec());
                            }
                        });
        return specs;
    }

    private static EndpointSpec spec(final String name, final String... addresses) {
        return new EndpointSpec(
                "shop",
                name,
                name,
                "eth0",
                1500,
                List.of(addresses).stream().map(EndpointPlanTest::address).toList());
    }

    private static IpAddress address(final String text) {
        return IpAddress.parse(text).orElseThrow();
    }

    private static AddressPool pool(final String text) {
        return new AddressPool(Cidr.parse(text).orElseThrow());
    }
}
