package io.sluice.control.policy;

import io.sluice.control.policy.AdminPolicy.Action;
import io.sluice.control.policy.AdminPolicy.DomainNames;
import io.sluice.control.policy.AdminPolicy.Level;
import io.sluice.control.policy.AdminPolicy.Namespaces;
import io.sluice.control.policy.AdminPolicy.Networks;
import io.sluice.control.policy.AdminPolicy.Nodes;
import io.sluice.control.policy.AdminPolicy.Peer;
import io.sluice.control.policy.AdminPolicy.Pods;
import io.sluice.control.policy.AdminPolicy.Port;
import io.sluice.control.policy.AdminPolicy.PortName;
import io.sluice.control.policy.AdminPolicy.PortRange;
import io.sluice.control.policy.AdminPolicy.Rule;
import io.sluice.control.policy.AdminPolicy.Subject;
import io.sluice.control.policy.AdminPolicy.UnknownPeer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Reads {@code AdminNetworkPolicy}, {@code BaselineAdminNetworkPolicy} and {@code
 * ClusterNetworkPolicy}. Limits are those of the custom resource definitions of network-policy-api,
 * experimental channel; where those of v1alpha1 state a rule in words only (a range starts below
 * its end), it is checked as in v1alpha2. v1beta1 of {@code ClusterNetworkPolicy} has the fields of
 * v1alpha2, and refuses a CIDR with bits beyond its prefix ({@code
 * apis/v1beta1/clusternetworkpolicy_types.go CIDR}).
 *
 * <p>A peer of one field that nobody knows is a peer of a newer version: the API asks that it fail
 * closed instead of being refused, so it is read, and warned about. Everything else that is unknown
 * is an error, as in the other policy kinds.
 */
final class AdminPolicyReader {
    private static final int PRIORITY_MAX = 1000;
    private static final int RULE_NAME_LENGTH_MAX = 100;

    /** CIDRs, and domain names, of one peer. */
    private static final int ADDRESS_COUNT_MAX = 25;

    private static final String NAMESPACES = "namespaces";
    private static final String PODS = "pods";
    private static final String NETWORKS = "networks";
    private static final String NODES = "nodes";
    private static final String DOMAIN_NAMES = "domainNames";

    private static final List<String> SUBJECTS = List.of(NAMESPACES, PODS);
    private static final List<String> INGRESS_PEERS = SUBJECTS;
    private static final List<String> EGRESS_PEERS_WITHOUT_NAMES =
            List.of(NAMESPACES, PODS, NETWORKS, NODES);
    private static final List<String> EGRESS_PEERS =
            List.of(NAMESPACES, PODS, NETWORKS, NODES, DOMAIN_NAMES);

    /** What the three kinds do not share. */
    private enum Form {
        ADMIN_V1ALPHA1(100, 100, "ports", "Allow"),
        BASELINE_V1ALPHA1(100, 100, "ports", "Allow"),
        CLUSTER_V1ALPHA2(25, 25, "protocols", "Accept"),
        CLUSTER_V1BETA1(25, 25, "protocols", "Accept");

        private final int ruleCountMax;
        private final int itemCountMax;
        private final String portsField;
        private final String accept;

        /**
         * @param ruleCountMax rules of one direction
         * @param itemCountMax peers, and ports, of one rule
         */
        Form(
                final int ruleCountMax,
                final int itemCountMax,
                final String portsField,
                final String accept) {
            this.ruleCountMax = ruleCountMax;
            this.itemCountMax = itemCountMax;
            this.portsField = portsField;
            this.accept = accept;
        }

        boolean isOfCluster() {
            return this == CLUSTER_V1ALPHA2 || this == CLUSTER_V1BETA1;
        }

        List<String> actions() {
            return this == BASELINE_V1ALPHA1
                    ? List.of(accept, "Deny")
                    : List.of(accept, "Deny", "Pass");
        }

