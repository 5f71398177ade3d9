package io.sluice.control.policy;

import io.sluice.control.policy.CiliumPolicy.FqdnSelector;
import io.sluice.control.policy.CiliumPolicy.Port;
import io.sluice.control.policy.CiliumPolicy.PortName;
import io.sluice.control.policy.CiliumPolicy.PortRange;
import io.sluice.control.policy.CiliumPolicy.PortRule;
import io.sluice.control.policy.CiliumPolicy.Restriction;
import io.sluice.control.policy.CiliumPolicy.TlsContext;
import io.sluice.control.policy.CiliumPolicy.WholeProtocol;
import io.sluice.l7proxy.rule.HeaderMatch;
import io.sluice.l7proxy.rule.HeaderMatch.OnMismatch;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.KafkaRule;
import io.sluice.l7proxy.rule.RuleSyntaxException;
import io.sluice.l7proxy.rule.SecretName;
import io.sluice.l7proxy.rule.ServerNamePattern;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * Reads the items of {@code toPorts} and {@code icmps}.
 *
 * <p>What needs a proxy ({@code rules}, {@code serverNames}, TLS contexts, {@code listener}) is
 * compiled to {@link L7Rules} and becomes the item's {@link Restriction}.
 */
final class CiliumPortReader {
    /** Cilium's limit on ports of one item, and on ICMP types. */
    private static final int PORT_COUNT_MAX = 40;

    private static final int LISTENER_PRIORITY_MAX = 100;
    private static final int ICMP_TYPE_MAX = 255;

    /** IP protocols that {@code ANY} stands for. */
    private static final List<Integer> ANY_PROTOCOLS =
            List.of(IpProtocol.TCP, IpProtocol.UDP, IpProtocol.SCTP);

    /** Protocols without ports (IANA protocol numbers). */
    private static final Map<String, Integer> EXTENDED_PROTOCOLS =
            Map.of("IGMP", 2, "IPIP", 4, "IPV6", 41, "GRE", 47, "ESP", 50, "AH", 51, "VRRP", 112);

    /** ICMP types by the names of Cilium's {@code pkg/policy/api/icmp.go}. */
    private static final Map<String, Integer> ICMPV4_TYPES =
            Map.ofEntries(
                    Map.entry("EchoReply", 0),
                    Map.entry("DestinationUnreachable", 3),
                    Map.entry("Redirect", 5),
                    Map.entry("Echo", 8),
                    Map.entry("EchoRequest", 8),
                    Map.entry("RouterAdvertisement", 9),
                    Map.entry("RouterSelection", 10),
                    Map.entry("TimeExceeded", 11),
                    Map.entry("ParameterProblem", 12),
                    Map.entry("Timestamp", 13),
                    Map.entry("TimestampReply", 14),
                    Map.entry("Photuris", 40),
                    Map.entry("ExtendedEchoRequest", 42),
                    Map.entry("ExtendedEchoReply", 43));

    private static final Map<String, Integer> ICMPV6_TYPES =
            Map.ofEntries(
                    Map.entry("DestinationUnreachable", 1),
                    Map.entry("PacketTooBig", 2),
                    Map.entry("TimeExceeded", 3),
                    Map.entry("ParameterProblem", 4),
                    Map.entry("EchoRequest", 128),
                    Map.entry("EchoReply", 129),
                    Map.entry("MulticastListenerQuery", 130),
                    Map.entry("MulticastListenerReport", 131),
                    Map.entry("MulticastListenerDone", 132),
                    Map.entry("RouterSolicitation", 133),
                    Map.entry("RouterAdvertisement", 134),
                    Map.entry("NeighborSolicitation", 135),
                    Map.entry("NeighborAdvertisement", 136),
                    Map.entry("RedirectMessage", 137),
                    Map.entry("RouterRenumbering", 138),
                    Map.entry("ICMPNodeInformationQuery", 139),
                    Map.entry("ICMPNodeInformationResponse", 140),
                    Map.entry("InverseNeighborDiscoverySolicitation", 141),
                    Map.entry("InverseNeighborDiscoveryAdvertisement", 142),
                    Map.entry("HomeAgentAddressDiscoveryRequest", 144),
                    Map.entry("HomeAgentAddressDiscoveryReply", 145),
                    Map.entry("MobilePrefixSolicitation", 146),
                    Map.entry("MobilePrefixAdvertisement", 147),
                    Map.entry("DuplicateAddressRequestCodeSuffix", 157),
                    Map.entry("DuplicateAddressConfirmationCodeSuffix", 158),
                    Map.entry("ExtendedEchoRequest", 160),
                    Map.entry("ExtendedEchoReply", 161));

