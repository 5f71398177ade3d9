package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.Action;
import io.sluice.control.policy.CalicoPolicy.HostEndpoint;
import io.sluice.control.policy.CalicoPolicy.NetworkSet;
import io.sluice.control.policy.CalicoPolicy.Profile;
import io.sluice.control.policy.CalicoPolicy.Rule;
import io.sluice.control.policy.CalicoPolicy.Tier;
import io.sluice.control.policy.CalicoPolicy.Tier.DefaultAction;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Reads the kinds of {@code projectcalico.org/v3}, with the API's defaults. What is accepted is
 * what Calico accepts, and two extensions that are in wide use: {@code domains} and {@code
 * protocol: TLS} of rules, and {@code allowedEgressDomains} of network sets. Rules are read by
 * {@link CalicoRuleReader}.
 *
 * <p>Policy names come with and without the prefix {@code TIER.} that older releases of Calico ask
 * for; only {@code spec.tier} says which tier a policy is in.
 */
final class CalicoReader {
    static final String DEFAULT_TIER = "default";

    private static final String LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
    private static final Pattern POLICY_NAME = Pattern.compile(LABEL + "(\\." + LABEL + ")?");

    /** Where Calico itself keeps Kubernetes policies; the rest of the name may have dots. */
    private static final String KUBERNETES_PREFIX = "knp.default.";

    /** IFNAMSIZ of Linux is 16, the final zero included. */
    private static final Pattern INTERFACE_NAME = Pattern.compile("\\*|[a-zA-Z0-9_.-]{1,15}");

    private static final String PERFORMANCE_HINT = "AssumeNeededOnEveryNode";

    /** Orders and default actions of the tiers that are always there. */
    private record FixedTier(double order, DefaultAction defaultAction) {}

    private static final Map<String, FixedTier> FIXED_TIERS =
            Map.of(
                    "kube-admin",
                    new FixedTier(1_000, DefaultAction.PASS),
                    DEFAULT_TIER,
                    new FixedTier(1_000_000, DefaultAction.DENY),
                    "kube-baseline",
                    new FixedTier(10_000_000, DefaultAction.PASS));

    private CalicoReader() {}

    /** Kinds {@code NetworkPolicy} and {@code GlobalNetworkPolicy}. */
    static CalicoPolicy readPolicy(final ObjectMeta meta, final Fields document) {
        return readPolicy(meta, document, Staging.ENFORCED);
    }

    /** Kinds {@code StagedNetworkPolicy} and {@code StagedGlobalNetworkPolicy}. */
    static CalicoPolicy readStagedPolicy(final ObjectMeta meta, final Fields document) {
        return readPolicy(meta, document, Staging.SET);
    }

    private static CalicoPolicy readPolicy(
            final ObjectMeta meta, final Fields document, final Staging defaultStaging) {
        document.ignore("status");
        final Optional<Fields> spec = document.object("spec");
        document.rejectOthers();
        if (spec.isEmpty()) {
            checkPolicyName(meta, document, DEFAULT_TIER);
            return new CalicoPolicy(
                    meta,
                    defaultStaging,
                    DEFAULT_TIER,
                    OptionalDouble.empty(),
                    CalicoSelector.ALL,
                    Optional.empty(),
                    Optional.empty(),
                    Set.of(PolicyDirection.INGRESS),
                    List.of(),
                    List.of(),
                    false,
                    false,
                    false);
        }
        final Staging staging =
                defaultStaging == Staging.ENFORCED
                        ? Staging.ENFORCED
                        : readStaging(spec.get(), Set.of("tier"));
        return readSpec(meta, document, spec.get(), staging);
    }

