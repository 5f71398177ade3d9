package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.Entity;
import io.sluice.control.policy.CalicoPolicy.Port;
import io.sluice.control.policy.CalicoPolicy.PortName;
import io.sluice.control.policy.CalicoPolicy.PortRange;
import io.sluice.control.policy.CalicoPolicy.ServiceAccounts;
import io.sluice.control.policy.CalicoPolicy.ServiceName;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads the two ends of a rule of projectcalico.org/v3. */
final class CalicoEntityReader {
    private static final int NET_COUNT_MAX = 256;
    private static final int PORT_COUNT_MAX = 50;
    private static final int DOMAIN_LENGTH_MAX = 253;

    private static final Pattern PORT = Pattern.compile("[0-9]{1,9}");
    private static final Pattern PORT_RANGE = Pattern.compile("([0-9]{1,9}):([0-9]{1,9})");

    private static final String DOMAIN_LABEL = "[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?";

    /** A name, or one that has a star as one of its labels, the last excepted. */
    private static final Pattern DOMAIN =
            Pattern.compile("(%1$s\\.)*(\\*\\.(%1$s\\.)*)?%1$s\\.?".formatted(DOMAIN_LABEL));

    private final PolicyDirection direction;
    private final String namespace;

    /**
     * @param namespace the policy's; empty for the global kinds
     */
    CalicoEntityReader(final PolicyDirection direction, final String namespace) {
        this.direction = direction;
        this.namespace = namespace;
    }

    /**
     * Reads {@code source} or {@code destination}.
     *
     * @param destination which of the two
     */
    Entity read(final Fields fields, final boolean destination) {
        final List<Cidr> nets = readNets(fields, "nets");
        final List<Cidr> notNets = readNets(fields, "notNets");
        for (final Cidr net : notNets) {
            if (net.lengthBits() == 0) {
                final int own = net.isIpv4() ? 4 : 6;
                fields.error(
                        "notNets",
                        CalicoReader.invalid(
                                net.toString(),
                                "leaves no IPv%d address: if that is meant, write ipVersion: %d"
                                        .formatted(own, 10 - own)));
            }
        }
        final Optional<ServiceName> service = fields.object("services").map(this::readServiceName);
        if (service.isPresent()) {
            checkService(fields, destination);
        }
        final Entity entity =
                new Entity(
                        nets,
                        notNets,
                        CalicoSelectorReader.read(fields, "selector"),
                        CalicoSelectorReader.read(fields, "notSelector"),
                        CalicoSelectorReader.readOfNamespaces(fields),
                        readServiceAccounts(fields),
                        readPorts(fields, "ports"),
                        readPorts(fields, "notPorts"),
                        service,
                        destination ? readDomains(fields, "domains") : List.of());
        if (!destination && fields.has("domains")) {
            fields.error("domains", "Forbidden: names are looked up for a destination only");
            fields.ignore("domains");
        }
        fields.rejectOthers();
        return entity;
    }

    private static List<Cidr> readNets(final Fields fields, final String field) {
        final List<Fields.Text> texts = fields.strings(field);
        CalicoRuleReader.checkCount(fields, field, texts.size(), NET_COUNT_MAX);
        final List<Cidr> nets = new ArrayList<>();
        for (final Fields.Text text : texts) {
            final Optional<Cidr> net = Cidr.parse(text.value());
            if (net.isEmpty()) {
                fields.error(
                        text,
                        CalicoReader.invalid(
                                text.value(),
                                "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                                        + IpAddress.parse(text.value())
                                                .map(address -> ": write " + Cidr.host(address))
                                                .orElse("")));
            } else if (Cidr.hasHostBits(text.value())) {
                fields.error(
                        text,
                        CalicoReader.invalid(
                                text.value(),
                                "must not have bits beyond its prefix: write " + net.get()));
            } else {
                nets.add(net.get());
            }
        }
        return List.copyOf(nets);
    }

    private ServiceName readServiceName(final Fields fields) {
        final String name = fields.requiredString("name");
        if (fields.has("name")) {
            for (final String complaint : NameSyntax.dnsSubdomain(name)) {
                fields.error("name", CalicoReader.invalid(name, complaint));
            }
        }
        final String written = fields.string("namespace", "");
        if (written.isEmpty() && namespace.isEmpty()) {
            fields.error(
                    "namespace",
                    "Required value: a global policy has no namespace of its own to look in");
        }
        if (!written.isEmpty()) {
            for (final String complaint : NameSyntax.dnsLabel(written)) {
                fields.error("namespace", CalicoReader.invalid(written, complaint));
            }
        }
        fields.rejectOthers();
        return new ServiceName(written.isEmpty() ? namespace : written, name, fields.where());
    }