    private CiliumPortReader() {}

    static PortRule readPorts(
            final Fields fields, final CiliumPolicyReader.Verb verb, final boolean defaultDeny) {
        final List<Port> ports = new ArrayList<>();
        final List<Fields> items = fields.objects("ports");
        if (items.isEmpty()) {
            fields.error("ports", "Required value: at least one port; port \"0\" is all of them");
        }
        if (items.size() > PORT_COUNT_MAX) {
            fields.error(
                    "ports", "too many ports, the max is " + PORT_COUNT_MAX + ": " + items.size());
        }
        for (final Fields item : items) {
            readPort(item, ports);
        }
        final PortRule rule =
                verb.isDeny()
                        ? PortRule.of(List.copyOf(ports), fields.where())
                        : readRestriction(fields, verb, List.copyOf(ports));
        fields.rejectOthers();
        return rule;
    }

    private static void readPort(final Fields item, final List<Port> ports) {
        final String portText = item.string("port", "0");
        final String protocolText = item.string("protocol", "ANY");
        final OptionalInt endPort = item.integer("endPort");
        item.rejectOthers();
        final Integer extended = EXTENDED_PROTOCOLS.get(protocolText);
        if (extended != null) {
            if (!portText.equals("0") || endPort.isPresent()) {
                item.error("port", "Forbidden: protocol " + protocolText + " has no ports");
            }
            ports.add(new WholeProtocol(extended));
            return;
        }
        final List<Integer> protocols =
                switch (protocolText) {
                    case "ANY", "" -> ANY_PROTOCOLS;
                    case "TCP" -> List.of(IpProtocol.TCP);
                    case "UDP" -> List.of(IpProtocol.UDP);
                    case "SCTP" -> List.of(IpProtocol.SCTP);
                    default -> {
                        final TreeSet<String> accepted = new TreeSet<>(EXTENDED_PROTOCOLS.keySet());
                        accepted.addAll(List.of("TCP", "UDP", "SCTP", "ANY"));
                        item.error(
                                "protocol",
                                "Unsupported value: \""
                                        + protocolText
                                        + "\": supported values: "
                                        + String.join(", ", accepted)
                                        + (protocolText.startsWith("ICMP")
                                                ? "; ICMP types go into icmps"
                                                : ""));
                        yield List.of();
                    }
                };
        if (portText.chars().allMatch(c -> c >= '0' && c <= '9')) {
            readNumber(item, portText, endPort, protocols, ports);
        } else {
            readName(item, portText, endPort, protocols, ports);
        }
    }

    private static void readNumber(
            final Fields item,
            final String text,
            final OptionalInt endPort,
            final List<Integer> protocols,
            final List<Port> ports) {
        final boolean legal =
                !text.isEmpty()
                        && text.length() <= 5
                        && (text.length() == 1 || text.charAt(0) != '0')
                        && Integer.parseInt(text) <= VerdictProgram.PORT_MAX;
        if (!legal) {
            item.error(
                    "port",
                    "Invalid value: \""
                            + text
                            + "\": must be 0 (all ports) to 65535, or the name of a port");
            return;
        }
        final int from = Integer.parseInt(text);
        int to = from == 0 ? VerdictProgram.PORT_MAX : from;
        if (endPort.isPresent() && endPort.getAsInt() != 0) {
            to = endPort.getAsInt();
            if (from == 0) {
                item.error("endPort", "Invalid value: " + to + ": port 0 has no range");
            } else if (to < from || to > VerdictProgram.PORT_MAX) {
                item.error(
                        "endPort",
                        "Invalid value: " + to + ": must be from port (" + from + ") to 65535");
            }
        }
        for (final int protocol : protocols) {
            ports.add(new PortRange(protocol, from, to));
        }
    }

    private static void readName(
            final Fields item,
            final String text,
            final OptionalInt endPort,
            final List<Integer> protocols,
            final List<Port> ports) {
        final String name = text.toLowerCase(Locale.ROOT);
        for (final String complaint : NameSyntax.portName(name)) {
            item.error("port", "Invalid value: \"" + text + "\": " + complaint);
        }
        if (endPort.isPresent() && endPort.getAsInt() != 0) {
            item.error(
                    "endPort",
                    "Invalid value: " + endPort.getAsInt() + ": a named port has no range");
        }
        for (final int protocol : protocols) {
            ports.add(new PortName(protocol, name));
        }
    }

