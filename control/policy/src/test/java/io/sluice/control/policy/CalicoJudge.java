package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.Entity;
import io.sluice.control.policy.CalicoPolicy.Rule;
import io.sluice.control.policy.Question.Packet;
import io.sluice.control.policy.Question.PacketEnd;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** What a policy of projectcalico.org/v3 says about a packet, straight from the object. */
final class CalicoJudge {
    private static final String NAMESPACE_LABEL = "projectcalico.org/namespace";
    private static final String ACCOUNT_LABEL = "projectcalico.org/serviceaccount";

    private final World world;

    CalicoJudge(final World world) {
        this.world = world;
    }

    /** Rules in order: Allow, Deny and Pass end it, Log goes on. */
    Ruling judge(final CalicoPolicy policy, final Question question) {
        if (!policy.types().contains(question.direction())
                || !selects(policy, question.subject())) {
            return Ruling.NOT_SELECTED;
        }
        return judge(policy, policy.rules(question.direction()), question);
    }

    /** The rules of a profile; Pass and the end of them leave it to the next one. */
    Ruling judge(final CalicoPolicy.Profile profile, final Question question) {
        return judge(
                profile,
                question.direction() == PolicyDirection.INGRESS
                        ? profile.ingress()
                        : profile.egress(),
                question);
    }

    private Ruling judge(final KubeObject policy, final List<Rule> rules, final Question question) {
        for (int i = 0; i < rules.size(); i++) {
            final Rule rule = rules.get(i);
            if (rule.action() != CalicoPolicy.Action.LOG
                    && matches(policy.meta().namespace(), rule, question)) {
                final String by = policy.ref() + " " + question.direction() + " " + i;
                return switch (rule.action()) {
                    case ALLOW -> Ruling.allow(by);
                    case DENY -> Ruling.deny(by);
                    case PASS -> Ruling.pass(by);
                    case LOG -> throw new AssertionError(rule);
                };
            }
        }
        return Ruling.NO_RULE;
    }

    private boolean selects(final CalicoPolicy policy, final Question.Subject subject) {
        return switch (subject) {
            case final Question.Workload workload ->
                    (policy.isGlobal()
                                    || policy.meta()
                                            .namespace()
                                            .equals(workload.pod().meta().namespace()))
                            && selects(policy, endpoint(workload.pod()));
            case final Question.Host host ->
                    policy.isGlobal()
                            && host.endpoint().isPresent()
                            && selects(policy, endpoint(host.endpoint().get()));
        };
    }

    /** Here all() of accounts and of namespaces is whoever has one: no host endpoint has. */
    private static boolean selects(final CalicoPolicy policy, final KnownEndpoint endpoint) {
        return JudgedLabels.match(policy.selector(), endpoint.labels)
                && (policy.namespaceSelector().isEmpty()
                        || endpoint.isInNamespace(policy.namespaceSelector().get()))
                && (policy.serviceAccountSelector().isEmpty()
                        || JudgedLabels.matchServiceAccount(
                                policy.serviceAccountSelector().get(),
                                endpoint.serviceAccountLabels,
                                endpoint.labels.containsKey(ACCOUNT_LABEL)));
    }

    /**
     * What selectors see of a pod, a network set or a host endpoint.
     *
     * @param namespace empty for what is in none
     * @param labels its own, and those that Calico adds
     * @param namespaceLabels empty for what is in none
     * @param serviceAccountLabels empty for all but pods
     */
    private record KnownEndpoint(
            String namespace,
            Map<String, String> labels,
            Map<String, String> namespaceLabels,
            Map<String, String> serviceAccountLabels) {
        boolean isInNamespace(final CalicoSelector selector) {
            return JudgedLabels.matchNamespace(selector, namespaceLabels);
        }
    }

    /** What is known at an address; several network sets may hold it, and a pod beside them. */
    private List<KnownEndpoint> knownEndpoints(final PacketEnd end) {
        final List<KnownEndpoint> known = new ArrayList<>();
        end.pod().ifPresent(pod -> known.add(endpoint(pod)));
        for (final CalicoPolicy.NetworkSet set : world.all(CalicoPolicy.NetworkSet.class)) {
            if (set.nets().stream().anyMatch(net -> net.contains(end.address()))) {
                known.add(endpoint(set));
            }
        }
        end.hostEndpoints().forEach(endpoint -> known.add(endpoint(endpoint)));
        return known;
    }