    private static CalicoPolicy readSpec(
            final ObjectMeta meta,
            final Fields document,
            final Fields spec,
            final Staging staging) {
        final boolean global = meta.namespace().isEmpty();
        final String written = spec.string("tier", "");
        final String tier = written.isEmpty() ? DEFAULT_TIER : written;
        for (final String complaint : NameSyntax.dnsLabel(tier)) {
            spec.error("tier", invalid(tier, complaint));
        }
        checkPolicyName(meta, document, tier);
        final OptionalDouble order = spec.number("order");
        final CalicoSelector selector =
                CalicoSelectorReader.read(spec, "selector").orElse(CalicoSelector.ALL);
        final Optional<CalicoSelector> namespaceSelector =
                global ? CalicoSelectorReader.read(spec, "namespaceSelector") : Optional.empty();
        final Optional<CalicoSelector> serviceAccountSelector =
                CalicoSelectorReader.read(spec, "serviceAccountSelector");
        final List<Rule> ingress =
                new CalicoRuleReader(PolicyDirection.INGRESS, meta.namespace()).read(spec);
        final List<Rule> egress =
                new CalicoRuleReader(PolicyDirection.EGRESS, meta.namespace()).read(spec);
        final Set<PolicyDirection> types = readTypes(spec, ingress, egress);
        checkPerformanceHints(spec);
        final boolean applyOnForward = global && spec.bool("applyOnForward", false);
        final boolean doNotTrack = global && readHostOnlySwitch(spec, "doNotTrack");
        final boolean preDnat = global && readHostOnlySwitch(spec, "preDNAT");
        spec.rejectOthers();
        if (preDnat) {
            checkPreDnat(spec, doNotTrack, types, egress);
        }
        if (!applyOnForward && (preDnat || doNotTrack)) {
            spec.error(
                    preDnat ? "preDNAT" : "doNotTrack",
                    "Forbidden: preDNAT and doNotTrack need applyOnForward: true");
        }
        warnOfLogOnly(spec, "ingress", types.contains(PolicyDirection.INGRESS), ingress, tier);
        warnOfLogOnly(spec, "egress", types.contains(PolicyDirection.EGRESS), egress, tier);
        return new CalicoPolicy(
                meta,
                staging,
                tier,
                order,
                selector,
                namespaceSelector,
                serviceAccountSelector,
                types,
                ingress,
                egress,
                applyOnForward,
                doNotTrack,
                preDnat);
    }

    /** The name may have one dot: older releases of Calico put the tier before it. */
    private static void checkPolicyName(
            final ObjectMeta meta, final Fields document, final String tier) {
        final String name = meta.name();
        final boolean kubernetes =
                !meta.namespace().isEmpty() && name.startsWith(KUBERNETES_PREFIX);
        if (kubernetes || !NameSyntax.dnsSubdomain(name).isEmpty()) {
            return;
        }
        final int dot = name.indexOf('.');
        if (!POLICY_NAME.matcher(name).matches()) {
            errorAtName(
                    document,
                    name,
                    "at most one dot is accepted: NAME or TIER.NAME"
                            + (meta.namespace().isEmpty() ? "" : ", or knp.default.NAME"));
        } else if (dot > 0 && !name.substring(0, dot).equals(tier)) {
            document.object("metadata")
                    .ifPresent(
                            metadata ->
                                    metadata.warning(
                                            "name",
                                            "names a tier \"%s\", but only spec.tier counts: \"%s\""
                                                    .formatted(name.substring(0, dot), tier)));
        }
    }

    private static void errorAtName(
            final Fields document, final String name, final String complaint) {
        document.object("metadata").ifPresent(meta -> meta.error("name", invalid(name, complaint)));
    }

    /**
     * Reads {@code stagedAction}. A policy that would be deleted has no content of its own.
     *
     * @param kept fields that a deletion may have
     */
    static Staging readStaging(final Fields spec, final Set<String> kept) {
        final String text = spec.string("stagedAction", "Set");
        final Staging staging =
                switch (text) {
                    case "Set", "" -> Staging.SET;
                    case "Delete" -> Staging.DELETE;
                    case "Learn" -> Staging.LEARN;
                    case "Ignore" -> Staging.IGNORE;
                    default -> {
                        spec.error(
                                "stagedAction",
                                unsupported(text, "\"Delete\", \"Ignore\", \"Learn\", \"Set\""));
                        yield Staging.SET;
                    }
                };
        if (staging == Staging.DELETE) {
            for (final String field : spec.names()) {
                final boolean allowed = field.equals("stagedAction") || kept.contains(field);
                if (!allowed && !spec.isEmpty(field)) {
                    spec.error(
                            field,
                            "Forbidden: a policy with stagedAction Delete only names what would be"
                                    + " deleted: leave this field out");
                }
            }
        }
        return staging;
    }