    /** A Service stands for its endpoints, and as a destination for their ports as well. */
    private void checkService(final Fields fields, final boolean destination) {
        final boolean farEnd = destination == (direction == PolicyDirection.EGRESS);
        if (!farEnd) {
            fields.error(
                    "services",
                    direction == PolicyDirection.INGRESS
                            ? "Forbidden: not allowed in the destination of an ingress rule"
                            : "Forbidden: not allowed in the source of an egress rule");
        }
        final List<String> others = new ArrayList<>();
        for (final String field :
                List.of(
                        "nets",
                        "notNets",
                        "selector",
                        "notSelector",
                        "namespaceSelector",
                        "serviceAccounts")) {
            if (!fields.isEmpty(field)) {
                others.add(field);
            }
        }
        if (destination) {
            for (final String field : List.of("ports", "notPorts")) {
                if (!fields.isEmpty(field)) {
                    others.add(field);
                }
            }
        }
        if (!others.isEmpty()) {
            fields.error(
                    "services",
                    "Forbidden: cannot be combined with "
                            + String.join(", ", others)
                            + ": the Service says which endpoints"
                            + (destination ? " and ports" : ""));
        }
    }

    private static Optional<ServiceAccounts> readServiceAccounts(final Fields fields) {
        if (fields.itemCount("serviceAccounts").isPresent()) {
            fields.error(
                    "serviceAccounts",
                    "must be an object, is a list: write serviceAccounts: {names: [x]}, or"
                            + " serviceAccounts: {selector: \"role == 'x'\"}");
            return Optional.empty();
        }
        final Optional<Fields> written = fields.object("serviceAccounts");
        if (written.isEmpty()) {
            return Optional.empty();
        }
        final List<String> names = new ArrayList<>();
        for (final Fields.Text name : written.get().strings("names")) {
            for (final String complaint : NameSyntax.dnsSubdomain(name.value())) {
                fields.error(name, CalicoReader.invalid(name.value(), complaint));
            }
            names.add(name.value());
        }
        final Optional<CalicoSelector> selector =
                CalicoSelectorReader.read(written.get(), "selector");
        written.get().rejectOthers();
        // Without either it asks for nothing, not even for an endpoint that is known.
        return names.isEmpty() && selector.isEmpty()
                ? Optional.empty()
                : Optional.of(new ServiceAccounts(List.copyOf(names), selector));
    }

    private static List<Port> readPorts(final Fields fields, final String field) {
        final List<Fields.Text> texts = fields.textsOrNumbers(field);
        CalicoRuleReader.checkCount(fields, field, texts.size(), PORT_COUNT_MAX);
        final List<Port> ports = new ArrayList<>();
        for (final Fields.Text text : texts) {
            readPort(fields, text).ifPresent(ports::add);
        }
        return List.copyOf(ports);
    }

    private static Optional<Port> readPort(final Fields fields, final Fields.Text text) {
        final String value = text.value();
        final Matcher range = PORT_RANGE.matcher(value);
        final boolean single = PORT.matcher(value).matches();
        if (single || range.matches()) {
            final int from = Integer.parseInt(single ? value : range.group(1));
            final int to = Integer.parseInt(single ? value : range.group(2));
            if (from < 1 || to > VerdictProgram.PORT_MAX) {
                fields.error(
                        text,
                        CalicoReader.invalid(
                                value, "port number must be between 1 and 65535, inclusive"));
                return Optional.empty();
            }
            if (from > to) {
                fields.error(
                        text,
                        CalicoReader.invalid(
                                value, "range is empty: write \"" + to + ":" + from + "\""));
                return Optional.empty();
            }
            return Optional.of(new PortRange(from, to));
        }
        final List<String> complaints = NameSyntax.portName(value);
        if (!complaints.isEmpty()) {
            fields.error(
                    text,
                    CalicoReader.invalid(
                            value,
                            "must be a port (80), a range (\"8080:8090\") or the name of a port: a"
                                    + " name "
                                    + String.join("; ", complaints)));
            return Optional.empty();
        }
        return Optional.of(new PortName(value));
    }

    /** Names in lower case without a final dot. */
    static List<String> readDomains(final Fields fields, final String field) {
        final List<String> domains = new ArrayList<>();
        for (final Fields.Text text : fields.strings(field)) {
            final String lower = text.value().toLowerCase(Locale.ROOT);
            final String domain =
                    lower.endsWith(".") ? lower.substring(0, lower.length() - 1) : lower;
            if (domain.length() > DOMAIN_LENGTH_MAX || !DOMAIN.matcher(lower).matches()) {
                fields.error(
                        text,
                        CalicoReader.invalid(
                                text.value(),
                                "must be a name (example.com), or one with a * for one of its"
                                        + " labels, not the last (*.example.com, api.*.example.com)"));
            } else {
                domains.add(domain);
            }
        }
        return List.copyOf(domains);
    }
}
