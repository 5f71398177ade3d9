package io.sluice.control.policy;

import io.sluice.control.policy.PeerSets.PeerSet;
import io.sluice.control.policy.PeerTable.PodFacts;
import io.sluice.control.policy.RuleChain.Difference;
import io.sluice.control.policy.RuleChain.IndexedRule;
import io.sluice.control.policy.RuleChain.Part;
import io.sluice.control.policy.Subjects.Subject;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.WeakHashMap;

/**
 * Policies to policy maps: read {@link #update} first.
 *
 * <pre>
 *   objects -> statements (translators), each with its place among all
 *   world + prefixes and names of the statements -> peers, identities, ipcache (PeerTable)
 *   rules x peers       -> who matches what (PeerSets)
 *   endpoints that are alike -> the statements that select them, in order (RuleChain)
 *   chain x identity    -> verdict program (Canvas), shared when equal
 * </pre>
 *
 * <p>It remembers all of that, and a new world costs what it touches:
 *
 * <table>
 * <caption>What a change costs</caption>
 * <tr><td>a policy</td><td>its translation, its rules against the peers; in each kind of endpoint
 * that it selects or selected a look at each rule, and the programs of the peers that its rules
 * match or matched; of all peers where a rule is about everyone, or the order of tiers and the last
 * word are others</td></tr>
 * <tr><td>a pod like others</td><td>its addresses in the ipcache</td></tr>
 * <tr><td>a pod like no other</td><td>besides: the rules that could match it, one program in each
 * map which has such a rule, its own two maps</td></tr>
 * <tr><td>a CIDR group, service, network set, tier</td><td>the policies that read such
 * objects</td></tr>
 * <tr><td>a node, a prefix or name that no policy named before</td><td>all peers anew: facts of
 * addresses change with what policies ask about them</td></tr>
 * </table>
 *
 * <p>It never decides by numbers of identities: equal worlds give equal verdicts whatever the
 * allocator and whatever came before, and a test holds that.
 *
 * <p>Thread: one at a time; the allocator belongs to the same thread. What it answers is immutable.
 */
public final class PolicyCompiler {
    /** Updates after which peers are made anew, so that the allocator can forget vanished ones. */
    private static final int UPDATES_PER_REBUILD = 1024;

    /**
     * Programs remembered of one chain: many more than kinds of peers that its rules tell apart.
     */
    private static final int PAINTED_PER_CHAIN = 1024;

    /**
     * Statements, or rules, that are exchanged one by one; of more all is made anew. Each costs a
     * look at all rules of the endpoint.
     */
    private static final int EXCHANGED_MAX = 64;

    private static final Comparator<Part> BY_PLACE =
            Comparator.comparing(part -> part.statement().place());

    private final PolicyOptions options;
    private final PeerTable peers;
    private PeerSets sets = new PeerSets();
    private World world = World.EMPTY;
    private boolean first = true;
    private int updates;

    /** A policy with its rules indexed. */
    private record Compiled(Translation translation, List<Part> parts) {}

    private final Map<ObjectRef, Compiled> compiled = new LinkedHashMap<>();

    /** Of these the few that something has to be said about. */
    private final Map<ObjectRef, Translation> remarkable = new LinkedHashMap<>();

    private final Map<ObjectRef, Set<ObjectRef>> stagedFor = new HashMap<>();
    private final Map<String, Set<Part>> partsByNamespace = new HashMap<>();
    private final Map<IndexedRule, Map<Cidr, IndexedRule>> rulesOfFamily = new HashMap<>();
    private final Map<String, IndexedRule> ownNodeRules = new HashMap<>();
    private final AskedAddresses asked = new AskedAddresses();

    private final Subjects subjects = new Subjects();
    private final Interned<VerdictProgram> programs = new Interned<>();
    private final Interned<PolicyMap> maps = new Interned<>();

    /**
     * What came out of a chain for the peers so far: a new peer is nearly always like one of them.
     * Goes with the chain.
     */
    private final WeakHashMap<RuleChain, Map<ProgramKey, VerdictProgram>> paintedByChain =
            new WeakHashMap<>();

    /** Maps made in the current update: endpoints whose chains say the same share them. */
    private final Map<MapKey, PolicyMap> mapByChain = new HashMap<>();

