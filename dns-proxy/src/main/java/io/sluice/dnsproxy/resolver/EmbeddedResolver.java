package io.sluice.dnsproxy.resolver;

import io.netty.channel.EventLoop;
import io.sluice.dnsproxy.DnsClock;
import io.sluice.dnsproxy.wire.DnsMessage;
import io.sluice.dnsproxy.wire.DnsReply;
import io.sluice.dnsproxy.wire.WireFault;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.OPTRecord;
import org.xbill.DNS.Record;
import org.xbill.DNS.Section;

/**
 * Plays {@code kube-system/kube-dns}: answers names of the cluster, asks upstream servers for the
 * rest.
 *
 * <h2>Theory of operation</h2>
 *
 * <pre>
 *   query -> read -> {@link ClusterNames} -> {@link AnswerCache} -> {@link Upstreams} -> answer, cut to what the client takes
 * </pre>
 *
 * <p>It has no address and no port: whoever does hands in messages, and a place for the one answer.
 * Names of the cluster, also those that do not exist, never go upstream.
 *
 * <p>The answer has the query's id, and the question octet by octet. EDNS ends here and begins anew
 * on the other side (RFC 6891 section 6): options are not passed on. Over UDP an answer is cut to
 * the lesser of what the query's OPT says (512 without) and {@value DnsReply#UDP_LENGTH}, with TC
 * set.
 *
 * <p>Without an answer from any upstream: SERVFAIL. What cannot be read has no answer, and is
 * counted. Classes other than IN, and opcodes other than QUERY: NOTIMP.
 *
 * <p>Thread: {@link #answer} from any; everything else on the one event loop.
 */
public final class EmbeddedResolver {
    private final EventLoop loop;
    private final ClusterNames names;
    private final AnswerCache cache = new AnswerCache();
    private final Upstreams upstreams;
    private final DnsClock clock;
    private final LongAdder malformed = new LongAdder();

    /**
     * A resolver.
     *
     * @param loop Netty's, the caller's to stop; of NIO
     * @param domain {@code cluster.local}
     * @param servers upstream, in order; none: only names of the cluster are answered
     */
    public EmbeddedResolver(
            final EventLoop loop,
            final ClusterWorld world,
            final String domain,
            final List<InetSocketAddress> servers,
            final UpstreamLimits limits,
            final DnsClock clock) {
        this.loop = loop;
        this.names = new ClusterNames(world, domain);
        this.upstreams = new Upstreams(loop, servers, limits);
        this.clock = clock;
    }

    /**
     * Answers a query, now or later.
     *
     * @param query its octets, not to be changed any more
     * @param isTcp whether the answer may have 65,535 octets
     * @param done gets the answer, on the event loop; not called for what cannot be read
     */
    public void answer(final byte[] query, final boolean isTcp, final Consumer<byte[]> done) {
        if (loop.inEventLoop()) {
            onQuery(query, isTcp, done);
        } else {
            loop.execute(() -> onQuery(query, isTcp, done));
        }
    }

    private void onQuery(final byte[] octets, final boolean isTcp, final Consumer<byte[]> done) {
        final DnsMessage read = new DnsMessage();
        final boolean isReadable = read.read(octets, 0, octets.length) == WireFault.NONE;
        final Message query = isReadable && !read.isAnswer() ? parsed(octets) : null;
        if (query == null) {
            malformed.increment();
            return;
        }
        if (read.opcode() != DnsMessage.OPCODE_QUERY || read.questionClass() != DClass.IN) {
            done.accept(DnsReply.of(read, DnsReply.NOTIMP, DnsReply.ERROR_NONE));
            return;
        }
        final Consumer<@Nullable Message> finish =
                found ->
                        done.accept(
                                found == null
                                        ? DnsReply.of(read, DnsReply.SERVFAIL, DnsReply.ERROR_NONE)
                                        : reply(read, query, found, isTcp));
        final Message own = names.answer(query);
        if (own != null) {
            finish.accept(own);
            return;
        }
        forward(read, query.getQuestion(), finish);
    }

    private void forward(
            final DnsMessage read,
            final Record question,
            final Consumer<@Nullable Message> finish) {
        final boolean isCheckingDisabled = (read.buffer()[read.offset() + 3] & 0x10) != 0;
        final AnswerCache.Key key =
                new AnswerCache.Key(
                        question.getName(),
                        question.getType(),
                        read.isDnssecOk(),
                        isCheckingDisabled);
        final Message kept = cache.get(key, clock.monotonicMs());
        if (kept != null) {
            finish.accept(kept);
            return;
        }
        upstreams.ask(
                question,
                read.isDnssecOk(),
                isCheckingDisabled,
                answer -> {
                    if (answer != null) {
                        cache.put(key, answer, clock.monotonicMs());
                    }
                    finish.accept(answer);
                });
    }

    /** The found records as an answer to this query. */
    private static byte[] reply(
            final DnsMessage read, final Message query, final Message found, final boolean isTcp) {
        final Message reply = new Message(read.id());
        reply.getHeader().setFlag(Flags.QR);
        reply.getHeader().setFlag(Flags.RA);
        for (final int flag : new int[] {Flags.AA, Flags.AD}) {
            if (found.getHeader().getFlag(flag)) {
                reply.getHeader().setFlag(flag);
            }
        }
        for (final int flag : new int[] {Flags.RD, Flags.CD}) {
            if (query.getHeader().getFlag(flag)) {
                reply.getHeader().setFlag(flag);
            }
        }
        reply.getHeader().setRcode(found.getHeader().getRcode());
        reply.addRecord(query.getQuestion(), Section.QUESTION);
        for (int section = Section.ANSWER; section <= Section.ADDITIONAL; section++) {
            for (final Record record : found.getSection(section)) {
                if (!(record instanceof OPTRecord)) {
                    reply.addRecord(record, section);
                }
            }
        }
        if (read.hasOpt()) {
            reply.addRecord(
                    new OPTRecord(DnsReply.UDP_LENGTH, 0, 0, read.isDnssecOk() ? 0x8000 : 0),
                    Section.ADDITIONAL);
        }
        return reply.toWire(
                isTcp ? DnsMessage.LENGTH_MAX : Math.min(read.udpLengthMax(), DnsReply.UDP_LENGTH));
    }

    /** Read by the library, or null if it cannot. */
    static @Nullable Message parsed(final byte[] octets) {
        try {
            return new Message(octets);
        } catch (final IOException | IllegalArgumentException unreadable) {
            return null;
        }
    }

    /** Queries that could not be read, since the start. Any thread. */
    public long malformed() {
        return malformed.sum();
    }

    /**
     * Messages from upstream that were no answer to what was asked, since the start. Any thread.
     */
    public long passedOver() {
        return upstreams.passedOver();
    }

    /** Upstream attempts without an answer in time, since the start. Any thread. */
    public long timedOut() {
        return upstreams.timedOut();
    }

    /** Upstream queries repeated over TCP, since the start. Any thread. */
    public long overTcp() {
        return upstreams.overTcp();
    }

    /** Queries for which too many were under way, since the start. Any thread. */
    public long refusedForRoom() {
        return upstreams.refusedForRoom();
    }
}
