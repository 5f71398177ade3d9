package io.sluice.dnsproxy.wire;

import java.util.Arrays;
import java.util.function.Consumer;

/**
 * One DNS message, read in place.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>{@link #read} checks the whole message once; after {@link WireFault#NONE} no accessor can read
 * outside it, and after anything else none may be called. Nothing is copied: what is forwarded are
 * the bytes that came. The object is a cursor to be used again; the only thing it allocates is the
 * text of a name when asked for it.
 *
 * <p>It is stricter than most servers, for what it lets pass is read by a second reader, the
 * client's, and the two must not see different things:
 *
 * <ul>
 *   <li>exactly one question (RFC 9619), none of its octets compressed;
 *   <li>no octet after the last record, no record beyond the last octet;
 *   <li>a compression pointer leads to an earlier octet than every label and pointer of its name so
 *       far, which alone rules out loops; at most {@value #POINTERS_MAX} per name, which bounds the
 *       time for 64 KiB made of pointers;
 *   <li>the data of the types that are learned from, and of those that hold names, has exactly the
 *       fields of its type; data of other types is opaque (RFC 3597);
 *   <li>one OPT at most, where RFC 6891 wants it, its options whole.
 * </ul>
 *
 * <p>Not done: DNSSEC, TSIG, name services of other classes than IN.
 *
 * <p>Work is bounded by length: at most 5,957 records, each with names of at most 255 octets.
 *
 * <p>Thread: one owner; not shared.
 */
public final class DnsMessage {
    /** Record types by their numbers (IANA, "Resource Record (RR) TYPEs"). */
    public static final int A = 1;

    /** Authoritative server. */
    public static final int NS = 2;

    /** Alias. */
    public static final int CNAME = 5;

    /** Start of authority. */
    public static final int SOA = 6;

    /** Name of an address. */
    public static final int PTR = 12;

    /** Mail exchange. */
    public static final int MX = 15;

    /** IPv6 address. */
    public static final int AAAA = 28;

    /** Service. */
    public static final int SRV = 33;

    /** Alias of a subtree. */
    public static final int DNAME = 39;

    /** EDNS (RFC 6891). */
    public static final int OPT = 41;

    /** Service binding (RFC 9460). */
    public static final int SVCB = 64;

    /** Service binding of HTTPS (RFC 9460). */
    public static final int HTTPS = 65;

    /** Incremental zone transfer (RFC 1995). */
    public static final int IXFR = 251;

    /** Zone transfer (RFC 5936). */
    public static final int AXFR = 252;

    /** The Internet. */
    public static final int CLASS_IN = 1;

    /** Standard query. */
    public static final int OPCODE_QUERY = 0;

    /** RFC 1035 section 4.1.1. */
    public static final int HEADER_LENGTH = 12;

    /** What a length prefix over TCP can say. */
    public static final int LENGTH_MAX = 65535;

    /** RFC 1035 section 2.3.4: octets of a name, the root's included. */
    public static final int NAME_LENGTH_MAX = 255;

    /** A name has at most 127 labels; a pointer without a label in between is of no use. */
    public static final int POINTERS_MAX = 127;

    /** Root owner, type, class, TTL, length: no record is shorter. */
    private static final int RECORD_LENGTH_MIN = 11;

    /** Type, class, TTL and length. */
    private static final int FIXED_LENGTH = 10;

    private static final int SVCB_IPV4_HINT = 4;
    private static final int SVCB_IPV6_HINT = 6;

    private byte[] bytes = new byte[0];

    /** First octet of the message in {@link #bytes}; pointers count from here. */
    private int base;

    /** After the last octet. */
    private int end;

    private int questionEnd;
    private int records;

    /** Offset of the owner's name and of the fields after it, for each record. */
    private int[] owners = new int[16];

    private int[] fields = new int[16];

    /** Record number of the OPT, or -1. */
    private int opt;

    /** Where {@link #skipName} stopped. */
    private int at;

    /** The octets of the last name that was skipped, the root's included. */
    private int nameLength;

    private WireFault nameFault = WireFault.NONE;

