package io.sluice.dnsproxy.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.xbill.DNS.DClass;
import org.xbill.DNS.EDNSOption;
import org.xbill.DNS.ExtendedErrorCodeOption;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.OPTRecord;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.Type;

/** Denials, read by another reader. */
final class DnsReplyTest {
    private static DnsMessage read(final byte[] octets) {
        final DnsMessage message = new DnsMessage();
        assertThat(message.read(octets, 0, octets.length)).isEqualTo(WireFault.NONE);
        return message;
    }

    private static Message query() throws IOException {
        final Message query =
                Message.newQuery(
                        Record.newRecord(
                                Name.fromString("wWw.eXample.com."), Type.AAAA, DClass.IN));
        query.getHeader().setFlag(Flags.CD);
        query.getHeader().setFlag(Flags.AD);
        return query;
    }

    @Test
    void echoesIdQuestionAndItsCase() throws IOException {
        final byte[] query = query().toWire();
        final byte[] reply = DnsReply.of(read(query), DnsReply.NXDOMAIN, DnsReply.ERROR_BLOCKED);
        final Message seen = new Message(reply);
        assertThat(reply).hasSameSizeAs(query);
        assertThat(Arrays.copyOfRange(reply, 12, reply.length))
                .isEqualTo(Arrays.copyOfRange(query, 12, query.length));
        assertThat(seen.getHeader().getID()).isEqualTo(new Message(query).getHeader().getID());
        assertThat(seen.getRcode()).isEqualTo(Rcode.NXDOMAIN);
        assertThat(seen.getHeader().getFlag(Flags.QR)).isTrue();
        assertThat(seen.getHeader().getFlag(Flags.RD)).isTrue();
        assertThat(seen.getHeader().getFlag(Flags.RA)).isTrue();
        assertThat(seen.getHeader().getFlag(Flags.CD)).isTrue();
        assertThat(seen.getHeader().getFlag(Flags.AD)).isFalse();
        assertThat(seen.getOPT()).isNull();
        assertThat(read(reply).isAnswer()).isTrue();
    }

    @Test
    void hasAnOptIfTheQueryHadOneAndSaysWhy() throws IOException {
        final Message query = query();
        query.addRecord(new OPTRecord(4096, 0, 0, Flags.DO), org.xbill.DNS.Section.ADDITIONAL);
        final byte[] reply =
                DnsReply.of(read(query.toWire()), DnsReply.REFUSED, DnsReply.ERROR_BLOCKED);
        final OPTRecord opt = new Message(reply).getOPT();
        assertThat(opt.getPayloadSize()).isEqualTo(DnsReply.UDP_LENGTH);
        assertThat(opt.getFlags()).isEqualTo(0x8000);
        assertThat(
                        ((ExtendedErrorCodeOption)
                                        opt.getOptions(EDNSOption.Code.EDNS_EXTENDED_ERROR).get(0))
                                .getErrorCode())
                .isEqualTo(DnsReply.ERROR_BLOCKED);
        assertThat(read(reply).isDnssecOk()).isTrue();
    }
}
