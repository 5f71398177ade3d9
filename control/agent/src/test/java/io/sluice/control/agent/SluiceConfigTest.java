package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.RunOptions.TakeOver;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SluiceConfigTest {
    private static final SluiceConfig DEFAULTS = SluiceConfig.defaults("Node-1");

    @TempDir private Path folder;

    @Test
    void aHostNameThatIsNoNodeNameDoesNotStandInTheWay() throws Exception {
        final RunOptions without =
                new RunOptions(List.of(), Optional.empty(), Optional.empty(), TakeOver.NEVER);
        assertThat(SluiceMain.configuration(without, "build_host").nodeName())
                .isEqualTo("localhost");
        assertThat(SluiceMain.configuration(without, "Node-1").nodeName()).isEqualTo("node-1");

        final Path file = Files.writeString(folder.resolve("sluice.yaml"), "nodeName: n1");
        final RunOptions with =
                new RunOptions(
                        List.of(),
                        Optional.of(file),
                        Optional.of(Path.of("/run/other")),
                        TakeOver.NEVER);
        assertThat(SluiceMain.configuration(with, "build_host"))
                .extracting(SluiceConfig::nodeName, SluiceConfig::runFolder)
                .containsExactly("n1", Path.of("/run/other"));
    }

    /** Every key with a value that is not its default. */
    private static final Map<String, String> OTHER_VALUES = otherValues();

    private static Map<String, String> otherValues() {
        final Map<String, String> values = new LinkedHashMap<>();
        values.put("nodeName", "other");
        values.put("clusterName", "west");
        values.put("runFolder", "/run/other");
        values.put("stateFolder", "/var/lib/other");
        values.put("mtu", "9000");
        values.put("pool.ipv4", "10.9.0.0/20");
        values.put("pool.ipv6", "none");
        values.put("uplink.enabled", "false");
        values.put("port.xdp.mode", "generic");
        values.put("port.xdp.queues", "2");
        values.put("port.xdp.busyPollUs", "20");
        values.put("uplink.device", "up0");
        values.put("uplink.port", "xdp");
        values.put("uplink.mtu", "1400");
        values.put("policy.default", "deny");
        values.put("policy.cidrMatch", "[pods, nodes]");
        values.put("policy.audit", "true");
        values.put("policy.history.revisions", "7");
        values.put("policy.history.mebibytes", "8");
        values.put("conntrack.flows", "4096");
        values.put("conntrack.flowsIpv6", "2048");
        values.put("conntrack.timeoutSeconds.tcpSyn", "61");
        values.put("conntrack.timeoutSeconds.tcpEstablished", "62");
        values.put("conntrack.timeoutSeconds.tcpFinWait", "63");
        values.put("conntrack.timeoutSeconds.tcpClosing", "64");
        values.put("conntrack.timeoutSeconds.udpUnreplied", "65");
        values.put("conntrack.timeoutSeconds.udpReplied", "66");
        values.put("conntrack.timeoutSeconds.udpStream", "69");
        values.put("conntrack.timeoutSeconds.icmp", "67");
        values.put("conntrack.timeoutSeconds.other", "68");
        values.put("conntrack.tcpLoose", "false");
        values.put("conntrack.tcpWindowCheck", "false");
        values.put("dns.denied", "nxdomain");
        values.put("dns.ttlMinSeconds", "30");
        values.put("dns.resolver.addresses", "[10.96.0.11, fd00::a]");
        values.put("dns.resolver.servers", "[192.0.2.53]");
        values.put("dns.resolver.domain", "example.internal");
        values.put("dns.resolver.inPods", "false");
        values.put("lane.count", "2");
        values.put("lane.idle", "busy");
        values.put("lane.cpus", "0,2-3");
        values.put("lane.nice", "0");
        values.put("flows.enabled", "false");
        values.put("flows.ring", "100");
        values.put("flows.ends", "false");
        values.put("flows.redact.enabled", "true");
        values.put("flows.redact.http.urlQuery", "true");
        values.put("flows.redact.http.userInfo", "false");
        values.put("flows.redact.http.headers.allow", "[X-Team]");
        values.put("flows.redact.http.headers.deny", "[Authorization, X-Token]");
        values.put("flows.redact.kafka.apiKey", "true");
        values.put("flows.store.mebibytes", "0");
        values.put("flows.store.hours", "24");
        values.put("flows.export.file", "/var/log/flows.log");
        values.put("flows.export.fileMaxSizeMb", "20");
        values.put("flows.export.fileMaxBackups", "0");
        values.put("flows.export.fileCompress", "true");
        values.put("flows.export.fieldMask", "[time, source.namespace]");
        values.put("flows.export.allowList", "'{\"verdict\":[\"DROPPED\"]}'");
        values.put("flows.export.denyList", "'{\"source_pod\":[\"kube-system/\"]}'");
        values.put("flows.export.kafka.bootstrapServers", "[kafka-1:9092, '[fd00::9]:9093']");
        values.put("flows.export.kafka.topic", "flows.shop");
        values.put("flows.export.kafka.acks", "leader");
        values.put("flows.export.kafka.compression", "gzip");
        values.put("flows.export.kafka.bufferMebibytes", "8");
        values.put("flows.export.kafka.timeoutSeconds", "30");
        values.put("flows.export.kafka.propertiesFile", "/etc/sluice/kafka.properties");
        values.put("flows.export.kafka.fieldMask", "[time, verdict]");
        values.put("flows.export.kafka.allowList", "'{\"verdict\":[\"AUDIT\"]}'");
        values.put("flows.export.kafka.denyList", "'{\"source_pod\":[\"shop/\"]}'");
        values.put("l7.transport", "io_uring");
        values.put("l7.loops", "2");
        values.put("l7.connections", "1000");
        values.put("l7.timeoutSeconds.connect", "6");
        values.put("l7.timeoutSeconds.idle", "60");
        values.put("l7.timeoutSeconds.head", "11");
        values.put("hubble.enabled", "false");
        values.put("hubble.listen.address", "127.0.0.1:4244");
        values.put("hubble.listen.certFile", "/etc/sluice/tls.crt");
        values.put("hubble.listen.keyFile", "/etc/sluice/tls.key");
        values.put("hubble.listen.clientCaFile", "/etc/sluice/ca.crt");
        values.put("metrics.address", "none");
        values.put("l7.kafka.requestBytes", "1048576");
        values.put("l7.kafka.heldBytes", "65536");
        values.put("l7.kafka.heldMebibytesTotal", "64");
        values.put("l7.kafka.answerHeldBytes", "65537");
        values.put("l7.kafka.topics", "100");
        values.put("l7.kafka.inFlight", "16");
        values.put("l7.kafka.topicIds", "1000");
        values.put("log.level", "debug");
        return values;
    }

    @Test
    void anEmptyFileGivesTheDefaults() throws Exception {
        assertThat(read("")).isEqualTo(DEFAULTS);
        assertThat(DEFAULTS.nodeName()).isEqualTo("node-1");
        assertThat(DEFAULTS.mtuBytes()).isEqualTo(1500);
        assertThat(DEFAULTS.pool().ipv4().map(pool -> pool.prefix().toString()))
                .contains("10.244.0.0/24");
        assertThat(DEFAULTS.pool().ipv6().map(pool -> pool.prefix().toString()))
                .contains("fd00:10:244::/64");
        assertThat(DEFAULTS.uplink())
                .isEqualTo(
                        new SluiceConfig.Uplink(
                                true, "sluice0", SluiceConfig.Uplink.Port.TAP, 1500));
        assertThat(DEFAULTS.runFolder()).hasToString("/run/sluice");
        assertThat(DEFAULTS.stateFolder()).hasToString("/var/lib/sluice");
        assertThat(DEFAULTS.flowEvents()).isTrue();
        assertThat(DEFAULTS.flowRing()).isEqualTo(4095);
        assertThat(DEFAULTS.flowEnds()).isTrue();
    }

    @Test
    void everyKeyChangesItsComponentAndNoComponentIsOutOfReach() throws Exception {
        final Set<String> changed = new LinkedHashSet<>();
        for (final Map.Entry<String, String> entry : OTHER_VALUES.entrySet()) {
            final List<String> differences =
                    differences("", DEFAULTS, read(nested(entry.getKey(), entry.getValue())));
            if (entry.getKey().equals("mtu")) {
                // The uplink follows the endpoints' MTU unless it is told its own.
                assertThat(differences).containsExactly("mtuBytes", "uplink.mtuBytes");
            } else {
                assertThat(differences).as(entry.getKey()).hasSize(1);
            }
            changed.addAll(differences);
        }

        assertThat(changed).containsExactlyInAnyOrderElementsOf(components("", DEFAULTS));
    }

    @Test
    void theKeysOfThisTestAreAllThereAre() throws Exception {
        final Settings settings = Settings.none();
        assertThat(SluiceConfig.from(settings, DEFAULTS)).isEqualTo(DEFAULTS);

        assertThat(settings.knownKeys()).containsExactlyInAnyOrderElementsOf(OTHER_VALUES.keySet());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "mtu: 67                   | f.yaml:1:6: mtu: 67: 68 to 65521",
                "mtu: 65522                | f.yaml:1:6: mtu: 65522: 68 to 65521",
                "mtu: big                  | f.yaml:1:6: mtu: \"big\" is not a whole number",
                "nodename: a               | f.yaml:1:11: nodename: no such key: did you mean nodeName?",
                "nodeName: A_B             | f.yaml:1:11: nodeName: \"A_B\": lower-case letters, digits, '-' and '.', at most 253",
                "metrics: {address: \"9962\"} | f.yaml:1:20: metrics.address: \"9962\": an address and a port such as 127.0.0.1:9962 or [::1]:9962, or none",
                "metrics: {address: \"localhost:80\"} | f.yaml:1:20: metrics.address: \"localhost:80\": an address and a port such as 127.0.0.1:9962 or [::1]:9962, or none",
                "metrics: {address: \"[::1]:0\"} | f.yaml:1:20: metrics.address: \"[::1]:0\": an address and a port such as 127.0.0.1:9962 or [::1]:9962, or none",
                "hubble: {listen: {certFile: c.pem}} | f.yaml:1:29: hubble.listen.certFile: \"c.pem\": an absolute path",
                "runFolder: run            | f.yaml:1:12: runFolder: \"run\": an absolute path",
                "pool: {ipv4: 10.0.0.1/24} | f.yaml:1:14: pool.ipv4: \"10.0.0.1/24\": a prefix such as 10.244.0.0/24, or none",
                "pool: {ipv4: fd00::/64}   | f.yaml:1:14: pool.ipv4: fd00::/64: a prefix of the other family",
                "pool: {ipv4: 10.0.0.0/31} | f.yaml:1:14: pool.ipv4: 10.0.0.0/31: a pool needs at least 4 addresses: a prefix of at most /30",
                "uplink: {enabled: maybe}  | f.yaml:1:19: uplink.enabled: \"maybe\": true or false",
                "uplink: {device: a b}     | f.yaml:1:18: uplink.device: \"a b\": 1 to 15 letters, digits, '-', '_' and '.', beginning with a letter",
                "policy: {default: drop}   | f.yaml:1:19: policy.default: \"drop\": allow or deny",
                "policy: {cidrMatch: all}  | f.yaml:1:21: policy.cidrMatch: \"all\": none, or a list of pods and nodes",
                "policy: {history: {revisions: 1}} | f.yaml:1:31: policy.history.revisions: 1: 2 to 10000",
                "policy: {history: {mebibytes: 0}} | f.yaml:1:31: policy.history.mebibytes: 0: 1 to 1024",
                "lane: {idle: lazy}        | f.yaml:1:14: lane.idle: \"lazy\": busy or adaptive or sleepy",
                "lane: {count: 0}          | f.yaml:1:15: lane.count: 0: 1 to 16",
                "lane: {count: 17}         | f.yaml:1:15: lane.count: 17: 1 to 16",
                "lane: {count: 3, cpus: 0-1} | f.yaml:1:24: lane.cpus: 2 for a lane.count of 3: one for each lane, or none",
                "lane: {cpus: all}         | f.yaml:1:14: lane.cpus: \"all\": none, or a list of processors such as 0,2-3",
                "lane: {cpus: 3-2}         | f.yaml:1:14: lane.cpus: \"3-2\": none, or a list of processors such as 0,2-3",
                "lane: {cpus: 8192}        | f.yaml:1:14: lane.cpus: \"8192\": none, or a list of processors such as 0,2-3",
                "lane: {cpus: [0-2, 1]}    | f.yaml:1:14: lane.cpus: \"0-2,1\": processor 1 is there twice",
                "flows: {ring: 0}          | f.yaml:1:15: flows.ring: 0: 1 to 16777215",
                "flows: {enabled: false, export: {file: stdout}} | f.yaml:1:40: flows.export.file: flows.enabled is false: there is nothing to export",
                "flows: {redact: {http: {headers: {allow: [a b]}}}} | f.yaml:1:42: flows.redact.http.headers.allow: \"a b\": a list of names of headers",
                "flows: {redact: {http: {headers: {allow: a, deny: b}}}} | f.yaml:1:51: flows.redact.http.headers.deny: allow is set as well: one of the two",
                "l7: {kafka: {topics: 0}} | f.yaml:1:22: l7.kafka.topics: 0: 1 to 1000000",
                "flows: {store: {mebibytes: 3}} | f.yaml:1:28: flows.store.mebibytes: 3: 4 to 1048576",
                "flows: {store: {hours: 0}} | f.yaml:1:24: flows.store.hours: 0: 1 to 87600",
                "flows: {export: {file: flows.log}} | f.yaml:1:24: flows.export.file: \"flows.log\": an absolute path",
                "flows: {export: {fileMaxSizeMb: 0}} | f.yaml:1:33: flows.export.fileMaxSizeMb: 0: 1 to 1048576",
                "flows: {export: {fieldMask: [a b]}} | f.yaml:1:29: flows.export.fieldMask: \"a b\": a list of fields such as source.namespace",
                "flows: {export: {kafka: {bootstrapServers: kafka}}} | f.yaml:1:44: flows.export.kafka.bootstrapServers: \"kafka\": none, or a list of brokers such as kafka-1:9092",
                "flows: {export: {kafka: {bootstrapServers: [a:1, 'b:0']}}} | f.yaml:1:44: flows.export.kafka.bootstrapServers: \"b:0\": none, or a list of brokers such as kafka-1:9092",
                "flows: {export: {kafka: {topic: ..}}} | f.yaml:1:33: flows.export.kafka.topic: \"..\": 1 to 249 letters, digits, '.', '_' and '-'",
                "flows: {export: {kafka: {acks: 0}}} | f.yaml:1:32: flows.export.kafka.acks: \"0\": all or leader",
                "flows: {export: {kafka: {compression: zstd}}} | f.yaml:1:39: flows.export.kafka.compression: \"zstd\": none or gzip",
                "flows: {export: {kafka: {bufferMebibytes: 0}}} | f.yaml:1:43: flows.export.kafka.bufferMebibytes: 0: 1 to 16384",
                "flows: {export: {kafka: {timeoutSeconds: 0}}} | f.yaml:1:42: flows.export.kafka.timeoutSeconds: 0: 1 to 86400",
                "flows: {export: {kafka: {propertiesFile: a}}} | f.yaml:1:42: flows.export.kafka.propertiesFile: \"a\": an absolute path",
                "flows: {export: {kafka: {fieldMask: [a b]}}} | f.yaml:1:37: flows.export.kafka.fieldMask: \"a b\": a list of fields such as source.namespace",
                "log: {level: all}         | f.yaml:1:14: log.level: \"all\": error or warn or info or debug",
                "mtu: [1500                | f.yaml:1:11: expected ',' or ']', but got <stream end>",
            })
    void aWrongValueIsRefusedWithItsPlaceAndWhatIsAccepted(final String text, final String line) {
        assertThatThrownBy(() -> read(text)).isInstanceOf(StartupException.class).hasMessage(line);
    }

    @Test
    void processorsOfLanesAreNumbersAndRangesInTheOrderOfTheLanes() throws Exception {
        assertThat(DEFAULTS.lane().cpus()).isEmpty();
        assertThat(read("lane: {cpus: 0}").lane().cpus()).containsExactly(0);
        assertThat(read("lane: {cpus: \"3, 0-2\"}").lane().cpus()).containsExactly(3, 0, 1, 2);
        assertThat(read("lane: {cpus: [5, 7-8]}").lane().cpus()).containsExactly(5, 7, 8);
        assertThat(read("lane: {cpus: none}").lane().cpus()).isEmpty();
    }

    @Test
    void conntrackTellsWhatItAccepts() {
        assertThatThrownBy(() -> read("conntrack: {flows: 1}"))
                .isInstanceOf(StartupException.class)
                .hasMessageContaining("accepted are 64 to 16777216");
    }

    @Test
    void allProblemsAreToldAtOnce() {
        assertThatThrownBy(() -> read("mtu: 1\nlane: {idle: lazy}\nunknown: 1\nmtu: 2"))
                .isInstanceOf(StartupException.class)
                .hasMessageContaining("mtu: 1: 68")
                .hasMessageContaining("lane.idle")
                .hasMessageContaining("unknown: no such key")
                .hasMessageContaining("mtu: set twice, first in line 1");
    }

    private static SluiceConfig read(final String text) throws StartupException {
        return SluiceConfig.from(Settings.parse("f.yaml", text), DEFAULTS);
    }

    private static String nested(final String key, final String value) {
        final List<String> words = List.of(key.split("\\.", -1));
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < words.size(); i++) {
            text.append("  ".repeat(i)).append(words.get(i)).append(':');
            text.append(i < words.size() - 1 ? "\n" : " " + value);
        }
        return text.toString();
    }

    private static List<String> differences(
            final String path, final Object before, final Object after) throws Exception {
        if (!before.getClass().isRecord() || path.endsWith("ipv4") || path.endsWith("ipv6")) {
            return before.equals(after) ? List.of() : List.of(path);
        }
        final List<String> differences = new ArrayList<>();
        for (final RecordComponent component : before.getClass().getRecordComponents()) {
            differences.addAll(
                    differences(
                            path.isEmpty() ? component.getName() : path + "." + component.getName(),
                            component.getAccessor().invoke(before),
                            component.getAccessor().invoke(after)));
        }
        return differences;
    }

    private static List<String> components(final String path, final Object value) throws Exception {
        if (!value.getClass().isRecord() || value instanceof Optional) {
            return List.of(path);
        }
        final List<String> names = new ArrayList<>();
        for (final RecordComponent component : value.getClass().getRecordComponents()) {
            names.addAll(
                    components(
                            path.isEmpty() ? component.getName() : path + "." + component.getName(),
                            component.getAccessor().invoke(value)));
        }
        return names;
    }
}
