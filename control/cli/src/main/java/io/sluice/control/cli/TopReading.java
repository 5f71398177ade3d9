package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.api.ApiJson;
import io.sluice.control.policy.IpProtocol;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What {@code top} asks the daemon for, at one moment.
 *
 * <p>A pair of talkers is who opened flows, to whom, protocol and port, with what its flows have
 * carried both ways. A flow that ended between two readings takes its last packets with it, and one
 * that began counts from its beginning. Conntrack is read up to {@link #FLOWS_MAX} flows.
 *
 * @param status of the daemon
 * @param endpoints of the node
 * @param drops since its start
 * @param counters lane counters by their names
 * @param talkers what flows have carried; empty where there are too many
 */
record TopReading(
        JsonNode status,
        JsonNode endpoints,
        JsonNode drops,
        Map<String, Double> counters,
        Map<Talker, Carried> talkers) {
    /** Flows that are read: as JSON some 12 MB; a page every two seconds must not be work. */
    private static final int FLOWS_MAX = 50_000;

    /** Who talks to whom. */
    record Talker(String from, String to, String protocol, int port) {}

    /** Both ways. */
    record Carried(long packets, long bytes, int flows) {
        static final Carried NOTHING = new Carried(0, 0, 0);

        Carried plus(final Carried other) {
            return new Carried(packets + other.packets, bytes + other.bytes, flows + other.flows);
        }
    }

    static TopReading of(final ApiClient client) {
        final JsonNode status = client.get("/v1/status");
        final JsonNode endpoints = client.get("/v1/endpoints");
        final Map<String, Double> counters = new HashMap<>();
        for (final JsonNode counter : client.get("/v1/counters")) {
            if (counter.path("labels").isEmpty()) {
                counters.put(counter.path("name").asText(), counter.path("value").asDouble());
            }
        }
        return new TopReading(
                status,
                endpoints,
                client.get("/v1/drops"),
                counters,
                status.path("conntrackCount").asInt() > FLOWS_MAX
                        ? Map.of()
                        : talkers(client.get("/v1/conntrack"), names(endpoints)));
    }

    private static Map<String, String> names(final JsonNode endpoints) {
        final Map<String, String> names = new HashMap<>();
        for (final JsonNode endpoint : endpoints) {
            for (final JsonNode address : endpoint.path("addresses")) {
                names.put(address.asText(), EndpointCommands.name(endpoint));
            }
        }
        return names;
    }

    private static Map<Talker, Carried> talkers(
            final JsonNode flows, final Map<String, String> names) {
        final Map<Talker, Carried> talkers = new HashMap<>();
        for (final JsonNode flow : flows) {
            final int protocol = flow.path("protocol").asInt();
            final String from = flow.path("initiatorAddress").asText();
            final String to = flow.path("responderAddress").asText();
            talkers.merge(
                    new Talker(
                            names.getOrDefault(from, from),
                            names.getOrDefault(to, to),
                            IpProtocol.nameOf(protocol),
                            IpProtocol.hasPorts(protocol) ? flow.path("responderPort").asInt() : 0),
                    new Carried(
                            flow.path("packetsForward").asLong()
                                    + flow.path("packetsReply").asLong(),
                            flow.path("bytesForward").asLong() + flow.path("bytesReply").asLong(),
                            1),
                    Carried::plus);
        }
        return talkers;
    }

    /**
     * What has happened since another reading, per second.
     *
     * @param seconds between the two, more than 0
     * @param rows of each list, the busiest first
     */
    ObjectNode since(final TopReading before, final double seconds, final int rows) {
        final ObjectNode page = ApiJson.newObject();
        page.put("node", status.path("nodeName").asText());
        page.put("seconds", seconds);
        page.put("policyRevision", status.path("policyRevision").asLong());
        page.put("flows", status.path("conntrackCount").asLong());
        page.put("flowsMax", status.path("conntrackCapacity").asLong());
        for (final String[] rate :
                new String[][] {
                    {"packetsIn", "sluice_packets_in_total"},
                    {"bytesIn", "sluice_bytes_in_total"},
                    {"packetsForwarded", "sluice_forwarded_packets_total"},
                    {"bytesForwarded", "sluice_forwarded_bytes_total"},
                    {"packetsAnswered", "sluice_answered_total"},
                }) {
            page.put(
                    rate[0] + "PerSecond",
                    rate(
                            counters.getOrDefault(rate[1], 0.0),
                            before.counters.getOrDefault(rate[1], 0.0),
                            seconds));
        }
        page.set("endpoints", endpointRates(before, seconds, rows));
        page.put("talkersRead", status.path("conntrackCount").asInt() <= FLOWS_MAX);
        page.set("talkers", talkerRates(before, seconds, rows));
        page.set("drops", dropRates(before, seconds, rows));
        return page;
    }

    /** A daemon that has started anew counts from 0. */
    private static double rate(final double now, final double before, final double seconds) {
        return Math.max(0, now >= before ? now - before : now) / seconds;
    }

    private ArrayNode endpointRates(final TopReading before, final double seconds, final int rows) {
        final Map<String, JsonNode> earlier = new HashMap<>();
        before.endpoints.forEach(
                endpoint -> earlier.put(EndpointCommands.name(endpoint), endpoint));
        final List<ObjectNode> rates = new ArrayList<>();
        for (final JsonNode endpoint : endpoints) {
            final String name = EndpointCommands.name(endpoint);
            final JsonNode was = earlier.getOrDefault(name, ApiJson.newObject());
            rates.add(
                    ApiJson.newObject()
                            .put("endpoint", name)
                            .put("state", endpoint.path("state").asText())
                            .put("sentPerSecond", rate(endpoint, was, "framesReceived", seconds))
                            .put("receivedPerSecond", rate(endpoint, was, "framesSent", seconds)));
        }
        return busiest(rates, "sentPerSecond", "receivedPerSecond", "endpoint", rows);
    }

    private static double rate(
            final JsonNode now, final JsonNode before, final String field, final double seconds) {
        return rate(now.path(field).asDouble(), before.path(field).asDouble(), seconds);
    }

    private ArrayNode talkerRates(final TopReading before, final double seconds, final int rows) {
        final List<ObjectNode> rates = new ArrayList<>();
        talkers.forEach(
                (talker, carried) -> {
                    final Carried was = before.talkers.getOrDefault(talker, Carried.NOTHING);
                    rates.add(
                            ApiJson.newObject()
                                    .put("from", talker.from())
                                    .put("to", talker.to())
                                    .put("protocol", talker.protocol())
                                    .put("port", talker.port())
                                    .put("flows", carried.flows())
                                    .put(
                                            "packetsPerSecond",
                                            rate(
                                                    (double) carried.packets(),
                                                    (double) was.packets(),
                                                    seconds))
                                    .put(
                                            "bytesPerSecond",
                                            rate(
                                                    (double) carried.bytes(),
                                                    (double) was.bytes(),
                                                    seconds)));
                });
        rates.sort(
                Comparator.comparing((ObjectNode rate) -> rate.path("to").asText())
                        .thenComparingInt(rate -> rate.path("port").asInt()));
        return busiest(rates, "bytesPerSecond", "packetsPerSecond", "from", rows);
    }

    private ArrayNode dropRates(final TopReading before, final double seconds, final int rows) {
        final Map<String, JsonNode> earlier = new LinkedHashMap<>();
        before.drops.forEach(drop -> earlier.put(key(drop), drop));
        final List<ObjectNode> rates = new ArrayList<>();
        for (final JsonNode drop : drops) {
            final JsonNode was = earlier.getOrDefault(key(drop), ApiJson.newObject());
            rates.add(
                    ApiJson.newObject()
                            .put("reason", drop.path("reason").asText())
                            .put("direction", drop.path("direction").asText())
                            .put("packetsPerSecond", rate(drop, was, "packets", seconds))
                            .put("bytesPerSecond", rate(drop, was, "bytes", seconds))
                            .put("packets", drop.path("packets").asLong()));
        }
        return busiest(rates, "packetsPerSecond", "packets", "reason", rows);
    }

    private static String key(final JsonNode drop) {
        return drop.path("reason").asText() + " " + drop.path("direction").asText();
    }

    /** Those with the largest numbers; equal ones by name, so that lines do not jump. */
    private static ArrayNode busiest(
            final List<ObjectNode> rates,
            final String first,
            final String second,
            final String name,
            final int rows) {
        rates.sort(
                Comparator.comparingDouble((ObjectNode rate) -> rate.path(first).asDouble())
                        .thenComparingDouble(rate -> rate.path(second).asDouble())
                        .reversed()
                        .thenComparing(rate -> rate.path(name).asText()));
        final ArrayNode busiest = ApiJson.newObject().putArray("rates");
        rates.stream().limit(rows).forEach(busiest::add);
        return busiest;
    }
}
