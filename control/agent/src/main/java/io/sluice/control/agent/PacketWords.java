package io.sluice.control.agent;

import io.sluice.control.agent.LivePolicy.Route;
import io.sluice.control.agent.PacketReport.StepReport;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.dataplane.Packet;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.TraceRecord;
import io.sluice.dataplane.TraceRecord.End;
import io.sluice.dataplane.TraceRecord.Step;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.MacAddress;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntFunction;

/**
 * A traced packet in words: a sentence for each step that it reached, in the order of {@code
 * Datapath}, with names from the policy revision that it was judged by.
 *
 * <p>Thread: any, stateless.
 *
 * @param policyOfRevision the revision, or the nearest that is known
 */
record PacketWords(IntFunction<LivePolicy> policyOfRevision) {
    /** The port that leads to the node and the world. */
    private static final int UPLINK_PORT = 0;

    private static final int PROTOCOL_TCP = 6;
    private static final String[] TCP_FLAGS = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"};

    PacketReport report(final TraceRecord record, final Instant time) {
        final OnePacket packet = new OnePacket(record, policyOfRevision.apply(record.revision()));
        return new PacketReport(
                time,
                packet.summary(),
                record.end().name(),
                record.end() == End.DROPPED ? record.reason().name() : "",
                record.end() == End.DROPPED ? record.reason().code() : 0,
                word(record.stoppedAt()),
                record.revision(),
                packet.steps());
    }

