package io.sluice.control.policy;

import io.sluice.control.policy.CiliumPolicy.Anyone;
import io.sluice.control.policy.CiliumPolicy.Authentication;
import io.sluice.control.policy.CiliumPolicy.CidrGroupLabels;
import io.sluice.control.policy.CiliumPolicy.CidrGroupName;
import io.sluice.control.policy.CiliumPolicy.CidrPrefix;
import io.sluice.control.policy.CiliumPolicy.CidrRule;
import io.sluice.control.policy.CiliumPolicy.Endpoints;
import io.sluice.control.policy.CiliumPolicy.Entity;
import io.sluice.control.policy.CiliumPolicy.Entry;
import io.sluice.control.policy.CiliumPolicy.Nodes;
import io.sluice.control.policy.CiliumPolicy.PeerCidrs;
import io.sluice.control.policy.CiliumPolicy.PeerEndpoints;
import io.sluice.control.policy.CiliumPolicy.PeerEntities;
import io.sluice.control.policy.CiliumPolicy.PeerGroups;
import io.sluice.control.policy.CiliumPolicy.PeerNames;
import io.sluice.control.policy.CiliumPolicy.PeerNodes;
import io.sluice.control.policy.CiliumPolicy.PeerServices;
import io.sluice.control.policy.CiliumPolicy.PortName;
import io.sluice.control.policy.CiliumPolicy.PortRange;
import io.sluice.control.policy.CiliumPolicy.PortRule;
import io.sluice.control.policy.CiliumPolicy.Restriction;
import io.sluice.control.policy.CiliumPolicy.Rule;
import io.sluice.control.policy.CiliumPolicy.ServiceLabels;
import io.sluice.control.policy.CiliumPolicy.ServiceName;
import io.sluice.control.policy.CiliumPolicy.ServiceRule;
import io.sluice.control.policy.CiliumPolicy.Side;
import io.sluice.control.policy.CiliumPolicy.WholeProtocol;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy to statements.
 *
 * <p>Follows Cilium 1.19: {@code pkg/k8s/apis/cilium.io/utils/utils.go} for the labels that are put
 * into selectors, {@code pkg/policy/api/entity.go} for entities, {@code pkg/policy/rule.go} for
 * what an empty peer list means. Groups and services are looked up in the world once, here.
 */
final class CiliumPolicyTranslator {
    private static final String RESERVED_HOST = LabelMatch.SOURCE_RESERVED + "host";
    private static final String RESERVED_REMOTE_NODE = LabelMatch.SOURCE_RESERVED + "remote-node";
    private static final String NAMESPACE = LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_KEY;
    private static final String CLUSTER = LabelMatch.SOURCE_K8S + PeerFacts.CLUSTER_KEY;

    /** Reserved labels that the entity {@code cluster} stands for, beside the endpoints'. */
    private static final List<Entity> CLUSTER_ENTITIES =
            List.of(
                    Entity.HOST,
                    Entity.REMOTE_NODE,
                    Entity.INIT,
                    Entity.INGRESS,
                    Entity.HEALTH,
                    Entity.UNMANAGED,
                    Entity.KUBE_APISERVER);

    private final World world;
    private final PolicyOptions options;
    private final String tier;
    private final List<Problem> warnings;
    private final Set<PeerFacts.Kind> cidrKinds = EnumSet.of(PeerFacts.Kind.WORLD);

    CiliumPolicyTranslator(
            final World world,
            final PolicyOptions options,
            final String tier,
            final List<Problem> warnings) {
        this.world = world;
        this.options = options;
        this.tier = tier;
        this.warnings = warnings;
        if (options.cidrMatches().contains(PolicyOptions.CidrMatch.PODS)) {
            cidrKinds.add(PeerFacts.Kind.POD);
        }
        if (options.cidrMatches().contains(PolicyOptions.CidrMatch.NODES)) {
            cidrKinds.add(PeerFacts.Kind.NODE);
        }
    }