    private static PortRule readRestriction(
            final Fields fields, final CiliumPolicyReader.Verb verb, final List<Port> ports) {
        Restriction restriction = Restriction.NONE;
        final Optional<Fields> listener = fields.object("listener");
        if (listener.isPresent()) {
            readListener(listener.get());
            restriction = Restriction.LISTENER;
        }
        final List<ServerNamePattern> serverNames = readServerNames(fields);
        if (!serverNames.isEmpty()) {
            restriction = Restriction.SERVER_NAMES;
        }
        final boolean terminatingTls = fields.has("terminatingTLS");
        final Optional<TlsContext> terminating = readTls(fields, "terminatingTLS");
        final Optional<TlsContext> originating = readTls(fields, "originatingTLS");
        if (terminating.isPresent() || originating.isPresent()) {
            restriction = Restriction.TLS;
        }
        final ReadRules rules = readRules(fields, verb, ports);
        if (rules.restriction() != Restriction.NONE) {
            if (listener.isPresent()) {
                fields.error("listener", "Forbidden: a listener takes no L7 rules");
            }
            if (!serverNames.isEmpty() && !terminatingTls) {
                fields.error(
                        "serverNames", "Forbidden: with L7 rules only if terminatingTLS is given");
            }
        }
        final Optional<L7Rules> withoutRules =
                listener.isPresent()
                        ? Optional.of(L7Rules.ofCustom())
                        : restriction == Restriction.NONE
                                ? Optional.empty()
                                : Optional.of(L7Rules.ofTls(List.of()));
        return new PortRule(
                ports,
                // The narrower of the two counts: nothing ever widens a TLS context or a server
                // name.
                restriction == Restriction.NONE ? rules.restriction() : restriction,
                rules.rules().or(() -> withoutRules).map(read -> read.withServerNames(serverNames)),
                terminating,
                originating,
                fields.where());
    }

    private static List<ServerNamePattern> readServerNames(final Fields fields) {
        final List<ServerNamePattern> patterns = new ArrayList<>();
        for (final Fields.Text name : fields.strings("serverNames")) {
            if (name.value().isEmpty()) {
                fields.error(name, "Invalid value: \"\": a server name must not be empty");
                continue;
            }
            try {
                patterns.add(ServerNamePattern.compile(name.value()));
            } catch (final IllegalArgumentException bad) {
                fields.error(name, "Invalid value: " + bad.getMessage());
            }
        }
        return patterns;
    }

    private static void readListener(final Fields listener) {
        listener.requiredString("name");
        final Optional<Fields> config = listener.object("envoyConfig");
        config.ifPresent(
                fields -> {
                    fields.string("kind", "");
                    fields.requiredString("name");
                    fields.rejectOthers();
                });
        final OptionalInt priority = listener.integer("priority");
        if (priority.isPresent()
                && (priority.getAsInt() < 1 || priority.getAsInt() > LISTENER_PRIORITY_MAX)) {
            listener.error(
                    "priority", "Invalid value: " + priority.getAsInt() + ": must be 1 to 100");
        }
        listener.rejectOthers();
    }

    private static Optional<TlsContext> readTls(final Fields fields, final String context) {
        final Optional<Fields> tls = fields.object(context);
        if (tls.isEmpty()) {
            return Optional.empty();
        }
        final Optional<SecretName> secret = readSecret(tls.get());
        if (secret.isEmpty()) {
            tls.get().error("secret", "Required value");
        }
        final TlsContext read =
                new TlsContext(
                        secret.orElse(new SecretName("", "")),
                        tls.get().string("trustedCA", ""),
                        tls.get().string("certificate", ""),
                        tls.get().string("privateKey", ""));
        tls.get().rejectOthers();
        return Optional.of(read);
    }

    private static Optional<SecretName> readSecret(final Fields fields) {
        final Optional<Fields> secret = fields.object("secret");
        final Optional<SecretName> name =
                secret.map(
                        written ->
                                new SecretName(
                                        written.string("namespace", ""),
                                        written.requiredString("name")));
        secret.ifPresent(Fields::rejectOthers);
        return name;
    }

    /** What {@code rules} asks for: by its kind, and compiled. */
    private record ReadRules(Restriction restriction, Optional<L7Rules> rules) {
        static final ReadRules NONE = new ReadRules(Restriction.NONE, Optional.empty());

        ReadRules(final Restriction restriction, final L7Rules rules) {
            this(restriction, Optional.of(rules));
        }
    }

