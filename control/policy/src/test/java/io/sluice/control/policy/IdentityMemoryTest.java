package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.IdentityAllocator.Range;
import io.sluice.dnsproxy.rule.NamePattern;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class IdentityMemoryTest {
    /** What a state folder would hold. */
    private static final class Memory implements IdentityMemory {
        private final Map<Integer, String> facts = new LinkedHashMap<>();

        @Override
        public Map<String, Integer> recall() {
            final Map<String, Integer> numbers = new HashMap<>();
            facts.forEach((number, text) -> numbers.put(text, number));
            return numbers;
        }

        @Override
        public void remember(final String text, final int number) {
            assertThat(facts.put(number, text)).as("a number given twice").isNull();
        }

        @Override
        public void forget(final int number) {
            facts.remove(number);
        }
    }

    private static int number(final IdentityAllocator allocator, final String peer) {
        return allocator.number(Range.CLUSTER, peer, () -> peer);
    }

    @Test
    void aPeerHasItsNumberAgainAfterARestartInWhateverOrderPeersCome() {
        final Memory memory = new Memory();
        final IdentityAllocator before = new IdentityAllocator(memory);
        before.beginCompile();
        final Map<String, Integer> numbers = new HashMap<>();
        for (int i = 0; i < 100; i++) {
            numbers.put("peer-" + i, number(before, "peer-" + i));
        }
        final IdentityAllocator after = new IdentityAllocator(memory);
        after.beginCompile();
        final List<String> peers = new ArrayList<>(numbers.keySet());
        Collections.shuffle(peers, new Random(4));
        for (final String peer : peers) {
            assertThat(number(after, peer)).isEqualTo(numbers.get(peer));
        }
    }

    @Test
    void aNewPeerDoesNotGetTheNumberOfOneThatHasNotComeBack() {
        final Memory memory = new Memory();
        final IdentityAllocator before = new IdentityAllocator(memory);
        before.beginCompile();
        final int first = number(before, "first");
        final IdentityAllocator after = new IdentityAllocator(memory);
        after.beginCompile();
        assertThat(number(after, "second")).isNotEqualTo(first);
        assertThat(number(after, "first")).isEqualTo(first);
    }

    @Test
    void peersThatDoNotComeBackAreForgottenInTheEndAndTheMemoryWithThem() {
        final Memory memory = new Memory();
        final IdentityAllocator before = new IdentityAllocator(memory);
        before.beginCompile();
        number(before, "stays");
        number(before, "gone");
        final IdentityAllocator after = new IdentityAllocator(memory);
        for (int i = 0; i <= IdentityAllocator.COMPILES_REMEMBERED; i++) {
            after.beginCompile();
            number(after, "stays");
        }
        assertThat(memory.recall()).containsOnlyKeys("stays");
    }

    @Test
    void aNumberThatBelongsToNoRangeIsForgotten() {
        final Memory memory = new Memory();
        memory.facts.put(7, "reserved");
        memory.facts.put(Identity.NODE_END, "beyond");
        final IdentityAllocator allocator = new IdentityAllocator(memory);
        allocator.beginCompile();
        assertThat(memory.recall()).isEmpty();
        assertThat(number(allocator, "reserved")).isEqualTo(Identity.CLUSTER_FIRST);
    }

    /** The very text: other versions of Sluice have written it into state folders. */
    @Test
    void theTextOfFactsIsTheSameInAllVersions() {
        final PeerFacts facts =
                new PeerFacts(
                        PeerFacts.Kind.POD,
                        Map.of("k8s:app", "web", "k8s:note", "a\tb\\n\n"),
                        "",
                        Set.of(new Pod.NamedPort("http", 6, 8080)),
                        Set.of(Cidr.parse("10.0.0.0/8").orElseThrow()),
                        Set.of(NamePattern.parse("*.example.com")));
        assertThat(facts.canonicalText())
                .isEqualTo(
                        """
                        pod
                        fqdn\t*.example.com.
                        in\t10.0.0.0/8
                        label\tk8s:app\tweb
                        label\tk8s:note\ta\\tb\\\\n\\n
                        port\thttp\t6\t8080""");
        assertThat(
                        new PeerFacts(
                                        PeerFacts.Kind.NODE,
                                        Map.of("reserved:host", ""),
                                        "node-1",
                                        Set.of(),
                                        Set.of(),
                                        Set.of())
                                .canonicalText())
                .isEqualTo("node\nlabel\treserved:host\t\nnode\tnode-1");
    }

    @Test
    void equalFactsHaveOneTextAndOthersHaveOthers() {
        final Random random = new Random(20_261_127);
        final Map<PeerFacts, String> texts = new HashMap<>();
        final Set<String> distinct = new HashSet<>();
        for (int i = 0; i < 20_000; i++) {
            final PeerFacts facts = facts(random);
            final String text = facts.canonicalText();
            final String before = texts.put(facts, text);
            if (before == null) {
                assertThat(distinct.add(text)).as("%s", facts).isTrue();
            } else {
                assertThat(text).isEqualTo(before);
            }
        }
        assertThat(texts).hasSizeBetween(1_000, 19_000);
    }

    private static PeerFacts facts(final Random random) {
        final List<String> words = List.of("", "a", "\t", "\n", "\\", "\\t", "a\tb");
        final Map<String, String> labels = new HashMap<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            labels.put(
                    words.get(random.nextInt(words.size())),
                    words.get(random.nextInt(words.size())));
        }
        final Set<Pod.NamedPort> ports = new HashSet<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            ports.add(new Pod.NamedPort("p" + random.nextInt(2), 6, 1 + random.nextInt(2)));
        }
        final Set<Cidr> prefixes = new HashSet<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            prefixes.add(Cidr.around(IpAddress.ofIpv4(random.nextInt()), random.nextInt(3)));
        }
        return new PeerFacts(
                List.of(PeerFacts.Kind.values()).get(random.nextInt(3)),
                labels,
                words.get(random.nextInt(2)),
                ports,
                prefixes,
                random.nextBoolean() ? Set.of() : Set.of(NamePattern.parseName("x.example")));
    }
}