        List<String> peers(final PolicyDirection direction) {
            return switch (direction) {
                case INGRESS -> INGRESS_PEERS;
                case EGRESS ->
                        this == BASELINE_V1ALPHA1 ? EGRESS_PEERS_WITHOUT_NAMES : EGRESS_PEERS;
            };
        }
    }

    private AdminPolicyReader() {}

    static AdminPolicy readAdmin(final ObjectMeta meta, final Fields document) {
        return read(meta, document, Form.ADMIN_V1ALPHA1);
    }

    static AdminPolicy readBaseline(final ObjectMeta meta, final Fields document) {
        final String name = meta.ref().name();
        if (!name.isEmpty() && !name.equals("default")) {
            document.object("metadata")
                    .ifPresent(
                            fields ->
                                    fields.error(
                                            "name",
                                            "Invalid value: "
                                                    + quoted(name)
                                                    + ": a cluster has one"
                                                    + " BaselineAdminNetworkPolicy, named"
                                                    + " \"default\""));
        }
        return read(meta, document, Form.BASELINE_V1ALPHA1);
    }

    static AdminPolicy readCluster(final ObjectMeta meta, final Fields document) {
        return read(
                meta,
                document,
                meta.apiVersion().endsWith("/v1beta1")
                        ? Form.CLUSTER_V1BETA1
                        : Form.CLUSTER_V1ALPHA2);
    }

    private static AdminPolicy read(final ObjectMeta meta, final Fields document, final Form form) {
        document.ignore("status");
        if (!document.has("spec")) {
            document.error("spec", "Required value");
        }
        final Optional<Fields> spec = document.object("spec");
        document.rejectOthers();
        return spec.map(fields -> readSpec(meta, fields, form))
                .orElseGet(
                        () ->
                                // Refused: only to have something to give to the caller.
                                new AdminPolicy(
                                        meta, Level.ADMIN, 0, everything(), List.of(), List.of()));
    }

    private static AdminPolicy readSpec(final ObjectMeta meta, final Fields spec, final Form form) {
        final Level level =
                switch (form) {
                    case ADMIN_V1ALPHA1 -> Level.ADMIN;
                    case BASELINE_V1ALPHA1 -> Level.BASELINE;
                    case CLUSTER_V1ALPHA2, CLUSTER_V1BETA1 -> readTier(spec);
                };
        final int priority = form == Form.BASELINE_V1ALPHA1 ? 0 : readPriority(spec);
        final Subject subject = readSubject(spec, form);
        final List<Rule> ingress = readRules(spec, form, PolicyDirection.INGRESS);
        final List<Rule> egress = readRules(spec, form, PolicyDirection.EGRESS);
        spec.rejectOthers();
        return new AdminPolicy(meta, level, priority, subject, ingress, egress);
    }

    private static Level readTier(final Fields spec) {
        final String tier = spec.requiredString("tier");
        return switch (tier) {
            case "Baseline" -> Level.BASELINE;
            case "Admin" -> Level.ADMIN;
            default -> {
                if (spec.has("tier")) {
                    spec.error("tier", unsupported(tier, List.of("Admin", "Baseline")));
                }
                yield Level.ADMIN;
            }
        };
    }

    private static int readPriority(final Fields spec) {
        return readNumber(spec, "priority", 0, PRIORITY_MAX).orElse(0);
    }

    private static Subject readSubject(final Fields spec, final Form form) {
        if (!spec.has("subject")) {
            spec.error("subject", "Required value");
        }
        return spec.object("subject")
                .flatMap(fields -> readSubjectFields(fields, form))
                .orElseGet(AdminPolicyReader::everything);
    }

    private static Optional<Subject> readSubjectFields(final Fields fields, final Form form) {
        requireOne(fields, SUBJECTS);
        final Optional<LabelSelector> namespaces = readSelector(fields, NAMESPACES);
        final Optional<Pods> pods = fields.object(PODS).map(object -> readPods(object, form));
        fields.rejectOthers();
        return pods.map(both -> new Subject(both.namespaces(), Optional.of(both.pods())))
                .or(() -> namespaces.map(selector -> new Subject(selector, Optional.empty())));
    }

