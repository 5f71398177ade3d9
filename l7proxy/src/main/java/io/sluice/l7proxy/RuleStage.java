package io.sluice.l7proxy;

import io.sluice.l7proxy.rule.CalicoHttpRule;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.KafkaRule;
import io.sluice.l7proxy.rule.ServerNamePattern;
import java.util.List;

/**
 * L7 rules of one policy verdict: one that matches is enough. Immutable.
 *
 * @param matchesAll everything passes; the HTTP rules may still edit and log
 * @param http Cilium's HTTP rules
 * @param calicoHttp Calico's HTTP rules
 * @param kafka Kafka rules
 * @param serverNames TLS server names that it is confined to; empty is any, with or without TLS
 * @param by policy and rule that it comes from, for reports
 */
public record RuleStage(
        boolean matchesAll,
        List<HttpRule> http,
        List<CalicoHttpRule> calicoHttp,
        List<KafkaRule> kafka,
        List<ServerNamePattern> serverNames,
        String by) {
    public RuleStage {
        http = List.copyOf(http);
        calicoHttp = List.copyOf(calicoHttp);
        kafka = List.copyOf(kafka);
        serverNames = List.copyOf(serverNames);
    }

    /** Cilium's HTTP rules; {@code {}} among them lets everything pass. */
    public static RuleStage ofHttp(final List<HttpRule> rules, final String by) {
        return new RuleStage(
                rules.stream().anyMatch(HttpRule::matchesEverything),
                rules,
                List.of(),
                List.of(),
                List.of(),
                by);
    }

    /** Calico's HTTP rules. */
    public static RuleStage ofCalicoHttp(final List<CalicoHttpRule> rules, final String by) {
        return new RuleStage(
                rules.stream().anyMatch(CalicoHttpRule::matchesEverything),
                List.of(),
                rules,
                List.of(),
                List.of(),
                by);
    }

    /** Cilium's Kafka rules; {@code {}} among them lets everything pass. */
    public static RuleStage ofKafka(final List<KafkaRule> rules, final String by) {
        return new RuleStage(
                rules.stream().anyMatch(KafkaRule::matchesEverything),
                List.of(),
                List.of(),
                rules,
                List.of(),
                by);
    }

    /**
     * Whether it says anything about traffic in TLS for this name.
     *
     * @param serverName empty without TLS, or without a name in it
     */
    public boolean takesServerName(final String serverName) {
        if (serverNames.isEmpty()) {
            return true;
        }
        for (final ServerNamePattern pattern : serverNames) {
            if (pattern.matches(serverName)) {
                return true;
            }
        }
        return false;
    }

    /** TLS server names. */
    public static RuleStage ofServerNames(final List<ServerNamePattern> names, final String by) {
        return new RuleStage(false, List.of(), List.of(), List.of(), names, by);
    }
}
