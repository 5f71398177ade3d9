package io.sluice.control.agent;

import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.CiliumPolicy.Nodes;
import io.sluice.control.policy.CiliumPolicy.PortRule;
import io.sluice.control.policy.CiliumPolicy.Restriction;
import io.sluice.control.policy.CiliumPolicy.Side;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads manifests for the daemon: to what the reader finds it adds, in the words {@code not
 * enforced yet}, what the engine judges and the daemon does not carry out: rules that need a proxy
 * for other protocols than HTTP, DNS and TLS server names, and the traffic of the node itself.
 * Stateless, any thread.
 */
final class DaemonManifests {
    private DaemonManifests() {}

    /** As {@link ManifestReader#read}; the warnings of the daemon come last. */
    static ReadResult read(final String name, final String text) {
        final ReadResult result = ManifestReader.read(name, text);
        final List<Problem> problems = new ArrayList<>(result.problems());
        for (final KubeObject object : result.objects()) {
            switch (object) {
                case final CiliumPolicy policy -> addCilium(policy, problems);
                case final CalicoPolicy policy when policy.doNotTrack() || policy.preDnat() ->
                        problems.add(
                                warning(
                                        policy,
                                        "host policies: the policy has no effect on this node"));
                case final CalicoPolicy.HostEndpoint endpoint ->
                        problems.add(
                                warning(
                                        endpoint,
                                        "host endpoints: the node's own traffic is not judged"));
                default -> {}
            }
        }
        return new ReadResult(result.objects(), List.copyOf(problems));
    }

    private static Problem warning(final KubeObject object, final String what) {
        return Problem.warning(object.where(), "", "not enforced yet: " + what);
    }

    private static void addCilium(final CiliumPolicy policy, final List<Problem> problems) {
        for (final CiliumPolicy.Rule rule : policy.rules()) {
            if (rule.subject() instanceof Nodes) {
                problems.add(warning(policy, "host policies: the rule has no effect on this node"));
                continue;
            }
            for (final PolicyDirection direction : PolicyDirection.values()) {
                final Side side = rule.side(direction);
                for (final CiliumPolicy.Entry entry : side.allow()) {
                    for (final PortRule ports : entry.ports()) {
                        addRequests(ports, side.defaultDeny(), problems);
                    }
                }
            }
        }
    }

    private static void addRequests(
            final PortRule ports, final boolean defaultDeny, final List<Problem> problems) {
        final Restriction restriction = ports.restriction();
        if (!isEnforced(restriction)) {
            problems.add(
                    Problem.warning(
                            ports.where(),
                            "toPorts",
                            "not enforced yet: "
                                    + restriction.field()
                                    + (restriction.isWidened(defaultDeny)
                                            ? ": the rule does not isolate, so it allows these"
                                                    + " ports"
                                            : ": these ports are denied to what the rule would let"
                                                    + " through in part")));
        }
    }

    private static boolean isEnforced(final Restriction restriction) {
        return switch (restriction) {
            case NONE, HTTP, KAFKA, DNS, SERVER_NAMES, TLS -> true;
            case L7PROTO, LISTENER -> false;
        };
    }
}
