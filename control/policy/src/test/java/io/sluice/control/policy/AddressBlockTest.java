package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

final class AddressBlockTest {
    private static Set<Cidr> prefixes(final String... texts) {
        return Stream.of(texts)
                .map(text -> Cidr.parse(text).orElseThrow())
                .collect(Collectors.toSet());
    }

    private static List<String> blocks(final Set<Cidr> prefixes, final Set<Cidr> endpoints) {
        return AddressBlock.of(prefixes, endpoints).stream()
                .map(block -> block.ranges().toString())
                .sorted()
                .toList();
    }

    @Test
    void aBlockIsItsPrefixWithoutTheMoreSpecificOnes() {
        assertThat(
                        blocks(
                                prefixes(
                                        "0.0.0.0/0",
                                        "10.0.0.0/8",
                                        "10.1.0.0/16",
                                        "::/0",
                                        "fd00::/8"),
                                Set.of()))
                .containsExactly(
                        "[0.0.0.0-9.255.255.255, 11.0.0.0-255.255.255.255]",
                        "[10.0.0.0/16, 10.2.0.0-10.255.255.255]",
                        "[10.1.0.0/16]",
                        "[::-fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, fe00::/7]",
                        "[fd00::/8]");
    }

    @Test
    void aPrefixThatOthersCoverIsNoBlock() {
        assertThat(blocks(prefixes("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"), Set.of()))
                .containsExactly("[10.0.0.0/9]", "[10.128.0.0/9]");
    }

    @Test
    void endpointsCutNothingOutButAreNoMembers() {
        final List<AddressBlock> blocks =
                AddressBlock.of(
                        prefixes("10.0.0.0/31", "10.0.0.8/31", "10.0.0.8/32"),
                        prefixes("10.0.0.0/32", "10.0.0.8/32", "10.0.0.9/32"));

        assertThat(blocks)
                .singleElement()
                .satisfies(
                        block -> {
                            assertThat(block.ranges()).hasToString("[10.0.0.0/31]");
                            assertThat(block.member()).hasToString("10.0.0.1");
                        });
    }

    @Test
    void neighboursAreJoinedAndReadAsPrefixesWhereTheyAreOne() {
        final List<AddressRange> ranges =
                Stream.of("10.0.1.0/24", "10.0.0.0/24", "10.0.3.0/24", "::/1", "8000::/1")
                        .map(text -> AddressRange.of(Cidr.parse(text).orElseThrow()))
                        .toList();

        assertThat(AddressRange.joined(ranges)).hasToString("[10.0.0.0/23, 10.0.3.0/24, ::/0]");
    }
}