    /** Peers that joined or left a condition of an endpoint's rules, in the current update. */
    private final Map<SubjectSide, Set<PeerFacts>> changedPeers = new LinkedHashMap<>();

    /** Facts that have gone, but whose numbers are still in the maps. */
    private final Set<PeerFacts> vanished = new LinkedHashSet<>();

    private Optional<PeerSnapshot> snapshotOfPeers = Optional.empty();

    public PolicyCompiler(final IdentityAllocator allocator, final PolicyOptions options) {
        this.options = options;
        this.peers = new PeerTable(options, allocator);
    }

    /** Compiles every policy of a world. */
    public static PolicySet compile(
            final World world, final IdentityAllocator identities, final PolicyOptions options) {
        return new PolicyCompiler(identities, options).update(world);
    }

    /**
     * The policies of a world, made from those of the world before.
     *
     * @return the same as a new compiler would answer, numbers of identities aside
     */
    public PolicySet update(final World next) {
        final Set<ObjectRef> changed = next.changedSince(world);
        final Set<IpAddress> renamed = next.renamedSince(world);
        world = next;
        final Set<ObjectRef> policies = policiesToTranslate(changed);
        final Map<ObjectRef, Translation> translations = translate(policies);
        final Set<Part> gone = forget(policies);

        translations.values().forEach(asked::add);
        final boolean askedChanged = asked.takeChanged();
        updates++;
        final boolean rebuild =
                first
                        || askedChanged
                        || updates % UPDATES_PER_REBUILD == 0
                        || changesEveryPeer(changed)
                        || renamed.stream().anyMatch(peers::isNode);
        final Set<ObjectRef> pods = rebuild ? allPods() : changedPods(changed, renamed);
        if (rebuild) {
            first |= peers.rebuild(world, asked.universe()) == PeerTable.Numbers.MOVED;
        } else {
            peers.update(world, pods, renamed);
        }
        updatePeers(peers.takeChanges());
        final Touched touched = new Touched(gone, index(translations));

        final Set<Subject> selected = subjectsOf(touched);
        updateSubjects(pods);
        final Set<Subject> stale = new LinkedHashSet<>(selected);
        stale.addAll(subjects.takeAdded());
        changedPeers.keySet().forEach(side -> stale.add(side.subject()));
        stale.removeIf(Subject::isGone);
        for (final Subject subject : stale) {
            for (final SubjectSide side : subject.sides()) {
                if (side.result().isEmpty()) {
                    compile(subject, side, selecting(subject, side));
                } else if (selected.contains(subject) && touched.concerns(side.direction())) {
                    compile(subject, side, selecting(subject, side, touched));
                } else if (changedPeers.containsKey(side)) {
                    patch(side, changedPeers.getOrDefault(side, Set.of()));
                }
            }
            subjects.answer(subject);
        }
        changedPeers.clear();
        first = false;
        final boolean samePeers = !rebuild && pods.isEmpty() && renamed.isEmpty();
        tidy();
        return snapshot(samePeers);
    }

    // Policies.

    private Set<ObjectRef> policiesToTranslate(final Set<ObjectRef> changed) {
        final Set<ObjectRef> policies = new LinkedHashSet<>();
        final Set<Translation.Reads> read = EnumSet.noneOf(Translation.Reads.class);
        for (final ObjectRef ref : changed) {
            read.addAll(Translation.Reads.of(ref.kind()));
            if (compiled.containsKey(ref)
                    || world.lookup(ref).map(PolicyCompiler::isTranslated).orElse(false)) {
                policies.add(ref);
            }
        }
        if (!read.isEmpty()) {
            compiled.forEach(
                    (ref, policy) -> {
                        if (policy.translation.reads().stream().anyMatch(read::contains)) {
                            policies.add(ref);
                        }
                    });
        }
        return policies;
    }

    private static boolean isTranslated(final KubeObject object) {
        return object instanceof KubeObject.Policy || object instanceof CalicoPolicy.Profile;
    }

