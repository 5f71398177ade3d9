package io.sluice.control.agent.hubble;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.FieldMask;
import com.google.protobuf.Timestamp;
import com.google.protobuf.util.FieldMaskUtil;
import com.google.re2j.Pattern;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowKeys;
import io.sluice.control.agent.FlowQuery;
import io.sluice.control.agent.FlowSummary;
import io.sluice.control.agent.L7Message;
import io.sluice.control.agent.SideCondition;
import io.sluice.control.agent.api.FlowFilter;
import io.sluice.control.agent.api.FlowFilter.Condition;
import io.sluice.control.agent.hubble.wire.FlowProto;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsRequest;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.LongStream;

/**
 * What GetFlows asks, in words of the flow store.
 *
 * <p>Values of a field are alternatives, fields of a filter must all match, and a flow is wanted
 * that one filter of the whitelist takes and none of the blacklist. A field means what the flag of
 * the same name means to {@code sluice observe} ({@link FlowFilter}).
 *
 * <p>The end of a flow, of which Hubble knows nothing, is wanted only where a filter of the
 * whitelist asks for its type by its number, 200.
 *
 * <p>A filter that asks for what Sluice's flows do not tell (services, workloads, traces) is
 * refused, and so is one with fields that nobody here knows: an answer to half a question would be
 * taken for the answer.
 *
 * @param query flows that are wanted
 * @param follow whether flows to come are wanted as well
 * @param mask fields of a flow that are wanted; all of them without a path
 */
record FlowQuestion(FlowQuery query, boolean follow, FieldMask mask) {
    /** Number of a trace among the types of Cilium's monitor (pkg/monitor/api/types.go). */
    private static final int TRACE = 4;

    /** Points of a trace (pkg/monitor/api/types.go). */
    private static final int TO_ENDPOINT = 0;

    private static final int TO_PROXY = 1;
    private static final int TO_STACK = 3;
    private static final int TO_NETWORK = 11;

    /** Fields of a filter that mean something here. */
    private static final Set<String> KNOWN =
            Set.of(
                    "source_ip",
                    "source_pod",
                    "source_fqdn",
                    "source_label",
                    "source_port",
                    "source_identity",
                    "destination_ip",
                    "destination_pod",
                    "destination_fqdn",
                    "destination_label",
                    "destination_port",
                    "destination_identity",
                    "verdict",
                    "event_type",
                    "http_status_code",
                    "http_method",
                    "http_path",
                    "http_url",
                    "http_header",
                    "protocol",
                    "reply",
                    "dns_query",
                    "tcp_flags",
                    "node_name",
                    "ip_version",
                    "uuid",
                    "traffic_direction",
                    "drop_reason_desc");

    /** Signs of Kubernetes' selectors that {@link FlowFilter} does not read. */
    private static final Pattern SELECTOR = Pattern.compile("[!()]|==|\\s(in|notin)\\s");

    /**
     * Reads a question.
     *
     * @throws io.sluice.control.agent.RequestException INVALID for one that means nothing
     */
    static FlowQuestion of(final GetFlowsRequest request) {
        if (request.getFirst() && request.getFollow()) {
            throw wrong("first", "true", "not together with follow");
        }
        if (!FieldMaskUtil.isValid(FlowProto.Flow.class, request.getFieldMask())) {
            throw wrong(
                    "field_mask",
                    String.join(",", request.getFieldMask().getPathsList()),
                    "fields of a flow, as source.namespace");
        }
        final List<List<Condition>> wanted = new ArrayList<>();
        for (final FlowProto.FlowFilter filter : request.getWhitelistList()) {
            wanted.add(withoutEndsUnlessAsked(filter, conditions(filter)));
        }
        Predicate<Flow> matches = FlowFilter.NOT_ENDS;
        if (!wanted.isEmpty()) {
            matches = wanted.stream().map(FlowQuestion::all).reduce(flow -> false, Predicate::or);
        }
        for (final FlowProto.FlowFilter filter : request.getBlacklistList()) {
            matches = matches.and(all(conditions(filter)).negate());
        }
        final Instant until =
                request.hasUntil() ? instant("until", request.getUntil()) : Instant.MAX;
        // A follower's flows to come are asked with the filter alone.
        final Predicate<Flow> inTime = flow -> !flow.time().isAfter(until);
        return new FlowQuestion(
                new FlowQuery(
                        request.getFollow() ? matches.and(inTime) : matches,
                        clauses(wanted),
                        sides(wanted),
                        request.hasSince() ? instant("since", request.getSince()) : Instant.MIN,
                        until,
                        request.getFirst() ? FlowQuery.End.FIRST : FlowQuery.End.LAST,
                        count(request)),
                request.getFollow(),
                request.getFieldMask());
    }

    private static List<Condition> withoutEndsUnlessAsked(
            final FlowProto.FlowFilter filter, final List<Condition> conditions) {
        final boolean isAsked =
                filter.getEventTypeList().stream()
                        .anyMatch(type -> type.getType() == Flow.Kind.END.number());
        if (isAsked) {
            return conditions;
        }
        final List<Condition> all = new ArrayList<>(conditions);
        all.add(of(FlowFilter.NOT_ENDS));
        return all;
    }

