package io.sluice.control.agent;

import java.util.List;
import java.util.Optional;

/**
 * What the running daemon can be asked and told. The API serves exactly this over its socket; tests
 * talk to it directly.
 *
 * <p>Answers are immutable copies of one moment. A request that is wrong, or names something that
 * does not exist, ends in a {@link RequestException} that says what is accepted.
 *
 * <p>Thread: any thread. Changes are handed to the control thread and answered when they have taken
 * effect: after {@link #apply} returns, the next packet is judged by the new policy.
 */
public interface ControlPlane {
    /** One page about the daemon: who, since when, which revision, what is wrong. */
    StatusReport status();

    /** Why this node cannot do its work, in a sentence; empty while it can. */
    Optional<String> illness();

    /** All endpoints of this node, by namespace and name. */
    List<EndpointReport> endpoints();

    /**
     * One endpoint.
     *
     * @param ref {@code namespace/name}, {@code name} (namespace {@code default}) or the endpoint's
     *     number
     * @throws RequestException NOT_FOUND
     */
    EndpointReport endpoint(String ref);

    /**
     * Makes the Pod that stands for the endpoint and plugs it in. The answer's state tells how far
     * it got within a few seconds: an endpoint whose namespace is missing waits for it.
     *
     * @throws RequestException INVALID for a bad name, address or namespace, and a process that is
     *     not there; CONFLICT when the Pod exists, or what it asks for belongs to another. Nothing
     *     is left of an endpoint that was refused.
     */
    EndpointReport addEndpoint(EndpointRequest request);

    /**
     * Unplugs the endpoint and removes its Pod.
     *
     * @param ref as for {@link #endpoint}
     * @throws RequestException NOT_FOUND; CONFLICT when a watched folder owns the Pod
     */
    void deleteEndpoint(String ref);

    /**
     * Adds or changes the objects of a manifest: all of them, or none when one is wrong.
     *
     * @param source where the text is from, for messages: a file name or {@code -}
     * @param text YAML or JSON, any number of documents
     * @throws RequestException INVALID with one line per problem; CONFLICT when a watched folder
     *     owns an object
     */
    default List<ObjectChange> apply(
            final String source, final String text, final ChangeMode mode) {
        return change(
                        ChangeRequest.of(
                                new ChangeRequest.Apply(
                                        List.of(new ChangeRequest.Manifest(source, text))),
                                mode))
                .changes();
    }

    /**
     * Deletes the objects that a manifest names.
     *
     * @throws RequestException INVALID, NOT_FOUND, CONFLICT as for {@link #apply}
     */
    default List<ObjectChange> delete(
            final String source, final String text, final ChangeMode mode) {
        return change(
                        ChangeRequest.of(
                                new ChangeRequest.Delete(
                                        List.of(new ChangeRequest.Manifest(source, text))),
                                mode))
                .changes();
    }

    /**
     * Deletes one object.
     *
     * @param kind kind, plural, or short name, in any case: {@code netpol}, {@code cnp}, {@code
     *     Pod}
     * @param namespace empty for a cluster-wide kind
     */
    default ObjectChange delete(
            final String kind, final String namespace, final String name, final ChangeMode mode) {
        return change(ChangeRequest.of(new ChangeRequest.DeleteObject(kind, namespace, name), mode))
                .changes()
                .getFirst();
    }

    /**
     * Changes objects as one, with a revision in the history, a list of the open flows that are
     * cut, and a deadline where one is wanted. Without a deadline and a user, {@link #apply} and
     * both deletes are this.
     *
     * @throws RequestException INVALID, NOT_FOUND, CONFLICT as for these; CONFLICT also while
     *     another change waits to be confirmed, and for cut flows where these are refused;
     *     UNAVAILABLE when it cannot be written, or put in force
     */
    ChangeReport change(ChangeRequest request);

    /** The latest change that has to be confirmed, or had to. */
    ConfirmationReport confirmation();

    /**
     * Keeps the change that waits to be confirmed.
     *
     * @throws RequestException CONFLICT when none waits, or its time is over
     */
    ConfirmationReport confirm();

    /** Changes of objects that are remembered, the oldest first, without manifests. */
    List<RevisionReport> revisions();

    /**
     * One of {@link #revisions}, with manifests.
     *
     * @throws RequestException NOT_FOUND
     */
    RevisionReport revision(int number);

    /**
     * Objects in force, by kind, namespace and name.
     *
     * @param kinds kinds, plurals or short names; empty for all
     * @throws RequestException INVALID for a kind that is not known, with those that are
     */
    List<ObjectReport> objects(List<String> kinds);

    /**
     * The policy engine as it judges packets now: probes, explanations and matrices asked of it get
     * the data plane's answers.
     */
    PolicySnapshot policy();

    /** Identities that the live policy knows, by number. */
    List<IdentityReport> identities();

    /** Prefixes and their identities, by prefix. */
    List<IpcacheReport> ipcache();

    /** Addresses that endpoints learned from names, by name, address and endpoint. */
    List<NameReport> names();

    /** Names and patterns of the live policies, with what was learned under them. */
    List<NameSelectorReport> nameSelectors();

    /**
     * Forgets learned names; flows that need them are cut.
     *
     * @param endpoint {@code namespace/name}; empty for all
     * @param pattern as in {@code matchPattern}; {@code *} for all
     * @return addresses forgotten
     * @throws RequestException INVALID for a pattern that is none
     */
    int forgetNames(String endpoint, String pattern);

    /** Tracked flows, in no order. */
    List<ConntrackReport> conntrack();

    /** Drops since start, by reason and direction; reasons never seen are left out. */
    List<DropReport> drops();

    /** L7 rules that decided about requests, by policy and rule. */
    List<RuleReport> requests();

    /** Every counter of the process, for {@code metrics}. */
    List<CounterReport> counters();

    /** What is kept of flows that match, oldest first: in memory, and in the flow store. */
    FlowReader flows(FlowQuery query);

    /** The same, and then every flow that the filter takes, as it comes. */
    FlowCursor follow(FlowQuery query);

    /** Begins an orderly stop; returns at once. */
    void shutdown();
}
