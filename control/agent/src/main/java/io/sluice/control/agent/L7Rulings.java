package io.sluice.control.agent;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.L7Rules;
import io.sluice.control.policy.L7Rules.Parser;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyEntry.Redirect;
import io.sluice.control.policy.PolicyEntry.Verdict;
import io.sluice.control.policy.TlsContexts;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Compiled verdicts in the words of the L7 proxy.
 *
 * <p>A redirect is a chain: rules, what holds for requests that they do not allow, possibly other
 * rules, and so on to an allow or a deny. Each set of rules becomes a stage, the end what holds
 * otherwise.
 *
 * <p>Where only audited policies ask for a proxy, the flow is redirected too, so that what they
 * would deny is reported; nothing is denied then. Where enforced and audited policies both do, the
 * enforced rules count alone.
 *
 * <p>Pure; any thread.
 */
final class L7Rulings {
    private L7Rulings() {}

    /** Who reads the flow; empty if nobody has to, or none of the proxy's parsers can. */
    static Optional<Parser> parser(final PolicyEntry entry) {
        return redirect(entry)
                .map(Redirect::rules)
                .filter(rules -> rules.tls().isUsable())
                .map(L7Rules::parser)
                .filter(L7Rulings::isOurs);
    }

    /** The TLS that the proxy takes off and puts on. */
    static TlsContexts tls(final PolicyEntry entry) {
        return redirect(entry).map(asked -> asked.rules().tls()).orElse(TlsContexts.NONE);
    }

    private static Optional<Redirect> redirect(final PolicyEntry entry) {
        return switch (entry.verdict()) {
            case REDIRECT -> entry.redirect();
            case ALLOW -> entry.audited().flatMap(PolicyEntry::redirect);
            case DENY -> Optional.empty();
        };
    }

    private static boolean isOurs(final Parser parser) {
        return switch (parser) {
            case HTTP, KAFKA, TLS, DNS -> true;
            case CUSTOM -> false;
        };
    }

    /** What one side of a flow asks of its requests. */
    static SideRules side(final PolicyEntry entry) {
        final Optional<Redirect> redirect = redirect(entry);
        if (redirect.isEmpty()) {
            return entry.isAllowed()
                    ? SideRules.ALLOW_ALL
                    : new SideRules(false, List.of(), false, entry.by().toString());
        }
        final boolean isAudited = entry.verdict() == Verdict.ALLOW;
        final List<RuleStage> stages = new ArrayList<>();
        PolicyEntry asked = isAudited ? entry.audited().orElse(entry) : entry;
        while (asked.verdict() == Verdict.REDIRECT) {
            final Redirect link = asked.redirect().orElseThrow();
            stages.add(stage(link.rules(), asked.by().toString()));
            asked = link.otherwise();
        }
        return new SideRules(isAudited, stages, asked.isAllowed(), asked.by().toString());
    }

    /** Who may decide about a request of such an entry; none without rules. */
    static List<Author> authors(final PolicyEntry entry) {
        final List<Author> authors = new ArrayList<>();
        PolicyEntry asked =
                entry.verdict() == Verdict.ALLOW ? entry.audited().orElse(entry) : entry;
        while (asked.verdict() == Verdict.REDIRECT) {
            authors.add(asked.by());
            asked = asked.redirect().orElseThrow().otherwise();
        }
        if (!authors.isEmpty()) {
            authors.add(asked.by());
        }
        return authors;
    }

    private static RuleStage stage(final L7Rules rules, final String by) {
        return new RuleStage(
                rules.matchesAll(),
                rules.http(),
                rules.calicoHttp(),
                rules.kafka(),
                rules.serverNames(),
                by);
    }
}
