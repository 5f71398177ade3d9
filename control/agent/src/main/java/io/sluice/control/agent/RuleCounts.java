package io.sluice.control.agent;

import io.sluice.control.policy.Author;
import io.sluice.l7proxy.L7Event;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;

/**
 * Counts requests by the L7 rule that decided.
 *
 * <p>Rules are named when a flow's rules are worked out ({@link #name}), and found again by the
 * sentence that the proxy reports. A rule is the same wherever it is written: its count goes on
 * when lines move. Rules that policies merge for the same peers and port count for the first of
 * them, since they are one entry of the policy map.
 *
 * <p>Bounded: {@link #RULES_MAX} rules; rules that are in the newest policy push out those that are
 * not, and what finds no place, or is decided by no rule (a header that cannot be edited), counts
 * as {@code other}. Where the rules of both ends let a request pass, it counts for both.
 *
 * <p>Thread: any.
 */
final class RuleCounts {
    /** A rule has some 300 bytes: 1.2 MB. A series of Prometheus for each and verdict. */
    static final int RULES_MAX = 4_096;

    private static final String BOTH_ENDS = "; ";

    private record Key(String kind, String namespace, String name, String rule) {}

    private static final class Counts {
        private final LongAdder allowed = new LongAdder();
        private final LongAdder denied = new LongAdder();
        private final LongAdder audited = new LongAdder();

        /** Where it was last named; both of one moment are not needed. */
        private volatile Author author;

        private volatile long revision;

        Counts(final Author author, final long revision) {
            this.author = author;
            this.revision = revision;
        }

        void count(final L7Event.Verdict verdict) {
            switch (verdict) {
                case FORWARDED -> allowed.increment();
                case DENIED -> denied.increment();
                case AUDITED -> audited.increment();
                case ERROR -> {}
            }
        }

        RuleReport report(final Key key) {
            return new RuleReport(
                    key.kind(),
                    key.namespace(),
                    key.name(),
                    key.rule(),
                    author.file(),
                    author.line(),
                    allowed.sum(),
                    denied.sum(),
                    audited.sum());
        }
    }

    private static final Key OTHER = new Key("", "", "", "other");

    private final Map<Key, Counts> rules = new ConcurrentHashMap<>();
    private final Counts other = new Counts(Author.DEFAULT, 0);

    /** Of the newest revision that was named. */
    private final Map<String, Counts> bySentence = new ConcurrentHashMap<>();

    private long newestRevision;

    /**
     * Says that requests may be decided by this author.
     *
     * @param revision of the policy that it is in
     */
    synchronized void name(final Author author, final long revision) {
        if (revision > newestRevision) {
            newestRevision = revision;
            bySentence.clear();
        }
        final String sentence = author.toString();
        if (revision < newestRevision || bySentence.containsKey(sentence)) {
            return;
        }
        final Key key = key(author);
        Counts counts = rules.get(key);
        if (counts == null) {
            if (rules.size() >= RULES_MAX) {
                rules.values().removeIf(old -> old.revision < newestRevision);
            }
            if (rules.size() >= RULES_MAX) {
                return;
            }
            counts = new Counts(author, revision);
            rules.put(key, counts);
        }
        counts.author = author;
        counts.revision = revision;
        bySentence.put(sentence, counts);
    }

    private static Key key(final Author author) {
        return new Key(
                author.simpleKind(),
                author.namespace(),
                author.name(),
                switch (author.origin()) {
                    case RULE -> author.list() + "[" + author.rule() + "]";
                    case END_OF_TIER -> "end of tier " + author.tier();
                    case DEFAULT,
                            OWN_NODE,
                            SELF,
                            FAILSAFE,
                            END_OF_PROFILES,
                            MISSING_PROFILE,
                            NOT_AN_ENDPOINT ->
                            author.toString();
                });
    }

    /** Counts a request that was judged. */
    void count(final L7Event request) {
        final String by = request.by();
        if (by.isEmpty()) {
            // No policy asks anything of the flow any more.
            return;
        }
        final Counts known = bySentence.get(by);
        if (known != null) {
            known.count(request.verdict());
            return;
        }
        for (final String sentence : List.of(by.split(BOTH_ENDS, -1))) {
            bySentence.getOrDefault(sentence, other).count(request.verdict());
        }
    }

    /** All rules that decided about a request, by policy and rule, {@code other} last. */
    List<RuleReport> all() {
        final List<RuleReport> reports =
                rules.entrySet().stream()
                        .map(rule -> rule.getValue().report(rule.getKey()))
                        .filter(RuleCounts::hasCounted)
                        .sorted(
                                Comparator.comparing(RuleReport::kind)
                                        .thenComparing(RuleReport::namespace)
                                        .thenComparing(RuleReport::name)
                                        .thenComparing(RuleReport::rule))
                        .collect(Collectors.toCollection(ArrayList::new));
        final RuleReport rest = other.report(OTHER);
        if (hasCounted(rest)) {
            reports.add(rest);
        }
        return List.copyOf(reports);
    }

    private static boolean hasCounted(final RuleReport report) {
        return report.allowed() + report.denied() + report.audited() > 0;
    }
}
