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
import io.sluice.control.policy.CiliumPolicy.FqdnSelector;
import io.sluice.control.policy.CiliumPolicy.Nodes;
import io.sluice.control.policy.CiliumPolicy.PeerCidrs;
import io.sluice.control.policy.CiliumPolicy.PeerEndpoints;
import io.sluice.control.policy.CiliumPolicy.PeerEntities;
import io.sluice.control.policy.CiliumPolicy.PeerGroups;
import io.sluice.control.policy.CiliumPolicy.PeerNames;
import io.sluice.control.policy.CiliumPolicy.PeerNodes;
import io.sluice.control.policy.CiliumPolicy.PeerServices;
import io.sluice.control.policy.CiliumPolicy.Peers;
import io.sluice.control.policy.CiliumPolicy.Port;
import io.sluice.control.policy.CiliumPolicy.PortRange;
import io.sluice.control.policy.CiliumPolicy.PortRule;
import io.sluice.control.policy.CiliumPolicy.Rule;
import io.sluice.control.policy.CiliumPolicy.ServiceLabels;
import io.sluice.control.policy.CiliumPolicy.ServiceName;
import io.sluice.control.policy.CiliumPolicy.ServiceRule;
import io.sluice.control.policy.CiliumPolicy.Side;
import io.sluice.control.policy.CiliumPolicy.Subject;
import io.sluice.dnsproxy.rule.NamePattern;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Reads {@code CiliumNetworkPolicy} and {@code CiliumClusterwideNetworkPolicy}; the items of {@code
 * toPorts} and {@code icmps} are {@link CiliumPortReader}'s.
 *
 * <p>Rules and words follow Cilium 1.19 ({@code pkg/policy/api/rule_validation.go}). A field that
 * Sluice does not enforce yet is checked like the others and then warned about; the model keeps
 * enough of it that the compiler makes the rule narrower, never wider.
 */
final class CiliumPolicyReader {
    private static final int LOG_VALUE_LENGTH_MAX = 32;

    private static final List<String> REMOVED_PEERS = List.of("fromRequires", "toRequires");

    /** One of the four lists of a rule. */
    enum Verb {
        INGRESS("ingress", "from", PolicyDirection.INGRESS),
        INGRESS_DENY("ingressDeny", "from", PolicyDirection.INGRESS),
        EGRESS("egress", "to", PolicyDirection.EGRESS),
        EGRESS_DENY("egressDeny", "to", PolicyDirection.EGRESS);

        private final String field;
        private final String peerPrefix;
        private final PolicyDirection direction;

        Verb(final String field, final String peerPrefix, final PolicyDirection direction) {
            this.field = field;
            this.peerPrefix = peerPrefix;
            this.direction = direction;
        }

        boolean isDeny() {
            return this == INGRESS_DENY || this == EGRESS_DENY;
        }

        PolicyDirection direction() {
            return direction;
        }
    }

    private CiliumPolicyReader() {}

    static CiliumPolicy read(final ObjectMeta meta, final Fields document) {
        document.ignore("status");
        final List<Rule> rules = new ArrayList<>();
        final boolean clusterwide = meta.namespace().isEmpty();
        document.object("spec").flatMap(spec -> readRule(spec, clusterwide)).ifPresent(rules::add);
        for (final Fields spec : document.objects("specs")) {
            readRule(spec, clusterwide).ifPresent(rules::add);
        }
        if (!document.has("spec") && !document.has("specs")) {
            document.error("spec", "Required value: one of spec and specs must be given");
        }
        document.rejectOthers();
        return new CiliumPolicy(meta, List.copyOf(rules));
    }

