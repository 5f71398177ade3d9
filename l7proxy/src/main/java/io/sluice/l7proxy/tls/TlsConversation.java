package io.sluice.l7proxy.tls;

import io.netty.buffer.ByteBuf;
import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.Tunnel;
import io.sluice.l7proxy.tls.ClientHelloReader.Progress;
import io.sluice.l7proxy.tls.ServerNameJudge.Inside;
import io.sluice.l7proxy.tls.TlsProtocol.Termination;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One TLS connection: its ClientHello is read and held, and the server name judged. Then everything
 * passes, the hello first and byte by byte as it came; or, with a {@link Termination}, the hello
 * begins a handshake with the proxy, and whoever reads what is inside takes over.
 *
 * <p>Denied: a fatal alert, and the end. The server is not even connected to. The alert is
 * unrecognized_name (RFC 6066, 3) for a name that is not allowed, access_denied if there is no
 * name, decode_error for what cannot be read; what is not TLS at all is reset. A handshake that
 * does not come in time ({@code headTimeout}) is reset, too.
 *
 * <p><i>What is inside</i> is agreed on with both ends alike (ALPN): something that the client
 * offers and the one who reads it speaks. If that leaves a choice, a server with TLS is asked
 * first, which makes this the one case where a server is connected to before a request is allowed;
 * one without TLS cannot be asked, and gets what the protocol says servers speak that do not say.
 *
 * <p>Open connections are judged again when the rules have changed, see {@link Tunnel}.
 *
 * <p>Thread: the link's event loop.
 */
final class TlsConversation implements Conversation {
    /** RFC 8446, 6. */
    private static final int ACCESS_DENIED = 49;

    private static final int DECODE_ERROR = 50;
    private static final int INTERNAL_ERROR = 80;
    private static final int UNRECOGNIZED_NAME = 112;

    /** Records may be small: at six bytes for one of the hello it has been read, too. */
    private static final int HELD_BYTES_MAX = 2 * ClientHelloReader.HELLO_BYTES_MAX;

    private final Link link;
    private final L7Sink sink;
    private final Optional<Termination> termination;
    private final ClientHelloReader hello = new ClientHelloReader();
    private @Nullable ByteBuf held;

    /** Bytes of {@code held} that the reader has seen. */
    private int taken;

    /** The server is being asked what it speaks. */
    private boolean isAsking;

    private boolean isOver;

    TlsConversation(final Link link, final L7Sink sink, final Optional<Termination> termination) {
        this.link = link;
        this.sink = sink;
        this.termination = termination;
    }

    @Override
    public void onClientBytes(final ByteBuf bytes) {
        if (isOver) {
            bytes.release();
            return;
        }
        if (held == null) {
            link.setDeadline(link.config().headTimeout().toNanos());
            held = bytes;
        } else {
            held.writeBytes(bytes);
            bytes.release();
        }
        if (!isAsking) {
            read(held);
        }
    }

    private void read(final ByteBuf all) {
        final int start = all.readerIndex();
        all.skipBytes(taken);
        final Progress progress = hello.read(all);
        taken = all.readerIndex() - start;
        all.readerIndex(start);
        switch (progress) {
            case MORE -> {
                if (taken > HELD_BYTES_MAX) {
                    refuse(TlsFault.HELLO_TOO_LARGE);
                }
            }
            case FAULT -> refuse(hello.fault());
            case COMPLETE -> judge(all);
        }
    }

    private void judge(final ByteBuf all) {
        link.clearDeadline();
        final String name = hello.serverName();
        final FlowRules rules = link.flow().policy().now();
        final Inside inside =
                termination.flatMap(Termination::inside).isPresent() ? Inside.SEEN : Inside.HIDDEN;
        final ServerNameJudge.Judgement judgement = ServerNameJudge.judge(rules, name, inside);
        final boolean isDenied = judgement.verdict() == Verdict.DENIED;
        if (isDenied || inside == Inside.HIDDEN) {
            report(judgement.verdict(), rules.revision(), judgement.by());
            link.counters().count(counter(judgement.verdict()));
        }
        if (isDenied) {
            end(name.isEmpty() ? ACCESS_DENIED : UNRECOGNIZED_NAME);
        } else if (termination.isPresent()) {
            terminate(termination.get(), rules.revision());
        } else {
            isOver = true;
            held = null;
            link.switchTo(tunnel(rules.revision()));
            link.toServer(all);
        }
    }

