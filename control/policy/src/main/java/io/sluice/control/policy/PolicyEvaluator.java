package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Answers probes from the compiled maps, the same ones that the data plane reads.
 *
 * <p>Two things that a packet shows and an identity does not are decided here: a pod to itself is
 * always allowed, and an end that is no endpoint has no policy of its own. Immutable, any thread.
 */
public final class PolicyEvaluator {
    private static final int ICMP_ECHO_REQUEST = 8;
    private static final int ICMPV6_ECHO_REQUEST = 128;
    private static final int BYTE_MAX = 255;

    private final World world;
    private final PolicySet policies;

    /** An evaluator of a world compiled by {@link PolicyCompiler}. */
    public PolicyEvaluator(final World world, final PolicySet policies) {
        this.world = world;
        this.policies = policies;
    }

    /**
     * One end of a probe.
     *
     * @param text as it was asked for
     * @param pod the endpoint; empty if the end is none
     * @param addresses the address asked for, or all that the pod has
     * @param identity identity where the pod has no address; that of the address otherwise
     */
    private record End(String text, Optional<Pod> pod, List<IpAddress> addresses, int identity) {}

    /** A probe whose every name is looked up. */
    private record Question(
            End from, End to, int fromIdentity, int toIdentity, int protocol, int port) {}

    /**
     * The verdict of one probe.
     *
     * @throws ProbeException if the probe makes no sense in this world
     */
    public Evaluation evaluate(final Probe probe) throws ProbeException {
        return evaluate(question(probe));
    }

    private Evaluation evaluate(final Question question) {
        if (isSelf(question)) {
            return Evaluation.of(PolicyEntry.allow(Author.SELF), PolicyEntry.allow(Author.SELF));
        }
        return Evaluation.of(
                entry(question, PolicyDirection.EGRESS), entry(question, PolicyDirection.INGRESS));
    }

    private static boolean isSelf(final Question question) {
        return question.from.pod.isPresent()
                && question.to.pod.isPresent()
                && question.from.pod.get().ref().equals(question.to.pod.get().ref());
    }

    private PolicyEntry entry(final Question question, final PolicyDirection direction) {
        final Optional<Pod> subject = subject(question, direction);
        final Optional<PolicyMap> map =
                subject.flatMap(pod -> policies.policyMap(pod.ref(), direction));
        return map.map(
                        policyMap ->
                                policyMap
                                        .program(peer(question, direction))
                                        .lookup(question.protocol, question.port))
                .orElse(PolicyEntry.allow(Author.NOT_AN_ENDPOINT));
    }

    private static Optional<Pod> subject(final Question question, final PolicyDirection direction) {
        return switch (direction) {
            case EGRESS -> question.from.pod;
            case INGRESS -> question.to.pod;
        };
    }

    private static int peer(final Question question, final PolicyDirection direction) {
        return switch (direction) {
            case EGRESS -> question.toIdentity;
            case INGRESS -> question.fromIdentity;
        };
    }

    private Question question(final Probe probe) throws ProbeException {
        final End from = end("from", probe.from());
        final End to = end("to", probe.to());
        if (from.pod.isEmpty() && to.pod.isEmpty()) {
            throw new ProbeException(
                    "neither "
                            + probe.from()
                            + " nor "
                            + probe.to()
                            + " is an endpoint: no policy applies between them");
        }
        final int protocol = protocol(probe);
        final int port = port(probe, protocol, to);
        if (from.addresses.isEmpty() || to.addresses.isEmpty()) {
            return new Question(from, to, from.identity, to.identity, protocol, port);
        }
        for (final IpAddress toAddress : to.addresses) {
            for (final IpAddress fromAddress : from.addresses) {
                if (fromAddress.isIpv4() == toAddress.isIpv4()
                        && protocolFits(protocol, toAddress)) {
                    return new Question(
                            from,
                            to,
                            policies.identityAt(fromAddress).number(),
                            policies.identityAt(toAddress).number(),
                            protocol,
                            port);
                }
            }
        }
        throw new ProbeException(
                from.text
                        + " "
                        + from.addresses
                        + " and "
                        + to.text
                        + " "
                        + to.addresses
                        + " have no addresses of one family that "
                        + IpProtocol.nameOf(protocol)
                        + " goes over");
    }

    private static boolean protocolFits(final int protocol, final IpAddress address) {
        return switch (protocol) {
            case IpProtocol.ICMP -> address.isIpv4();
            case IpProtocol.ICMPV6 -> !address.isIpv4();
            default -> true;
        };
    }