    private static Set<PolicyDirection> readTypes(
            final Fields spec, final List<Rule> ingress, final List<Rule> egress) {
        final Set<PolicyDirection> types = EnumSet.noneOf(PolicyDirection.class);
        for (final Fields.Text type : spec.strings("types")) {
            final Optional<PolicyDirection> direction =
                    switch (type.value()) {
                        case "Ingress" -> Optional.of(PolicyDirection.INGRESS);
                        case "Egress" -> Optional.of(PolicyDirection.EGRESS);
                        default -> Optional.empty();
                    };
            if (direction.isEmpty()) {
                spec.error(type, unsupported(type.value(), "\"Egress\", \"Ingress\""));
            } else if (!types.add(direction.get())) {
                spec.error(type, "Duplicate value: \"" + type.value() + "\"");
            }
        }
        if (types.isEmpty()) {
            if (!ingress.isEmpty() || egress.isEmpty()) {
                types.add(PolicyDirection.INGRESS);
            }
            if (!egress.isEmpty()) {
                types.add(PolicyDirection.EGRESS);
            }
        }
        return Set.copyOf(types);
    }

    /** A hint to Calico's programming of nodes; there is nothing to hint at here. */
    private static void checkPerformanceHints(final Fields spec) {
        final Set<String> seen = new HashSet<>();
        for (final Fields.Text hint : spec.strings("performanceHints")) {
            if (!hint.value().equals(PERFORMANCE_HINT)) {
                spec.error(hint, unsupported(hint.value(), "\"" + PERFORMANCE_HINT + "\""));
            } else if (!seen.add(hint.value())) {
                spec.error(hint, "Duplicate value: \"" + hint.value() + "\"");
            }
        }
    }

    private static boolean readHostOnlySwitch(final Fields spec, final String field) {
        final boolean on = spec.bool(field, false);
        if (on) {
            spec.warning(field, "the policy applies to host endpoints only, not to pods");
        }
        return on;
    }

    private static void checkPreDnat(
            final Fields spec,
            final boolean doNotTrack,
            final Set<PolicyDirection> types,
            final List<Rule> egress) {
        if (doNotTrack) {
            spec.error("preDNAT", "Forbidden: preDNAT and doNotTrack cannot both be true");
        }
        if (!egress.isEmpty()) {
            spec.error("egress", "Forbidden: a preDNAT policy cannot have egress rules");
        }
        if (spec.has("types") && types.contains(PolicyDirection.EGRESS)) {
            spec.error("types", "Forbidden: a preDNAT policy cannot have type Egress");
        }
    }

    /** Log decides nothing, but the policy makes its tier apply. */
    private static void warnOfLogOnly(
            final Fields spec,
            final String field,
            final boolean applies,
            final List<Rule> rules,
            final String tier) {
        if (applies
                && !rules.isEmpty()
                && rules.stream().allMatch(rule -> rule.action() == Action.LOG)) {
            spec.warning(
                    field,
                    "every rule is Log, which decides nothing: tier \""
                            + tier
                            + "\" will drop what none of its other policies decides, unless its"
                            + " defaultAction is Pass");
        }
    }

