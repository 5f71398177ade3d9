package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.VerdictProgram.Interval;
import io.sluice.control.policy.VerdictProgram.ProtocolProgram;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class ProgramPainterTest {
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

    @Test
    void theFirstColourStaysAndLaterOnesFillTheRest() {
        final ProgramPainter painter = new ProgramPainter();
        painter.paint(IpProtocol.TCP, 80, 90, DENY);
        painter.paint(IpProtocol.TCP, 85, 100, ALLOW);
        final VerdictProgram program = painter.finish(END);
        assertThat(program.protocols())
                .containsExactly(
                        new ProtocolProgram(
                                IpProtocol.TCP,
                                List.of(
                                        new Interval(0, 79, END),
                                        new Interval(80, 90, DENY),
                                        new Interval(91, 100, ALLOW),
                                        new Interval(101, 65535, END))));
        assertThat(program.otherProtocols()).isEqualTo(END);
    }

    @Test
    void aRuleAboutEverythingColoursProtocolsThatNoRuleNamedBefore() {
        final ProgramPainter painter = new ProgramPainter();
        painter.paintAll(ALLOW);
        painter.paint(IpProtocol.UDP, 53, 53, DENY);
        assertThat(painter.finish(END)).isEqualTo(new VerdictProgram(List.of(), ALLOW));
    }

    @Test
    void neighboursThatSayTheSameAreOneInterval() {
        final ProgramPainter painter = new ProgramPainter();
        painter.paint(IpProtocol.TCP, 0, 99, ALLOW);
        painter.paint(IpProtocol.TCP, 100, 65535, ALLOW);
        assertThat(painter.finish(ALLOW)).isEqualTo(new VerdictProgram(List.of(), ALLOW));
    }

    @Test
    void aProgramSaysForEveryPacketWhatTheFirstMatchingRuleSays() {
        final Random random = new Random(7);
        for (int round = 0; round < 200; round++) {
            record Rule(int protocol, int from, int to, PolicyEntry entry) {}
            final List<Rule> rules = new ArrayList<>();
            final ProgramPainter painter = new ProgramPainter();
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
                    painter.paintAll(entry);
                } else {
                    painter.paint(protocol, from, to, entry);
                }
            }
            final VerdictProgram program = painter.finish(END);
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
                    assertThat(program.lookup(protocol, port)).isEqualTo(expected);
                }
            }
        }
    }
}
