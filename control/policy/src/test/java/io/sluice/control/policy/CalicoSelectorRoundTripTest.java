package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.CalicoSelector.All;
import io.sluice.control.policy.CalicoSelector.And;
import io.sluice.control.policy.CalicoSelector.Compare;
import io.sluice.control.policy.CalicoSelector.Comparison;
import io.sluice.control.policy.CalicoSelector.Expression;
import io.sluice.control.policy.CalicoSelector.Global;
import io.sluice.control.policy.CalicoSelector.Has;
import io.sluice.control.policy.CalicoSelector.In;
import io.sluice.control.policy.CalicoSelector.Not;
import io.sluice.control.policy.CalicoSelector.NotIn;
import io.sluice.control.policy.CalicoSelector.Or;
import io.sluice.control.policy.CalicoSelector.SyntaxException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Random selectors: what is printed is read as what was printed. */
final class CalicoSelectorRoundTripTest {
    private static final long SEED = 20_260_301;
    private static final int SELECTORS = 5_000;
    private static final int LABEL_MAPS = 8;

    private static final List<String> LABELS =
            List.of("a", "b", "c", "has", "in", "not", "all", "k8s.io/x_y-z");
    private static final List<String> VALUES =
            List.of("", "a", "b", "ab", "it's", "say \"a\"", "{,}", "&& !(", "\u00e9\n");

    private static final List<Comparison> COMPARISONS = List.of(Comparison.values());

    private final Random random = new Random(SEED);

    @Test
    void canonicalTextIsReadAsTheSameTreeWithTheSameMatches() throws SyntaxException {
        for (int i = 0; i < SELECTORS; i++) {
            final CalicoSelector made = new CalicoSelector(expression(4));
            final String canonical = made.toString();

            final CalicoSelector read = CalicoSelector.parse(canonical);

            // "!!" is how two negations print, and none is how it reads.
            assertThat(read.root()).as(canonical).isEqualTo(withoutPairsOfNot(made.root()));
            assertThat(CalicoSelector.parse(read.toString())).as(canonical).isEqualTo(read);
            for (int j = 0; j < LABEL_MAPS; j++) {
                final Map<String, String> labels = labels();
                assertThat(read.matches(labels))
                        .as(canonical + " " + labels)
                        .isEqualTo(made.matches(labels));
                assertThat(read.matchesOutsideNamespaces(labels))
                        .as(canonical + " " + labels)
                        .isEqualTo(made.matchesOutsideNamespaces(labels));
            }
        }
    }

    /** Text with a character changed, lost or doubled is refused or read, and nothing else. */
    @Test
    void damagedTextIsReadOrRefusedWithAPositionWithinIt() {
        int refused = 0;
        for (int i = 0; i < SELECTORS; i++) {
            final StringBuilder text =
                    new StringBuilder(new CalicoSelector(expression(3)).toString());
            final int at = random.nextInt(text.length());
            switch (random.nextInt(3)) {
                case 0 -> text.setCharAt(at, (char) (' ' + random.nextInt(96)));
                case 1 -> text.deleteCharAt(at);
                default -> text.insert(at, text.charAt(at));
            }
            try {
                CalicoSelector.parse(text.toString());
            } catch (final SyntaxException e) {
                refused++;
                assertThat(e.position()).as(text.toString()).isBetween(0, text.length());
            }
        }
        assertThat(refused).isBetween(SELECTORS / 10, SELECTORS * 9 / 10);
    }

    private static Expression withoutPairsOfNot(final Expression expression) {
        return switch (expression) {
            case Not(final Not inner) -> withoutPairsOfNot(inner.operand());
            case Not(final Expression operand) -> {
                final Expression simple = withoutPairsOfNot(operand);
                yield simple instanceof Not(final Expression inner) ? inner : new Not(simple);
            }
            case And(final List<Expression> operands) ->
                    new And(
                            operands.stream()
                                    .map(CalicoSelectorRoundTripTest::withoutPairsOfNot)
                                    .toList());
            case Or(final List<Expression> operands) ->
                    new Or(
                            operands.stream()
                                    .map(CalicoSelectorRoundTripTest::withoutPairsOfNot)
                                    .toList());
            default -> expression;
        };
    }

    private Expression expression(final int depth) {
        return switch (random.nextInt(depth == 0 ? 6 : 10)) {
            case 0 -> new All();
            case 1 -> new Global();
            case 2 -> new Has(label());
            case 3 -> new Compare(label(), oneOf(COMPARISONS), oneOf(VALUES));
            case 4 -> new In(label(), values());
            case 5 -> new NotIn(label(), values());
            case 6, 7 -> new Not(expression(depth - 1));
            case 8 -> new And(expressions(depth - 1));
            default -> new Or(expressions(depth - 1));
        };
    }

    private List<Expression> expressions(final int depth) {
        final List<Expression> expressions = new ArrayList<>();
        final int count = 2 + random.nextInt(3);
        for (int i = 0; i < count; i++) {
            expressions.add(expression(depth));
        }
        return expressions;
    }

    private Set<String> values() {
        final Set<String> values = new HashSet<>();
        final int count = random.nextInt(4);
        for (int i = 0; i < count; i++) {
            values.add(oneOf(VALUES));
        }
        return values;
    }

    private Map<String, String> labels() {
        final Map<String, String> labels = new HashMap<>();
        final int count = random.nextInt(5);
        for (int i = 0; i < count; i++) {
            labels.put(label(), oneOf(VALUES));
        }
        return labels;
    }

    private String label() {
        return oneOf(LABELS);
    }

    private <T> T oneOf(final List<T> things) {
        return things.get(random.nextInt(things.size()));
    }
}