    private Map<ObjectRef, Translation> translate(final Set<ObjectRef> policies) {
        final CiliumPolicyTranslator cilium = new CiliumPolicyTranslator(world, options);
        final CalicoPolicyTranslator calico = new CalicoPolicyTranslator(world);
        final Map<ObjectRef, Translation> translations = new LinkedHashMap<>();
        for (final ObjectRef ref : policies) {
            final KubeObject object = world.lookup(ref).orElse(null);
            if (object instanceof final CalicoPolicy.Profile profile) {
                translations.put(ref, calico.translate(profile));
            } else if (object instanceof final KubeObject.Policy policy) {
                translations.put(ref, translate(policy, cilium, calico));
            }
        }
        return translations;
    }

    private static Translation translate(
            final KubeObject.Policy policy,
            final CiliumPolicyTranslator cilium,
            final CalicoPolicyTranslator calico) {
        return switch (policy) {
            case final NetworkPolicy networkPolicy ->
                    NetworkPolicyTranslator.translate(networkPolicy);
            case final CiliumPolicy ciliumPolicy -> cilium.translate(ciliumPolicy);
            case final AdminPolicy adminPolicy -> AdminPolicyTranslator.translate(adminPolicy);
            case final CalicoPolicy calicoPolicy -> calico.translate(calicoPolicy);
        };
    }

    /** What all policies of a world say about pods, whichever they select. */
    static List<PolicyStatement> statements(final World world, final PolicyOptions options) {
        final CiliumPolicyTranslator cilium = new CiliumPolicyTranslator(world, options);
        final CalicoPolicyTranslator calico = new CalicoPolicyTranslator(world);
        final List<PolicyStatement> statements = new ArrayList<>();
        for (final KubeObject object : world.objects()) {
            if (object instanceof final KubeObject.Policy policy) {
                statements.addAll(translate(policy, cilium, calico).statements());
            }
        }
        return List.copyOf(statements);
    }

    /** Takes policies out; answers what they said. */
    private Set<Part> forget(final Set<ObjectRef> policies) {
        final Set<Part> gone = new LinkedHashSet<>();
        for (final ObjectRef ref : policies) {
            remarkable.remove(ref);
            final Compiled policy = compiled.remove(ref);
            if (policy == null) {
                continue;
            }
            asked.remove(policy.translation);
            for (final Part part : policy.parts) {
                gone.add(part);
                partsOf(namespaceOf(part)).remove(part);
                for (final IndexedRule rule : part.rules()) {
                    sets.release(rule.peers());
                    final Map<Cidr, IndexedRule> derived = rulesOfFamily.remove(rule);
                    if (derived != null) {
                        derived.values().forEach(narrowed -> sets.release(narrowed.peers()));
                    }
                }
                part.statement()
                        .stagedTarget()
                        .ifPresent(
                                target ->
                                        stagedFor.computeIfPresent(
                                                target,
                                                (_, staged) -> {
                                                    staged.remove(ref);
                                                    return staged.isEmpty() ? null : staged;
                                                }));
            }
        }
        return gone;
    }

    /** Puts policies in; answers what they say. */
    private Set<Part> index(final Map<ObjectRef, Translation> translations) {
        final Set<Part> added = new LinkedHashSet<>();
        translations.forEach(
                (ref, translation) -> {
                    final List<Part> parts = new ArrayList<>();
                    for (final PolicyStatement statement : translation.statements()) {
                        final List<IndexedRule> rules = new ArrayList<>();
                        for (final PolicyRule rule : statement.rules()) {
                            rules.add(new IndexedRule(rule, sets.acquire(rule.peers())));
                        }
                        final Part part = new Part(statement, List.copyOf(rules));
                        parts.add(part);
                        partsOf(namespaceOf(part)).add(part);
                        statement
                                .stagedTarget()
                                .ifPresent(
                                        target ->
                                                stagedFor
                                                        .computeIfAbsent(
                                                                target, _ -> new HashSet<>())
                                                        .add(ref));
                    }
                    added.addAll(parts);
                    compiled.put(ref, new Compiled(translation, List.copyOf(parts)));
                    if (translation.isRemarkable()) {
                        remarkable.put(ref, translation);
                    }
                });
        return added;
    }

    private Set<Part> partsOf(final String namespace) {
        return partsByNamespace.computeIfAbsent(namespace, _ -> new LinkedHashSet<>());
    }

