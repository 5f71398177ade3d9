package io.sluice.control.policy;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Compiled policy of one world: everything the data plane needs. Immutable, any thread. */
public final class PolicySet {
    private final List<Identity> identities;
    private final List<IpcacheEntry> ipcache;
    private final List<PolicyMap> policyMaps;
    private final List<VerdictProgram> programs;
    private final Map<ObjectRef, Identity> identityByPod;
    private final Map<ObjectRef, PolicyMap> ingressByPod;
    private final Map<ObjectRef, PolicyMap> egressByPod;
    private final List<Problem> warnings;

    PolicySet(
            final List<Identity> identities,
            final List<IpcacheEntry> ipcache,
            final List<PolicyMap> policyMaps,
            final List<VerdictProgram> programs,
            final Map<ObjectRef, Identity> identityByPod,
            final Map<ObjectRef, PolicyMap> ingressByPod,
            final Map<ObjectRef, PolicyMap> egressByPod,
            final List<Problem> warnings) {
        this.identities = List.copyOf(identities);
        this.ipcache = List.copyOf(ipcache);
        this.policyMaps = List.copyOf(policyMaps);
        this.programs = List.copyOf(programs);
        this.identityByPod = Map.copyOf(identityByPod);
        this.ingressByPod = Map.copyOf(ingressByPod);
        this.egressByPod = Map.copyOf(egressByPod);
        this.warnings = List.copyOf(warnings);
    }

    /** Every identity that an address can have, by ascending number. */
    public List<Identity> identities() {
        return identities;
    }

    /** Every prefix with an identity of its own; 0.0.0.0/0 and ::/0 are always there. */
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
     * then its other address has another identity, and the ipcache knows it.
     */
    public Optional<Identity> identityOf(final ObjectRef pod) {
        return Optional.ofNullable(identityByPod.get(pod));
    }

    /** Policy of a pod; empty where {@link #identityOf} is. */
    public Optional<PolicyMap> policyMap(final ObjectRef pod, final PolicyDirection direction) {
        return Optional.ofNullable(
                switch (direction) {
                    case INGRESS -> ingressByPod.get(pod);
                    case EGRESS -> egressByPod.get(pod);
                });
    }

    /** What policies do not do, or do to the surprise of their author. */
    public List<Problem> warnings() {
        return warnings;
    }
}