    private static Subject everything() {
        return new Subject(LabelSelector.EVERYTHING, Optional.empty());
    }

    private static Pods readPods(final Fields fields, final Form form) {
        final Optional<LabelSelector> namespaces = readSelector(fields, "namespaceSelector");
        final Optional<LabelSelector> pods = readSelector(fields, "podSelector");
        if (!fields.has("namespaceSelector") && !form.isOfCluster()) {
            fields.error("namespaceSelector", "Required value: {} is every namespace");
        }
        if (!fields.has("podSelector")) {
            fields.error("podSelector", "Required value: {} is every pod");
        }
        fields.rejectOthers();
        return new Pods(
                namespaces.orElse(LabelSelector.EVERYTHING), pods.orElse(LabelSelector.EVERYTHING));
    }

    private static Optional<LabelSelector> readSelector(final Fields fields, final String field) {
        return fields.object(field)
                .map(object -> SelectorReader.read(object, SelectorReader.Keys.PLAIN));
    }

    private static List<Rule> readRules(
            final Fields spec, final Form form, final PolicyDirection direction) {
        final String field =
                switch (direction) {
                    case INGRESS -> "ingress";
                    case EGRESS -> "egress";
                };
        limit(spec, field, 0, form.ruleCountMax);
        final List<Rule> rules = new ArrayList<>();
        for (final Fields item : spec.objects(field)) {
            rules.add(readRule(item, form, direction));
        }
        return List.copyOf(rules);
    }

    private static Rule readRule(
            final Fields fields, final Form form, final PolicyDirection direction) {
        final String name = fields.string("name", "");
        if (name.codePointCount(0, name.length()) > RULE_NAME_LENGTH_MAX) {
            fields.error(
                    "name", "Too long: must have at most " + RULE_NAME_LENGTH_MAX + " characters");
        }
        final Action action = readAction(fields, form);
        final List<Peer> peers = readPeers(fields, form, direction);
        final List<Port> ports = readPortList(fields, form);
        final boolean named = ports.stream().anyMatch(PortName.class::isInstance);
        if (named && peers.stream().anyMatch(AdminPolicyReader::isWithoutPortNames)) {
            fields.error(
                    form.portsField,
                    "Forbidden: a port name may not be used together with networks, nodes or"
                            + " domainNames: these have no named ports");
        }
        fields.rejectOthers();
        return new Rule(fields.where(), name, effective(action, peers), peers, ports);
    }

    private static Action readAction(final Fields rule, final Form form) {
        final String action = rule.requiredString("action");
        if (rule.has("action") && !form.actions().contains(action)) {
            rule.error("action", unsupported(action, form.actions()));
        }
        return switch (action) {
            case "Allow", "Accept" -> Action.ACCEPT;
            case "Pass" -> Action.PASS;
            default -> Action.DENY;
        };
    }

    /**
     * A Pass rule of a peer that is not understood becomes Deny, as the API asks: passing everyone
     * would skip the Deny rules after it.
     */
    private static Action effective(final Action written, final List<Peer> peers) {
        final boolean unknown = peers.stream().anyMatch(UnknownPeer.class::isInstance);
        return unknown && written == Action.PASS ? Action.DENY : written;
    }

    private static boolean isWithoutPortNames(final Peer peer) {
        return switch (peer) {
            case Networks _, Nodes _, DomainNames _ -> true;
            case Namespaces _, Pods _, UnknownPeer _ -> false;
        };
    }

    private static List<Peer> readPeers(
            final Fields rule, final Form form, final PolicyDirection direction) {
        final String field =
                switch (direction) {
                    case INGRESS -> "from";
                    case EGRESS -> "to";
                };
        final List<Peer> peers = new ArrayList<>();
        for (final Fields item : requiredObjects(rule, field, form.itemCountMax)) {
            readPeer(item, rule, form, direction).ifPresent(peers::add);
        }
        return List.copyOf(peers);
    }