    /** Namespace whose endpoints it can select; empty for all. */
    private static String namespaceOf(final Part part) {
        return part.statement().policy().meta().namespace();
    }

    // Peers.

    private static boolean changesEveryPeer(final Set<ObjectRef> changed) {
        for (final ObjectRef ref : changed) {
            final boolean every =
                    switch (ref.kind()) {
                        case "Node", "HostEndpoint" -> true;
                        case "EndpointSlice" -> ref.namespace().equals("default");
                        default -> false;
                    };
            if (every) {
                return true;
            }
        }
        return false;
    }

    private Set<ObjectRef> allPods() {
        final Set<ObjectRef> pods = new LinkedHashSet<>(subjects.pods());
        world.pods().forEach(pod -> pods.add(pod.ref()));
        return pods;
    }

    /** Pods that changed, and those of which something changed that their facts speak of. */
    private Set<ObjectRef> changedPods(final Set<ObjectRef> changed, final Set<IpAddress> renamed) {
        final Set<ObjectRef> pods = new LinkedHashSet<>();
        final Set<String> namespaces = new HashSet<>();
        for (final ObjectRef ref : changed) {
            switch (ref.kind()) {
                case "Pod" -> {
                    pods.add(ref);
                    // Another pod may have waited for its address.
                    subjectByAddress(ref, pods);
                }
                case "Namespace" -> namespaces.add(ref.name());
                case "ServiceAccount" -> namespaces.add(ref.namespace());
                default -> {}
            }
        }
        renamed.forEach(address -> world.podAt(address).map(Pod::ref).ifPresent(pods::add));
        if (!namespaces.isEmpty()) {
            for (final Pod pod : world.pods()) {
                if (namespaces.contains(pod.meta().namespace())) {
                    pods.add(pod.ref());
                }
            }
        }
        return pods;
    }

    private void subjectByAddress(final ObjectRef ref, final Set<ObjectRef> pods) {
        world.lookup(ref)
                .map(Pod.class::cast)
                .map(Pod::addresses)
                .orElse(List.of())
                .forEach(address -> world.podAt(address).map(Pod::ref).ifPresent(pods::add));
    }

    private void updatePeers(final PeerTable.Changes changes) {
        if (first || changes.added().size() > peers.numbers().size() / 2) {
            // Most are new: evaluating condition by condition is quicker than peer by peer.
            rebuildSets(changes);
            return;
        }
        for (final PeerFacts facts : changes.removed()) {
            sets.remove(facts).forEach(set -> tellUsers(set, facts));
        }
        for (final PeerFacts facts : changes.added()) {
            sets.add(facts, peers.numberOf(facts)).forEach(set -> tellUsers(set, facts));
        }
        // Numbers go last: the maps still need those of the vanished.
        vanished.addAll(changes.removed());
    }

    private void tellUsers(final PeerSet set, final PeerFacts peer) {
        for (final SubjectSide side : set.users()) {
            // A rule about everyone says the same about one more, unless it asks for his ports.
            if (!set.isEveryone() || side.asksForNames()) {
                changedPeers.computeIfAbsent(side, _ -> new LinkedHashSet<>()).add(peer);
            }
        }
    }

    private void rebuildSets(final PeerTable.Changes changes) {
        changes.removed().forEach(peers::forget);
        sets = new PeerSets();
        peers.numbers().forEach(sets::add);
        rulesOfFamily.clear();
        ownNodeRules.clear();
        mapByChain.clear();
        final Map<ObjectRef, Translation> again = new LinkedHashMap<>();
        compiled.forEach((ref, policy) -> again.put(ref, policy.translation));
        compiled.clear();
        partsByNamespace.clear();
        index(again);
        subjects.clear();
    }

    // Endpoints.

    /** What policies said that were taken out, and what those say that were put in. */
    private record Touched(Set<Part> gone, Set<Part> added) {
        List<Part> all() {
            final List<Part> all = new ArrayList<>(gone);
            all.addAll(added);
            return all;
        }

        /**
         * Whether a direction of the endpoints that they select may be another. What is staged may
         * stand for statements of the other direction, too.
         */
        boolean concerns(final PolicyDirection direction) {
            return all().stream()
                    .map(Part::statement)
                    .anyMatch(
                            statement ->
                                    statement.direction() == direction
                                            || statement.staging() != Staging.ENFORCED);
        }
    }

