package io.sluice.control.agent;

import io.sluice.control.agent.state.NameChanges;
import io.sluice.control.agent.state.NameRow;
import io.sluice.control.policy.IpAddress;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Learned names as facts of a hand-over's messages; see {@link HandoverSocket}. */
final class PassedNames {
    private static final String NAME = "name";
    private static final String ADDRESS = "address";
    private static final String ENDPOINT = "endpoint";
    private static final String LEARNED = "learnedMs";
    private static final String EXPIRES = "expiresMs";
    private static final String ZOMBIE = "zombie";

    private PassedNames() {}

    /** One map for each name; one that was forgotten has no times. */
    static List<Map<String, String>> facts(final NameChanges changes) {
        final List<Map<String, String>> all = new ArrayList<>();
        for (final NameChanges.Key key : changes.forgotten()) {
            all.add(facts(key.name(), key.address(), key.endpoint()));
        }
        for (final NameRow row : changes.learned()) {
            final Map<String, String> facts = facts(row.name(), row.address(), row.endpoint());
            facts.put(LEARNED, Long.toString(row.learnedAt().toEpochMilli()));
            facts.put(EXPIRES, Long.toString(row.expiresAt().toEpochMilli()));
            facts.put(ZOMBIE, Boolean.toString(row.zombie()));
            all.add(facts);
        }
        return all;
    }

    private static Map<String, String> facts(
            final String name, final IpAddress address, final String endpoint) {
        final Map<String, String> facts = new LinkedHashMap<>();
        facts.put(NAME, name);
        facts.put(ADDRESS, address.toString());
        facts.put(ENDPOINT, endpoint);
        return facts;
    }

    /**
     * What {@link #facts} told.
     *
     * @throws IllegalArgumentException when something is missing or is not what it should be
     */
    static NameChanges of(final List<Map<String, String>> facts) {
        final List<NameRow> learned = new ArrayList<>();
        final List<NameChanges.Key> forgotten = new ArrayList<>();
        for (final Map<String, String> some : facts) {
            final String address = required(some, ADDRESS);
            final NameChanges.Key key =
                    new NameChanges.Key(
                            required(some, NAME),
                            IpAddress.parse(address)
                                    .orElseThrow(
                                            () ->
                                                    new IllegalArgumentException(
                                                            "address " + address)),
                            required(some, ENDPOINT));
            if (some.containsKey(EXPIRES)) {
                learned.add(
                        new NameRow(
                                key.name(),
                                key.address(),
                                key.endpoint(),
                                Instant.ofEpochMilli(Long.parseLong(required(some, LEARNED))),
                                Instant.ofEpochMilli(Long.parseLong(required(some, EXPIRES))),
                                Boolean.parseBoolean(required(some, ZOMBIE))));
            } else {
                forgotten.add(key);
            }
        }
        return new NameChanges(learned, forgotten);
    }

    private static String required(final Map<String, String> facts, final String key) {
        final String value = facts.get(key);
        if (value == null) {
            throw new IllegalArgumentException(
                    "a passed name without " + key + ": " + facts.keySet());
        }
        return value;
    }
}