    private static Optional<Rule> readRule(final Fields spec, final boolean clusterwide) {
        final Optional<Subject> subject = readSubject(spec, clusterwide);
        spec.string("description", "");
        spec.ignore("labels");
        spec.object("log").ifPresent(CiliumPolicyReader::readLog);
        Optional<Boolean> defaultDenyIngress = Optional.empty();
        Optional<Boolean> defaultDenyEgress = Optional.empty();
        final Optional<Fields> defaultDeny = spec.object("enableDefaultDeny");
        if (defaultDeny.isPresent()) {
            final Fields fields = defaultDeny.get();
            defaultDenyIngress = optionalBool(fields, "ingress");
            defaultDenyEgress = optionalBool(fields, "egress");
            fields.rejectOthers();
        }
        final Side ingress = readSide(spec, Verb.INGRESS, Verb.INGRESS_DENY, defaultDenyIngress);
        final Side egress = readSide(spec, Verb.EGRESS, Verb.EGRESS_DENY, defaultDenyEgress);
        spec.rejectOthers();
        if (!ingress.isPresent() && !egress.isPresent()) {
            spec.error("rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny");
        }
        return subject.map(selected -> new Rule(selected, ingress, egress));
    }

    private static Optional<Boolean> optionalBool(final Fields fields, final String field) {
        final boolean value = fields.bool(field, false);
        return fields.has(field) ? Optional.of(value) : Optional.empty();
    }

    private static void readLog(final Fields log) {
        final String value = log.string("value", "");
        if (value.length() > LOG_VALUE_LENGTH_MAX
                || value.chars().anyMatch(c -> c < ' ' || c > '~')) {
            log.error(
                    "value",
                    "Invalid value: \""
                            + value
                            + "\": must be no more than "
                            + LOG_VALUE_LENGTH_MAX
                            + " printable characters");
        }
        log.rejectOthers();
    }

    private static Optional<Subject> readSubject(final Fields spec, final boolean clusterwide) {
        final boolean endpoints = spec.has("endpointSelector");
        final boolean nodes = spec.has("nodeSelector");
        final Optional<LabelSelector> endpointSelector = selector(spec, "endpointSelector");
        final Optional<LabelSelector> nodeSelector = selector(spec, "nodeSelector");
        if (endpoints && nodes) {
            spec.error("rule cannot have both EndpointSelector and NodeSelector");
            return Optional.empty();
        }
        if (!endpoints && !nodes) {
            spec.error("rule must have one of EndpointSelector or NodeSelector");
            return Optional.empty();
        }
        if (nodes) {
            if (!clusterwide) {
                spec.error(
                        "nodeSelector",
                        "Forbidden: only a CiliumClusterwideNetworkPolicy may select nodes");
            }
            return nodeSelector.map(Nodes::new);
        }
        return endpointSelector.map(Endpoints::new);
    }

    private static Optional<LabelSelector> selector(final Fields fields, final String field) {
        return fields.object(field)
                .map(f -> SelectorReader.read(f, SelectorReader.Keys.WITH_SOURCE));
    }

    private static Side readSide(
            final Fields spec,
            final Verb allowVerb,
            final Verb denyVerb,
            final Optional<Boolean> enableDefaultDeny) {
        final List<Entry> allow = new ArrayList<>();
        final boolean present =
                !spec.objects(allowVerb.field).isEmpty() || !spec.objects(denyVerb.field).isEmpty();
        final boolean defaultDeny = enableDefaultDeny.orElse(present);
        for (final Fields fields : spec.objects(allowVerb.field)) {
            allow.add(readEntry(fields, allowVerb, defaultDeny));
        }
        rejectParserConflicts(spec, allowVerb, allow);
        final List<Entry> deny = new ArrayList<>();
        for (final Fields fields : spec.objects(denyVerb.field)) {
            deny.add(readEntry(fields, denyVerb, defaultDeny));
        }
        return new Side(defaultDeny, List.copyOf(allow), List.copyOf(deny));
    }

    /** A port has one parser: two that are asked for at once are the author's to sort out. */
    private static void rejectParserConflicts(
            final Fields spec, final Verb verb, final List<Entry> entries) {
        final List<L7Item> seen = new ArrayList<>();
        for (final Entry entry : entries) {
            for (final PortRule rule : entry.ports()) {
                if (rule.restriction().isL7()) {
                    final L7Item item = new L7Item(entry.peers(), rule);
                    seen.stream()
                            .filter(item::conflictsWith)
                            .findFirst()
                            .ifPresent(
                                    other ->
                                            spec.errorAt(
                                                    rule.where(),
                                                    spec.path(verb.field),
                                                    "cannot merge conflicting L7 parsers: "
                                                            + rule.restriction().field()
                                                            + " here and "
                                                            + other.rule.restriction().field()
                                                            + " at "
                                                            + other.rule.where()
                                                            + " for the same peers and port"));
                    seen.add(item);
                }
            }
        }
    }

