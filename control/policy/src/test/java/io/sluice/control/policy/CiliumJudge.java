package io.sluice.control.policy;

import io.sluice.control.policy.LabelSelector.Requirement;
import io.sluice.control.policy.Question.PacketEnd;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** What all CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy objects together say. */
final class CiliumJudge {
    private static final String NAMESPACE = "io.kubernetes.pod.namespace";
    private static final String NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels.";
    private static final String CLUSTER = "io.cilium.k8s.policy.cluster";
    private static final String CLUSTER_NAME = "default";

    private final World world;
    private final List<CiliumPolicy> policies;

    CiliumJudge(final World world, final List<CiliumPolicy> policies) {
        this.world = world;
        this.policies = policies;
    }

    /** An explicit deny of any policy. */
    Ruling judgeDenies(final Question question) {
        for (final CiliumPolicy policy : policies) {
            for (final CiliumPolicy.Rule rule : policy.rules()) {
                if (selects(policy, rule, question.subject())) {
                    final List<CiliumPolicy.Entry> entries = rule.side(question.direction()).deny();
                    for (int i = 0; i < entries.size(); i++) {
                        if (matches(policy, entries.get(i), question)) {
                            return Ruling.deny(by(policy, question, "Deny", i));
                        }
                    }
                }
            }
        }
        return Ruling.NOT_SELECTED;
    }

    /** Whether some rule that selects the subject makes this direction default deny. */
    private boolean isolates(final Question question) {
        return policies.stream()
                .anyMatch(
                        policy ->
                                policy.rules().stream()
                                        .anyMatch(
                                                rule ->
                                                        selects(policy, rule, question.subject())
                                                                && rule.side(question.direction())
                                                                        .defaultDeny()));
    }

    /** An allow of any policy; no rule if one isolates and none allows. */
    Ruling judgeAllows(final Question question) {
        final boolean isolated = isolates(question);
        if (isolated && question.isFromOwnNode()) {
            return Ruling.allow("own node");
        }
        for (final CiliumPolicy policy : policies) {
            for (final CiliumPolicy.Rule rule : policy.rules()) {
                if (selects(policy, rule, question.subject())) {
                    final List<CiliumPolicy.Entry> entries =
                            rule.side(question.direction()).allow();
                    for (int i = 0; i < entries.size(); i++) {
                        if (matches(policy, entries.get(i), question)) {
                            return Ruling.allow(by(policy, question, "", i));
                        }
                    }
                }
            }
        }
        return isolated ? Ruling.NO_RULE : Ruling.NOT_SELECTED;
    }

    private static String by(
            final CiliumPolicy policy,
            final Question question,
            final String suffix,
            final int index) {
        return policy.ref() + " " + question.direction() + suffix + " " + index;
    }

    /** A namespaced policy is about its own namespace only. */
    private boolean selects(
            final CiliumPolicy policy,
            final CiliumPolicy.Rule rule,
            final Question.Subject subject) {
        return switch (rule.subject()) {
            case final CiliumPolicy.Endpoints endpoints ->
                    subject instanceof Question.Workload(final Pod pod)
                            && (policy.isClusterwide()
                                    || policy.meta().namespace().equals(pod.meta().namespace()))
                            && match(endpoints.selector(), labels(pod));
            // Documentation/security/policy/host.rst: nodes, and the pods in their namespace.
            case final CiliumPolicy.Nodes nodes ->
                    subject instanceof final Question.Host host
                            && host.nodeLabels().isPresent()
                            && match(nodes.selector(), hostLabels(host.nodeLabels().get()));
        };
    }

    private static Map<String, String> hostLabels(final Map<String, String> nodeLabels) {
        final Map<String, String> labels = new HashMap<>();
        nodeLabels.forEach((key, value) -> labels.put("node:" + key, value));
        labels.put("reserved:host", "");
        return labels;
    }

    private boolean matches(
            final CiliumPolicy policy, final CiliumPolicy.Entry entry, final Question question) {
        if (entry.authentication() != CiliumPolicy.Authentication.NOT_ASKED) {
            throw new AssertionError("authentication is not judged");
        }
        return !entry.empty()
                && matches(policy, entry.peers(), question.peer())
                && (entry.ports().isEmpty()
                        || entry.ports().stream().anyMatch(ports -> matches(ports, question)));
    }

