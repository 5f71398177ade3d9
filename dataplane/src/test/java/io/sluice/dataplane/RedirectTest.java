package io.sluice.dataplane;

import static io.sluice.dataplane.Frames.ACK;
import static io.sluice.dataplane.Frames.RST;
import static io.sluice.dataplane.Frames.SYN;
import static io.sluice.dataplane.Frames.SYN_ACK;
import static io.sluice.dataplane.ProxyLegs.FIRST_LISTENER;
import static io.sluice.dataplane.ProxyLegs.LISTENERS;
import static io.sluice.dataplane.TestSwitch.A;
import static io.sluice.dataplane.TestSwitch.A6;
import static io.sluice.dataplane.TestSwitch.B;
import static io.sluice.dataplane.TestSwitch.B6;
import static io.sluice.dataplane.TestSwitch.OUTSIDER;
import static io.sluice.dataplane.TestSwitch.PROXY;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.Frames.Host;
import io.sluice.dataplane.port.MemoryPort;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What happens to flows that a proxy has to read, from frame to frame. */
class RedirectTest {
    private static final int CLIENT_PORT = 4000;
    private static final int SERVER_PORT = 80;

    private TestSwitch sluice = new TestSwitch();

    /** Lanes that share the flows, and of which any takes a packet. */
    int lanes() {
        return 1;
    }

    @BeforeEach
    void redirect() {
        sluice.close();
        sluice = new TestSwitch(4096, lanes());
        sluice.ingressOfBRedirects();
    }

    @AfterEach
    void everyPacketMetItsEnd() {
        sluice.close();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void allFourWaysOfAConnection(final boolean isIpv4) {
        final Host client = isIpv4 ? A : A6;
        final Host server = isIpv4 ? B : B6;
        sluice.fromA(tcp(client, CLIENT_PORT, server, SERVER_PORT, SYN));
        assertSent(
                sluice.proxy, PROXY.mac(), tcp(client, CLIENT_PORT, server, FIRST_LISTENER, SYN));

        sluice.fromProxy(tcp(server, FIRST_LISTENER, client, CLIENT_PORT, SYN_ACK));
        assertSent(sluice.a, A.mac(), tcp(server, SERVER_PORT, client, CLIENT_PORT, SYN_ACK));

        sluice.fromProxy(tcp(client, CLIENT_PORT, server, SERVER_PORT, SYN));
        assertSent(sluice.b, B.mac(), tcp(client, CLIENT_PORT, server, SERVER_PORT, SYN));

        sluice.fromB(tcp(server, SERVER_PORT, client, CLIENT_PORT, SYN_ACK));
        assertSent(
                sluice.proxy, PROXY.mac(), tcp(server, SERVER_PORT, client, CLIENT_PORT, SYN_ACK));

        assertThat(sluice.events).containsExactly("opened 256->257");
    }

    @Test
    void aClientBehindTheUplinkIsRedirectedAsWell() {
        sluice.fromUplink(tcp(OUTSIDER, CLIENT_PORT, B, SERVER_PORT, SYN));
        assertSent(sluice.proxy, PROXY.mac(), tcp(OUTSIDER, CLIENT_PORT, B, FIRST_LISTENER, SYN));

        sluice.fromProxy(tcp(B, FIRST_LISTENER, OUTSIDER, CLIENT_PORT, SYN_ACK));
        assertThat(sluice.sentTo(sluice.uplink)).hasSize(1);
    }

    @Test
    void theProxyFindsThePortThatTheClientMeans() {
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, SYN));

