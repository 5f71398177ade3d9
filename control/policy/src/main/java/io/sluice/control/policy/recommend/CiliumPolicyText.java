package io.sluice.control.policy.recommend;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.PolicyDirection;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * Drafts as {@code CiliumNetworkPolicy}.
 *
 * <p>Rules for requests are written at the receiver's end where that gets a policy as well, at the
 * sender's otherwise: one proxy is enough. DNS is asked at the sender's end always, since names are
 * learned there; any name may be asked for, unless rules for requests are wanted and queries were
 * seen.
 */
final class CiliumPolicyText implements PolicyText {
    /** Ports of one item of {@code toPorts}, by the CRD's validation. */
    private static final int PORTS_MAX = 40;

    private static final String NAMESPACE = "k8s:io.kubernetes.pod.namespace";

    private final Function<Workload, WorkloadSelector> selectors;
    private final Set<Workload> drafted;
    private final Collection<Draft> drafts;
    private final RecommendOptions options;

    CiliumPolicyText(
            final Function<Workload, WorkloadSelector> selectors,
            final Set<Workload> drafted,
            final Collection<Draft> drafts,
            final RecommendOptions options) {
        this.selectors = selectors;
        this.drafted = drafted;
        this.drafts = drafts;
        this.options = options;
    }

    @Override
    public String write() {
        final YamlLines yaml = new YamlLines();
        for (final Draft draft : drafts) {
            PolicyText.head(yaml, draft, "cilium.io/v2", "CiliumNetworkPolicy", options.audited());
            if (draft.selector().isEmpty()) {
                yaml.line(2, "endpointSelector: {}");
            } else {
                yaml.line(2, "endpointSelector:").selector(4, Map.of(), draft.selector());
            }
            side(yaml, draft, PolicyDirection.INGRESS, "ingress", "from");
            side(yaml, draft, PolicyDirection.EGRESS, "egress", "to");
        }
        return yaml.toString();
    }

    private void side(
            final YamlLines yaml,
            final Draft draft,
            final PolicyDirection direction,
            final String list,
            final String verb) {
        final List<Draft.Rule> rules = draft.rules(direction);
        if (rules.isEmpty()) {
            yaml.comment(2, "nothing was seen: isolated, and nothing allowed");
            yaml.line(2, list + ":").line(2, "- {}");
            return;
        }
        yaml.line(2, list + ":");
        for (final Draft.Rule rule : rules) {
            final NavigableMap<DraftPort, DraftUse> ports = new TreeMap<>();
            final NavigableMap<DraftPort, DraftUse> icmps = new TreeMap<>();
            rule.ports().forEach((port, use) -> (port.isIcmp() ? icmps : ports).put(port, use));
            yaml.comment(2, PolicyText.comment(rule));
            if (!ports.isEmpty()) {
                peers(yaml, draft, rule.peers(), verb);
                ports(yaml, direction, rule, ports);
            }
            if (!icmps.isEmpty()) {
                peers(yaml, draft, rule.peers(), verb);
                yaml.line(4, "icmps:").line(4, "- fields:");
                icmps.keySet()
                        .forEach(
                                port ->
                                        yaml.line(
                                                6,
                                                "- {family: "
                                                        + (port.protocol() == IpProtocol.ICMP
                                                                ? "IPv4"
                                                                : "IPv6")
                                                        + ", type: "
                                                        + (port.port() >> 8)
                                                        + "}"));
            }
        }
    }

    // Peers.

    private void peers(
            final YamlLines yaml,
            final Draft draft,
            final List<DraftPeer> peers,
            final String verb) {
        switch (peers.getFirst()) {
            case final DraftPeer.OfWorkload pods ->
                    pods(yaml, draft, pods.workload(), verb + "Endpoints");
            case final DraftPeer.OfNode node ->
                    yaml.line(
                            2,
                            "- " + verb + "Entities: " + (node.own() ? "[host]" : "[remote-node]"));
            case final DraftPeer.Named named -> {
                yaml.line(2, "- " + verb + "FQDNs:");
                named.names()
                        .forEach(name -> yaml.line(4, "- matchName: " + YamlLines.scalar(name)));
            }
            case DraftPeer.At _ -> {
                yaml.line(2, "- " + verb + "CIDR:");
                for (final DraftPeer peer : peers) {
                    if (peer instanceof final DraftPeer.At at) {
                        yaml.line(4, "- " + YamlLines.scalar(Cidr.host(at.address()).toString()));
                    }
                }
            }
            case final DraftPeer.Outside outside -> {
                yaml.comment(
                        2,
                        "everything outside: more than " + options.addressesMax() + " addresses");
                yaml.line(
                        2,
                        "- "
                                + verb
                                + "Entities: "
                                + (outside.ipv4() ? "[world-ipv4]" : "[world-ipv6]"));
            }
        }
    }

