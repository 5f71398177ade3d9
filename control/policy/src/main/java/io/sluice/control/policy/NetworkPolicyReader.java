package io.sluice.control.policy;

import io.sluice.control.policy.NetworkPolicy.IpBlock;
import io.sluice.control.policy.NetworkPolicy.Peer;
import io.sluice.control.policy.NetworkPolicy.PodsOfNamespaces;
import io.sluice.control.policy.NetworkPolicy.PodsOfSameNamespace;
import io.sluice.control.policy.NetworkPolicy.Port;
import io.sluice.control.policy.NetworkPolicy.PortName;
import io.sluice.control.policy.NetworkPolicy.PortRange;
import io.sluice.control.policy.NetworkPolicy.Rule;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Reads {@code NetworkPolicy} and {@code StagedKubernetesNetworkPolicy}. Complaints have the API
 * server's words (kubernetes {@code pkg/apis/networking/validation/validation.go}) and defaults are
 * the API server's ({@code defaults.go}).
 */
final class NetworkPolicyReader {
    private static final String PORT_RANGE_TEXT = "must be between 1 and 65535, inclusive";

    private NetworkPolicyReader() {}

    static NetworkPolicy read(final ObjectMeta meta, final Fields document) {
        return read(meta, document, Staging.ENFORCED);
    }

    /** Kind {@code StagedKubernetesNetworkPolicy}: the same spec, and what is staged. */
    static NetworkPolicy readStaged(final ObjectMeta meta, final Fields document) {
        return read(meta, document, Staging.SET);
    }

    private static NetworkPolicy read(
            final ObjectMeta meta, final Fields document, final Staging defaultStaging) {
        document.ignore("status");
        final Optional<Fields> spec = document.object("spec");
        document.rejectOthers();
        if (spec.isEmpty()) {
            // The API server defaults a missing spec to the empty one: it isolates ingress.
            return new NetworkPolicy(
                    meta,
                    defaultStaging,
                    LabelSelector.EVERYTHING,
                    Set.of(PolicyDirection.INGRESS),
                    List.of(),
                    List.of());
        }
        final Staging staging =
                defaultStaging == Staging.ENFORCED
                        ? Staging.ENFORCED
                        : CalicoReader.readStaging(spec.get(), Set.of());
        return readSpec(meta, spec.get(), staging);
    }

    private static NetworkPolicy readSpec(
            final ObjectMeta meta, final Fields spec, final Staging staging) {
        final LabelSelector podSelector =
                spec.object("podSelector")
                        .map(fields -> SelectorReader.read(fields, SelectorReader.Keys.PLAIN))
                        .orElse(LabelSelector.EVERYTHING);
        final List<Rule> ingress = readRules(spec.objects("ingress"), "from");
        final List<Rule> egress = readRules(spec.objects("egress"), "to");
        final Set<PolicyDirection> directions = readTypes(spec, !egress.isEmpty());
        spec.rejectOthers();
        return new NetworkPolicy(meta, staging, podSelector, directions, ingress, egress);
    }

    private static Set<PolicyDirection> readTypes(final Fields spec, final boolean hasEgress) {
        final List<Fields.Text> types = spec.strings("policyTypes");
        final Set<PolicyDirection> directions = EnumSet.noneOf(PolicyDirection.class);
        if (types.size() > 2) {
            spec.error(
                    "policyTypes",
                    "Invalid value: "
                            + types.stream().map(type -> quoted(type.value())).toList()
                            + ": may not specify more than two policyTypes");
            return directions;
        }
        for (final Fields.Text type : types) {
            switch (type.value()) {
                case "Ingress" -> directions.add(PolicyDirection.INGRESS);
                case "Egress" -> directions.add(PolicyDirection.EGRESS);
                default ->
                        spec.error(
                                type,
                                "Unsupported value: "
                                        + quoted(type.value())
                                        + ": supported values: \"Egress\", \"Ingress\"");
            }
        }
        if (types.isEmpty()) {
            directions.add(PolicyDirection.INGRESS);
            if (hasEgress) {
                directions.add(PolicyDirection.EGRESS);
            }
        }
        return Set.copyOf(directions);
    }

    private static List<Rule> readRules(final List<Fields> items, final String peersField) {
        final List<Rule> rules = new ArrayList<>();
        for (final Fields fields : items) {
            final List<Peer> peers = new ArrayList<>();
            for (final Fields peer : fields.objects(peersField)) {
                readPeer(peer).ifPresent(peers::add);
            }
            final List<Port> ports = new ArrayList<>();
            for (final Fields port : fields.objects("ports")) {
                readPort(port).ifPresent(ports::add);
            }
            fields.rejectOthers();
            rules.add(new Rule(fields.where(), List.copyOf(peers), List.copyOf(ports)));
        }
        return List.copyOf(rules);
    }