    /** An item of {@code toPorts} with L7 rules, and whom it is about. */
    private record L7Item(Peers peers, PortRule rule) {
        boolean conflictsWith(final L7Item other) {
            return rule.restriction() != other.rule.restriction()
                    && peers.equals(other.peers)
                    && rule.ports().stream()
                            .anyMatch(
                                    port ->
                                            other.rule.ports().stream()
                                                    .anyMatch(taken -> overlap(port, taken)));
        }

        private static boolean overlap(final Port one, final Port other) {
            if (one instanceof final PortRange a && other instanceof final PortRange b) {
                return a.protocol() == b.protocol() && a.from() <= b.to() && b.from() <= a.to();
            }
            return one.equals(other);
        }
    }

    private static Entry readEntry(
            final Fields fields, final Verb verb, final boolean defaultDeny) {
        for (final String removed : REMOVED_PEERS) {
            if (removed.startsWith(verb.peerPrefix) && fields.has(removed)) {
                fields.error(
                        removed,
                        "retired: Cilium takes no items here any more: put the labels into "
                                + verb.peerPrefix
                                + "Endpoints");
            }
        }
        if (fields.has("auth")) {
            fields.error("auth", "retired: the field is authentication now, with a mode");
        }
        final Peers peers = readPeers(fields, verb);
        final List<PortRule> ports = new ArrayList<>();
        final List<Fields> toPorts = fields.objects("toPorts");
        final List<Fields> icmps = fields.objects("icmps");
        if (!toPorts.isEmpty() && !icmps.isEmpty()) {
            fields.error(
                    "The ICMPs block may only be present without ToPorts. Define a separate rule to"
                            + " use ToPorts.");
        }
        for (final Fields toPort : toPorts) {
            ports.add(CiliumPortReader.readPorts(toPort, verb, defaultDeny));
        }
        for (final Fields icmp : icmps) {
            ports.add(CiliumPortReader.readIcmp(icmp));
        }
        final Authentication authentication =
                verb.isDeny() ? Authentication.NOT_ASKED : readAuthentication(fields);
        fields.rejectOthers();
        final boolean empty = peers instanceof Anyone && ports.isEmpty();
        return new Entry(fields.where(), peers, List.copyOf(ports), authentication, empty);
    }

    private static Authentication readAuthentication(final Fields fields) {
        final Optional<Fields> authentication = fields.object("authentication");
        if (authentication.isEmpty()) {
            return Authentication.NOT_ASKED;
        }
        final String mode = authentication.get().requiredString("mode");
        authentication.get().rejectOthers();
        return switch (mode) {
            case "disabled" -> Authentication.DISABLED;
            case "test-always-fail" -> Authentication.TEST_ALWAYS_FAIL;
            case "required" -> {
                authentication
                        .get()
                        .warning(
                                "mode",
                                "mutual authentication is not supported: no peer counts as"
                                        + " authenticated, what the rule allows is dropped with"
                                        + " AUTH_REQUIRED");
                yield Authentication.REQUIRED;
            }
            default -> {
                authentication
                        .get()
                        .error(
                                "mode",
                                "Unsupported value: \""
                                        + mode
                                        + "\": supported values: \"disabled\", \"required\","
                                        + " \"test-always-fail\"");
                yield Authentication.NOT_ASKED;
            }
        };
    }

