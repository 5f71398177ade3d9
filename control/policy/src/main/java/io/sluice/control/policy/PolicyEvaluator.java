package io.sluice.control.policy;

import io.sluice.control.policy.Evaluation.RequestAnswer;
import io.sluice.control.policy.Evaluation.Verdict;
import io.sluice.control.policy.HostPolicies.Asked;
import io.sluice.control.policy.HostPolicies.Host;
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

    /** Before the name of a node that a pod of namespace {@code default} has as well. */
    static final String NODE_PREFIX = "Node/";

    /** First port that systems give to clients (RFC 6335 section 6). */
    static final int EPHEMERAL_PORT = 49_152;

    private final World world;
    private final PolicySet policies;

    /**
     * Pods that were asked about: a stream of probes asks about the same ones again and again. Of
     * two threads that add to it at once one is forgotten, and asks again.
     */
    private volatile PersistentMap<String, End> podEnds = PersistentMap.empty();

    /** An evaluator of a world compiled by {@link PolicyCompiler}. */
    public PolicyEvaluator(final World world, final PolicySet policies) {
        this.world = world;
        this.policies = policies;
    }

    private Optional<End> podEnd(final Pod pod) {
        final String path = pod.ref().path();
        final End known = podEnds.get(path);
        if (known != null) {
            return Optional.of(known);
        }
        final Optional<End> end =
                policies.subject(pod.ref())
                        .map(
                                subject ->
                                        new End(
                                                path,
                                                Optional.of(pod),
                                                Optional.of(subject),
                                                Optional.empty(),
                                                pod.addresses(),
                                                numbers(pod.addresses()),
                                                subject.identity()));
        end.ifPresent(made -> podEnds = podEnds.with(path, made));
        return end;
    }

    private List<Integer> numbers(final List<IpAddress> addresses) {
        return addresses.stream().map(policies::numberAt).toList();
    }

    /**
     * One end of a probe.
     *
     * @param text as it was asked for
     * @param pod the endpoint; empty if the end is none
     * @param subject its policy; empty if the end is no endpoint
     * @param host the end of a node that it is, where it is one
     * @param addresses the address asked for, or all that the pod has
     * @param numbers identities of these
     * @param identity identity where the pod has no address
     */
    record End(
            String text,
            Optional<Pod> pod,
            Optional<PolicySet.Subject> subject,
            Optional<Host> host,
            List<IpAddress> addresses,
            List<Integer> numbers,
            int identity) {
        /** The node that it is or is on; empty where that is unknown, or it is outside. */
        String node() {
            return host.map(Host::node).or(() -> pod.map(Pod::nodeName)).orElse("");
        }

        /** Its ports with names. */
        List<Pod.NamedPort> ports() {
            return pod.map(Pod::ports)
                    .or(() -> host.flatMap(Host::endpoint).map(CalicoPolicy.HostEndpoint::ports))
                    .orElse(List.of());
        }

        private boolean isHost() {
            return host.isPresent() && pod.isEmpty();
        }

        private HostPolicies.Place place() {
            return new HostPolicies.Place(pod.isPresent(), node(), host);
        }
    }

    /** A probe whose every name is looked up. */
    record Question(
            End from,
            End to,
            int fromIdentity,
            int toIdentity,
            int protocol,
            int sourcePort,
            int port,
            String toName) {
        boolean isSelf() {
            return from.pod.isPresent()
                    && to.pod.isPresent()
                    && from.pod.get().ref().equals(to.pod.get().ref());
        }

        End subject(final PolicyDirection direction) {
            return direction == PolicyDirection.EGRESS ? from : to;
        }

        int peerIdentity(final PolicyDirection direction) {
            return direction == PolicyDirection.EGRESS ? toIdentity : fromIdentity;
        }

        int ownIdentity(final PolicyDirection direction) {
            return direction == PolicyDirection.EGRESS ? fromIdentity : toIdentity;
        }
    }

    /**
     * The verdict of one probe.
     *
     * @throws ProbeException if the probe makes no sense in this world
     */
    public Evaluation evaluate(final Probe probe) throws ProbeException {
        return evaluate(question(probe), probe);
    }

    private Evaluation evaluate(final Question question, final Probe probe) {
        if (question.isSelf()) {
            return of(probe, SELF, SELF, Optional.empty());
        }
        return of(
                probe,
                entry(question, PolicyDirection.EGRESS),
                entry(question, PolicyDirection.INGRESS),
                pending(question));
    }

    private static Evaluation of(
            final Probe probe,
            final PolicyEntry egress,
            final PolicyEntry ingress,
            final Optional<Evaluation.Pending> pending) {
        if (!egress.isAllowed() || !ingress.isAllowed()) {
            return new Evaluation(
                    false,
                    Verdict.DROPPED,
                    egress.isAllowed() ? ingress.reason() : egress.reason(),
                    egress,
                    ingress,
                    Optional.empty(),
                    pending);
        }
        final RequestJudge judge = new RequestJudge(probe.l7());
        final Optional<RequestAnswer> request = answer(judge, egress, ingress);
        final boolean allowed = request.map(RequestAnswer::allowed).orElse(true);
        final boolean audit =
                allowed
                        && (isDeniedUnderAudit(judge, egress)
                                || isDeniedUnderAudit(judge, ingress));
        final boolean proxied = egress.redirect().isPresent() || ingress.redirect().isPresent();
        return new Evaluation(
                allowed,
                audit ? Verdict.AUDIT : proxied ? Verdict.REDIRECTED : Verdict.FORWARDED,
                PolicyEntry.Reason.NONE,
                egress,
                ingress,
                request,
                pending);
    }

    /** One proxy asks both ends' rules; the first refusal is the answer. */
    private static Optional<RequestAnswer> answer(
            final RequestJudge judge, final PolicyEntry egress, final PolicyEntry ingress) {
        final Optional<RequestAnswer> ofEgress = judge.judge(egress);
        final Optional<RequestAnswer> ofIngress = judge.judge(ingress);
        return ofEgress.filter(answer -> !answer.allowed()).or(() -> ofIngress).or(() -> ofEgress);
    }

    private static boolean isDeniedUnderAudit(final RequestJudge judge, final PolicyEntry entry) {
        return entry.audited()
                .map(
                        audited ->
                                !audited.isAllowed()
                                        || judge.judge(audited)
                                                .map(answer -> !answer.allowed())
                                                .orElse(false))
                .orElse(false);
    }

    private PolicyEntry entry(final Question question, final PolicyDirection direction) {
        final End end = question.subject(direction);
        final List<Asked> nodes = asked(question, direction);
        if (nodes.isEmpty()) {
            return end.subject
                    .map(policy -> policy.side(direction))
                    .map(side -> entry(question, direction, side.chain(), side.map()))
                    .orElse(NOT_AN_ENDPOINT);
        }
        final List<PolicyEntry> entries = new ArrayList<>();
        if (end.subject.isPresent()) {
            final SubjectSide.Result side = end.subject.get().side(direction);
            entries.add(entry(question, direction, side.chain(), side.map()));
        }
        for (final Asked asked : nodes) {
            entries.add(entry(question, asked, asked.side().chain()));
        }
        return PolicyEntry.allOf(entries);
    }

    /** What would be if the staged policies were enforced; empty where none concerns the end. */
    private Optional<PolicyEntry> pending(
            final Question question, final PolicyDirection direction) {
        final End end = question.subject(direction);
        final List<Asked> nodes = asked(question, direction);
        if (nodes.isEmpty()) {
            return end.subject
                    .flatMap(policy -> policy.side(direction).pending())
                    .map(own -> entry(question, direction, own.chain(), own.map()));
        }
        final List<PolicyEntry> entries = new ArrayList<>();
        boolean staged = false;
        if (end.subject.isPresent()) {
            final SubjectSide.Result side = end.subject.get().side(direction);
            staged = side.pending().isPresent();
            entries.add(
                    side.pending()
                            .map(p -> entry(question, direction, p.chain(), p.map()))
                            .orElseGet(() -> entry(question, direction, side.chain(), side.map())));
        }
        for (final Asked asked : nodes) {
            staged |= asked.side().pending().isPresent();
            entries.add(
                    entry(question, asked, asked.side().pending().orElse(asked.side().chain())));
        }
        return staged ? Optional.of(PolicyEntry.allOf(entries)) : Optional.empty();
    }

    /** What the node of an end is asked; of a node's own end its own policy comes first. */
    List<Asked> asked(final Question question, final PolicyDirection direction) {
        if (policies.hosts().isEmpty()) {
            return List.of();
        }
        final Optional<PeerFacts> from = policies.facts(question.fromIdentity);
        final Optional<PeerFacts> to =
                policies.facts(question.toIdentity).map(facts -> named(facts, question));
        return from.isEmpty() || to.isEmpty()
                ? List.of()
                : policies.hosts()
                        .asked(
                                direction,
                                question.from.place(),
                                from.get(),
                                question.to.place(),
                                to.get());
    }

    /** The destination as policy sees it once it was learned from the name of the probe. */
    private PeerFacts named(final PeerFacts destination, final Question question) {
        return question.toName.isEmpty()
                ? destination
                : policies.learned(destination, question.toName);
    }

    private PolicyEntry entry(final Question question, final Asked asked, final RuleChain chain) {
        return policies.hosts()
                .program(chain, asked.peer())
                .lookup(question.protocol, question.sourcePort, question.port);
    }

    /** The peer as the rules of an endpoint see it. */
    Optional<PeerFacts> peerFacts(final Question question, final PolicyDirection direction) {
        final Optional<PeerFacts> known = policies.facts(question.peerIdentity(direction));
        return direction == PolicyDirection.EGRESS
                ? known.map(facts -> named(facts, question))
                : known;
    }

    /** The endpoint itself, at the address that is asked about. */
    Optional<PeerFacts> ownFacts(final Question question, final PolicyDirection direction) {
        return policies.facts(question.ownIdentity(direction));
    }

    private PolicyEntry entry(
            final Question question,
            final PolicyDirection direction,
            final RuleChain chain,
            final PolicyMap map) {
        final int identity = question.peerIdentity(direction);
        VerdictProgram program = map.program(identity);
        if (direction == PolicyDirection.EGRESS && !question.toName.isEmpty()) {
            final Optional<PeerFacts> known = policies.facts(identity);
            if (known.isPresent()) {
                final PeerFacts learned = policies.learned(known.get(), question.toName);
                program = chain.program(chain.matching(learned), learned.ports());
            }
        }
        return program.lookup(question.protocol, question.sourcePort, question.port);
    }

    private Optional<Evaluation.Pending> pending(final Question question) {
        final Optional<PolicyEntry> egress = pending(question, PolicyDirection.EGRESS);
        final Optional<PolicyEntry> ingress = pending(question, PolicyDirection.INGRESS);
        if (egress.isEmpty() && ingress.isEmpty()) {
            return Optional.empty();
        }
        final PolicyEntry out = egress.orElseGet(() -> entry(question, PolicyDirection.EGRESS));
        final PolicyEntry in = ingress.orElseGet(() -> entry(question, PolicyDirection.INGRESS));
        return Optional.of(new Evaluation.Pending(out.isAllowed() && in.isAllowed(), out, in));
    }

    private static final PolicyEntry SELF = PolicyEntry.allow(Author.SELF);
    private static final PolicyEntry NOT_AN_ENDPOINT = PolicyEntry.allow(Author.NOT_AN_ENDPOINT);

    /** A probe with its names looked up. */
    Question question(final Probe probe) throws ProbeException {
        final End from = end("from", probe.from());
        final End to = end("to", probe.to());
        if (!isJudged(from) && !isJudged(to)) {
            throw new ProbeException(
                    "neither "
                            + probe.from()
                            + " nor "
                            + probe.to()
                            + " is an endpoint: no policy applies between them");
        }
        final int protocol = protocol(probe);
        final int port = port(probe, protocol, to);
        final int sourcePort = sourcePort(probe, protocol);
        final String toName = probe.l7().getOrDefault("toName", "");
        if (from.addresses.isEmpty() || to.addresses.isEmpty()) {
            return new Question(
                    from, to, from.identity, to.identity, protocol, sourcePort, port, toName);
        }
        for (int t = 0; t < to.addresses.size(); t++) {
            for (int f = 0; f < from.addresses.size(); f++) {
                final IpAddress address = to.addresses.get(t);
                if (from.addresses.get(f).isIpv4() == address.isIpv4()
                        && protocolFits(protocol, address)) {
                    return new Question(
                            at(from, f),
                            at(to, t),
                            from.numbers.get(f),
                            to.numbers.get(t),
                            protocol,
                            sourcePort,
                            port,
                            toName);
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

    /** The end at one of its addresses: those of a node can have different host endpoints. */
    private End at(final End end, final int position) {
        return end.isHost()
                ? new End(
                        end.text,
                        end.pod,
                        end.subject,
                        policies.hosts().at(end.addresses.get(position)).or(end::host),
                        end.addresses,
                        end.numbers,
                        end.identity)
                : end;
    }

    /** Whether any policy can apply to an end. */
    private boolean isJudged(final End end) {
        return end.pod.isPresent() || end.host.filter(policies.hosts()::judges).isPresent();
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
            throw new ProbeException(field + ": must be namespace/pod, a node or an IP address");
        }
        final End known = podEnds.get(text);
        if (known != null) {
            return known;
        }
        final Optional<IpAddress> address = IpAddress.parse(text);
        if (address.isPresent()) {
            final Optional<Pod> pod = world.podAt(address.get());
            final int number = policies.numberAt(address.get());
            return new End(
                    text,
                    pod,
                    pod.flatMap(p -> policies.subject(p.ref())),
                    pod.isPresent() ? Optional.empty() : policies.hosts().at(address.get()),
                    List.of(address.get()),
                    List.of(number),
                    number);
        }
        if (text.startsWith(NODE_PREFIX)) {
            return node(field, text.substring(NODE_PREFIX.length()))
                    .orElseThrow(
                            () ->
                                    new ProbeException(
                                            field
                                                    + ": there is no node "
                                                    + text.substring(NODE_PREFIX.length())
                                                    + " whose address is known"));
        }
        final int slash = text.indexOf('/');
        final String namespace = slash < 0 ? "default" : text.substring(0, slash);
        final String name = text.substring(slash + 1);
        final Optional<Pod> pod = world.lookupPod(namespace, name);
        if (pod.isEmpty()) {
            final Optional<End> node = slash < 0 ? node(field, text) : Optional.empty();
            if (node.isPresent()) {
                return node.get();
            }
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

    /** A node by its name; empty where there is none. */
    private Optional<End> node(final String field, final String name) throws ProbeException {
        final Optional<Host> host = policies.hosts().ofNode(name);
        if (host.isEmpty()) {
            return Optional.empty();
        }
        final List<IpAddress> addresses = List.copyOf(policies.hosts().addressesOf(name));
        if (addresses.isEmpty()) {
            throw new ProbeException(
                    field + ": nothing says at what address the node " + name + " is");
        }
        return Optional.of(
                new End(
                        name,
                        Optional.empty(),
                        Optional.empty(),
                        host,
                        addresses,
                        numbers(addresses),
                        policies.numberAt(addresses.getFirst())));
    }

    /** The nodes whose own traffic policy has a say in, as far as their addresses are known. */
    List<ReachabilityMatrix.Row> judgedNodes() {
        final List<ReachabilityMatrix.Row> rows = new ArrayList<>();
        for (final String name : policies.hosts().judged()) {
            final List<IpAddress> addresses = List.copyOf(policies.hosts().addressesOf(name));
            if (!addresses.isEmpty()) {
                rows.add(
                        new ReachabilityMatrix.Row(
                                new ObjectRef("Node", "", name),
                                NODE_PREFIX + name,
                                addresses,
                                policies.hosts()
                                        .ofNode(name)
                                        .flatMap(Host::endpoint)
                                        .map(CalicoPolicy.HostEndpoint::ports)
                                        .orElse(List.of())));
            }
        }
        return List.copyOf(rows);
    }

    private End end(final String field, final String text, final Pod pod) throws ProbeException {
        if (pod.isTerminated()) {
            throw new ProbeException(field + ": pod " + text + " has ended: " + pod.phase());
        }
        if (pod.hostNetwork()) {
            // It has its node's addresses, and to policy it is the node.
            final List<IpAddress> addresses =
                    pod.addresses().stream()
                            .filter(at -> policies.numberAt(at) != Identity.WORLD_IPV4)
                            .filter(at -> policies.numberAt(at) != Identity.WORLD_IPV6)
                            .toList();
            return new End(
                    text,
                    Optional.empty(),
                    Optional.empty(),
                    addresses.stream()
                            .findFirst()
                            .flatMap(policies.hosts()::at)
                            .or(() -> policies.hosts().ofNode(pod.nodeName())),
                    addresses,
                    numbers(addresses),
                    Identity.HOST);
        }
        return podEnd(pod)
                .orElseThrow(
                        () ->
                                new ProbeException(
                                        field
                                                + ": pod "
                                                + text
                                                + " is not part of the compiled policy"));
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
        for (final Pod.NamedPort port : to.ports()) {
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

    private static int sourcePort(final Probe probe, final int protocol) throws ProbeException {
        if (!IpProtocol.hasPorts(protocol)) {
            return 0;
        }
        if (probe.sourcePort() == Probe.NOT_GIVEN) {
            return EPHEMERAL_PORT;
        }
        if (probe.sourcePort() < 1 || probe.sourcePort() > VerdictProgram.PORT_MAX) {
            throw new ProbeException("sourcePort: must be 1 to 65535");
        }
        return probe.sourcePort();
    }

    /**
     * Who decided, what nearly decided otherwise, and the whole chain: per direction, tier by tier,
     * the policies that select the subject, their rules, which matched and why the others did not.
     *
     * @throws ProbeException if the probe makes no sense in this world
     */
    public Explanation explain(final Probe probe) throws ProbeException {
        return explainer(probe).explain();
    }

    PolicyExplainer explainer(final Probe probe) throws ProbeException {
        final Question question = question(probe);
        return new PolicyExplainer(
                world, policies, this, question, probe, evaluate(question, probe));
    }
}
