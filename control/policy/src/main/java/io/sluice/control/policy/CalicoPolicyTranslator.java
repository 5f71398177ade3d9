package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.Entity;
import io.sluice.control.policy.CalicoPolicy.HostEndpoint;
import io.sluice.control.policy.CalicoPolicy.NetworkSet;
import io.sluice.control.policy.CalicoPolicy.Rule;
import io.sluice.control.policy.CalicoPolicy.ServiceAccounts;
import io.sluice.control.policy.CalicoPolicy.ServiceName;
import io.sluice.control.policy.CalicoSelector.Expression;
import io.sluice.control.policy.PolicyRule.Effect;
import io.sluice.control.policy.Traffic.Ports;
import io.sluice.control.policy.Traffic.Range;
import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.l7proxy.rule.CalicoHttpRule;
import io.sluice.l7proxy.rule.ServerNamePattern;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The policies of projectcalico.org/v3 to statements.
 *
 * <p>Follows Calico: {@code felix/calc/policy_sorter.go} for the order, {@code
 * libcalico-go/lib/backend/syncersv1/updateprocessors/rules.go} for what a selector of a rule sees.
 * Network sets and host endpoints are known endpoints like pods: a selector that matches one
 * matches its addresses, whatever has them. They are looked up in the world once, here.
 */
final class CalicoPolicyTranslator {
    private static final String NAMESPACE = LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_KEY;
    private static final String ACCOUNT = LabelMatch.SOURCE_K8S + PeerFacts.SERVICE_ACCOUNT_KEY;
    private static final String NAMESPACE_LABELS =
            LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_LABEL_PREFIX;

    /** Labels that Calico gives every endpoint, namespace, account. */
    private static final String CALICO_NAMESPACE = "projectcalico.org/namespace";

    private static final String CALICO_ACCOUNT = "projectcalico.org/serviceaccount";
    private static final String CALICO_ORCHESTRATOR = "projectcalico.org/orchestrator";
    private static final String CALICO_NAME = "projectcalico.org/name";

    private final World world;

    // Of the policy that is being translated.
    private final List<Problem> warnings = new ArrayList<>();
    private final Set<Translation.Reads> reads = EnumSet.noneOf(Translation.Reads.class);

    CalicoPolicyTranslator(final World world) {
        this.world = world;
    }

    /** What breaks ties between policies of equal order, compared bytewise. */
    static String key(final ObjectMeta meta, final String kind) {
        return meta.name() + "/" + meta.namespace() + "/" + kind;
    }