    private static Optional<Peer> readPeer(
            final Fields fields,
            final Fields rule,
            final Form form,
            final PolicyDirection direction) {
        final List<String> accepted = form.peers(direction);
        final List<String> written = fields.names();
        // A field that is a peer elsewhere is known to be none here: that is a plain mistake.
        if (written.size() == 1 && !EGRESS_PEERS.contains(written.get(0))) {
            warnOfUnknown(fields, rule, written.get(0), accepted);
            return Optional.of(new UnknownPeer());
        }
        requireOne(fields, accepted);
        final List<Peer> peers = new ArrayList<>();
        for (final String field : accepted) {
            readPeerField(fields, rule, field, form).ifPresent(peers::add);
        }
        fields.rejectOthers();
        return peers.stream().findFirst();
    }

    private static void warnOfUnknown(
            final Fields fields,
            final Fields rule,
            final String field,
            final List<String> accepted) {
        final String effect =
                switch (rule.string("action", "")) {
                    case "Deny" -> "this Deny rule matches everyone";
                    case "Pass" -> "this Pass rule denies everyone";
                    default -> "it matches nothing";
                };
        fields.warning(
                field,
                "unknown peer "
                        + quoted(field)
                        + Fields.nearest(field, accepted)
                                .map(name -> ": did you mean " + quoted(name) + "?")
                                .orElse("")
                        + ": "
                        + effect
                        + ": accepted: "
                        + String.join(", ", accepted));
    }

    private static Optional<Peer> readPeerField(
            final Fields fields, final Fields rule, final String field, final Form form) {
        return switch (field) {
            case NAMESPACES -> readSelector(fields, field).map(Namespaces::new);
            case PODS -> fields.object(field).map(object -> readPods(object, form));
            case NODES -> readSelector(fields, field).map(Nodes::new);
            case NETWORKS ->
                    fields.has(field) ? Optional.of(readNetworks(fields, form)) : Optional.empty();
            default ->
                    fields.has(field)
                            ? Optional.of(readDomainNames(fields, rule))
                            : Optional.empty();
        };
    }

    private static Networks readNetworks(final Fields fields, final Form form) {
        final List<Cidr> cidrs = new ArrayList<>();
        for (final Fields.Text text : readSet(fields, NETWORKS)) {
            if (form == Form.CLUSTER_V1BETA1
                    && Cidr.parse(text.value()).isPresent()
                    && Cidr.hasHostBits(text.value())) {
                fields.error(
                        text,
                        "Invalid value: "
                                + quoted(text.value())
                                + ": Invalid CIDR format provided: it has bits beyond its prefix");
            } else {
                NetworkPolicyReader.readCidr(fields, text).ifPresent(cidrs::add);
            }
        }
        return new Networks(List.copyOf(cidrs));
    }

    private static DomainNames readDomainNames(final Fields fields, final Fields rule) {
        final String action = rule.string("action", "");
        if (action.equals("Deny") || action.equals("Pass")) {
            fields.error(
                    DOMAIN_NAMES,
                    "Forbidden: domain names may only be used in rules that allow, not with "
                            + action);
        }
        final List<String> names = new ArrayList<>();
        for (final Fields.Text text : readSet(fields, DOMAIN_NAMES)) {
            for (final String complaint : NameSyntax.domainPattern(text.value())) {
                fields.error(text, "Invalid value: " + quoted(text.value()) + ": " + complaint);
            }
            final String name = text.value().toLowerCase(Locale.ROOT);
            names.add(name.endsWith(".") ? name.substring(0, name.length() - 1) : name);
        }
        return new DomainNames(List.copyOf(names));
    }

