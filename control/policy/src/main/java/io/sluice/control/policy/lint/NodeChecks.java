package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.HOST_POLICY_LOCKS_OUT_NODE;
import static io.sluice.control.policy.lint.LintCheck.NODE_LOCKED_OUT;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.LabelSelector;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.VerdictProgram;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** Probes from the node to its pods, and the way into the node itself. */
final class NodeChecks {
    /** SSH, the API server, the kubelet: the ways in to repair a node. */
    private static final List<Integer> WAYS_IN = List.of(22, 6443, 10250);

    private static final List<String> PROBES =
            List.of("livenessProbe", "readinessProbe", "startupProbe");

    private final LintedWorld linted;
    private final List<Finding> found;

    private NodeChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final NodeChecks checks = new NodeChecks(linted, found);
        checks.nodeLockedOut();
        checks.ciliumHostPolicies();
        checks.calicoHostPolicies();
    }

    /**
     * Who denies the node.
     *
     * @param probes whether it is known that somebody is hurt: the pod has probes, or a rule says
     *     so
     */
    private record Lock(ObjectRef policy, boolean probes) {}

    private void nodeLockedOut() {
        final Map<Lock, List<Pod>> pods = new LinkedHashMap<>();
        for (final SubjectGroup group : linted.groups(PolicyDirection.INGRESS)) {
            for (final Pod pod : group.pods()) {
                lock(pod, group.map().program(nodeOf(pod)))
                        .ifPresent(by -> pods.computeIfAbsent(by, _ -> new ArrayList<>()).add(pod));
            }
        }
        pods.forEach(
                (by, members) ->
                        linted.world()
                                .lookup(by.policy)
                                .ifPresent(policy -> report(policy, by, linted.names(members))));
    }

    private void report(final KubeObject policy, final Lock by, final String pods) {
        final Finding finding =
                Finding.of(
                        policy,
                        NODE_LOCKED_OUT,
                        policy.ref()
                                + " denies ingress of "
                                + pods
                                + " from their own node: the kubelet's probes fail",
                        "allow the node (Cilium: entity host; Calico: the node's address) the ports"
                                + " of the probes");
        found.add(by.probes ? finding : finding.asInfo());
    }

    /** Identity of a pod's own node, as far as a Node object tells its address. */
    private int nodeOf(final Pod pod) {
        return linted.world()
                .lookup(new ObjectRef("Node", "", pod.nodeName()))
                .map(KubeObject.Node.class::cast)
                .flatMap(node -> node.addresses().stream().findFirst())
                .map(address -> linted.policies().identityAt(address).number())
                .orElse(Identity.HOST);
    }

    /**
     * The policy that denies a pod's probes; without probes in its manifest, that denies all TCP.
     */
    private static Optional<Lock> lock(final Pod pod, final VerdictProgram fromNode) {
        final Set<Integer> probed = probedPorts(pod);
        final List<PolicyEntry> entries = new ArrayList<>();
        if (probed.isEmpty()) {
            fromNode.protocols().stream()
                    .filter(protocol -> protocol.protocol() == IpProtocol.TCP)
                    .flatMap(protocol -> protocol.intervals().stream())
                    .forEach(interval -> entries.add(interval.entry()));
            if (entries.isEmpty()) {
                entries.add(fromNode.otherProtocols());
            }
            if (entries.stream().anyMatch(LintedWorld::opens)) {
                return Optional.empty();
            }
        } else {
            probed.forEach(
                    port ->
                            entries.add(
                                    fromNode.lookup(
                                            IpProtocol.TCP, LintedWorld.SOURCE_PORT, port)));
        }
        return entries.stream()
                .filter(entry -> !LintedWorld.opens(entry) && isMeantForNodes(entry.by()))
                .map(PolicyEntry::by)
                .map(
                        by ->
                                new Lock(
                                        new ObjectRef(by.kind(), by.namespace(), by.name()),
                                        !probed.isEmpty() || by.origin() == Author.Origin.RULE))
                .findFirst();
    }

    /**
     * The end of tier default denies a node only because it is another one: policies of Kubernetes
     * and Cilium let in the own node.
     */
    private static boolean isMeantForNodes(final Author by) {
        final boolean additive =
                by.kind().equals("NetworkPolicy")
                        || by.kind().equals("CiliumNetworkPolicy")
                        || by.kind().equals("CiliumClusterwideNetworkPolicy");
        return switch (by.origin()) {
            case RULE -> true;
            case END_OF_TIER -> !additive;
            case DEFAULT,
                    OWN_NODE,
                    SELF,
                    FAILSAFE,
                    END_OF_PROFILES,
                    MISSING_PROFILE,
                    NOT_AN_ENDPOINT ->
                    false;
        };
    }

    /** Ports of the probes in the pod's manifest. */
    private static Set<Integer> probedPorts(final Pod pod) {
        final Set<Integer> ports = new TreeSet<>();
        if (pod.meta().manifest().get("spec") instanceof final Map<?, ?> spec
                && spec.get("containers") instanceof final List<?> containers) {
            for (final Object item : containers) {
                if (item instanceof final Map<?, ?> container) {
                    for (final String field : PROBES) {
                        if (container.get(field) instanceof final Map<?, ?> probe) {
                            addPort(pod, probe, ports);
                        }
                    }
                }
            }
        }
        return ports;
    }

    private static void addPort(final Pod pod, final Map<?, ?> probe, final Set<Integer> ports) {
        for (final String field : List.of("httpGet", "tcpSocket", "grpc")) {
            if (probe.get(field) instanceof final Map<?, ?> handler) {
                final Object port = handler.get("port");
                if (port instanceof final Number number) {
                    ports.add(number.intValue());
                }
                pod.ports().stream()
                        .filter(named -> named.name().equals(port))
                        .forEach(named -> ports.add(named.port()));
            }
        }
    }

    /** One rule of a clusterwide policy that selects nodes. */
    private record HostRule(CiliumPolicy policy, LabelSelector nodes, CiliumPolicy.Side ingress) {}

    private void ciliumHostPolicies() {
        final List<HostRule> rules = new ArrayList<>();
        for (final KubeObject.Policy policy : linted.allPolicies()) {
            if (policy instanceof final CiliumPolicy cilium) {
                for (final CiliumPolicy.Rule rule : cilium.rules()) {
                    if (rule.subject() instanceof final CiliumPolicy.Nodes nodes) {
                        rules.add(new HostRule(cilium, nodes.selector(), rule.ingress()));
                    }
                }
            }
        }
        for (final HostRule rule : rules) {
            if (rule.ingress.defaultDeny()
                    && rules.stream()
                            .filter(other -> overlap(rule.nodes, other.nodes))
                            .flatMap(other -> RuleView.of(other.ingress).stream())
                            .noneMatch(NodeChecks::isWayIn)) {
                found.add(
                        Finding.of(
                                rule.policy,
                                HOST_POLICY_LOCKS_OUT_NODE,
                                rule.policy.ref()
                                        + " isolates ingress of nodes "
                                        + rule.nodes
                                        + ", and no rule lets in SSH (22), the API server (6443) or"
                                        + " the kubelet's port (10250)",
                                "allow these ports to those who run the cluster, and entity host"
                                        + " and remote-node"));
            }
        }
    }

    private static boolean isWayIn(final RuleView rule) {
        return WAYS_IN.stream().anyMatch(rule::allowsTcp);
    }

    /** Whether two selectors have a node in common; without Node objects, whether they may. */
    private boolean overlap(final LabelSelector one, final LabelSelector other) {
        final List<KubeObject.Node> nodes = linted.world().all(KubeObject.Node.class);
        return nodes.isEmpty()
                || one.equals(other)
                || nodes.stream().anyMatch(node -> selects(one, node) && selects(other, node));
    }

    private static boolean selects(final LabelSelector selector, final KubeObject.Node node) {
        final Map<String, String> labels = new HashMap<>(node.meta().labels());
        node.meta().labels().forEach((key, value) -> labels.put("node:" + key, value));
        return selector.matches(labels);
    }

    /** Calico's failsafe ports keep SSH and the API server open, the kubelet's is none of them. */
    private void calicoHostPolicies() {
        for (final CalicoPolicy.HostEndpoint host :
                linted.world().all(CalicoPolicy.HostEndpoint.class)) {
            final List<CalicoPolicy> asked =
                    linted.policies().policiesSelecting(host, PolicyDirection.INGRESS).stream()
                            .filter(CalicoPolicy.class::isInstance)
                            .map(CalicoPolicy.class::cast)
                            .toList();
            // What doNotTrack and preDNAT policies leave goes on.
            final List<CalicoPolicy> selecting =
                    asked.stream()
                            .filter(policy -> !policy.doNotTrack() && !policy.preDnat())
                            .toList();
            if (!selecting.isEmpty()
                    && asked.stream()
                            .flatMap(
                                    policy -> RuleView.of(policy, PolicyDirection.INGRESS).stream())
                            .noneMatch(rule -> passesKubelet(rule))) {
                found.add(
                        Finding.of(
                                selecting.get(0),
                                HOST_POLICY_LOCKS_OUT_NODE,
                                selecting.get(0).ref()
                                        + " isolates ingress of "
                                        + host.ref()
                                        + ", and no rule lets in the kubelet's port (10250), which"
                                        + " is not one of the failsafe ports",
                                "allow TCP 10250 from the API servers and the nodes"));
            }
        }
    }

    private static boolean passesKubelet(final RuleView rule) {
        return rule.allowsTcp(10250) || rule.action() == CalicoPolicy.Action.PASS;
    }
}