    /** Kind {@code Tier}. */
    static Tier readTier(final ObjectMeta meta, final Fields document) {
        document.ignore("status");
        final List<String> complaints = NameSyntax.dnsLabel(meta.name());
        if (!complaints.isEmpty() && NameSyntax.dnsSubdomain(meta.name()).isEmpty()) {
            complaints.forEach(complaint -> errorAtName(document, meta.name(), complaint));
        }
        final Optional<Fields> spec = document.object("spec");
        document.rejectOthers();
        final OptionalDouble order =
                spec.isEmpty() ? OptionalDouble.empty() : spec.get().number("order");
        final DefaultAction defaultAction =
                spec.map(CalicoReader::readDefaultAction).orElse(DefaultAction.DENY);
        spec.ifPresent(Fields::rejectOthers);
        final FixedTier fixed = FIXED_TIERS.get(meta.name());
        if (fixed != null) {
            final Fields at = spec.orElse(document);
            if (order.isEmpty() || order.getAsDouble() != fixed.order) {
                at.error(
                        spec.isEmpty() ? "spec" : "order",
                        "%s tier order must be %.0f".formatted(meta.name(), fixed.order));
            }
            if (defaultAction != fixed.defaultAction) {
                at.error(
                        spec.isEmpty() ? "spec" : "defaultAction",
                        meta.name()
                                + " tier defaultAction must be "
                                + (fixed.defaultAction == DefaultAction.PASS ? "Pass" : "Deny"));
            }
        }
        return new Tier(meta, order, defaultAction);
    }

    private static DefaultAction readDefaultAction(final Fields spec) {
        final String text = spec.string("defaultAction", "Deny");
        return switch (text) {
            case "Deny" -> DefaultAction.DENY;
            case "Pass" -> DefaultAction.PASS;
            default -> {
                spec.error("defaultAction", unsupported(text, "\"Deny\", \"Pass\""));
                yield DefaultAction.DENY;
            }
        };
    }

    /** Kinds {@code NetworkSet} and {@code GlobalNetworkSet}. */
    static NetworkSet readNetworkSet(final ObjectMeta meta, final Fields document) {
        if (meta.labels().containsKey("projectcalico.org/namespace")) {
            document.object("metadata")
                    .ifPresent(
                            metadata ->
                                    metadata.error(
                                            "labels",
                                            "Forbidden: projectcalico.org/namespace is not a valid"
                                                    + " label name: the namespace of a set is its"
                                                    + " metadata.namespace"));
        }
        final Optional<Fields> spec = document.object("spec");
        document.rejectOthers();
        final List<Cidr> nets = new ArrayList<>();
        final List<String> domains = new ArrayList<>();
        if (spec.isPresent()) {
            for (final Fields.Text text : spec.get().strings("nets")) {
                readNetOrAddress(spec.get(), text).ifPresent(nets::add);
            }
            domains.addAll(CalicoEntityReader.readDomains(spec.get(), "allowedEgressDomains"));
            spec.get().rejectOthers();
        }
        return new NetworkSet(meta, List.copyOf(nets), List.copyOf(domains));
    }

    private static Optional<Cidr> readNetOrAddress(final Fields fields, final Fields.Text text) {
        final Optional<IpAddress> address = IpAddress.parse(text.value());
        return address.isPresent()
                ? address.map(Cidr::host)
                : NetworkPolicyReader.readCidr(fields, text);
    }

    /** Kind {@code HostEndpoint}. */
    static HostEndpoint readHostEndpoint(final ObjectMeta meta, final Fields document) {
        final Optional<Fields> spec = document.object("spec");
        document.rejectOthers();
        if (spec.isEmpty()) {
            document.error("spec", "Required value: node, and interfaceName or expectedIPs");
            return new HostEndpoint(meta, "", "", List.of(), List.of(), List.of());
        }
        final Fields fields = spec.get();
        final String node = fields.requiredString("node");
        if (!node.isEmpty()) {
            for (final String complaint : NameSyntax.dnsSubdomain(node)) {
                fields.error("node", invalid(node, complaint));
            }
        }
        final String interfaceName = fields.string("interfaceName", "");
        if (!interfaceName.isEmpty() && !INTERFACE_NAME.matcher(interfaceName).matches()) {
            fields.error(
                    "interfaceName",
                    invalid(
                            interfaceName,
                            "must be * or the name of an interface: 1 to 15 letters, digits and"
                                    + " _.-"));
        }
        final List<IpAddress> expectedIps = new ArrayList<>();
        final List<Fields.Text> addresses = fields.strings("expectedIPs");
        for (final Fields.Text text : addresses) {
            IpAddress.parse(text.value())
                    .ifPresentOrElse(
                            expectedIps::add,
                            () ->
                                    fields.error(
                                            text,
                                            invalid(
                                                    text.value(),
                                                    "must be a valid IP address, (e.g. 10.9.8.7 or"
                                                            + " 2001:db8::ffff)")));
        }
        if (interfaceName.isEmpty() && addresses.isEmpty()) {
            fields.error("at least one of interfaceName or expectedIPs must be specified");
        }
        final List<String> profiles = new ArrayList<>();
        for (final Fields.Text profile : fields.strings("profiles")) {
            for (final String complaint : NameSyntax.dnsSubdomain(profile.value())) {
                fields.error(profile, invalid(profile.value(), complaint));
            }
            profiles.add(profile.value());
        }
        final List<Pod.NamedPort> ports = new ArrayList<>();
        for (final Fields port : fields.objects("ports")) {
            readEndpointPort(port).ifPresent(ports::add);
        }
        fields.rejectOthers();
        return new HostEndpoint(
                meta,
                node,
                interfaceName,
                List.copyOf(expectedIps),
                List.copyOf(profiles),
                List.copyOf(ports));
    }

