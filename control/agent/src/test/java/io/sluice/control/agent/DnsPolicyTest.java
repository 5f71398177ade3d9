package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.pod;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dnsproxy.DnsFlow;
import io.sluice.dnsproxy.DnsRules;
import io.sluice.dnsproxy.wire.Address;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is remembered of the policy must not outlive it. */
class DnsPolicyTest {
    private static final Address A = Address.parse("10.244.0.2");
    private static final Address RESOLVER = Address.parse("198.51.100.53");
    private static final Address OTHER_RESOLVER = Address.parse("198.51.100.54");

    private static final String POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: names, namespace: shop }
            spec:
              endpointSelector: { matchLabels: { app: a } }
              egress:
              - toCIDR: [198.51.100.53/32]
                toPorts:
                - ports: [{ port: "53", protocol: UDP }]
                  rules: { dns: [{ matchName: api.example.com }] }
            """;

    /** The resolver is known by a name that has to be learned first. */
    private static final String BY_NAME =
            POLICY.replace(
                    "toCIDR: [198.51.100.53/32]", "toFQDNs: [{ matchName: dns.example.com }]");

    @TempDir private Path folder;
    private SwitchInOneThread sluice;
    private DnsPolicy policy;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
        policy = new DnsPolicy(sluice.publisher::live);
    }

    @AfterEach
    void stop() throws Exception {
        sluice.close();
    }

    private boolean mayAsk(final Address server, final String name) {
        final DnsRules.Allowed allowed =
                policy.of(new DnsFlow("shop/a", DnsFlow.Transport.UDP, A, 4000, server, 53));
        return allowed.names().match(name) != null;
    }

    @Test
    void aRuleThatChangesIsTheRuleOfTheNextQuery() {
        sluice.folder(pod("a"), POLICY);
        assertThat(mayAsk(RESOLVER, "api.example.com.")).isTrue();
        assertThat(mayAsk(RESOLVER, "web.example.com.")).isFalse();
        assertThat(mayAsk(OTHER_RESOLVER, "api.example.com.")).isFalse();

        sluice.folder(pod("a"), POLICY.replace("api.", "web."));
        assertThat(mayAsk(RESOLVER, "api.example.com.")).isFalse();
        assertThat(mayAsk(RESOLVER, "web.example.com.")).isTrue();
    }

    @Test
    void aServerWhoseAddressIsLearnedMayBeAskedAtOnceThoughTheRevisionStays() {
        sluice.folder(pod("a"), BY_NAME);
        sluice.names.learned(1, "shop/a", "dns.example.com.", List.of(OTHER_RESOLVER));
        sluice.runTasks();
        final int revision = sluice.publisher.live().revision();
        assertThat(mayAsk(RESOLVER, "api.example.com.")).isFalse();

        sluice.names.learned(2, "shop/a", "dns.example.com.", List.of(RESOLVER));
        sluice.runTasks();
        assertThat(sluice.publisher.live().revision()).isEqualTo(revision);
        assertThat(mayAsk(RESOLVER, "api.example.com.")).isTrue();
    }

    @Test
    void anEndpointIsFoundWhenItComesAndNotAnyMoreWhenItIsGone() {
        sluice.folder(POLICY);
        assertThat(policy.endpointAt(A)).isEmpty();

        sluice.folder(pod("a"), POLICY);
        assertThat(policy.endpointAt(A)).contains("shop/a");
        assertThat(policy.lookupEndpoint(A)).contains("shop/a");

        sluice.folder(POLICY);
        assertThat(policy.endpointAt(A)).isEmpty();
    }
}
