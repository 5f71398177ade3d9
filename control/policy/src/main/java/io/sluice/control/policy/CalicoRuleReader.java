package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.Action;
import io.sluice.control.policy.CalicoPolicy.Entity;
import io.sluice.control.policy.CalicoPolicy.Http;
import io.sluice.control.policy.CalicoPolicy.HttpPath;
import io.sluice.control.policy.CalicoPolicy.Icmp;
import io.sluice.control.policy.CalicoPolicy.Port;
import io.sluice.control.policy.CalicoPolicy.PortRange;
import io.sluice.control.policy.CalicoPolicy.Protocol;
import io.sluice.control.policy.CalicoPolicy.Rule;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Reads the rules of one direction of a policy or profile of projectcalico.org/v3.
 *
 * <p>Which fields a rule may have depends on its direction: {@code services} is about the far end,
 * {@code http} about requests that come in, {@code domains} about names looked up to go out.
 */
final class CalicoRuleReader {
    private static final int RULE_COUNT_MAX = 1024;
    private static final int HTTP_COUNT_MAX = 20;
    private static final int HTTP_PATH_LENGTH_MAX = 1024;
    private static final int PROTOCOL_NUMBER_MAX = 255;

    /** 255 is not a type to the kernel's matcher that Calico was made for. */
    private static final int ICMP_TYPE_MAX = 254;

    private static final int ICMP_CODE_MAX = 255;

    private static final Map<String, Protocol> PROTOCOLS =
            Map.of(
                    "TCP", new Protocol(IpProtocol.TCP, false),
                    "UDP", new Protocol(IpProtocol.UDP, false),
                    "ICMP", new Protocol(IpProtocol.ICMP, false),
                    "ICMPv6", new Protocol(IpProtocol.ICMPV6, false),
                    "SCTP", new Protocol(IpProtocol.SCTP, false),
                    // RFC 3828.
                    "UDPLite", new Protocol(136, false),
                    "TLS", new Protocol(IpProtocol.TCP, true));

    private static final Set<String> PROTOCOLS_OF_CALICO =
            Set.of("TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite");

    private static final Pattern NUMBER = Pattern.compile("[0-9]{1,9}");

    private final PolicyDirection direction;
    private final CalicoEntityReader entities;

    /**
     * @param namespace the policy's; empty for the global kinds
     */
    CalicoRuleReader(final PolicyDirection direction, final String namespace) {
        this.direction = direction;
        this.entities = new CalicoEntityReader(direction, namespace);
    }

    /** The rules of the direction, in order. */
    List<Rule> read(final Fields spec) {
        final String field = direction == PolicyDirection.INGRESS ? "ingress" : "egress";
        final List<Fields> items = spec.objects(field);
        checkCount(spec, field, items.size(), RULE_COUNT_MAX);
        return items.stream().map(this::readRule).toList();
    }

    private Rule readRule(final Fields fields) {
        final Action action = readAction(fields);
        final OptionalInt ipVersion = readIpVersion(fields);
        final Optional<Protocol> protocol = readProtocol(fields, "protocol", true);
        final Optional<Protocol> notProtocol = readProtocol(fields, "notProtocol", false);
        final Optional<Icmp> icmp = fields.object("icmp").map(CalicoRuleReader::readIcmp);
        final Optional<Icmp> notIcmp = fields.object("notICMP").map(CalicoRuleReader::readIcmp);
        final Optional<Http> http = fields.object("http").map(CalicoRuleReader::readHttp);
        final Optional<Fields> source = fields.object("source");
        final Optional<Fields> destination = fields.object("destination");
        final Rule rule =
                new Rule(
                        fields.where(),
                        action,
                        ipVersion,
                        protocol,
                        notProtocol,
                        icmp,
                        notIcmp,
                        http,
                        source.map(entity -> entities.read(entity, false)).orElse(Entity.ANY),
                        destination.map(entity -> entities.read(entity, true)).orElse(Entity.ANY));
        fields.object("metadata").ifPresent(CalicoRuleReader::checkMetadata);
        fields.rejectOthers();

        checkProtocols(fields, rule);
        source.ifPresent(entity -> checkPorts(fields, entity, rule, rule.source()));
        destination.ifPresent(entity -> checkPorts(fields, entity, rule, rule.destination()));
        checkFamilies(rule, source, destination);
        if (http.isPresent()) {
            checkHttp(fields, rule);
        }
        if (!rule.destination().domains().isEmpty() && destination.isPresent()) {
            checkDomains(fields, destination.get(), rule);
        }
        return rule;
    }

    private static Action readAction(final Fields fields) {
        final String text = fields.requiredString("action");
        return switch (text) {
            case "Allow" -> Action.ALLOW;
            case "Deny" -> Action.DENY;
            case "Pass" -> Action.PASS;
            case "Log" -> Action.LOG;
            default -> {
                if (fields.has("action")) {
                    fields.error(
                            "action",
                            CalicoReader.unsupported(
                                    text, "\"Allow\", \"Deny\", \"Log\", \"Pass\""));
                }
                yield Action.DENY;
            }
        };
    }