    private End end(final String field, final String text) throws ProbeException {
        if (text.isEmpty()) {
            throw new ProbeException(field + ": must be namespace/pod or an IP address");
        }
        final Optional<IpAddress> address = IpAddress.parse(text);
        if (address.isPresent()) {
            return new End(
                    text,
                    world.podAt(address.get()),
                    List.of(address.get()),
                    policies.identityAt(address.get()).number());
        }
        final int slash = text.indexOf('/');
        final String namespace = slash < 0 ? "default" : text.substring(0, slash);
        final String name = text.substring(slash + 1);
        final Optional<Pod> pod = world.lookupPod(namespace, name);
        if (pod.isEmpty()) {
            final List<String> names = world.pods().stream().map(p -> p.ref().path()).toList();
            throw new ProbeException(
                    field
                            + ": there is no pod "
                            + namespace
                            + "/"
                            + name
                            + Fields.nearest(namespace + "/" + name, names)
                                    .map(near -> ": did you mean " + near + "?")
                                    .orElse(""));
        }
        return end(field, text, pod.get());
    }

    private End end(final String field, final String text, final Pod pod) throws ProbeException {
        if (pod.isTerminated()) {
            throw new ProbeException(field + ": pod " + text + " has ended: " + pod.phase());
        }
        if (pod.hostNetwork()) {
            // It has its node's addresses, and to policy it is the node.
            final List<IpAddress> addresses =
                    pod.addresses().stream()
                            .filter(at -> policies.identityAt(at).number() != Identity.WORLD_IPV4)
                            .filter(at -> policies.identityAt(at).number() != Identity.WORLD_IPV6)
                            .toList();
            return new End(text, Optional.empty(), addresses, Identity.HOST);
        }
        final int identity =
                policies.identityOf(pod.ref())
                        .map(Identity::number)
                        .orElseThrow(
                                () ->
                                        new ProbeException(
                                                field
                                                        + ": pod "
                                                        + text
                                                        + " is not part of the compiled policy"));
        return new End(text, Optional.of(pod), pod.addresses(), identity);
    }

    private static int protocol(final Probe probe) throws ProbeException {
        int protocol = IpProtocol.parse(probe.protocol());
        if (protocol == IpProtocol.UNKNOWN && isNumber(probe.protocol())) {
            protocol = Integer.parseInt(probe.protocol());
        }
        if (protocol < 0 || protocol > BYTE_MAX) {
            throw new ProbeException(
                    "protocol: \""
                            + probe.protocol()
                            + "\" is unknown: accepted: TCP, UDP, SCTP, ICMP, ICMPv6, 0 to 255");
        }
        return protocol;
    }

    private static int port(final Probe probe, final int protocol, final End to)
            throws ProbeException {
        if (IpProtocol.isIcmp(protocol)) {
            final int echo = protocol == IpProtocol.ICMP ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
            final int type = probe.icmpType() == Probe.NOT_GIVEN ? echo : probe.icmpType();
            final int code = probe.icmpCode() == Probe.NOT_GIVEN ? 0 : probe.icmpCode();
            if (type < 0 || type > BYTE_MAX || code < 0 || code > BYTE_MAX) {
                throw new ProbeException("icmp: type and code must be 0 to 255");
            }
            return type << 8 | code;
        }
        if (!IpProtocol.hasPorts(protocol)) {
            if (!probe.port().isEmpty() && !probe.port().equals("0")) {
                throw new ProbeException(
                        "port: protocol " + IpProtocol.nameOf(protocol) + " has no ports");
            }
            return 0;
        }
        if (isNumber(probe.port())) {
            final int port = Integer.parseInt(probe.port());
            if (port >= 1 && port <= VerdictProgram.PORT_MAX) {
                return port;
            }
        } else if (!probe.port().isEmpty()) {
            return namedPort(probe.port(), protocol, to);
        }
        throw new ProbeException(
                "port: \""
                        + probe.port()
                        + "\": "
                        + IpProtocol.nameOf(protocol)
                        + " needs a port from 1 to 65535, or the name of one on the destination");
    }

    private static int namedPort(final String name, final int protocol, final End to)
            throws ProbeException {
        for (final Pod.NamedPort port : to.pod.map(Pod::ports).orElse(List.of())) {
            if (port.name().equals(name) && port.protocol() == protocol) {
                return port.port();
            }
        }
        throw new ProbeException(
                "port: "
                        + to.text
                        + " has no port named \""
                        + name
                        + "\" for "
                        + IpProtocol.nameOf(protocol));
    }

    private static boolean isNumber(final String text) {
        return !text.isEmpty()
                && text.length() <= 5
                && text.chars().allMatch(c -> c >= '0' && c <= '9');
    }

    /**
     * The whole chain as lines of text: per direction the policies that select the subject, their
     * rules, which matched and why the others did not, and the final author.
     *
     * @throws ProbeException if the probe makes no sense in this world
     */
    public List<String> explain(final Probe probe) throws ProbeException {
        final Question question = question(probe);
        final Evaluation evaluation = evaluate(question);
        final List<String> lines = new ArrayList<>();
        lines.add(
                probe.from()
                        + " -> "
                        + probe.to()
                        + " "
                        + packet(question)
                        + ": "
                        + evaluation.verdict()
                        + (evaluation.allowed() ? "" : " (" + evaluation.reason() + ")"));
        if (isSelf(question)) {
            lines.add("  a pod to itself: no policy applies");
            return lines;
        }
        for (final PolicyDirection direction :
                List.of(PolicyDirection.EGRESS, PolicyDirection.INGRESS)) {
            explain(question, direction, lines);
        }
        return lines;
    }

