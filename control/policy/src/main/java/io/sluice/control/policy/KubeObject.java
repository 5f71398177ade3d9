package io.sluice.control.policy;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An object that the policy engine knows: a piece of the world, or a policy. Immutable. */
public sealed interface KubeObject
        permits KubeObject.Policy,
                KubeObject.Namespace,
                KubeObject.Node,
                KubeObject.ServiceAccount,
                KubeObject.Service,
                KubeObject.EndpointSlice,
                KubeObject.CiliumCidrGroup,
                KubeObject.Secret,
                CalicoPolicy.Tier,
                CalicoPolicy.NetworkSet,
                CalicoPolicy.HostEndpoint,
                CalicoPolicy.Profile,
                Pod {
    ObjectMeta meta();

    default ObjectRef ref() {
        return meta().ref();
    }

    /** The manifest as it may be shown: values of secrets are left out. */
    default Map<String, Object> shown() {
        return meta().manifest();
    }

    default SourceLocation where() {
        return meta().where();
    }

    /** Kinds that decide about traffic, as opposed to those that describe the world. */
    sealed interface Policy extends KubeObject
            permits NetworkPolicy, CiliumPolicy, AdminPolicy, CalicoPolicy {}

    /** Kind {@code Namespace}; its labels are what namespace selectors match. */
    record Namespace(ObjectMeta meta) implements KubeObject {}

    /**
     * Kind {@code Node}.
     *
     * @param meta name and labels
     * @param addresses {@code status.addresses} of the types InternalIP and ExternalIP
     */
    record Node(ObjectMeta meta, List<IpAddress> addresses) implements KubeObject {}

    /**
     * Kind {@code Secret}. Prints no value.
     *
     * @param meta name and labels
     * @param values {@code data} and {@code stringData}, a character per byte
     */
    record Secret(ObjectMeta meta, Map<String, String> values) implements KubeObject {
        /** Stands where a value was. */
        public static final String REDACTED = "[redacted]";

        @Override
        public Map<String, Object> shown() {
            final Map<String, Object> shown = new LinkedHashMap<>(meta.manifest());
            shown.computeIfPresent("data", (_, data) -> redacted(data));
            shown.computeIfPresent("stringData", (_, data) -> redacted(data));
            // kubectl apply keeps the whole object in an annotation.
            shown.computeIfPresent("metadata", (_, written) -> withoutAnnotations(written));
            return shown;
        }

        private static Object redacted(final Object data) {
            final Map<Object, Object> shown = new LinkedHashMap<>();
            if (data instanceof final Map<?, ?> map) {
                map.keySet().forEach(key -> shown.put(key, REDACTED));
            }
            return shown;
        }

        private static Object withoutAnnotations(final Object metadata) {
            final Map<Object, Object> shown = new LinkedHashMap<>();
            if (metadata instanceof final Map<?, ?> map) {
                shown.putAll(map);
                shown.computeIfPresent("annotations", (_, written) -> redacted(written));
            }
            return shown;
        }

        @Override
        public String toString() {
            return ref().toString();
        }
    }

    /** Kind {@code ServiceAccount}. */
    record ServiceAccount(ObjectMeta meta) implements KubeObject {}

    /**
     * Kind {@code Service}.
     *
     * @param meta name and labels
     * @param selector {@code spec.selector}; empty for a service whose backends are listed by
     *     EndpointSlices only
     * @param clusterIps {@code spec.clusterIPs}
     * @param ports {@code spec.ports}
     */
    record Service(
            ObjectMeta meta,
            Map<String, String> selector,
            List<IpAddress> clusterIps,
            List<ServicePort> ports)
            implements KubeObject {}

    /**
     * A port of a service.
     *
     * @param name its name; empty if it has none
     * @param protocol IP protocol number
     * @param port the service's port
     * @param target {@code targetPort}; the service's port if absent
     * @param targetName {@code targetPort} where it names a container port; empty if it is a number
     */
    record ServicePort(String name, int protocol, int port, int target, String targetName) {}

    /**
     * Kind {@code EndpointSlice}.
     *
     * @param meta name and labels
     * @param service value of the label {@code kubernetes.io/service-name}; empty if there is none
     * @param addresses addresses of all endpoints of the slice
     * @param ports ports of all endpoints of the slice
     */
    record EndpointSlice(
            ObjectMeta meta, String service, List<IpAddress> addresses, List<Pod.NamedPort> ports)
            implements KubeObject {}

    /**
     * Kind {@code CiliumCIDRGroup}.
     *
     * @param meta name and labels
     * @param cidrs {@code spec.externalCIDRs}
     */
    record CiliumCidrGroup(ObjectMeta meta, List<Cidr> cidrs) implements KubeObject {}
}
