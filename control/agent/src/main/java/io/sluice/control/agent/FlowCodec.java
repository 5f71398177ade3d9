package io.sluice.control.agent;

import io.sluice.dataplane.FlowEnd;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Flows as bytes of the flow log.
 *
 * <p><b>Theory of operation.</b> Flows of a minute have little that is new: the same pods, labels,
 * policies. A block begins with three tables, of texts, sides (without their ports) and lists of
 * policies, each in the order of first use and speaking of the tables before; a flow is some 20
 * numbers, most of them one byte (LEB128, signed ones zigzag), times and sequences as differences
 * to the flow before. A new flow takes some 30 bytes of a block instead of the 1,000 of its JSON,
 * and half of that deflated; of tables decoding makes each text and side once.
 *
 * <pre>
 *   FORMAT
 *   texts     count, then length and UTF-8 of each; 0 is the empty text
 *   sides     count, then endpoint, identity, namespace, pod, labels, address, mac, names
 *   authors   count, then lists of tier, kind, namespace, name, rule, file, line, sentence
 *   flows     count, then the numbers of each
 * </pre>
 *
 * <p>A byte string that is not of this form is refused as a whole; a checksum stands before it, so
 * that means a newer format or a fault of ours.
 *
 * <p>Thread: one; an encoder is used for one block.
 */
public final class FlowCodec {
    /**
     * Changes when blocks do; blocks of a later format are refused. 2: ends of flows, without which
     * a block reads as one of format 1.
     */
    private static final int FORMAT = 2;

    private static final int FORMAT_WITHOUT_ENDS = 1;

    // By Hubble's numbers, which do not change.
    private static final Map<Integer, Flow.Kind> KINDS =
            Arrays.stream(Flow.Kind.values())
                    .collect(Collectors.toUnmodifiableMap(Flow.Kind::number, kind -> kind));
    private static final Map<Integer, Flow.Verdict> VERDICTS =
            Arrays.stream(Flow.Verdict.values())
                    .collect(
                            Collectors.toUnmodifiableMap(Flow.Verdict::number, verdict -> verdict));
    private static final Map<Integer, FlowEnd> ENDS =
            Arrays.stream(FlowEnd.values())
                    .collect(Collectors.toUnmodifiableMap(FlowEnd::code, end -> end));
    private static final Map<Integer, Flow.Direction> DIRECTIONS =
            Arrays.stream(Flow.Direction.values())
                    .collect(
                            Collectors.toUnmodifiableMap(
                                    Flow.Direction::number, direction -> direction));

    /** Room for a table to begin with; it grows. */
    private static final int TABLE_BYTES = 1024;

    /** Room for a flow: one that is not about a request takes 25 to 40. */
    private static final int FLOW_BYTES = 40;

    private static final int NO_L7 = 0;
    private static final int HTTP = 1;
    private static final int KAFKA = 2;
    private static final int DNS = 3;
    private static final int TLS = 4;
    private static final int TOTALS = 5;

    private FlowCodec() {}

    /** A block cannot be read. */
    static final class FormatException extends Exception {
        private static final long serialVersionUID = 1L;

        FormatException(final String message) {
            super(message);
        }
    }

    /** A block of flows, which there must be. */
    public static byte[] encode(final List<Flow> flows) {
        return encode(flows, new ArrayList<>());
    }

    /**
     * The same.
     *
     * @param sides gets the sides of the flows, each once
     */
    public static byte[] encode(final List<Flow> flows, final List<FlowSide> sides) {
        return new Encoder(flows.size(), sides).encode(flows);
    }

    /** Bytes that grow. */
    private static final class Bytes {
        private byte[] bytes;
        private int length;

        Bytes(final int expected) {
            bytes = new byte[expected];
        }

        void put(final int value) {
            if (length == bytes.length) {
                bytes = Arrays.copyOf(bytes, length * 2);
            }
            bytes[length++] = (byte) value;
        }

        void unsigned(final long value) {
            long rest = value;
            while ((rest & ~0x7fL) != 0) {
                put(((int) rest & 0x7f) | 0x80);
                rest >>>= 7;
            }
            put((int) rest);
        }

        void signed(final long value) {
            unsigned((value << 1) ^ (value >> 63));
        }

        void raw(final byte[] more, final int count) {
            while (length + count > bytes.length) {
                bytes = Arrays.copyOf(bytes, bytes.length * 2);
            }
            System.arraycopy(more, 0, bytes, length, count);
            length += count;
        }

