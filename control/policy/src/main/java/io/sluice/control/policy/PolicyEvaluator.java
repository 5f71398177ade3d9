package io.sluice.control.policy;

import io.sluice.control.policy.Evaluation.RequestAnswer;
import io.sluice.control.policy.Evaluation.Verdict;
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
     * @param addresses the address asked for, or all that the pod has
     * @param numbers identities of these
     * @param identity identity where the pod has no address
     */
    record End(
            String text,
            Optional<Pod> pod,
            Optional<PolicySet.Subject> subject,
            List<IpAddress> addresses,
            List<Integer> numbers,
            int identity) {}

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
        final Optional<PolicySet.Subject> subject = question.subject(direction).subject;
        if (subject.isEmpty()) {
            return NOT_AN_ENDPOINT;
        }
        final SubjectSide.Result side = subject.get().side(direction);
        return entry(question, direction, side.chain(), side.map());
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
        final Optional<SubjectSide.Pending> egress =
                question.from.subject.flatMap(subject -> subject.egress().pending());
        final Optional<SubjectSide.Pending> ingress =
                question.to.subject.flatMap(subject -> subject.ingress().pending());
        if (egress.isEmpty() && ingress.isEmpty()) {
            return Optional.empty();
        }
        final PolicyEntry out =
                egress.map(p -> entry(question, PolicyDirection.EGRESS, p.chain(), p.map()))
                        .orElseGet(() -> entry(question, PolicyDirection.EGRESS));
        final PolicyEntry in =
                ingress.map(p -> entry(question, PolicyDirection.INGRESS, p.chain(), p.map()))
                        .orElseGet(() -> entry(question, PolicyDirection.INGRESS));
        return Optional.of(new Evaluation.Pending(out.isAllowed() && in.isAllowed(), out, in));
    }

    private static final PolicyEntry SELF = PolicyEntry.allow(Author.SELF);
    private static final PolicyEntry NOT_AN_ENDPOINT = PolicyEntry.allow(Author.NOT_AN_ENDPOINT);

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
                            from,
                            to,
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
                    List.of(address.get()),
                    List.of(number),
                    number);
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
                            .filter(at -> policies.numberAt(at) != Identity.WORLD_IPV4)
                            .filter(at -> policies.numberAt(at) != Identity.WORLD_IPV6)
                            .toList();
            return new End(
                    text,
                    Optional.empty(),
                    Optional.empty(),
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
     * The whole chain as lines of text: per direction, tier by tier, the policies that select the
     * subject, their rules, which matched and why the others did not, and the final author.
     *
     * @throws ProbeException if the probe makes no sense in this world
     */
    public List<String> explain(final Probe probe) throws ProbeException {
        final Question question = question(probe);
        return new PolicyExplainer(policies).explain(question, evaluate(question, probe));
    }
}
