package io.sluice.control.policy.recommend;

import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.PolicyDirection;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/** Drafts as manifests of one kind. */
interface PolicyText {
    /** All of them, each with its {@code ---}. */
    String write();

    /** What both kinds begin with. */
    static void head(
            final YamlLines yaml,
            final Draft draft,
            final String apiVersion,
            final String kind,
            final boolean audited) {
        yaml.line(0, "---");
        yaml.comment(
                0,
                draft.workload().namespace()
                        + ", "
                        + draft.selector()
                        + ": "
                        + flows(draft.flows(PolicyDirection.INGRESS))
                        + " in, "
                        + flows(draft.flows(PolicyDirection.EGRESS))
                        + " out");
        draft.remarks()
                .forEach(remark -> yaml.comment(0, "Not covered, or to be looked at: " + remark));
        yaml.line(0, "apiVersion: " + apiVersion)
                .line(0, "kind: " + kind)
                .line(0, "metadata:")
                .line(2, "name: " + YamlLines.scalar(draft.name()))
                .line(2, "namespace: " + YamlLines.scalar(draft.workload().namespace()));
        if (audited) {
            yaml.line(2, "annotations:").map(4, Map.of("sluice.io/audit", "true"));
        }
        yaml.line(0, "spec:");
    }

    /** {@code 1 flow}. */
    static String flows(final long flows) {
        return flows + (flows == 1 ? " flow" : " flows");
    }

    /** What a rule is about, in words: ports, with how often they were used. */
    static String comment(final Draft.Rule rule) {
        final List<String> ports = new ArrayList<>();
        rule.ports()
                .forEach(
                        (port, use) ->
                                ports.add(
                                        port
                                                + (use.flows() == 0
                                                        ? ""
                                                        : " (" + flows(use.flows()) + ")")));
        return String.join(", ", ports);
    }

    /**
     * Ports that follow each other.
     *
     * @param last the same as the first where there is one alone
     */
    record Range(int protocol, int first, int last) {
        String protocolName() {
            return IpProtocol.nameOf(protocol);
        }
    }

    /** Ports as ranges, in order. */
    static List<Range> ranges(final Collection<DraftPort> ports) {
        final List<Range> ranges = new ArrayList<>();
        for (final DraftPort port : ports) {
            final Range before = ranges.isEmpty() ? null : ranges.getLast();
            if (before != null
                    && before.protocol == port.protocol()
                    && before.last + 1 == port.port()) {
                ranges.removeLast();
                ranges.add(new Range(before.protocol, before.first, port.port()));
            } else {
                ranges.add(new Range(port.protocol(), port.port(), port.port()));
            }
        }
        return ranges;
    }
}