    /** Endpoints that one of some statements selects. */
    private Set<Subject> subjectsOf(final Touched touched) {
        final Set<Subject> selected = new LinkedHashSet<>();
        final Set<Part> asked = new LinkedHashSet<>(touched.all());
        for (final Part part : touched.all()) {
            // A staged policy changes what would be of the policy that it stands for.
            part.statement()
                    .stagedTarget()
                    .map(compiled::get)
                    .ifPresent(target -> asked.addAll(target.parts));
        }
        if (asked.isEmpty()) {
            return selected;
        }
        for (final Part part : asked) {
            for (final Subject subject : subjects.inNamespace(namespaceOf(part))) {
                if (part.statement().subject().matches(subject.primary())) {
                    selected.add(subject);
                }
            }
        }
        return selected;
    }

    private void updateSubjects(final Set<ObjectRef> pods) {
        for (final ObjectRef ref : pods) {
            final PodFacts facts = peers.pods().get(ref);
            if (facts == null) {
                subjects.remove(ref);
            } else {
                final Pod pod = world.lookup(ref).map(Pod.class::cast).orElseThrow();
                subjects.assign(
                        ref,
                        new Subjects.Key(facts, nodeOf(pod), isAudited(pod)),
                        peers.numberOf(facts.primary()));
            }
        }
    }

    private String nodeOf(final Pod pod) {
        return pod.nodeName().isEmpty() ? options.nodeName() : pod.nodeName();
    }

    private boolean isAudited(final Pod pod) {
        return options.audit()
                || Audit.isAudited(pod.meta())
                || world.lookup(new ObjectRef("Namespace", "", pod.meta().namespace()))
                        .map(namespace -> Audit.isAudited(namespace.meta()))
                        .orElse(false);
    }

    // Maps.

    /** All that select an endpoint, in order. */
    private List<Part> selecting(final Subject subject, final SubjectSide side) {
        final List<Part> selecting = new ArrayList<>();
        addSelecting(subject, side.direction(), partsOf(""), selecting);
        if (!subject.namespace().isEmpty()) {
            addSelecting(subject, side.direction(), partsOf(subject.namespace()), selecting);
        }
        selecting.sort(BY_PLACE);
        return selecting;
    }

    /** The same, made from those before. */
    private List<Part> selecting(
            final Subject subject, final SubjectSide side, final Touched touched) {
        if (touched.gone.size() + touched.added.size() > EXCHANGED_MAX) {
            return selecting(subject, side);
        }
        final List<Part> selecting = new ArrayList<>(side.selecting());
        for (final Part part : touched.gone) {
            if (part.statement().direction() == side.direction()) {
                remove(part.statement(), selecting);
            }
        }
        final List<Part> added = new ArrayList<>();
        addSelecting(subject, side.direction(), touched.added, added);
        for (final Part part : added) {
            selecting.add(firstBehind(part, selecting), part);
        }
        return selecting;
    }

    // Identity is what counts: an equal statement of another policy has another place.
    @SuppressWarnings("ReferenceEquality")
    private static void remove(final PolicyStatement statement, final List<Part> selecting) {
        final Part wanted = new Part(statement, List.of());
        for (int i = firstBehind(wanted, selecting) - 1;
                i >= 0 && BY_PLACE.compare(selecting.get(i), wanted) == 0;
                i--) {
            if (selecting.get(i).statement() == statement) {
                selecting.remove(i);
                return;
            }
        }
    }