    /** Its own labels, and what its profiles apply where it has no label of that name. */
    private KnownEndpoint endpoint(final CalicoPolicy.HostEndpoint endpoint) {
        final Map<String, String> labels = new HashMap<>(endpoint.meta().labels());
        for (final String name : endpoint.profiles()) {
            world.all(CalicoPolicy.Profile.class).stream()
                    .filter(profile -> profile.meta().name().equals(name))
                    .forEach(profile -> profile.labelsToApply().forEach(labels::putIfAbsent));
        }
        return new KnownEndpoint("", labels, Map.of(), Map.of());
    }

    private KnownEndpoint endpoint(final Pod pod) {
        final String namespace = pod.meta().namespace();
        final Map<String, String> labels = new HashMap<>(pod.meta().labels());
        labels.put(NAMESPACE_LABEL, namespace);
        labels.put("projectcalico.org/orchestrator", "k8s");
        labels.put(ACCOUNT_LABEL, pod.serviceAccountName());
        return new KnownEndpoint(
                namespace,
                labels,
                namespaceLabels(namespace),
                world.lookup(new ObjectRef("ServiceAccount", namespace, pod.serviceAccountName()))
                        .map(account -> account.meta().labels())
                        .orElse(Map.of()));
    }

    private KnownEndpoint endpoint(final CalicoPolicy.NetworkSet set) {
        final String namespace = set.meta().namespace();
        if (namespace.isEmpty()) {
            return new KnownEndpoint("", set.meta().labels(), Map.of(), Map.of());
        }
        final Map<String, String> labels = new HashMap<>(set.meta().labels());
        labels.put(NAMESPACE_LABEL, namespace);
        return new KnownEndpoint(namespace, labels, namespaceLabels(namespace), Map.of());
    }

    private Map<String, String> namespaceLabels(final String namespace) {
        final Map<String, String> labels = new HashMap<>(world.namespaceLabels(namespace));
        labels.put("projectcalico.org/name", namespace);
        return labels;
    }

    /** Everything that is given must hold, of both ends. */
    private boolean matches(final String namespace, final Rule rule, final Question question) {
        final Packet packet = question.packet();
        if (rule.http().isPresent() || rule.protocol().filter(p -> p.tls()).isPresent()) {
            throw new AssertionError("L7 is not judged: " + rule.where());
        }
        return (rule.ipVersion().isEmpty()
                        || packet.to().isIpv4() == (rule.ipVersion().getAsInt() == 4))
                && (rule.protocol().isEmpty()
                        || rule.protocol().get().number() == packet.protocol())
                && (rule.notProtocol().isEmpty()
                        || rule.notProtocol().get().number() != packet.protocol())
                && (rule.icmp().isEmpty() || matches(rule.icmp().get(), packet))
                && (rule.notIcmp().isEmpty() || !matches(rule.notIcmp().get(), packet))
                && matches(namespace, rule.source(), question.source())
                && matches(namespace, rule.destination(), question.destination())
                && portMatches(rule.source(), question.source(), packet, packet.sourcePort())
                && portMatches(rule.destination(), question.destination(), packet, packet.port())
                && (rule.source().service().isEmpty()
                        || isOf(rule.source().service().get(), question.source()))
                && (rule.destination().service().isEmpty()
                        || isTo(rule.destination().service().get(), question));
    }

    private static boolean matches(final CalicoPolicy.Icmp icmp, final Packet packet) {
        final boolean isIcmp =
                packet.protocol() == IpProtocol.ICMP || packet.protocol() == IpProtocol.ICMPV6;
        return isIcmp
                && isOrAny(icmp.type(), packet.port() / 256)
                && isOrAny(icmp.code(), packet.port() % 256);
    }

    private static boolean isOrAny(final OptionalInt wanted, final int value) {
        return wanted.isEmpty() || wanted.getAsInt() == value;
    }

    private boolean matches(final String namespace, final Entity entity, final PacketEnd end) {
        if (!entity.domains().isEmpty()) {
            throw new AssertionError("domains are not judged");
        }
        final boolean inNets =
                entity.nets().isEmpty()
                        || entity.nets().stream().anyMatch(net -> net.contains(end.address()));
        final boolean inNotNets =
                entity.notNets().stream().anyMatch(net -> net.contains(end.address()));
        final List<KnownEndpoint> known = knownEndpoints(end);
        final boolean selected =
                !asksForKnownEndpoint(namespace, entity)
                        || known.stream()
                                .anyMatch(endpoint -> selects(namespace, entity, endpoint));
        final boolean notSelected =
                entity.notSelector().isPresent()
                        && known.stream()
                                .anyMatch(
                                        endpoint ->
                                                JudgedLabels.match(
                                                        entity.notSelector().get(),
                                                        endpoint.labels));
        return inNets && !inNotNets && selected && !notSelected;
    }