    /**
     * Looks at a message.
     *
     * @param buffer holds it, and must not change while it is read
     * @param offset of its first octet
     * @param length octets
     * @return {@link WireFault#NONE}, or what is wrong first
     */
    public WireFault read(final byte[] buffer, final int offset, final int length) {
        bytes = buffer;
        base = offset;
        end = offset + length;
        records = 0;
        opt = -1;
        if (length < HEADER_LENGTH) {
            return WireFault.HEADER_SHORT;
        }
        if (length > LENGTH_MAX) {
            return WireFault.MESSAGE_LONG;
        }
        if (u16(base + 4) != 1) {
            return WireFault.QUESTION_COUNT;
        }
        final WireFault question = readQuestion();
        if (question != WireFault.NONE) {
            return question;
        }
        final int count = answerCount() + authorityCount() + additionalCount();
        if (count > (end - at) / RECORD_LENGTH_MIN) {
            return WireFault.COUNT_LIES;
        }
        if (count > owners.length) {
            owners = Arrays.copyOf(owners, count);
            fields = Arrays.copyOf(fields, count);
        }
        while (records < count) {
            final WireFault record = readRecord();
            if (record != WireFault.NONE) {
                return record;
            }
        }
        return at == end ? WireFault.NONE : WireFault.TRAILING_BYTES;
    }

    private WireFault readQuestion() {
        at = base + HEADER_LENGTH;
        if (!skipName(at)) {
            return nameFault;
        }
        if (end - at < 4) {
            return WireFault.TRUNCATED_RECORD;
        }
        at += 4;
        questionEnd = at;
        return WireFault.NONE;
    }

    private WireFault readRecord() {
        final int owner = at;
        if (!skipName(owner)) {
            return nameFault;
        }
        final int field = at;
        if (end - field < FIXED_LENGTH) {
            return WireFault.TRUNCATED_RECORD;
        }
        final int data = field + FIXED_LENGTH;
        final int dataLength = u16(field + 8);
        if (dataLength > end - data) {
            return WireFault.TRUNCATED_RECORD;
        }
        owners[records] = owner;
        fields[records] = field;
        final WireFault fault = checkData(u16(field), u16(field + 2), data, data + dataLength);
        if (fault != WireFault.NONE) {
            return fault;
        }
        records++;
        at = data + dataLength;
        return WireFault.NONE;
    }

    private WireFault checkData(
            final int type, final int recordClass, final int data, final int dataEnd) {
        if (type == OPT) {
            return checkOpt(data, dataEnd);
        }
        if (recordClass != CLASS_IN) {
            return WireFault.NONE;
        }
        return switch (type) {
            case A -> dataEnd - data == 4 ? WireFault.NONE : WireFault.RECORD_DATA;
            case AAAA -> dataEnd - data == 16 ? WireFault.NONE : WireFault.RECORD_DATA;
            case CNAME, NS, PTR, DNAME -> checkNames(data, 1, dataEnd);
            case MX -> checkNames(data + 2, 1, dataEnd);
            case SRV -> checkNames(data + 6, 1, dataEnd);
            case SOA -> checkNames(data, 2, dataEnd - 20);
            case SVCB, HTTPS -> checkServiceBinding(data, dataEnd);
            default -> WireFault.NONE;
        };
    }

    /** So many names from here on, and nothing up to there. */
    private WireFault checkNames(final int from, final int count, final int to) {
        at = from;
        for (int i = 0; i < count; i++) {
            if (at >= to) {
                return WireFault.RECORD_DATA;
            }
            if (!skipName(at)) {
                return nameFault;
            }
        }
        return at == to ? WireFault.NONE : WireFault.RECORD_DATA;
    }

    private WireFault checkServiceBinding(final int data, final int dataEnd) {
        at = data + 2;
        if (at >= dataEnd) {
            return WireFault.RECORD_DATA;
        }
        if (!skipName(at)) {
            return nameFault;
        }
        int parameter = at;
        int before = -1;
        while (parameter < dataEnd) {
            if (dataEnd - parameter < 4) {
                return WireFault.RECORD_DATA;
            }
            final int key = u16(parameter);
            final int length = u16(parameter + 2);
            // RFC 9460 section 2.2: in strictly increasing order; section 7.3: hints are not empty.
            if (key <= before || length > dataEnd - parameter - 4 || !isHintLength(key, length)) {
                return WireFault.RECORD_DATA;
            }
            before = key;
            parameter += 4 + length;
        }
        return parameter == dataEnd ? WireFault.NONE : WireFault.RECORD_DATA;
    }

    private static boolean isHintLength(final int key, final int length) {
        return switch (key) {
            case SVCB_IPV4_HINT -> length > 0 && length % 4 == 0;
            case SVCB_IPV6_HINT -> length > 0 && length % 16 == 0;
            default -> true;
        };
    }

    private WireFault checkOpt(final int data, final int dataEnd) {
        if (opt >= 0 || records < answerCount() + authorityCount() || bytes[owners[records]] != 0) {
            return WireFault.OPT_MISPLACED;
        }
        opt = records;
        int option = data;
        while (option < dataEnd) {
            if (dataEnd - option < 4 || u16(option + 2) > dataEnd - option - 4) {
                return WireFault.RECORD_DATA;
            }
            option += 4 + u16(option + 2);
        }
        return WireFault.NONE;
    }

