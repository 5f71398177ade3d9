package io.sluice.control.policy;

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
import io.sluice.control.policy.CalicoSelectorTokenizer.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Reads a Calico selector by recursive descent over its tokens.
 *
 * <pre>
 * selector := [ or ]
 * or       := and ( "||" and )*
 * and      := unary ( "&&" unary )*
 * unary    := "!"* ( "(" or ")" | all() | global() | has(label) | label operator )
 * operator := ( "==" | "!=" | contains | starts with | ends with ) string | ( in | not in ) set
 * set      := "{" [ string ( "," string )* [ "," ] ] "}"
 * </pre>
 *
 * Only parentheses recurse, and they are counted; everything else that may repeat is a loop. The
 * height of the tree is counted as well, since matching, printing and comparing recurse over it.
 *
 * <p>Thread: its creator's; for one text.
 */
final class CalicoSelectorParser {
    /**
     * Parentheses within each other, and levels of the tree. The 1,024 characters of the API's
     * fields hold 509 parentheses around {@code all()}, or a tree of 340 levels ({@code !(!(...}),
     * so only texts too long for the API are refused for it. Stack: at most five frames of some 100
     * bytes for each.
     */
    static final int DEPTH_MAX = 512;

    static final String OPERAND = "a label, has(LABEL), all(), global(), '!' or '('";
    static final String OPERATOR = "'==', '!=', in, not in, contains, starts with or ends with";

    private final CalicoSelectorTokenizer tokens;
    private int depth;

    /** Levels of the expression read last. */
    private int height;

    CalicoSelectorParser(final String text) {
        this.tokens = new CalicoSelectorTokenizer(text);
    }

    CalicoSelector parse() throws SyntaxException {
        tokens.advance();
        if (tokens.kind() == Kind.END) {
            return CalicoSelector.ALL;
        }
        final Expression root = or();
        if (tokens.kind() != Kind.END) {
            throw tokens.expected("'&&', '||' or the end");
        }
        return new CalicoSelector(root);
    }

    private Expression or() throws SyntaxException {
        final Expression first = and();
        if (tokens.kind() != Kind.OR) {
            return first;
        }
        final List<Expression> operands = new ArrayList<>();
        operands.add(first);
        int tallest = height;
        while (tokens.kind() == Kind.OR) {
            tokens.advance();
            operands.add(and());
            tallest = Math.max(tallest, height);
        }
        return above(tallest, new Or(operands));
    }

    private Expression and() throws SyntaxException {
        final Expression first = unary();
        if (tokens.kind() != Kind.AND) {
            return first;
        }
        final List<Expression> operands = new ArrayList<>();
        operands.add(first);
        int tallest = height;
        while (tokens.kind() == Kind.AND) {
            tokens.advance();
            operands.add(unary());
            tallest = Math.max(tallest, height);
        }
        return above(tallest, new And(operands));
    }

    private Expression unary() throws SyntaxException {
        boolean negated = false;
        while (tokens.kind() == Kind.NOT) {
            tokens.advance();
            negated = !negated;
        }
        final Expression operand = operand();
        return negated ? above(height, new Not(operand)) : operand;
    }

    private Expression above(final int tallest, final Expression expression)
            throws SyntaxException {
        if (tallest == DEPTH_MAX) {
            throw tokens.expected("no more than " + DEPTH_MAX + " operators within each other");
        }
        height = tallest + 1;
        return expression;
    }

    private Expression operand() throws SyntaxException {
        final String label = tokens.value();
        return switch (tokens.kind()) {
            case LEFT_PARENTHESIS -> parenthesised();
            case LABEL -> condition(label);
            case HAS -> whole(new Has(label));
            case ALL -> whole(new All());
            case GLOBAL -> whole(new Global());
            default -> throw tokens.expected(OPERAND);
        };
    }

    /** An operand that was one token. */
    private Expression whole(final Expression operand) throws SyntaxException {
        height = 1;
        tokens.advance();
        return operand;
    }

    private Expression parenthesised() throws SyntaxException {
        if (depth == DEPTH_MAX) {
            throw tokens.expected("no more than " + DEPTH_MAX + " parentheses within each other");
        }
        depth++;
        tokens.advance();
        final Expression inner = or();
        if (tokens.kind() != Kind.RIGHT_PARENTHESIS) {
            throw tokens.expected("'&&', '||' or ')'");
        }
        tokens.advance();
        depth--;
        return inner;
    }

    private Expression condition(final String label) throws SyntaxException {
        height = 1;
        tokens.advance();
        return switch (tokens.kind()) {
            case EQUAL -> comparison(label, Comparison.EQUAL);
            case NOT_EQUAL -> comparison(label, Comparison.NOT_EQUAL);
            case CONTAINS -> comparison(label, Comparison.CONTAINS);
            case STARTS_WITH -> comparison(label, Comparison.STARTS_WITH);
            case ENDS_WITH -> comparison(label, Comparison.ENDS_WITH);
            case IN -> new In(label, set());
            case NOT_IN -> new NotIn(label, set());
            default -> throw tokens.expected(OPERATOR);
        };
    }

    private Compare comparison(final String label, final Comparison comparison)
            throws SyntaxException {
        tokens.advance();
        final String value = tokens.value();
        if (tokens.kind() != Kind.STRING) {
            throw tokens.expected("a string in quotes");
        }
        tokens.advance();
        return new Compare(label, comparison, value);
    }

    private Set<String> set() throws SyntaxException {
        tokens.advance();
        if (tokens.kind() != Kind.LEFT_BRACE) {
            throw tokens.expected("'{'");
        }
        final Set<String> values = new HashSet<>();
        tokens.advance();
        while (tokens.kind() == Kind.STRING) {
            values.add(tokens.value());
            tokens.advance();
            if (tokens.kind() == Kind.COMMA) {
                tokens.advance();
            } else if (tokens.kind() != Kind.RIGHT_BRACE) {
                throw tokens.expected("',' or '}'");
            }
        }
        if (tokens.kind() != Kind.RIGHT_BRACE) {
            throw tokens.expected("a string in quotes or '}'");
        }
        tokens.advance();
        return values;
    }
}