        assertThat(sluice.serverPortOf(CLIENT_PORT, FIRST_LISTENER)).isEqualTo(SERVER_PORT);
        assertThat(sluice.serverPortOf(CLIENT_PORT, FIRST_LISTENER + 1))
                .isEqualTo(ProxyLegs.NO_PORT);
        assertThat(sluice.serverPortOf(CLIENT_PORT + 1, FIRST_LISTENER))
                .isEqualTo(ProxyLegs.NO_PORT);
    }

    @Test
    void connectionsFromOnePortToSeveralOfAServerGetAListenerEach() {
        for (int i = 0; i < LISTENERS; i++) {
            sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT + i, SYN));
            assertSent(sluice.proxy, PROXY.mac(), tcp(A, CLIENT_PORT, B, FIRST_LISTENER + i, SYN));
        }
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT + LISTENERS, SYN));
        assertThat(sluice.sentTo(sluice.proxy)).isEmpty();
        assertThat(sluice.drops(DropReason.CT_MAP_INSERTION_FAILED)).isEqualTo(1);

        sluice.fromProxy(tcp(B, FIRST_LISTENER + 3, A, CLIENT_PORT, SYN_ACK));
        assertSent(sluice.a, A.mac(), tcp(B, SERVER_PORT + 3, A, CLIENT_PORT, SYN_ACK));
    }

    @Test
    void anotherConnectionFromTheSamePortGetsTheSameListener() {
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, SYN));
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, RST));
        sluice.sentTo(sluice.proxy);

        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, SYN));
        assertSent(sluice.proxy, PROXY.mac(), tcp(A, CLIENT_PORT, B, FIRST_LISTENER, SYN));
    }

    @Test
    void whatTheProxySendsOutsideOfAFlowGoesNowhere() {
        sluice.fromProxy(
                tcp(A, CLIENT_PORT, B, SERVER_PORT, SYN),
                tcp(B, FIRST_LISTENER, A, CLIENT_PORT, SYN_ACK),
                Frames.udp(A, CLIENT_PORT, B, 53, 20),
                Frames.echoRequest(A, B, 1, 64));

        assertThat(sluice.sentTo(sluice.a)).isEmpty();
        assertThat(sluice.sentTo(sluice.b)).isEmpty();
        assertThat(sluice.drops(DropReason.UNKNOWN_CONNECTION_TRACKING_STATE)).isEqualTo(4);
    }

    @Test
    void theProxyHasNoWordInAFlowThatWasNotSentToIt() {
        sluice.allowAll();
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, SYN));
        sluice.sentTo(sluice.b);

        sluice.fromProxy(tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK));
        assertThat(sluice.sentTo(sluice.b)).isEmpty();
    }

    @Test
    void aFlowStaysRedirectedWhenPolicyAsksNoMore() {
        open();
        sluice.allowAll();

        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK));
        assertSent(sluice.proxy, PROXY.mac(), tcp(A, CLIENT_PORT, B, FIRST_LISTENER, ACK));
        sluice.fromB(tcp(B, SERVER_PORT, A, CLIENT_PORT, ACK));
        assertSent(sluice.proxy, PROXY.mac(), tcp(B, SERVER_PORT, A, CLIENT_PORT, ACK));
    }

    @Test
    void aChangeOfPolicyCutsARedirectedFlowOnAllFourWaysAndOpensItAgain() {
        open();
        sluice.nobodyReachesB();
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK));
        sluice.fromB(tcp(B, SERVER_PORT, A, CLIENT_PORT, ACK));
        sluice.fromProxy(
                tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK),
                tcp(B, FIRST_LISTENER, A, CLIENT_PORT, ACK));
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(4);
        assertThat(sluice.sentTo(sluice.proxy)).isEmpty();

        sluice.allowAll();
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK));
        assertSent(sluice.proxy, PROXY.mac(), tcp(A, CLIENT_PORT, B, FIRST_LISTENER, ACK));
    }

    @Test
    void aFlowThatIsRedirectedInItsMiddleIsResetByTheProxysKernelOnBothSides() {
        sluice.allowAll();
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, SYN));
        sluice.fromB(tcp(B, SERVER_PORT, A, CLIENT_PORT, SYN_ACK));
        sluice.sentTo(sluice.a);
        sluice.sentTo(sluice.b);
        sluice.ingressOfBRedirects();

        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK));
        assertSent(sluice.proxy, PROXY.mac(), tcp(A, CLIENT_PORT, B, FIRST_LISTENER, ACK));
        sluice.fromProxy(tcp(B, FIRST_LISTENER, A, CLIENT_PORT, RST));
        assertSent(sluice.a, A.mac(), tcp(B, SERVER_PORT, A, CLIENT_PORT, RST));

        sluice.fromB(tcp(B, SERVER_PORT, A, CLIENT_PORT, ACK));
        assertSent(sluice.proxy, PROXY.mac(), tcp(B, SERVER_PORT, A, CLIENT_PORT, ACK));
        sluice.fromProxy(tcp(A, CLIENT_PORT, B, SERVER_PORT, RST));
        assertSent(sluice.b, B.mac(), tcp(A, CLIENT_PORT, B, SERVER_PORT, RST));
    }

    @Test
    void theLegLivesAsLongAsItsFlow() {
        open();
        for (int hour = 0; hour < 30; hour++) {
            sluice.nowNs += TimeUnit.HOURS.toNanos(1);
            sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK));
            sluice.fromProxy(tcp(B, FIRST_LISTENER, A, CLIENT_PORT, ACK));
            assertThat(sluice.sentTo(sluice.a)).as("hour " + hour).hasSize(1);
        }
        sluice.nowNs += TimeUnit.DAYS.toNanos(10);
        sluice.run();
        assertThat(sluice.serverPortOf(CLIENT_PORT, FIRST_LISTENER)).isEqualTo(ProxyLegs.NO_PORT);
    }

    @Test
    void onlyTheConnectionOfTheClientMovesTheFlow() {
        open();
        // The proxy's connection to the server ends; that of the client stays open.
        sluice.fromB(tcp(B, SERVER_PORT, A, CLIENT_PORT, RST));
        sluice.fromProxy(tcp(A, CLIENT_PORT, B, SERVER_PORT, RST));
        sluice.nowNs += TimeUnit.HOURS.toNanos(1);
        sluice.sentTo(sluice.proxy);

        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK));
        assertThat(sluice.sentTo(sluice.proxy)).hasSize(1);
        assertThat(sluice.events).containsExactly("opened 256->257");
    }

    @Test
    void anErrorAboutTheConnectionToTheServerReachesTheProxy() {
        open();
        final byte[] quoted = tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK);
        sluice.fromB(Frames.icmpError(B, A, 3, 1, quoted));
        assertThat(sluice.sentTo(sluice.proxy)).hasSize(1);
    }

    private void open() {
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, SYN));
        sluice.fromProxy(tcp(B, FIRST_LISTENER, A, CLIENT_PORT, SYN_ACK));
        sluice.fromA(tcp(A, CLIENT_PORT, B, SERVER_PORT, ACK));
        sluice.fromProxy(tcp(A, CLIENT_PORT, B, SERVER_PORT, SYN));
        sluice.fromB(tcp(B, SERVER_PORT, A, CLIENT_PORT, SYN_ACK));
        for (final MemoryPort port : List.of(sluice.a, sluice.b, sluice.proxy)) {
            assertThat(sluice.sentTo(port)).isNotEmpty();
        }
    }

    private static byte[] tcp(
            final Host from,
            final int source,
            final Host to,
            final int destination,
            final int flags) {
        return Frames.tcp(from, source, to, destination, flags, 0);
    }

    /**
     * One frame left by the port: to this MAC, and with this transport header, checksum included.
     */
    private void assertSent(final MemoryPort port, final long mac, final byte[] expected) {
        final List<byte[]> sent = sluice.sentTo(port);
        assertThat(sent).hasSize(1);
        final byte[] frame = sent.getFirst();
        assertThat(Frames.destinationMac(frame)).isEqualTo(mac);
        assertThat(upper(frame)).isEqualTo(upper(expected));
    }

    private static byte[] upper(final byte[] frame) {
        return Arrays.copyOfRange(frame, Frames.etherType(frame) == 0x0800 ? 34 : 54, frame.length);
    }
}
