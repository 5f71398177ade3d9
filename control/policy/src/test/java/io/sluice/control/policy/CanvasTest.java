package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.Traffic.Box;
import io.sluice.control.policy.Traffic.Range;
import io.sluice.control.policy.VerdictProgram.Interval;
import io.sluice.control.policy.VerdictProgram.ProtocolProgram;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class CanvasTest {
    private static final PolicyEntry DENY = entry(0, PolicyEntry.Reason.POLICY_DENY);
    private static final PolicyEntry ALLOW = entry(1, PolicyEntry.Reason.NONE);
    private static final PolicyEntry END = entry(2, PolicyEntry.Reason.POLICY_DENIED);

    private static PolicyEntry entry(final int rule, final PolicyEntry.Reason reason) {
        final Author author =
                new Author(
                        Author.Origin.RULE,
                        "default",
                        "K",
                        "n",
                        "p" + rule,
                        rule,
                        "ingress",
                        "f",
                        1);
        return reason == PolicyEntry.Reason.NONE
                ? PolicyEntry.allow(author)
                : PolicyEntry.deny(reason, author);
    }

    private static final List<Box> EVERYTHING =
            List.of(new Box(Traffic.EVERY_PROTOCOL, Set.of(), Range.ALL, Range.ALL));

    private static List<Box> ports(final int protocol, final int from, final int to) {
        return List.of(new Box(protocol, Set.of(), Range.ALL, new Range(from, to)));
    }

    private static Interval interval(final int from, final int to, final PolicyEntry entry) {
        return new Interval(from, to, 0, 65535, entry);
    }

    @Test
    void theFirstColourStaysAndLaterOnesFillTheRest() {
        final Canvas canvas = new Canvas();
        canvas.decide(ports(IpProtocol.TCP, 80, 90), DENY);
        canvas.decide(ports(IpProtocol.TCP, 85, 100), ALLOW);
        final VerdictProgram program = canvas.finish(END);
        assertThat(program.protocols())
                .containsExactly(
                        new ProtocolProgram(
                                IpProtocol.TCP,
                                List.of(
                                        interval(0, 79, END),
                                        interval(80, 90, DENY),
                                        interval(91, 100, ALLOW),
                                        interval(101, 65535, END))));
        assertThat(program.otherProtocols()).isEqualTo(END);
    }

    @Test
    void aRuleAboutEverythingColoursProtocolsThatNoRuleNamedBefore() {
        final Canvas canvas = new Canvas();
        canvas.decide(EVERYTHING, ALLOW);
        canvas.decide(ports(IpProtocol.UDP, 53, 53), DENY);
        assertThat(canvas.finish(END)).isEqualTo(new VerdictProgram(List.of(), ALLOW));
    }

    @Test
    void neighboursThatSayTheSameAreOneInterval() {
        final Canvas canvas = new Canvas();
        canvas.decide(ports(IpProtocol.TCP, 0, 99), ALLOW);
        canvas.decide(ports(IpProtocol.TCP, 100, 65535), ALLOW);
        assertThat(canvas.finish(ALLOW)).isEqualTo(new VerdictProgram(List.of(), ALLOW));
    }

    @Test
    void aProgramSaysForEveryPacketWhatTheFirstMatchingRuleSays() {
        final Random random = new Random(7);
        for (int round = 0; round < 200; round++) {
            record Rule(int protocol, int from, int to, PolicyEntry entry) {}
            final List<Rule> rules = new ArrayList<>();
            final Canvas canvas = new Canvas();
            for (int i = 0; i < random.nextInt(8); i++) {
                final int protocol = random.nextInt(4);
                final int from = random.nextInt(40);
                final int to = random.nextBoolean() ? 65535 : from + random.nextInt(20);
                final PolicyEntry entry =
                        entry(
                                i,
                                random.nextBoolean()
                                        ? PolicyEntry.Reason.NONE
                                        : PolicyEntry.Reason.POLICY_DENY);
                rules.add(new Rule(protocol, from, to, entry));
                if (protocol == 0) {
                    canvas.decide(EVERYTHING, entry);
                } else {
                    canvas.decide(ports(protocol, from, to), entry);
                }
            }
            final VerdictProgram program = canvas.finish(END);
            for (int protocol = 1; protocol < 5; protocol++) {
                for (int port = 0; port < 70; port++) {
                    PolicyEntry expected = END;
                    for (final Rule rule : rules.reversed()) {
                        final boolean everything = rule.protocol == 0;
                        final boolean inRange = rule.from <= port && port <= rule.to;
                        if (everything || (rule.protocol == protocol && inRange)) {
                            expected = rule.entry;
                        }
                    }
                    assertThat(program.lookup(protocol, 1, port)).isEqualTo(expected);
                }
            }
        }
    }

    @Test
    void whatIsPassedSkipsTheEndOfItsTierAndIsBlankInTheNext() {
        final Canvas canvas = new Canvas();
        canvas.pass(ports(IpProtocol.TCP, 80, 80));
        canvas.decide(ports(IpProtocol.TCP, 80, 81), DENY);
        canvas.endTier(Optional.of(END));
        canvas.decide(EVERYTHING, ALLOW);
        final VerdictProgram program = canvas.finish(END);
        assertThat(program.lookup(IpProtocol.TCP, 1, 80)).isEqualTo(ALLOW);
        assertThat(program.lookup(IpProtocol.TCP, 1, 81)).isEqualTo(DENY);
        assertThat(program.lookup(IpProtocol.TCP, 1, 82)).isEqualTo(END);
        assertThat(program.otherProtocols()).isEqualTo(END);
    }

    @Test
    void aLogRuleDecidesNothingAndIsRememberedByTheDecision() {
        final Canvas canvas = new Canvas();
        canvas.decide(ports(IpProtocol.TCP, 80, 80), ALLOW);
        canvas.log(EVERYTHING, ALLOW.by());
        final VerdictProgram program = canvas.finish(END);
        assertThat(program.lookup(IpProtocol.TCP, 1, 80).logs()).isEmpty();
        assertThat(program.lookup(IpProtocol.TCP, 1, 81))
                .isEqualTo(END.withLogs(List.of(ALLOW.by())));
    }

    @Test
    void sourcePortsTellPacketsToTheSamePortApart() {
        final Canvas canvas = new Canvas();
        canvas.decide(
                List.of(new Box(IpProtocol.UDP, Set.of(), new Range(53, 53), new Range(1, 9))),
                ALLOW);
        final VerdictProgram program = canvas.finish(END);
        assertThat(program.lookup(IpProtocol.UDP, 53, 5)).isEqualTo(ALLOW);
        assertThat(program.lookup(IpProtocol.UDP, 52, 5)).isEqualTo(END);
        assertThat(program.lookup(IpProtocol.UDP, 54, 5)).isEqualTo(END);
        assertThat(program.lookup(IpProtocol.UDP, 53, 10)).isEqualTo(END);
    }

    @Test
    void everyProtocolButOneLeavesThatOneAlone() {
        final Canvas canvas = new Canvas();
        canvas.decide(
                List.of(
                        new Box(
                                Traffic.EVERY_PROTOCOL,
                                Set.of(IpProtocol.TCP),
                                Range.ALL,
                                Range.ALL)),
                ALLOW);
        final VerdictProgram program = canvas.finish(END);
        assertThat(program.otherProtocols()).isEqualTo(ALLOW);
        assertThat(program.lookup(IpProtocol.TCP, 1, 80)).isEqualTo(END);
    }
}
