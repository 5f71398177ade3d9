package io.sluice.dnsproxy.wire;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.xbill.DNS.AAAARecord;
import org.xbill.DNS.ARecord;
import org.xbill.DNS.CNAMERecord;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.HTTPSRecord;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.OPTRecord;
import org.xbill.DNS.Record;
import org.xbill.DNS.SVCBBase;
import org.xbill.DNS.Section;
import org.xbill.DNS.Type;

/** Hostile messages, and agreement with another reader on friendly ones. */
final class DnsMessageTest {
    private static final long SEED = 20_261_127L;

    private final DnsMessage message = new DnsMessage();

    private record Row(WireFault outcome, String what, String text) {
        private byte[] octets() {
            return WireText.octets(text);
        }
    }

    private static List<Row> rows() {
        try (var in = DnsMessageTest.class.getResourceAsStream("/hostile/messages.txt")) {
            final String table = new String(Objects.requireNonNull(in).readAllBytes(), UTF_8);
            return table.lines()
                    .filter(line -> !line.startsWith("#"))
                    .map(line -> line.split("\\|", 3))
                    .map(
                            part ->
                                    new Row(
                                            WireFault.valueOf(part[0].trim()),
                                            part[1].trim(),
                                            part[2]))
                    .toList();
        } catch (final IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    @TestFactory
    Stream<DynamicTest> hostileMessagesEndAsTheTableSays() {
        assertThat(rows()).hasSizeGreaterThanOrEqualTo(60);
        return rows().stream()
                .map(
                        row ->
                                DynamicTest.dynamicTest(
                                        row.what,
                                        () ->
                                                assertThat(
                                                                message.read(
                                                                        row.octets(),
                                                                        0,
                                                                        row.octets().length))
                                                        .isEqualTo(row.outcome)));
    }

    @Test
    void everyFaultButTheLongestMessageIsInTheTable() {
        assertThat(rows().stream().map(Row::outcome).distinct())
                .containsExactlyInAnyOrderElementsOf(
                        Arrays.stream(WireFault.values())
                                .filter(fault -> fault != WireFault.MESSAGE_LONG)
                                .toList());
        assertThat(message.read(new byte[65536], 0, 65536)).isEqualTo(WireFault.MESSAGE_LONG);
    }

    @Test
    void everyPrefixOfAMessageIsRefused() throws IOException {
        final byte[] whole = friendly(new Random(SEED)).toWire();
        for (int length = 0; length < whole.length; length++) {
            assertThat(message.read(whole, 0, length))
                    .as("%d", length)
                    .isNotEqualTo(WireFault.NONE);
        }
    }

    @Test
    void readsWithinItsBoundsOnlyWhereverTheMessageLies() {
        for (final Row row : rows()) {
            final byte[] around = new byte[row.octets().length + 40];
            Arrays.fill(around, (byte) 0xc0);
            System.arraycopy(row.octets(), 0, around, 20, row.octets().length);
            assertThat(message.read(around, 20, row.octets().length))
                    .as(row.what)
                    .isEqualTo(row.outcome);
        }
    }

    @Test
    void whatIsChangedAtRandomIsRefusedOrReadable() throws IOException {
        final Random random = new Random(SEED);
        int accepted = 0;
        for (int i = 0; i < 200_000; i++) {
            final byte[] octets =
                    i % 2 == 0 ? friendly(random).toWire() : rows().get(random.nextInt(7)).octets();
            for (int k = random.nextInt(3); k >= 0; k--) {
                octets[random.nextInt(octets.length)] = (byte) random.nextInt(256);
            }
            if (message.read(octets, 0, octets.length) == WireFault.NONE) {
                accepted++;
                readEverything();
            }
            i += 9;
        }
        assertThat(accepted).isGreaterThan(2_000);
    }

    private void readEverything() {
        assertThat(message.questionName()).endsWith(".");
        for (int i = 0; i < message.recordCount(); i++) {
            assertThat(message.name(message.ownerAt(i))).endsWith(".");
            assertThat(message.sameName(message.ownerAt(i), message.ownerAt(i))).isTrue();
            assertThat(message.ttl(i)).isNotNegative();
            final boolean isIn = message.recordClass(i) == DnsMessage.CLASS_IN;
            switch (message.recordType(i)) {
                case DnsMessage.A, DnsMessage.AAAA -> {
                    if (isIn) {
                        assertThat(message.address(i).toString()).isNotEmpty();
                    }
                }
                case DnsMessage.HTTPS -> {
                    if (isIn) {
                        message.hints(i, hint -> assertThat(hint.toString()).isNotEmpty());
                    }
                }
                default -> assertThat(message.dataLength(i)).isNotNegative();
            }
        }
    }

    @Test
    void agreesWithAnotherReader() throws IOException {
        final Random random = new Random(SEED);
        for (int i = 0; i < 2_000; i++) {
            final byte[] octets = friendly(random).toWire();
            final Message other = new Message(octets);
            assertThat(message.read(octets, 0, octets.length)).isEqualTo(WireFault.NONE);
            assertThat(message.id()).isEqualTo(other.getHeader().getID());
            assertThat(message.isAnswer()).isTrue();
            assertThat(message.rcode()).isEqualTo(other.getRcode());
            assertThat(message.isTruncated()).isEqualTo(other.getHeader().getFlag(Flags.TC));
            assertThat(message.hasOpt()).isEqualTo(other.getOPT() != null);
            assertThat(message.questionName())
                    .isEqualTo(other.getQuestion().getName().canonicalize().toString());
            final List<Record> records = new ArrayList<>();
            for (int section = Section.ANSWER; section <= Section.ADDITIONAL; section++) {
                records.addAll(other.getSection(section));
            }
            assertThat(message.recordCount()).isEqualTo(records.size());
            for (int k = 0; k < records.size(); k++) {
                same(k, records.get(k));
            }
        }
    }

    private void same(final int index, final Record record) throws IOException {
        assertThat(message.recordType(index)).isEqualTo(record.getType());
        assertThat(message.recordClass(index)).isEqualTo(record.getDClass());
        assertThat(message.name(message.ownerAt(index)))
                .isEqualTo(record.getName().canonicalize().toString());
        switch (record) {
            case final ARecord a ->
                    assertThat(message.address(index)).hasToString(a.getAddress().getHostAddress());
            case final AAAARecord aaaa ->
                    assertThat(message.address(index).toInetAddress()).isEqualTo(aaaa.getAddress());
            case final CNAMERecord cname ->
                    assertThat(message.name(message.dataAt(index)))
                            .isEqualTo(cname.getTarget().canonicalize().toString());
            case final HTTPSRecord https -> {
                final List<String> hints = new ArrayList<>();
                message.hints(index, hint -> hints.add(hint.toString()));
                assertThat(message.bindingPriority(index)).isEqualTo(https.getSvcPriority());
                final SVCBBase.ParameterIpv4Hint wanted =
                        (SVCBBase.ParameterIpv4Hint) https.getSvcParamValue(HTTPSRecord.IPV4HINT);
                assertThat(hints)
                        .isEqualTo(
                                wanted.getAddresses().stream()
                                        .map(InetAddress::getHostAddress)
                                        .toList());
            }
            default -> assertThat(record.getType()).isIn(Type.OPT, Type.TXT);
        }
        if (record.getType() != Type.OPT) {
            assertThat(message.ttl(index)).isEqualTo((int) record.getTTL());
        }
    }

    /** An answer with all kinds of records, names compressed as the library does. */
    private static Message friendly(final Random random) throws IOException {
        final Name name = Name.fromString("WWW" + random.nextInt(9) + ".Example.com.");
        final Message answer = new Message(random.nextInt(65536));
        answer.getHeader().setFlag(Flags.QR);
        answer.addRecord(Record.newRecord(name, Type.A, DClass.IN), Section.QUESTION);
        Name owner = name;
        for (int i = random.nextInt(4); i > 0; i--) {
            final Name alias = Name.fromString("c" + i + ".cdn\\046x\\007.net.");
            answer.addRecord(new CNAMERecord(owner, DClass.IN, i, alias), Section.ANSWER);
            owner = alias;
        }
        final byte[] ipv4 = new byte[4];
        random.nextBytes(ipv4);
        final byte[] ipv6 = new byte[16];
        random.nextBytes(ipv6);
        answer.addRecord(
                new ARecord(owner, DClass.IN, random.nextInt(9999), InetAddress.getByAddress(ipv4)),
                Section.ANSWER);
        answer.addRecord(
                new AAAARecord(
                        owner, DClass.IN, random.nextInt(9999), InetAddress.getByAddress(ipv6)),
                Section.ANSWER);
        answer.addRecord(
                Record.fromString(
                        owner,
                        Type.HTTPS,
                        DClass.IN,
                        60,
                        "1 svc.example.com. port=8443 ipv4hint=192.0.2."
                                + random.nextInt(256)
                                + ",192.0.2.1",
                        Name.root),
                Section.ANSWER);
        answer.addRecord(
                Record.fromString(owner, Type.TXT, DClass.IN, 60, "\"text\"", Name.root),
                Section.ADDITIONAL);
        if (random.nextBoolean()) {
            answer.addRecord(new OPTRecord(1232, 0, 0, Flags.DO), Section.ADDITIONAL);
        }
        return answer;
    }
}
