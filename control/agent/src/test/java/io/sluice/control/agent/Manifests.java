package io.sluice.control.agent;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.ReadResult;
import java.util.List;

/** Manifests for tests, written as a user writes them. */
final class Manifests {
    private Manifests() {}

    static List<KubeObject> read(final String text) {
        final ReadResult result = ManifestReader.read("test.yaml", text);
        if (result.hasErrors()) {
            throw new IllegalArgumentException(result.problems().toString());
        }
        return result.objects();
    }

    static List<Pod> pods(final String... manifests) {
        return read(String.join("\n---\n", manifests)).stream()
                .filter(Pod.class::isInstance)
                .map(Pod.class::cast)
                .toList();
    }

    /** A Pod of namespace shop that is to be plugged into the namespace of its own name. */
    static String pod(final String name, final String... more) {
        return """
        apiVersion: v1
        kind: Pod
        metadata:
          name: %1$s
          namespace: shop
          labels: {app: %1$s}
          annotations: {sluice.io/netns: %1$s}
        %2$s
        """
                .formatted(name, String.join("\n", more));
    }

    static String podAt(final String name, final String address) {
        return pod(name, "status: {podIPs: [{ip: \"%s\"}]}".formatted(address));
    }

    static String annotated(final String name, final String annotations) {
        return """
        apiVersion: v1
        kind: Pod
        metadata: {name: %s, namespace: shop, annotations: {%s}}
        """
                .formatted(name, annotations);
    }

    static String denyAll(final String name) {
        return """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: %s, namespace: shop}
        spec: {podSelector: {}, policyTypes: [Ingress]}
        """
                .formatted(name);
    }
}
