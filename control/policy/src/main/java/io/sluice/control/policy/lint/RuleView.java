package io.sluice.control.policy.lint;

import io.sluice.control.policy.AdminPolicy;
import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.NetworkPolicy;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.SourceLocation;
import io.sluice.control.policy.VerdictProgram;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * One rule of any kind of policy, in the form in which lint compares rules. What it leaves out only
 * ever narrows the rule, and then {@code exact} is false.
 *
 * @param where place of the rule
 * @param action what it does
 * @param everyone whether it is about every peer, the world included
 * @param peers the peers as the kind has them: equal ones, in one namespace, are the same peers
 * @param ports destination ports; empty is every port of every protocol
 * @param exact whether it is about all packets that peers and ports say
 * @param l7 whether it allows some requests only
 */
record RuleView(
        SourceLocation where,
        CalicoPolicy.Action action,
        boolean everyone,
        Object peers,
        List<PortSpan> ports,
        boolean exact,
        boolean l7) {
    static final int DNS_PORT = 53;

    /** Where pods behind a Service serve names that may not open low ports. */
    private static final int DNS_TARGET_PORT = 5353;

    /** Protocol of a span that is of every protocol with ports. */
    static final int ANY_PROTOCOL = -1;

    /**
     * Ports in a row.
     *
     * @param protocol IP protocol number, or {@link #ANY_PROTOCOL}
     * @param from first; type * 256 + code for ICMP
     * @param to last, inclusive
     * @param name the port's name, then from and to are 0; empty for a numbered one
     */
    record PortSpan(int protocol, int from, int to, String name) {
        boolean covers(final PortSpan other) {
            return isOf(other.protocol)
                    && name.equals(other.name)
                    && from <= other.from
                    && other.to <= to;
        }

        boolean isDns() {
            return name.toLowerCase(Locale.ROOT).contains("dns")
                    || (name.isEmpty()
                            && from == to
                            && (from == DNS_PORT || from == DNS_TARGET_PORT));
        }

        boolean isOf(final int wanted) {
            return protocol == wanted || protocol == ANY_PROTOCOL;
        }

        /** How many ports it is. */
        int width() {
            return to - from + 1;
        }
    }

    /** Whether every packet that the other rule is about is one of this rule's. */
    boolean covers(final RuleView other) {
        return exact
                && (everyone || peers.equals(other.peers))
                && (ports.isEmpty()
                        || (!other.ports.isEmpty()
                                && other.ports.stream()
                                        .allMatch(
                                                port ->
                                                        ports.stream()
                                                                .anyMatch(p -> p.covers(port)))));
    }

    /** Whether it allows everyone everything. */
    boolean isAllowAll() {
        return action == CalicoPolicy.Action.ALLOW && everyone && ports.isEmpty() && exact && !l7;
    }

    /** Whether all its ports are those of name servers. */
    boolean isDns() {
        return !ports.isEmpty() && ports.stream().allMatch(PortSpan::isDns);
    }

    static List<RuleView> of(final NetworkPolicy policy, final PolicyDirection direction) {
        final List<RuleView> views = new ArrayList<>();
        for (final NetworkPolicy.Rule rule :
                direction == PolicyDirection.INGRESS ? policy.ingress() : policy.egress()) {
            views.add(
                    new RuleView(
                            rule.where(),
                            CalicoPolicy.Action.ALLOW,
                            rule.peers().isEmpty(),
                            rule.peers(),
                            rule.ports().stream().map(RuleView::span).toList(),
                            true,
                            false));
        }
        return views;
    }

    private static PortSpan span(final NetworkPolicy.Port port) {
        return switch (port) {
            case final NetworkPolicy.PortRange range ->
                    new PortSpan(range.protocol(), range.from(), range.to(), "");
            case final NetworkPolicy.PortName name ->
                    new PortSpan(name.protocol(), 0, 0, name.name());
        };
    }

    /** An entry is one rule for every item of its {@code toPorts}: each has its own L7 rules. */
    static List<RuleView> of(final CiliumPolicy.Side side) {
        final List<RuleView> views = new ArrayList<>();
        for (final CiliumPolicy.Entry entry : side.deny()) {
            views.addAll(of(entry, CalicoPolicy.Action.DENY));
        }
        for (final CiliumPolicy.Entry entry : side.allow()) {
            views.addAll(of(entry, CalicoPolicy.Action.ALLOW));
        }
        return views;
    }

    /** An entry of an allow list. */
    static List<RuleView> of(final CiliumPolicy.Entry entry) {
        return of(entry, CalicoPolicy.Action.ALLOW);
    }

    private static List<RuleView> of(
            final CiliumPolicy.Entry entry, final CalicoPolicy.Action action) {
        final boolean everyone =
                switch (entry.peers()) {
                    case CiliumPolicy.Anyone _ -> true;
                    case final CiliumPolicy.PeerEntities entities ->
                            entities.entities().contains(CiliumPolicy.Entity.ALL);
                    default -> false;
                };
        final boolean authenticated =
                entry.authentication() == CiliumPolicy.Authentication.REQUIRED
                        || entry.authentication() == CiliumPolicy.Authentication.TEST_ALWAYS_FAIL;
        if (entry.empty() || isNobody(entry.peers())) {
            return List.of();
        }
        if (entry.ports().isEmpty()) {
            return List.of(
                    new RuleView(
                            entry.where(),
                            action,
                            everyone,
                            entry.peers(),
                            List.of(),
                            !authenticated,
                            false));
        }
        final List<RuleView> views = new ArrayList<>();
        for (final CiliumPolicy.PortRule rule : entry.ports()) {
            final boolean whole = rule.restriction() == CiliumPolicy.Restriction.NONE;
            views.add(
                    new RuleView(
                            rule.where(),
                            action,
                            everyone,
                            entry.peers(),
                            rule.ports().stream().map(RuleView::span).toList(),
                            whole && !authenticated,
                            rule.restriction().isL7()));
        }
        return views;
    }

    /** An empty list of peers matches nothing. */
    private static boolean isNobody(final CiliumPolicy.Peers peers) {
        return switch (peers) {
            case final CiliumPolicy.PeerEndpoints endpoints -> endpoints.selectors().isEmpty();
            case final CiliumPolicy.PeerNodes nodes -> nodes.selectors().isEmpty();
            case final CiliumPolicy.PeerEntities entities ->
                    Set.of(CiliumPolicy.Entity.NONE).containsAll(entities.entities());
            case final CiliumPolicy.PeerCidrs cidrs -> cidrs.cidrs().isEmpty();
            case final CiliumPolicy.PeerServices services -> services.services().isEmpty();
            case final CiliumPolicy.PeerNames names -> names.names().isEmpty();
            case CiliumPolicy.PeerGroups _, CiliumPolicy.Anyone _ -> false;
        };
    }

    private static PortSpan span(final CiliumPolicy.Port port) {
        return switch (port) {
            case final CiliumPolicy.PortRange range ->
                    new PortSpan(range.protocol(), range.from(), range.to(), "");
            case final CiliumPolicy.PortName name ->
                    new PortSpan(name.protocol(), 0, 0, name.name());
            case final CiliumPolicy.WholeProtocol whole ->
                    new PortSpan(whole.protocol(), 0, VerdictProgram.PORT_MAX, "");
        };
    }

    static List<RuleView> of(final List<AdminPolicy.Rule> rules) {
        final List<RuleView> views = new ArrayList<>();
        for (final AdminPolicy.Rule rule : rules) {
            views.add(
                    new RuleView(
                            rule.where(),
                            switch (rule.action()) {
                                case ACCEPT -> CalicoPolicy.Action.ALLOW;
                                case DENY -> CalicoPolicy.Action.DENY;
                                case PASS -> CalicoPolicy.Action.PASS;
                            },
                            isEveryone(rule.peers()),
                            rule.peers(),
                            rule.ports().stream().map(RuleView::span).toList(),
                            true,
                            false));
        }
        return views;
    }

    private static boolean isEveryone(final List<AdminPolicy.Peer> peers) {
        final List<Cidr> cidrs = new ArrayList<>();
        for (final AdminPolicy.Peer peer : peers) {
            if (peer instanceof final AdminPolicy.Networks networks) {
                cidrs.addAll(networks.cidrs());
            }
        }
        return cidrs.containsAll(List.of(Cidr.ALL_IPV4, Cidr.ALL_IPV6));
    }

    private static PortSpan span(final AdminPolicy.Port port) {
        return switch (port) {
            case final AdminPolicy.PortRange range ->
                    new PortSpan(range.protocol(), range.from(), range.to(), "");
            case final AdminPolicy.PortName name -> new PortSpan(ANY_PROTOCOL, 0, 0, name.name());
        };
    }

    static List<RuleView> of(final CalicoPolicy policy, final PolicyDirection direction) {
        final List<RuleView> views = new ArrayList<>();
        for (final CalicoPolicy.Rule rule : policy.rules(direction)) {
            final CalicoPolicy.Entity peer =
                    direction == PolicyDirection.INGRESS ? rule.source() : rule.destination();
            final CalicoPolicy.Entity self =
                    direction == PolicyDirection.INGRESS ? rule.destination() : rule.source();
            final CalicoPolicy.Entity peerOnly = withoutPorts(peer);
            final boolean exact =
                    rule.ipVersion().isEmpty()
                            && rule.notProtocol().isEmpty()
                            && rule.icmp().isEmpty()
                            && rule.notIcmp().isEmpty()
                            && rule.http().isEmpty()
                            && rule.protocol().filter(CalicoPolicy.Protocol::tls).isEmpty()
                            && rule.source().ports().isEmpty()
                            && rule.source().notPorts().isEmpty()
                            && rule.destination().notPorts().isEmpty()
                            && withoutPorts(self).equals(CalicoPolicy.Entity.ANY);
            views.add(
                    new RuleView(
                            rule.where(),
                            rule.action(),
                            peerOnly.equals(CalicoPolicy.Entity.ANY),
                            peerOnly,
                            spans(rule.protocol(), rule.destination().ports()),
                            exact,
                            rule.http().isPresent()));
        }
        return views;
    }

    private static CalicoPolicy.Entity withoutPorts(final CalicoPolicy.Entity entity) {
        return new CalicoPolicy.Entity(
                entity.nets(),
                entity.notNets(),
                entity.selector(),
                entity.notSelector(),
                entity.namespaceSelector(),
                entity.serviceAccounts(),
                List.of(),
                List.of(),
                entity.service(),
                entity.domains());
    }

    private static List<PortSpan> spans(
            final Optional<CalicoPolicy.Protocol> protocol, final List<CalicoPolicy.Port> ports) {
        final int number = protocol.map(CalicoPolicy.Protocol::number).orElse(ANY_PROTOCOL);
        if (ports.isEmpty()) {
            return number == ANY_PROTOCOL
                    ? List.of()
                    : List.of(new PortSpan(number, 0, VerdictProgram.PORT_MAX, ""));
        }
        return ports.stream()
                .map(
                        port ->
                                switch (port) {
                                    case final CalicoPolicy.PortRange range ->
                                            new PortSpan(number, range.from(), range.to(), "");
                                    case final CalicoPolicy.PortName name ->
                                            new PortSpan(number, 0, 0, name.name());
                                })
                .toList();
    }

    /** Whether it allows the port of DNS by number or name. */
    boolean namesDns(final int protocol) {
        return action == CalicoPolicy.Action.ALLOW
                && ports.stream().anyMatch(port -> port.isDns() && port.isOf(protocol));
    }

    /** Whether it allows the port of DNS to whoever its peers are. */
    boolean mayAllowDns(final int protocol) {
        return allows(protocol, DNS_PORT);
    }

    private boolean allows(final int protocol, final int port) {
        final PortSpan wanted = new PortSpan(protocol, port, port, "");
        return action == CalicoPolicy.Action.ALLOW
                && (ports.isEmpty() || ports.stream().anyMatch(span -> span.covers(wanted)));
    }

    /** Whether it lets a TCP port in. */
    boolean allowsTcp(final int port) {
        return allows(IpProtocol.TCP, port);
    }
}
