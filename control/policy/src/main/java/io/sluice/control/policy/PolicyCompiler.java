package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.IntPredicate;

/**
 * Policies to policy maps: read {@link #compile} first.
 *
 * <pre>
 *   objects -> statements (translators) -> tiers
 *   world + prefixes of the statements  -> peers, identities, ipcache
 *   tiers x endpoints                   -> subjects: endpoints with the same statements
 *   subject x identity                  -> verdict program (ProgramPainter)
 * </pre>
 *
 * <p>A rule is matched against an identity once, not once per endpoint; endpoints that the same
 * statements select share one map; inside a map, identities that the same rules match share one
 * program. The cost is statements x distinct label sets for the subjects, plus rules x identities
 * for the peers; painting is only done for combinations of rules that occur.
 *
 * <p>What it does not do: order between statements (the additive group has none), L7, learned
 * names, host policies. It never decides by numbers of identities: equal worlds give equal verdicts
 * whatever the allocator.
 *
 * <p>Thread: any; the allocator belongs to the caller's thread.
 */
public final class PolicyCompiler {
    private final PolicyOptions options;
    private final List<PolicyTier> tiers;

    /** Statements of all tiers, in order; the position is the statement's number. */
    private final List<PolicyStatement> statements;

    private final List<Problem> warnings;
    private final PeerTable peers;

    /** Facts by dense index, in the order of the peer table. */
    private final List<PeerFacts> facts;

    private final int[] numbers;
    private final Map<PeerMatch, BitSet> matchesByPeers = new HashMap<>();
    private final Map<String, BitSet> ownNodePeers = new HashMap<>();
    private final Map<VerdictProgram, Integer> programIndexes = new LinkedHashMap<>();
    private final List<VerdictProgram> programs = new ArrayList<>();
    private final Map<SubjectKey, PolicyMap> mapBySubject = new HashMap<>();
    private final Map<MapContent, PolicyMap> mapByContent = new LinkedHashMap<>();

    /**
     * Endpoints with equal keys have the same policy map.
     *
     * @param direction direction of policy
     * @param statements positions of the selecting statements in all statements
     * @param ports named ports of the endpoint, if a rule asks for one by name
     * @param ownNode positions of the facts of the endpoint's own node
     */
    private record SubjectKey(
            PolicyDirection direction,
            BitSet statements,
            Set<Pod.NamedPort> ports,
            BitSet ownNode) {}

    /** Identities with equal keys have, in one map, the same program. */
    private record ProgramKey(BitSet rules, Set<Pod.NamedPort> ports, boolean ownNode) {}

    /** Equal contents are one map; programs by their index, per position of the facts. */
    private record MapContent(boolean isolated, List<Integer> programs) {}

    private PolicyCompiler(
            final World world, final IdentityAllocator allocator, final PolicyOptions options) {
        this.options = options;
        this.warnings = new ArrayList<>();
        this.tiers = List.of(defaultTier(world));
        this.statements = tiers.stream().flatMap(tier -> tier.statements().stream()).toList();
        this.peers = new PeerTable(world, options, allocator, policyPrefixes());
        this.facts = List.copyOf(peers.numbers().keySet());
        this.numbers = facts.stream().mapToInt(this::numberOf).toArray();
    }

    /** Compiles every policy of a world. */
    public static PolicySet compile(
            final World world, final IdentityAllocator identities, final PolicyOptions options) {
        return new PolicyCompiler(world, identities, options).compile(world);
    }