    /** Sets {@link #at} after the name, or {@link #nameFault}. */
    private boolean skipName(final int name) {
        int i = name;
        int after = -1;
        int earliest = name;
        int pointers = 0;
        int length = 0;
        while (true) {
            if (i >= end) {
                return fault(WireFault.TRUNCATED_RECORD);
            }
            final int octet = bytes[i] & 0xff;
            if (octet == 0) {
                at = after < 0 ? i + 1 : after;
                nameLength = length + 1;
                return nameLength <= NAME_LENGTH_MAX || fault(WireFault.NAME_LONG);
            }
            switch (octet >>> 6) {
                case 0 -> {
                    length += octet + 1;
                    i += octet + 1;
                    if (length >= NAME_LENGTH_MAX) {
                        return fault(WireFault.NAME_LONG);
                    }
                }
                case 3 -> {
                    if (i + 1 >= end) {
                        return fault(WireFault.TRUNCATED_RECORD);
                    }
                    after = after < 0 ? i + 2 : after;
                    i = base + (u16(i) & 0x3fff);
                    if (i >= earliest || i < base + HEADER_LENGTH) {
                        return fault(WireFault.POINTER_FORWARD);
                    }
                    earliest = i;
                    if (++pointers > POINTERS_MAX) {
                        return fault(WireFault.POINTER_CHAIN);
                    }
                }
                default -> {
                    return fault(WireFault.LABEL_TYPE);
                }
            }
        }
    }

    private boolean fault(final WireFault fault) {
        nameFault = fault;
        return false;
    }

    private int u16(final int index) {
        return (bytes[index] & 0xff) << 8 | (bytes[index + 1] & 0xff);
    }

    private int u32(final int index) {
        return u16(index) << 16 | u16(index + 2);
    }

    // Header

    /** Message id, 0 to 65535. */
    public int id() {
        return u16(base);
    }

    /** QR: it answers. */
    public boolean isAnswer() {
        return (bytes[base + 2] & 0x80) != 0;
    }

    /** 0 to 15; {@link #OPCODE_QUERY} asks for records. */
    public int opcode() {
        return bytes[base + 2] >>> 3 & 0xf;
    }

    /** TC: more was to be said than fitted. */
    public boolean isTruncated() {
        return (bytes[base + 2] & 0x02) != 0;
    }

    /** RD: the server shall ask others. */
    public boolean isRecursionDesired() {
        return (bytes[base + 2] & 0x01) != 0;
    }

    /** Response code without EDNS' upper bits, 0 to 15. */
    public int rcode() {
        return bytes[base + 3] & 0xf;
    }

    /** Records of the answer section. */
    public int answerCount() {
        return u16(base + 6);
    }

    /** Records of the authority section. */
    public int authorityCount() {
        return u16(base + 8);
    }

    /** Records of the additional section, OPT included. */
    public int additionalCount() {
        return u16(base + 10);
    }

    // The bytes

    /** What {@link #read} was given. */
    public byte[] buffer() {
        return bytes;
    }

    /** Of the first octet in {@link #buffer}. */
    public int offset() {
        return base;
    }

    /** Octets. */
    public int length() {
        return end - base;
    }

    // Question

    /** Type asked for. */
    public int questionType() {
        return u16(questionEnd - 4);
    }

    /** Class asked for. */
    public int questionClass() {
        return u16(questionEnd - 2);
    }

    /** Octets of the question: name, type and class. */
    public int questionLength() {
        return questionEnd - base - HEADER_LENGTH;
    }

    /** A copy of the question's octets, case as it came. */
    public byte[] question() {
        return Arrays.copyOfRange(bytes, base + HEADER_LENGTH, questionEnd);
    }

    /** Whether the question is these octets, the case of letters included. */
    public boolean questionIs(final byte[] octets) {
        return Arrays.equals(bytes, base + HEADER_LENGTH, questionEnd, octets, 0, octets.length);
    }

    /** The name asked for, see {@link #name}. */
    public String questionName() {
        return name(base + HEADER_LENGTH);
    }

    /** Where the question's name is. */
    public int questionNameAt() {
        return base + HEADER_LENGTH;
    }

    // EDNS

    /** Whether an OPT record is there. */
    public boolean hasOpt() {
        return opt >= 0;
    }

    /** Octets that the sender takes over UDP: at least 512; 512 without OPT (RFC 6891). */
    public int udpLengthMax() {
        return opt < 0 ? 512 : Math.max(512, recordClass(opt));
    }

    /** Where in {@link #buffer} the OPT says {@link #udpLengthMax}; there must be one. */
    public int udpLengthMaxAt() {
        return fields[opt] + 2;
    }