    private static Optional<Peer> readPeer(final Fields fields) {
        final Optional<LabelSelector> pods =
                fields.object("podSelector")
                        .map(f -> SelectorReader.read(f, SelectorReader.Keys.PLAIN));
        final Optional<LabelSelector> namespaces =
                fields.object("namespaceSelector")
                        .map(f -> SelectorReader.read(f, SelectorReader.Keys.PLAIN));
        final boolean hasBlock = fields.has("ipBlock");
        final Optional<Fields> block = fields.object("ipBlock");
        final boolean hasSelector = fields.has("podSelector") || fields.has("namespaceSelector");
        fields.rejectOthers();
        if (hasBlock && hasSelector) {
            fields.errorAt(
                    fields.where(),
                    fields.path(),
                    "Forbidden: may not specify both ipBlock and another peer");
        }
        if (hasBlock) {
            return block.flatMap(NetworkPolicyReader::readIpBlock).map(Peer.class::cast);
        }
        if (!hasSelector) {
            fields.errorAt(fields.where(), fields.path(), "Required value: must specify a peer");
            return Optional.empty();
        }
        final LabelSelector podSelector = pods.orElse(LabelSelector.EVERYTHING);
        return Optional.of(
                namespaces.isPresent()
                        ? new PodsOfNamespaces(namespaces.get(), podSelector)
                        : new PodsOfSameNamespace(podSelector));
    }

    private static Optional<IpBlock> readIpBlock(final Fields fields) {
        final String text = fields.string("cidr", "");
        final List<Fields.Text> exceptTexts = fields.strings("except");
        fields.rejectOthers();
        if (text.isEmpty()) {
            fields.error("cidr", "Required value");
            return Optional.empty();
        }
        final Fields.Text cidrText =
                new Fields.Text(text, fields.path("cidr"), fields.where("cidr"));
        final Optional<Cidr> cidr = readCidr(fields, cidrText);
        final List<Cidr> excepts = new ArrayList<>();
        for (final Fields.Text exceptText : exceptTexts) {
            final Optional<Cidr> except = readCidr(fields, exceptText);
            if (except.isPresent() && cidr.isPresent()) {
                final boolean strictSubset =
                        cidr.get().contains(except.get()) && !cidr.get().equals(except.get());
                if (!strictSubset) {
                    fields.error(
                            exceptText,
                            "Invalid value: "
                                    + quoted(exceptText.value())
                                    + ": must be a strict subset of `cidr`");
                }
                excepts.add(except.get());
            }
        }
        return cidr.map(prefix -> new IpBlock(prefix, List.copyOf(excepts)));
    }

    /** A prefix; bits beyond it are only worth a warning, as to the API server. */
    static Optional<Cidr> readCidr(final Fields fields, final Fields.Text text) {
        final Optional<Cidr> cidr = Cidr.parse(text.value());
        if (cidr.isEmpty()) {
            fields.error(
                    text,
                    "Invalid value: "
                            + quoted(text.value())
                            + ": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        } else if (Cidr.hasHostBits(text.value())) {
            fields.warning(
                    text,
                    quoted(text.value()) + " has bits beyond its prefix: read as " + cidr.get());
        }
        return cidr;
    }

    private static Optional<Port> readPort(final Fields fields) {
        final String protocolText = fields.string("protocol", "TCP");
        final int protocol =
                switch (protocolText) {
                    case "TCP" -> IpProtocol.TCP;
                    case "UDP" -> IpProtocol.UDP;
                    case "SCTP" -> IpProtocol.SCTP;
                    default -> {
                        fields.error(
                                "protocol",
                                "Unsupported value: "
                                        + quoted(protocolText)
                                        + ": supported values: \"SCTP\", \"TCP\", \"UDP\"");
                        yield IpProtocol.UNKNOWN;
                    }
                };
        final OptionalInt endPort = fields.integer("endPort");
        if (!fields.has("port")) {
            endPort.ifPresent(
                    end ->
                            fields.error(
                                    "endPort",
                                    invalid(
                                            end,
                                            "may not be specified when `port` is not specified")));
            fields.rejectOthers();
            return Optional.of(new PortRange(protocol, 0, VerdictProgram.PORT_MAX));
        }
        if (!fields.isInteger("port")) {
            return readNamedPort(fields, protocol, endPort);
        }
        final OptionalInt port = fields.integer("port");
        fields.rejectOthers();
        if (port.isEmpty()) {
            return Optional.empty();
        }
        final int from = port.getAsInt();
        if (!isPort(from)) {
            fields.error("port", invalid(from, PORT_RANGE_TEXT));
        }
        endPort.ifPresent(
                end -> {
                    if (end < from) {
                        fields.error(
                                "endPort", invalid(end, "must be greater than or equal to `port`"));
                    } else if (!isPort(end)) {
                        fields.error("endPort", invalid(end, PORT_RANGE_TEXT));
                    }
                });
        return Optional.of(new PortRange(protocol, from, endPort.orElse(from)));
    }

    private static Optional<Port> readNamedPort(
            final Fields fields, final int protocol, final OptionalInt endPort) {
        final String name = fields.string("port", "");
        fields.rejectOthers();
        for (final String complaint : NameSyntax.portName(name)) {
            fields.error("port", "Invalid value: " + quoted(name) + ": " + complaint);
        }
        endPort.ifPresent(
                end ->
                        fields.error(
                                "endPort",
                                invalid(end, "may not be specified when `port` is non-numeric")));
        return Optional.of(new PortName(protocol, name));
    }

    private static boolean isPort(final int number) {
        return number >= 1 && number <= VerdictProgram.PORT_MAX;
    }

    private static String invalid(final int value, final String complaint) {
        return "Invalid value: " + value + ": " + complaint;
    }

    private static String quoted(final String text) {
        return "\"" + text + "\"";
    }
}
