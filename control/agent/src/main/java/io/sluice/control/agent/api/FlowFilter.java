package io.sluice.control.agent.api;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowId;
import io.sluice.control.agent.FlowKeys;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowQuery;
import io.sluice.control.agent.L7Message;
import io.sluice.control.agent.SideCondition;
import io.sluice.control.agent.SideCondition.End;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Filters of {@code /v1/flows}, with the meaning of hubble observe's flags of the same names.
 *
 * <p>Values of one filter are alternatives; different filters must all match. A filter without a
 * side ({@code pod}, {@code namespace}, {@code ip}, {@code port}, {@code label}, {@code identity},
 * {@code fqdn}) matches when either side does. {@code not-} before a name hides the flows that the
 * filter matches, each value by itself. A pod is {@code namespace/prefix} or, in namespace {@code
 * default}, {@code prefix}, or, in any, {@code /prefix}: the name begins with it.
 *
 * <p>{@code all-drops=false} leaves out the drops that every Linux host causes by being there
 * (severity QUIET: multicast, and what it tries at the gateway's address). They are in the answer
 * unless it is given.
 *
 * <p>Ends of flows are left out, so that who counts flows counts each once, unless {@code
 * ends=true} or a {@code type} asks for them.
 *
 * <p>Regular expressions are RE2's, of at most {@link #PATTERN_CHARS_MAX} characters: a question
 * takes time in proportion to the text that it reads.
 *
 * <p>Immutable.
 */
public final class FlowFilter {
    /** What hides flows in front of a filter's name. */
    public static final String NOT = "not-";

    private static final int PATTERN_CHARS_MAX = 1024;

    private static final List<String> PEER_FILTERS =
            List.of("pod", "namespace", "ip", "port", "label", "identity", "fqdn");

    private static final List<String> OTHER_FILTERS =
            List.of(
                    "verdict",
                    "type",
                    "protocol",
                    "drop-reason-desc",
                    "all-drops",
                    "traffic-direction",
                    "ip-version",
                    "tcp-flags",
                    "http-status",
                    "http-method",
                    "http-path",
                    "http-url",
                    "http-header",
                    "node-name",
                    "uuid");

    private static final int ICMPV6 = 58;

    private static final Map<String, Integer> PROTOCOLS =
            Map.of("icmp", 1, "icmpv4", 1, "tcp", 6, "udp", 17, "icmpv6", ICMPV6, "sctp", 132);

    /** Cilium's (pkg/identity/numericidentity.go). */
    private static final Map<String, Integer> RESERVED_IDENTITIES =
            Map.of(
                    "unknown", 0,
                    "host", 1,
                    "world", 2,
                    "unmanaged", 3,
                    "health", 4,
                    "init", 5,
                    "remote-node", 6,
                    "kube-apiserver", 7,
                    "ingress", 8);

    /** From the lowest bit of the flags (RFC 9293 section 3.1, RFC 3168). */
    private static final List<String> TCP_FLAGS =
            List.of("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR");

    /** Codes of the drop reasons that are ordinary chatter. */
    private static final Set<Integer> QUIET =
            Arrays.stream(DropReason.values())
                    .filter(reason -> reason.severity() == DropReason.Severity.QUIET)
                    .map(DropReason::code)
                    .collect(Collectors.toUnmodifiableSet());

    /**
     * What one value asks for.
     *
     * @param keys one of which a flow that matches has; none where flows have no such key
     * @param side condition that a flow that matches meets
     */
    private record Test(
            Predicate<Flow> matches, Optional<Long> keys, Optional<SideCondition> side) {
        static Test of(final Predicate<Flow> matches) {
            return new Test(matches, Optional.empty(), Optional.empty());
        }

        static Test of(final long key, final Predicate<Flow> matches) {
            return new Test(matches, Optional.of(key), Optional.empty());
        }
    }

    /** Takes every event but the ends of flows. */
    public static final Predicate<Flow> NOT_ENDS = flow -> flow.kind() != Flow.Kind.END;

    /** The type of ends of flows; with a colon and a reason behind it, of those. */
    private static final String END = "end";

    private FlowFilter() {}

    /** Names of all filters: the query parameters, and the CLI's flags without the dashes. */
    public static List<String> names() {
        final List<String> names = new ArrayList<>();
        for (final String filter : PEER_FILTERS) {
            names.add(filter);
            names.add("from-" + filter);
            names.add("to-" + filter);
        }
        names.addAll(OTHER_FILTERS);
        return List.copyOf(names);
    }

    /** All parameters of a question: filters, filters that hide, and what bounds the answer. */
    static Set<String> parameters() {
        final Set<String> parameters =
                new HashSet<>(Set.of("since", "until", "first", "last", "ends"));
        for (final String name : names()) {
            parameters.add(name);
            parameters.add(NOT + name);
        }
        return parameters;
    }

    /**
     * The question that all given values make together.
     *
     * @param values values by parameter; one that is missing or empty leaves out nothing
     * @param lastDefault flows at most where neither {@code first} nor {@code last} is given
     * @throws io.sluice.control.agent.RequestException INVALID for a value that means nothing
     */
    public static FlowQuery query(final Map<String, List<String>> values, final int lastDefault) {
        Predicate<Flow> filter = wantsEnds(values) ? flow -> true : NOT_ENDS;
        final List<long[]> clauses = new ArrayList<>();
        final List<SideCondition> sides = new ArrayList<>();
        for (final String name : names()) {
            final List<String> alternatives = values.getOrDefault(name, List.of());
            if (!alternatives.isEmpty()) {
                final Condition condition = anyOf(name, alternatives);
                filter = filter.and(condition.matches());
                if (!condition.keys().isEmpty()) {
                    clauses.add(condition.keys().stream().mapToLong(Long::longValue).toArray());
                }
                condition.side().ifPresent(sides::add);
            }
            for (final String value : values.getOrDefault(NOT + name, List.of())) {
                filter = filter.and(one(name, value).matches().negate());
            }
        }
        final List<String> first = once("first", values);
        final List<String> last = once("last", values);
        if (!first.isEmpty() && !last.isEmpty()) {
            throw ApiRequest.invalid("first and last: one of them at most");
        }
        return new FlowQuery(
                filter,
                List.copyOf(clauses),
                List.copyOf(sides),
                instant("since", values, Instant.MIN),
                instant("until", values, Instant.MAX),
                first.isEmpty() ? FlowQuery.End.LAST : FlowQuery.End.FIRST,
                !first.isEmpty()
                        ? number("first", first.getLast(), Integer.MAX_VALUE)
                        : last.isEmpty()
                                ? lastDefault
                                : number("last", last.getLast(), Integer.MAX_VALUE));
    }

    private static boolean wantsEnds(final Map<String, List<String>> values) {
        final boolean isAsked =
                values.getOrDefault("type", List.of()).stream()
                        .anyMatch(type -> type.equals(END) || type.startsWith(END + ":"));
        final List<String> given = once("ends", values);
        if (given.isEmpty()) {
            return isAsked;
        }
        return switch (given.getLast()) {
            case "true" -> true;
            case "false" -> isAsked;
            default -> throw wrong("ends", given.getLast(), "true or false");
        };
    }

    private static List<String> once(final String name, final Map<String, List<String>> values) {
        final List<String> given = values.getOrDefault(name, List.of());
        if (given.size() > 1) {
            throw ApiRequest.invalid(
                    "parameter " + name + ": given " + given.size() + " times: once at most");
        }
        return given;
    }

    /**
     * What values of one filter ask for.
     *
     * @param matches whether a flow matches one of the values
     * @param keys of {@link FlowKeys}, one of which a flow that matches has; none where flows have
     *     no such key
     * @param side condition that a flow that matches meets
     */
    public record Condition(
            Predicate<Flow> matches, List<Long> keys, Optional<SideCondition> side) {
        public Condition {
            keys = List.copyOf(keys);
        }

        /** Nothing is known of the sides. */
        public Condition(final Predicate<Flow> matches, final List<Long> keys) {
            this(matches, keys, Optional.empty());
        }
    }

    /**
     * What values of one filter ask for: that one of them matches.
     *
     * @param name one of {@link #names}
     * @param values at least one
     * @throws io.sluice.control.agent.RequestException INVALID for a value that means nothing
     */
    public static Condition anyOf(final String name, final List<String> values) {
        Predicate<Flow> matches = flow -> false;
        final List<Long> keys = new ArrayList<>();
        final List<SideCondition> sides = new ArrayList<>();
        boolean areKeyed = true;
        for (final String value : values) {
            final Test test = one(name, value);
            matches = matches.or(test.matches());
            areKeyed &= test.keys().isPresent();
            test.keys().ifPresent(keys::add);
            test.side().ifPresent(sides::add);
        }
        return new Condition(
                matches,
                areKeyed ? keys : List.of(),
                sides.size() == values.size() ? anyOf(sides) : Optional.empty());
    }

    /** Of conditions of one filter, and so of one end. */
    private static Optional<SideCondition> anyOf(final List<SideCondition> sides) {
        return sides.stream()
                .reduce(
                        (one, other) ->
                                new SideCondition(one.end(), one.matches().or(other.matches())));
    }

    private static Test one(final String name, final String value) {
        return switch (name) {
            case "verdict" -> {
                final Flow.Verdict verdict = constant(Flow.Verdict.class, name, value);
                yield Test.of(FlowKeys.verdict(verdict), flow -> flow.verdict() == verdict);
            }
            case "type" -> type(value);
            case "protocol" -> protocol(value);
            case "drop-reason-desc" ->
                    Test.of(
                            FlowKeys.reason(value),
                            flow -> flow.dropReasonName().equalsIgnoreCase(value));
            case "all-drops" ->
                    switch (value) {
                        case "true" -> Test.of(flow -> true);
                        case "false" -> Test.of(flow -> !QUIET.contains(flow.dropReason()));
                        default -> throw wrong(name, value, "true or false");
                    };
            case "traffic-direction" -> {
                final Flow.Direction direction = constant(Flow.Direction.class, name, value);
                yield Test.of(flow -> flow.direction() == direction);
            }
            case "ip-version" -> {
                final int version =
                        switch (value.toLowerCase(Locale.ROOT)) {
                            case "4", "v4", "ipv4" -> 4;
                            case "6", "v6", "ipv6" -> 6;
                            default -> throw wrong(name, value, "4 or 6");
                        };
                yield Test.of(flow -> flow.ipVersion() == version);
            }
            case "tcp-flags" -> {
                final int flags = tcpFlags(value);
                yield Test.of(flow -> (flow.tcpFlags() & flags) == flags);
            }
            case "http-status" -> status(value);
            case "http-method" -> http(message -> message.method().equalsIgnoreCase(value));
            case "http-path" -> {
                final Pattern pattern = pattern(name, value);
                yield http(message -> pattern.matcher(path(message.url())).find());
            }
            case "http-url" -> {
                final Pattern pattern = pattern(name, value);
                yield http(message -> pattern.matcher(message.url()).find());
            }
            case "http-header" -> header(value);
            case "node-name" -> {
                final Pattern pattern = names(value);
                yield Test.of(flow -> pattern.matches(flow.nodeName()));
            }
            case "uuid" -> {
                final FlowId id = FlowId.of(value);
                yield Test.of(flow -> flow.id().equals(id));
            }
            default -> peer(name, value);
        };
    }

    private static Test protocol(final String value) {
        final String name = value.toLowerCase(Locale.ROOT);
        return switch (name) {
            case "http", "dns", "kafka", "tls" ->
                    Test.of(
                            FlowKeys.kind(Flow.Kind.L7),
                            flow -> flow.l7().filter(message -> isOf(message, name)).isPresent());
            // As in hubble, plain icmp means both versions.
            case "icmp" -> Test.of(flow -> flow.protocol() == 1 || flow.protocol() == ICMPV6);
            default -> {
                final Integer protocol = PROTOCOLS.get(name);
                if (protocol == null) {
                    throw wrong(
                            "protocol",
                            value,
                            "dns, http, icmp, icmpv4, icmpv6, kafka, sctp, tcp, tls or udp");
                }
                yield Test.of(FlowKeys.protocol(protocol), flow -> flow.protocol() == protocol);
            }
        };
    }

    private static boolean isOf(final L7Message message, final String protocol) {
        return protocol.equals(
                switch (message.content()) {
                    case L7Message.Http _ -> "http";
                    case L7Message.Kafka _ -> "kafka";
                    case L7Message.Dns _ -> "dns";
                    case L7Message.Tls _ -> "tls";
                });
    }

    private static int tcpFlags(final String value) {
        int flags = 0;
        for (final String word : value.split(",", -1)) {
            final int bit = TCP_FLAGS.indexOf(word.strip().toUpperCase(Locale.ROOT));
            if (bit < 0) {
                throw wrong("tcp-flags", value, "a list of " + String.join(", ", TCP_FLAGS));
            }
            flags |= 1 << bit;
        }
        return flags;
    }

    private static Test http(final Predicate<L7Message.Http> matches) {
        return Test.of(
                FlowKeys.kind(Flow.Kind.L7),
                flow ->
                        flow.l7().isPresent()
                                && flow.l7().get().content() instanceof final L7Message.Http http
                                && matches.test(http));
    }

    /** A status, or the beginning of one: {@code 404}, {@code 4+}, {@code 40+}. */
    private static Test status(final String value) {
        if (!value.matches("[1-5]([0-9]{2}|[0-9]?\\+)")) {
            throw wrong("http-status", value, "a status as 404, or its beginning as 4+ or 40+");
        }
        final String beginning = value.replace("+", "");
        return http(message -> Integer.toString(message.code()).startsWith(beginning));
    }

    /** {@code name:value}. */
    private static Test header(final String value) {
        final int colon = value.indexOf(':');
        if (colon <= 0) {
            throw wrong("http-header", value, "name:value");
        }
        final String key = value.substring(0, colon).strip();
        final String wanted = value.substring(colon + 1).strip();
        return http(
                message ->
                        message.headers().stream()
                                .anyMatch(
                                        header ->
                                                header.key().equalsIgnoreCase(key)
                                                        && header.value().equals(wanted)));
    }

    /** Of a URL, without its query. */
    private static String path(final String url) {
        final int scheme = url.indexOf("://");
        final int slash = url.indexOf('/', scheme < 0 ? 0 : scheme + 3);
        final String rest = slash < 0 ? "/" : url.substring(slash);
        final int end = rest.indexOf('?');
        return end < 0 ? rest : rest.substring(0, end);
    }

    /**
     * A regular expression of RE2.
     *
     * @throws io.sluice.control.agent.RequestException INVALID for one that is none, or too long
     */
    public static Pattern pattern(final String name, final String value) {
        if (value.length() > PATTERN_CHARS_MAX) {
            throw wrong(name, "...", "a pattern of at most " + PATTERN_CHARS_MAX + " characters");
        }
        try {
            return Pattern.compile(value);
        } catch (final PatternSyntaxException e) {
            throw wrong(name, value, "a regular expression: " + e.getDescription());
        }
    }

    /** Names with {@code *} for any part of a name. */
    private static Pattern names(final String value) {
        return Pattern.compile(
                Pattern.quote(value.toLowerCase(Locale.ROOT)).replace("\\*", "[-a-z0-9_.]*"));
    }

    private static Test peer(final String name, final String value) {
        if (name.startsWith("from-")) {
            final PeerTest test = peerTest(name.substring("from-".length()), value);
            return test.at(End.SOURCE, flow -> test.matches().test(flow.source()));
        }
        if (name.startsWith("to-")) {
            final PeerTest test = peerTest(name.substring("to-".length()), value);
            return test.at(End.DESTINATION, flow -> test.matches().test(flow.destination()));
        }
        final PeerTest test = peerTest(name, value);
        return test.at(
                End.EITHER,
                flow ->
                        test.matches().test(flow.source())
                                || test.matches().test(flow.destination()));
    }

    /**
     * What a value asks of a side.
     *
     * @param ofPort whether it asks for the port
     */
    private record PeerTest(Predicate<FlowPeer> matches, Optional<Long> key, boolean ofPort) {
        static PeerTest of(final long key, final Predicate<FlowPeer> matches) {
            return new PeerTest(matches, Optional.of(key), false);
        }

        static PeerTest of(final Predicate<FlowPeer> matches) {
            return new PeerTest(matches, Optional.empty(), false);
        }

        static PeerTest ofPort(final int port) {
            return new PeerTest(
                    peer -> peer.port() == port,
                    FlowKeys.hasPortKey(port) ? Optional.of(FlowKeys.port(port)) : Optional.empty(),
                    true);
        }

        /** The test of flows that this one is at an end. */
        Test at(final End end, final Predicate<Flow> ofFlow) {
            return new Test(
                    ofFlow,
                    key,
                    ofPort ? Optional.empty() : Optional.of(new SideCondition(end, matches)));
        }
    }

    private static PeerTest peerTest(final String filter, final String value) {
        return switch (filter) {
            case "namespace" ->
                    PeerTest.of(FlowKeys.namespace(value), peer -> peer.namespace().equals(value));
            case "pod" -> {
                final int slash = value.indexOf('/');
                final String namespace = slash < 0 ? "default" : value.substring(0, slash);
                final String prefix = value.substring(slash + 1);
                if (slash == 0) {
                    yield PeerTest.of(
                            peer -> !peer.podName().isEmpty() && peer.podName().startsWith(prefix));
                }
                yield PeerTest.of(
                        FlowKeys.namespace(namespace),
                        peer ->
                                peer.namespace().equals(namespace)
                                        && peer.podName().startsWith(prefix));
            }
            case "ip" -> address(value);
            case "port" -> PeerTest.ofPort(number(filter, value, 65535));
            case "label" -> label(value);
            case "fqdn" -> {
                final Pattern pattern = names(value);
                yield PeerTest.of(peer -> peer.names().stream().anyMatch(pattern::matches));
            }
            default -> {
                final int identity = identity(filter, value);
                yield PeerTest.of(FlowKeys.identity(identity), peer -> peer.identity() == identity);
            }
        };
    }

    /** A number, or a reserved identity by its name. */
    private static int identity(final String filter, final String value) {
        final Integer reserved = RESERVED_IDENTITIES.get(value);
        return reserved != null ? reserved : number(filter, value, Integer.MAX_VALUE);
    }

    /** An address, or a prefix. */
    private static PeerTest address(final String value) {
        final Optional<IpAddress> address = IpAddress.parse(value);
        if (address.isPresent()) {
            final String text = address.get().toString();
            return PeerTest.of(FlowKeys.address(text), peer -> peer.address().equals(text));
        }
        final Cidr prefix =
                Cidr.parse(value)
                        .orElseThrow(
                                () -> wrong("ip", value, "an address, or a prefix as 10.0.0.0/8"));
        return PeerTest.of(
                peer -> IpAddress.parse(peer.address()).filter(prefix::contains).isPresent());
    }

    /** Labels with commas between must all be there. */
    private static PeerTest label(final String value) {
        final List<String> wanted = Arrays.stream(value.split(",", -1)).map(String::strip).toList();
        if (wanted.contains("")) {
            throw wrong("label", value, "app=web, k8s:app=web or app, several with commas between");
        }
        return PeerTest.of(
                FlowKeys.label(wanted.getFirst()),
                peer -> wanted.stream().allMatch(label -> hasLabel(peer.labels(), label)));
    }

    /** Labels carry their source ({@code k8s:app=web}); a filter may leave it out. */
    private static boolean hasLabel(final List<String> labels, final String wanted) {
        for (final String label : labels) {
            final String plain = label.substring(label.indexOf(':') + 1);
            if (label.equals(wanted)
                    || plain.equals(wanted)
                    || label.startsWith(wanted + "=")
                    || plain.startsWith(wanted + "=")) {
                return true;
            }
        }
        return false;
    }

    /**
     * Hubble's types. It traces packets at several points; Sluice tells of a flow once, when it
     * opens, so its traces are the new flows that were let pass, by where they went. What it tells
     * of a flow's end is a type of its own.
     */
    private static Test type(final String value) {
        final long verdicts = FlowKeys.kind(Flow.Kind.POLICY_VERDICT);
        return switch (value) {
            case "drop" -> kind(Flow.Kind.DROP);
            case "policy-verdict" -> kind(Flow.Kind.POLICY_VERDICT);
            case "l7" -> kind(Flow.Kind.L7);
            case END -> kind(Flow.Kind.END);
            case "trace" -> Test.of(verdicts, FlowFilter::isTrace);
            case "trace:to-endpoint" ->
                    Test.of(
                            verdicts,
                            flow ->
                                    isTrace(flow)
                                            && flow.verdict() != Flow.Verdict.REDIRECTED
                                            && flow.destination().endpointId() != 0);
            case "trace:to-network", "trace:to-stack" ->
                    Test.of(
                            verdicts,
                            flow ->
                                    isTrace(flow)
                                            && flow.verdict() != Flow.Verdict.REDIRECTED
                                            && flow.destination().endpointId() == 0);
            case "trace:to-proxy" ->
                    Test.of(
                            verdicts,
                            flow -> isTrace(flow) && flow.verdict() == Flow.Verdict.REDIRECTED);
            default -> {
                for (final FlowEnd end : FlowEnd.values()) {
                    if (value.equals(END + ":" + end.label())) {
                        yield Test.of(
                                FlowKeys.kind(Flow.Kind.END),
                                flow -> flow.totals().filter(of -> of.end() == end).isPresent());
                    }
                }
                throw wrong(
                        "type",
                        value,
                        "drop, l7, policy-verdict, trace, trace:to-endpoint, trace:to-network,"
                                + " trace:to-proxy, trace:to-stack, end or end:REASON");
            }
        };
    }

    private static boolean isTrace(final Flow flow) {
        return flow.kind() == Flow.Kind.POLICY_VERDICT && flow.verdict() != Flow.Verdict.DROPPED;
    }

    private static Test kind(final Flow.Kind kind) {
        return Test.of(FlowKeys.kind(kind), flow -> flow.kind() == kind);
    }

    private static <E extends Enum<E>> E constant(
            final Class<E> type, final String name, final String value) {
        for (final E constant : type.getEnumConstants()) {
            if (constant.name().equalsIgnoreCase(value)) {
                return constant;
            }
        }
        final StringBuilder accepted = new StringBuilder();
        for (final E constant : type.getEnumConstants()) {
            accepted.append(accepted.isEmpty() ? "" : ", ").append(constant.name());
        }
        throw wrong(name, value, accepted.toString());
    }

    private static int number(final String name, final String value, final int max) {
        try {
            final int number = Integer.parseInt(value);
            if (number >= 0 && number <= max) {
                return number;
            }
        } catch (final NumberFormatException e) {
            // Answered below, as a number out of range is.
        }
        throw wrong(name, value, "a number from 0 to " + max);
    }

    private static Instant instant(
            final String name, final Map<String, List<String>> values, final Instant fallback) {
        final List<String> given = once(name, values);
        if (given.isEmpty()) {
            return fallback;
        }
        try {
            return Instant.parse(given.getLast());
        } catch (final DateTimeParseException e) {
            throw wrong(name, given.getLast(), "a time as 2026-01-31T10:00:00Z");
        }
    }

    /** A value that means nothing: INVALID. */
    public static RuntimeException wrong(
            final String name, final String value, final String accepted) {
        return ApiRequest.invalid(name + ": \"" + value + "\": " + accepted);
    }
}