    Translation translate(final CalicoPolicy policy) {
        warnings.clear();
        reads.clear();
        reads.add(Translation.Reads.TIERS);
        final PolicyTier tier = PolicyTier.of(world, policy.tier());
        if (!tier.defined()) {
            warnings.add(
                    Problem.warning(
                            policy.where(),
                            "spec.tier",
                            policy.ref()
                                    + ": there is no Tier "
                                    + policy.tier()
                                    + ": the policy comes after those of all tiers"));
        }
        final String kind = policy.ref().kind();
        final int group = kind.indexOf('.');
        final PolicyStatement.Place place =
                new PolicyStatement.Place(
                        tier,
                        PolicyTier.orderOf(policy.order()),
                        key(policy.meta(), group < 0 ? kind : kind.substring(0, group)),
                        false);
        final PeerMatch subject = subject(policy);
        final HostStatement.Stage stage =
                policy.doNotTrack()
                        ? HostStatement.Stage.UNTRACKED
                        : policy.preDnat()
                                ? HostStatement.Stage.PRE_DNAT
                                : HostStatement.Stage.NORMAL;
        final List<PolicyStatement> statements = new ArrayList<>();
        final List<HostStatement> hosts = new ArrayList<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            if (policy.types().contains(direction)) {
                final PolicyStatement statement =
                        new PolicyStatement(
                                policy,
                                place,
                                subject,
                                direction,
                                true,
                                rules(policy, tier.name(), direction, policy.rules(direction)));
                if (stage == HostStatement.Stage.NORMAL) {
                    statements.add(statement);
                } else if (policy.staging() != Staging.ENFORCED) {
                    // It says nothing about pods, but it replaces what may.
                    statements.add(statement.about(PeerMatch.NOBODY));
                }
                if (selectsHostEndpoints(policy)) {
                    hosts.add(
                            new HostStatement(
                                    statement.about(PeerMatch.NOBODY),
                                    new HostStatement.OfHostEndpoints(policy.selector()),
                                    stage,
                                    policy.applyOnForward()));
                }
            }
        }
        return new Translation(
                List.copyOf(statements),
                List.copyOf(hosts),
                Set.copyOf(reads),
                List.copyOf(warnings),
                List.of());
    }

    /** A profile: what host endpoints that name it are asked after all tiers. */
    Translation translate(final CalicoPolicy.Profile profile) {
        warnings.clear();
        reads.clear();
        final List<HostStatement> hosts = new ArrayList<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            hosts.add(
                    HostPolicies.ofProfile(
                            profile,
                            direction,
                            rules(
                                    profile,
                                    HostPolicies.PROFILES.name(),
                                    direction,
                                    direction == PolicyDirection.INGRESS
                                            ? profile.ingress()
                                            : profile.egress())));
        }
        return new Translation(
                List.of(), List.copyOf(hosts), Set.copyOf(reads), List.copyOf(warnings), List.of());
    }

    /** Host endpoints are in no namespace and have no account. */
    private static boolean selectsHostEndpoints(final CalicoPolicy policy) {
        return policy.isGlobal()
                && isSelectedOutside(policy.namespaceSelector())
                && policy.serviceAccountSelector()
                        .map(CalicoSelector::matchesNothingAround)
                        .orElse(true);
    }

    private static PeerMatch subject(final CalicoPolicy policy) {
        final List<PeerMatch> conditions = new ArrayList<>();
        if (!policy.isGlobal()) {
            conditions.add(inNamespace(policy.meta().namespace()));
        }
        conditions.add(ofPods(policy.selector()));
        policy.namespaceSelector().ifPresent(s -> conditions.add(ofNamespaces(s)));
        policy.serviceAccountSelector().ifPresent(s -> conditions.add(ofAccounts(s)));
        return PeerMatch.allOf(conditions);
    }

    private List<PolicyRule> rules(
            final KubeObject policy,
            final String tier,
            final PolicyDirection direction,
            final List<Rule> written) {
        final List<PolicyRule> rules = new ArrayList<>();
        for (int i = 0; i < written.size(); i++) {
            final Rule rule = written.get(i);
            addRules(
                    policy,
                    rule,
                    direction,
                    Author.ofRule(tier, policy, direction.field(), i, rule.where()),
                    rules);
        }
        return List.copyOf(rules);
    }

    /**
     * One rule; several where it speaks of a service, or of names that TLS tells as well as DNS.
     */
    private void addRules(
            final KubeObject policy,
            final Rule rule,
            final PolicyDirection direction,
            final Author author,
            final List<PolicyRule> rules) {
        final boolean ingress = direction == PolicyDirection.INGRESS;
        final Entity peer = ingress ? rule.source() : rule.destination();
        final Entity own = ingress ? rule.destination() : rule.source();
        final String namespace = policy.meta().namespace();
        final List<PeerMatch> conditions = new ArrayList<>();
        rule.ipVersion()
                .ifPresent(
                        version ->
                                conditions.add(
                                        PeerMatch.ofFamily(
                                                version == 4 ? Cidr.ALL_IPV4 : Cidr.ALL_IPV6)));
        conditions.addAll(conditions(peer, namespace));
        final PeerMatch local = PeerMatch.allOf(conditions(own, namespace));
        final List<Traffic> traffic = traffic(rule);
        final Effect effect =
                switch (rule.action()) {
                    case ALLOW -> Effect.ALLOW;
                    case DENY -> Effect.DENY;
                    case PASS -> Effect.PASS;
                    case LOG -> Effect.LOG;
                };
        final Optional<L7Rules> http =
                rule.http().map(written -> L7Rules.ofCalicoHttp(httpRule(written)));
        if (peer.service().isPresent()) {
            for (final Backend backend : backends(peer.service().get(), namespace)) {
                final List<PeerMatch> all = new ArrayList<>(conditions);
                all.add(backend.peers);
                final List<Traffic> served = ingress ? traffic : served(rule, backend.traffic);
                if (ingress || !served.isEmpty()) {
                    rules.add(
                            new PolicyRule(
                                    PeerMatch.allOf(all), local, served, effect, http, author));
                }
            }
            return;
        }
        if (peer.domains().isEmpty()) {
            rules.add(
                    new PolicyRule(
                            PeerMatch.allOf(conditions), local, traffic, effect, http, author));
            return;
        }
        final List<PeerMatch> named = new ArrayList<>(conditions);
        named.add(
                PeerMatch.anyOf(
                        peer.domains().stream()
                                .map(
                                        domain ->
                                                (PeerMatch)
                                                        new PeerMatch.Named(
                                                                NamePattern.parseCalicoDomain(
                                                                        domain),
                                                                PeerMatch.ALL_KINDS))
                                .toList()));
        rules.add(new PolicyRule(PeerMatch.allOf(named), local, traffic, effect, http, author));
        if (effect == Effect.ALLOW
                && rule.protocol().filter(CalicoPolicy.Protocol::tls).isPresent()) {
            rules.add(
                    new PolicyRule(
                            PeerMatch.allOf(conditions),
                            local,
                            traffic,
                            effect,
                            Optional.of(
                                    L7Rules.ofTls(
                                            peer.domains().stream()
                                                    .map(CalicoPolicyTranslator::serverName)
                                                    .toList())),
                            author));
        }
    }

    /** A leading {@code *.} is one or more labels, as in the names that DNS tells. */
    private static ServerNamePattern serverName(final String domain) {
        return ServerNamePattern.compile(domain.startsWith("*.") ? "*" + domain : domain);
    }

    private static CalicoHttpRule httpRule(final CalicoPolicy.Http http) {
        return new CalicoHttpRule(
                http.methods(),
                http.paths().stream()
                        .map(path -> new CalicoHttpRule.PathMatch(path.path(), path.prefix()))
                        .toList());
    }

    // Packets.

    private static List<Traffic> traffic(final Rule rule) {
        final Ports source = ports(rule.source());
        Ports destination = ports(rule.destination());
        if (rule.icmp().isPresent() || rule.notIcmp().isPresent()) {
            destination =
                    new Ports(
                            rule.icmp().map(CalicoPolicyTranslator::range).stream().toList(),
                            List.of(),
                            rule.notIcmp().map(CalicoPolicyTranslator::range).stream().toList(),
                            List.of());
        }
        int protocol =
                rule.protocol().map(CalicoPolicy.Protocol::number).orElse(Traffic.EVERY_PROTOCOL);
        if (rule.http().isPresent()) {
            protocol = IpProtocol.TCP;
        }
        final int notProtocol =
                rule.notProtocol()
                        .map(CalicoPolicy.Protocol::number)
                        .orElse(Traffic.EVERY_PROTOCOL);
        if (protocol == Traffic.EVERY_PROTOCOL
                && notProtocol == Traffic.EVERY_PROTOCOL
                && source.equals(Ports.ALL)
                && destination.equals(Ports.ALL)) {
            return List.of();
        }
        return List.of(new Traffic(protocol, notProtocol, source, destination));
    }

    /** What a rule asks of packets, at the ports of a service; empty if it asks for others. */
    private static List<Traffic> served(final Rule rule, final List<Traffic> ports) {
        final List<Traffic> served = new ArrayList<>();
        for (final Traffic port : ports) {
            final int protocol = port.protocol();
            final boolean asked =
                    (rule.protocol().isEmpty() || rule.protocol().get().number() == protocol)
                            && (rule.http().isEmpty() || protocol == IpProtocol.TCP)
                            && (rule.notProtocol().isEmpty()
                                    || rule.notProtocol().get().number() != protocol);
            if (asked) {
                served.add(
                        new Traffic(
                                protocol,
                                Traffic.EVERY_PROTOCOL,
                                ports(rule.source()),
                                port.destination()));
            }
        }
        return List.copyOf(served);
    }

    /** ICMP types and codes as ports: type * 256 + code. */
    private static Range range(final CalicoPolicy.Icmp icmp) {
        if (icmp.type().isEmpty()) {
            return Range.ALL;
        }
        final int type = icmp.type().getAsInt() << 8;
        return icmp.code().isPresent()
                ? new Range(type | icmp.code().getAsInt(), type | icmp.code().getAsInt())
                : new Range(type, type | 0xff);
    }

    private static Ports ports(final Entity entity) {
        if (entity.ports().isEmpty() && entity.notPorts().isEmpty()) {
            return Ports.ALL;
        }
        return new Ports(
                ranges(entity.ports()),
                names(entity.ports()),
                ranges(entity.notPorts()),
                names(entity.notPorts()));
    }

    private static List<Range> ranges(final List<CalicoPolicy.Port> ports) {
        final List<Range> ranges = new ArrayList<>();
        for (final CalicoPolicy.Port port : ports) {
            if (port instanceof final CalicoPolicy.PortRange range) {
                ranges.add(new Range(range.from(), range.to()));
            }
        }
        return List.copyOf(ranges);
    }

    private static List<String> names(final List<CalicoPolicy.Port> ports) {
        final List<String> names = new ArrayList<>();
        for (final CalicoPolicy.Port port : ports) {
            if (port instanceof final CalicoPolicy.PortName name) {
                names.add(name.name());
            }
        }
        return List.copyOf(names);
    }

    // Ends.

    private List<PeerMatch> conditions(final Entity entity, final String namespace) {
        final List<PeerMatch> conditions = new ArrayList<>();
        if (!entity.nets().isEmpty()) {
            conditions.add(inOneOf(entity.nets()));
        }
        if (!entity.notNets().isEmpty()) {
            conditions.add(new PeerMatch.Not(inOneOf(entity.notNets())));
        }
        final boolean asksForEndpoint =
                entity.selector().isPresent()
                        || entity.notSelector().isPresent()
                        || entity.serviceAccounts().isPresent();
        final boolean confined =
                asksForEndpoint && entity.namespaceSelector().isEmpty() && !namespace.isEmpty();
        if (entity.selector().isPresent()
                || entity.namespaceSelector().isPresent()
                || entity.serviceAccounts().isPresent()
                || confined) {
            conditions.add(
                    known(
                            entity.selector().orElse(CalicoSelector.ALL),
                            entity.namespaceSelector(),
                            entity.serviceAccounts(),
                            confined ? namespace : ""));
        }
        entity.notSelector()
                .ifPresent(
                        selector ->
                                conditions.add(
                                        new PeerMatch.Not(
                                                known(
                                                        selector,
                                                        Optional.empty(),
                                                        Optional.empty(),
                                                        ""))));
        return conditions;
    }

    private static PeerMatch inOneOf(final List<Cidr> nets) {
        return PeerMatch.anyOf(nets.stream().map(CalicoPolicyTranslator::inPrefix).toList());
    }

    private static PeerMatch inPrefix(final Cidr net) {
        return new PeerMatch.InPrefix(net, List.of(), PeerMatch.ALL_KINDS);
    }

    /**
     * Known endpoints: pods, and the addresses of network sets and host endpoints.
     *
     * @param confinedTo a namespace; empty for any, or none
     */
    private PeerMatch known(
            final CalicoSelector selector,
            final Optional<CalicoSelector> namespaces,
            final Optional<ServiceAccounts> accounts,
            final String confinedTo) {
        reads.add(Translation.Reads.NETWORK_SETS);
        final boolean global =
                namespaces.map(s -> s.root() instanceof CalicoSelector.Global).orElse(false);
        final List<PeerMatch> alternatives = new ArrayList<>();
        if (!global) {
            final List<PeerMatch> pod = new ArrayList<>();
            if (!confinedTo.isEmpty()) {
                pod.add(inNamespace(confinedTo));
            }
            pod.add(ofPods(selector));
            namespaces.ifPresent(s -> pod.add(ofNamespaces(s)));
            accounts.ifPresent(a -> pod.add(ofAccounts(a)));
            alternatives.add(PeerMatch.allOf(pod));
        }
        if (accounts.map(CalicoPolicyTranslator::takesNobodysAccount).orElse(true)) {
            for (final NetworkSet set : world.all(NetworkSet.class)) {
                if (isSelected(set, selector, namespaces, confinedTo)) {
                    set.nets().forEach(net -> alternatives.add(inPrefix(net)));
                }
            }
            for (final HostEndpoint host : world.all(HostEndpoint.class)) {
                if (isSelectedOutside(namespaces)
                        && confinedTo.isEmpty()
                        && selector.matchesOutsideNamespaces(HostPolicies.labels(world, host))) {
                    // Other addresses of its node are not meant (Calico:
                    // reference/resources/hostendpoint.mdx).
                    host.expectedIps().forEach(ip -> alternatives.add(inPrefix(Cidr.host(ip))));
                }
            }
        }
        return PeerMatch.anyOf(alternatives);
    }

    private boolean isSelected(
            final NetworkSet set,
            final CalicoSelector selector,
            final Optional<CalicoSelector> namespaces,
            final String confinedTo) {
        final String namespace = set.meta().namespace();
        if (!confinedTo.isEmpty() && !namespace.equals(confinedTo)) {
            return false;
        }
        final Map<String, String> labels = new HashMap<>(set.meta().labels());
        if (!namespace.isEmpty()) {
            labels.put(CALICO_NAMESPACE, namespace);
        }
        if (!selector.matches(labels)) {
            return false;
        }
        if (namespace.isEmpty()) {
            return isSelectedOutside(namespaces);
        }
        if (namespaces.isEmpty()) {
            return true;
        }
        final Map<String, String> ofNamespace = new HashMap<>(world.namespaceLabels(namespace));
        ofNamespace.put(CALICO_NAME, namespace);
        return namespaces.get().matches(ofNamespace);
    }

    /** Whether a namespaceSelector takes what is in no namespace. */
    private static boolean isSelectedOutside(final Optional<CalicoSelector> namespaces) {
        return namespaces.map(CalicoSelector::matchesNothingAround).orElse(true);
    }

    /** Whether the labels of no account match, as those of what has none, a network set. */
    private static boolean takesNobodysAccount(final ServiceAccounts accounts) {
        return accounts.names().isEmpty()
                && accounts.selector().map(selector -> selector.matches(Map.of())).orElse(true);
    }

    private static PeerMatch inNamespace(final String namespace) {
        return new PeerMatch.Labelled(List.of(LabelMatch.equal(NAMESPACE, namespace)));
    }

    /** Names of labels as the facts of a peer have them. */
    private interface LabelNames {
        String sourced(String label);
    }

    private static PeerMatch ofPods(final CalicoSelector selector) {
        return selected(
                selector,
                label ->
                        switch (label) {
                            case CALICO_NAMESPACE -> NAMESPACE;
                            case CALICO_ACCOUNT -> ACCOUNT;
                            default -> LabelMatch.SOURCE_K8S + label;
                        },
                "");
    }

    private static PeerMatch ofNamespaces(final CalicoSelector selector) {
        return selected(
                selector,
                label -> label.equals(CALICO_NAME) ? NAMESPACE : NAMESPACE_LABELS + label,
                "namespace: ");
    }

    private static PeerMatch ofAccounts(final CalicoSelector selector) {
        return selected(
                selector,
                label -> label.equals(CALICO_NAME) ? ACCOUNT : LabelMatch.SOURCE_ACCOUNT + label,
                "service account: ");
    }

    private static PeerMatch ofAccounts(final ServiceAccounts accounts) {
        final List<PeerMatch> conditions = new ArrayList<>();
        if (!accounts.names().isEmpty()) {
            conditions.add(
                    new PeerMatch.Labelled(
                            List.of(
                                    new LabelMatch(
                                            List.of(ACCOUNT),
                                            LabelSelector.Operator.IN,
                                            Set.copyOf(accounts.names())))));
        }
        accounts.selector().ifPresent(selector -> conditions.add(ofAccounts(selector)));
        return conditions.isEmpty() ? ofPods(CalicoSelector.ALL) : PeerMatch.allOf(conditions);
    }

    private static PeerMatch selected(
            final CalicoSelector selector, final LabelNames names, final String what) {
        return new PeerMatch.Selected(
                new CalicoSelector(sourced(selector.root(), names)), what + selector);
    }

    private static Expression sourced(final Expression expression, final LabelNames names) {
        return switch (expression) {
            case CalicoSelector.All _, CalicoSelector.Global _ -> expression;
            case final CalicoSelector.Has has ->
                    isConstant(has.label())
                            ? constant(has)
                            : new CalicoSelector.Has(names.sourced(has.label()));
            case final CalicoSelector.Compare compare ->
                    isConstant(compare.label())
                            ? constant(compare)
                            : new CalicoSelector.Compare(
                                    names.sourced(compare.label()),
                                    compare.comparison(),
                                    compare.value());
            case final CalicoSelector.In in ->
                    isConstant(in.label())
                            ? constant(in)
                            : new CalicoSelector.In(names.sourced(in.label()), in.values());
            case final CalicoSelector.NotIn notIn ->
                    isConstant(notIn.label())
                            ? constant(notIn)
                            : new CalicoSelector.NotIn(
                                    names.sourced(notIn.label()), notIn.values());
            case final CalicoSelector.Not not ->
                    new CalicoSelector.Not(sourced(not.operand(), names));
            case final CalicoSelector.And and ->
                    new CalicoSelector.And(
                            and.operands().stream().map(e -> sourced(e, names)).toList());
            case final CalicoSelector.Or or ->
                    new CalicoSelector.Or(
                            or.operands().stream().map(e -> sourced(e, names)).toList());
        };
    }

    private static boolean isConstant(final String label) {
        return label.equals(CALICO_ORCHESTRATOR);
    }

    /** Every pod's orchestrator is Kubernetes: what is asked of it is known now. */
    private static Expression constant(final Expression asked) {
        return new CalicoSelector(asked).matches(Map.of(CALICO_ORCHESTRATOR, "k8s"))
                ? new CalicoSelector.All()
                : new CalicoSelector.Not(new CalicoSelector.All());
    }

    // Services.

    /** Endpoints of a service, and the ports they serve it at. */
    private record Backend(PeerMatch peers, List<Traffic> traffic) {}

    private List<Backend> backends(final ServiceName name, final String policyNamespace) {
        reads.add(Translation.Reads.SERVICES);
        final String namespace = name.namespace().isEmpty() ? policyNamespace : name.namespace();
        final List<Backend> backends = new ArrayList<>();
        boolean sliced = false;
        for (final KubeObject.EndpointSlice slice : world.all(KubeObject.EndpointSlice.class)) {
            if (slice.service().equals(name.name()) && slice.meta().namespace().equals(namespace)) {
                sliced = true;
                backends.add(
                        new Backend(
                                PeerMatch.anyOf(
                                        slice.addresses().stream()
                                                .map(address -> inPrefix(Cidr.host(address)))
                                                .toList()),
                                slice.ports().stream()
                                        .map(
                                                port ->
                                                        Traffic.of(
                                                                port.protocol(),
                                                                Ports.of(port.port(), port.port())))
                                        .toList()));
            }
        }
        final Optional<KubeObject.Service> service =
                world.lookup(new ObjectRef("Service", namespace, name.name()))
                        .map(KubeObject.Service.class::cast);
        if (!sliced && service.filter(s -> !s.selector().isEmpty()).isPresent()) {
            // No controller has listed its endpoints, as in a folder of manifests.
            backends.add(backend(service.get()));
        }
        if (backends.isEmpty()) {
            warnings.add(
                    Problem.warning(
                            name.where(),
                            "services",
                            "there is no Service "
                                    + namespace
                                    + "/"
                                    + name.name()
                                    + " with endpoints: the rule matches nothing"));
        }
        return backends;
    }

    private static Backend backend(final KubeObject.Service service) {
        final List<LabelMatch> labels = new ArrayList<>();
        labels.add(LabelMatch.equal(NAMESPACE, service.meta().namespace()));
        service.selector()
                .forEach(
                        (key, value) ->
                                labels.add(LabelMatch.equal(LabelMatch.SOURCE_K8S + key, value)));
        return new Backend(
                new PeerMatch.Labelled(List.copyOf(labels)),
                service.ports().stream()
                        .map(
                                port ->
                                        Traffic.of(
                                                port.protocol(),
                                                port.targetName().isEmpty()
                                                        ? Ports.of(port.target(), port.target())
                                                        : Ports.named(port.targetName())))
                        .toList());
    }
}