    List<PolicyStatement> translate(final CiliumPolicy policy) {
        final List<PolicyStatement> statements = new ArrayList<>();
        for (int i = 0; i < policy.rules().size(); i++) {
            final Rule rule = policy.rules().get(i);
            final String path = policy.rules().size() == 1 ? "" : "specs[" + i + "].";
            switch (rule.subject()) {
                case final Endpoints endpoints -> {
                    final List<LabelMatch> subject = subject(policy, endpoints.selector());
                    for (final PolicyDirection direction : PolicyDirection.values()) {
                        final Side side = rule.side(direction);
                        if (side.isPresent() || side.defaultDeny()) {
                            statements.add(
                                    new PolicyStatement(
                                            policy,
                                            subject,
                                            direction,
                                            side.defaultDeny(),
                                            rules(policy, direction, side, path)));
                        }
                    }
                }
                // Host policies are read and warned about; no endpoint is their subject.
                case Nodes _ -> {}
            }
        }
        return statements;
    }

    private List<LabelMatch> subject(final CiliumPolicy policy, final LabelSelector selector) {
        final List<LabelMatch> labels = sourced(selector);
        if (policy.isClusterwide()) {
            return List.copyOf(labels);
        }
        final LabelMatch own = LabelMatch.equal(NAMESPACE, policy.meta().namespace());
        if (labels.removeIf(
                label -> label.isAbout(PeerFacts.NAMESPACE_KEY) && !isOwn(label, own))) {
            warnings.add(
                    Problem.warning(
                            policy.where(),
                            "spec.endpointSelector",
                            policy.ref()
                                    + ": a policy selects endpoints of its own namespace only: "
                                    + PeerFacts.NAMESPACE_KEY
                                    + " is read as "
                                    + policy.meta().namespace()));
        }
        labels.add(0, own);
        return List.copyOf(labels);
    }

    private static boolean isOwn(final LabelMatch label, final LabelMatch own) {
        return label.operator() == own.operator() && label.values().equals(own.values());
    }

    private List<PolicyRule> rules(
            final CiliumPolicy policy,
            final PolicyDirection direction,
            final Side side,
            final String path) {
        final List<PolicyRule> rules = new ArrayList<>();
        for (int i = 0; i < side.deny().size(); i++) {
            final Entry entry = side.deny().get(i);
            final Author author =
                    Author.ofRule(
                            tier, policy, path + direction.field() + "Deny", i, entry.where());
            addRules(
                    policy,
                    entry,
                    restriction -> PolicyEntry.deny(PolicyEntry.Reason.POLICY_DENY, author),
                    rules);
        }
        for (int i = 0; i < side.allow().size(); i++) {
            final Entry entry = side.allow().get(i);
            final Author author =
                    Author.ofRule(tier, policy, path + direction.field(), i, entry.where());
            addRules(
                    policy,
                    entry,
                    restriction -> allowEntry(entry, restriction, side.defaultDeny(), author),
                    rules);
        }
        return List.copyOf(rules);
    }

    private static PolicyEntry allowEntry(
            final Entry entry,
            final Restriction restriction,
            final boolean defaultDeny,
            final Author author) {
        final boolean authenticated =
                entry.authentication() == Authentication.REQUIRED
                        || entry.authentication() == Authentication.TEST_ALWAYS_FAIL;
        if (authenticated) {
            return PolicyEntry.deny(PolicyEntry.Reason.AUTH_REQUIRED, author);
        }
        return restriction == Restriction.NONE || restriction.isWidened(defaultDeny)
                ? PolicyEntry.allow(author)
                : PolicyEntry.deny(PolicyEntry.Reason.L7_NOT_ENFORCEABLE, author);
    }

    /** What becomes of the packets of a rule, by what it asks beyond ports. */
    private interface EntryOf {
        PolicyEntry entry(Restriction restriction);
    }

