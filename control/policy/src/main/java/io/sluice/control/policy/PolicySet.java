package io.sluice.control.policy;

import io.sluice.dnsproxy.rule.NamePattern;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** Compiled policy of one world: everything the data plane needs. Immutable, any thread. */
public final class PolicySet {
    private final World world;
    private final PolicyOptions options;
    private final PeerSnapshot peers;
    private final PersistentMap<ObjectRef, Integer> subjectIndexByPod;
    private final List<Optional<Subject>> subjects;
    private final HostPolicies hosts;
    private final NameUniverse names;
    private final List<Problem> translationWarnings;
    private final List<Translation.WorldPrefix> worldPrefixes;

    /**
     * What policy says about one endpoint.
     *
     * @param identity number at its primary address
     */
    record Subject(int identity, SubjectSide.Result ingress, SubjectSide.Result egress) {
        SubjectSide.Result side(final PolicyDirection direction) {
            return switch (direction) {
                case INGRESS -> ingress;
                case EGRESS -> egress;
            };
        }
    }

    /** Which patterns of policies match some names. */
    interface NameUniverse {
        Set<NamePattern> patternsOf(List<String> names);

        /** All of them. */
        Set<NamePattern> patterns();
    }

    PolicySet(
            final World world,
            final PolicyOptions options,
            final PeerSnapshot peers,
            final PersistentMap<ObjectRef, Integer> subjectIndexByPod,
            final List<Optional<Subject>> subjects,
            final HostPolicies hosts,
            final NameUniverse names,
            final List<Problem> translationWarnings,
            final List<Translation.WorldPrefix> worldPrefixes) {
        this.world = world;
        this.options = options;
        this.peers = peers;
        this.subjectIndexByPod = subjectIndexByPod;
        this.subjects = subjects;
        this.hosts = hosts;
        this.names = names;
        this.translationWarnings = translationWarnings;
        this.worldPrefixes = worldPrefixes;
    }

    /** Every identity that an address can have, by ascending number. */
    public List<Identity> identities() {
        return peers.identities();
    }

    /**
     * Every prefix with an identity of its own, by address; 0.0.0.0/0 and ::/0 are always there.
     * The identity of an address is that of its longest prefix.
     */
    public List<IpcacheEntry> ipcache() {
        return peers.ipcache();
    }

    /**
     * Prefixes with another identity than in an earlier set of the same compiler; empty for those
     * that are gone. Costs what differs.
     */
    public Map<Cidr, Optional<Integer>> prefixesChangedSince(final PolicySet earlier) {
        return peers.prefixesChangedSince(earlier.peers);
    }

    /**
     * Whether an earlier set of the same compiler has the same identities. May be false though they
     * are the same. Costs nothing.
     */
    public boolean hasIdentitiesOf(final PolicySet earlier) {
        return peers.hasIdentitiesOf(earlier.peers);
    }

    /**
     * Whether an earlier set of the same compiler has the same identities and policy maps, so that
     * only prefixes differ. May be false though they are the same. Costs a look at each kind of
     * endpoint.
     */
    // What a compiler did not touch it hands out again.
    @SuppressWarnings("ReferenceEquality")
    public boolean hasMapsOf(final PolicySet earlier) {
        if (!hasIdentitiesOf(earlier)
                || subjectIndexByPod != earlier.subjectIndexByPod
                || subjects.size() != earlier.subjects.size()) {
            return false;
        }
        for (int i = 0; i < subjects.size(); i++) {
            if (!subjects.get(i).equals(earlier.subjects.get(i))) {
                return false;
            }
        }
        return true;
    }

    /** Names and patterns that policies name. */
    public Set<NamePattern> nameSelectors() {
        return names.patterns();
    }

    /** Whether some policy names the name. */
    public boolean asksForName(final String name) {
        return !names.patternsOf(List.of(name)).isEmpty();
    }

    /**
     * Different policy maps of endpoints. What is said about nodes is in none: it is worked out
     * when asked for.
     */
    public List<PolicyMap> policyMaps() {
        final IdentityHashMap<PolicyMap, Boolean> seen = new IdentityHashMap<>();
        final List<PolicyMap> maps = new ArrayList<>();
        for (final Subject subject : allSubjects()) {
            for (final SubjectSide.Result side : List.of(subject.ingress, subject.egress)) {
                if (seen.put(side.map(), true) == null) {
                    maps.add(side.map());
                }
            }
        }
        return List.copyOf(maps);
    }

    /** Different verdict programs of all maps. */
    public List<VerdictProgram> programs() {
        final IdentityHashMap<VerdictProgram, Boolean> seen = new IdentityHashMap<>();
        policyMaps()
                .forEach(map -> map.distinctPrograms().forEach(program -> seen.put(program, true)));
        return List.copyOf(seen.keySet());
    }

    /**
     * Identity of a pod at its primary address; empty for a pod that the world lacks, has ended, or
     * is on the host's network. A prefix of a policy can tell the two addresses of a pod apart:
     * then its other address has another identity, which {@link #identityAt} and the ipcache know.
     */
    public Optional<Identity> identityOf(final ObjectRef pod) {
        return subject(pod).flatMap(subject -> identity(subject.identity()));
    }

