package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.START_NS;
import static io.sluice.conntrack.Conversation.TCP;
import static io.sluice.conntrack.Conversation.UDP;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Later fragments find the ports of their first. */
final class FragmentTableTest {
    private final FragmentTable table = FragmentTable.open(9);

    @AfterEach
    void close() {
        table.close();
    }

    @Test
    void aLaterFragmentFindsThePortsOfItsFirst() {
        remember(100, 65_535, 53, START_NS);
        remember(101, 1, 2, START_NS);
        assertThat(find(100, START_NS)).isTrue();
        assertThat(table.sourcePort()).isEqualTo(65_535);
        assertThat(table.destinationPort()).isEqualTo(53);
        assertThat(find(101, START_NS)).isTrue();
        assertThat(table.sourcePort()).isEqualTo(1);
    }

    @Test
    void aFragmentWithoutItsFirstFindsNothing() {
        assertThat(find(100, START_NS)).isFalse();
        assertThat(table.find(0, 0, 0, 0, 0, 0, START_NS)).isFalse();
    }

    @Test
    void everyPartOfTheKeyCounts() {
        table.remember(1, 2, 3, 4, 5, UDP, 6, 7, START_NS);
        assertThat(table.find(1, 2, 3, 4, 5, UDP, START_NS)).isTrue();
        // There are 2048 sets: among 20,000 others of each kind some share the datagram's.
        for (int i = 10; i < 20_010; i++) {
            final boolean found =
                    table.find(i, 2, 3, 4, 5, UDP, START_NS)
                            || table.find(1, i, 3, 4, 5, UDP, START_NS)
                            || table.find(1, 2, i, 4, 5, UDP, START_NS)
                            || table.find(1, 2, 3, i, 5, UDP, START_NS)
                            || table.find(1, 2, 3, 4, i, UDP, START_NS);
            assertThat(found).isFalse();
        }
        assertThat(table.find(1, 2, 3, 4, 5, TCP, START_NS)).isFalse();
        assertThat(table.find(3, 4, 1, 2, 5, UDP, START_NS)).isFalse();
    }

    @Test
    void theAllOnesIdentificationOfIpv6IsOneLikeAnyOther() {
        table.remember(1, 2, 3, 4, -1, UDP, 6, 7, START_NS);
        assertThat(table.find(1, 2, 3, 4, -1, UDP, START_NS)).isTrue();
        assertThat(table.find(1, 2, 3, 4, 0xffff, UDP, START_NS)).isFalse();
    }

    @Test
    void portsAreValidForThirtySecondsFromTheFirstFragment() {
        remember(100, 1, 2, START_NS);
        assertThat(find(100, START_NS + FragmentTable.TIMEOUT_NS - 1)).isTrue();
        assertThat(find(100, START_NS + FragmentTable.TIMEOUT_NS)).isFalse();
    }

    @Test
    void theNextDatagramOfTheSameIdentificationReplacesTheLast() {
        remember(100, 1, 2, START_NS);
        remember(100, 3, 4, START_NS + FragmentTable.TIMEOUT_NS);
        assertThat(find(100, START_NS + FragmentTable.TIMEOUT_NS)).isTrue();
        assertThat(table.sourcePort()).isEqualTo(3);
    }

    @Test
    void underPressureTheOldestMakeWayAndTheNewestStay() {
        final int datagrams = 4 * FragmentTable.ENTRIES;
        for (int i = 0; i < datagrams; i++) {
            remember(i, i & 0xffff, 53, START_NS + i);
        }
        final long nowNs = START_NS + datagrams;
        int newest = 0;
        for (int i = datagrams - FragmentTable.ENTRIES / 8; i < datagrams; i++) {
            if (find(i, nowNs)) {
                assertThat(table.sourcePort()).isEqualTo(i & 0xffff);
                newest++;
            }
        }
        // Half an entry a set: more than four newer in one set happen to 2 in 1000.
        assertThat(newest).isGreaterThan(FragmentTable.ENTRIES / 8 * 99 / 100);
        int oldest = 0;
        for (int i = 0; i < FragmentTable.ENTRIES / 8; i++) {
            oldest += find(i, nowNs) ? 1 : 0;
        }
        assertThat(oldest).isZero();
    }

    private void remember(
            final int identification,
            final int sourcePort,
            final int destinationPort,
            final long nowNs) {
        table.remember(
                0,
                Tuple.mapped(0x0a000001),
                0,
                Tuple.mapped(0x0a000002),
                identification,
                UDP,
                sourcePort,
                destinationPort,
                nowNs);
    }

    private boolean find(final int identification, final long nowNs) {
        return table.find(
                0,
                Tuple.mapped(0x0a000001),
                0,
                Tuple.mapped(0x0a000002),
                identification,
                UDP,
                nowNs);
    }
}
