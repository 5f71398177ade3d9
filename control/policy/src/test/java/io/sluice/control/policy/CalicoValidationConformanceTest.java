package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * What Calico accepts and what it refuses, by the rows of its own tests. A row is a manifest, or a
 * fragment of one that is embedded here into the smallest manifest that has it.
 *
 * <p>The data is not part of the repository; see {@link ConformanceTest}.
 */
final class CalicoValidationConformanceTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int ROW_COUNT = 266;

    /**
     * Rows whose verdict cannot be that of the text they are given as. Each is asserted the other
     * way round, so that the list cannot outlive its reason.
     */
    private static final Map<String, String> NOT_FAITHFUL =
            Map.of(
                    "76 should reject Rule with invalid port (name + number)",
                    "the port had a name and numbers, which only an object in memory can have: its"
                            + " text is the name alone, and row 66 accepts that",
                    "265 should accept an empty Tier spec",
                    "its title says the contrary of its verdict, and the API documents a tier"
                            + " without an order as the last one");

    @TestFactory
    List<DynamicTest> rows() throws IOException {
        final String root = System.getenv("SLUICE_CONFORMANCE");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root)),
                "skipped: SLUICE_CONFORMANCE does not name the folder of the conformance data");
        final JsonNode entries =
                JSON.readTree(Path.of(root).resolve("calico/validation.json").toFile())
                        .get("entries");
        final List<DynamicTest> tests = new ArrayList<>();
        final Set<String> unfaithful = new HashSet<>();
        for (int i = 0; i < entries.size(); i++) {
            final JsonNode row = entries.get(i);
            final String name = i + " " + row.get("case").asText();
            final boolean faithful = !NOT_FAITHFUL.containsKey(name);
            if (!faithful) {
                unfaithful.add(name);
                System.out.println(
                        "conformance: not faithful: " + name + ": " + NOT_FAITHFUL.get(name));
            }
            tests.add(
                    DynamicTest.dynamicTest(
                            name,
                            () -> {
                                final String manifest = manifest(row).toString();
                                final ReadResult read = ManifestReader.read("row.json", manifest);
                                assertThat(read.hasErrors())
                                        .as("%s: %s", manifest, read.problems())
                                        .isEqualTo(row.get("valid").asBoolean() != faithful);
                            }));
        }
        System.out.println(
                "conformance: calico validation: "
                        + tests.size()
                        + " rows, "
                        + unfaithful.size()
                        + " of them not faithful");
        assertThat(tests).hasSize(ROW_COUNT);
        assertThat(unfaithful).isEqualTo(NOT_FAITHFUL.keySet());
        return tests;
    }

    private static JsonNode manifest(final JsonNode row) {
        if (row.has("manifest")) {
            return row.get("manifest");
        }
        final JsonNode fragment = row.get("fragment");
        final String type = row.get("type").asText();
        return switch (type) {
            case "Rule" -> policy(fragment);
            case "EntityRule" -> policy(rule().set("source", fragment));
            case "ICMPFields" -> policy(rule().put("protocol", "ICMP").set("icmp", fragment));
            case "HTTPMatch" -> policy(rule().set("http", fragment));
            case "numorstring.Protocol" -> policy(rule().set("protocol", fragment));
            case "ProfileSpec", "HostEndpointSpec", "NetworkSetSpec", "GlobalNetworkSetSpec" ->
                    object(type.substring(0, type.length() - "Spec".length()), fragment);
            default -> throw new IllegalArgumentException("no manifest has a " + type);
        };
    }

    private static ObjectNode rule() {
        return JSON.createObjectNode().put("action", "Allow");
    }

    private static JsonNode policy(final JsonNode rule) {
        final ObjectNode spec = JSON.createObjectNode();
        spec.putArray("ingress").add(rule);
        return object("NetworkPolicy", spec);
    }

    private static JsonNode object(final String kind, final JsonNode spec) {
        final ObjectNode object = JSON.createObjectNode();
        object.put("apiVersion", "projectcalico.org/v3").put("kind", kind);
        object.putObject("metadata").put("name", "row");
        object.set("spec", spec);
        return object;
    }
}
