package io.sluice.perf;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;
import java.util.List;

/**
 * A cluster for the benchmarks of the policy engine: namespaces with applications of a few replicas
 * each, every application an identity, and policies of several kinds about them.
 *
 * <p>Policies by turns: a NetworkPolicy between two applications of the namespace; one that lets in
 * another namespace by its label; one for a prefix outside; a CiliumNetworkPolicy with a range of
 * ports and a deny rule.
 *
 * @param namespaces how many
 * @param identities applications in all
 * @param endpoints pods in all
 * @param policies policies in all
 */
record PolicyScale(int namespaces, int identities, int endpoints, int policies) {
    static PolicyScale of(final int policies) {
        return new PolicyScale(50, 1_000, 5_000, policies);
    }

    World world() {
        final StringBuilder text = new StringBuilder();
        for (int n = 0; n < namespaces; n++) {
            text.append("---\n{apiVersion: v1, kind: Namespace, metadata: {name: n")
                    .append(n)
                    .append(", labels: {team: t")
                    .append(n % 10)
                    .append("}}}\n");
        }
        for (int e = 0; e < endpoints; e++) {
            text.append(pod(e % identities, e));
        }
        for (int p = 0; p < policies; p++) {
            text.append(policy(p, 8080));
        }
        return World.of(objects(text.toString()));
    }

    /** A pod of an application. */
    String pod(final int application, final int number) {
        return "---\n{apiVersion: v1, kind: Pod, metadata: {name: p%d, namespace: n%d, labels: {app: a%d, tier: t%d}}, status: {podIP: 10.%d.%d.%d}}\n"
                .formatted(
                        number,
                        application % namespaces,
                        application,
                        application % 3,
                        number / 60_000,
                        number / 250 % 240,
                        number % 250 + 1);
    }

    /** A policy; one of another port is a change to it. */
    String policy(final int number, final int port) {
        final int application = number % identities;
        final int namespace = application % namespaces;
        final int other = (application + namespaces * (1 + number / identities)) % identities;
        final String rest =
                switch (number % 4) {
                    case 0 ->
                            "podSelector: {matchLabels: {app: a%d}}, ingress: [{from: [{podSelector: {matchLabels: {app: a%d}}}], ports: [{port: %d}]}]}}\n"
                                    .formatted(application, other, port);
                    case 1 ->
                            "podSelector: {matchLabels: {app: a%d}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: t%d}}}], ports: [{port: %d}]}]}}\n"
                                    .formatted(application, number / 7 % 10, port);
                    case 2 ->
                            "podSelector: {matchLabels: {app: a%d}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.%d.0/24}}], ports: [{port: %d}]}, {ports: [{port: 53, protocol: UDP}]}]}}\n"
                                    .formatted(application, number / 4 % 100, port);
                    default ->
                            "endpointSelector: {matchLabels: {app: a%d}}, ingress: [{fromEndpoints: [{matchLabels: {tier: t%d}}], toPorts: [{ports: [{port: '%d', endPort: %d, protocol: TCP}]}]}], ingressDeny: [{fromEndpoints: [{matchLabels: {app: a%d}}]}]}}\n"
                                    .formatted(application, number % 3, port, port + 9, other);
                };
        final boolean cilium = number % 4 == 3;
        return "---\n{apiVersion: %s, kind: %s, metadata: {name: r%d, namespace: n%d}, spec: {%s"
                .formatted(
                        cilium ? "cilium.io/v2" : "networking.k8s.io/v1",
                        cilium ? "CiliumNetworkPolicy" : "NetworkPolicy",
                        number,
                        namespace,
                        rest);
    }

    static List<KubeObject> objects(final String text) {
        final ReadResult read = ManifestReader.read("scale.yaml", text);
        if (read.hasErrors()) {
            throw new IllegalStateException(read.problems().toString());
        }
        return read.objects();
    }
}
