package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.ICMP;
import static io.sluice.conntrack.Conversation.ICMPV6;
import static io.sluice.conntrack.Conversation.SCTP;
import static io.sluice.conntrack.Conversation.TCP;
import static io.sluice.conntrack.Conversation.UDP;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Defaults, what each value governs, rejections. */
final class ConntrackConfigTest {
    private static final long MS = TimeUnit.MILLISECONDS.toNanos(1);

    @Test
    void theDefaultsAreThoseOfTheManualPage() {
        final long s = TimeUnit.SECONDS.toNanos(1);
        assertThat(ConntrackConfig.defaults())
                .isEqualTo(
                        new ConntrackConfig(
                                1_048_576, 262_144, 60 * s, 8000 * s, 240 * s, 10 * s, 30 * s,
                                120 * s, 180 * s, 30 * s, 60 * s, true, true));
    }

    @Test
    void eachTimeoutGovernsItsStates() {
        final ConntrackConfig config =
                config(64, MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS, 6 * MS, 7 * MS, 8 * MS, 9 * MS);
        assertThat(config.timeoutNs(TCP, FlowState.SYN_SENT)).isEqualTo(MS);
        assertThat(config.timeoutNs(TCP, FlowState.SYN_RECEIVED)).isEqualTo(MS);
        assertThat(config.timeoutNs(TCP, FlowState.PICKED_UP)).isEqualTo(MS);
        assertThat(config.timeoutNs(TCP, FlowState.ESTABLISHED)).isEqualTo(2 * MS);
        assertThat(config.timeoutNs(TCP, FlowState.FIN_WAIT)).isEqualTo(3 * MS);
        assertThat(config.timeoutNs(TCP, FlowState.CLOSE_WAIT)).isEqualTo(3 * MS);
        assertThat(config.timeoutNs(TCP, FlowState.CLOSING)).isEqualTo(4 * MS);
        assertThat(config.timeoutNs(TCP, FlowState.CLOSED)).isEqualTo(4 * MS);
        assertThat(config.timeoutNs(UDP, FlowState.UNREPLIED)).isEqualTo(5 * MS);
        assertThat(config.timeoutNs(UDP, FlowState.REPLIED)).isEqualTo(6 * MS);
        assertThat(config.timeoutNs(UDP, FlowState.STREAM)).isEqualTo(7 * MS);
        assertThat(config.timeoutNs(ICMP, FlowState.UNREPLIED)).isEqualTo(8 * MS);
        assertThat(config.timeoutNs(ICMPV6, FlowState.REPLIED)).isEqualTo(8 * MS);
        assertThat(config.timeoutNs(SCTP, FlowState.UNREPLIED)).isEqualTo(9 * MS);
        assertThat(config.timeoutNs(SCTP, FlowState.REPLIED)).isEqualTo(9 * MS);
    }

    @Test
    void everyValueOutOfItsRangeIsRefusedByName() {
        final String[] names = {
            "tcpSynTimeoutNs",
            "tcpEstablishedTimeoutNs",
            "tcpFinWaitTimeoutNs",
            "tcpClosingTimeoutNs",
            "udpUnrepliedTimeoutNs",
            "udpRepliedTimeoutNs",
            "udpStreamTimeoutNs",
            "icmpTimeoutNs",
            "otherTimeoutNs"
        };
        final long tooLong = TimeUnit.DAYS.toNanos(30) + 1;
        for (int i = 0; i < names.length; i++) {
            for (final long wrong : new long[] {0, MS - 1, -MS, tooLong}) {
                final long[] timeouts = new long[names.length];
                Arrays.fill(timeouts, MS);
                timeouts[i] = wrong;
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> config(64, timeouts))
                        .withMessage(
                                "conntrack "
                                        + names[i]
                                        + " "
                                        + wrong
                                        + ": accepted are 1000000 (1 ms) to 2592000000000000"
                                        + " (30 days)");
            }
        }
        for (final int wrong : new int[] {-1, 0, 63, (1 << 24) + 1}) {
            final long[] timeouts = new long[names.length];
            Arrays.fill(timeouts, MS);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> config(wrong, timeouts))
                    .withMessage(
                            "conntrack capacityFlows " + wrong + ": accepted are 64 to 16777216");
        }
    }

    static ConntrackConfig config(final int capacityFlows, final long... timeouts) {
        return new ConntrackConfig(
                capacityFlows,
                capacityFlows,
                timeouts[0],
                timeouts[1],
                timeouts[2],
                timeouts[3],
                timeouts[4],
                timeouts[5],
                timeouts[6],
                timeouts[7],
                timeouts[8],
                true,
                true);
    }
}
