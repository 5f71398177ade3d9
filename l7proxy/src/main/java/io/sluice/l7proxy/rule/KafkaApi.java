package io.sluice.l7proxy.rule;

import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Kafka's APIs by name: the table of API keys in the protocol guide, without what only brokers say
 * to each other since KRaft. Names are those of the guide in lower case; {@code offsets} is what
 * Cilium calls ListOffsets.
 */
public final class KafkaApi {
    private static final Map<String, Integer> KEYS =
            Map.ofEntries(
                    Map.entry("produce", 0),
                    Map.entry("fetch", 1),
                    Map.entry("listoffsets", 2),
                    Map.entry("metadata", 3),
                    Map.entry("leaderandisr", 4),
                    Map.entry("stopreplica", 5),
                    Map.entry("updatemetadata", 6),
                    Map.entry("controlledshutdown", 7),
                    Map.entry("offsetcommit", 8),
                    Map.entry("offsetfetch", 9),
                    Map.entry("findcoordinator", 10),
                    Map.entry("joingroup", 11),
                    Map.entry("heartbeat", 12),
                    Map.entry("leavegroup", 13),
                    Map.entry("syncgroup", 14),
                    Map.entry("describegroups", 15),
                    Map.entry("listgroups", 16),
                    Map.entry("saslhandshake", 17),
                    Map.entry("apiversions", 18),
                    Map.entry("createtopics", 19),
                    Map.entry("deletetopics", 20),
                    Map.entry("deleterecords", 21),
                    Map.entry("initproducerid", 22),
                    Map.entry("offsetforleaderepoch", 23),
                    Map.entry("addpartitionstotxn", 24),
                    Map.entry("addoffsetstotxn", 25),
                    Map.entry("endtxn", 26),
                    Map.entry("writetxnmarkers", 27),
                    Map.entry("txnoffsetcommit", 28),
                    Map.entry("describeacls", 29),
                    Map.entry("createacls", 30),
                    Map.entry("deleteacls", 31),
                    Map.entry("describeconfigs", 32),
                    Map.entry("alterconfigs", 33),
                    Map.entry("alterreplicalogdirs", 34),
                    Map.entry("describelogdirs", 35),
                    Map.entry("saslauthenticate", 36),
                    Map.entry("createpartitions", 37),
                    Map.entry("createdelegationtoken", 38),
                    Map.entry("renewdelegationtoken", 39),
                    Map.entry("expiredelegationtoken", 40),
                    Map.entry("describedelegationtoken", 41),
                    Map.entry("deletegroups", 42),
                    Map.entry("electleaders", 43),
                    Map.entry("incrementalalterconfigs", 44),
                    Map.entry("alterpartitionreassignments", 45),
                    Map.entry("listpartitionreassignments", 46),
                    Map.entry("offsetdelete", 47),
                    Map.entry("describeclientquotas", 48),
                    Map.entry("alterclientquotas", 49),
                    Map.entry("describeuserscramcredentials", 50),
                    Map.entry("alteruserscramcredentials", 51),
                    Map.entry("describequorum", 55),
                    Map.entry("updatefeatures", 57),
                    Map.entry("describecluster", 60),
                    Map.entry("describeproducers", 61),
                    Map.entry("unregisterbroker", 64),
                    Map.entry("describetransactions", 65),
                    Map.entry("listtransactions", 66),
                    Map.entry("consumergroupheartbeat", 68),
                    Map.entry("consumergroupdescribe", 69),
                    Map.entry("gettelemetrysubscriptions", 71),
                    Map.entry("pushtelemetry", 72),
                    Map.entry("listconfigresources", 74),
                    Map.entry("describetopicpartitions", 75),
                    Map.entry("sharegroupheartbeat", 76),
                    Map.entry("sharegroupdescribe", 77),
                    Map.entry("sharefetch", 78),
                    Map.entry("shareacknowledge", 79),
                    Map.entry("addraftvoter", 80),
                    Map.entry("removeraftvoter", 81),
                    Map.entry("offsets", 2));

    private static final Map<Integer, String> NAMES =
            KEYS.entrySet().stream()
                    .filter(api -> !api.getKey().equals("offsets"))
                    .collect(Collectors.toUnmodifiableMap(Map.Entry::getValue, Map.Entry::getKey));

    private KafkaApi() {}

    /** Number of an API. */
    public static Optional<Integer> byName(final String name) {
        return Optional.ofNullable(KEYS.get(name.toLowerCase(Locale.ROOT)));
    }

    /** Name of an API; its number if it has none here. */
    public static String name(final int key) {
        return NAMES.getOrDefault(key, Integer.toString(key));
    }

    /** All names. */
    public static Set<String> names() {
        return KEYS.keySet();
    }
}