    /** DO: DNSSEC records are wanted (RFC 3225). */
    public boolean isDnssecOk() {
        return opt >= 0 && (u16(fields[opt] + 6) & 0x8000) != 0;
    }

    // Records, numbered from 0 through answer, authority and additional section

    /** All records. */
    public int recordCount() {
        return records;
    }

    /** Where the owner's name is. */
    public int ownerAt(final int record) {
        return owners[record];
    }

    /** Type. */
    public int recordType(final int record) {
        return u16(fields[record]);
    }

    /** Class. */
    public int recordClass(final int record) {
        return u16(fields[record] + 2);
    }

    /** Seconds, 0 to 2^31-1; a set top bit counts as 0 (RFC 2181 section 8). */
    public int ttl(final int record) {
        return Math.max(0, u32(fields[record] + 4));
    }

    /** Where the data is. */
    public int dataAt(final int record) {
        return fields[record] + FIXED_LENGTH;
    }

    /** Octets of data. */
    public int dataLength(final int record) {
        return u16(fields[record] + 8);
    }

    /** Address of an A or AAAA record of class IN. */
    public Address address(final int record) {
        return addressAt(dataAt(record), dataLength(record));
    }

    private Address addressAt(final int index, final int length) {
        if (length == 4) {
            return Address.ofIpv4(u32(index));
        }
        return new Address(u64(index), u64(index + 8));
    }

    private long u64(final int index) {
        return (long) u32(index) << 32 | (u32(index + 4) & 0xffffffffL);
    }

    /** Where the target's name of an SVCB or HTTPS record is. */
    public int bindingTargetAt(final int record) {
        return dataAt(record) + 2;
    }

    /** Priority of an SVCB or HTTPS record; 0 is an alias. */
    public int bindingPriority(final int record) {
        return u16(dataAt(record));
    }

    /** Hands over the address hints of an SVCB or HTTPS record of class IN. */
    public void hints(final int record, final Consumer<Address> sink) {
        skipName(bindingTargetAt(record));
        final int dataEnd = dataAt(record) + dataLength(record);
        int parameter = at;
        while (parameter < dataEnd) {
            final int key = u16(parameter);
            final int length = u16(parameter + 2);
            final int step = key == SVCB_IPV4_HINT ? 4 : key == SVCB_IPV6_HINT ? 16 : 0;
            for (int i = 0; step > 0 && i < length; i += step) {
                sink.accept(addressAt(parameter + 4 + i, step));
            }
            parameter += 4 + length;
        }
    }

    // Names

    /** Whether two names of this message are the same but for the case of ASCII letters. */
    public boolean sameName(final int first, final int second) {
        int a = follow(first);
        int b = follow(second);
        while (a != b) {
            final int length = bytes[a];
            if (length != bytes[b]) {
                return false;
            }
            for (int i = 1; i <= length; i++) {
                if (lower(bytes[a + i]) != lower(bytes[b + i])) {
                    return false;
                }
            }
            if (length == 0) {
                return true;
            }
            a = follow(a + length + 1);
            b = follow(b + length + 1);
        }
        return true;
    }

    /** The next label from here, behind the pointers. */
    private int follow(final int index) {
        int i = index;
        while ((bytes[i] & 0xc0) == 0xc0) {
            i = base + (u16(i) & 0x3fff);
        }
        return i;
    }

    /**
     * A name as text: lower case, with the final dot; "." is the root. Octets that are not
     * printable ASCII, and dots and backslashes within a label, are escaped as in RFC 1035 section
     * 5.1, so that different names never have one text.
     */
    public String name(final int index) {
        final StringBuilder text = new StringBuilder(64);
        int i = follow(index);
        while (bytes[i] != 0) {
            final int labelEnd = i + bytes[i] + 1;
            for (int k = i + 1; k < labelEnd; k++) {
                appendEscaped(text, lower(bytes[k]) & 0xff);
            }
            text.append('.');
            i = follow(labelEnd);
        }
        return text.isEmpty() ? "." : text.toString();
    }

    private static void appendEscaped(final StringBuilder text, final int octet) {
        if (octet <= ' ' || octet >= 0x7f) {
            text.append('\\');
            text.append((char) ('0' + octet / 100));
            text.append((char) ('0' + octet / 10 % 10));
            text.append((char) ('0' + octet % 10));
            return;
        }
        if (octet == '.' || octet == '\\') {
            text.append('\\');
        }
        text.append((char) octet);
    }

    private static byte lower(final byte octet) {
        return octet >= 'A' && octet <= 'Z' ? (byte) (octet + ('a' - 'A')) : octet;
    }
}