    private PolicySet compile(final World world) {
        final Map<ObjectRef, PolicySet.Subject> subjects = new LinkedHashMap<>();
        final Map<PeerFacts, BitSet> selections = new HashMap<>();
        for (final Pod pod : world.pods()) {
            final PeerFacts endpoint = peers.pods().get(pod.ref());
            if (endpoint == null) {
                continue;
            }
            final BitSet selecting = selections.computeIfAbsent(endpoint, this::selecting);
            subjects.put(
                    pod.ref(),
                    new PolicySet.Subject(
                            numberOf(endpoint),
                            side(PolicyDirection.INGRESS, selecting, pod, endpoint),
                            side(PolicyDirection.EGRESS, selecting, pod, endpoint)));
        }
        final List<IpcacheEntry> ipcache = new ArrayList<>();
        peers.prefixes()
                .forEach((prefix, at) -> ipcache.add(new IpcacheEntry(prefix, numberOf(at))));
        ipcache.sort((a, b) -> a.prefix().compareTo(b.prefix()));
        return new PolicySet(
                peers.numbers(),
                ipcache,
                List.copyOf(mapByContent.values()),
                programs,
                subjects,
                List.copyOf(new LinkedHashSet<>(warnings)));
    }

    private int numberOf(final PeerFacts peer) {
        final Integer number = peers.numbers().get(peer);
        if (number == null) {
            throw new IllegalStateException("no number for " + peer);
        }
        return number;
    }

    private String nodeOf(final Pod pod) {
        return pod.nodeName().isEmpty() ? options.nodeName() : pod.nodeName();
    }

    private PolicyTier defaultTier(final World world) {
        final CiliumPolicyTranslator cilium =
                new CiliumPolicyTranslator(world, options, PolicyTier.DEFAULT_NAME, warnings);
        final List<KubeObject.Policy> policies =
                world.all(KubeObject.Policy.class).stream()
                        .sorted((a, b) -> a.ref().compareTo(b.ref()))
                        .toList();
        final List<PolicyStatement> statements = new ArrayList<>();
        for (final KubeObject.Policy policy : policies) {
            statements.addAll(
                    switch (policy) {
                        case final NetworkPolicy networkPolicy ->
                                NetworkPolicyTranslator.translate(
                                        networkPolicy, PolicyTier.DEFAULT_NAME);
                        case final CiliumPolicy ciliumPolicy -> cilium.translate(ciliumPolicy);
                        case AdminPolicy _, CalicoPolicy _ -> List.<PolicyStatement>of();
                    });
        }
        return new PolicyTier(PolicyTier.DEFAULT_NAME, List.copyOf(statements));
    }

    /** Prefixes that rules name, by the kinds of peers that these rules match them against. */
    private Map<PeerFacts.Kind, Set<Cidr>> policyPrefixes() {
        final Map<PeerFacts.Kind, Set<Cidr>> prefixes = new EnumMap<>(PeerFacts.Kind.class);
        for (final PolicyStatement statement : statements) {
            for (final PolicyRule rule : statement.rules()) {
                if (rule.peers() instanceof final PeerMatch.AnyOf anyOf) {
                    anyOf.terms().forEach(term -> addPrefixes(term, prefixes));
                }
            }
        }
        return prefixes;
    }

    private static void addPrefixes(
            final PeerMatch.Term term, final Map<PeerFacts.Kind, Set<Cidr>> prefixes) {
        if (term instanceof final PeerMatch.InPrefix inPrefix) {
            for (final PeerFacts.Kind kind : inPrefix.kinds()) {
                final Set<Cidr> ofKind = prefixes.computeIfAbsent(kind, _ -> new TreeSet<>());
                ofKind.add(inPrefix.cidr());
                ofKind.addAll(inPrefix.except());
            }
        }
    }

    /** Positions of the statements that select an endpoint, of both directions. */
    private BitSet selecting(final PeerFacts endpoint) {
        final BitSet selecting = new BitSet(statements.size());
        for (int i = 0; i < statements.size(); i++) {
            selecting.set(i, statements.get(i).selects(endpoint));
        }
        return selecting;
    }