    /** Unsigned on the wire; without a number everything, but of the past nothing to a follower. */
    private static int count(final GetFlowsRequest request) {
        final long number = request.getNumber();
        if (number == 0) {
            return request.getFollow() && !request.hasSince() ? 0 : Integer.MAX_VALUE;
        }
        return Long.compareUnsigned(number, Integer.MAX_VALUE) >= 0
                ? Integer.MAX_VALUE
                : (int) number;
    }

    private static Instant instant(final String name, final Timestamp time) {
        try {
            return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
        } catch (final DateTimeException | ArithmeticException e) {
            throw wrong(name, time.getSeconds() + " s", "a time in this millennium");
        }
    }

    private static Predicate<Flow> all(final List<Condition> conditions) {
        return conditions.stream().map(Condition::matches).reduce(flow -> true, Predicate::and);
    }

    /**
     * Keys that the flow store can look for: one of each clause. Of alternatives, every pair of
     * their clauses is one.
     */
    private static List<long[]> clauses(final List<List<Condition>> alternatives) {
        if (alternatives.isEmpty()) {
            return List.of();
        }
        List<List<Long>> clauses = keys(alternatives.getFirst());
        for (final List<Condition> conditions : alternatives.subList(1, alternatives.size())) {
            clauses = pairs(clauses, keys(conditions));
        }
        return clauses.stream()
                .map(keys -> keys.stream().mapToLong(Long::longValue).toArray())
                .toList();
    }

    /** Alternatives have no condition in common that could be told. */
    private static List<SideCondition> sides(final List<List<Condition>> alternatives) {
        return alternatives.size() == 1
                ? alternatives.getFirst().stream()
                        .flatMap(condition -> condition.side().stream())
                        .toList()
                : List.of();
    }

    private static List<List<Long>> keys(final List<Condition> conditions) {
        return conditions.stream().map(Condition::keys).filter(keys -> !keys.isEmpty()).toList();
    }

    private static List<List<Long>> pairs(
            final List<List<Long>> some, final List<List<Long>> others) {
        final List<List<Long>> pairs = new ArrayList<>();
        for (final List<Long> one : some) {
            for (final List<Long> other : others) {
                if (pairs.size() < HubbleLimits.CLAUSES_MAX) {
                    pairs.add(
                            LongStream.concat(
                                            one.stream().mapToLong(Long::longValue),
                                            other.stream().mapToLong(Long::longValue))
                                    .distinct()
                                    .boxed()
                                    .toList());
                }
            }
        }
        return pairs;
    }

    private static List<Condition> conditions(final FlowProto.FlowFilter filter) {
        refuseUnknown(filter);
        final List<Condition> all = new ArrayList<>();
        add(all, "from-ip", filter.getSourceIpList());
        add(all, "to-ip", filter.getDestinationIpList());
        add(all, "from-pod", filter.getSourcePodList());
        add(all, "to-pod", filter.getDestinationPodList());
        add(all, "from-fqdn", filter.getSourceFqdnList());
        add(all, "to-fqdn", filter.getDestinationFqdnList());
        add(all, "from-label", labels(filter.getSourceLabelList()));
        add(all, "to-label", labels(filter.getDestinationLabelList()));
        add(all, "from-port", filter.getSourcePortList());
        add(all, "to-port", filter.getDestinationPortList());
        add(all, "from-identity", unsigned(filter.getSourceIdentityList()));
        add(all, "to-identity", unsigned(filter.getDestinationIdentityList()));
        add(all, "verdict", names(filter.getVerdictList()));
        add(all, "http-status", filter.getHttpStatusCodeList());
        add(all, "http-method", filter.getHttpMethodList());
        add(all, "http-path", filter.getHttpPathList());
        add(all, "http-url", filter.getHttpUrlList());
        add(
                all,
                "http-header",
                filter.getHttpHeaderList().stream()
                        .map(header -> header.getKey() + ":" + header.getValue())
                        .toList());
        add(all, "protocol", filter.getProtocolList());
        add(all, "node-name", filter.getNodeNameList());
        add(
                all,
                "ip-version",
                filter.getIpVersionList().stream()
                        .map(version -> version.name().replace("IPv", ""))
                        .toList());
        add(all, "uuid", filter.getUuidList());
        add(all, "traffic-direction", directions(filter.getTrafficDirectionList()));
        addAny(all, filter.getReplyList().stream().map(FlowQuestion::reply).toList());
        addAny(all, filter.getDnsQueryList().stream().map(FlowQuestion::dnsQuery).toList());
        addAny(all, filter.getTcpFlagsList().stream().map(FlowQuestion::tcpFlags).toList());
        addAny(
                all,
                filter.getDropReasonDescValueList().stream()
                        .map(FlowQuestion::dropReason)
                        .toList());
        addAny(all, filter.getEventTypeList().stream().map(FlowQuestion::eventType).toList());
        return all;
    }

