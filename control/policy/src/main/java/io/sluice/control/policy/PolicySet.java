package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Compiled policy of one world: everything the data plane needs. Immutable, any thread. */
public final class PolicySet {
    private final List<Identity> identities;
    private final Map<Integer, Identity> identityByNumber;
    private final Map<Integer, PeerFacts> factsByNumber;
    private final List<IpcacheEntry> ipcache;
    private final Map<Cidr, Integer> numberByPrefix;
    private final PrefixSet prefixes;
    private final List<PolicyMap> policyMaps;
    private final List<VerdictProgram> programs;
    private final Map<ObjectRef, Subject> subjects;
    private final List<Problem> warnings;

    /**
     * What policy says about one endpoint.
     *
     * @param identity number at its primary address
     */
    record Subject(int identity, Side ingress, Side egress) {
        Side side(final PolicyDirection direction) {
            return switch (direction) {
                case INGRESS -> ingress;
                case EGRESS -> egress;
            };
        }
    }

    /** One direction of an endpoint: the statements that select it, and what they compile to. */
    record Side(List<PolicyStatement> statements, PolicyMap map) {}

    PolicySet(
            final Map<PeerFacts, Integer> numbers,
            final List<IpcacheEntry> ipcache,
            final List<PolicyMap> policyMaps,
            final List<VerdictProgram> programs,
            final Map<ObjectRef, Subject> subjects,
            final List<Problem> warnings) {
        this.factsByNumber = new TreeMap<>();
        numbers.forEach((facts, number) -> factsByNumber.put(number, facts));
        this.identityByNumber = new HashMap<>();
        final List<Identity> sorted = new ArrayList<>();
        factsByNumber.forEach((number, at) -> sorted.add(new Identity(number, at.labelTexts())));
        sorted.sort(Comparator.comparingInt(Identity::number));
        sorted.forEach(identity -> identityByNumber.put(identity.number(), identity));
        this.identities = List.copyOf(sorted);
        this.ipcache = List.copyOf(ipcache);
        this.numberByPrefix = new HashMap<>();
        ipcache.forEach(entry -> numberByPrefix.put(entry.prefix(), entry.identity()));
        this.prefixes = new PrefixSet(numberByPrefix.keySet());
        this.policyMaps = List.copyOf(policyMaps);
        this.programs = List.copyOf(programs);
        this.subjects = Map.copyOf(subjects);
        this.warnings = List.copyOf(warnings);
    }

    /** Every identity that an address can have, by ascending number. */
    public List<Identity> identities() {
        return identities;
    }

    /**
     * Every prefix with an identity of its own, by address; 0.0.0.0/0 and ::/0 are always there.
     * The identity of an address is that of its longest prefix.
     */
    public List<IpcacheEntry> ipcache() {
        return ipcache;
    }

    /** Different policy maps; the position is {@link PolicyMap#index}. */
    public List<PolicyMap> policyMaps() {
        return policyMaps;
    }

    /** Different verdict programs of all maps. */
    public List<VerdictProgram> programs() {
        return programs;
    }

    /**
     * Identity of a pod at its primary address; empty for a pod that the world lacks, has ended, or
     * is on the host's network. A prefix of a policy can tell the two addresses of a pod apart:
     * then its other address has another identity, which {@link #identityAt} and the ipcache know.
     */
    public Optional<Identity> identityOf(final ObjectRef pod) {
        return Optional.ofNullable(subjects.get(pod))
                .flatMap(subject -> identity(subject.identity()));
    }

    /** Identity of an address: that of the longest prefix in the ipcache. */
    public Identity identityAt(final IpAddress address) {
        final List<Cidr> containing = prefixes.containing(Cidr.host(address));
        final Integer number = numberByPrefix.get(containing.get(containing.size() - 1));
        return Optional.ofNullable(number)
                .flatMap(this::identity)
                .orElseThrow(() -> new IllegalStateException("no identity at " + address));
    }

    /** The identity of this number, if the set has it. */
    public Optional<Identity> identity(final int number) {
        return Optional.ofNullable(identityByNumber.get(number));
    }

    /** Policy of a pod; empty where {@link #identityOf} is. */
    public Optional<PolicyMap> policyMap(final ObjectRef pod, final PolicyDirection direction) {
        return Optional.ofNullable(subjects.get(pod)).map(subject -> subject.side(direction).map());
    }

    /** Policies that select a pod in a direction, by kind, namespace and name. */
    public List<ObjectRef> policiesSelecting(final ObjectRef pod, final PolicyDirection direction) {
        return side(pod, direction).stream()
                .flatMap(side -> side.statements().stream())
                .map(statement -> statement.policy().ref())
                .distinct()
                .toList();
    }

    /** What policies do not do, or do to the surprise of their author. */
    public List<Problem> warnings() {
        return warnings;
    }

    Optional<Side> side(final ObjectRef pod, final PolicyDirection direction) {
        return Optional.ofNullable(subjects.get(pod)).map(subject -> subject.side(direction));
    }

    Optional<PeerFacts> facts(final int number) {
        return Optional.ofNullable(factsByNumber.get(number));
    }
}
