package io.sluice.control.agent;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The Pod that stands for an endpoint which was added by hand. */
final class PodManifest {
    private PodManifest() {}

    /**
     * The manifest as plain maps, the way a user would write it.
     *
     * @param processStart which process the request's pid means, see {@link ProcessStart}; empty
     *     without a pid
     */
    static Map<String, Object> of(
            final EndpointRequest request, final String namespace, final String processStart) {
        final Map<String, Object> annotations = new LinkedHashMap<>();
        if (!request.networkNamespace().isEmpty()) {
            annotations.put(EndpointPlan.NETNS, request.networkNamespace());
        }
        if (request.pid() != 0) {
            annotations.put(EndpointPlan.PID, Long.toString(request.pid()));
            annotations.put(EndpointPlan.PID_START, processStart);
        }
        if (!request.device().isEmpty()) {
            annotations.put(EndpointPlan.INTERFACE, request.device());
        }
        if (request.mtu() != 0) {
            annotations.put(EndpointPlan.MTU, Integer.toString(request.mtu()));
        }
        if (!request.port().isEmpty()) {
            annotations.put(EndpointPlan.PORT, request.port());
        }
        final Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("name", request.name());
        metadata.put("namespace", namespace);
        if (!request.labels().isEmpty()) {
            metadata.put("labels", new LinkedHashMap<>(request.labels()));
        }
        metadata.put("annotations", annotations);
        final Map<String, Object> manifest = new LinkedHashMap<>();
        manifest.put("apiVersion", "v1");
        manifest.put("kind", "Pod");
        manifest.put("metadata", metadata);
        if (!request.addresses().isEmpty()) {
            final List<Map<String, String>> podIps =
                    request.addresses().stream().map(address -> Map.of("ip", address)).toList();
            manifest.put("status", Map.of("podIPs", podIps));
        }
        return manifest;
    }
}
