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
import io.sluice.control.policy.CiliumPolicy.Rule;
import io.sluice.control.policy.CiliumPolicy.ServiceLabels;
import io.sluice.control.policy.CiliumPolicy.ServiceName;
import io.sluice.control.policy.CiliumPolicy.ServiceRule;
import io.sluice.control.policy.CiliumPolicy.Side;
import io.sluice.control.policy.CiliumPolicy.TlsContext;
import io.sluice.control.policy.CiliumPolicy.WholeProtocol;
import io.sluice.control.policy.PolicyRule.Effect;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.SecretName;
import io.sluice.l7proxy.tls.TlsKeyException;
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

    /** Names never match endpoints: these are told apart by their labels. */
    private static final Set<PeerFacts.Kind> WORLD_ONLY = Set.of(PeerFacts.Kind.WORLD);

    private static final String TIER = PolicyTier.DEFAULT.name();

    private final World world;
    private final PolicyOptions options;
    private final Set<PeerFacts.Kind> cidrKinds = EnumSet.of(PeerFacts.Kind.WORLD);

    // Of the policy that is being translated.
    private final List<Problem> warnings = new ArrayList<>();
    private final Set<Translation.Reads> reads = EnumSet.noneOf(Translation.Reads.class);
    private final List<Translation.WorldPrefix> worldPrefixes = new ArrayList<>();

    CiliumPolicyTranslator(final World world, final PolicyOptions options) {
        this.world = world;
        this.options = options;
        if (options.cidrMatches().contains(PolicyOptions.CidrMatch.PODS)) {
            cidrKinds.add(PeerFacts.Kind.POD);
        }
        if (options.cidrMatches().contains(PolicyOptions.CidrMatch.NODES)) {
            cidrKinds.add(PeerFacts.Kind.NODE);
        }
    }

    Translation translate(final CiliumPolicy policy) {
        warnings.clear();
        reads.clear();
        worldPrefixes.clear();
        final List<PolicyStatement> statements = new ArrayList<>();
        final List<HostStatement> hosts = new ArrayList<>();
        for (int i = 0; i < policy.rules().size(); i++) {
            final Rule rule = policy.rules().get(i);
            final String path = policy.rules().size() == 1 ? "" : "specs[" + i + "].";
            for (final PolicyDirection direction : PolicyDirection.values()) {
                final Side side = rule.side(direction);
                if (!side.isPresent() && !side.defaultDeny()) {
                    continue;
                }
                switch (rule.subject()) {
                    case final Endpoints endpoints ->
                            statements.add(
                                    statement(
                                            policy,
                                            subject(policy, endpoints.selector()),
                                            direction,
                                            side,
                                            path));
                    case final Nodes nodes ->
                            hosts.add(
                                    new HostStatement(
                                            statement(
                                                    policy,
                                                    PeerMatch.NOBODY,
                                                    direction,
                                                    side,
                                                    path),
                                            new HostStatement.OfNodes(
                                                    List.copyOf(sourced(nodes.selector()))),
                                            HostStatement.Stage.NORMAL,
                                            false));
                }
            }
        }
        return new Translation(
                List.copyOf(statements),
                List.copyOf(hosts),
                Set.copyOf(reads),
                List.copyOf(warnings),
                List.copyOf(worldPrefixes));
    }

    private PolicyStatement statement(
            final CiliumPolicy policy,
            final PeerMatch subject,
            final PolicyDirection direction,
            final Side side,
            final String path) {
        return new PolicyStatement(
                policy,
                // The space comes before every name: the denies of these kinds count for all of
                // the group.
                new PolicyStatement.Place(
                        PolicyTier.DEFAULT, PolicyTier.ADDITIVE_ORDER, " " + policy.ref(), true),
                subject,
                direction,
                side.defaultDeny(),
                rules(policy, direction, side, path));
    }

    private PeerMatch subject(final CiliumPolicy policy, final LabelSelector selector) {
        final List<LabelMatch> labels = sourced(selector);
        if (policy.isClusterwide()) {
            return new PeerMatch.Labelled(List.copyOf(labels));
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
        return new PeerMatch.Labelled(List.copyOf(labels));
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
                            TIER, policy, path + direction.field() + "Deny", i, entry.where());
            addRules(policy, entry, Effect.DENY, false, author, rules);
        }
        for (int i = 0; i < side.allow().size(); i++) {
            final Entry entry = side.allow().get(i);
            final Author author =
                    Author.ofRule(TIER, policy, path + direction.field(), i, entry.where());
            final boolean authenticates =
                    entry.authentication() == Authentication.REQUIRED
                            || entry.authentication() == Authentication.TEST_ALWAYS_FAIL;
            addRules(
                    policy,
                    entry,
                    authenticates ? Effect.AUTHENTICATE : Effect.ALLOW,
                    side.defaultDeny(),
                    author,
                    rules);
        }
        return List.copyOf(rules);
    }

    private void addRules(
            final CiliumPolicy policy,
            final Entry entry,
            final Effect effect,
            final boolean defaultDeny,
            final Author author,
            final List<PolicyRule> rules) {
        if (entry.empty()) {
            return;
        }
        final PeerMatch peers = peers(policy, entry);
        if (entry.ports().isEmpty()) {
            rules.add(
                    new PolicyRule(
                            peers,
                            PeerMatch.EVERYONE,
                            List.of(),
                            effect,
                            Optional.empty(),
                            author));
        }
        for (final PortRule portRule : entry.ports()) {
            rules.add(
                    new PolicyRule(
                            peers,
                            PeerMatch.EVERYONE,
                            portRule.ports().stream().map(CiliumPolicyTranslator::traffic).toList(),
                            effect,
                            effect == Effect.ALLOW
                                    ? portRule.rules()
                                            .map(l7 -> withSecrets(policy, portRule, l7))
                                            .map(l7 -> widened(l7, portRule, defaultDeny))
                                    : Optional.empty(),
                            author));
        }
    }

    /** What is missing, or cannot be used, is warned about and lets nothing pass. */
    private L7Rules withSecrets(
            final CiliumPolicy policy, final PortRule portRule, final L7Rules written) {
        final L7Rules rules = written.withSecretsIn(policy.meta().namespace());
        final TlsSecrets.Lookup secrets = TlsSecrets.Lookup.in(world);
        for (final HttpRule rule : rules.http()) {
            for (final SecretName secret : rule.secrets()) {
                reads.add(Translation.Reads.SECRETS);
                if (TlsSecrets.headerValue(secrets, secret).isEmpty()) {
                    warnOfSecret(
                            policy,
                            portRule,
                            "headerMatches",
                            "there is no Secret "
                                    + secret.namespace()
                                    + "/"
                                    + secret.name()
                                    + " with one key: no header is equal to it");
                }
            }
        }
        if (portRule.terminatingTls().isEmpty() && portRule.originatingTls().isEmpty()) {
            return rules;
        }
        reads.add(Translation.Reads.SECRETS);
        final Optional<TlsContext> terminating =
                portRule.terminatingTls().map(context -> ofPolicy(policy, context));
        final Optional<TlsContext> originating =
                portRule.originatingTls().map(context -> ofPolicy(policy, context));
        boolean isUsable = terminating.isPresent() || rules.parser() != L7Rules.Parser.TLS;
        if (!isUsable) {
            warnOfSecret(
                    policy,
                    portRule,
                    "originatingTLS",
                    "needs terminatingTLS, or rules for what is inside: the port lets nothing"
                            + " pass");
        }
        try {
            if (terminating.isPresent()) {
                TlsSecrets.terminating(secrets, terminating.get());
            }
        } catch (final TlsKeyException bad) {
            isUsable = false;
            warnOfSecret(policy, portRule, "terminatingTLS", unusable(bad));
        }
        try {
            if (originating.isPresent()) {
                TlsSecrets.originating(secrets, originating.get());
            }
        } catch (final TlsKeyException bad) {
            isUsable = false;
            warnOfSecret(policy, portRule, "originatingTLS", unusable(bad));
        }
        return rules.withTls(new TlsContexts(terminating, originating, isUsable));
    }

    private static String unusable(final TlsKeyException bad) {
        return bad.getMessage() + ": the port lets nothing pass";
    }

    private static TlsContext ofPolicy(final CiliumPolicy policy, final TlsContext context) {
        return new TlsContext(
                context.secret().orIn(policy.meta().namespace()),
                context.trustedCa(),
                context.certificate(),
                context.privateKey());
    }

    private void warnOfSecret(
            final CiliumPolicy policy,
            final PortRule portRule,
            final String field,
            final String what) {
        warnings.add(Problem.warning(portRule.where(), field, policy.ref() + ": " + what));
    }

    /** In a direction that does not isolate, rules about requests only observe. */
    private static L7Rules widened(
            final L7Rules rules, final PortRule portRule, final boolean defaultDeny) {
        return portRule.restriction().isWidened(defaultDeny)
                ? L7Rules.union(rules, L7Rules.ofEverything(rules.parser()))
                : rules;
    }

    private static Traffic traffic(final CiliumPolicy.Port port) {
        return switch (port) {
            case final PortRange range ->
                    Traffic.of(range.protocol(), Traffic.Ports.of(range.from(), range.to()));
            case final PortName name ->
                    Traffic.of(name.protocol(), Traffic.Ports.named(name.name()));
            case final WholeProtocol whole -> Traffic.of(whole.protocol(), Traffic.Ports.ALL);
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
            case final PeerNames names ->
                    anyOf(
                            names.names().stream()
                                    .map(
                                            name ->
                                                    (PeerMatch)
                                                            new PeerMatch.Named(
                                                                    name.pattern(), WORLD_ONLY))
                                    .toList());
            case PeerGroups _ -> PeerMatch.NOBODY;
        };
    }

    private static PeerMatch anyOf(final List<PeerMatch> terms) {
        return terms.isEmpty() ? PeerMatch.NOBODY : PeerMatch.anyOf(terms);
    }

    private PeerMatch endpointTerm(final CiliumPolicy policy, final LabelSelector selector) {
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

    private PeerMatch nodeTerm(final LabelSelector selector) {
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
        final List<PeerMatch> terms = new ArrayList<>();
        for (final Entity entity : Entity.values()) {
            if (entities.contains(entity)) {
                addEntity(entity, terms);
            }
        }
        return anyOf(terms);
    }

    private void addEntity(final Entity entity, final List<PeerMatch> terms) {
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

    private static PeerMatch reserved(final Entity entity) {
        return labelled(LabelMatch.exists(LabelMatch.SOURCE_RESERVED + entity.text()));
    }

    private static PeerMatch labelled(final LabelMatch match) {
        return new PeerMatch.Labelled(List.of(match));
    }

    private PeerMatch cidrs(
            final CiliumPolicy policy, final Entry entry, final List<CidrRule> rules) {
        final List<PeerMatch> terms = new ArrayList<>();
        for (final CidrRule rule : rules) {
            for (final Cidr cidr : prefixes(policy, rule)) {
                final List<Cidr> except =
                        rule.except().stream().filter(taken -> overlap(cidr, taken)).toList();
                terms.add(new PeerMatch.InPrefix(cidr, except, Set.copyOf(cidrKinds)));
                if (!cidrKinds.contains(PeerFacts.Kind.POD)) {
                    worldPrefixes.add(
                            new Translation.WorldPrefix(policy.ref(), entry.where(), cidr, except));
                }
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
                reads.add(Translation.Reads.CIDR_GROUPS);
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
                reads.add(Translation.Reads.CIDR_GROUPS);
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

    private PeerMatch services(final List<ServiceRule> rules) {
        reads.add(Translation.Reads.SERVICES);
        final List<PeerMatch> terms = new ArrayList<>();
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

    private void addService(final KubeObject.Service service, final List<PeerMatch> terms) {
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
