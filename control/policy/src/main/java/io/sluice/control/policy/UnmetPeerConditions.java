package io.sluice.control.policy;

import io.sluice.control.policy.CalicoSelector.Comparison;
import io.sluice.control.policy.CalicoSelector.Expression;
import io.sluice.control.policy.LabelSelector.Operator;
import io.sluice.control.policy.LabelSelector.Requirement;
import io.sluice.control.policy.UnmetCondition.Kind;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * What an end of a packet lacks to be matched by a {@link PeerMatch}.
 *
 * <p>It follows the tree of the condition, and asks {@link PeerMatch#matches} at every branch: so
 * it has nothing to say of an end exactly when the condition matches the end. Of alternatives only
 * the closest is told: the one with the fewest conditions that are not met, before others of as
 * many the one that looks like a slip of the pen. Thread: any, stateless.
 *
 * @param end the end that is looked at
 * @param asker who asks: {@code the rule}, {@code the policy}
 */
record UnmetPeerConditions(End end, String asker) {
    private static final String NAMESPACE = LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_KEY;
    private static final String NAMESPACE_LABELS =
            LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_LABEL_PREFIX;
    private static final String ACCOUNT = LabelMatch.SOURCE_K8S + PeerFacts.SERVICE_ACCOUNT_KEY;

    /** Alternatives of one sort that a sentence lists. */
    private static final int LISTED_MAX = 3;

    /** Shorter values are close to each other without being meant for each other. */
    private static final int TYPO_LENGTH_MIN = 4;

    /** Shorter keys are, too. */
    private static final int TYPO_KEY_LENGTH_MIN = 3;

    /** What only a pod can meet. */
    private static final Set<Kind> OF_PODS =
            EnumSet.of(Kind.PEER_KIND, Kind.LABEL, Kind.NAMESPACE, Kind.SERVICE_ACCOUNT);

    private static final Comparator<List<UnmetCondition>> CLOSEST_FIRST =
            Comparator.<List<UnmetCondition>>comparingInt(List::size)
                    .thenComparing(unmet -> unmet.stream().allMatch(c -> c.suggestion().isEmpty()));

    /**
     * An end of a packet.
     *
     * @param name as sentences call it
     * @param facts what policy sees of it
     * @param addresses the addresses that it may have
     * @param names names that its address was learned from
     */
    record End(String name, PeerFacts facts, List<IpAddress> addresses, Set<String> names) {}

    /** Empty exactly if the condition matches the end. */
    List<UnmetCondition> of(final PeerMatch match) {
        if (match.matches(end.facts)) {
            return List.of();
        }
        return switch (match) {
            case PeerMatch.Everyone _ -> List.of();
            case final PeerMatch.AnyOf any -> closest(any);
            case final PeerMatch.AllOf all ->
                    together(all.conditions().stream().flatMap(part -> of(part).stream()).toList());
            case final PeerMatch.Not not -> List.of(excluded(not.condition()));
            case final PeerMatch.Labelled labelled -> labelled(labelled);
            case final PeerMatch.Selected selected -> selected(selected);
            case final PeerMatch.InPrefix prefix -> List.of(prefix(prefix));
            case final PeerMatch.Named named -> List.of(named(named));
            case PeerMatch.OfKind _, PeerMatch.OfNode _ ->
                    List.of(
                            UnmetCondition.of(
                                    Kind.PEER_KIND,
                                    end.name + " is " + kindText() + ", not " + match));
        };
    }

    private String kindText() {
        return switch (end.facts.kind()) {
            case POD -> "a pod";
            case NODE -> "node " + end.facts.nodeName();
            case WORLD -> "outside of the cluster";
        };
    }

    /** Who is no pod has none of a pod's labels: that is one thing, not many. */
    private List<UnmetCondition> together(final List<UnmetCondition> unmet) {
        final Optional<UnmetCondition> kind =
                unmet.stream().filter(condition -> condition.kind() == Kind.PEER_KIND).findFirst();
        return kind.isEmpty() || end.facts.kind() == PeerFacts.Kind.POD
                ? unmet
                : unmet.stream()
                        .filter(
                                condition ->
                                        condition.equals(kind.get())
                                                || !OF_PODS.contains(condition.kind()))
                        .distinct()
                        .toList();
    }

    // Alternatives.

    private List<UnmetCondition> closest(final PeerMatch.AnyOf any) {
        if (any.alternatives().isEmpty()) {
            return List.of(UnmetCondition.of(Kind.NOBODY, asker + " matches nobody"));
        }
        final List<List<UnmetCondition>> all = any.alternatives().stream().map(this::of).toList();
        final List<UnmetCondition> closest = closest(all);
        final boolean isOneOfMany =
                closest.size() == 1
                        && (closest.getFirst().kind() == Kind.PREFIX
                                || closest.getFirst().kind() == Kind.PEER_KIND
                                || closest.getFirst().kind() == Kind.NAME);
        return isOneOfMany ? List.of(listed(closest.getFirst(), any)) : closest;
    }

    /** {@code host} of a condition that asks for this entity alone; else empty. */
    private static String reservedName(final PeerMatch.Labelled labelled) {
        if (labelled.requirements().size() != 1) {
            return "";
        }
        final String key = labelled.requirements().getFirst().keys().getFirst();
        return key.startsWith(LabelMatch.SOURCE_RESERVED)
                ? key.substring(LabelMatch.SOURCE_RESERVED.length())
                : "";
    }

    /** Prefixes beside prefixes, and names beside names, are all as far away: they are listed. */
    private UnmetCondition listed(final UnmetCondition closest, final PeerMatch.AnyOf any) {
        final List<String> others =
                any.alternatives().stream()
                        .map(
                                part ->
                                        switch (part) {
                                            case final PeerMatch.InPrefix in ->
                                                    in.cidr().toString();
                                            case final PeerMatch.Named named ->
                                                    named.pattern().toString();
                                            case final PeerMatch.Labelled labelled ->
                                                    reservedName(labelled);
                                            default -> "";
                                        })
                        .filter(text -> !text.isEmpty() && !closest.text().endsWith(" " + text))
                        .distinct()
                        .toList();
        if (others.isEmpty()) {
            return closest;
        }
        final StringBuilder text = new StringBuilder(closest.text());
        others.stream().limit(LISTED_MAX).forEach(other -> text.append(", ").append(other));
        if (others.size() > LISTED_MAX) {
            text.append(" and ").append(others.size() - LISTED_MAX).append(" more");
        }
        return UnmetCondition.of(closest.kind(), text.toString());
    }

    // What is taken out.

    private UnmetCondition excluded(final PeerMatch condition) {
        return UnmetCondition.of(
                Kind.EXCEPT,
                end.name
                        + " is in "
                        + plain(matched(condition))
                        + ", which "
                        + asker
                        + " takes out");
    }

    /** The part of a condition that matches the end. */
    private PeerMatch matched(final PeerMatch condition) {
        return condition instanceof final PeerMatch.AnyOf any
                ? any.alternatives().stream()
                        .filter(part -> part.matches(end.facts))
                        .findFirst()
                        .map(this::matched)
                        .orElse(condition)
                : condition;
    }

    // Addresses.

    private UnmetCondition prefix(final PeerMatch.InPrefix prefix) {
        if (!prefix.kinds().contains(end.facts.kind())) {
            final boolean isInside = end.addresses.stream().anyMatch(prefix.cidr()::contains);
            return UnmetCondition.of(
                    Kind.PEER_KIND,
                    end.name
                            + " is "
                            + kindText()
                            + ", which prefixes of this policy do not match"
                            + (isInside ? ", though its address is" : ": its address is not")
                            + " in "
                            + prefix.cidr());
        }
        for (final Cidr taken : prefix.except()) {
            if (end.facts.prefixes().contains(prefix.cidr())
                    && end.facts.prefixes().contains(taken)) {
                return UnmetCondition.of(
                        Kind.EXCEPT,
                        end.name
                                + " is in "
                                + taken
                                + ", which "
                                + asker
                                + " takes out of "
                                + prefix.cidr());
            }
        }
        return UnmetCondition.of(Kind.PREFIX, end.name + " is not in " + prefix.cidr());
    }

    private UnmetCondition named(final PeerMatch.Named named) {
        if (!named.kinds().contains(end.facts.kind())) {
            return UnmetCondition.of(
                    Kind.PEER_KIND,
                    end.name
                            + " is "
                            + kindText()
                            + ", which names of this policy do not match: not "
                            + named.pattern());
        }
        return UnmetCondition.of(
                Kind.NAME,
                end.names.isEmpty()
                        ? "no DNS answer has told that " + end.name + " is " + named.pattern()
                        : end.name
                                + " was learned from "
                                + String.join(", ", end.names.stream().sorted().toList())
                                + ", not from "
                                + named.pattern());
    }

    // Labels.

    private List<UnmetCondition> labelled(final PeerMatch.Labelled labelled) {
        final List<LabelMatch> unmet =
                labelled.requirements().stream()
                        .filter(requirement -> !requirement.matches(end.facts.labels()))
                        .toList();
        // Who is in no namespace has none of a pod's labels: that is one thing, not many.
        final boolean asksForPod =
                unmet.stream().anyMatch(requirement -> requirement.keys().contains(NAMESPACE));
        return asksForPod && end.facts.kind() != PeerFacts.Kind.POD
                ? List.of(
                        UnmetCondition.of(
                                Kind.PEER_KIND,
                                end.name
                                        + " is "
                                        + kindText()
                                        + ", and "
                                        + asker
                                        + " asks for pods"))
                : unmet.stream().map(this::label).toList();
    }

    private UnmetCondition label(final LabelMatch requirement) {
        for (final String key : requirement.keys()) {
            final String value = end.facts.labels().get(key);
            if (value != null) {
                return differs(key, value, requirement.operator(), requirement.values());
            }
        }
        return absent(requirement.keys().getFirst(), requirement.operator(), requirement.values());
    }

    private UnmetCondition differs(
            final String key,
            final String value,
            final Operator operator,
            final Set<String> wanted) {
        final String asked = new Requirement(shown(key), operator, wanted).toString();
        if (operator == Operator.DOES_NOT_EXIST || operator == Operator.NOT_IN) {
            return UnmetCondition.of(
                    kindOf(key),
                    holder(key)
                            + " has "
                            + shown(key)
                            + "="
                            + value
                            + ", and "
                            + asker
                            + " asks for "
                            + asked);
        }
        if (key.equals(NAMESPACE) || key.equals(ACCOUNT)) {
            return new UnmetCondition(
                    kindOf(key),
                    end.name
                            + (key.equals(ACCOUNT) ? " has service account " : " is in namespace ")
                            + value
                            + ", and "
                            + asker
                            + " asks for "
                            + String.join(" or ", wanted.stream().sorted().toList()),
                    typo(value, wanted));
        }
        return new UnmetCondition(
                kindOf(key),
                "label "
                        + asked
                        + " of "
                        + asker
                        + " is not "
                        + shown(key)
                        + "="
                        + value
                        + " of "
                        + holder(key),
                typo(value, wanted));
    }

    private static String typo(final String value, final Set<String> wanted) {
        return value.length() >= TYPO_LENGTH_MIN && Fields.nearest(value, wanted).isPresent()
                ? value
                : "";
    }

    private UnmetCondition absent(
            final String key, final Operator operator, final Set<String> wanted) {
        final String asked = new Requirement(shown(key), operator, wanted).toString();
        if (key.startsWith(LabelMatch.SOURCE_RESERVED)) {
            return UnmetCondition.of(
                    Kind.PEER_KIND,
                    end.name
                            + " is "
                            + kindText()
                            + ", not "
                            + key.substring(LabelMatch.SOURCE_RESERVED.length()));
        }
        return new UnmetCondition(
                kindOf(key),
                holder(key)
                        + " has no label "
                        + shown(key)
                        + ", and "
                        + asker
                        + " asks for "
                        + asked,
                otherKey(key, operator, wanted));
    }

    /** A key of the same holder that has what was asked for, or nearly the same name. */
    private String otherKey(final String key, final Operator operator, final Set<String> wanted) {
        if (operator != Operator.IN) {
            return "";
        }
        final Map<String, String> candidates = new TreeMap<>();
        end.facts
                .labels()
                .forEach(
                        (other, value) -> {
                            if (kindOf(other) == kindOf(key)
                                    && !other.equals(NAMESPACE)
                                    && wanted.contains(value)) {
                                candidates.put(shown(other), value);
                            }
                        });
        if (candidates.size() == 1) {
            return candidates.keySet().iterator().next()
                    + "="
                    + candidates.values().iterator().next();
        }
        return shown(key).length() < TYPO_KEY_LENGTH_MIN
                ? ""
                : Fields.nearest(shown(key), candidates.keySet())
                        .map(near -> near + "=" + candidates.get(near))
                        .orElse("");
    }

    /** Who has the label: the namespace of a pod, or the end itself. */
    private String holder(final String key) {
        final String namespace = end.facts.labels().getOrDefault(NAMESPACE, "");
        return key.startsWith(NAMESPACE_LABELS) && !namespace.isEmpty()
                ? "namespace " + namespace
                : end.name;
    }

    private static Kind kindOf(final String key) {
        if (key.startsWith(NAMESPACE_LABELS) || key.equals(NAMESPACE)) {
            return Kind.NAMESPACE;
        }
        return key.equals(ACCOUNT) || key.startsWith(LabelMatch.SOURCE_ACCOUNT)
                ? Kind.SERVICE_ACCOUNT
                : Kind.LABEL;
    }

    /** A key as its author knows it. */
    private static String shown(final String key) {
        if (key.equals(ACCOUNT)) {
            return "service account";
        }
        for (final String prefix :
                List.of(NAMESPACE_LABELS, LabelMatch.SOURCE_ACCOUNT, LabelMatch.SOURCE_K8S)) {
            if (key.startsWith(prefix)) {
                return key.substring(prefix.length());
            }
        }
        return key;
    }

    // Calico's selectors.

    private List<UnmetCondition> selected(final PeerMatch.Selected selected) {
        return end.facts.kind() == PeerFacts.Kind.POD
                ? selector(selected.sourced().root())
                : List.of(
                        UnmetCondition.of(
                                Kind.PEER_KIND,
                                end.name
                                        + " is "
                                        + kindText()
                                        + ", and "
                                        + asker
                                        + " asks for pods "
                                        + plain(selected)));
    }

    /** Empty exactly if the expression holds. */
    private List<UnmetCondition> selector(final Expression expression) {
        if (new CalicoSelector(expression).matches(end.facts.labels())) {
            return List.of();
        }
        return switch (expression) {
            case CalicoSelector.All _ ->
                    List.of(UnmetCondition.of(Kind.NOBODY, asker + " matches nobody"));
            case CalicoSelector.Global _ ->
                    List.of(
                            UnmetCondition.of(
                                    Kind.NAMESPACE,
                                    end.name
                                            + " is in a namespace, and "
                                            + asker
                                            + " asks for what is in none (global())"));
            case final CalicoSelector.Has has ->
                    List.of(absent(has.label(), Operator.EXISTS, Set.of()));
            case final CalicoSelector.Compare compare -> List.of(compared(compare));
            case final CalicoSelector.In in ->
                    List.of(listed(in.label(), Operator.IN, in.values()));
            case final CalicoSelector.NotIn notIn ->
                    List.of(listed(notIn.label(), Operator.NOT_IN, notIn.values()));
            case final CalicoSelector.Not not ->
                    List.of(
                            UnmetCondition.of(
                                    Kind.EXCEPT,
                                    end.name
                                            + " is in {"
                                            + plain(new CalicoSelector(not.operand()))
                                            + "}, which "
                                            + asker
                                            + " takes out"));
            case final CalicoSelector.And and ->
                    and.operands().stream().flatMap(part -> selector(part).stream()).toList();
            case final CalicoSelector.Or or ->
                    or.operands().stream()
                            .map(this::selector)
                            .min(CLOSEST_FIRST)
                            .orElseGet(
                                    () ->
                                            List.of(
                                                    UnmetCondition.of(
                                                            Kind.NOBODY,
                                                            asker + " matches nobody")));
        };
    }

    /** A condition as text, its labels as their author knows them. */
    static String plain(final Object condition) {
        return condition
                .toString()
                .replace(NAMESPACE_LABELS, "")
                .replace(NAMESPACE, "namespace")
                .replace(LabelMatch.SOURCE_K8S, "");
    }

    private UnmetCondition compared(final CalicoSelector.Compare compare) {
        final Set<String> wanted = Set.of(compare.value());
        return switch (compare.comparison()) {
            case EQUAL -> listed(compare.label(), Operator.IN, wanted);
            case NOT_EQUAL -> listed(compare.label(), Operator.NOT_IN, wanted);
            case CONTAINS, STARTS_WITH, ENDS_WITH -> {
                final String value = end.facts.labels().get(compare.label());
                yield value == null
                        ? absent(compare.label(), Operator.EXISTS, Set.of())
                        : UnmetCondition.of(
                                kindOf(compare.label()),
                                shown(compare.label())
                                        + "="
                                        + value
                                        + " of "
                                        + holder(compare.label())
                                        + " does not "
                                        + verb(compare.comparison())
                                        + " \""
                                        + compare.value()
                                        + "\", as "
                                        + asker
                                        + " asks");
            }
        };
    }

    private static String verb(final Comparison comparison) {
        return switch (comparison) {
            case CONTAINS -> "contain";
            case STARTS_WITH -> "start with";
            case ENDS_WITH -> "end with";
            case EQUAL, NOT_EQUAL -> comparison.text();
        };
    }

    private UnmetCondition listed(
            final String key, final Operator operator, final Set<String> wanted) {
        final String value = end.facts.labels().get(key);
        return value == null
                ? absent(key, operator, wanted)
                : differs(key, value, operator, wanted);
    }

    /** The conditions of the alternative that is closest; none of no alternatives. */
    static List<UnmetCondition> closest(final List<List<UnmetCondition>> alternatives) {
        return alternatives.stream().min(CLOSEST_FIRST).orElse(List.of());
    }
}