    /** A list of one to {@link #ADDRESS_COUNT_MAX} strings, each once. */
    private static List<Fields.Text> readSet(final Fields fields, final String field) {
        limit(fields, field, 1, ADDRESS_COUNT_MAX);
        final List<Fields.Text> texts = fields.strings(field);
        final Set<String> seen = new HashSet<>();
        for (final Fields.Text text : texts) {
            if (!seen.add(text.value())) {
                fields.error(text, "Duplicate value: " + quoted(text.value()));
            }
        }
        return texts;
    }

    private static List<Port> readPortList(final Fields rule, final Form form) {
        if (!rule.has(form.portsField)) {
            return List.of();
        }
        final List<Port> ports = new ArrayList<>();
        for (final Fields item : requiredObjects(rule, form.portsField, form.itemCountMax)) {
            final Optional<Port> port =
                    switch (form) {
                        case ADMIN_V1ALPHA1, BASELINE_V1ALPHA1 -> readPort(item);
                        case CLUSTER_V1ALPHA2, CLUSTER_V1BETA1 -> readProtocol(item);
                    };
            port.ifPresent(ports::add);
        }
        return List.copyOf(ports);
    }

    /** An item of {@code ports}. */
    private static Optional<Port> readPort(final Fields fields) {
        requireOne(fields, List.of("portNumber", "namedPort", "portRange"));
        final Optional<Port> number =
                fields.object("portNumber").flatMap(AdminPolicyReader::readPortNumber);
        final Optional<Port> name = readPortName(fields, "namedPort");
        final Optional<Port> range =
                fields.object("portRange").flatMap(f -> readRange(f, readProtocolName(f)));
        fields.rejectOthers();
        return number.or(() -> name).or(() -> range);
    }

    private static Optional<Port> readPortNumber(final Fields fields) {
        final int protocol = readProtocolName(fields);
        final OptionalInt port = readNumber(fields, "port", 1, VerdictProgram.PORT_MAX);
        fields.rejectOthers();
        return single(protocol, port);
    }

    private static int readProtocolName(final Fields fields) {
        final String name = fields.string("protocol", "TCP");
        return switch (name) {
            case "TCP" -> IpProtocol.TCP;
            case "UDP" -> IpProtocol.UDP;
            case "SCTP" -> IpProtocol.SCTP;
            default -> {
                fields.error("protocol", unsupported(name, List.of("SCTP", "TCP", "UDP")));
                yield IpProtocol.UNKNOWN;
            }
        };
    }

    /** An item of {@code protocols}. */
    private static Optional<Port> readProtocol(final Fields fields) {
        requireOne(fields, List.of("tcp", "udp", "sctp", "destinationNamedPort"));
        final Optional<Port> tcp =
                fields.object("tcp").flatMap(f -> readDestination(f, IpProtocol.TCP));
        final Optional<Port> udp =
                fields.object("udp").flatMap(f -> readDestination(f, IpProtocol.UDP));
        final Optional<Port> sctp =
                fields.object("sctp").flatMap(f -> readDestination(f, IpProtocol.SCTP));
        final Optional<Port> name = readPortName(fields, "destinationNamedPort");
        fields.rejectOthers();
        return tcp.or(() -> udp).or(() -> sctp).or(() -> name);
    }

    private static Optional<Port> readDestination(final Fields fields, final int protocol) {
        requireOne(fields, List.of("destinationPort"));
        final Optional<Fields> port = fields.object("destinationPort");
        fields.rejectOthers();
        return port.flatMap(written -> readDestinationPort(written, protocol));
    }

    private static Optional<Port> readDestinationPort(final Fields fields, final int protocol) {
        requireOne(fields, List.of("number", "range"));
        final OptionalInt number =
                fields.has("number")
                        ? readNumber(fields, "number", 1, VerdictProgram.PORT_MAX)
                        : OptionalInt.empty();
        final Optional<Port> range = fields.object("range").flatMap(f -> readRange(f, protocol));
        fields.rejectOthers();
        return single(protocol, number).or(() -> range);
    }