    private void addRules(
            final CiliumPolicy policy,
            final Entry entry,
            final EntryOf outcome,
            final List<PolicyRule> rules) {
        if (entry.empty()) {
            return;
        }
        final PeerMatch peers = peers(policy, entry);
        if (entry.ports().isEmpty()) {
            rules.add(new PolicyRule(peers, List.of(), outcome.entry(Restriction.NONE)));
        }
        for (final PortRule portRule : entry.ports()) {
            rules.add(
                    new PolicyRule(
                            peers,
                            portRule.ports().stream().map(CiliumPolicyTranslator::port).toList(),
                            outcome.entry(portRule.restriction())));
        }
    }

    private static PortMatch port(final CiliumPolicy.Port port) {
        return switch (port) {
            case final PortRange range ->
                    new PortMatch.Range(range.protocol(), range.from(), range.to());
            case final PortName name -> new PortMatch.Named(name.protocol(), name.name());
            case final WholeProtocol whole ->
                    new PortMatch.Range(whole.protocol(), 0, VerdictProgram.PORT_MAX);
        };
    }

    private PeerMatch peers(final CiliumPolicy policy, final Entry entry) {
        return switch (entry.peers()) {
            case Anyone _ -> PeerMatch.EVERYONE;
            case final PeerEndpoints endpoints ->
                    anyOf(
                            endpoints.selectors().stream()
                                    .map(selector -> endpointTerm(policy, selector))
                                    .toList());
            case final PeerNodes nodes ->
                    anyOf(nodes.selectors().stream().map(this::nodeTerm).toList());
            case final PeerEntities entities -> entities(entities.entities());
            case final PeerCidrs cidrs -> cidrs(policy, entry, cidrs.cidrs());
            case final PeerServices services -> services(services.services());
            case PeerNames _, PeerGroups _ -> PeerMatch.NOBODY;
        };
    }

    private static PeerMatch anyOf(final List<PeerMatch.Term> terms) {
        return terms.isEmpty() ? PeerMatch.NOBODY : new PeerMatch.AnyOf(List.copyOf(terms));
    }

    private PeerMatch.Term endpointTerm(final CiliumPolicy policy, final LabelSelector selector) {
        final List<LabelMatch> labels = sourced(selector);
        if (selector.requirements().stream()
                .anyMatch(r -> r.key().startsWith(LabelMatch.SOURCE_RESERVED))) {
            return new PeerMatch.Labelled(List.copyOf(labels));
        }
        final boolean namesNamespace =
                labels.stream().anyMatch(label -> label.isAbout(PeerFacts.NAMESPACE_KEY));
        if (!namesNamespace && policy.isClusterwide()) {
            labels.add(0, LabelMatch.exists(NAMESPACE));
        } else if (!namesNamespace && !usesNamespaceLabels(labels)) {
            labels.add(0, LabelMatch.equal(NAMESPACE, policy.meta().namespace()));
        }
        addCluster(labels);
        return new PeerMatch.Labelled(List.copyOf(labels));
    }

    private static boolean usesNamespaceLabels(final List<LabelMatch> labels) {
        return labels.stream()
                .anyMatch(
                        label ->
                                label.keys()
                                        .get(0)
                                        .startsWith(
                                                LabelMatch.SOURCE_K8S
                                                        + PeerFacts.NAMESPACE_LABEL_PREFIX));
    }

    /** A selector that names no cluster means this one (Cilium's policy-default-local-cluster). */
    private void addCluster(final List<LabelMatch> labels) {
        if (labels.stream().noneMatch(label -> label.isAbout(PeerFacts.CLUSTER_KEY))) {
            labels.add(LabelMatch.equal(CLUSTER, options.clusterName()));
        }
    }

    private PeerMatch.Term nodeTerm(final LabelSelector selector) {
        final List<LabelMatch> labels = sourced(selector);
        labels.add(0, LabelMatch.exists(RESERVED_REMOTE_NODE));
        return new PeerMatch.Labelled(List.copyOf(labels));
    }