        void long64(final long value) {
            for (int shift = 56; shift >= 0; shift -= 8) {
                put((int) (value >>> shift));
            }
        }
    }

    private static final class Encoder {
        private final Map<String, Integer> texts = new HashMap<>();
        private final Map<FlowSide, Integer> sides = new HashMap<>();
        private final Map<List<PolicyAuthor>, Integer> authors = new HashMap<>();
        // Those that were seen before as the same object: to compare them by value costs more than
        // all the rest of a flow.
        private final IdentityHashMap<FlowSide, Integer> sameSides = new IdentityHashMap<>();
        private final IdentityHashMap<List<PolicyAuthor>, Integer> sameAuthors =
                new IdentityHashMap<>();
        private final List<FlowSide> newSides;
        private final Bytes textBytes = new Bytes(TABLE_BYTES);
        private final Bytes sideBytes = new Bytes(TABLE_BYTES);
        private final Bytes authorBytes = new Bytes(TABLE_BYTES);
        private final Bytes flowBytes;
        private long sequenceBefore;
        private long secondBefore;
        private long revisionBefore;
        private long idHighBefore;
        private long idLowBefore;

        Encoder(final int flows, final List<FlowSide> newSides) {
            this.newSides = newSides;
            flowBytes = new Bytes(flows * FLOW_BYTES);
            text("");
            authors(List.of());
        }

        byte[] encode(final List<Flow> flows) {
            flows.forEach(this::flow);
            final Bytes block =
                    new Bytes(
                            TABLE_BYTES
                                    + textBytes.length
                                    + sideBytes.length
                                    + authorBytes.length
                                    + flowBytes.length);
            block.put(FORMAT);
            table(block, texts.size(), textBytes);
            table(block, sides.size(), sideBytes);
            table(block, authors.size(), authorBytes);
            table(block, flows.size(), flowBytes);
            return Arrays.copyOf(block.bytes, block.length);
        }

        private static void table(final Bytes block, final int count, final Bytes content) {
            block.unsigned(count);
            block.raw(content.bytes, content.length);
        }

        private int text(final String text) {
            final Integer known = texts.get(text);
            if (known != null) {
                return known;
            }
            final byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            textBytes.unsigned(utf8.length);
            textBytes.raw(utf8, utf8.length);
            texts.put(text, texts.size());
            return texts.size() - 1;
        }

        private void texts(final Bytes into, final List<String> list) {
            into.unsigned(list.size());
            for (final String text : list) {
                into.unsigned(text(text));
            }
        }

        private int side(final FlowSide side) {
            final Integer same = sameSides.get(side);
            if (same != null) {
                return same;
            }
            final int next = sides.size();
            final Integer equal = sides.putIfAbsent(side, next);
            if (equal == null) {
                write(side);
            }
            final int place = equal != null ? equal : next;
            sameSides.put(side, place);
            return place;
        }

        private void write(final FlowSide side) {
            newSides.add(side);
            sideBytes.unsigned(side.endpointId());
            sideBytes.signed(side.identity());
            sideBytes.unsigned(text(side.namespace()));
            sideBytes.unsigned(text(side.podName()));
            texts(sideBytes, side.labels());
            sideBytes.unsigned(text(side.address()));
            sideBytes.unsigned(text(side.mac()));
            texts(sideBytes, side.names());
        }

        private int authors(final List<PolicyAuthor> list) {
            final Integer same = sameAuthors.get(list);
            if (same != null) {
                return same;
            }
            final Integer equal = authors.get(list);
            final int place = equal != null ? equal : newAuthors(list);
            sameAuthors.put(list, place);
            return place;
        }

        private int newAuthors(final List<PolicyAuthor> list) {
            authorBytes.unsigned(list.size());
            for (final PolicyAuthor author : list) {
                authorBytes.unsigned(text(author.tier()));
                authorBytes.unsigned(text(author.kind()));
                authorBytes.unsigned(text(author.namespace()));
                authorBytes.unsigned(text(author.name()));
                authorBytes.signed(author.rule());
                authorBytes.unsigned(text(author.file()));
                authorBytes.unsigned(author.line());
                authorBytes.unsigned(text(author.sentence()));
            }
            authors.put(list, authors.size());
            return authors.size() - 1;
        }