    private static ReadRules readRules(
            final Fields fields, final CiliumPolicyReader.Verb verb, final List<Port> ports) {
        final Optional<Fields> rules = fields.object("rules");
        if (rules.isEmpty()) {
            return ReadRules.NONE;
        }
        final List<ReadRules> found = new ArrayList<>();
        final List<Fields> http = rules.get().objects("http");
        if (!http.isEmpty()) {
            found.add(
                    new ReadRules(
                            Restriction.HTTP,
                            L7Rules.ofHttp(compiled(http, CiliumPortReader::readHttp))));
        }
        final List<Fields> kafka = rules.get().objects("kafka");
        if (!kafka.isEmpty()) {
            found.add(
                    new ReadRules(
                            Restriction.KAFKA,
                            L7Rules.ofKafka(compiled(kafka, CiliumPortReader::readKafka))));
        }
        final List<Fields> dns = rules.get().objects("dns");
        if (!dns.isEmpty()) {
            final List<FqdnSelector> names = compiled(dns, CiliumPolicyReader::readFqdnSelector);
            found.add(
                    new ReadRules(
                            Restriction.DNS,
                            L7Rules.ofDns(names.stream().map(FqdnSelector::pattern).toList())));
        }
        final boolean custom = !rules.get().string("l7proto", "").isEmpty();
        if (custom) {
            found.add(new ReadRules(Restriction.L7PROTO, L7Rules.ofCustom()));
        }
        rules.get().ignore("l7");
        if (rules.get().has("l7") && !custom) {
            rules.get()
                    .error("l7", "'l7' may only be specified when a 'l7proto' is also specified");
        }
        rules.get().rejectOthers();
        if (found.size() > 1) {
            rules.get().error("multiple L7 protocol rule types specified in single rule");
        }
        final ReadRules read = found.isEmpty() ? ReadRules.NONE : found.get(0);
        checkRulePorts(rules.get(), read.restriction(), verb, ports);
        return read;
    }

    /** The items that could be compiled; what is wrong with the others is reported. */
    private static <T> List<T> compiled(
            final List<Fields> items, final Function<Fields, Optional<T>> reader) {
        final List<T> compiled = new ArrayList<>();
        for (final Fields item : items) {
            reader.apply(item).ifPresent(compiled::add);
        }
        return compiled;
    }

    private static void checkRulePorts(
            final Fields rules,
            final Restriction restriction,
            final CiliumPolicyReader.Verb verb,
            final List<Port> ports) {
        if (restriction == Restriction.NONE) {
            return;
        }
        if (restriction == Restriction.DNS && verb.direction() == PolicyDirection.INGRESS) {
            rules.error("DNS rules are not allowed on ingress");
        }
        for (final Port port : ports) {
            if (port instanceof final PortRange range
                    && range.from() == 0
                    && range.to() == VerdictProgram.PORT_MAX) {
                rules.error("L7 rules can not be used when a port is 0");
                return;
            }
            final int protocol =
                    switch (port) {
                        case final PortRange range -> range.protocol();
                        case final PortName name -> name.protocol();
                        case final WholeProtocol whole -> whole.protocol();
                    };
            final boolean fits =
                    switch (restriction) {
                        case HTTP, KAFKA -> protocol == IpProtocol.TCP;
                        default -> true;
                    };
            if (!fits) {
                rules.error("L7 rules can only apply to TCP (not ANY, UDP or SCTP) except for DNS");
                return;
            }
        }
    }

    private static Optional<HttpRule> readHttp(final Fields http) {
        final List<HeaderMatch> matches =
                compiled(http.objects("headerMatches"), CiliumPortReader::readHeaderMatch);
        final List<String> headers = new ArrayList<>();
        http.strings("headers").forEach(header -> headers.add(header.value()));
        final String path = http.string("path", "");
        final String method = http.string("method", "");
        final String host = http.string("host", "");
        http.rejectOthers();
        try {
            return Optional.of(HttpRule.compile(method, path, host, headers, matches));
        } catch (final RuleSyntaxException bad) {
            report(http, bad);
            return Optional.empty();
        }
    }

