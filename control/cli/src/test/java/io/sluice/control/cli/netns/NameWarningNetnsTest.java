package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The classic mistake: names in a policy, and no rule by which they could be learned. */
@Tag("netns")
class NameWarningNetnsTest {
    @Test
    void namesWithoutADnsRuleAreWarnedAboutAtLoadUntilThereIsOne() throws IOException {
        try (TestNode node = new TestNode()) {
            node.save(
                    "names.yaml",
                    Files.readString(
                            TestNode.root()
                                    .resolve("examples/seeds/cilium-in-practice")
                                    .resolve("11-names-without-dns-rule/policy.yaml")));
            node.startDaemon();
            assertThat(node.sluice("status"))
                    .contains("names.yaml:")
                    .contains("toFQDNs: warning: no policy has DNS rules");

            node.save(
                    "names.yaml",
                    Files.readString(
                            TestNode.root()
                                    .resolve("examples/seeds/cilium-in-practice")
                                    .resolve("10-names/policy.yaml")));
            TestNode.await(
                    "the warning is gone",
                    () -> !node.text("/v1/status").contains("no policy has DNS rules"));
        }
    }
}