    private static String word(final Step step) {
        return step == Step.TRANSMIT
                ? "tx"
                : step.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Words about one packet. */
    private record OnePacket(TraceRecord record, LivePolicy policy) {
        private boolean isKnown(final Packet.Known wanted) {
            return record.known().compareTo(wanted) >= 0;
        }

        private boolean reached(final Step step) {
            return record.stoppedAt().compareTo(step) >= 0;
        }

        private IpAddress source() {
            return new IpAddress(record.sourceHigh(), record.sourceLow());
        }

        private IpAddress destination() {
            return new IpAddress(record.destinationHigh(), record.destinationLow());
        }

        private boolean hasPorts() {
            return isKnown(Packet.Known.TUPLE) && IpProtocol.hasPorts(record.protocol());
        }

        // The whole packet.

        String summary() {
            if (!isKnown(Packet.Known.ADDRESSES)) {
                return isKnown(Packet.Known.ETHERNET)
                        ? MacAddress.format(record.sourceMac())
                                + " -> "
                                + MacAddress.format(record.destinationMac())
                                + " "
                                + etherTypeText()
                        : "a frame that is not Ethernet";
            }
            return end(source(), record.sourcePort())
                    + " -> "
                    + end(destination(), record.destinationPort())
                    + " "
                    + protocolText();
        }

        private String end(final IpAddress address, final int port) {
            final String name =
                    policy.world()
                            .podAt(address)
                            .map(pod -> pod.ref().path())
                            .orElse(address.toString());
            if (!hasPorts()) {
                return name;
            }
            return (name.indexOf(':') < 0 ? name : "[" + name + "]") + ":" + port;
        }

        private String etherTypeText() {
            return switch (record.etherType()) {
                case Ethernet.IPV4 -> "IPv4";
                case Ethernet.IPV6 -> "IPv6";
                case Ethernet.ARP -> "ARP";
                default -> "type 0x%04x".formatted(record.etherType());
            };
        }

        private String protocolText() {
            final String name = IpProtocol.nameOf(record.protocol());
            if (record.fragment() == Packet.Fragment.LATER) {
                return name + " fragment";
            }
            if (!isKnown(Packet.Known.TUPLE)) {
                return name;
            }
            if (IpProtocol.isIcmp(record.protocol())) {
                return name
                        + " type "
                        + (record.icmpTypeCode() >>> 8)
                        + " code "
                        + (record.icmpTypeCode() & 0xff);
            }
            return record.protocol() == PROTOCOL_TCP ? name + " " + flags() : name;
        }

        private String flags() {
            final List<String> set = new ArrayList<>();
            for (int i = 0; i < TCP_FLAGS.length; i++) {
                if ((record.tcpFlags() >> i & 1) != 0) {
                    set.add(TCP_FLAGS[i]);
                }
            }
            return set.isEmpty() ? "no flags" : String.join(",", set);
        }

        // The steps, in their order.

        List<StepReport> steps() {
            final List<StepReport> steps = new ArrayList<>();
            steps.add(receive());
            steps.add(parse());
            if (record.stoppedAt() == Step.ANSWER && record.end() == End.ANSWERED) {
                steps.add(step("answer", "the switch answers it itself", Map.of()));
            }
            if (!record.isReturned()) {
                addAdmission(steps);
            }
            if (record.isTracked()) {
                steps.add(conntrack());
            }
            if (record.hasSides()) {
                steps.add(identity("source", source(), record.sourceIdentity()));
                steps.add(identity("destination", destination(), record.destinationIdentity()));
            }
            addPolicy(steps);
            steps.add(verdict());
            if (record.end() == End.FORWARDED || record.end() == End.REDIRECTED) {
                steps.add(
                        step(
                                "tx",
                                "to " + portText(record.outPort()),
                                Map.of("port", record.outPort())));
            }
            return List.copyOf(steps);
        }

        private static StepReport step(
                final String name, final String text, final Map<String, Object> facts) {
            return new StepReport(name, text, facts);
        }

        private StepReport receive() {
            final String from = portText(record.inPort());
            final Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("port", record.inPort());
            facts.put("bytes", record.frameBytes());
            facts.put("returned", record.isReturned());
            return step(
                    "rx",
                    record.isReturned()
                            ? "back from the DNS agent, "
                                    + record.frameBytes()
                                    + " bytes of "
                                    + from
                            : "from " + from + ", " + record.frameBytes() + " bytes",
                    facts);
        }

        private String portText(final int port) {
            if (port == Tables.PROXY_PORT) {
                return "the L7 proxy";
            }
            if (port == Tables.RESOLVER_PORT) {
                return "the switch's resolver";
            }
            if (port == UPLINK_PORT) {
                return "the uplink";
            }
            for (final Map.Entry<IpAddress, Integer> endpoint : policy.endpointIds().entrySet()) {
                final Optional<ObjectRef> pod =
                        policy.world().podAt(endpoint.getKey()).map(Pod::ref);
                if (endpoint.getValue() == port && pod.isPresent()) {
                    return pod.get().path() + " (port " + port + ")";
                }
            }
            return "port " + port;
        }

        private StepReport parse() {
            final Map<String, Object> facts = new LinkedHashMap<>();
            if (isKnown(Packet.Known.ETHERNET)) {
                facts.put("sourceMac", MacAddress.format(record.sourceMac()));
                facts.put("destinationMac", MacAddress.format(record.destinationMac()));
                facts.put("etherType", record.etherType());
            }
            if (!isKnown(Packet.Known.ADDRESSES)) {
                return step(
                        "parse",
                        isKnown(Packet.Known.ETHERNET)
                                ? etherTypeText() + " of " + facts.get("sourceMac")
                                : "not an Ethernet frame",
                        facts);
            }
            facts.put("source", source().toString());
            facts.put("destination", destination().toString());
            facts.put("protocol", IpProtocol.nameOf(record.protocol()));
            facts.put("ttl", record.ttl());
            if (record.fragment() != Packet.Fragment.NONE) {
                facts.put("fragment", record.fragment().name());
            }
            if (hasPorts()) {
                facts.put("sourcePort", record.sourcePort());
                facts.put("destinationPort", record.destinationPort());
            }
            if (isKnown(Packet.Known.TUPLE) && IpProtocol.isIcmp(record.protocol())) {
                facts.put("icmpType", record.icmpTypeCode() >>> 8);
                facts.put("icmpCode", record.icmpTypeCode() & 0xff);
            }
            if (isKnown(Packet.Known.TUPLE) && record.protocol() == PROTOCOL_TCP) {
                facts.put("tcpFlags", flags());
            }
            return step(
                    "parse",
                    etherTypeText()
                            + " "
                            + protocolText()
                            + ", "
                            + addressAndPort(source(), record.sourcePort())
                            + " -> "
                            + addressAndPort(destination(), record.destinationPort())
                            + ", TTL "
                            + record.ttl()
                            + (record.quotesPacket() ? ", quotes a packet" : ""),
                    facts);
        }

        private String addressAndPort(final IpAddress address, final int port) {
            if (!hasPorts()) {
                return address.toString();
            }
            return address.isIpv4() ? address + ":" + port : "[" + address + "]:" + port;
        }

        /** Guard, hop limit and fragments say something only of who came that far. */
        private void addAdmission(final List<StepReport> steps) {
            if (reached(Step.HOP_LIMIT) && record.stoppedAt() != Step.ANSWER) {
                steps.add(
                        step(
                                "guard",
                                record.inPort() == UPLINK_PORT
                                        ? "the source address is one behind the uplink"
                                        : record.inPort() == Tables.PROXY_PORT
                                                ? "the proxy speaks for both ends"
                                                : "MAC and source address are the endpoint's own",
                                Map.of()));
            }
            if (reached(Step.CONNTRACK) && record.fragment() != Packet.Fragment.NONE) {
                steps.add(
                        step(
                                "fragments",
                                record.fragment() == Packet.Fragment.FIRST
                                        ? "the first fragment: its ports are remembered"
                                        : "a later fragment: its ports are those of the first one",
                                Map.of()));
            }
        }

        private StepReport conntrack() {
            final String meaning =
                    switch (record.state()) {
                        case NEW -> "of no flow, and may open one";
                        case ESTABLISHED -> "of a known flow, from its initiator";
                        case REPLY -> "of a known flow, from its responder";
                        case RELATED -> "an ICMP error about a known flow";
                        case INVALID -> "of no flow, and cannot open one";
                    };
            return step(
                    "conntrack",
                    record.state() + ": " + meaning,
                    Map.of("state", record.state().name()));
        }

        private StepReport identity(
                final String side, final IpAddress address, final int identity) {
            final Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("side", side);
            facts.put("identity", identity);
            facts.put("labels", policy.labels(identity));
            final Optional<Cidr> prefix = prefixOf(address);
            prefix.ifPresent(cidr -> facts.put("prefix", cidr.toString()));
            final Optional<ObjectRef> pod = policy.world().podAt(address).map(Pod::ref);
            pod.ifPresent(ref -> facts.put("pod", ref.path()));
            return step(
                    "identity",
                    side
                            + " "
                            + identity
                            + pod.map(ref -> " " + ref.path()).orElse("")
                            + prefix.map(cidr -> " by " + cidr).orElse("")
                            + " "
                            + policy.labels(identity),
                    facts);
        }

        /** The longest prefix of the revision around an address. */
        private Optional<Cidr> prefixOf(final IpAddress address) {
            for (int bits = address.isIpv4() ? 32 : 128; bits >= 0; bits--) {
                final Cidr prefix = Cidr.around(address, bits);
                final Route route = policy.routes().get(prefix);
                if (route != null) {
                    return Optional.of(prefix);
                }
            }
            return Optional.empty();
        }

        private void addPolicy(final List<StepReport> steps) {
            if (record.isJudged()) {
                steps.add(judged("egress", record.egressEntry()));
                if (PolicyEntry.allows(record.egressEntry())) {
                    steps.add(judged("ingress", record.ingressEntry()));
                }
            } else if (record.isTracked() && record.hasSides() && reached(Step.POLICY)) {
                steps.add(
                        step(
                                "policy",
                                "not asked: the flow's verdict is of revision " + record.revision(),
                                Map.of("revision", record.revision())));
            }
        }

        private StepReport judged(final String direction, final long entry) {
            final String said =
                    PolicyEntry.redirects(entry)
                            ? "allowed, the L7 proxy reads it"
                            : PolicyEntry.punts(entry)
                                    ? "allowed, the DNS agent reads it"
                                    : PolicyEntry.allows(entry) ? "allowed" : "denied";
            final Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("allowed", PolicyEntry.allows(entry));
            final List<Decision> decisions = policy.decision(PolicyEntry.rule(entry));
            if (decisions.isEmpty()) {
                return step(direction, said + ": the end is no endpoint", facts);
            }
            final Author by = decisions.getFirst().by();
            facts.put("by", by.toString());
            if (!by.kind().isEmpty()) {
                facts.put("kind", by.simpleKind());
                facts.put("namespace", by.namespace());
                facts.put("name", by.name());
                facts.put("file", by.file());
                facts.put("line", by.line());
            }
            if (by.rule() != Author.NO_RULE) {
                facts.put("rule", by.rule());
            }
            return step(direction, said + " by " + by, facts);
        }

        private StepReport verdict() {
            if (record.end() == End.DROPPED) {
                return step(
                        "verdict",
                        "DROPPED at "
                                + word(record.stoppedAt())
                                + ": "
                                + record.reason()
                                + " ("
                                + record.reason().code()
                                + "): "
                                + record.reason().sentence(),
                        Map.of(
                                "verdict",
                                "DROPPED",
                                "reason",
                                record.reason().name(),
                                "code",
                                record.reason().code()));
            }
            final String meaning =
                    switch (record.end()) {
                        case FORWARDED -> "FORWARDED";
                        case REDIRECTED -> "REDIRECTED to the L7 proxy";
                        case PUNTED -> "PUNTED to the DNS agent";
                        case ANSWERED ->
                                record.isReturned()
                                        ? "ANSWERED by the DNS agent"
                                        : "ANSWERED by the switch";
                        case DROPPED -> "DROPPED";
                    };
            return step("verdict", meaning, Map.of("verdict", record.end().name()));
        }
    }
}
