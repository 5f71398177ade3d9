package io.sluice.control.agent.api;

import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowPeer;
import io.sluice.dataplane.DropReason;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Filters of {@code /v1/flows}, with the meaning of hubble observe's flags of the same names.
 *
 * <p>Values of one filter are alternatives; different filters must all match. A filter without a
 * side ({@code pod}, {@code namespace}, {@code ip}, {@code port}, {@code label}, {@code identity})
 * matches when either side does. A pod is {@code namespace/prefix} or, in namespace {@code
 * default}, {@code prefix}: the name begins with it.
 *
 * <p>{@code all-drops=false} leaves out the drops that every Linux host causes by being there
 * (severity QUIET: multicast, and what it tries at the gateway's address). They are in the answer
 * unless it is given.
 *
 * <p>Immutable.
 */
public final class FlowFilter {
    private static final Set<String> SIDES = Set.of("", "from-", "to-");
    private static final List<String> PEER_FILTERS =
            List.of("pod", "namespace", "ip", "port", "label", "identity");

    private static final Map<String, Integer> PROTOCOLS =
            Map.of("icmp", 1, "icmpv4", 1, "tcp", 6, "udp", 17, "icmpv6", 58, "sctp", 132);

    /** Codes of the drop reasons that are ordinary chatter. */
    private static final Set<Integer> QUIET =
            Arrays.stream(DropReason.values())
                    .filter(reason -> reason.severity() == DropReason.Severity.QUIET)
                    .map(DropReason::code)
                    .collect(Collectors.toUnmodifiableSet());

    private FlowFilter() {}

    /** Names of all filters: the query parameters, and the CLI's flags without the dashes. */
    public static List<String> names() {
        final List<String> names = new ArrayList<>();
        for (final String filter : PEER_FILTERS) {
            names.add(filter);
            names.add("from-" + filter);
            names.add("to-" + filter);
        }
        names.addAll(
                List.of(
                        "verdict",
                        "type",
                        "protocol",
                        "drop-reason-desc",
                        "all-drops",
                        "traffic-direction",
                        "since",
                        "until"));
        return List.copyOf(names);
    }

    /**
     * The filter that all given values make together.
     *
     * @param values values by filter name; a filter that is missing or empty matches every flow
     * @throws io.sluice.control.agent.RequestException INVALID for a value that means nothing
     */
    public static Predicate<Flow> of(final Map<String, List<String>> values) {
        final Map<String, Predicate<Flow>> filters = new LinkedHashMap<>();
        for (final String name : names()) {
            final List<String> alternatives = values.getOrDefault(name, List.of());
            Predicate<Flow> any = null;
            for (final String value : alternatives) {
                final Predicate<Flow> one = one(name, value);
                any = any == null ? one : any.or(one);
            }
            if (any != null) {
                filters.put(name, any);
            }
        }
        return filters.values().stream().reduce(flow -> true, Predicate::and);
    }

    private static Predicate<Flow> one(final String name, final String value) {
        return switch (name) {
            case "verdict" -> {
                final Flow.Verdict verdict = constant(Flow.Verdict.class, name, value);
                yield flow -> flow.verdict() == verdict;
            }
            case "type" -> type(value);
            case "protocol" -> {
                final Integer protocol = PROTOCOLS.get(value.toLowerCase(Locale.ROOT));
                if (protocol == null) {
                    throw wrong(name, value, "icmp, icmpv4, icmpv6, sctp, tcp or udp");
                }
                // As in hubble, plain icmp means both versions.
                final boolean both = value.equalsIgnoreCase("icmp");
                yield flow -> flow.protocol() == protocol || (both && flow.protocol() == 58);
            }
            case "drop-reason-desc" -> flow -> flow.dropReasonName().equalsIgnoreCase(value);
            case "all-drops" ->
                    switch (value) {
                        case "true" -> flow -> true;
                        case "false" -> flow -> !QUIET.contains(flow.dropReason());
                        default -> throw wrong(name, value, "true or false");
                    };
            case "traffic-direction" -> {
                final Flow.Direction direction = constant(Flow.Direction.class, name, value);
                yield flow -> flow.direction() == direction;
            }
            case "since" -> {
                final Instant since = instant(name, value);
                yield flow -> !flow.time().isBefore(since);
            }
            case "until" -> {
                final Instant until = instant(name, value);
                yield flow -> !flow.time().isAfter(until);
            }
            default -> peer(name, value);
        };
    }

    private static Predicate<Flow> peer(final String name, final String value) {
        for (final String side : SIDES) {
            if (!side.isEmpty() && name.startsWith(side)) {
                final Predicate<FlowPeer> matches =
                        peerFilter(name.substring(side.length()), value);
                return side.equals("from-")
                        ? flow -> matches.test(flow.source())
                        : flow -> matches.test(flow.destination());
            }
        }
        final Predicate<FlowPeer> matches = peerFilter(name, value);
        return flow -> matches.test(flow.source()) || matches.test(flow.destination());
    }

    private static Predicate<FlowPeer> peerFilter(final String filter, final String value) {
        return switch (filter) {
            case "namespace" -> peer -> peer.namespace().equals(value);
            case "pod" -> {
                final int slash = value.indexOf('/');
                final String namespace = slash < 0 ? "default" : value.substring(0, slash);
                final String prefix = value.substring(slash + 1);
                yield peer ->
                        peer.namespace().equals(namespace) && peer.podName().startsWith(prefix);
            }
            case "ip" -> peer -> peer.address().equals(value);
            case "port" -> {
                final int port = number(filter, value, 65535);
                yield peer -> peer.port() == port;
            }
            case "label" -> peer -> hasLabel(peer.labels(), value);
            default -> {
                final int identity = number(filter, value, Integer.MAX_VALUE);
                yield peer -> peer.identity() == identity;
            }
        };
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

    private static Predicate<Flow> type(final String value) {
        return switch (value) {
            case "drop" -> flow -> flow.kind() == Flow.Kind.DROP;
            case "policy-verdict" -> flow -> flow.kind() == Flow.Kind.POLICY_VERDICT;
            case "l7" -> flow -> flow.kind() == Flow.Kind.L7;
            default -> throw wrong("type", value, "drop, l7 or policy-verdict");
        };
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

    private static Instant instant(final String name, final String value) {
        try {
            return Instant.parse(value);
        } catch (final DateTimeParseException e) {
            throw wrong(name, value, "a time as 2026-01-31T10:00:00Z");
        }
    }

    static RuntimeException wrong(final String name, final String value, final String accepted) {
        return ApiRequest.invalid(name + ": \"" + value + "\": " + accepted);
    }
}
