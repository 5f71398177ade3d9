package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Calico's {@code services} in an egress rule, and what else the rule says of the traffic. */
final class CalicoServicesTest {
    private static final String WORLD =
            """
            {apiVersion: v1, kind: Pod, metadata: {name: client, namespace: shop, labels: {app: client}},
             status: {podIP: 10.0.0.1}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: dns, namespace: shop, labels: {app: dns}},
             status: {podIP: 10.0.0.2}}
            ---
            {apiVersion: v1, kind: Service, metadata: {name: dns, namespace: shop},
             spec: {selector: {app: dns}, ports: [{name: u, protocol: UDP, port: 53}, {name: t, protocol: TCP, port: 53}]}}
            ---
            {apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: p, namespace: shop},
             spec: {selector: app == 'client', types: [Egress],
               egress: [{action: Allow, PROTOCOL destination: {services: {name: dns, namespace: shop}}}]}}
            """;

    private static boolean allows(final String protocolOfRule, final String protocol)
            throws ProbeException {
        final World world =
                World.of(
                        ManifestReader.read("w.yaml", WORLD.replace("PROTOCOL", protocolOfRule))
                                .objects());
        return new PolicyEvaluator(
                        world,
                        PolicyCompiler.compile(
                                world, new IdentityAllocator(), PolicyOptions.DEFAULTS))
                .evaluate(Probe.of("shop/client", "shop/dns", protocol, "53"))
                .allowed();
    }

    @Test
    void aServiceAloneAllowsAllItsPorts() throws Exception {
        assertThat(allows("", "UDP")).isTrue();
        assertThat(allows("", "TCP")).isTrue();
    }

    @Test
    void aProtocolTakesTheOthersOut() throws Exception {
        assertThat(allows("protocol: TCP,", "TCP")).isTrue();
        assertThat(allows("protocol: TCP,", "UDP")).isFalse();
    }

    @Test
    void aProtocolThatIsTakenOutIsNotAllowedByTheService() throws Exception {
        assertThat(allows("notProtocol: UDP,", "TCP")).isTrue();
        assertThat(allows("notProtocol: UDP,", "UDP")).isFalse();
    }
}