    /** Identity of an address: that of the longest prefix in the ipcache. */
    public Identity identityAt(final IpAddress address) {
        return peers.identity(peers.numberAt(address))
                .orElseThrow(() -> new IllegalStateException("no identity at " + address));
    }

    /** Number of {@link #identityAt}; makes no list of its labels. */
    public int numberAt(final IpAddress address) {
        return peers.numberAt(address);
    }

    /** The identity of this number, if the set has it. */
    public Optional<Identity> identity(final int number) {
        return peers.identity(number);
    }

    /** Policy of a pod; empty where {@link #identityOf} is. */
    public Optional<PolicyMap> policyMap(final ObjectRef pod, final PolicyDirection direction) {
        return subject(pod).map(subject -> subject.side(direction).map());
    }

    /**
     * What the policy of a pod would be if the staged policies were enforced; empty where none of
     * these concerns the pod.
     */
    public Optional<PolicyMap> pendingPolicyMap(
            final ObjectRef pod, final PolicyDirection direction) {
        return subject(pod)
                .flatMap(subject -> subject.side(direction).pending())
                .map(SubjectSide.Pending::map);
    }

    /** Policies that select a pod in a direction, in the order they are asked. */
    public List<ObjectRef> policiesSelecting(final ObjectRef pod, final PolicyDirection direction) {
        return side(pod, direction).stream()
                .flatMap(side -> side.statements().stream())
                .map(statement -> statement.policy().ref())
                .distinct()
                .toList();
    }

    /**
     * Enforced policies that select a host endpoint in a direction, in the order they are asked:
     * doNotTrack, preDNAT, the others.
     */
    public List<KubeObject> policiesSelecting(
            final CalicoPolicy.HostEndpoint endpoint, final PolicyDirection direction) {
        return hosts.policiesSelecting(endpoint, direction);
    }

    /**
     * What policies do not do, or do to the surprise of their author, and rules that cannot both be
     * carried out, which are errors.
     */
    public List<Problem> warnings() {
        final Set<Problem> found = new LinkedHashSet<>(translationWarnings);
        addCoveredEndpoints(found);
        for (final Subject subject : allSubjects()) {
            found.addAll(subject.ingress.conflicts());
            found.addAll(subject.egress.conflicts());
        }
        found.addAll(hosts.problems());
        return List.copyOf(found);
    }

    /** The most common surprise of CIDR rules: they do not match endpoints. */
    private void addCoveredEndpoints(final Set<Problem> found) {
        if (worldPrefixes.isEmpty()) {
            return;
        }
        final TreeMap<IpAddress, Pod> pods = new TreeMap<>();
        for (final Pod pod : world.pods()) {
            if (pod.isEndpoint()) {
                pod.addresses().forEach(address -> pods.putIfAbsent(address, pod));
            }
        }
        for (final Translation.WorldPrefix prefix : worldPrefixes) {
            pods.tailMap(prefix.cidr().network()).entrySet().stream()
                    .takeWhile(entry -> prefix.cidr().contains(entry.getKey()))
                    .filter(
                            entry ->
                                    prefix.except().stream()
                                            .noneMatch(taken -> taken.contains(entry.getKey())))
                    .findFirst()
                    .ifPresent(
                            entry ->
                                    found.add(
                                            Problem.warning(
                                                    prefix.where(),
                                                    "",
                                                    prefix.policy()
                                                            + ": "
                                                            + prefix.cidr()
                                                            + " covers "
                                                            + entry.getValue().ref()
                                                            + " ("
                                                            + entry.getKey()
                                                            + "), but CIDR rules do not match"
                                                            + " endpoints: select it by labels, or"
                                                            + " set policyCIDRMatchMode")));
        }
    }

    Optional<Subject> subject(final ObjectRef pod) {
        final Integer index = subjectIndexByPod.get(pod);
        return index == null ? Optional.empty() : subjects.get(index);
    }

    /**
     * What all policies say about pods, whichever they select. Not kept: they are translated when
     * asked for.
     */
    List<PolicyStatement> statements() {
        return PolicyCompiler.statements(world, options);
    }

    /** Policy of the nodes. */
    HostPolicies hosts() {
        return hosts;
    }

    private List<Subject> allSubjects() {
        return subjects.stream().flatMap(Optional::stream).toList();
    }

    Optional<SubjectSide.Result> side(final ObjectRef pod, final PolicyDirection direction) {
        return subject(pod).map(subject -> subject.side(direction));
    }

    Optional<PeerFacts> facts(final int number) {
        return peers.facts(number);
    }

    /** The facts of a peer, when its address was learned from a name as well. */
    PeerFacts learned(final PeerFacts facts, final String name) {
        final Set<NamePattern> patterns = new HashSet<>(facts.names());
        patterns.addAll(names.patternsOf(List.of(name)));
        return facts.withNames(patterns);
    }
}