    private static Optional<Pod.NamedPort> readEndpointPort(final Fields fields) {
        final String name = fields.requiredString("name");
        if (!name.isEmpty()) {
            for (final String complaint : NameSyntax.portName(name)) {
                fields.error("name", invalid(name, complaint));
            }
        }
        final OptionalInt number = fields.integer("port");
        final boolean legal =
                number.isPresent()
                        && number.getAsInt() >= 1
                        && number.getAsInt() <= VerdictProgram.PORT_MAX;
        if (!fields.has("port")) {
            fields.error("port", "Required value");
        } else if (number.isPresent() && !legal) {
            fields.error(
                    "port",
                    "Invalid value: "
                            + number.getAsInt()
                            + ": must be between 1 and 65535, inclusive");
        }
        if (!fields.has("protocol")) {
            fields.error("protocol", "Required value");
        }
        final Optional<CalicoPolicy.Protocol> protocol =
                CalicoRuleReader.readProtocol(fields, "protocol", false);
        if (protocol.isPresent() && !CalicoRuleReader.hasPorts(protocol.get())) {
            fields.error(
                    "protocol",
                    "Unsupported value: a protocol with ports is needed: \"SCTP\", \"TCP\","
                            + " \"UDP\"");
        }
        fields.rejectOthers();
        return legal && protocol.isPresent()
                ? Optional.of(new Pod.NamedPort(name, protocol.get().number(), number.getAsInt()))
                : Optional.empty();
    }

    /** Kind {@code Profile}. */
    static Profile readProfile(final ObjectMeta meta, final Fields document) {
        final Optional<Fields> spec = document.object("spec");
        document.rejectOthers();
        if (spec.isEmpty()) {
            return new Profile(meta, List.of(), List.of(), Map.of());
        }
        final Fields fields = spec.get();
        final List<Rule> ingress = new CalicoRuleReader(PolicyDirection.INGRESS, "").read(fields);
        final List<Rule> egress = new CalicoRuleReader(PolicyDirection.EGRESS, "").read(fields);
        final Map<String, String> labels = new LinkedHashMap<>();
        fields.stringMap("labelsToApply")
                .forEach(
                        (key, value) -> {
                            for (final String complaint : NameSyntax.labelKey(key)) {
                                fields.error("labelsToApply", invalid(key, complaint));
                            }
                            for (final String complaint : NameSyntax.labelValue(value.value())) {
                                fields.error(value, invalid(value.value(), complaint));
                            }
                            labels.put(key, value.value());
                        });
        fields.rejectOthers();
        return new Profile(meta, ingress, egress, Map.copyOf(labels));
    }

    static String invalid(final String value, final String complaint) {
        return "Invalid value: \"" + value + "\": " + complaint;
    }

    static String unsupported(final String value, final String supported) {
        return "Unsupported value: \"" + value + "\": supported values: " + supported;
    }
}