    private static OptionalInt readIpVersion(final Fields fields) {
        final OptionalInt version = fields.integer("ipVersion");
        if (version.isPresent() && version.getAsInt() != 4 && version.getAsInt() != 6) {
            fields.error(
                    "ipVersion",
                    "Unsupported value: " + version.getAsInt() + ": supported values: 4, 6");
            return OptionalInt.empty();
        }
        return version;
    }

    /**
     * A protocol by name or number; empty if absent, or after a report.
     *
     * @param tlsAllowed whether the name TLS is one
     */
    static Optional<Protocol> readProtocol(
            final Fields fields, final String field, final boolean tlsAllowed) {
        final Optional<Fields.Text> text = fields.textOrNumber(field);
        if (text.isEmpty()) {
            return Optional.empty();
        }
        final String value = text.get().value();
        final Optional<Protocol> named = Optional.ofNullable(PROTOCOLS.get(value));
        if (named.isPresent() && (tlsAllowed || !named.get().tls())) {
            return named;
        }
        if (NUMBER.matcher(value).matches()) {
            final int number = Integer.parseInt(value);
            if (number >= 1 && number <= PROTOCOL_NUMBER_MAX) {
                return Optional.of(new Protocol(number, false));
            }
        }
        fields.error(
                field,
                CalicoReader.unsupported(
                        value,
                        "TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite, "
                                + (tlsAllowed ? "TLS (with destination.domains), " : "")
                                + "1 to 255"
                                + Fields.nearest(value, PROTOCOLS_OF_CALICO)
                                        .map(near -> ": did you mean \"" + near + "\"?")
                                        .orElse("")));
        return Optional.empty();
    }

    static boolean hasPorts(final Protocol protocol) {
        return IpProtocol.hasPorts(protocol.number());
    }

    private static Icmp readIcmp(final Fields fields) {
        final OptionalInt type = readIcmpNumber(fields, "type", ICMP_TYPE_MAX);
        final OptionalInt code = readIcmpNumber(fields, "code", ICMP_CODE_MAX);
        if (fields.has("code") && !fields.has("type")) {
            fields.error("code", "Forbidden: an ICMP code needs a type");
        }
        fields.rejectOthers();
        return new Icmp(type, code);
    }

    private static OptionalInt readIcmpNumber(
            final Fields fields, final String field, final int max) {
        final OptionalInt number = fields.integer(field);
        if (number.isPresent() && (number.getAsInt() < 0 || number.getAsInt() > max)) {
            fields.error(
                    field,
                    "Invalid value: "
                            + number.getAsInt()
                            + ": must be between 0 and "
                            + max
                            + ", inclusive");
        }
        return number;
    }

    private static Http readHttp(final Fields fields) {
        final Set<String> methods = new LinkedHashSet<>();
        final List<Fields.Text> methodTexts = fields.strings("methods");
        checkCount(fields, "methods", methodTexts.size(), HTTP_COUNT_MAX);
        for (final Fields.Text method : methodTexts) {
            if (!methods.add(method.value())) {
                fields.error(method, "Duplicate value: \"" + method.value() + "\"");
            }
        }
        final List<Fields> pathItems = fields.objects("paths");
        checkCount(fields, "paths", pathItems.size(), HTTP_COUNT_MAX);
        final List<HttpPath> paths = new ArrayList<>();
        for (final Fields item : pathItems) {
            paths.add(readHttpPath(item));
        }
        fields.rejectOthers();
        return new Http(List.copyOf(methods), List.copyOf(paths));
    }

    private static HttpPath readHttpPath(final Fields fields) {
        final String exact = fields.string("exact", "");
        final String prefix = fields.string("prefix", "");
        fields.rejectOthers();
        if (exact.isEmpty() == prefix.isEmpty()) {
            fields.error("exactly one of exact and prefix must be given");
            return new HttpPath("/", false);
        }
        final String field = exact.isEmpty() ? "prefix" : "exact";
        final String path = exact.isEmpty() ? prefix : exact;
        if (!path.startsWith("/") || path.chars().anyMatch(c -> "?# ".indexOf(c) >= 0)) {
            fields.error(
                    field,
                    CalicoReader.invalid(
                            path, "must start with / and not contain ?, # or a space"));
        }
        if (path.length() > HTTP_PATH_LENGTH_MAX) {
            fields.error(
                    field,
                    "Invalid value: must be no more than " + HTTP_PATH_LENGTH_MAX + " characters");
        }
        return new HttpPath(path, exact.isEmpty());
    }

    private static void checkMetadata(final Fields fields) {
        for (final String key : fields.stringMap("annotations").keySet()) {
            for (final String complaint : NameSyntax.labelKey(key.toLowerCase(Locale.ROOT))) {
                fields.error("annotations", CalicoReader.invalid(key, complaint));
            }
        }
        fields.rejectOthers();
    }

