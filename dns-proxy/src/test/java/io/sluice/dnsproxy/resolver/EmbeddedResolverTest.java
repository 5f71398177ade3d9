package io.sluice.dnsproxy.resolver;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.sluice.dnsproxy.DnsClock;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.Section;
import org.xbill.DNS.Type;

/** The resolver between real parts: dig asks it, it asks dnsmasq or a server of the test's own. */
final class EmbeddedResolverTest {
    private static final InetAddress LOOPBACK = InetAddress.getLoopbackAddress();

    private final EventLoopGroup loops =
            new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    private final AtomicLong nowMs = new AtomicLong(1_000);
    private final List<AutoCloseable> open = new ArrayList<>();

    @BeforeEach
    void stopLoopsLast() {
        open.add(() -> loops.shutdownGracefully(0, 5, TimeUnit.SECONDS).syncUninterruptibly());
    }

    @AfterEach
    void close() throws Exception {
        for (final AutoCloseable one : open.reversed()) {
            one.close();
        }
    }

    private EmbeddedResolver resolver(final long timeoutMs, final InetSocketAddress... servers) {
        return new EmbeddedResolver(
                loops.next(),
                new ShopWorld(),
                "cluster.local",
                List.of(servers),
                new UpstreamLimits(timeoutMs, 3, 100),
                new DnsClock() {
                    @Override
                    public long monotonicMs() {
                        return nowMs.get();
                    }

                    @Override
                    public long epochMs() {
                        return nowMs.get();
                    }
                });
    }

    /** A server of the test's own on UDP and TCP of one port; what it answers is up to the test. */
    private interface Answering {
        byte[][] answers(byte[] query, boolean isTcp) throws Exception;
    }

    private InetSocketAddress serve(final Answering answering) throws IOException {
        final ServerSocket tcp = new ServerSocket(0, 50, LOOPBACK);
        final DatagramSocket udp = new DatagramSocket(tcp.getLocalPort(), LOOPBACK);
        open.add(tcp);
        open.add(udp);
        Thread.ofVirtual().start(() -> serveUdp(udp, answering));
        Thread.ofVirtual().start(() -> serveTcp(tcp, answering));
        return new InetSocketAddress(LOOPBACK, tcp.getLocalPort());
    }

    private static void serveUdp(final DatagramSocket udp, final Answering answering) {
        final byte[] buffer = new byte[65535];
        while (!udp.isClosed()) {
            try {
                final DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
                udp.receive(packet);
                final byte[] query = Arrays.copyOf(buffer, packet.getLength());
                for (final byte[] answer : answering.answers(query, false)) {
                    udp.send(new DatagramPacket(answer, answer.length, packet.getSocketAddress()));
                }
            } catch (final Exception closed) {
                return;
            }
        }
    }

    private static void serveTcp(final ServerSocket tcp, final Answering answering) {
        while (!tcp.isClosed()) {
            try (Socket client = tcp.accept();
                    DataInputStream in = new DataInputStream(client.getInputStream());
                    DataOutputStream out = new DataOutputStream(client.getOutputStream())) {
                final byte[] query = new byte[in.readUnsignedShort()];
                in.readFully(query);
                for (final byte[] answer : answering.answers(query, true)) {
                    out.writeShort(answer.length);
                    out.write(answer);
                }
                out.flush();
            } catch (final Exception closed) {
                // The next client may fare better; the loop ends with the socket.
            }
        }
    }

    /** The resolver on a port, for dig. */
    private InetSocketAddress serve(final EmbeddedResolver resolver) throws IOException {
        return serve(
                (query, isTcp) -> {
                    final BlockingQueue<byte[]> answers = new ArrayBlockingQueue<>(1);
                    resolver.answer(query, isTcp, answers::add);
                    final byte[] answer = answers.poll(20, TimeUnit.SECONDS);
                    return answer == null ? new byte[0][] : new byte[][] {answer};
                });
    }

    private static Message ask(final EmbeddedResolver resolver, final String name)
            throws Exception {
        final Message query =
                Message.newQuery(Record.newRecord(Name.fromString(name), Type.A, DClass.IN));
        final BlockingQueue<byte[]> answers = new ArrayBlockingQueue<>(1);
        resolver.answer(query.toWire(), false, answers::add);
        final byte[] answer = answers.poll(20, TimeUnit.SECONDS);
        assertThat(answer).isNotNull();
        final Message read = new Message(answer);
        assertThat(read.getHeader().getID()).isEqualTo(query.getHeader().getID());
        assertThat(read.getQuestion()).isEqualTo(query.getQuestion());
        return read;
    }

