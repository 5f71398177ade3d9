package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What a proxy asks of requests, in the one form that a comparison needs: of the rules of a policy
 * only what they let pass counts, not their order or number.
 *
 * @param alternatives a request passes that one of these lets pass; one at least
 */
record RequestRules(List<Alternative> alternatives) {
    /** Rules of one parser, of which one is enough, and the server names they are confined to. */
    record Alternative(L7Rules.Parser parser, Set<Object> rules, Set<Object> serverNames) {
        static Alternative of(final L7Rules rules) {
            final List<Object> all = new ArrayList<>(rules.http());
            all.addAll(rules.calicoHttp());
            all.addAll(rules.kafka());
            all.addAll(rules.dns());
            return new Alternative(
                    rules.parser(),
                    rules.matchesAll() ? Set.of() : Set.copyOf(all),
                    Set.copyOf(rules.serverNames()));
        }
    }

    /** Empty for an entry of which no request is refused. */
    static Optional<RequestRules> of(final PolicyEntry entry) {
        final List<Alternative> alternatives = new ArrayList<>();
        Optional<PolicyEntry.Redirect> redirect = entry.redirect();
        if (redirect.map(PolicyEntry.Redirect::allowsAll).orElse(true)) {
            return Optional.empty();
        }
        while (redirect.isPresent()) {
            alternatives.add(Alternative.of(redirect.get().rules()));
            redirect = redirect.get().otherwise().redirect();
        }
        return Optional.of(new RequestRules(alternatives));
    }

    /** The parser's name, as a note has it: {@code HTTP rules}. */
    @Override
    public String toString() {
        return alternatives.getFirst().parser + " rules";
    }
}
