package io.sluice.control.policy.replay;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.Evaluation;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.Probe;
import io.sluice.control.policy.ProbeException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Traffic that was seen, asked of another policy.
 *
 * <p><b>Theory of operation.</b> {@link FlowTally} adds equal flows up, {@link ReplayWorld} gives
 * everybody who was seen a place among the objects, and every different flow becomes one probe of
 * the same evaluator that {@code policy eval} and the daemon use: both ends' policies, and the L7
 * rules where the flow is a request. A destination that was reached by names is asked for under
 * each of them; one that lets it pass is enough, as for the packet.
 *
 * <p><b>What it cannot know.</b> A record says what was seen, not what was meant: traffic that
 * never came is in none. Requests are in it only where a proxy read them, and of their headers
 * those that rules spoke of. What policy decided about replies is not asked: they follow their
 * flow.
 *
 * <p>Immutable, any thread; flows may be judged side by side.
 */
public final class FlowReplay {
    /** What the other policy makes of it. */
    public enum Change {
        /** It passed, and would be denied. */
        NOW_DENIED,
        /** It was denied, and would pass. */
        NOW_ALLOWED,
        /** It passed, and would pass because the policies that deny it are audited. */
        NOW_AUDITED,
        /** It passes, or not, as it did. */
        NONE,
        /** Neither end is in the world, or not as it was. */
        UNKNOWN
    }

    /**
     * An answer.
     *
     * @param seen what was seen
     * @param change what would change
     * @param now what the policy says; empty where the change is UNKNOWN
     * @param by who decides now; empty where the change is UNKNOWN
     * @param reason why it is UNKNOWN; empty otherwise
     */
    public record Answer(
            SeenTraffic seen,
            Change change,
            Optional<Evaluation> now,
            Optional<Author> by,
            String reason) {
        /** Verdict of the policy, by Hubble's name; what a proxy refuses is DROPPED. */
        public SeenVerdict verdict() {
            return now.map(FlowReplay::verdict).orElse(seen.verdict());
        }
    }

    private final ReplayWorld world;
    private final PolicyEvaluator evaluator;

    /**
     * @param evaluator of what {@link ReplayWorld#world} was compiled to
     */
    public FlowReplay(final ReplayWorld world, final PolicyEvaluator evaluator) {
        this.world = world;
        this.evaluator = evaluator;
    }

    /** What the policy says to a flow that was seen. */
    public Answer judge(final SeenTraffic seen) {
        final SeenFlow flow = seen.flow();
        final String from = world.end(flow.from());
        final String to = world.end(flow.to());
        if (from.isEmpty() || to.isEmpty()) {
            return unknown(seen, "neither a pod nor an address is recorded");
        }
        try {
            final Evaluation now = evaluate(probe(from, to, flow), flow.names());
            return new Answer(
                    seen,
                    change(seen.verdict(), now),
                    Optional.of(now),
                    Optional.of(author(now)),
                    "");
        } catch (final ProbeException e) {
            return unknown(seen, String.valueOf(e.getMessage()));
        }
    }

    private static Answer unknown(final SeenTraffic seen, final String reason) {
        return new Answer(seen, Change.UNKNOWN, Optional.empty(), Optional.empty(), reason);
    }

    private static Probe probe(final String from, final String to, final SeenFlow flow) {
        final boolean icmp = IpProtocol.isIcmp(flow.protocol());
        return new Probe(
                from,
                to,
                IpProtocol.nameOf(flow.protocol()),
                icmp || flow.port() == 0 ? "" : Integer.toString(flow.port()),
                Probe.NOT_GIVEN,
                icmp ? flow.port() >> 8 : Probe.NOT_GIVEN,
                icmp ? flow.port() & 0xff : Probe.NOT_GIVEN,
                flow.request());
    }

    /** Names only allow: the first that does is the answer. */
    private Evaluation evaluate(final Probe probe, final List<String> names) throws ProbeException {
        Evaluation answer = evaluator.evaluate(probe);
        for (final String name : names) {
            if (answer.allowed() && answer.verdict() != Evaluation.Verdict.AUDIT) {
                break;
            }
            final Map<String, String> fields = new HashMap<>(probe.l7());
            fields.put("toName", name);
            final Evaluation named = evaluator.evaluate(probe.with(fields));
            answer = named.allowed() || !answer.allowed() ? named : answer;
        }
        return answer;
    }

    private static SeenVerdict verdict(final Evaluation now) {
        if (!now.allowed()) {
            return SeenVerdict.DROPPED;
        }
        return switch (now.verdict()) {
            case FORWARDED -> SeenVerdict.FORWARDED;
            case DROPPED -> SeenVerdict.DROPPED;
            case REDIRECTED -> SeenVerdict.REDIRECTED;
            case AUDIT -> SeenVerdict.AUDIT;
        };
    }

    private static Change change(final SeenVerdict before, final Evaluation now) {
        final SeenVerdict after = verdict(now);
        if (before.isAllowed() != after.isAllowed()) {
            return after.isAllowed() ? Change.NOW_ALLOWED : Change.NOW_DENIED;
        }
        return after == SeenVerdict.AUDIT && before != SeenVerdict.AUDIT
                ? Change.NOW_AUDITED
                : Change.NONE;
    }

    /** The first that denies, else the first whose denial is audited, else who allows last. */
    private static Author author(final Evaluation now) {
        if (!now.egress().isAllowed()) {
            return now.egress().by();
        }
        if (!now.ingress().isAllowed()) {
            return now.ingress().by();
        }
        if (now.request().isPresent()) {
            return now.request().get().by();
        }
        for (final PolicyEntry side : List.of(now.egress(), now.ingress())) {
            if (side.isAudit()) {
                return side.audited().orElse(side).by();
            }
        }
        return now.ingress().by().origin() == Author.Origin.RULE
                ? now.ingress().by()
                : now.egress().by();
    }
}