        private void flow(final Flow flow) {
            flowBytes.signed(flow.sequence() - sequenceBefore);
            sequenceBefore = flow.sequence();
            final Instant time = flow.time();
            flowBytes.signed(time.getEpochSecond() - secondBefore);
            flowBytes.unsigned(time.getNano());
            secondBefore = time.getEpochSecond();
            id(flow.id());
            flowBytes.unsigned(text(flow.nodeName()));
            flowBytes.put(flow.kind().number());
            flowBytes.put(
                    flow.verdict().number()
                            | (flow.direction().number() << 4)
                            | (flow.reply() ? 1 << 6 : 0));
            flowBytes.unsigned(flow.dropReason());
            flowBytes.unsigned(text(flow.dropReasonName()));
            flowBytes.put(flow.ipVersion());
            flowBytes.put(flow.protocol());
            flowBytes.put(flow.tcpFlags());
            flowBytes.signed(flow.icmpType());
            flowBytes.signed(flow.icmpCode());
            flowBytes.unsigned(side(flow.source().side()));
            flowBytes.unsigned(flow.source().port());
            flowBytes.unsigned(side(flow.destination().side()));
            flowBytes.unsigned(flow.destination().port());
            flowBytes.signed(flow.policyRevision() - revisionBefore);
            revisionBefore = flow.policyRevision();
            flowBytes.unsigned(authors(flow.egressBy()));
            flowBytes.unsigned(authors(flow.ingressBy()));
            flowBytes.unsigned(flow.lengthBytes());
            if (flow.l7().isPresent()) {
                message(flow.l7().get());
            } else if (flow.totals().isPresent()) {
                totals(flow.totals().get(), time);
            } else {
                flowBytes.put(NO_L7);
            }
        }

        private void totals(final FlowTotals totals, final Instant time) {
            flowBytes.put(TOTALS);
            flowBytes.unsigned(totals.end().code());
            // Mostly shorter than times: a flow is told of soon after its end.
            flowBytes.signed(Duration.between(totals.lastSeen(), time).toNanos());
            flowBytes.signed(totals.duration().toNanos());
            flowBytes.unsigned(totals.initiatorPackets());
            flowBytes.unsigned(totals.initiatorBytes());
            flowBytes.unsigned(totals.responderPackets());
            flowBytes.unsigned(totals.responderBytes());
            flowBytes.unsigned(totals.cutReason());
            flowBytes.unsigned(text(totals.cutReasonName()));
        }

        /** A byte says what follows: nothing new but the number, all 16 bytes, or a text. */
        private void id(final FlowId id) {
            final String other = id.other();
            if (other != null) {
                flowBytes.put(2);
                flowBytes.unsigned(text(other));
                return;
            }
            if (id.high() == idHighBefore) {
                flowBytes.put(0);
                flowBytes.signed(id.low() - idLowBefore);
            } else {
                flowBytes.put(1);
                flowBytes.long64(id.high());
                flowBytes.long64(id.low());
            }
            idHighBefore = id.high();
            idLowBefore = id.low();
        }

        private void message(final L7Message message) {
            switch (message.content()) {
                case final L7Message.Http http -> {
                    begin(HTTP, message);
                    flowBytes.unsigned(text(http.protocol()));
                    flowBytes.unsigned(text(http.method()));
                    flowBytes.unsigned(text(http.url()));
                    flowBytes.unsigned(http.code());
                    flowBytes.unsigned(http.headers().size());
                    for (final L7Message.Header header : http.headers()) {
                        flowBytes.unsigned(text(header.key()));
                        flowBytes.unsigned(text(header.value()));
                    }
                }
                case final L7Message.Kafka kafka -> {
                    begin(KAFKA, message);
                    flowBytes.signed(kafka.errorCode());
                    flowBytes.signed(kafka.apiVersion());
                    flowBytes.unsigned(text(kafka.apiKey()));
                    flowBytes.signed(kafka.correlationId());
                    flowBytes.unsigned(text(kafka.topic()));
                }
                case final L7Message.Dns dns -> {
                    begin(DNS, message);
                    flowBytes.unsigned(text(dns.query()));
                    flowBytes.unsigned(text(dns.type()));
                    flowBytes.unsigned(dns.rcode());
                    texts(flowBytes, dns.addresses());
                    texts(flowBytes, dns.aliases());
                    flowBytes.signed(dns.ttlSeconds());
                }
                case final L7Message.Tls tls -> {
                    begin(TLS, message);
                    flowBytes.unsigned(text(tls.serverName()));
                }
            }
        }

        private void begin(final int kind, final L7Message message) {
            flowBytes.put(kind | (message.isRequest() ? 1 << 4 : 0));
            flowBytes.signed(message.latencyNs());
        }
    }