    private static byte[] answered(final byte[] query, final String address) throws IOException {
        final Message answer = new Message(query);
        answer.getHeader().setFlag(Flags.QR);
        answer.removeAllRecords(Section.ADDITIONAL);
        answer.addRecord(
                Record.fromString(
                        answer.getQuestion().getName(), Type.A, DClass.IN, 60, address, Name.root),
                Section.ANSWER);
        return answer.toWire();
    }

    private static byte[] coded(final byte[] query, final int rcode) throws IOException {
        final Message answer = new Message(query);
        answer.getHeader().setFlag(Flags.QR);
        answer.getHeader().setRcode(rcode);
        return answer.toWire();
    }

    private static String first(final Message answer) {
        return answer.getSection(Section.ANSWER).getFirst().rdataToString();
    }

    private static String run(final String... command) throws Exception {
        final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        final String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        process.waitFor();
        return output;
    }

    private static String dig(final InetSocketAddress server, final String... what)
            throws Exception {
        final List<String> command =
                new ArrayList<>(
                        List.of("dig", "@127.0.0.1", "-p", "" + server.getPort(), "+tries=1"));
        command.addAll(List.of(what));
        return run(command.toArray(String[]::new));
    }

    @Test
    void aRepeatedQuestionIsAnsweredFromTheCacheUntilItIsOver() throws Exception {
        final AtomicLong asked = new AtomicLong();
        final EmbeddedResolver resolver =
                resolver(
                        10_000,
                        serve(
                                (query, _) ->
                                        new byte[][] {
                                            answered(query, "192.0.2." + asked.incrementAndGet())
                                        }));
        assertThat(first(ask(resolver, "www.example.com."))).isEqualTo("192.0.2.1");
        nowMs.addAndGet(10_000);
        final Message kept = ask(resolver, "WWW.example.com.");
        assertThat(first(kept)).isEqualTo("192.0.2.1");
        assertThat(kept.getSection(Section.ANSWER).getFirst().getTTL()).isEqualTo(50);
        nowMs.addAndGet(50_000);
        assertThat(first(ask(resolver, "www.example.com."))).isEqualTo("192.0.2.2");
    }

    @Test
    void aForgedAnswerIsPassedOverAndTheRightOneTaken() throws Exception {
        final EmbeddedResolver resolver =
                resolver(
                        10_000,
                        serve(
                                (query, _) -> {
                                    final byte[] wrongId = answered(query, "203.0.113.1");
                                    wrongId[0] ^= 1;
                                    final byte[] wrongName = answered(query, "203.0.113.2");
                                    wrongName[13] ^= 1;
                                    return new byte[][] {
                                        wrongId,
                                        wrongName,
                                        new byte[5],
                                        query,
                                        answered(query, "192.0.2.1")
                                    };
                                }));
        assertThat(first(ask(resolver, "www.example.com."))).isEqualTo("192.0.2.1");
        assertThat(resolver.passedOver()).isEqualTo(4);
    }

    @Test
    void theNextServerIsAskedAfterSilenceFailureAndAClosedPort() throws Exception {
        final InetSocketAddress silent = serve((_, _) -> new byte[0][]);
        final InetSocketAddress failing =
                serve((query, _) -> new byte[][] {coded(query, Rcode.SERVFAIL)});
        final InetSocketAddress good =
                serve((query, _) -> new byte[][] {answered(query, "192.0.2.1")});
        final EmbeddedResolver resolver = resolver(300, silent, failing, good);
        for (int i = 0; i < 6; i++) {
            assertThat(first(ask(resolver, "n" + i + ".example.com."))).isEqualTo("192.0.2.1");
        }
        assertThat(resolver.timedOut()).isPositive();
        assertThat(ask(resolver(300, failing), "www.example.com.").getRcode())
                .isEqualTo(Rcode.SERVFAIL);
        assertThat(ask(resolver(100, silent), "www.example.com.").getRcode())
                .isEqualTo(Rcode.SERVFAIL);
        assertThat(ask(resolver(100), "www.example.com.").getRcode()).isEqualTo(Rcode.SERVFAIL);
    }