    private static boolean matches(final CiliumPolicy.PortRule rule, final Question question) {
        if (rule.restriction() != CiliumPolicy.Restriction.NONE) {
            throw new AssertionError("L7 is not judged: " + rule.where());
        }
        return rule.ports().isEmpty()
                || rule.ports().stream()
                        .anyMatch(
                                port ->
                                        switch (port) {
                                            case final CiliumPolicy.PortRange range ->
                                                    question.isTo(
                                                            range.protocol(),
                                                            range.from(),
                                                            range.to());
                                            case final CiliumPolicy.PortName name ->
                                                    question.isToNamed(
                                                            name.protocol(), name.name());
                                            case final CiliumPolicy.WholeProtocol whole ->
                                                    question.packet().protocol()
                                                            == whole.protocol();
                                        });
    }

    private boolean matches(
            final CiliumPolicy policy, final CiliumPolicy.Peers peers, final PacketEnd other) {
        return switch (peers) {
            case CiliumPolicy.Anyone _ -> true;
            case final CiliumPolicy.PeerEndpoints endpoints ->
                    endpoints.selectors().stream()
                            .anyMatch(selector -> isPeer(policy, selector, other));
            case final CiliumPolicy.PeerNodes nodes ->
                    other.node().isPresent()
                            && nodes.selectors().stream()
                                    .anyMatch(selector -> match(selector, labels(other)));
            case final CiliumPolicy.PeerEntities entities ->
                    entities.entities().stream().anyMatch(entity -> isEntity(entity, other));
            // CIDR rules are about what is outside: not about endpoints, not about nodes.
            case final CiliumPolicy.PeerCidrs cidrs ->
                    other.isWorld()
                            && cidrs.cidrs().stream().anyMatch(rule -> contains(rule, other));
            case final CiliumPolicy.PeerServices services ->
                    world.all(KubeObject.Service.class).stream()
                            .filter(service -> isNamed(services, service))
                            .anyMatch(service -> isBackend(service, other));
            // Nothing is learned in these worlds, and there is no cloud to ask.
            case CiliumPolicy.PeerNames _, CiliumPolicy.PeerGroups _ -> false;
        };
    }

    /**
     * A selector without a namespace means the policy's own, unless it speaks of namespaces by
     * their labels; in a clusterwide policy it means any. One without a cluster means this one.
     */
    private boolean isPeer(
            final CiliumPolicy policy, final LabelSelector selector, final PacketEnd other) {
        if (!match(selector, labels(other))) {
            return false;
        }
        final List<String> keys = selector.requirements().stream().map(Requirement::key).toList();
        if (keys.stream().anyMatch(key -> key.startsWith("reserved:"))) {
            return true;
        }
        if (other.pod().isEmpty()) {
            return false;
        }
        final boolean saysWhere =
                policy.isClusterwide()
                        || keys.stream().map(CiliumJudge::bare).anyMatch(NAMESPACE::equals)
                        || keys.stream()
                                .map(CiliumJudge::bare)
                                .anyMatch(key -> key.startsWith(NAMESPACE_LABELS));
        return saysWhere || other.pod().get().meta().namespace().equals(policy.meta().namespace());
    }

    private boolean isEntity(final CiliumPolicy.Entity entity, final PacketEnd other) {
        return switch (entity) {
            case ALL -> true;
            case WORLD -> other.isWorld();
            case WORLD_IPV4 -> other.isWorld() && other.address().isIpv4();
            case WORLD_IPV6 -> other.isWorld() && !other.address().isIpv4();
            case CLUSTER, CLUSTER_MESH -> !other.isWorld() || isApiServer(other);
            // Every node is another one: the judge has no node of its own.
            case REMOTE_NODE -> other.node().isPresent();
            case KUBE_APISERVER -> isApiServer(other);
            case HOST, INGRESS, INIT, HEALTH, UNMANAGED, NONE -> false;
        };
    }

    /** The addresses of the service default/kubernetes; a pod is a pod there, too. */
    private boolean isApiServer(final PacketEnd other) {
        return other.pod().isEmpty()
                && slices("default", "kubernetes")
                        .anyMatch(slice -> slice.addresses().contains(other.address()));
    }

    private Stream<KubeObject.EndpointSlice> slices(final String namespace, final String service) {
        return world.all(KubeObject.EndpointSlice.class).stream()
                .filter(slice -> slice.meta().namespace().equals(namespace))
                .filter(slice -> slice.service().equals(service));
    }

