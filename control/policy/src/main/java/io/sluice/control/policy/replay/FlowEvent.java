package io.sluice.control.policy.replay;

import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.replay.FlowTally.Kind;
import io.sluice.control.policy.replay.FlowTally.Skipped;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * One event of a record of traffic, in the terms of Hubble's {@code flow.proto}: what readers of
 * the different forms fill in, field by field, and {@link #countIn} understands.
 *
 * <p>One instance is used for a whole record ({@link #clear} between two events). Thread: the
 * reader's.
 */
public final class FlowEvent {
    /** Numbers of {@code event_type.type} (Cilium's pkg/monitor/api/types.go). */
    public static final int DROP = 1;

    public static final int TRACE = 4;
    public static final int POLICY_VERDICT = 5;
    public static final int L7 = 129;

    /** Sluice's own: the end of a flow, whose beginning was an event, too. */
    public static final int END = 200;

    /**
     * Numbers of {@code event_type.sub_type} of a trace that policy has let pass: to the endpoint,
     * the proxy, the host, the stack, the overlay, the network. The others are on the way to it.
     */
    private static final Set<Integer> AFTER_POLICY = Set.of(0, 1, 2, 3, 4, 11);

    /** Drop reasons that policies give: POLICY_DENIED, POLICY_DENY, AUTH_REQUIRED, L7. */
    private static final Set<Integer> POLICY_REASONS = Set.of(133, 181, 189, 303);

    private static final Set<String> POLICY_REASON_NAMES =
            Set.of("POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED", "L7_NOT_ENFORCEABLE");

    private static final String RESERVED = "reserved:";

    /** One end. */
    public static final class Side {
        public String namespace = "";
        public String pod = "";
        public String address = "";

        /** Immutable: sides that are the same may share it. */
        public List<String> labels = List.of();

        private void clear() {
            unname();
            address = "";
        }

        /** Forgets who it is, but for its address. */
        public void unname() {
            namespace = "";
            pod = "";
            labels = List.of();
        }

        /** Is who another one is, but for its address. */
        public void name(final Side other) {
            namespace = other.namespace;
            pod = other.pod;
            labels = other.labels;
        }

        private SeenPeer peer(final String nodeName) {
            // Prefixes among the labels of an address are those that policy asked for at the time.
            final boolean isPod = !namespace.isEmpty();
            final List<String> kept = isPod || isAllReserved() ? labels : reserved();
            return new SeenPeer(
                    namespace,
                    pod,
                    kept,
                    address,
                    !isPod && kept.contains("reserved:host") ? nodeName : "");
        }

        private boolean isAllReserved() {
            for (final String label : labels) {
                if (!label.startsWith(RESERVED)) {
                    return false;
                }
            }
            return true;
        }

        private List<String> reserved() {
            return labels.stream().filter(label -> label.startsWith(RESERVED)).toList();
        }
    }

    public final Side source = new Side();
    public final Side destination = new Side();

    /** Names that the destination's address was learned from. Immutable. */
    public List<String> names = List.of();

    public Instant time = Instant.EPOCH;
    public String nodeName = "";
    public String verdict = "";
    public int dropReason;
    public String dropReasonName = "";
    public int type;
    public int subType;
    public boolean ingress;
    public boolean reply;

    /** IP protocol number, or {@link IpProtocol#UNKNOWN}. */
    public int protocol = IpProtocol.UNKNOWN;

    /** Destination port; type * 256 + code of an ICMP message. */
    public int port;

    /** Of an L7 event: whether it is a request, not an answer. */
    public boolean isRequest;

    private final Map<String, String> request = new HashMap<>();

    /** Forgets the event before. */
    public void clear() {
        source.clear();
        destination.clear();
        names = List.of();
        request.clear();
        time = Instant.EPOCH;
        nodeName = "";
        verdict = "";
        dropReason = 0;
        dropReasonName = "";
        type = 0;
        subType = 0;
        ingress = false;
        reply = false;
        protocol = IpProtocol.UNKNOWN;
        port = 0;
        isRequest = false;
    }

    /** Sets a field of the request, as {@link io.sluice.control.policy.Probe#l7} names them. */
    public void put(final String field, final String value) {
        if (!value.isEmpty()) {
            request.put(field, value);
        }
    }

    /** Sets the name that a TLS client asked for; empty where it named none. */
    public void serverName(final String name) {
        request.put("sni", name);
    }

    /** Sets host and path of an HTTP request: {@code http://host:port/path?query}, or a path. */
    public void url(final String url) {
        final int scheme = url.indexOf("://");
        if (scheme < 0 || url.startsWith("/")) {
            put("http.path", url);
            return;
        }
        final int host = scheme + 3;
        final int slash = url.indexOf('/', host);
        put("http.host", slash < 0 ? url.substring(host) : url.substring(host, slash));
        put("http.path", slash < 0 ? "/" : url.substring(slash));
    }

    /** Counts the event, or says there why it does not count. */
    public void countIn(final FlowTally tally) {
        if (type == END) {
            tally.skip(Skipped.END, 1);
            return;
        }
        if (reply || (type == L7 && !isRequest)) {
            tally.skip(Skipped.REPLY, 1);
            return;
        }
        final SeenVerdict outcome;
        switch (verdict) {
            case "FORWARDED" -> outcome = SeenVerdict.FORWARDED;
            case "REDIRECTED" -> outcome = SeenVerdict.REDIRECTED;
            case "AUDIT" -> outcome = SeenVerdict.AUDIT;
            case "DROPPED" -> outcome = SeenVerdict.DROPPED;
            default -> {
                tally.skip(Skipped.NOT_JUDGED, 1);
                return;
            }
        }
        if ((type == TRACE && !AFTER_POLICY.contains(subType))
                || (type == L7 && request.isEmpty())) {
            tally.skip(Skipped.NOT_JUDGED, 1);
            return;
        }
        if (outcome == SeenVerdict.DROPPED && type != L7 && !isDroppedByPolicy()) {
            tally.skip(Skipped.OTHER_DROP, 1);
            return;
        }
        if (protocol == IpProtocol.UNKNOWN || isNobody(source) || isNobody(destination)) {
            tally.skip(Skipped.NO_TUPLE, 1);
            return;
        }
        tally.add(
                kind(outcome),
                outcome,
                time,
                new SeenFlow(
                        tally.interned(source.peer(nodeName)),
                        tally.interned(destination.peer(nodeName)),
                        protocol,
                        port,
                        destinationNames(),
                        type == L7 ? request : Map.of()));
    }

    private Kind kind(final SeenVerdict outcome) {
        return switch (type) {
            case L7 -> Kind.REQUEST;
            case POLICY_VERDICT -> ingress ? Kind.INGRESS_VERDICT : Kind.EGRESS_VERDICT;
            default -> outcome == SeenVerdict.DROPPED ? Kind.DROP : Kind.TRACE;
        };
    }

    private boolean isDroppedByPolicy() {
        return POLICY_REASONS.contains(dropReason)
                || POLICY_REASON_NAMES.contains(dropReasonName)
                || (dropReason == 0 && dropReasonName.isEmpty());
    }

    private static boolean isNobody(final Side side) {
        return side.address.isEmpty() && side.namespace.isEmpty();
    }

    private List<String> destinationNames() {
        if (names.isEmpty()) {
            return List.of();
        }
        return names.stream()
                .map(name -> name.endsWith(".") ? name.substring(0, name.length() - 1) : name)
                .distinct()
                .sorted()
                .toList();
    }
}
