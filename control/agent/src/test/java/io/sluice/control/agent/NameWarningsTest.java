package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class NameWarningsTest {
    private static final String NAMES =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: {name: names, namespace: shop}
            spec:
              endpointSelector: {}
              egress:
                - toFQDNs: [{matchName: example.com}]
            """;

    private static final String DNS =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: {name: dns, namespace: shop}
            spec:
              endpointSelector: {}
              egress:
                - toEndpoints: [{}]
                  toPorts:
                    - ports: [{port: "53", protocol: UDP}]
                      rules: {dns: [{matchPattern: "*"}]}
            """;

    @Test
    void namesThatNobodyCanLearnAreWarnedAbout() {
        assertThat(NameWarnings.of(Manifests.read(NAMES)))
                .singleElement()
                .asString()
                .contains(":7:")
                .contains("toFQDNs: warning: no policy has DNS rules");
    }

    @Test
    void dnsRulesInAnyPolicyAreEnoughHere() {
        assertThat(NameWarnings.of(Manifests.read(NAMES + "---\n" + DNS))).isEmpty();
        assertThat(NameWarnings.of(Manifests.read(DNS))).isEmpty();
    }
}