    private PolicySet.Side side(
            final PolicyDirection direction,
            final BitSet selecting,
            final Pod pod,
            final PeerFacts endpoint) {
        final BitSet ofDirection = new BitSet();
        boolean named = false;
        final List<PolicyStatement> listed = new ArrayList<>();
        for (int i = selecting.nextSetBit(0); i >= 0; i = selecting.nextSetBit(i + 1)) {
            final PolicyStatement statement = statements.get(i);
            if (statement.direction() == direction) {
                ofDirection.set(i);
                listed.add(statement);
                named |= statement.rules().stream().anyMatch(PolicyRule::hasNamedPorts);
            }
        }
        final boolean ingress = direction == PolicyDirection.INGRESS;
        final SubjectKey key =
                new SubjectKey(
                        direction,
                        ofDirection,
                        ingress && named ? endpoint.ports() : Set.of(),
                        ingress
                                ? ownNodePeers.computeIfAbsent(nodeOf(pod), this::peersOfNode)
                                : new BitSet());
        PolicyMap map = mapBySubject.get(key);
        if (map == null) {
            map = compileSubject(key);
            mapBySubject.put(key, map);
        }
        return new PolicySet.Side(List.copyOf(listed), map);
    }

    private BitSet peersOfNode(final String nodeName) {
        final BitSet matching = new BitSet();
        for (int i = 0; i < facts.size(); i++) {
            final PeerFacts peer = facts.get(i);
            matching.set(i, peer.kind() == PeerFacts.Kind.NODE && peer.nodeName().equals(nodeName));
        }
        return matching;
    }

    private PolicyMap compileSubject(final SubjectKey subject) {
        final List<PolicyRule> rules = new ArrayList<>();
        boolean isolated = false;
        for (final PolicyStatement statement : selected(subject.statements)) {
            rules.addAll(statement.rules());
            isolated |= statement.isolates();
        }
        final List<BitSet> matched = new ArrayList<>(facts.size());
        for (int i = 0; i < facts.size(); i++) {
            matched.add(new BitSet(rules.size()));
        }
        for (int rule = 0; rule < rules.size(); rule++) {
            final BitSet matching =
                    matchesByPeers.computeIfAbsent(rules.get(rule).peers(), this::peersMatching);
            for (int i = matching.nextSetBit(0); i >= 0; i = matching.nextSetBit(i + 1)) {
                matched.get(i).set(rule);
            }
        }
        final Map<ProgramKey, Integer> byRules = new HashMap<>();
        final List<Integer> byPeer = new ArrayList<>(facts.size() + 1);
        for (int i = 0; i < facts.size(); i++) {
            final ProgramKey key =
                    new ProgramKey(
                            matched.get(i),
                            destinationPorts(subject, facts.get(i), matched.get(i), rules),
                            subject.ownNode.get(i));
            byPeer.add(byRules.computeIfAbsent(key, k -> program(subject, k)));
        }
        // An identity that came after the compile: nothing is known of it, so only rules about
        // everyone hold, and a rule about everyone is the same for every peer.
        final BitSet aboutEveryone = new BitSet();
        for (int rule = 0; rule < rules.size(); rule++) {
            aboutEveryone.set(rule, rules.get(rule).peers().equals(PeerMatch.EVERYONE));
        }
        final ProgramKey unknown =
                new ProgramKey(
                        aboutEveryone,
                        subject.direction == PolicyDirection.INGRESS ? subject.ports : Set.of(),
                        false);
        byPeer.add(byRules.computeIfAbsent(unknown, k -> program(subject, k)));
        return intern(isolated, byPeer);
    }

    private List<PolicyStatement> selected(final BitSet positions) {
        return positions.stream().mapToObj(statements::get).toList();
    }

    /** Named ports that matter: those of the destination, if a matching rule asks for a name. */
    private static Set<Pod.NamedPort> destinationPorts(
            final SubjectKey subject,
            final PeerFacts peer,
            final BitSet matched,
            final List<PolicyRule> rules) {
        if (subject.direction == PolicyDirection.INGRESS) {
            return subject.ports;
        }
        return matched.stream().anyMatch(rule -> rules.get(rule).hasNamedPorts())
                ? peer.ports()
                : Set.of();
    }

    private BitSet peersMatching(final PeerMatch match) {
        final BitSet matching = new BitSet();
        for (int i = 0; i < facts.size(); i++) {
            matching.set(i, match.matches(facts.get(i)));
        }
        return matching;
    }