    private static Optional<Port> single(final int protocol, final OptionalInt port) {
        return port.isPresent()
                ? Optional.of(new PortRange(protocol, port.getAsInt(), port.getAsInt()))
                : Optional.empty();
    }

    private static Optional<Port> readRange(final Fields fields, final int protocol) {
        final OptionalInt start = readNumber(fields, "start", 1, VerdictProgram.PORT_MAX);
        final OptionalInt end = readNumber(fields, "end", 1, VerdictProgram.PORT_MAX);
        fields.rejectOthers();
        if (start.isEmpty() || end.isEmpty()) {
            return Optional.empty();
        }
        if (start.getAsInt() >= end.getAsInt()) {
            fields.error(
                    "end",
                    "Invalid value: "
                            + end.getAsInt()
                            + ": must be greater than `start` ("
                            + start.getAsInt()
                            + ")");
        }
        return Optional.of(new PortRange(protocol, start.getAsInt(), end.getAsInt()));
    }

    /**
     * The API takes any text; one that is no container port's name would match nothing, and a Deny
     * rule of it deny nothing.
     */
    private static Optional<Port> readPortName(final Fields fields, final String field) {
        final Optional<Fields.Text> text = fields.text(field);
        text.ifPresent(
                name -> {
                    for (final String complaint : NameSyntax.portName(name.value())) {
                        fields.error(
                                name, "Invalid value: " + quoted(name.value()) + ": " + complaint);
                    }
                });
        return text.map(name -> new PortName(name.value()));
    }

    /** A number that must be there; empty after a report if it is not, or is out of range. */
    private static OptionalInt readNumber(
            final Fields fields, final String field, final int min, final int max) {
        if (!fields.has(field)) {
            fields.error(field, "Required value");
            return OptionalInt.empty();
        }
        final OptionalInt number = fields.integer(field);
        if (number.isPresent() && (number.getAsInt() < min || number.getAsInt() > max)) {
            fields.error(
                    field,
                    "Invalid value: "
                            + number.getAsInt()
                            + ": must be between "
                            + min
                            + " and "
                            + max
                            + ", inclusive");
            return OptionalInt.empty();
        }
        return number;
    }

    private static List<Fields> requiredObjects(
            final Fields fields, final String field, final int countMax) {
        limit(fields, field, 1, countMax);
        return fields.objects(field);
    }

    /** Reports a list of too few or too many items; one of the wrong type is left to its reader. */
    private static void limit(
            final Fields fields, final String field, final int countMin, final int countMax) {
        final OptionalInt count = fields.itemCount(field);
        if (countMin > 0 && !fields.has(field)) {
            fields.error(field, "Required value: must have at least " + countMin + " item");
        } else if (count.orElse(countMin) < countMin) {
            fields.error(field, "Invalid value: []: must have at least " + countMin + " item");
        } else if (count.orElse(countMin) > countMax) {
            fields.error(
                    field,
                    "Too many: " + count.getAsInt() + ": must have at most " + countMax + " items");
        }
    }

    /** Unknown fields beside a known one are left to {@link Fields#rejectOthers}. */
    private static void requireOne(final Fields fields, final List<String> accepted) {
        final List<String> written = fields.names();
        final long known = written.stream().filter(accepted::contains).count();
        if (known > 1) {
            fields.error(
                    "Too many: "
                            + known
                            + ": must have one only of "
                            + String.join(", ", accepted));
        } else if (written.isEmpty()) {
            fields.error(
                    "Required value: must specify "
                            + (accepted.size() > 1 ? "one of " : "")
                            + String.join(", ", accepted));
        }
    }

    private static String unsupported(final String value, final List<String> supported) {
        return "Unsupported value: "
                + quoted(value)
                + ": supported values: "
                + String.join(", ", supported.stream().map(AdminPolicyReader::quoted).toList());
    }

    private static String quoted(final String text) {
        return "\"" + text + "\"";
    }
}
