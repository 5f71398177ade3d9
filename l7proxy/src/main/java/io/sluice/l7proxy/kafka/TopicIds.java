package io.sluice.l7proxy.kafka;

import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Names of topics by their ids, as servers have told them.
 *
 * <p><b>Theory of operation.</b> Newer requests name topics by id, and a client asks one broker for
 * the id and uses it with another, on another connection: so what is learned belongs to the server
 * identity (brokers of one cluster have the same labels), never to a connection, and never to other
 * servers, which could lie about them. What is not known is denied in a way that makes the client
 * ask for Metadata again, so forgetting is safe.
 *
 * <p>Bound: two maps of {@code idsMax} entries (some 400 bytes each). A full young map becomes the
 * old one, whose entries are forgotten unless they have been used since: they move over then.
 *
 * <p>Thread: any; event loops write and read without a lock, but for the moment of the change.
 */
public final class TopicIds {
    private record Key(long serverIdentity, UUID id) {}

    private record Generations(
            ConcurrentHashMap<Key, String> young, ConcurrentHashMap<Key, String> old) {}

    private final int idsMax;
    private volatile Generations generations =
            new Generations(new ConcurrentHashMap<>(), new ConcurrentHashMap<>());

    /**
     * Knows none.
     *
     * @param idsMax that are known at least, if there are so many; at least 1
     */
    public TopicIds(final int idsMax) {
        this.idsMax = idsMax;
    }

    /** A server has said that a topic has this id. */
    void learn(final long serverIdentity, final UUID id, final String name) {
        put(new Key(serverIdentity, id), name);
    }

    private void put(final Key key, final String name) {
        if (generations.young().size() >= idsMax) {
            age();
        }
        generations.young().put(key, name);
    }

    private synchronized void age() {
        final Generations now = generations;
        if (now.young().size() >= idsMax) {
            generations = new Generations(new ConcurrentHashMap<>(), now.young());
        }
    }

    /** Name of a topic; empty if no such server has told it. */
    Optional<String> name(final long serverIdentity, final UUID id) {
        final Key key = new Key(serverIdentity, id);
        final Generations now = generations;
        final String young = now.young().get(key);
        if (young != null) {
            return Optional.of(young);
        }
        final String old = now.old().get(key);
        if (old != null) {
            put(key, old);
        }
        return Optional.ofNullable(old);
    }
}