    private static ProxyCounter counter(final Verdict verdict) {
        return switch (verdict) {
            case FORWARDED -> ProxyCounter.REQUESTS_FORWARDED;
            case AUDITED -> ProxyCounter.REQUESTS_AUDITED;
            case DENIED -> ProxyCounter.REQUESTS_DENIED;
            case ERROR -> ProxyCounter.REQUESTS_MALFORMED;
        };
    }

    private Tunnel tunnel(final long revision) {
        final String name = hello.serverName();
        return new Tunnel(
                link,
                revision,
                changed ->
                        ServerNameJudge.judge(changed, name, Inside.HIDDEN).verdict()
                                != Verdict.DENIED);
    }

    private void terminate(final Termination asked, final long revision) {
        final Optional<TerminatingTls> client = asked.client().get();
        if (client.isEmpty()) {
            report(Verdict.ERROR, revision, "there are no keys to terminate TLS with");
            link.counters().count(ProxyCounter.CLIENT_TLS_FAILED);
            end(INTERNAL_ERROR);
            return;
        }
        final Optional<Protocol> inside = asked.inside();
        final List<String> spoken = spoken(inside);
        if (spoken.size() > 1 && link.isServerSecure()) {
            isAsking = true;
            link.askServer(
                    hello.serverName(),
                    spoken,
                    selected ->
                            secure(
                                    client.get(),
                                    inside,
                                    revision,
                                    selected.isEmpty() ? spoken.getLast() : selected));
        } else {
            secure(client.get(), inside, revision, spoken.isEmpty() ? "" : spoken.getLast());
        }
    }

    /** What both the client and the one who reads it can speak, best first. */
    private List<String> spoken(final Optional<Protocol> inside) {
        final List<String> spoken =
                new ArrayList<>(inside.map(Protocol::applicationProtocols).orElse(List.of()));
        spoken.retainAll(hello.applicationProtocols());
        return spoken;
    }

    private void secure(
            final TerminatingTls tls,
            final Optional<Protocol> inside,
            final long revision,
            final String applicationProtocol) {
        final ByteBuf all = held;
        if (all == null) {
            return;
        }
        isOver = true;
        held = null;
        link.agree(hello.serverName(), applicationProtocol);
        link.switchTo(inside.isPresent() ? inside.get().open(link) : tunnel(revision));
        link.secureClient(
                tls.layer(all.alloc(), applicationProtocol),
                all,
                failure -> report(Verdict.ERROR, revision, "no TLS with the client: " + failure));
    }

    private void report(final Verdict verdict, final long revision, final String by) {
        sink.report(
                new L7Event(
                        link.flow(),
                        L7Event.Type.REQUEST,
                        verdict,
                        revision,
                        by,
                        new L7Event.Tls(hello.serverName(), hello.isOuterName())));
    }

    private void refuse(final TlsFault fault) {
        link.counters().count(ProxyCounter.REQUESTS_MALFORMED);
        report(Verdict.ERROR, 0, fault.meaning());
        if (fault == TlsFault.NOT_TLS) {
            isOver = true;
            link.reset();
        } else {
            end(DECODE_ERROR);
        }
    }

    private void end(final int alert) {
        isOver = true;
        link.toClient(link.buffer(7).writeBytes(new byte[] {21, 3, 3, 0, 2, 2, (byte) alert}));
        link.finish();
    }

    @Override
    public void onServerBytes(final ByteBuf bytes) {
        bytes.release();
    }

    @Override
    public void onClientEnd() {
        link.finish();
    }

    @Override
    public void onServerEnd() {}

    @Override
    public void onConnectFailed() {}

    @Override
    public void onDeadline() {
        link.counters().count(ProxyCounter.REQUESTS_LATE);
        report(Verdict.ERROR, 0, "the ClientHello did not arrive in time");
        isOver = true;
        link.reset();
    }

    @Override
    public void onClientDrained() {}

    @Override
    public void onClosed() {
        if (held != null) {
            held.release();
            held = null;
        }
    }
}