    private static List<LabelMatch> sourced(final LabelSelector selector) {
        return new ArrayList<>(
                selector.requirements().stream().map(LabelMatch::ofSourcedLabel).toList());
    }

    private PeerMatch entities(final Set<Entity> entities) {
        if (entities.contains(Entity.ALL)) {
            return PeerMatch.EVERYONE;
        }
        final List<PeerMatch.Term> terms = new ArrayList<>();
        for (final Entity entity : Entity.values()) {
            if (entities.contains(entity)) {
                addEntity(entity, terms);
            }
        }
        return anyOf(terms);
    }

    private void addEntity(final Entity entity, final List<PeerMatch.Term> terms) {
        switch (entity) {
            case CLUSTER -> {
                CLUSTER_ENTITIES.forEach(reserved -> terms.add(reserved(reserved)));
                terms.add(labelled(LabelMatch.equal(CLUSTER, options.clusterName())));
            }
            case CLUSTER_MESH -> {
                CLUSTER_ENTITIES.forEach(reserved -> terms.add(reserved(reserved)));
                terms.add(labelled(LabelMatch.exists(CLUSTER)));
            }
            case HOST -> terms.add(labelled(LabelMatch.exists(RESERVED_HOST)));
            case WORLD,
                    WORLD_IPV4,
                    WORLD_IPV6,
                    REMOTE_NODE,
                    KUBE_APISERVER,
                    INGRESS,
                    INIT,
                    HEALTH,
                    UNMANAGED ->
                    terms.add(reserved(entity));
            case ALL, NONE -> {}
        }
    }

    private static PeerMatch.Term reserved(final Entity entity) {
        return labelled(LabelMatch.exists(LabelMatch.SOURCE_RESERVED + entity.text()));
    }

    private static PeerMatch.Term labelled(final LabelMatch match) {
        return new PeerMatch.Labelled(List.of(match));
    }

    private PeerMatch cidrs(
            final CiliumPolicy policy, final Entry entry, final List<CidrRule> rules) {
        final List<PeerMatch.Term> terms = new ArrayList<>();
        for (final CidrRule rule : rules) {
            for (final Cidr cidr : prefixes(policy, rule)) {
                final List<Cidr> except =
                        rule.except().stream().filter(taken -> overlap(cidr, taken)).toList();
                terms.add(new PeerMatch.InPrefix(cidr, except, Set.copyOf(cidrKinds)));
                warnIfCovered(policy, entry, cidr, except);
            }
        }
        return anyOf(terms);
    }

    /** Of two prefixes that share an address one contains the other, whichever is wider. */
    private static boolean overlap(final Cidr one, final Cidr other) {
        return one.contains(other) || other.contains(one);
    }

    private List<Cidr> prefixes(final CiliumPolicy policy, final CidrRule rule) {
        return switch (rule) {
            case final CidrPrefix prefix -> List.of(prefix.cidr());
            case final CidrGroupName name -> {
                final Optional<KubeObject> group =
                        world.lookup(new ObjectRef("CiliumCIDRGroup", "", name.name()));
                if (group.orElse(null) instanceof final KubeObject.CiliumCidrGroup found) {
                    yield found.cidrs();
                }
                warnings.add(
                        Problem.warning(
                                name.where(),
                                "cidrGroupRef",
                                policy.ref()
                                        + ": there is no CiliumCIDRGroup "
                                        + name.name()
                                        + ": the item matches nothing"));
                yield List.of();
            }
            case final CidrGroupLabels labels -> {
                final List<LabelMatch> matches =
                        labels.selector().requirements().stream()
                                .map(LabelMatch::ofPodLabel)
                                .toList();
                final List<Cidr> cidrs = new ArrayList<>();
                for (final KubeObject.CiliumCidrGroup group :
                        world.all(KubeObject.CiliumCidrGroup.class)) {
                    if (objectMatches(matches, group.meta().labels())) {
                        cidrs.addAll(group.cidrs());
                    }
                }
                yield cidrs;
            }
        };
    }