    @Test
    void aTruncatedAnswerIsAskedForAgainOverTcp() throws Exception {
        final EmbeddedResolver resolver =
                resolver(
                        10_000,
                        serve(
                                (query, isTcp) -> {
                                    final byte[] answer =
                                            answered(query, isTcp ? "192.0.2.1" : "203.0.113.1");
                                    answer[2] = (byte) (answer[2] | (isTcp ? 0 : 2));
                                    return new byte[][] {answer};
                                }));
        final Message answer = ask(resolver, "www.example.com.");
        assertThat(first(answer)).isEqualTo("192.0.2.1");
        assertThat(answer.getHeader().getFlag(Flags.TC)).isFalse();
        assertThat(resolver.overTcp()).isEqualTo(1);
    }

    /** Starts it and waits until it answers; empty if it ended. */
    private Optional<InetSocketAddress> dnsmasq() throws Exception {
        final int port;
        try (ServerSocket free = new ServerSocket(0, 1, LOOPBACK)) {
            port = free.getLocalPort();
        }
        final List<String> command =
                new ArrayList<>(
                        List.of(
                                "dnsmasq",
                                "--keep-in-foreground",
                                "--conf-file=/dev/null",
                                "--no-resolv",
                                "--no-hosts",
                                "--pid-file=",
                                "--user=root",
                                "--bind-interfaces",
                                "--listen-address=127.0.0.1",
                                "--local=/test/",
                                "--host-record=www.shop.test,192.0.2.80,2001:db8::80",
                                "--cname=alias.shop.test,www.shop.test",
                                "--port=" + port));
        for (int i = 0; i < 20; i++) {
            command.add("--txt-record=big.test," + "x".repeat(200) + i);
        }
        final Process dnsmasq = new ProcessBuilder(command).redirectErrorStream(true).start();
        open.add(
                () -> {
                    dnsmasq.destroy();
                    dnsmasq.waitFor();
                });
        final InetSocketAddress address = new InetSocketAddress(LOOPBACK, port);
        for (int i = 0; i < 200 && dnsmasq.isAlive(); i++) {
            if (dig(address, "+time=1", "x.test").contains("NXDOMAIN")) {
                return Optional.of(address);
            }
        }
        return Optional.empty();
    }

    @Test
    @Tag("netns")
    void digAndDnsmasqAgreeWithIt() throws Exception {
        // A port that was free may be somebody's by the time dnsmasq asks for it, for UDP or TCP:
        // then it ends at once.
        Optional<InetSocketAddress> started = Optional.empty();
        for (int i = 0; i < 10 && started.isEmpty(); i++) {
            started = dnsmasq();
        }
        final InetSocketAddress upstream = started.orElseThrow();
        final InetSocketAddress server = serve(resolver(5_000, upstream));

        assertThat(dig(server, "www.shop.test", "A", "+short")).isEqualTo("192.0.2.80\n");
        assertThat(dig(server, "alias.shop.test", "AAAA", "+short"))
                .isEqualTo("www.shop.test.\n2001:db8::80\n");
        assertThat(dig(server, "none.test")).contains("status: NXDOMAIN");
        // More than fits: truncated here, dig comes back over TCP, and so did we upstream.
        assertThat(dig(server, "big.test", "TXT", "+bufsize=4096", "+ignore"))
                .containsPattern("flags: [a-z ]*\\btc\\b");
        final String big = dig(server, "big.test", "TXT", "+short");
        assertThat(big.lines().filter(line -> line.contains("xxxx")).count()).isEqualTo(20);

        assertThat(dig(server, "web.shop.svc.cluster.local", "+short")).isEqualTo("10.96.0.20\n");
        assertThat(dig(server, "-x", "10.96.0.20", "+short"))
                .isEqualTo("web.shop.svc.cluster.local.\n");
        assertThat(dig(server, "_http._tcp.web.shop.svc.cluster.local", "SRV", "+short"))
                .isEqualTo("0 100 80 web.shop.svc.cluster.local.\n");
        // The search list of a pod, ndots and all: every ending but the last is NXDOMAIN.
        final String searched =
                dig(
                        server,
                        "+search",
                        "+ndots=5",
                        "+showsearch",
                        "+domain=shop.svc.cluster.local",
                        "www.shop.test");
        assertThat(searched).contains("NXDOMAIN", "SOA\tns.dns.cluster.local.", "192.0.2.80");
        assertThat(searched).doesNotContain("REFUSED", "SERVFAIL", "malformed");
        assertThat(dig(server, "+noedns", "db.shop.svc.cluster.local", "+short").lines().toList())
                .containsExactlyInAnyOrder("10.244.0.31", "10.244.0.32", "10.244.0.33");
        assertThat(dig(server, "+opcode=notify", "web.shop.svc.cluster.local"))
                .contains("status: NOTIMP");
    }
}
