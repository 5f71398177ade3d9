package io.sluice.l7proxy.kafka;

import io.sluice.l7proxy.rule.KafkaRequest;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;

/**
 * Topics that a request names, gathered while it is read, each once.
 *
 * <p>A request that is about all topics, that names more than the limit, or that cannot be read,
 * counts as one about every topic: only rules without a topic cover it.
 *
 * <p>Thread: one.
 */
public final class TopicsOfRequest {
    private final TopicIds ids;
    private final long serverIdentity;
    private final int topicsMax;
    private final Set<String> names = new LinkedHashSet<>();
    private final Set<UUID> unknownIds = new LinkedHashSet<>();
    private boolean isEvery;

    /**
     * None yet.
     *
     * @param ids where names of ids are looked up
     * @param serverIdentity whose ids they are
     * @param topicsMax most topics that are kept, at least 1
     */
    public TopicsOfRequest(final TopicIds ids, final long serverIdentity, final int topicsMax) {
        this.ids = ids;
        this.serverIdentity = serverIdentity;
        this.topicsMax = topicsMax;
    }

    /** By name. */
    void add(final String name) {
        if (names.size() + unknownIds.size() >= topicsMax) {
            addEvery();
        } else {
            names.add(name);
        }
    }

    /** By id. */
    void add(final UUID id) {
        if (names.size() + unknownIds.size() >= topicsMax) {
            addEvery();
        } else {
            ids.name(serverIdentity, id).ifPresentOrElse(names::add, () -> unknownIds.add(id));
        }
    }

    /** By any of these. */
    void addAll(final TopicsOfRequest others) {
        others.names.forEach(this::add);
        // Their names may have been learned since.
        others.unknownIds.forEach(this::add);
        isEvery |= others.isEvery;
    }

    /** All there are. */
    void addEvery() {
        isEvery = true;
    }

    boolean isEvery() {
        return isEvery;
    }

    boolean hasUnknownIds() {
        return !unknownIds.isEmpty();
    }

    /** What rules are asked about. */
    public List<String> forRules() {
        final List<String> topics = new ArrayList<>(names);
        if (isEvery || hasUnknownIds()) {
            topics.add(KafkaRequest.EVERY_TOPIC);
        }
        return topics;
    }

    /** Those whose names are known. */
    List<String> known() {
        return List.copyOf(names);
    }

    /** What people are told. */
    List<String> forReport(final int most) {
        final List<String> topics = new ArrayList<>();
        if (isEvery) {
            topics.add(KafkaRequest.EVERY_TOPIC);
        }
        names.stream().limit(most).forEach(topics::add);
        unknownIds.stream().limit(most).map(UUID::toString).forEach(topics::add);
        return topics.subList(0, Math.min(topics.size(), most));
    }
}