    private static boolean objectMatches(
            final List<LabelMatch> matches, final Map<String, String> objectLabels) {
        final Map<String, String> labels = new TreeMap<>();
        objectLabels.forEach((key, value) -> labels.put(LabelMatch.SOURCE_K8S + key, value));
        return matches.stream().allMatch(match -> match.matches(labels));
    }

    /** The most common surprise of CIDR rules: they do not match endpoints. */
    private void warnIfCovered(
            final CiliumPolicy policy,
            final Entry entry,
            final Cidr cidr,
            final List<Cidr> except) {
        if (cidrKinds.contains(PeerFacts.Kind.POD)) {
            return;
        }
        for (final Pod pod : world.pods()) {
            for (final IpAddress address : pod.addresses()) {
                if (pod.isEndpoint()
                        && cidr.contains(address)
                        && except.stream().noneMatch(taken -> taken.contains(address))) {
                    warnings.add(
                            Problem.warning(
                                    entry.where(),
                                    "",
                                    policy.ref()
                                            + ": "
                                            + cidr
                                            + " covers "
                                            + pod.ref()
                                            + " ("
                                            + address
                                            + "), but CIDR rules do not match endpoints: select it"
                                            + " by labels, or set policyCIDRMatchMode"));
                    return;
                }
            }
        }
    }

    private PeerMatch services(final List<ServiceRule> rules) {
        final List<PeerMatch.Term> terms = new ArrayList<>();
        for (final KubeObject.Service service : world.all(KubeObject.Service.class)) {
            for (final ServiceRule rule : rules) {
                if (selects(rule, service)) {
                    addService(service, terms);
                }
            }
        }
        for (final ServiceRule rule : rules) {
            if (rule instanceof final ServiceName name
                    && world.all(KubeObject.Service.class).stream()
                            .noneMatch(service -> selects(rule, service))) {
                warnings.add(
                        Problem.warning(
                                name.where(),
                                "k8sService",
                                "there is no Service "
                                        + (name.namespace().isEmpty()
                                                ? name.name()
                                                : name.namespace() + "/" + name.name())
                                        + ": the item matches nothing"));
            }
        }
        return anyOf(terms);
    }

    private static boolean selects(final ServiceRule rule, final KubeObject.Service service) {
        final boolean inNamespace =
                rule.namespace().isEmpty() || rule.namespace().equals(service.meta().namespace());
        return inNamespace
                && switch (rule) {
                    case final ServiceName name -> name.name().equals(service.meta().name());
                    case final ServiceLabels labels ->
                            objectMatches(
                                    labels.selector().requirements().stream()
                                            .map(LabelMatch::ofPodLabel)
                                            .toList(),
                                    service.meta().labels());
                };
    }

    private void addService(final KubeObject.Service service, final List<PeerMatch.Term> terms) {
        if (!service.selector().isEmpty()) {
            final List<LabelMatch> labels = new ArrayList<>();
            labels.add(LabelMatch.equal(NAMESPACE, service.meta().namespace()));
            service.selector()
                    .forEach(
                            (key, value) ->
                                    labels.add(
                                            LabelMatch.equal(LabelMatch.SOURCE_K8S + key, value)));
            terms.add(new PeerMatch.Labelled(List.copyOf(labels)));
            return;
        }
        for (final KubeObject.EndpointSlice slice : world.all(KubeObject.EndpointSlice.class)) {
            if (slice.service().equals(service.meta().name())
                    && slice.meta().namespace().equals(service.meta().namespace())) {
                for (final IpAddress address : slice.addresses()) {
                    terms.add(
                            new PeerMatch.InPrefix(
                                    Cidr.host(address), List.of(), Set.of(PeerFacts.Kind.WORLD)));
                }
            }
        }
    }
}