    private static void refuseUnknown(final FlowProto.FlowFilter filter) {
        for (final FieldDescriptor field : filter.getAllFields().keySet()) {
            if (!KNOWN.contains(field.getName())) {
                throw wrong(field.getName(), "...", "flows of Sluice do not tell it");
            }
        }
        for (final Integer number : filter.getUnknownFields().asMap().keySet()) {
            throw wrong("field " + number, "...", "not known to this version of Sluice");
        }
    }

    private static void add(
            final List<Condition> all, final String name, final List<String> values) {
        if (!values.isEmpty()) {
            all.add(FlowFilter.anyOf(name, values));
        }
    }

    private static void addAny(final List<Condition> all, final List<Condition> values) {
        if (!values.isEmpty()) {
            final boolean areKeyed = values.stream().noneMatch(value -> value.keys().isEmpty());
            all.add(
                    new Condition(
                            values.stream()
                                    .map(Condition::matches)
                                    .reduce(flow -> false, Predicate::or),
                            areKeyed
                                    ? values.stream()
                                            .flatMap(value -> value.keys().stream())
                                            .toList()
                                    : List.of()));
        }
    }

    private static Condition of(final Predicate<Flow> matches) {
        return new Condition(matches, List.of());
    }

    private static List<String> labels(final List<String> selectors) {
        for (final String selector : selectors) {
            if (SELECTOR.matcher(selector).find()) {
                throw wrong("label", selector, "app=web or app, several with commas between");
            }
        }
        return selectors;
    }

    private static List<String> unsigned(final List<Integer> numbers) {
        return numbers.stream().map(Integer::toUnsignedString).toList();
    }

    private static List<String> names(final List<FlowProto.Verdict> verdicts) {
        return verdicts.stream().map(Enum::name).toList();
    }

    private static List<String> directions(final List<FlowProto.TrafficDirection> directions) {
        return directions.stream()
                .map(direction -> direction.name().replace("TRAFFIC_DIRECTION_", ""))
                .toList();
    }

    private static Condition reply(final boolean wanted) {
        return of(flow -> flow.reply() == wanted);
    }

    private static Condition dnsQuery(final String value) {
        final Pattern pattern = FlowFilter.pattern("dns_query", value);
        return of(
                flow ->
                        flow.l7().isPresent()
                                && flow.l7().get().content() instanceof final L7Message.Dns dns
                                && pattern.matcher(dns.query()).find());
    }

    /** All flags that are set must be; without any it is TCP as such. */
    private static Condition tcpFlags(final FlowProto.TCPFlags flags) {
        final List<String> wanted = new ArrayList<>();
        for (final FieldDescriptor flag : flags.getAllFields().keySet()) {
            wanted.add(flag.getName());
        }
        final Condition tcp = FlowFilter.anyOf("protocol", List.of("tcp"));
        return new Condition(
                flow ->
                        tcp.matches().test(flow)
                                && FlowSummary.tcpFlags(flow.tcpFlags()).containsAll(wanted),
                tcp.keys());
    }

    private static Condition dropReason(final int number) {
        return of(flow -> flow.kind() == Flow.Kind.DROP && flow.dropReason() == number);
    }

    private static Condition eventType(final FlowProto.EventTypeFilter type) {
        if (type.getType() == TRACE) {
            return trace(type);
        }
        for (final Flow.Kind kind : Flow.Kind.values()) {
            if (kind.number() == type.getType()) {
                return new Condition(
                        flow ->
                                flow.kind() == kind
                                        && (!type.getMatchSubType()
                                                || type.getSubType() == subType(flow)),
                        List.of(FlowKeys.kind(kind)));
            }
        }
        return of(flow -> false);
    }

    private static int subType(final Flow flow) {
        return switch (flow.kind()) {
            case DROP -> flow.dropReason();
            case END -> flow.totals().map(totals -> totals.end().code()).orElse(0);
            case POLICY_VERDICT, L7 -> 0;
        };
    }

    /** Traces of Sluice are what {@code observe --type trace} takes for them. */
    private static Condition trace(final FlowProto.EventTypeFilter type) {
        if (!type.getMatchSubType()) {
            return FlowFilter.anyOf("type", List.of("trace"));
        }
        return switch (type.getSubType()) {
            case TO_ENDPOINT -> FlowFilter.anyOf("type", List.of("trace:to-endpoint"));
            case TO_PROXY -> FlowFilter.anyOf("type", List.of("trace:to-proxy"));
            case TO_STACK -> FlowFilter.anyOf("type", List.of("trace:to-stack"));
            case TO_NETWORK -> FlowFilter.anyOf("type", List.of("trace:to-network"));
            default -> of(flow -> false);
        };
    }

    private static RuntimeException wrong(
            final String name, final String value, final String accepted) {
        return FlowFilter.wrong(name, value, accepted);
    }
}
