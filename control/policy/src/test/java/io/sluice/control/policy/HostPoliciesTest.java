package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Cilium's host policies and Calico's host endpoints, behaviour by behaviour. */
final class HostPoliciesTest {
    private static final String WORLD =
            """
            {apiVersion: v1, kind: Node, metadata: {name: east, labels: {zone: east}},
             status: {addresses: [{type: InternalIP, address: 192.168.7.1}]}}
            ---
            {apiVersion: v1, kind: Node, metadata: {name: west, labels: {zone: west}},
             status: {addresses: [{type: InternalIP, address: 192.168.7.2}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: near, labels: {app: near}},
             spec: {nodeName: east}, status: {podIP: 10.0.0.1}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: far, labels: {app: far}},
             spec: {nodeName: west}, status: {podIP: 10.0.1.1}}
            ---
            """;

    private static final String HOST_ENDPOINT =
            """
            {apiVersion: projectcalico.org/v3, kind: HostEndpoint,
             metadata: {name: east-eth0, labels: {role: edge}},
             spec: {node: east, interfaceName: eth0, expectedIPs: [192.168.7.1]%s}}
            ---
            """;

    private static final String PLAIN_ENDPOINT = HOST_ENDPOINT.formatted("");

    private static World world(final String manifests) {
        final ReadResult read = ManifestReader.read("host.yaml", WORLD + manifests);
        assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
        return World.of(read.objects());
    }