    /**
     * The flows of a block, in the order in which they were encoded.
     *
     * @throws FormatException when it is none of this format
     */
    static List<Flow> decode(final byte[] block) throws FormatException {
        return decode(block, List.of());
    }

    /**
     * The same, but only flows whose sides meet all conditions.
     *
     * @throws FormatException when it is none of this format
     */
    static List<Flow> decode(final byte[] block, final List<SideCondition> conditions)
            throws FormatException {
        try {
            return new Decoder(ByteBuffer.wrap(block)).decode(conditions);
        } catch (final BufferUnderflowException
                | IndexOutOfBoundsException
                | IllegalArgumentException
                | ArithmeticException
                | DateTimeException e) {
            final FormatException wrong = new FormatException("not the flows of a block: " + e);
            wrong.initCause(e);
            throw wrong;
        }
    }

    private static final class Decoder {
        private final ByteBuffer bytes;
        private List<String> texts = List.of();
        private List<FlowSide> sides = List.of();
        private List<List<PolicyAuthor>> authors = List.of();
        private long sequenceBefore;
        private long secondBefore;
        private long revisionBefore;
        private long idHighBefore;
        private long idLowBefore;
        private List<Wanted> wanted = List.of();

        /** Places in the table of sides that meet a condition. */
        private record Wanted(SideCondition.End end, BitSet sides) {
            boolean has(final int source, final int destination) {
                return switch (end) {
                    case SOURCE -> sides.get(source);
                    case DESTINATION -> sides.get(destination);
                    case EITHER -> sides.get(source) || sides.get(destination);
                };
            }
        }

        Decoder(final ByteBuffer bytes) {
            this.bytes = bytes;
        }

        private interface Entry<T> {
            T read() throws FormatException;
        }

        List<Flow> decode(final List<SideCondition> conditions) throws FormatException {
            final int format = bytes.get();
            if (format != FORMAT && format != FORMAT_WITHOUT_ENDS) {
                throw new FormatException("flows of format " + format);
            }
            texts = table(this::readText);
            sides = table(this::readSide);
            wanted = conditions.stream().map(this::wanted).toList();
            if (wanted.stream().anyMatch(condition -> condition.sides.isEmpty())) {
                return List.of();
            }
            authors = table(this::readAuthors);
            final int count = size();
            final List<Flow> flows = new ArrayList<>(wanted.isEmpty() ? count : 0);
            for (int i = 0; i < count; i++) {
                readFlow(flows);
            }
            return flows;
        }

        private Wanted wanted(final SideCondition condition) {
            final BitSet meeting = new BitSet(sides.size());
            for (int i = 0; i < sides.size(); i++) {
                meeting.set(i, condition.matches().test(new FlowPeer(sides.get(i), 0)));
            }
            return new Wanted(condition.end(), meeting);
        }

        private boolean isWanted(final int source, final int destination) {
            for (final Wanted condition : wanted) {
                if (!condition.has(source, destination)) {
                    return false;
                }
            }
            return true;
        }

        private <T> List<T> table(final Entry<T> entry) throws FormatException {
            final int count = size();
            final List<T> table = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                table.add(entry.read());
            }
            return table;
        }

        /** A number of entries, each of which takes a byte at least. */
        private int size() throws FormatException {
            final int count = unsigned();
            if (count < 0 || count > bytes.remaining()) {
                throw new FormatException(count + " entries in " + bytes.remaining() + " bytes");
            }
            return count;
        }

        private long long64() {
            long value = 0;
            int shift = 0;
            byte next;
            do {
                next = bytes.get();
                value |= (next & 0x7fL) << shift;
                shift += 7;
            } while (next < 0);
            return value;
        }

        private int unsigned() {
            return (int) long64();
        }

        private long signed() {
            final long value = long64();
            return (value >>> 1) ^ -(value & 1);
        }

        private String readText() throws FormatException {
            final int length = size();
            final String text =
                    new String(
                            bytes.array(),
                            bytes.arrayOffset() + bytes.position(),
                            length,
                            StandardCharsets.UTF_8);
            bytes.position(bytes.position() + length);
            return text;
        }

        private String text() {
            return texts.get(unsigned());
        }

        private List<String> textList() throws FormatException {
            return List.copyOf(table(this::text));
        }

        private FlowSide readSide() throws FormatException {
            return new FlowSide(
                    unsigned(),
                    (int) signed(),
                    text(),
                    text(),
                    textList(),
                    text(),
                    text(),
                    textList());
        }

