package io.sluice.control.policy;

import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.l7proxy.rule.CalicoHttpRule;
import io.sluice.l7proxy.rule.HttpRequest;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.KafkaRequest;
import io.sluice.l7proxy.rule.KafkaRule;
import io.sluice.l7proxy.rule.ServerNamePattern;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What a proxy must ask of the traffic to one port: the rules of one parser, of which one is
 * enough, and the TLS server names it is confined to.
 *
 * <p>Immutable; equal if written alike, in the same order.
 *
 * @param parser who reads the traffic
 * @param matchesAll nothing is restricted: a rule lets everything pass, or an allow without L7
 *     rules stands beside. The rules are kept, they may still edit or log
 * @param http {@code rules.http}, Cilium's
 * @param calicoHttp {@code http}, Calico's
 * @param kafka {@code rules.kafka}
 * @param dns {@code rules.dns}
 * @param serverNames {@code serverNames}; empty is any
 * @param tls the TLS that a proxy takes off and puts on
 */
public record L7Rules(
        Parser parser,
        boolean matchesAll,
        List<HttpRule> http,
        List<CalicoHttpRule> calicoHttp,
        List<KafkaRule> kafka,
        List<NamePattern> dns,
        List<ServerNamePattern> serverNames,
        TlsContexts tls) {
    /** Who reads the traffic. A port has one. */
    public enum Parser {
        HTTP,
        KAFKA,
        DNS,
        /** Server names and TLS contexts without rules for what is inside. */
        TLS,
        /** {@code l7proto} or {@code listener}: none of ours, so no request is known to pass. */
        CUSTOM
    }

    public L7Rules {
        http = List.copyOf(http);
        calicoHttp = List.copyOf(calicoHttp);
        kafka = List.copyOf(kafka);
        dns = List.copyOf(dns);
        serverNames = List.copyOf(serverNames);
    }

    /** {@code rules.http}; an item {@code {}} lets every request pass. */
    public static L7Rules ofHttp(final List<HttpRule> rules) {
        return new L7Rules(
                Parser.HTTP,
                rules.stream().anyMatch(HttpRule::matchesEverything),
                rules,
                List.of(),
                List.of(),
                List.of(),
                List.of(),
                TlsContexts.NONE);
    }

    /** A Calico rule's {@code http}. */
    public static L7Rules ofCalicoHttp(final CalicoHttpRule rule) {
        return new L7Rules(
                Parser.HTTP,
                rule.matchesEverything(),
                List.of(),
                List.of(rule),
                List.of(),
                List.of(),
                List.of(),
                TlsContexts.NONE);
    }

    /** {@code rules.kafka}; an item {@code {}} lets every request pass. */
    public static L7Rules ofKafka(final List<KafkaRule> rules) {
        return new L7Rules(
                Parser.KAFKA,
                rules.stream().anyMatch(KafkaRule::matchesEverything),
                List.of(),
                List.of(),
                rules,
                List.of(),
                List.of(),
                TlsContexts.NONE);
    }

    /** {@code rules.dns}; only stars let every query pass. */
    public static L7Rules ofDns(final List<NamePattern> patterns) {
        return new L7Rules(
                Parser.DNS,
                patterns.stream().anyMatch(NamePattern::matchesEveryName),
                List.of(),
                List.of(),
                List.of(),
                patterns,
                List.of(),
                TlsContexts.NONE);
    }

    /**
     * {@code serverNames} or TLS contexts alone. Never {@link #matchesAll}: even {@code *} asks for
     * TLS with a server name.
     */
    public static L7Rules ofTls(final List<ServerNamePattern> serverNames) {
        return withoutRules(Parser.TLS, false).withServerNames(serverNames);
    }

    /** {@code l7proto} or {@code listener}. */
    public static L7Rules ofCustom() {
        return withoutRules(Parser.CUSTOM, false);
    }

    /** An allow without L7 rules beside those of a parser: it reads along and denies nothing. */
    public static L7Rules ofEverything(final Parser parser) {
        return withoutRules(parser, true);
    }

    private static L7Rules withoutRules(final Parser parser, final boolean matchesAll) {
        return new L7Rules(
                parser,
                matchesAll,
                List.of(),
                List.of(),
                List.of(),
                List.of(),
                List.of(),
                TlsContexts.NONE);
    }

    /** The same rules, confined to these server names; none given is any. */
    public L7Rules withServerNames(final List<ServerNamePattern> names) {
        return new L7Rules(
                parser, matchesAll && names.isEmpty(), http, calicoHttp, kafka, dns, names, tls);
    }

    /** The same rules, inside of TLS that the proxy takes off, or puts on towards the server. */
    public L7Rules withTls(final TlsContexts contexts) {
        return new L7Rules(parser, matchesAll, http, calicoHttp, kafka, dns, serverNames, contexts);
    }

    /** The same rules, with Secrets that name no namespace looked for in this one. */
    public L7Rules withSecretsIn(final String namespace) {
        return new L7Rules(
                parser,
                matchesAll,
                http.stream().map(rule -> rule.withSecretsIn(namespace)).toList(),
                calicoHttp,
                kafka,
                dns,
                serverNames,
                tls);
    }

    /**
     * What passes by one or the other. Both sides' rules then hold for both sides' server names, as
     * in Cilium; where one side takes any server name, so does the union.
     *
     * @throws IllegalArgumentException for two parsers: which of them reads is the policy author's
     *     to say
     */
    public static L7Rules union(final L7Rules a, final L7Rules b) {
        if (a.parser != b.parser) {
            throw new IllegalArgumentException(
                    "cannot merge conflicting L7 parsers: " + a.parser + " and " + b.parser);
        }
        if (a.equals(b)) {
            return a;
        }
        final boolean anyServerName = a.serverNames.isEmpty() || b.serverNames.isEmpty();
        return new L7Rules(
                a.parser,
                a.matchesAll || b.matchesAll,
                both(a.http, b.http),
                both(a.calicoHttp, b.calicoHttp),
                both(a.kafka, b.kafka),
                both(a.dns, b.dns),
                anyServerName ? List.of() : both(a.serverNames, b.serverNames),
                a.tls.with(b.tls));
    }

    private static <T> List<T> both(final List<T> a, final List<T> b) {
        final Set<T> both = new LinkedHashSet<>(a);
        both.addAll(b);
        return List.copyOf(both);
    }

    /**
     * Whether a request passes. Values of secrets are not known here: a header that must equal one
     * does not. The server name is {@link #allowsServerName}'s to judge.
     */
    public boolean allows(final HttpRequest request) {
        return matchesAll
                || HttpRule.judge(http, request, HttpRule.NO_SECRETS).matched()
                || calicoHttp.stream().anyMatch(rule -> rule.matches(request));
    }

    /** Whether a request passes. */
    public boolean allows(final KafkaRequest request) {
        return matchesAll || KafkaRule.allow(kafka, request);
    }

    /**
     * Whether a name may be asked for.
     *
     * @param dnsName in any case, with or without the final dot
     */
    public boolean allowsName(final String dnsName) {
        final String name = dnsName.endsWith(".") ? dnsName : dnsName + ".";
        return matchesAll || dns.stream().anyMatch(pattern -> pattern.matches(name));
    }

    /**
     * Whether a TLS handshake for this name passes.
     *
     * @param serverName empty if the client sent none
     */
    public boolean allowsServerName(final String serverName) {
        return matchesAll
                || serverNames.isEmpty()
                || serverNames.stream().anyMatch(pattern -> pattern.matches(serverName));
    }
}