    private static PolicyEvaluator evaluator(final World world) {
        return new PolicyEvaluator(
                world,
                PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS));
    }

    private static Evaluation answer(
            final String manifests,
            final String from,
            final String to,
            final String protocol,
            final String port)
            throws ProbeException {
        return evaluator(world(manifests)).evaluate(Probe.of(from, to, protocol, port));
    }

    private static String ingress(final String manifests, final String from, final String port)
            throws ProbeException {
        return text(answer(manifests, from, "192.168.7.1", "TCP", port).ingress());
    }

    private static String egress(final String manifests, final String to, final String port)
            throws ProbeException {
        return text(answer(manifests, "192.168.7.1", to, "TCP", port).egress());
    }

    private static String text(final PolicyEntry entry) {
        final String by = entry.by().toString();
        return entry.verdict() + " " + by.replaceAll(" \\(host.yaml:\\d+\\)", "");
    }

    private static String ciliumHost(final String zone, final String rules) {
        return """
               {apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy,
                metadata: {name: nodes}, spec: {nodeSelector: {matchLabels: {zone: %s}}, %s}}
               ---
               """
                .formatted(zone, rules);
    }

    private static String global(final String name, final String spec) {
        return """
               {apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy,
                metadata: {name: %s}, spec: {%s}}
               ---
               """
                .formatted(name, spec);
    }

    // Cilium

    @Test
    void aHostPolicyIsolatesTheNodesThatItSelects() throws ProbeException {
        final String policy =
                ciliumHost(
                        "east",
                        "ingress: [{fromEntities: [remote-node], toPorts: [{ports: [{port: '22',"
                                + " protocol: TCP}]}]}]");
        assertThat(ingress(policy, "192.168.7.2", "22"))
                .isEqualTo("ALLOW CiliumClusterwideNetworkPolicy nodes ingress[0]");
        assertThat(ingress(policy, "192.168.7.2", "80"))
                .isEqualTo(
                        "DENY end of tier default: isolated by CiliumClusterwideNetworkPolicy"
                                + " nodes");
        assertThat(ingress(policy, "203.0.113.9", "22")).startsWith("DENY end of tier default");
        assertThat(egress(policy, "203.0.113.9", "22")).startsWith("ALLOW default");
        assertThat(text(answer(policy, "192.168.7.1", "192.168.7.2", "TCP", "22").ingress()))
                .isEqualTo("ALLOW not an endpoint: nothing to enforce");
    }

    @Test
    void aHostPolicyAppliesToTheNodesOwnPodsOnTheNodesSideOnly() throws ProbeException {
        final String policy =
                ciliumHost("east", "egress: [{toEndpoints: [{matchLabels: {app: far}}]}]");
        assertThat(egress(policy, "default/far", "80"))
                .isEqualTo("ALLOW CiliumClusterwideNetworkPolicy nodes egress[0]");
        assertThat(egress(policy, "default/near", "80")).startsWith("DENY end of tier default");
        assertThat(text(answer(policy, "default/near", "192.168.7.1", "TCP", "80").egress()))
                .startsWith("ALLOW default");
    }

    @Test
    void aHostPolicyLeavesPodsAlone() throws ProbeException {
        final String policy = ciliumHost("east", "ingress: [{}], egress: [{}]");
        assertThat(answer(policy, "203.0.113.9", "default/near", "TCP", "80").allowed()).isTrue();
        assertThat(answer(policy, "default/near", "default/far", "TCP", "80").allowed()).isTrue();
    }

    @Test
    void denyOfAHostPolicyBeatsAllow() throws ProbeException {
        final String policy =
                ciliumHost(
                        "east",
                        "ingress: [{fromEntities: [all]}], ingressDeny: [{fromEntities: [world]}]");
        assertThat(ingress(policy, "203.0.113.9", "80"))
                .isEqualTo("DENY CiliumClusterwideNetworkPolicy nodes ingressDeny[0]");
        assertThat(ingress(policy, "default/far", "80")).startsWith("ALLOW");
    }

    @Test
    void anEndpointSelectorOfEverythingSelectsNoNode() {
        final String policy =
                """
                {apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy,
                 metadata: {name: pods}, spec: {endpointSelector: {}, ingress: [{}]}}
                """;
        assertThatThrownBy(() -> ingress(policy, "203.0.113.9", "80"))
                .isInstanceOf(ProbeException.class)
                .hasMessageContaining("no policy applies between them");
    }

    // Ends

    @Test
    void aNodeIsAskedForByNameOrAddressAndAPodOfItsNameComesFirst() throws ProbeException {
        final String policy = ciliumHost("east", "ingress: [{}]");
        for (final String node : List.of("east", "Node/east", "192.168.7.1")) {
            assertThat(answer(policy, "default/far", node, "TCP", "80").allowed())
                    .as(node)
                    .isFalse();
        }
        final String pod =
                "{apiVersion: v1, kind: Pod, metadata: {name: east}, status: {podIP: 10.0.9.9}}";
        final String both = policy + pod;
        assertThat(answer(both, "default/far", "east", "TCP", "80").allowed()).isTrue();
        assertThat(answer(both, "default/far", "Node/east", "TCP", "80").allowed()).isFalse();
        assertThatThrownBy(() -> answer(policy, "default/far", "Node/north", "TCP", "80"))
                .hasMessage("to: there is no node north whose address is known");
    }

    @Test
    void aPodOnTheHostsNetworkIsItsNode() throws ProbeException {
        final String policy =
                ciliumHost("east", "ingress: [{}]")
                        + """
                        {apiVersion: v1, kind: Pod, metadata: {name: agent},
                         spec: {nodeName: east, hostNetwork: true}, status: {podIP: 192.168.7.1}}
                        """;
        assertThat(answer(policy, "203.0.113.9", "default/agent", "TCP", "80").allowed()).isFalse();
    }

    @Test
    void aNodeToItselfMeetsNoPolicy() throws ProbeException {
        final String policy = ciliumHost("east", "ingress: [{}], egress: [{}]");
        assertThat(answer(policy, "east", "192.168.7.1", "TCP", "80").allowed()).isTrue();
    }

    // Calico

    @Test
    void aHostEndpointWithoutPolicyDeniesAllButTheFailsafePorts() throws ProbeException {
        assertThat(ingress(PLAIN_ENDPOINT, "203.0.113.9", "80"))
                .isEqualTo("DENY HostEndpoint east-eth0: no policy and no profile allows it");
        for (final String port :
                List.of("22", "179", "2379", "2380", "5473", "6443", "6666", "6667")) {
            assertThat(ingress(PLAIN_ENDPOINT, "203.0.113.9", port))
                    .as(port)
                    .isEqualTo("ALLOW failsafe port of HostEndpoint east-eth0");
        }
        assertThat(text(answer(PLAIN_ENDPOINT, "203.0.113.9", "east", "UDP", "68").ingress()))
                .startsWith("ALLOW failsafe");
        assertThat(egress(PLAIN_ENDPOINT, "203.0.113.9", "22")).startsWith("DENY HostEndpoint");
        assertThat(egress(PLAIN_ENDPOINT, "203.0.113.9", "6443")).startsWith("ALLOW failsafe");
        for (final String port : List.of("53", "67")) {
            assertThat(text(answer(PLAIN_ENDPOINT, "east", "203.0.113.9", "UDP", port).egress()))
                    .startsWith("ALLOW failsafe");
        }
    }

    @Test
    void aPolicySelectsHostEndpointsByTheirLabels() throws ProbeException {
        final String manifests =
                PLAIN_ENDPOINT
                        + global(
                                "edge",
                                "selector: role == 'edge', ingress: [{action: Allow, protocol: TCP,"
                                        + " destination: {ports: [80]}}]");
        assertThat(ingress(manifests, "203.0.113.9", "80"))
                .isEqualTo("ALLOW GlobalNetworkPolicy edge ingress[0]");
        assertThat(ingress(manifests, "203.0.113.9", "81"))
                .isEqualTo("DENY end of tier default: isolated by GlobalNetworkPolicy edge");
        assertThat(ingress(manifests, "203.0.113.9", "22")).startsWith("ALLOW failsafe");
        assertThat(egress(manifests, "203.0.113.9", "80")).startsWith("DENY HostEndpoint");
    }

    @Test
    void whatAsksForANamespaceOrAccountSelectsNoHostEndpoint() throws ProbeException {
        for (final String field :
                List.of(
                        "namespaceSelector: all()",
                        "namespaceSelector: \"all() && !has(x)\"",
                        "namespaceSelector: has(team)",
                        "serviceAccountSelector: all()")) {
            assertThat(
                            ingress(
                                    PLAIN_ENDPOINT
                                            + global("p", field + ", ingress: [{action: Allow}]"),
                                    "203.0.113.9",
                                    "80"))
                    .as(field)
                    .startsWith("DENY HostEndpoint");
        }
        assertThat(
                        ingress(
                                PLAIN_ENDPOINT
                                        + global(
                                                "p",
                                                "namespaceSelector: '!has(x)', ingress: [{action:"
                                                        + " Allow}]"),
                                "203.0.113.9",
                                "80"))
                .startsWith("ALLOW GlobalNetworkPolicy p");
    }

    @Test
    void profilesAreAskedAfterAllTiersInTheOrderOfTheEndpoint() throws ProbeException {
        final String profiles =
                """
                {apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: one},
                 spec: {ingress: [{action: Deny, protocol: TCP, destination: {ports: [80]}}],
                  labelsToApply: {tagged: 'yes'}}}
                ---
                {apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: two},
                 spec: {ingress: [{action: Allow}], egress: [{action: Allow}]}}
                ---
                """;
        final String endpoint = HOST_ENDPOINT.formatted(", profiles: [two, one]");
        final String other = HOST_ENDPOINT.formatted(", profiles: [one, two]");
        assertThat(ingress(profiles + endpoint, "203.0.113.9", "80"))
                .isEqualTo("ALLOW Profile two ingress[0]");
        assertThat(ingress(profiles + other, "203.0.113.9", "80"))
                .isEqualTo("DENY Profile one ingress[0]");
        assertThat(ingress(profiles + other, "203.0.113.9", "81"))
                .isEqualTo("ALLOW Profile two ingress[0]");
        final String selecting =
                global(
                        "p",
                        "selector: tagged == 'yes', ingress: [{action: Pass, protocol: TCP,"
                                + " destination: {ports: [81]}}]");
        assertThat(ingress(profiles + other + selecting, "203.0.113.9", "82"))
                .startsWith("DENY end of tier default");
        assertThat(ingress(profiles + other + selecting, "203.0.113.9", "81"))
                .isEqualTo("ALLOW Profile two ingress[0]");
        assertThat(
                        ingress(
                                HOST_ENDPOINT.formatted(
                                        ", profiles: [projectcalico-default-allow]"),
                                "203.0.113.9",
                                "80"))
                .isEqualTo("ALLOW Profile projectcalico-default-allow ingress[0]");
    }

    @Test
    void anUntrackedPolicyComesBeforeTheOthersAndLeavesThemTheRest() throws ProbeException {
        final String manifests =
                PLAIN_ENDPOINT
                        + global(
                                "raw",
                                "order: 2000, doNotTrack: true, applyOnForward: true, ingress:"
                                        + " [{action: Allow, protocol: TCP, destination: {ports:"
                                        + " [80]}}]")
                        + global(
                                "later",
                                "order: 1, ingress: [{action: Deny, protocol: TCP, destination:"
                                        + " {ports: [80]}}, {action: Allow, protocol: TCP,"
                                        + " destination: {ports: [81]}}]");
        assertThat(ingress(manifests, "203.0.113.9", "80"))
                .isEqualTo("ALLOW GlobalNetworkPolicy raw ingress[0]");
        assertThat(ingress(manifests, "203.0.113.9", "81"))
                .isEqualTo("ALLOW GlobalNetworkPolicy later ingress[1]");
    }

    @Test
    void policiesOfHostEndpointsOnlyDoNotIsolatePods() throws ProbeException {
        for (final String field : List.of("doNotTrack", "preDNAT")) {
            final String manifests =
                    global(
                            "p",
                            "selector: all(), applyOnForward: true, "
                                    + field
                                    + ": true, ingress: [{action: Deny}]");
            assertThat(answer(manifests, "203.0.113.9", "default/near", "TCP", "80").allowed())
                    .as(field)
                    .isTrue();
        }
    }

    @Test
    void onlyApplyOnForwardTouchesWhatTheNodeForwards() throws ProbeException {
        final String rule = "selector: role == 'edge', ingress: [{action: Deny, protocol: TCP}]";
        final String local = PLAIN_ENDPOINT + global("local", rule);
        final String forward = PLAIN_ENDPOINT + global("forward", rule + ", applyOnForward: true");
        assertThat(answer(local, "203.0.113.9", "default/near", "TCP", "22").allowed()).isTrue();
        final Evaluation denied = answer(forward, "203.0.113.9", "default/near", "TCP", "22");
        assertThat(text(denied.ingress())).isEqualTo("DENY GlobalNetworkPolicy forward ingress[0]");
        assertThat(text(answer(forward, "203.0.113.9", "default/near", "UDP", "22").ingress()))
                .isEqualTo("DENY end of tier default: isolated by GlobalNetworkPolicy forward");
        assertThat(answer(forward, "default/near", "203.0.113.9", "TCP", "22").allowed()).isTrue();
        assertThat(answer(forward, "203.0.113.9", "default/far", "TCP", "22").allowed()).isTrue();
        assertThat(answer(forward, "default/far", "default/near", "TCP", "22").allowed()).isFalse();
        assertThat(answer(forward, "192.168.7.1", "default/near", "TCP", "22").allowed()).isTrue();
    }

    @Test
    void aPreDnatPolicyJudgesWhatComesInBehindTheFailsafePorts() throws ProbeException {
        final String manifests =
                PLAIN_ENDPOINT
                        + global(
                                "pre",
                                "selector: all(), preDNAT: true, applyOnForward: true, ingress:"
                                        + " [{action: Allow, protocol: TCP, destination: {ports: [80]}},"
                                        + " {action: Deny, protocol: TCP}]");
        assertThat(ingress(manifests, "203.0.113.9", "80"))
                .isEqualTo("ALLOW GlobalNetworkPolicy pre ingress[0]");
        assertThat(ingress(manifests, "203.0.113.9", "22")).startsWith("ALLOW failsafe");
        assertThat(ingress(manifests, "203.0.113.9", "81"))
                .isEqualTo("DENY GlobalNetworkPolicy pre ingress[1]");
        assertThat(answer(manifests, "203.0.113.9", "default/near", "TCP", "81").allowed())
                .isFalse();
        assertThat(answer(manifests, "203.0.113.9", "default/near", "TCP", "22").allowed())
                .isTrue();
    }

    @Test
    void trafficBetweenANodeAndItsPodsMeetsNoHostEndpoint() throws ProbeException {
        assertThatThrownBy(() -> answer(PLAIN_ENDPOINT, "203.0.113.9", "192.168.7.2", "TCP", "80"))
                .isInstanceOf(ProbeException.class);
        assertThat(answer(PLAIN_ENDPOINT, "default/near", "east", "TCP", "80").allowed()).isTrue();
        assertThat(answer(PLAIN_ENDPOINT, "default/far", "east", "TCP", "80").allowed()).isFalse();
    }

    private static String ofAllInterfaces(final String node, final String fields) {
        return """
               {apiVersion: projectcalico.org/v3, kind: HostEndpoint,
                metadata: {name: %s-all, labels: {role: edge}},
                spec: {node: %s, interfaceName: '*'%s}}
               ---
               """
                .formatted(node, node, fields);
    }

    private static String deny(final String name, final String fields) {
        return global(
                name,
                "selector: role == 'edge', "
                        + fields
                        + ": [{action: Deny, protocol: TCP}, {action: Allow}]");
    }

    @Test
    void whatUntrackedAndPreDnatPoliciesAllowSkipsForwardPolicies() throws ProbeException {
        for (final String field : List.of("doNotTrack", "preDNAT")) {
            final String early =
                    PLAIN_ENDPOINT
                            + global(
                                    "early",
                                    "selector: has(role), applyOnForward: true, "
                                            + field
                                            + ": true, ingress: [{action: Allow, protocol: TCP,"
                                            + " destination: {ports: [22, 80]}}]");
            final String both = early + deny("late", "applyOnForward: true, ingress");
            assertThat(answer(both, "203.0.113.9", "default/near", "TCP", "80").allowed())
                    .as(field)
                    .isTrue();
            assertThat(answer(both, "203.0.113.9", "default/near", "TCP", "81").allowed())
                    .as(field)
                    .isFalse();
            // A failsafe port is not asked about early, and so not allowed early either.
            assertThat(text(answer(both, "203.0.113.9", "default/near", "TCP", "22").ingress()))
                    .as(field)
                    .isEqualTo("DENY GlobalNetworkPolicy late ingress[0]");
        }
    }

    @Test
    void anEndpointOfAllInterfacesIsThatOfThePodsInterfacesToo() throws ProbeException {
        final String all = ofAllInterfaces("east", ", profiles: [projectcalico-default-allow]");
        final String in = all + deny("in", "applyOnForward: true, ingress");
        final String out = all + deny("out", "applyOnForward: true, egress");
        final String second =
                """
                {apiVersion: v1, kind: Pod, metadata: {name: second},
                 spec: {nodeName: east}, status: {podIP: 10.0.0.2}}
                ---
                """;
        for (final String policies : List.of(in, out)) {
            for (final String other : List.of("203.0.113.9", "default/far", "default/second")) {
                assertThat(answer(policies + second, other, "default/near", "TCP", "80").allowed())
                        .as(other)
                        .isFalse();
                assertThat(answer(policies + second, "default/near", other, "TCP", "80").allowed())
                        .as(other)
                        .isFalse();
            }
        }
        // An interface with a name is met at the node's edge only.
        final String edge = PLAIN_ENDPOINT + second + deny("in", "applyOnForward: true, ingress");
        assertThat(answer(edge, "default/near", "203.0.113.9", "TCP", "80").allowed()).isTrue();
        assertThat(answer(edge, "default/near", "default/second", "TCP", "80").allowed()).isTrue();
    }

    @Test
    void whatPodsSendToTheirOwnNodeMeetsPreDnatPoliciesOfAllInterfacesOnly() throws ProbeException {
        final String all = ofAllInterfaces("east", "");
        final String normal = all + deny("normal", "applyOnForward: true, ingress");
        final String pre = all + deny("pre", "applyOnForward: true, preDNAT: true, ingress");
        assertThat(answer(all, "default/near", "east", "TCP", "80").allowed()).isTrue();
        assertThat(answer(normal, "default/near", "east", "TCP", "80").allowed()).isTrue();
        assertThat(text(answer(pre, "default/near", "east", "TCP", "80").ingress()))
                .isEqualTo("DENY GlobalNetworkPolicy pre ingress[0]");
        assertThat(answer(pre, "default/near", "east", "TCP", "22").allowed()).isTrue();
        assertThat(answer(pre, "east", "default/near", "TCP", "80").allowed()).isTrue();
    }

    @Test
    void theLoopbackBelongsToAnEndpointOfAllInterfaces() throws ProbeException {
        assertThat(text(answer(ofAllInterfaces("east", ""), "east", "east", "TCP", "80").egress()))
                .startsWith("DENY HostEndpoint east-all");
        assertThat(answer(ofAllInterfaces("east", ""), "east", "east", "TCP", "6443").allowed())
                .isTrue();
        assertThat(answer(PLAIN_ENDPOINT, "east", "east", "TCP", "80").allowed()).isTrue();
    }

    @Test
    void anEndpointOfAllInterfacesHasNoUntrackedPolicies() throws ProbeException {
        final String untracked = deny("raw", "applyOnForward: true, doNotTrack: true, ingress");
        final String allowing = ", profiles: [projectcalico-default-allow]";
        assertThat(ingress(ofAllInterfaces("east", allowing) + untracked, "203.0.113.9", "80"))
                .startsWith("ALLOW Profile");
        assertThat(ingress(HOST_ENDPOINT.formatted(allowing) + untracked, "203.0.113.9", "80"))
                .isEqualTo("DENY GlobalNetworkPolicy raw ingress[0]");
    }

    @Test
    void theFirstByNameOfTheInterfacesThatExpectAnAddressStandsForIt() throws ProbeException {
        final String named =
                """
                {apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: %s},
                 spec: {node: east, interfaceName: eth0, expectedIPs: [192.168.7.1]}}
                ---
                """;
        final String all = ofAllInterfaces("east", ", expectedIPs: [192.168.7.1]");
        for (final String order :
                List.of(
                        all + named.formatted("b") + named.formatted("a"),
                        named.formatted("a") + named.formatted("b") + all)) {
            assertThat(ingress(order, "203.0.113.9", "80")).startsWith("DENY HostEndpoint a:");
        }
    }

    @Test
    void aProfileThatIsNotThereDeniesAndPassLeavesItToTheNextOne() throws ProbeException {
        final String missing =
                HOST_ENDPOINT.formatted(", profiles: [gone, projectcalico-default-allow]");
        assertThat(ingress(missing, "203.0.113.9", "80"))
                .isEqualTo("DENY Profile gone of the host endpoint is not there");
        final String passing =
                """
                {apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: one},
                 spec: {ingress: [{action: Pass}], labelsToApply: {tag: one, role: none}}}
                ---
                {apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: two},
                 spec: {ingress: [{action: Allow}], labelsToApply: {tag: two}}}
                ---
                """
                        + HOST_ENDPOINT.formatted(", profiles: [one, two]");
        assertThat(ingress(passing, "203.0.113.9", "80")).isEqualTo("ALLOW Profile two ingress[0]");
        // Of a label that several apply, its own counts, and then the first.
        final String selecting =
                global("p", "selector: tag == 'one' && role == 'edge', ingress: [{action: Deny}]");
        assertThat(ingress(passing + selecting, "203.0.113.9", "80"))
                .startsWith("DENY GlobalNetworkPolicy p");
    }

    @Test
    void aHostEndpointIsAPeerAtTheAddressesThatItExpectsWithItsNamedPorts() throws ProbeException {
        final String rule =
                global(
                        "pods",
                        "selector: app == 'far', egress: [{action: Allow, protocol: TCP,"
                                + " destination: {selector: role == 'edge', ports: [web]}}]");
        final String ports =
                ", profiles: [projectcalico-default-allow], ports: [{name: web,"
                        + " protocol: TCP, port: 8080}]";
        final String expecting = HOST_ENDPOINT.formatted(ports) + rule;
        assertThat(answer(expecting, "default/far", "east", "TCP", "8080").allowed()).isTrue();
        assertThat(answer(expecting, "default/far", "east", "TCP", "80").allowed()).isFalse();
        final String expectingNone = ofAllInterfaces("east", ports) + rule;
        assertThat(answer(expectingNone, "default/far", "east", "TCP", "8080").allowed()).isFalse();
    }

    @Test
    void aMissingProfileAndTwoParsersOnOnePortAreSaid() {
        final World world =
                world(
                        HOST_ENDPOINT.formatted(", profiles: [gone, projectcalico-default-allow]")
                                + hostL7("a", "http: [{}]")
                                + hostL7("b", "dns: [{matchPattern: '*'}]"));
        assertThat(
                        PolicyCompiler.compile(
                                        world, new IdentityAllocator(), PolicyOptions.DEFAULTS)
                                .warnings())
                .extracting(Problem::toString)
                .anyMatch(text -> text.contains("there is no Profile gone: it denies"))
                .anyMatch(text -> text.contains("cannot merge conflicting L7 parsers"));
    }

    private static String hostL7(final String name, final String rules) {
        return """
               {apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy,
                metadata: {name: %s}, spec: {nodeSelector: {}, egress: [{toEntities: [world],
                 toPorts: [{ports: [{port: '53', protocol: TCP}], rules: {%s}}]}]}}
               ---
               """
                .formatted(name, rules);
    }

    @Test
    void aStagedPolicyReplacesTheOneOfItsNameWhateverItSelectsItself() throws ProbeException {
        final String staged =
                """
                {apiVersion: projectcalico.org/v3, kind: StagedGlobalNetworkPolicy,
                 metadata: {name: p}, spec: {%s}}
                """;
        final String hosts =
                HOST_ENDPOINT.formatted(", profiles: [projectcalico-default-allow]")
                        + global("p", "types: [Ingress]")
                        + staged.formatted("namespaceSelector: has(team)");
        final Evaluation toHost = answer(hosts, "203.0.113.9", "east", "TCP", "80");
        assertThat(toHost.allowed()).isFalse();
        assertThat(toHost.pending().orElseThrow().allowed()).isTrue();
        final String pods =
                global("p", "types: [Ingress]")
                        + staged.formatted("applyOnForward: true, preDNAT: true");
        final Evaluation toPod = answer(pods, "203.0.113.9", "default/near", "TCP", "80");
        assertThat(toPod.allowed()).isFalse();
        assertThat(toPod.pending().orElseThrow().allowed()).isTrue();
    }

    @Test
    void anAuditedForwardPolicyIsReportedBesideWhatThePodIsAllowed() throws ProbeException {
        final String audited =
                PLAIN_ENDPOINT
                        + """
                        {apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy,
                         metadata: {name: p, annotations: {sluice.io/audit: 'true'}},
                         spec: {selector: has(role), applyOnForward: true, types: [Ingress]}}
                        """;
        assertThat(answer(audited, "203.0.113.9", "default/near", "TCP", "80").verdict())
                .isEqualTo(Evaluation.Verdict.AUDIT);
    }

    @Test
    void anEndpointOfAllInterfacesStandsForEveryAddressThatNoOtherExpects() throws ProbeException {
        final String all =
                """
                {apiVersion: projectcalico.org/v3, kind: HostEndpoint,
                 metadata: {name: all}, spec: {node: west, interfaceName: '*'}}
                ---
                """;
        assertThat(text(answer(all, "203.0.113.9", "192.168.7.2", "TCP", "80").ingress()))
                .isEqualTo("DENY HostEndpoint all: no policy and no profile allows it");
    }

    @Test
    void aHostEndpointIsAPeerWithTheLabelsOfItsProfiles() throws ProbeException {
        final String manifests =
                """
                {apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: one},
                 spec: {labelsToApply: {tagged: 'yes'}}}
                ---
                """
                        + HOST_ENDPOINT.formatted(", profiles: [projectcalico-default-allow, one]")
                        + global(
                                "pods",
                                "selector: app == 'far', ingress: [{action: Allow, source:"
                                        + " {selector: tagged == 'yes'}}]");
        assertThat(answer(manifests, "east", "default/far", "TCP", "80").allowed()).isTrue();
        assertThat(answer(manifests, "default/near", "default/far", "TCP", "80").allowed())
                .isFalse();
    }

    @Test
    void stagedAndAuditedPoliciesOfHostsAreReportedBeside() throws ProbeException {
        final String staged =
                HOST_ENDPOINT.formatted(", profiles: [projectcalico-default-allow]")
                        + """
                        {apiVersion: projectcalico.org/v3, kind: StagedGlobalNetworkPolicy,
                         metadata: {name: p}, spec: {selector: has(role), types: [Ingress]}}
                        ---
                        """;
        final Evaluation answer = answer(staged, "203.0.113.9", "east", "TCP", "80");
        assertThat(answer.allowed()).isTrue();
        assertThat(answer.pending())
                .hasValueSatisfying(pending -> assertThat(pending.allowed()).isFalse());
        final String audited =
                """
                {apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy,
                 metadata: {name: nodes, annotations: {policy.cilium.io/audit-mode: 'true'}},
                 spec: {nodeSelector: {}, ingress: [{}]}}
                """;
        assertThat(answer(audited, "203.0.113.9", "east", "TCP", "80").verdict())
                .isEqualTo(Evaluation.Verdict.AUDIT);
    }

    // Faces

    @Test
    void theMatrixHasTheNodesThatPolicySpeaksOf() throws ProbeException {
        final World world = world(ciliumHost("east", "ingress: [{}]"));
        final ReachabilityMatrix matrix =
                ReachabilityMatrix.of(world, evaluator(world), "TCP", "80");
        assertThat(matrix.pods())
                .extracting(ObjectRef::toString)
                .containsExactly("Pod default/far", "Pod default/near", "Node east");
        assertThat(matrix.rows()).containsExactly("=.X", ".=X", "..=");
    }

    @Test
    void aDiffTellsWhatAHostPolicyCuts() {
        final World before = world("");
        final World after = world(ciliumHost("east", "ingress: [{fromEntities: [cluster]}]"));
        final List<PolicyDiff.Change> changes =
                PolicyDiff.of(
                                before,
                                PolicyCompiler.compile(
                                        before, new IdentityAllocator(), PolicyOptions.DEFAULTS),
                                after,
                                PolicyCompiler.compile(
                                        after, new IdentityAllocator(), PolicyOptions.DEFAULTS),
                                PolicyDiff.Authors.IGNORED)
                        .changes();
        assertThat(changes).isNotEmpty();
        assertThat(changes)
                .allSatisfy(
                        change -> assertThat(change.destinations().text()).startsWith("node east"));
    }

    @Test
    void theExplanationNamesFailsafePortsAndTheForwardingNode() throws ProbeException {
        final String manifests =
                PLAIN_ENDPOINT
                        + global(
                                "forward",
                                "selector: has(role), applyOnForward: true, ingress: [{action:"
                                        + " Deny}]");
        final PolicyEvaluator evaluator = evaluator(world(manifests));
        assertThat(evaluator.explain(Probe.of("203.0.113.9", "east", "TCP", "80")).lines())
                .contains("  failsafe ports: no match: 80/TCP is none of them");
        assertThat(evaluator.explain(Probe.of("203.0.113.9", "default/near", "TCP", "80")).lines())
                .contains("  forwarded by node east, ingress:");
    }
}