        private List<PolicyAuthor> readAuthors() throws FormatException {
            return List.copyOf(
                    table(
                            () ->
                                    new PolicyAuthor(
                                            text(),
                                            text(),
                                            text(),
                                            text(),
                                            (int) signed(),
                                            text(),
                                            unsigned(),
                                            text())));
        }

        /** Reads the numbers of a flow, and makes a flow of them if it is wanted. */
        private void readFlow(final List<Flow> into) throws FormatException {
            sequenceBefore += signed();
            secondBefore += signed();
            final int nanos = unsigned();
            final FlowId id = readId();
            final String nodeName = text();
            final Flow.Kind kind = constant(KINDS, bytes.get() & 0xff);
            final int flags = bytes.get();
            final int dropReason = unsigned();
            final String dropReasonName = text();
            final int ipVersion = bytes.get();
            final int protocol = bytes.get() & 0xff;
            final int tcpFlags = bytes.get() & 0xff;
            final int icmpType = (int) signed();
            final int icmpCode = (int) signed();
            final int source = unsigned();
            final int sourcePort = unsigned();
            final int destination = unsigned();
            final int destinationPort = unsigned();
            revisionBefore += signed();
            final int egressBy = unsigned();
            final int ingressBy = unsigned();
            final int lengthBytes = unsigned();
            final int content = bytes.get();
            final Instant time = Instant.ofEpochSecond(secondBefore, nanos);
            final Optional<L7Message> message =
                    content == TOTALS ? Optional.empty() : message(content);
            final Optional<FlowTotals> totals =
                    content == TOTALS ? Optional.of(readTotals(time)) : Optional.empty();
            if (!isWanted(source, destination)) {
                return;
            }
            into.add(
                    new Flow(
                            sequenceBefore,
                            time,
                            id,
                            nodeName,
                            kind,
                            constant(VERDICTS, flags & 0xf),
                            dropReason,
                            dropReasonName,
                            ipVersion,
                            protocol,
                            tcpFlags,
                            icmpType,
                            icmpCode,
                            new FlowPeer(sides.get(source), sourcePort),
                            new FlowPeer(sides.get(destination), destinationPort),
                            constant(DIRECTIONS, (flags >> 4) & 3),
                            ((flags >> 6) & 1) != 0,
                            revisionBefore,
                            authors.get(egressBy),
                            authors.get(ingressBy),
                            lengthBytes,
                            message,
                            totals));
        }

        private FlowTotals readTotals(final Instant time) throws FormatException {
            final FlowEnd end = constant(ENDS, unsigned());
            final Instant lastSeen = time.minusNanos(signed());
            return new FlowTotals(
                    end,
                    lastSeen.minusNanos(signed()),
                    lastSeen,
                    long64(),
                    long64(),
                    long64(),
                    long64(),
                    unsigned(),
                    text());
        }

        private static <E> E constant(final Map<Integer, E> constants, final int number)
                throws FormatException {
            final E constant = constants.get(number);
            if (constant == null) {
                throw new FormatException("no constant of number " + number);
            }
            return constant;
        }

        private FlowId readId() {
            switch (bytes.get()) {
                case 0 -> idLowBefore += signed();
                case 2 -> {
                    return FlowId.of(text());
                }
                default -> {
                    idHighBefore = bytes.getLong();
                    idLowBefore = bytes.getLong();
                }
            }
            return new FlowId(idHighBefore, idLowBefore);
        }

        private Optional<L7Message> message(final int kind) throws FormatException {
            if (kind == NO_L7) {
                return Optional.empty();
            }
            final boolean isRequest = (kind & (1 << 4)) != 0;
            final long latencyNs = signed();
            return Optional.of(new L7Message(isRequest, latencyNs, content(kind & 0xf)));
        }

        private L7Message.Content content(final int kind) throws FormatException {
            return switch (kind) {
                case HTTP ->
                        new L7Message.Http(
                                text(),
                                text(),
                                text(),
                                unsigned(),
                                List.copyOf(table(() -> new L7Message.Header(text(), text()))));
                case KAFKA ->
                        new L7Message.Kafka(
                                (int) signed(), (int) signed(), text(), (int) signed(), text());
                case DNS ->
                        new L7Message.Dns(
                                text(), text(), unsigned(), textList(), textList(), (int) signed());
                case TLS -> new L7Message.Tls(text());
                default -> throw new FormatException("a message of kind " + kind);
            };
        }
    }
}
