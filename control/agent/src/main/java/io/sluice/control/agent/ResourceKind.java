package io.sluice.control.agent;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The kinds of objects, with the names that kubectl knows them by (as {@code kubectl api-resources}
 * prints them).
 */
public enum ResourceKind {
    NAMESPACE("Namespace", "namespaces", "", false, "ns"),
    NODE("Node", "nodes", "", false, "no"),
    POD("Pod", "pods", "", true, "po"),
    SERVICE("Service", "services", "", true, "svc"),
    SECRET("Secret", "secrets", "", true, ""),
    SERVICE_ACCOUNT("ServiceAccount", "serviceaccounts", "", true, "sa"),
    ENDPOINT_SLICE("EndpointSlice", "endpointslices", "discovery.k8s.io", true, ""),
    NETWORK_POLICY("NetworkPolicy", "networkpolicies", "networking.k8s.io", true, "netpol"),
    CILIUM_NETWORK_POLICY(
            "CiliumNetworkPolicy", "ciliumnetworkpolicies", "cilium.io", true, "cnp ciliumnp"),
    CILIUM_CLUSTERWIDE_NETWORK_POLICY(
            "CiliumClusterwideNetworkPolicy",
            "ciliumclusterwidenetworkpolicies",
            "cilium.io",
            false,
            "ccnp"),
    CILIUM_CIDR_GROUP("CiliumCIDRGroup", "ciliumcidrgroups", "cilium.io", false, "ccg"),
    ADMIN_NETWORK_POLICY(
            "AdminNetworkPolicy", "adminnetworkpolicies", "policy.networking.k8s.io", false, "anp"),
    BASELINE_ADMIN_NETWORK_POLICY(
            "BaselineAdminNetworkPolicy",
            "baselineadminnetworkpolicies",
            "policy.networking.k8s.io",
            false,
            "banp"),
    /** Without a short name: cnp is Cilium's. */
    CLUSTER_NETWORK_POLICY(
            "ClusterNetworkPolicy",
            "clusternetworkpolicies",
            "policy.networking.k8s.io",
            false,
            ""),
    /** The word alone is Kubernetes' kind; this one is meant with its group. */
    CALICO_NETWORK_POLICY(
            "NetworkPolicy.projectcalico.org", "networkpolicies", "projectcalico.org", true, ""),
    GLOBAL_NETWORK_POLICY(
            "GlobalNetworkPolicy", "globalnetworkpolicies", "projectcalico.org", false, "gnp"),
    TIER("Tier", "tiers", "projectcalico.org", false, ""),
    NETWORK_SET("NetworkSet", "networksets", "projectcalico.org", true, "netset"),
    GLOBAL_NETWORK_SET("GlobalNetworkSet", "globalnetworksets", "projectcalico.org", false, ""),
    HOST_ENDPOINT("HostEndpoint", "hostendpoints", "projectcalico.org", false, "hep"),
    PROFILE("Profile", "profiles", "projectcalico.org", false, ""),
    STAGED_NETWORK_POLICY(
            "StagedNetworkPolicy", "stagednetworkpolicies", "projectcalico.org", true, "snp"),
    STAGED_GLOBAL_NETWORK_POLICY(
            "StagedGlobalNetworkPolicy",
            "stagedglobalnetworkpolicies",
            "projectcalico.org",
            false,
            "sgnp"),
    STAGED_KUBERNETES_NETWORK_POLICY(
            "StagedKubernetesNetworkPolicy",
            "stagedkubernetesnetworkpolicies",
            "projectcalico.org",
            true,
            "sknp");

    private final String kind;
    private final String plural;
    private final String group;
    private final boolean namespaced;
    private final String shortNames;

    ResourceKind(
            final String kind,
            final String plural,
            final String group,
            final boolean namespaced,
            final String shortNames) {
        this.kind = kind;
        this.plural = plural;
        this.group = group;
        this.namespaced = namespaced;
        this.shortNames = shortNames;
    }

    /** As in the name of an object: the manifest's, with its group where two projects use it. */
    public String kind() {
        return kind;
    }

    /** Plural, as in an API path. */
    public String plural() {
        return plural;
    }

    /** Whether its objects live in a namespace. */
    public boolean isNamespaced() {
        return namespaced;
    }

    /** As kubectl prints it in messages: {@code networkpolicy.networking.k8s.io}. */
    public String resource() {
        final String singular = kind.split("\\.", 2)[0].toLowerCase(Locale.ROOT);
        return group.isEmpty() ? singular : singular + "." + group;
    }

    /** Plural with the group, as kubectl says what is not found. */
    public String pluralResource() {
        return group.isEmpty() ? plural : plural + "." + group;
    }

    /**
     * By kind, plural, singular, any of these with the group, or short name, in any case. Of two
     * kinds with one word the first is meant.
     *
     * @throws RequestException INVALID, with the names that are accepted
     */
    public static ResourceKind of(final String name) {
        return find(name)
                .orElseThrow(
                        () ->
                                new RequestException(
                                        RequestException.Reason.INVALID,
                                        "the server doesn't have a resource type \"%s\": it has %s"
                                                .formatted(
                                                        name,
                                                        Arrays.stream(values())
                                                                .map(ResourceKind::plural)
                                                                .distinct()
                                                                .collect(
                                                                        Collectors.joining(
                                                                                ", ")))));
    }

    /** As {@link #of}, empty where there is no such kind. */
    public static Optional<ResourceKind> find(final String name) {
        final String word = name.toLowerCase(Locale.ROOT);
        if (word.isEmpty()) {
            return Optional.empty();
        }
        return Arrays.stream(values()).filter(kind -> kind.isCalled(word)).findFirst();
    }

    private boolean isCalled(final String word) {
        return word.equals(kind.toLowerCase(Locale.ROOT))
                || word.equals(plural)
                || word.equals(resource())
                || word.equals(pluralResource())
                || List.of(shortNames.split(" ")).contains(word);
    }
}