    private static Peers readPeers(final Fields fields, final Verb verb) {
        final String prefix = verb.peerPrefix;
        final List<String> written = new ArrayList<>();
        final List<Peers> found = new ArrayList<>();
        if (fields.has(prefix + "Endpoints")) {
            written.add(prefix + "Endpoints");
            found.add(new PeerEndpoints(readSelectors(fields, prefix + "Endpoints")));
        }
        if (fields.has(prefix + "CIDR")) {
            written.add(prefix + "CIDR");
            found.add(new PeerCidrs(readCidrList(fields, prefix + "CIDR")));
        }
        if (fields.has(prefix + "CIDRSet")) {
            written.add(prefix + "CIDRSet");
            found.add(new PeerCidrs(readCidrSet(fields, prefix + "CIDRSet")));
        }
        if (fields.has(prefix + "Entities")) {
            written.add(prefix + "Entities");
            found.add(new PeerEntities(readEntities(fields, prefix + "Entities")));
        }
        if (fields.has(prefix + "Nodes")) {
            written.add(prefix + "Nodes");
            found.add(new PeerNodes(readSelectors(fields, prefix + "Nodes")));
        }
        if (fields.has(prefix + "Groups")) {
            written.add(prefix + "Groups");
            fields.objects(prefix + "Groups");
            if (verb.isDeny()) {
                fields.error(
                        prefix + "Groups",
                        "Forbidden: groups of cloud providers are not read: a deny rule about them"
                                + " would deny nothing: list the prefixes in "
                                + prefix
                                + "CIDRSet");
            } else {
                fields.warning(
                        prefix + "Groups",
                        "groups of cloud providers are not supported: the rule matches nothing");
            }
            found.add(new PeerGroups());
        }
        if (verb.direction == PolicyDirection.EGRESS && fields.has("toServices")) {
            written.add("toServices");
            found.add(new PeerServices(readServices(fields)));
        }
        if (verb == Verb.EGRESS && fields.has("toFQDNs")) {
            written.add("toFQDNs");
            found.add(new PeerNames(readNames(fields)));
        }
        if (written.size() > 1) {
            fields.error(
                    "combining "
                            + title(written.get(0))
                            + " and "
                            + title(written.get(1))
                            + " is not supported yet");
        }
        return found.isEmpty() ? new Anyone() : found.get(0);
    }

    /** The field name as Cilium's messages write it. */
    private static String title(final String field) {
        return Character.toUpperCase(field.charAt(0)) + field.substring(1);
    }

    private static List<LabelSelector> readSelectors(final Fields fields, final String field) {
        return fields.objects(field).stream()
                .map(f -> SelectorReader.read(f, SelectorReader.Keys.WITH_SOURCE))
                .toList();
    }

    private static List<CidrRule> readCidrList(final Fields fields, final String field) {
        final List<CidrRule> cidrs = new ArrayList<>();
        for (final Fields.Text text : fields.strings(field)) {
            NetworkPolicyReader.readCidr(fields, text)
                    .ifPresent(cidr -> cidrs.add(new CidrPrefix(cidr, List.of())));
        }
        return List.copyOf(cidrs);
    }

    private static List<CidrRule> readCidrSet(final Fields fields, final String field) {
        final List<CidrRule> cidrs = new ArrayList<>();
        for (final Fields item : fields.objects(field)) {
            readCidrRule(item).ifPresent(cidrs::add);
        }
        return List.copyOf(cidrs);
    }

    private static Optional<CidrRule> readCidrRule(final Fields item) {
        final List<Cidr> except = new ArrayList<>();
        final boolean byCidr = item.has("cidr");
        final boolean byName = item.has("cidrGroupRef");
        final boolean byLabels = item.has("cidrGroupSelector");
        final String text = item.string("cidr", "");
        final Optional<Cidr> cidr =
                byCidr
                        ? NetworkPolicyReader.readCidr(
                                item, new Fields.Text(text, item.path("cidr"), item.where("cidr")))
                        : Optional.empty();
        for (final Fields.Text exceptText : item.strings("except")) {
            final Optional<Cidr> prefix = NetworkPolicyReader.readCidr(item, exceptText);
            if (prefix.isPresent() && cidr.isPresent() && !cidr.get().contains(prefix.get())) {
                item.error(
                        exceptText,
                        "allow CIDR prefix "
                                + cidr.get()
                                + " does not contain exclude CIDR prefix "
                                + prefix.get());
            }
            prefix.ifPresent(except::add);
        }
        final String groupName = item.string("cidrGroupRef", "");
        final Optional<LabelSelector> groups = selector(item, "cidrGroupSelector");
        item.rejectOthers();
        if ((byCidr ? 1 : 0) + (byName ? 1 : 0) + (byLabels ? 1 : 0) != 1) {
            item.error("exactly one of cidr, cidrGroupRef and cidrGroupSelector must be given");
            return Optional.empty();
        }
        final List<Cidr> excepts = List.copyOf(except);
        if (byName) {
            return Optional.of(new CidrGroupName(groupName, excepts, item.where("cidrGroupRef")));
        }
        if (byLabels) {
            return groups.map(selector -> new CidrGroupLabels(selector, excepts));
        }
        return cidr.map(prefix -> new CidrPrefix(prefix, excepts));
    }