    /** In a namespaced policy a notSelector, too, is about the endpoints of the namespace. */
    private static boolean asksForKnownEndpoint(final String namespace, final Entity entity) {
        return entity.selector().isPresent()
                || entity.namespaceSelector().isPresent()
                || entity.serviceAccounts().isPresent()
                || (!namespace.isEmpty() && entity.notSelector().isPresent());
    }

    private static boolean selects(
            final String namespace, final Entity entity, final KnownEndpoint endpoint) {
        final boolean inScope =
                entity.namespaceSelector()
                        .map(endpoint::isInNamespace)
                        .orElse(namespace.isEmpty() || namespace.equals(endpoint.namespace));
        final boolean labelled =
                entity.selector().isEmpty()
                        || JudgedLabels.match(entity.selector().get(), endpoint.labels);
        return inScope && labelled && hasAccount(entity.serviceAccounts(), endpoint);
    }

    private static boolean hasAccount(
            final Optional<CalicoPolicy.ServiceAccounts> accounts, final KnownEndpoint endpoint) {
        if (accounts.isEmpty()) {
            return true;
        }
        final List<String> names = accounts.get().names();
        final String name = endpoint.labels.getOrDefault(ACCOUNT_LABEL, "none");
        return (names.isEmpty() || names.contains(name))
                && (accounts.get().selector().isEmpty()
                        || JudgedLabels.match(
                                accounts.get().selector().get(), endpoint.serviceAccountLabels));
    }

    private static boolean portMatches(
            final Entity entity, final PacketEnd end, final Packet packet, final int port) {
        return (entity.ports().isEmpty() || isOneOf(entity.ports(), end, packet, port))
                && !isOneOf(entity.notPorts(), end, packet, port);
    }

    private static boolean isOneOf(
            final List<CalicoPolicy.Port> ports,
            final PacketEnd end,
            final Packet packet,
            final int port) {
        return ports.stream()
                .anyMatch(
                        wanted ->
                                switch (wanted) {
                                    case final CalicoPolicy.PortRange range ->
                                            range.from() <= port && port <= range.to();
                                    case final CalicoPolicy.PortName name ->
                                            end.hasPort(name.name(), packet.protocol(), port);
                                });
    }

    private List<KubeObject.EndpointSlice> slices(final CalicoPolicy.ServiceName service) {
        return world.all(KubeObject.EndpointSlice.class).stream()
                .filter(slice -> slice.meta().namespace().equals(service.namespace()))
                .filter(slice -> slice.service().equals(service.name()))
                .toList();
    }

    /** As a source a service is its endpoints. */
    private boolean isOf(final CalicoPolicy.ServiceName name, final PacketEnd end) {
        final List<KubeObject.EndpointSlice> slices = slices(name);
        return slices.isEmpty()
                ? unlisted(name).filter(service -> isBackend(service, end)).isPresent()
                : slices.stream().anyMatch(slice -> slice.addresses().contains(end.address()));
    }

    /** As a destination a service is its endpoints at its ports. */
    private boolean isTo(final CalicoPolicy.ServiceName name, final Question question) {
        final Packet packet = question.packet();
        final List<KubeObject.EndpointSlice> slices = slices(name);
        if (slices.isEmpty()) {
            return unlisted(name)
                    .filter(service -> isBackend(service, question.destination()))
                    .filter(service -> isServed(service, question))
                    .isPresent();
        }
        return slices.stream()
                .filter(slice -> slice.addresses().contains(packet.to()))
                .flatMap(slice -> slice.ports().stream())
                .anyMatch(
                        port ->
                                port.protocol() == packet.protocol()
                                        && port.port() == packet.port());
    }

    /** A service of which no slice lists endpoints is the pods of its selector. */
    private Optional<KubeObject.Service> unlisted(final CalicoPolicy.ServiceName name) {
        return world.all(KubeObject.Service.class).stream()
                .filter(service -> service.meta().namespace().equals(name.namespace()))
                .filter(service -> service.meta().name().equals(name.name()))
                .findFirst();
    }

    private static boolean isBackend(final KubeObject.Service service, final PacketEnd end) {
        return !service.selector().isEmpty()
                && end.pod()
                        .filter(pod -> pod.meta().namespace().equals(service.meta().namespace()))
                        .filter(
                                pod ->
                                        pod.meta()
                                                .labels()
                                                .entrySet()
                                                .containsAll(service.selector().entrySet()))
                        .isPresent();
    }

    private static boolean isServed(final KubeObject.Service service, final Question question) {
        return service.ports().stream()
                .anyMatch(
                        port ->
                                port.targetName().isEmpty()
                                        ? question.isTo(
                                                port.protocol(), port.target(), port.target())
                                        : question.isToNamed(port.protocol(), port.targetName()));
    }
}