    private static Optional<HeaderMatch> readHeaderMatch(final Fields match) {
        final String mismatch = match.string("mismatch", "");
        final Optional<OnMismatch> onMismatch =
                switch (mismatch) {
                    case "" -> Optional.of(OnMismatch.FAIL);
                    case "LOG" -> Optional.of(OnMismatch.LOG);
                    case "ADD" -> Optional.of(OnMismatch.ADD);
                    case "DELETE" -> Optional.of(OnMismatch.DELETE);
                    case "REPLACE" -> Optional.of(OnMismatch.REPLACE);
                    default -> Optional.empty();
                };
        if (onMismatch.isEmpty()) {
            match.error(
                    "mismatch",
                    "Unsupported value: \""
                            + mismatch
                            + "\": supported values: \"LOG\", \"ADD\", \"DELETE\","
                            + " \"REPLACE\"");
        }
        final String name = match.requiredString("name");
        final String value = match.string("value", "");
        final Optional<SecretName> secret = readSecret(match);
        match.rejectOthers();
        if (name.isEmpty() || onMismatch.isEmpty()) {
            return Optional.empty();
        }
        try {
            return Optional.of(HeaderMatch.of(name, value, secret, onMismatch.get()));
        } catch (final RuleSyntaxException bad) {
            report(match, bad);
            return Optional.empty();
        }
    }

    private static Optional<KafkaRule> readKafka(final Fields kafka) {
        final String role = kafka.string("role", "");
        final String apiKey = kafka.string("apiKey", "");
        final String apiVersion = kafka.string("apiVersion", "");
        final String clientId = kafka.string("clientID", "");
        final String topic = kafka.string("topic", "");
        kafka.rejectOthers();
        try {
            return Optional.of(KafkaRule.compile(role, apiKey, apiVersion, clientId, topic));
        } catch (final RuleSyntaxException bad) {
            report(kafka, bad);
            return Optional.empty();
        }
    }

    private static void report(final Fields rule, final RuleSyntaxException bad) {
        final String message = String.valueOf(bad.getMessage());
        if (bad.field().isEmpty()) {
            rule.error(message);
        } else {
            rule.error(bad.field(), "Invalid value: " + message);
        }
    }

    static PortRule readIcmp(final Fields icmp) {
        final List<Port> ports = new ArrayList<>();
        final List<Fields> items = icmp.objects("fields");
        if (items.isEmpty()) {
            icmp.error("fields", "Required value: at least one ICMP type");
        }
        if (items.size() > PORT_COUNT_MAX) {
            icmp.error(
                    "fields", "too many types, the max is " + PORT_COUNT_MAX + ": " + items.size());
        }
        for (final Fields item : items) {
            readIcmpType(item).ifPresent(ports::add);
        }
        icmp.rejectOthers();
        return PortRule.of(List.copyOf(ports), icmp.where());
    }

    private static Optional<Port> readIcmpType(final Fields item) {
        final String family = item.string("family", "IPv4");
        final boolean known = family.equals("IPv4") || family.equals("IPv6");
        if (!known) {
            item.error(
                    "family",
                    "Unsupported value: \"" + family + "\": supported values: \"IPv4\", \"IPv6\"");
        }
        final int protocol = family.equals("IPv6") ? IpProtocol.ICMPV6 : IpProtocol.ICMP;
        final OptionalInt type = icmpType(item, protocol);
        item.rejectOthers();
        if (type.isEmpty() || !known) {
            return Optional.empty();
        }
        final int first = type.getAsInt() << 8;
        return Optional.of(new PortRange(protocol, first, first | 0xff));
    }

    private static OptionalInt icmpType(final Fields item, final int protocol) {
        if (!item.has("type")) {
            item.error("type", "Required value");
            return OptionalInt.empty();
        }
        if (item.isInteger("type")) {
            final OptionalInt number = item.integer("type");
            if (number.isPresent()
                    && (number.getAsInt() < 0 || number.getAsInt() > ICMP_TYPE_MAX)) {
                item.error("type", "Invalid value: " + number.getAsInt() + ": must be 0 to 255");
                return OptionalInt.empty();
            }
            return number;
        }
        final String text = item.string("type", "");
        if (text.length() <= 3
                && !text.isEmpty()
                && text.chars().allMatch(c -> c >= '0' && c <= '9')
                && Integer.parseInt(text) <= ICMP_TYPE_MAX) {
            return OptionalInt.of(Integer.parseInt(text));
        }
        final Map<String, Integer> types =
                protocol == IpProtocol.ICMPV6 ? ICMPV6_TYPES : ICMPV4_TYPES;
        final Integer named = types.get(text);
        if (named == null) {
            item.error(
                    "type",
                    "Invalid value: \""
                            + text
                            + "\": accepted: 0 to 255, "
                            + String.join(", ", new TreeSet<>(types.keySet())));
            return OptionalInt.empty();
        }
        return OptionalInt.of(named);
    }
}
