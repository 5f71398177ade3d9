package io.sluice.control.agent;

import io.sluice.control.agent.flowlog.KeyFilter;
import java.util.BitSet;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.agrona.collections.LongHashSet;

/**
 * What stored flows can be asked for without reading them all: keys of a flow, and of the values of
 * filters. A filter for which there is no key here reads every block of its time.
 *
 * <p>Either side's values are keys of one kind: a question for one side reads a few blocks too
 * many.
 */
public final class FlowKeys {
    private static final int VERDICT = 1;
    private static final int KIND = 2;
    private static final int NAMESPACE = 3;
    private static final int ADDRESS = 4;
    private static final int PORT = 5;
    private static final int LABEL = 6;
    private static final int IDENTITY = 7;
    private static final int PROTOCOL = 8;
    private static final int REASON = 9;

    /** Ports from here on are clients' own (ip_local_port_range): too many to be worth keys. */
    private static final int EPHEMERAL_PORT = 32_768;

    private FlowKeys() {}

    /**
     * The keys of flows.
     *
     * @param sides of the flows, each at least once ({@link FlowCodec#encode(List, List)}): they
     *     are few, and have most keys
     */
    public static LongHashSet of(final List<Flow> flows, final List<FlowSide> sides) {
        final LongHashSet keys = new LongHashSet();
        final Set<String> reasons = new HashSet<>();
        final BitSet ports = new BitSet(EPHEMERAL_PORT);
        final BitSet protocols = new BitSet();
        final Set<Flow.Verdict> verdicts = EnumSet.noneOf(Flow.Verdict.class);
        final Set<Flow.Kind> kinds = EnumSet.noneOf(Flow.Kind.class);
        for (final Flow flow : flows) {
            verdicts.add(flow.verdict());
            kinds.add(flow.kind());
            protocols.set(flow.protocol());
            if (!flow.dropReasonName().isEmpty()) {
                reasons.add(flow.dropReasonName());
            }
            if (hasPortKey(flow.source().port())) {
                ports.set(flow.source().port());
            }
            if (hasPortKey(flow.destination().port())) {
                ports.set(flow.destination().port());
            }
        }
        sides.forEach(side -> add(side, keys));
        reasons.forEach(reason -> keys.add(reason(reason)));
        verdicts.forEach(verdict -> keys.add(verdict(verdict)));
        kinds.forEach(kind -> keys.add(kind(kind)));
        protocols.stream().forEach(protocol -> keys.add(protocol(protocol)));
        ports.stream().forEach(port -> keys.add(port(port)));
        return keys;
    }

    private static void add(final FlowSide side, final LongHashSet keys) {
        keys.add(identity(side.identity()));
        keys.add(namespace(side.namespace()));
        keys.add(address(side.address()));
        for (final String label : side.labels()) {
            final String plain = plainLabel(label);
            keys.add(KeyFilter.key(LABEL, plain));
            final int equals = plain.indexOf('=');
            if (equals >= 0) {
                keys.add(KeyFilter.key(LABEL, plain.substring(0, equals)));
            }
        }
    }

    public static long verdict(final Flow.Verdict verdict) {
        return KeyFilter.key(VERDICT, verdict.number());
    }

    public static long kind(final Flow.Kind kind) {
        return KeyFilter.key(KIND, kind.number());
    }

    public static long namespace(final String namespace) {
        return KeyFilter.key(NAMESPACE, namespace);
    }

    public static long address(final String address) {
        return KeyFilter.key(ADDRESS, address);
    }

    /** Whether flows have keys for a port. */
    public static boolean hasPortKey(final int port) {
        return port < EPHEMERAL_PORT;
    }

    public static long port(final int port) {
        return KeyFilter.key(PORT, port);
    }

    /**
     * Key of a label that one of the sides has.
     *
     * @param label {@code k8s:app=web}, {@code app=web}, or {@code app} for any value
     */
    public static long label(final String label) {
        return KeyFilter.key(LABEL, plainLabel(label));
    }

    /** Without its source. */
    private static String plainLabel(final String label) {
        return label.substring(label.indexOf(':') + 1);
    }

    public static long identity(final int identity) {
        return KeyFilter.key(IDENTITY, identity);
    }

    public static long protocol(final int protocol) {
        return KeyFilter.key(PROTOCOL, protocol);
    }

    /**
     * Key of a drop reason.
     *
     * @param name of a drop reason, in any case
     */
    public static long reason(final String name) {
        return KeyFilter.key(REASON, name.toUpperCase(Locale.ROOT));
    }
}