    private static String packet(final Question question) {
        if (IpProtocol.isIcmp(question.protocol)) {
            return IpProtocol.nameOf(question.protocol)
                    + " type "
                    + (question.port >> 8)
                    + " code "
                    + (question.port & BYTE_MAX);
        }
        return IpProtocol.hasPorts(question.protocol)
                ? question.port + "/" + IpProtocol.nameOf(question.protocol)
                : "protocol " + IpProtocol.nameOf(question.protocol);
    }

    private void explain(
            final Question question, final PolicyDirection direction, final List<String> lines) {
        final PolicyEntry answer = entry(question, direction);
        final End subject =
                switch (direction) {
                    case EGRESS -> question.from;
                    case INGRESS -> question.to;
                };
        final int peerNumber = peer(question, direction);
        lines.add(
                direction.field()
                        + " of "
                        + subject.text
                        + ": "
                        + answer.verdict()
                        + (answer.isAllowed() ? "" : " " + answer.reason())
                        + ", by "
                        + answer.by());
        if (subject.pod.isEmpty()) {
            return;
        }
        lines.add(
                "  peer: identity "
                        + peerNumber
                        + policies.identity(peerNumber)
                                .map(identity -> " " + identity.labels())
                                .orElse(""));
        final List<PolicyStatement> statements =
                policies.side(subject.pod.get().ref(), direction)
                        .map(PolicySet.Side::statements)
                        .orElse(List.of());
        if (statements.isEmpty()) {
            lines.add("  no policy selects the endpoint in this direction");
        }
        final Optional<PeerFacts> peer = policies.facts(peerNumber);
        for (final PolicyStatement statement : statements) {
            lines.add(
                    "  tier "
                            + PolicyTier.DEFAULT_NAME
                            + ": "
                            + statement.policy().ref()
                            + " ("
                            + statement.policy().where()
                            + ")"
                            + (statement.isolates() ? "" : ", does not isolate"));
            if (statement.rules().isEmpty()) {
                lines.add("    no rules");
            }
            for (final PolicyRule rule : statement.rules()) {
                lines.add("    " + explainRule(question, direction, rule, peer));
            }
        }
    }

    private static String explainRule(
            final Question question,
            final PolicyDirection direction,
            final PolicyRule rule,
            final Optional<PeerFacts> peer) {
        final Author by = rule.entry().by();
        final String name = by.list() + "[" + by.rule() + "] (line " + by.line() + "): ";
        final boolean peerMatches =
                peer.map(facts -> rule.peers().matches(facts))
                        .orElse(rule.peers().equals(PeerMatch.EVERYONE));
        if (!peerMatches) {
            return name + "no match: the peer is not " + rule.peers();
        }
        final Optional<PeerFacts> destination =
                direction == PolicyDirection.EGRESS ? peer : Optional.empty();
        if (!portMatches(question, rule, destination)) {
            return name
                    + "no match: the peer is "
                    + rule.peers()
                    + ", but the port is not "
                    + String.join(", ", rule.ports().stream().map(PortMatch::toString).toList());
        }
        return name
                + "match: "
                + rule.entry().verdict()
                + (rule.entry().isAllowed() ? "" : " " + rule.entry().reason())
                + " "
                + rule.peers()
                + (rule.ports().isEmpty()
                        ? " at every port"
                        : " at "
                                + String.join(
                                        ", ",
                                        rule.ports().stream().map(PortMatch::toString).toList()));
    }

    private static boolean portMatches(
            final Question question,
            final PolicyRule rule,
            final Optional<PeerFacts> egressDestination) {
        if (rule.ports().isEmpty()) {
            return true;
        }
        final List<Pod.NamedPort> named =
                egressDestination
                        .map(facts -> List.copyOf(facts.ports()))
                        .orElseGet(() -> question.to.pod.map(Pod::ports).orElse(List.of()));
        for (final PortMatch port : rule.ports()) {
            final boolean matches =
                    switch (port) {
                        case final PortMatch.Range range ->
                                range.protocol() == question.protocol
                                        && range.from() <= question.port
                                        && question.port <= range.to();
                        case final PortMatch.Named name ->
                                name.protocol() == question.protocol
                                        && named.contains(
                                                new Pod.NamedPort(
                                                        name.name(),
                                                        question.protocol,
                                                        question.port));
                    };
            if (matches) {
                return true;
            }
        }
        return false;
    }
}