    private void pods(
            final YamlLines yaml, final Draft draft, final Workload workload, final String field) {
        final WorkloadSelector selector = selectors.apply(workload);
        final boolean foreign = !workload.namespace().equals(draft.workload().namespace());
        if (selector.isEmpty() && !foreign) {
            yaml.line(2, "- " + field + ":").line(4, "- {}");
            return;
        }
        final YamlLines lines = new YamlLines();
        lines.selector(6, foreign ? Map.of(NAMESPACE, workload.namespace()) : Map.of(), selector);
        yaml.line(2, "- " + field + ":").item(lines, 6);
    }

    // Ports.

    private void ports(
            final YamlLines yaml,
            final PolicyDirection direction,
            final Draft.Rule rule,
            final NavigableMap<DraftPort, DraftUse> ports) {
        yaml.line(4, "toPorts:");
        final List<DraftPort> plain = new ArrayList<>();
        final List<DraftPort> dns = new ArrayList<>();
        final List<DraftPort> read = new ArrayList<>();
        ports.forEach(
                (port, use) -> {
                    if (isDns(port, use)) {
                        (direction == PolicyDirection.EGRESS ? dns : plain).add(port);
                    } else if (isRead(direction, rule, use)) {
                        read.add(port);
                    } else {
                        plain.add(port);
                    }
                });
        final List<PolicyText.Range> ranges = PolicyText.ranges(plain);
        for (int from = 0; from < ranges.size(); from += PORTS_MAX) {
            yaml.line(4, "- ports:");
            ranges.subList(from, Math.min(ranges.size(), from + PORTS_MAX))
                    .forEach(range -> port(yaml, range));
        }
        if (!dns.isEmpty()) {
            yaml.line(4, "- ports:");
            PolicyText.ranges(dns).forEach(range -> port(yaml, range));
            final DraftUse use = new DraftUse();
            dns.forEach(port -> use.addAll(ports.getOrDefault(port, new DraftUse())));
            names(yaml, use);
        }
        for (final DraftPort port : read) {
            yaml.line(4, "- ports:");
            PolicyText.ranges(List.of(port)).forEach(range -> port(yaml, range));
            requests(yaml, ports.getOrDefault(port, new DraftUse()));
        }
    }

    private static void port(final YamlLines yaml, final PolicyText.Range range) {
        yaml.line(
                6,
                "- {port: '"
                        + range.first()
                        + "'"
                        + (range.last() == range.first() ? "" : ", endPort: " + range.last())
                        + ", protocol: "
                        + range.protocolName()
                        + "}");
    }

    private static boolean isDns(final DraftPort port, final DraftUse use) {
        return port.isDns() || (!use.queries().isEmpty() && use.parsers() == 1);
    }

    /** Whether this end has a rule for requests. */
    private boolean isRead(
            final PolicyDirection direction, final Draft.Rule rule, final DraftUse use) {
        if (!options.requests() || use.parsers() != 1 || use.serverNames().contains("")) {
            return false;
        }
        return direction == PolicyDirection.INGRESS
                || !(rule.peers().getFirst() instanceof final DraftPeer.OfWorkload pods)
                || !drafted.contains(pods.workload());
    }

    private void names(final YamlLines yaml, final DraftUse use) {
        yaml.line(6, "rules:").line(8, "dns:");
        if (options.requests() && !use.queries().isEmpty()) {
            use.queries()
                    .forEach(
                            name ->
                                    yaml.line(
                                            8,
                                            "- matchName: "
                                                    + YamlLines.scalar(
                                                            name.replaceFirst("\\.$", ""))));
        } else {
            yaml.line(8, "- matchPattern: '*'");
        }
    }

    private static void requests(final YamlLines yaml, final DraftUse use) {
        if (!use.serverNames().isEmpty()) {
            yaml.line(6, "serverNames: " + YamlLines.list(use.serverNames()));
            return;
        }
        yaml.line(6, "rules:");
        if (!use.kafka().isEmpty()) {
            yaml.line(8, "kafka:");
            for (final DraftUse.KafkaUse kafka : use.kafka()) {
                yaml.line(
                        8,
                        "- {apiKey: "
                                + YamlLines.scalar(kafka.api())
                                + (kafka.topic().isEmpty()
                                        ? ""
                                        : ", topic: " + YamlLines.scalar(kafka.topic()))
                                + "}");
            }
        } else {
            yaml.line(8, "http:");
            for (final HttpUse.Rule http : use.http().rules()) {
                yaml.line(
                        8,
                        "- {method: "
                                + YamlLines.scalar(http.method())
                                + ", path: "
                                + YamlLines.scalar(http.path())
                                + "}");
            }
        }
    }
}