    /** Index of the first that comes behind all of an equal place. */
    private static int firstBehind(final Part part, final List<Part> selecting) {
        int from = 0;
        int to = selecting.size();
        while (from < to) {
            final int middle = (from + to) >>> 1;
            if (BY_PLACE.compare(selecting.get(middle), part) <= 0) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        return from;
    }

    private void compile(
            final Subject subject, final SubjectSide side, final List<Part> selecting) {
        final List<Part> enforced = new ArrayList<>();
        final List<Part> pending = new ArrayList<>();
        boolean staged = false;
        for (final Part part : selecting) {
            final boolean replaced =
                    !stagedFor.isEmpty() && stagedFor.containsKey(part.statement().policy().ref());
            switch (part.statement().staging()) {
                case ENFORCED -> {
                    enforced.add(part);
                    staged |= replaced;
                    if (!replaced && !part.statement().isAudited()) {
                        pending.add(part);
                    }
                }
                case SET, LEARN -> {
                    pending.add(part);
                    staged = true;
                }
                case DELETE, IGNORE -> {}
            }
        }
        final RuleChain chain = chain(subject, side.direction(), enforced);
        final Optional<SubjectSide.Pending> wouldBe =
                staged
                        ? Optional.of(pending(chain(subject, side.direction(), pending), pending))
                        : Optional.empty();
        final List<PolicyStatement> statements = selecting.stream().map(Part::statement).toList();
        final boolean isolated = isIsolated(enforced);
        final Optional<Difference> difference = differenceFrom(side, chain, isolated, wouldBe);
        if (difference.isPresent()) {
            final PolicyMap before = side.result().orElseThrow().map();
            side.set(
                    selecting,
                    new SubjectSide.Result(
                            statements,
                            chain,
                            patch(before, chain, difference.get()),
                            wouldBe,
                            L7Conflicts.of(chain)),
                    difference.get());
        } else {
            side.set(
                    selecting,
                    new SubjectSide.Result(
                            statements,
                            chain,
                            map(chain, isolated),
                            wouldBe,
                            L7Conflicts.of(chain)));
        }
    }

    /** Where the map of before differs in programs of some peers only: the rules about those. */
    private Optional<Difference> differenceFrom(
            final SubjectSide side,
            final RuleChain chain,
            final boolean isolated,
            final Optional<SubjectSide.Pending> wouldBe) {
        final SubjectSide.Result before = side.result().orElse(null);
        if (before == null
                || before.map().isIsolated() != isolated
                || before.pending().isPresent()
                || wouldBe.isPresent()
                || changedPeers.containsKey(side)) {
            return Optional.empty();
        }
        return chain.differenceFrom(before.chain())
                .filter(difference -> aboutSome(difference.gone()))
                .filter(difference -> aboutSome(difference.added()));
    }

    private static boolean aboutSome(final List<IndexedRule> rules) {
        return rules.size() <= EXCHANGED_MAX
                && rules.stream().noneMatch(rule -> rule.peers().isEveryone());
    }

    /** The map of a chain before with the programs anew of those whom other rules match now. */
    private PolicyMap patch(
            final PolicyMap before, final RuleChain chain, final Difference difference) {
        final MapKey key = new MapKey(chain.key(), before.isIsolated());
        final PolicyMap known = mapByChain.get(key);
        if (known != null) {
            return known;
        }
        final BitSet concerned = new BitSet();
        difference.gone().forEach(rule -> concerned.or(rule.peers().members()));
        difference.added().forEach(rule -> concerned.or(rule.peers().members()));
        final BitSet aboutEveryone = chain.matchingEveryone();
        final Map<Integer, BitSet> matched = new HashMap<>();
        for (int i = concerned.nextSetBit(0); i >= 0; i = concerned.nextSetBit(i + 1)) {
            if (sets.isTaken(i)) {
                matched.put(i, (BitSet) aboutEveryone.clone());
            }
        }
        final List<IndexedRule> rules = chain.rules();
        for (int rule = 0; rule < rules.size(); rule++) {
            final BitSet members = rules.get(rule).peers().members();
            for (final Map.Entry<Integer, BitSet> peer : matched.entrySet()) {
                if (members.get(peer.getKey())) {
                    peer.getValue().set(rule);
                }
            }
        }
        final Map<Integer, VerdictProgram> programsNow = new HashMap<>();
        // A condition that went with its rule did not tell of peers that went at the same time.
        for (final PeerFacts facts : vanished) {
            programsNow.put(peers.numberOf(facts), before.everyoneElse());
        }
        matched.forEach(
                (position, bits) ->
                        programsNow.put(sets.numberAt(position), program(chain, bits, Set.of())));
        final PolicyMap next = maps.intern(before.with(programsNow));
        mapByChain.put(key, next);
        return next;
    }

    private SubjectSide.Pending pending(final RuleChain chain, final List<Part> parts) {
        return new SubjectSide.Pending(chain, map(chain, isIsolated(parts)));
    }

    private static boolean isIsolated(final List<Part> parts) {
        return parts.stream()
                .map(Part::statement)
                .anyMatch(statement -> statement.isolates() && statement.place().tier().denies());
    }

    private void addSelecting(
            final Subject subject,
            final PolicyDirection direction,
            final Collection<Part> candidates,
            final List<Part> selecting) {
        for (final Part part : candidates) {
            final PolicyStatement statement = part.statement();
            if (statement.direction() == direction
                    && statement.subject().matches(subject.primary())) {
                selecting.add(new Part(statement, rulesFor(subject, part.rules())));
            }
        }
    }

    /** Rules less those about other addresses than the endpoint's, narrowed to its family. */
    private List<IndexedRule> rulesFor(final Subject subject, final List<IndexedRule> rules) {
        if (rules.stream().allMatch(rule -> rule.rule().local().equals(PeerMatch.EVERYONE))) {
            return rules;
        }
        final List<IndexedRule> fitting = new ArrayList<>();
        for (final IndexedRule rule : rules) {
            final PeerMatch local = rule.rule().local();
            final PodFacts own = subject.key().facts();
            final boolean primary = local.matches(own.primary());
            final boolean ipv4 = own.ipv4().map(local::matches).orElse(primary);
            final boolean ipv6 = own.ipv6().map(local::matches).orElse(primary);
            if (ipv4 && ipv6) {
                fitting.add(rule);
            } else if (ipv4) {
                fitting.add(ofFamily(rule, Cidr.ALL_IPV4));
            } else if (ipv6) {
                fitting.add(ofFamily(rule, Cidr.ALL_IPV6));
            }
        }
        return fitting;
    }

    private IndexedRule ofFamily(final IndexedRule rule, final Cidr family) {
        return rulesOfFamily
                .computeIfAbsent(rule, _ -> new HashMap<>())
                .computeIfAbsent(
                        family,
                        _ -> {
                            final PolicyRule narrowed =
                                    rule.rule().when(PeerMatch.ofFamily(family));
                            return new IndexedRule(narrowed, sets.acquire(narrowed.peers()));
                        });
    }

    private RuleChain chain(
            final Subject subject, final PolicyDirection direction, final List<Part> parts) {
        return RuleChain.of(
                direction,
                subject.primary().ports(),
                parts,
                direction == PolicyDirection.INGRESS
                        ? Optional.of(ownNodeRule(subject.key().node()))
                        : Optional.empty(),
                subject.key().audited(),
                options.nothingAnswered());
    }

    private IndexedRule ownNodeRule(final String node) {
        return ownNodeRules.computeIfAbsent(
                node,
                _ -> {
                    final PolicyRule rule =
                            PolicyRule.allow(
                                    new PeerMatch.OfNode(node), List.of(), Author.OWN_NODE);
                    return new IndexedRule(rule, sets.acquire(rule.peers()));
                });
    }

    /** What a policy map is made from, the peers apart. */
    private record MapKey(RuleChain.Key chain, boolean isolated) {}

    private PolicyMap map(final RuleChain chain, final boolean isolated) {
        final MapKey key = new MapKey(chain.key(), isolated);
        final PolicyMap known = mapByChain.get(key);
        if (known != null) {
            return known;
        }
        final PolicyMap map = paint(chain, isolated);
        mapByChain.put(key, map);
        return map;
    }

    /** Identities with equal keys have, in one map, the same program. */
    private record ProgramKey(BitSet rules, Set<Pod.NamedPort> ports) {}

    private PolicyMap paint(final RuleChain chain, final boolean isolated) {
        final BitSet aboutEveryone = chain.matchingEveryone();
        final VerdictProgram everyoneElse = program(chain, aboutEveryone, Set.of());
        final Map<Integer, BitSet> matched = new HashMap<>();
        final List<IndexedRule> rules = chain.rules();
        for (int rule = 0; rule < rules.size(); rule++) {
            if (aboutEveryone.get(rule)) {
                continue;
            }
            final BitSet members = rules.get(rule).peers().members();
            for (int i = members.nextSetBit(0); i >= 0; i = members.nextSetBit(i + 1)) {
                matched.computeIfAbsent(i, _ -> (BitSet) aboutEveryone.clone()).set(rule);
            }
        }
        final boolean named = chain.asksForNames();
        if (named) {
            // Ports by name tell apart even peers about whom no other rule says anything.
            for (final PeerFacts facts : sets.peers()) {
                if (!facts.ports().isEmpty()) {
                    matched.computeIfAbsent(
                            sets.positionOf(facts), _ -> (BitSet) aboutEveryone.clone());
                }
            }
        }
        final Map<Integer, VerdictProgram> byNumber = new HashMap<>();
        matched.forEach(
                (position, bits) -> {
                    final PeerFacts facts = sets.factsAt(position);
                    final VerdictProgram program =
                            program(chain, bits, named ? facts.ports() : Set.of());
                    if (!PolicyMap.isSame(program, everyoneElse)) {
                        byNumber.put(sets.numberAt(position), program);
                    }
                });
        return maps.intern(PolicyMap.of(isolated, everyoneElse).with(byNumber));
    }

    private VerdictProgram program(
            final RuleChain chain, final BitSet matching, final Set<Pod.NamedPort> peerPorts) {
        final Map<ProgramKey, VerdictProgram> painted =
                paintedByChain.computeIfAbsent(chain, _ -> new HashMap<>());
        if (painted.size() > PAINTED_PER_CHAIN) {
            painted.clear();
        }
        return painted.computeIfAbsent(
                new ProgramKey(matching, peerPorts),
                _ -> programs.intern(chain.program(matching, peerPorts)));
    }

    /** Peers joined or left some conditions: their programs anew, the others as they are. */
    private void patch(final SubjectSide side, final Set<PeerFacts> changed) {
        final SubjectSide.Result before = side.result().orElseThrow();
        side.patch(
                new SubjectSide.Result(
                        before.statements(),
                        before.chain(),
                        patch(before.chain(), before.map(), changed),
                        before.pending()
                                .map(
                                        pending ->
                                                new SubjectSide.Pending(
                                                        pending.chain(),
                                                        patch(
                                                                pending.chain(),
                                                                pending.map(),
                                                                changed))),
                        before.conflicts()));
    }

    private PolicyMap patch(
            final RuleChain chain, final PolicyMap map, final Set<PeerFacts> changed) {
        final MapKey key = new MapKey(chain.key(), map.isIsolated());
        final PolicyMap known = mapByChain.get(key);
        if (known != null) {
            return known;
        }
        final Map<Integer, VerdictProgram> programsNow = new HashMap<>();
        for (final PeerFacts facts : changed) {
            if (vanished.contains(facts)) {
                programsNow.put(peers.numberOf(facts), map.everyoneElse());
            }
        }
        for (final PeerFacts facts : changed) {
            if (!vanished.contains(facts)) {
                programsNow.put(
                        peers.numberOf(facts),
                        program(
                                chain,
                                chain.matchingAt(sets.positionOf(facts)),
                                chain.asksForNames() ? facts.ports() : Set.of()));
            }
        }
        final PolicyMap next = maps.intern(map.with(programsNow));
        mapByChain.put(key, next);
        return next;
    }

    private void tidy() {
        vanished.forEach(peers::forget);
        vanished.clear();
        // A chain that nobody has misses the changes of its peers.
        mapByChain.clear();
    }

    // Answer.

    private PolicySet snapshot(final boolean samePeers) {
        if (!samePeers) {
            snapshotOfPeers = Optional.of(peers.snapshot());
        }
        final List<Problem> warnings = new ArrayList<>();
        final List<Translation.WorldPrefix> prefixes = new ArrayList<>();
        final List<HostStatement> hosts = new ArrayList<>();
        for (final Translation translation : remarkable.values()) {
            warnings.addAll(translation.warnings());
            prefixes.addAll(translation.prefixes());
            hosts.addAll(translation.hosts());
        }
        return new PolicySet(
                world,
                options,
                snapshotOfPeers.orElseThrow(),
                subjects.indexByPod(),
                subjects.answers(),
                new HostPolicies(world, options, hosts),
                asked.universe(),
                warnings,
                prefixes);
    }
}
