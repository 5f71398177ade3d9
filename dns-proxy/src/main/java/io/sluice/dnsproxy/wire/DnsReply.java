package io.sluice.dnsproxy.wire;

import java.util.Arrays;

/**
 * Answers without records, made from the query that they answer: its id, opcode, RD and CD, its
 * question octet by octet (the case of letters is part of what a resolver checks), and an OPT if it
 * had one, because RFC 6891 section 7 forbids to leave it out.
 *
 * <p>Any thread: it holds nothing.
 */
public final class DnsReply {
    /** Nothing went wrong. */
    public static final int NOERROR = 0;

    /** The server could not. */
    public static final int SERVFAIL = 2;

    /** There is no such name. */
    public static final int NXDOMAIN = 3;

    /** The server does not do that. */
    public static final int NOTIMP = 4;

    /** The server will not. */
    public static final int REFUSED = 5;

    /** RFC 8914, "Blocked": by a policy of whoever runs this. */
    public static final int ERROR_BLOCKED = 15;

    /** RFC 8914, "Not Ready". */
    public static final int ERROR_NOT_READY = 14;

    /** RFC 8914 has no 65535; it stands for no option. */
    public static final int ERROR_NONE = 0xffff;

    /**
     * What we take over UDP, as the DNS flag day of 2020 recommends: it fits every path
     * unfragmented.
     */
    public static final int UDP_LENGTH = 1232;

    private static final int OPT_LENGTH = 11;
    private static final int OPTION_LENGTH = 6;
    private static final int OPTION_EXTENDED_ERROR = 15;

    private DnsReply() {}

    /**
     * An answer without records.
     *
     * @param query read without a fault
     * @param rcode 0 to 15
     * @param extendedError info code of RFC 8914 to go into the OPT, or {@link #ERROR_NONE}
     */
    public static byte[] of(final DnsMessage query, final int rcode, final int extendedError) {
        final int question = DnsMessage.HEADER_LENGTH + query.questionLength();
        final int option = extendedError == ERROR_NONE ? 0 : OPTION_LENGTH;
        final byte[] reply =
                Arrays.copyOfRange(
                        query.buffer(),
                        query.offset(),
                        query.offset() + question + (query.hasOpt() ? OPT_LENGTH + option : 0));
        // QR on; AA and TC off; opcode and RD stay.
        reply[2] = (byte) ((reply[2] & 0x79) | 0x80);
        // RA on, CD stays.
        reply[3] = (byte) ((reply[3] & 0x10) | 0x80 | rcode);
        Arrays.fill(reply, 6, DnsMessage.HEADER_LENGTH, (byte) 0);
        if (query.hasOpt()) {
            reply[11] = 1;
            int i = question;
            reply[i++] = 0;
            i = put(reply, i, DnsMessage.OPT);
            i = put(reply, i, UDP_LENGTH);
            i = put(reply, i, 0);
            i = put(reply, i, query.isDnssecOk() ? 0x8000 : 0);
            i = put(reply, i, option);
            if (option > 0) {
                i = put(reply, i, OPTION_EXTENDED_ERROR);
                i = put(reply, i, 2);
                put(reply, i, extendedError);
            }
        }
        return reply;
    }

    private static int put(final byte[] bytes, final int index, final int value) {
        bytes[index] = (byte) (value >>> 8);
        bytes[index + 1] = (byte) value;
        return index + 2;
    }
}
