package io.sluice.dataplane.table;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.table.PolicyMap.Interval;
import io.sluice.dataplane.table.PolicyMap.Program;
import io.sluice.dataplane.table.PolicyMap.ProtocolPorts;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PolicyMapTest {
    private static final int TCP = 6;
    private static final int UDP = 17;
    private static final long DENY = PolicyEntry.deny(133, 1);
    private static final long ALLOW = PolicyEntry.allow(2);

    @Test
    void answersAtBothEdgesOfAPortRange() {
        final PolicyMap map = mapOf(300, 8000, 8080);

        assertThat(map.lookup(300, TCP, 40_000, 7999)).isEqualTo(DENY);
        assertThat(map.lookup(300, TCP, 40_000, 8000)).isEqualTo(ALLOW);
        assertThat(map.lookup(300, TCP, 40_000, 8080)).isEqualTo(ALLOW);
        assertThat(map.lookup(300, TCP, 40_000, 8081)).isEqualTo(DENY);
        assertThat(map.lookup(300, TCP, 40_000, 0)).isEqualTo(DENY);
        assertThat(map.lookup(300, TCP, 40_000, 65_535)).isEqualTo(DENY);
    }

    @Test
    void sourcePortsTellPacketsToOnePortApart() {
        final PolicyMap map =
                new PolicyMap.Builder(DENY)
                        .program(
                                300,
                                new Program(
                                        DENY,
                                        List.of(
                                                new ProtocolPorts(
                                                        UDP,
                                                        List.of(
                                                                new Interval(0, DENY),
                                                                new Interval(80, DENY),
                                                                new Interval(80, 53, ALLOW),
                                                                new Interval(80, 54, DENY),
                                                                new Interval(90, DENY))))))
                        .build();

        for (int port = 79; port < 92; port++) {
            final boolean inside = port >= 80 && port < 90;
            assertThat(map.lookup(300, UDP, 52, port)).isEqualTo(DENY);
            assertThat(map.lookup(300, UDP, 53, port)).isEqualTo(inside ? ALLOW : DENY);
            assertThat(map.lookup(300, UDP, 54, port)).isEqualTo(DENY);
        }
    }

    @Test
    void answersForProtocolsThatAreNotListed() {
        assertThat(mapOf(300, 80, 80).lookup(300, UDP, 40_000, 80)).isEqualTo(DENY);
    }

    @Test
    void deniesAnIdentityItDoesNotKnow() {
        final PolicyMap map = mapOf(300, 80, 80);

        assertThat(PolicyEntry.reasonCode(map.lookup(301, TCP, 40_000, 80))).isEqualTo(171);
        assertThat(PolicyEntry.reasonCode(map.lookup(0, TCP, 40_000, 80))).isEqualTo(171);
    }

    @Test
    void aMapWithOtherProgramsAnswersThemAndTheFormerOneDoesNot() {
        final Random dice = new Random(20_261_127);
        final int[] ports = new int[300];
        final PolicyMap.Builder builder = new PolicyMap.Builder(DENY);
        for (int identity = 0; identity < 300; identity++) {
            ports[identity] = dice.nextInt(1, 50);
            builder.program(identity, program(ports[identity], ports[identity]));
        }
        PolicyMap map = builder.build();
        boolean worn = false;
        for (int round = 0; round < 200; round++) {
            final int[] before = ports.clone();
            final Map<Integer, Program> changes = new HashMap<>();
            for (int i = dice.nextInt(4); i >= 0; i--) {
                final int identity = dice.nextInt(300);
                final int port = dice.nextInt(1, 50);
                ports[identity] = port;
                changes.put(identity, program(port, port));
            }
            final PolicyMap next = map.with(changes);
            for (int identity = 0; identity < 300; identity++) {
                for (int port = 1; port < 50; port++) {
                    assertThat(next.lookup(identity, TCP, 40_000, port))
                            .isEqualTo(port == ports[identity] ? ALLOW : DENY);
                }
                assertThat(map.lookup(identity, TCP, 40_000, before[identity])).isEqualTo(ALLOW);
            }
            map.free();
            map = next;
            worn |= map.isWorn();
        }
        assertThat(worn).isTrue();
        assertThat(map.identityCount()).isEqualTo(300);
        map.free();
    }

    @Test
    void anIdentityWithoutAProgramGetsNoneByAChange() {
        final PolicyMap map = mapOf(300, 80, 80);
        final long bytes = PolicyMap.bytesOfAll();

        assertThatThrownBy(() -> map.with(Map.of(301, program(80, 80))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("identity 301 has no program");

        assertThat(PolicyMap.bytesOfAll()).isEqualTo(bytes);
    }

    @Test
    void storesEqualProgramsOnce() {
        final PolicyMap.Builder builder = new PolicyMap.Builder(DENY);
        for (int identity = 0; identity < 1000; identity++) {
            builder.program(identity, program(80 + identity % 2, 80 + identity % 2));
        }
        final PolicyMap map = builder.build();

        assertThat(map.identityCount()).isEqualTo(1000);
        assertThat(map.programCount()).isEqualTo(2);
        for (int identity = 0; identity < 1000; identity++) {
            assertThat(map.lookup(identity, TCP, 40_000, 80))
                    .isEqualTo(identity % 2 == 0 ? ALLOW : DENY);
        }
    }

    @Test
    void givesEveryoneTheSameAnswerWhereItIsAskedTo() {
        assertThat(PolicyMap.always(ALLOW).lookup(16_777_217, 47, 40_000, 0)).isEqualTo(ALLOW);
    }

    @Test
    void entriesKeepVerdictReasonAndRule() {
        final long entry = PolicyEntry.deny(303, 0x7fff_ffff);

        assertThat(PolicyEntry.allows(entry)).isFalse();
        assertThat(PolicyEntry.reasonCode(entry)).isEqualTo(303);
        assertThat(PolicyEntry.rule(entry)).isEqualTo(0x7fff_ffff);
        assertThat(PolicyEntry.allows(PolicyEntry.allow(5))).isTrue();
        assertThat(PolicyEntry.rule(PolicyEntry.allow(5))).isEqualTo(5);
    }

    @Test
    void refusesIntervalsThatLeavePortsOpenToInterpretation() {
        assertThatThrownBy(() -> new ProtocolPorts(TCP, List.of(new Interval(1, ALLOW))))
                .hasMessageContaining("from 0");
        assertThatThrownBy(
                        () ->
                                new ProtocolPorts(
                                        TCP,
                                        List.of(new Interval(0, ALLOW), new Interval(0, DENY))))
                .hasMessageContaining("ascend");
    }

    private static PolicyMap mapOf(final int identity, final int first, final int last) {
        return new PolicyMap.Builder(PolicyEntry.deny(171, 0))
                .program(identity, program(first, last))
                .build();
    }

    private static Program program(final int first, final int last) {
        return new Program(
                DENY,
                List.of(
                        new ProtocolPorts(
                                TCP,
                                List.of(
                                        new Interval(0, DENY),
                                        new Interval(first, ALLOW),
                                        new Interval(last + 1, DENY)))));
    }
}