    private static void checkProtocols(final Fields fields, final Rule rule) {
        final boolean icmp = rule.protocol().map(p -> IpProtocol.isIcmp(p.number())).orElse(false);
        final boolean unreadable = rule.protocol().isEmpty() && fields.has("protocol");
        for (final String field : List.of("icmp", "notICMP")) {
            if (fields.has(field) && !icmp && !unreadable) {
                fields.error(
                        field,
                        "Forbidden: rules that specify ICMP fields must set protocol to ICMP or ICMPv6");
            }
        }
        if (rule.ipVersion().isPresent()) {
            checkIpVersion(fields, "protocol", rule.protocol(), rule.ipVersion().getAsInt());
            checkIpVersion(fields, "notProtocol", rule.notProtocol(), rule.ipVersion().getAsInt());
        }
        if (rule.protocol().map(Protocol::tls).orElse(false)
                && rule.destination().domains().isEmpty()) {
            fields.error(
                    "protocol",
                    "Forbidden: TLS is told by the name that the client asks for: give"
                            + " destination.domains, or write TCP");
        }
    }

    private static void checkIpVersion(
            final Fields fields,
            final String field,
            final Optional<Protocol> protocol,
            final int ipVersion) {
        final int number = protocol.map(Protocol::number).orElse(IpProtocol.UNKNOWN);
        if (number == IpProtocol.ICMP && ipVersion != 4) {
            fields.error(field, "Forbidden: protocol ICMP requires ipVersion 4");
        } else if (number == IpProtocol.ICMPV6 && ipVersion != 6) {
            fields.error(field, "Forbidden: protocol ICMPv6 requires ipVersion 6");
        }
    }

    /** Numbers need a protocol; a name brings its own, that of the port it names. */
    private static void checkPorts(
            final Fields fields, final Fields entityFields, final Rule rule, final Entity entity) {
        if (rule.protocol().isEmpty() && fields.has("protocol")) {
            return;
        }
        checkPorts(entityFields, "ports", rule.protocol(), entity.ports());
        checkPorts(entityFields, "notPorts", rule.protocol(), entity.notPorts());
    }

    private static void checkPorts(
            final Fields fields,
            final String field,
            final Optional<Protocol> protocol,
            final List<Port> ports) {
        final boolean wrong =
                protocol.isPresent()
                        ? !ports.isEmpty() && !hasPorts(protocol.get())
                        : ports.stream().anyMatch(PortRange.class::isInstance);
        if (wrong) {
            fields.error(
                    field,
                    "Forbidden: rules that specify ports must set protocol to TCP or UDP or SCTP");
        }
    }

    /** A packet has one IP version, so a rule that names both never matches. */
    private static void checkFamilies(
            final Rule rule, final Optional<Fields> source, final Optional<Fields> destination) {
        final String complaint =
                rule.ipVersion().isPresent()
                        ? "rule IP version doesn't match CIDR version"
                        : "rule contains both IPv4 and IPv6 CIDRs: write one rule for each";
        int version = rule.ipVersion().orElse(0);
        if (source.isPresent()) {
            version = checkFamilies(source.get(), rule.source(), version, complaint);
        }
        if (destination.isPresent()) {
            checkFamilies(destination.get(), rule.destination(), version, complaint);
        }
    }

    /** Answers the IP version that the rule is about so far; 0 is either. */
    private static int checkFamilies(
            final Fields fields, final Entity entity, final int before, final String complaint) {
        int version = before;
        for (final String field : List.of("nets", "notNets")) {
            boolean differs = false;
            for (final Cidr net : field.equals("nets") ? entity.nets() : entity.notNets()) {
                final int own = net.isIpv4() ? 4 : 6;
                differs |= version != 0 && version != own;
                version = version == 0 ? own : version;
            }
            if (differs) {
                fields.error(field, "Forbidden: " + complaint);
            }
        }
        return version;
    }

    private void checkHttp(final Fields fields, final Rule rule) {
        if (direction == PolicyDirection.EGRESS) {
            fields.error("http", "Forbidden: not allowed in egress rules");
        }
        if (rule.action() != Action.ALLOW) {
            fields.error("http", "Forbidden: only valid for Allow rules");
        }
        final boolean tcp =
                rule.protocol().map(p -> p.number() == IpProtocol.TCP && !p.tls()).orElse(true);
        if (!tcp) {
            fields.error(
                    "http",
                    "Forbidden: rules that specify HTTP fields must set protocol to TCP or empty");
        }
    }

    private void checkDomains(final Fields fields, final Fields destination, final Rule rule) {
        if (direction == PolicyDirection.INGRESS) {
            destination.error("domains", "Forbidden: only allowed in egress rules");
        }
        if (rule.action() != Action.ALLOW) {
            fields.error("action", "Forbidden: rules that specify domains must be Allow rules");
        }
        final List<String> others = new ArrayList<>();
        for (final String field :
                List.of("nets", "selector", "namespaceSelector", "serviceAccounts", "services")) {
            if (!destination.isEmpty(field)) {
                others.add(field);
            }
        }
        if (!others.isEmpty()) {
            destination.error(
                    "domains",
                    "Forbidden: cannot be combined with "
                            + String.join(", ", others)
                            + ": the name says which addresses");
        }
    }

    static void checkCount(
            final Fields fields, final String field, final int count, final int max) {
        if (count > max) {
            fields.error(field, "Too many: " + count + ": must have at most " + max + " items");
        }
    }
}
