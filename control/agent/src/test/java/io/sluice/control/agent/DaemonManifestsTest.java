package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class DaemonManifestsTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy,"
                        + " metadata: {name: a}, spec: {nodeSelector: {}, ingress: [{}]}}",
                "{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: a},"
                        + " spec: {node: here, interfaceName: '*'}}",
                "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: a},"
                        + " spec: {applyOnForward: true, preDNAT: true, ingress: []}}",
                "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: a},"
                        + " spec: {applyOnForward: true, doNotTrack: true, ingress: []}}",
            })
    void whatIsSaidAboutNodesIsNotEnforcedYetAsTheDaemonSaysAndTheOfflineEngineDoesNot(
            final String manifest) {
        assertThat(DaemonManifests.read("host.yaml", manifest).problems())
                .extracting(Problem::toString)
                .last()
                .asString()
                .startsWith("host.yaml:1:1: warning: not enforced yet: host ");

        final ReadResult offline = ManifestReader.read("host.yaml", manifest);
        final List<Problem> problems = new ArrayList<>(offline.problems());
        problems.addAll(
                PolicyCompiler.compile(
                                World.of(offline.objects()),
                                new IdentityAllocator(),
                                PolicyOptions.DEFAULTS)
                        .warnings());
        assertThat(problems)
                .extracting(Problem::toString)
                .noneMatch(text -> text.contains("not enforced yet"));
    }
}
