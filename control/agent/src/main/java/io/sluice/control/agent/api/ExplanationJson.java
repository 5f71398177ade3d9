package io.sluice.control.agent.api;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.policy.Explanation;
import io.sluice.control.policy.UnmetCondition;
import java.util.List;

/**
 * An explanation as an object: per direction what nearly decided otherwise, and the chain down to
 * each rule with the conditions that it does not meet. docs/cli.md has an example. Thread: any.
 */
final class ExplanationJson {
    private ExplanationJson() {}

    static ObjectNode of(final Explanation explanation) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        explanation.sides().forEach(side -> json.set(side.direction().field(), side(side)));
        return json;
    }

    private static ObjectNode side(final Explanation.Side side) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("subject", side.subject());
        final ArrayNode misses = json.putArray("nearMisses");
        for (final Explanation.NearMiss miss : side.nearMisses()) {
            final ObjectNode near = misses.addObject();
            near.put("kind", ApiJson.word(miss.kind()));
            ProbeJson.place(miss.author(), near.putObject("by"));
            near.put("text", miss.text());
            addUnmet(near, "unmet", miss.unmet());
        }
        final ArrayNode chains = json.putArray("chains");
        for (final Explanation.Chain chain : side.chains()) {
            final ObjectNode asked = chains.addObject();
            if (!chain.heading().isEmpty()) {
                asked.put("heading", chain.heading());
            }
            chain.tiers().forEach(tier -> asked.withArray("tiers").add(tier(tier)));
        }
        return json;
    }

    private static ObjectNode tier(final Explanation.Tier tier) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("name", tier.name());
        json.put("rest", tier.deniesRest() ? "denied" : "goes on");
        final ArrayNode policies = json.putArray("policies");
        for (final Explanation.Policy policy : tier.policies()) {
            final ObjectNode one = policies.addObject();
            one.put("kind", policy.ref().simpleKind());
            if (!policy.ref().namespace().isEmpty()) {
                one.put("namespace", policy.ref().namespace());
            }
            one.put("name", policy.ref().name());
            one.put("file", policy.where().file());
            one.put("line", policy.where().line());
            final ArrayNode rules = one.putArray("rules");
            policy.rules().forEach(rule -> rules.add(rule(rule)));
        }
        return json;
    }

    private static ObjectNode rule(final Explanation.Rule rule) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("list", rule.author().list());
        json.put("rule", rule.author().rule());
        json.put("line", rule.author().line());
        json.put("effect", rule.effect());
        json.put("about", rule.about());
        json.put("matches", rule.matches());
        addUnmet(json, "unmet", rule.unmet());
        addUnmet(json, "unmetByRequest", rule.request());
        return json;
    }

    private static void addUnmet(
            final ObjectNode json, final String field, final List<UnmetCondition> conditions) {
        for (final UnmetCondition condition : conditions) {
            final ObjectNode one = json.withArray(field).addObject();
            one.put("condition", ApiJson.word(condition.kind()));
            one.put("text", condition.text());
            if (!condition.suggestion().isEmpty()) {
                one.put("didYouMean", condition.suggestion());
            }
        }
    }
}