    private static Set<Entity> readEntities(final Fields fields, final String field) {
        final Set<Entity> entities = EnumSet.noneOf(Entity.class);
        for (final Fields.Text text : fields.strings(field)) {
            boolean known = false;
            for (final Entity entity : Entity.values()) {
                if (entity.text().equals(text.value())) {
                    entities.add(entity);
                    known = true;
                }
            }
            if (!known) {
                final List<String> names =
                        List.of(Entity.values()).stream().map(Entity::text).toList();
                fields.error(
                        text,
                        "unsupported entity: "
                                + text.value()
                                + Fields.nearest(text.value(), names)
                                        .map(name -> ": did you mean \"" + name + "\"?")
                                        .orElse("")
                                + ": accepted: "
                                + String.join(", ", names));
            }
        }
        return Set.copyOf(entities);
    }

    private static List<ServiceRule> readServices(final Fields fields) {
        final List<ServiceRule> services = new ArrayList<>();
        for (final Fields item : fields.objects("toServices")) {
            final Optional<Fields> byName = item.object("k8sService");
            final Optional<Fields> byLabels = item.object("k8sServiceSelector");
            item.rejectOthers();
            if (byName.isPresent() == byLabels.isPresent()) {
                item.error("exactly one of k8sService and k8sServiceSelector must be given");
            }
            byName.ifPresent(
                    service -> {
                        services.add(
                                new ServiceName(
                                        service.string("namespace", ""),
                                        service.requiredString("serviceName"),
                                        service.where()));
                        service.rejectOthers();
                    });
            byLabels.ifPresent(
                    service -> {
                        final String namespace = service.string("namespace", "");
                        final Optional<LabelSelector> selector = selector(service, "selector");
                        service.rejectOthers();
                        if (selector.isEmpty()) {
                            service.error("selector", "Required value");
                        } else {
                            services.add(new ServiceLabels(namespace, selector.get()));
                        }
                    });
        }
        return List.copyOf(services);
    }

    private static List<FqdnSelector> readNames(final Fields fields) {
        final List<FqdnSelector> names = new ArrayList<>();
        for (final Fields item : fields.objects("toFQDNs")) {
            readFqdnSelector(item).ifPresent(names::add);
        }
        return List.copyOf(names);
    }

    /** {@code matchName} or {@code matchPattern}, of {@code toFQDNs} and of DNS rules. */
    static Optional<FqdnSelector> readFqdnSelector(final Fields item) {
        final String name = item.string("matchName", "");
        final String pattern = item.string("matchPattern", "");
        item.rejectOthers();
        if (name.isEmpty() == pattern.isEmpty()) {
            item.error("exactly one of matchName and matchPattern must be given");
            return Optional.empty();
        }
        try {
            final NamePattern compiled =
                    name.isEmpty() ? NamePattern.parse(pattern) : NamePattern.parseName(name);
            return Optional.of(new FqdnSelector(name, pattern, compiled));
        } catch (final IllegalArgumentException bad) {
            item.error(
                    name.isEmpty() ? "matchPattern" : "matchName",
                    "Invalid value: " + bad.getMessage());
            return Optional.empty();
        }
    }
}
