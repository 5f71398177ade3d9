package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ResourceKindTest {
    @ParameterizedTest
    @CsvSource({
        "networkpolicy, networkpolicy.networking.k8s.io",
        "NetworkPolicies, networkpolicy.networking.k8s.io",
        "networkpolicies.networking.k8s.io, networkpolicy.networking.k8s.io",
        "networkpolicy.projectcalico.org, networkpolicy.projectcalico.org",
        "networkpolicies.projectcalico.org, networkpolicy.projectcalico.org",
        "NetworkPolicy.projectcalico.org, networkpolicy.projectcalico.org",
        "cnp, ciliumnetworkpolicy.cilium.io",
        "clusternetworkpolicy, clusternetworkpolicy.policy.networking.k8s.io",
        "anp, adminnetworkpolicy.policy.networking.k8s.io",
        "banp, baselineadminnetworkpolicy.policy.networking.k8s.io",
        "gnp, globalnetworkpolicy.projectcalico.org",
        "tiers, tier.projectcalico.org",
        "netset, networkset.projectcalico.org",
        "globalnetworkset, globalnetworkset.projectcalico.org",
        "hep, hostendpoint.projectcalico.org",
        "profile, profile.projectcalico.org",
        "snp, stagednetworkpolicy.projectcalico.org",
        "sgnp, stagedglobalnetworkpolicy.projectcalico.org",
        "sknp, stagedkubernetesnetworkpolicy.projectcalico.org",
    })
    void isFoundByEveryNameThatKubectlTakes(final String word, final String resource) {
        assertThat(ResourceKind.of(word).resource()).isEqualTo(resource);
    }

    @Test
    void everyKindIsFoundByItsOwnNames() {
        for (final ResourceKind kind : ResourceKind.values()) {
            assertThat(List.of(kind.kind(), kind.resource(), kind.pluralResource()))
                    .allSatisfy(name -> assertThat(ResourceKind.of(name)).isEqualTo(kind));
        }
        assertThat(Arrays.stream(ResourceKind.values()).map(ResourceKind::resource))
                .doesNotHaveDuplicates();
    }

    @Test
    void whatIsNoKindIsToldWithThoseThereAre() {
        assertThatThrownBy(() -> ResourceKind.of("netpole"))
                .hasMessageContaining("resource type \"netpole\"")
                .hasMessageContaining("networkpolicies, ciliumnetworkpolicies")
                .hasMessageContaining("stagedkubernetesnetworkpolicies");
    }
}