    private PolicyMap intern(final boolean isolated, final List<Integer> byPeer) {
        final MapContent content = new MapContent(isolated, byPeer);
        final PolicyMap known = mapByContent.get(content);
        if (known != null) {
            return known;
        }
        final Map<Integer, VerdictProgram> byNumber = new HashMap<>();
        for (int i = 0; i < numbers.length; i++) {
            byNumber.put(numbers[i], programs.get(byPeer.get(i)));
        }
        final PolicyMap map =
                new PolicyMap(
                        mapByContent.size(),
                        isolated,
                        byNumber,
                        programs.get(byPeer.get(numbers.length)));
        mapByContent.put(content, map);
        return map;
    }

    /** Paints the rules that match one identity, tier by tier; answers the program's index. */
    private int program(final SubjectKey subject, final ProgramKey key) {
        final ProgramPainter painter = new ProgramPainter();
        int firstStatement = 0;
        int firstRule = 0;
        for (final PolicyTier tier : tiers) {
            final int endStatement = firstStatement + tier.statements().size();
            final List<PolicyStatement> selecting =
                    subject.statements.stream()
                            .filter(inRange(firstStatement, endStatement))
                            .mapToObj(statements::get)
                            .toList();
            final List<PolicyRule> matching = new ArrayList<>();
            for (final PolicyStatement statement : selecting) {
                for (int i = 0; i < statement.rules().size(); i++) {
                    if (key.rules.get(firstRule + i)) {
                        matching.add(statement.rules().get(i));
                    }
                }
                firstRule += statement.rules().size();
            }
            paintAdditiveGroup(painter, matching, key);
            for (final PolicyStatement statement : selecting) {
                if (statement.isolates()) {
                    painter.paintAll(
                            PolicyEntry.deny(
                                    PolicyEntry.Reason.POLICY_DENIED,
                                    Author.ofTierEnd(tier.name(), statement.policy())));
                    break;
                }
            }
            firstStatement = endStatement;
        }
        final VerdictProgram program =
                painter.finish(
                        switch (options.defaultVerdict()) {
                            case ALLOW -> PolicyEntry.allow(Author.DEFAULT);
                            case DENY ->
                                    PolicyEntry.deny(
                                            PolicyEntry.Reason.POLICY_DENIED, Author.DEFAULT);
                        });
        final Integer known = programIndexes.putIfAbsent(program, programs.size());
        if (known != null) {
            return known;
        }
        programs.add(program);
        return programs.size() - 1;
    }

    private static IntPredicate inRange(final int first, final int end) {
        return position -> position >= first && position < end;
    }

    /**
     * Denies first, then allows, then what is denied for want of a proxy; inside one class the
     * order of the statements, which decides only who is named.
     */
    private static void paintAdditiveGroup(
            final ProgramPainter painter, final List<PolicyRule> matching, final ProgramKey key) {
        final List<PolicyRule> ordered = new ArrayList<>(matching);
        ordered.sort((a, b) -> Integer.compare(a.precedence(), b.precedence()));
        for (final PolicyRule rule : ordered) {
            if (rule.precedence() == 0) {
                paintRule(painter, rule, key.ports);
            }
        }
        if (key.ownNode) {
            painter.paintAll(PolicyEntry.allow(Author.OWN_NODE));
        }
        for (final PolicyRule rule : ordered) {
            if (rule.precedence() > 0) {
                paintRule(painter, rule, key.ports);
            }
        }
    }

    private static void paintRule(
            final ProgramPainter painter,
            final PolicyRule rule,
            final Set<Pod.NamedPort> destinationPorts) {
        if (rule.ports().isEmpty()) {
            painter.paintAll(rule.entry());
        }
        for (final PortMatch port : rule.ports()) {
            switch (port) {
                case final PortMatch.Range range ->
                        painter.paint(range.protocol(), range.from(), range.to(), rule.entry());
                case final PortMatch.Named named -> {
                    for (final Pod.NamedPort candidate : destinationPorts) {
                        if (candidate.name().equals(named.name())
                                && candidate.protocol() == named.protocol()) {
                            painter.paint(
                                    candidate.protocol(),
                                    candidate.port(),
                                    candidate.port(),
                                    rule.entry());
                        }
                    }
                }
            }
        }
    }
}
