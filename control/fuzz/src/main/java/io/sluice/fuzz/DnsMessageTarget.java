package io.sluice.fuzz;

import io.sluice.dnsproxy.wire.Address;
import io.sluice.dnsproxy.wire.DnsMessage;
import io.sluice.dnsproxy.wire.DnsReply;
import io.sluice.dnsproxy.wire.WireFault;
import java.util.Arrays;

/**
 * DNS messages. What reads without a fault can be asked for everything; read from the middle of
 * another buffer it is the same; what is answered to it reads without a fault.
 */
public final class DnsMessageTarget {
    /** Text of a name: 255 octets, each at most four characters. */
    private static final int NAME_TEXT_MAX = 4 * DnsMessage.NAME_LENGTH_MAX;

    private DnsMessageTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        final DnsMessage message = new DnsMessage();
        final WireFault fault = message.read(input, 0, input.length);
        final byte[] around = new byte[input.length + 64];
        Arrays.fill(around, (byte) 0xc0);
        System.arraycopy(input, 0, around, 32, input.length);
        final DnsMessage moved = new DnsMessage();
        Promise.holds(moved.read(around, 32, input.length) == fault, "reads alike anywhere", fault);
        if (fault != WireFault.NONE) {
            return;
        }
        final String name = message.questionName();
        Promise.holds(name.endsWith(".") && name.length() <= NAME_TEXT_MAX, "is a name", name);
        Promise.holds(moved.questionName().equals(name), "is the same name", name);
        Promise.holds(message.questionIs(moved.question()), "is the same question", name);
        for (int record = 0; record < message.recordCount(); record++) {
            record(message, moved, record);
        }
        reply(message);
    }

    private static void record(final DnsMessage message, final DnsMessage moved, final int record) {
        final String owner = message.name(message.ownerAt(record));
        Promise.holds(owner.equals(moved.name(moved.ownerAt(record))), "has one owner", owner);
        Promise.holds(
                message.sameName(message.ownerAt(record), message.questionNameAt())
                        == owner.equals(message.questionName()),
                "compares as its text does",
                owner);
        Promise.holds(message.ttl(record) >= 0, "has time", message.ttl(record));
        if (message.recordClass(record) != DnsMessage.CLASS_IN) {
            return;
        }
        switch (message.recordType(record)) {
            case DnsMessage.A, DnsMessage.AAAA -> address(message.address(record));
            case DnsMessage.CNAME -> message.name(message.dataAt(record));
            case DnsMessage.SVCB, DnsMessage.HTTPS -> {
                message.name(message.bindingTargetAt(record));
                message.hints(record, DnsMessageTarget::address);
            }
            default -> {
                // Opaque.
            }
        }
    }

    private static void address(final Address address) {
        Promise.holds(Address.parse(address.toString()).equals(address), "prints itself", address);
    }

    private static void reply(final DnsMessage message) {
        final byte[] octets = DnsReply.of(message, DnsReply.REFUSED, DnsReply.ERROR_BLOCKED);
        final DnsMessage reply = new DnsMessage();
        Promise.holds(
                reply.read(octets, 0, octets.length) == WireFault.NONE, "is answered well", "");
        Promise.holds(reply.id() == message.id(), "keeps its id", message.id());
        Promise.holds(reply.questionIs(message.question()), "keeps its question", "");
        Promise.holds(reply.hasOpt() == message.hasOpt(), "keeps EDNS", "");
    }
}