    private boolean contains(final CiliumPolicy.CidrRule rule, final PacketEnd other) {
        final Stream<Cidr> cidrs =
                switch (rule) {
                    case final CiliumPolicy.CidrPrefix prefix -> Stream.of(prefix.cidr());
                    case final CiliumPolicy.CidrGroupName name ->
                            groups().filter(group -> group.meta().name().equals(name.name()))
                                    .flatMap(group -> group.cidrs().stream());
                    case final CiliumPolicy.CidrGroupLabels labels ->
                            groups().filter(
                                            group ->
                                                    JudgedLabels.match(
                                                            labels.selector(),
                                                            group.meta().labels()))
                                    .flatMap(group -> group.cidrs().stream());
                };
        return cidrs.anyMatch(cidr -> cidr.contains(other.address()))
                && rule.except().stream().noneMatch(cidr -> cidr.contains(other.address()));
    }

    private Stream<KubeObject.CiliumCidrGroup> groups() {
        return world.all(KubeObject.CiliumCidrGroup.class).stream();
    }

    private static boolean isNamed(
            final CiliumPolicy.PeerServices services, final KubeObject.Service service) {
        return services.services().stream()
                .filter(
                        rule ->
                                rule.namespace().isEmpty()
                                        || rule.namespace().equals(service.meta().namespace()))
                .anyMatch(
                        rule ->
                                switch (rule) {
                                    case final CiliumPolicy.ServiceName name ->
                                            name.name().equals(service.meta().name());
                                    case final CiliumPolicy.ServiceLabels labels ->
                                            JudgedLabels.match(
                                                    labels.selector(), service.meta().labels());
                                });
    }

    /** The pods of its selector; without a selector, what its slices list outside. */
    private boolean isBackend(final KubeObject.Service service, final PacketEnd other) {
        final String namespace = service.meta().namespace();
        if (service.selector().isEmpty()) {
            return other.isWorld()
                    && slices(namespace, service.meta().name())
                            .anyMatch(slice -> slice.addresses().contains(other.address()));
        }
        return other.pod().isPresent()
                && other.pod().get().meta().namespace().equals(namespace)
                && other.pod()
                        .get()
                        .meta()
                        .labels()
                        .entrySet()
                        .containsAll(service.selector().entrySet());
    }

    private Map<String, String> labels(final PacketEnd other) {
        if (other.pod().isPresent()) {
            return labels(other.pod().get());
        }
        final Map<String, String> labels = new HashMap<>();
        if (other.node().isPresent()) {
            other.node()
                    .get()
                    .meta()
                    .labels()
                    .forEach((key, value) -> labels.put("node:" + key, value));
            labels.put("reserved:remote-node", "");
        } else {
            labels.put("reserved:world", "");
            labels.put("reserved:world-" + (other.address().isIpv4() ? "ipv4" : "ipv6"), "");
        }
        if (isApiServer(other)) {
            labels.put("reserved:kube-apiserver", "");
        }
        return labels;
    }

    private Map<String, String> labels(final Pod pod) {
        final String namespace = pod.meta().namespace();
        final Map<String, String> labels = new HashMap<>();
        pod.meta().labels().forEach((key, value) -> labels.put("k8s:" + key, value));
        world.namespaceLabels(namespace)
                .forEach((key, value) -> labels.put("k8s:" + NAMESPACE_LABELS + key, value));
        labels.put("k8s:" + NAMESPACE, namespace);
        labels.put("k8s:" + CLUSTER, CLUSTER_NAME);
        labels.put("k8s:io.cilium.k8s.policy.serviceaccount", pod.serviceAccountName());
        return labels;
    }

    private static String bare(final String key) {
        return key.startsWith("k8s:") || key.startsWith("any:")
                ? key.substring("k8s:".length())
                : key;
    }

    /** A key without a source, or with the source any, is the label of whatever source has it. */
    private static boolean match(final LabelSelector selector, final Map<String, String> labels) {
        return selector.requirements().stream()
                .allMatch(
                        requirement -> {
                            final String key = requirement.key();
                            if (key.indexOf(':') >= 0 && !key.startsWith("any:")) {
                                return JudgedLabels.holds(requirement, labels.get(key));
                            }
                            return Stream.of("k8s:", "reserved:", "node:")
                                    .map(source -> source + bare(key))
                                    .filter(labels::containsKey)
                                    .findFirst()
                                    .map(
                                            sourced ->
                                                    JudgedLabels.holds(
                                                            requirement, labels.get(sourced)))
                                    .orElseGet(() -> JudgedLabels.holds(requirement, null));
                        });
    }
}
