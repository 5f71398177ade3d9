package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** The words of a difference against probes of both worlds, over random pairs of worlds. */
final class PolicyDiffAgreesWithProbesTest {
    private static final int PAIRS = 30;

    private static final List<Traffic> TRAFFIC =
            List.of(
                    new Traffic(IpProtocol.TCP, 79),
                    new Traffic(IpProtocol.TCP, 80),
                    new Traffic(IpProtocol.TCP, 81),
                    new Traffic(IpProtocol.TCP, 82),
                    new Traffic(IpProtocol.UDP, 80),
                    new Traffic(IpProtocol.UDP, 81),
                    new Traffic(IpProtocol.SCTP, 80),
                    new Traffic(IpProtocol.ICMP, 8 << 8),
                    new Traffic(IpProtocol.ICMPV6, 128 << 8),
                    new Traffic(IpProtocol.ICMPV6, 1 << 8),
                    new Traffic(47, 0));

    /** Protocol, destination ports, source ports. */
    private static final Pattern GROUP =
            Pattern.compile(
                    "(TCP|UDP|SCTP|ICMPv6|ICMP|protocol \\d+) ?(.*?)(?: ?\\(source port (.*)\\))?");

    /** What a probe has that names none. */
    private static final int SOURCE_PORT = 49_152;

    /** Port: type * 256 + code for ICMP. */
    private record Traffic(int protocol, int port) {}

    /** An end over one family; its address in a world where it exists there. */
    private record End(String name, boolean pod, Optional<IpAddress> old, Optional<IpAddress> now) {
        boolean isIpv4() {
            return old.or(() -> now).orElseThrow().isIpv4();
        }
    }

    private record Side(World world, PolicyEvaluator evaluator) {
        static Side of(final String manifests) {
            final World world = World.of(ManifestReader.read("world", manifests).objects());
            return new Side(
                    world,
                    new PolicyEvaluator(
                            world,
                            PolicyCompiler.compile(
                                    world, new IdentityAllocator(), PolicyOptions.DEFAULTS)));
        }

        boolean allows(
                final Optional<IpAddress> from, final Optional<IpAddress> to, final Traffic traffic)
                throws ProbeException {
            if (from.isEmpty() || to.isEmpty()) {
                return false;
            }
            final boolean icmp = IpProtocol.isIcmp(traffic.protocol);
            return evaluator
                    .evaluate(
                            new Probe(
                                    from.get().toString(),
                                    to.get().toString(),
                                    Integer.toString(traffic.protocol),
                                    icmp || traffic.protocol == 47
                                            ? ""
                                            : Integer.toString(traffic.port),
                                    Probe.NOT_GIVEN,
                                    icmp ? traffic.port >> 8 : Probe.NOT_GIVEN,
                                    icmp ? traffic.port & 255 : Probe.NOT_GIVEN,
                                    Map.of()))
                    .allowed();
        }
    }

    @Test
    void whatTheDifferenceSaysIsWhatProbesOfBothWorldsSay() throws ProbeException {
        int same = 0;
        int different = 0;
        for (int seed = 0; seed < PAIRS; seed++) {
            final String oldText = RandomWorld.manifests(seed);
            // Every other pair shares its cluster, and so differs in policies only.
            final String newText =
                    seed % 2 == 0
                            ? RandomWorld.manifests(seed + 1000)
                            : cluster(oldText) + policies(RandomWorld.manifests(seed + 1000));
            final Side old = Side.of(oldText);
            final Side now = Side.of(newText);
            final PolicyDiff diff = diff(old, now);
            final List<End> ends = ends(old.world, now.world);
            for (final End from : ends) {
                for (final End to : ends) {
                    if (from.isIpv4() != to.isIpv4()
                            || from.name.equals(to.name)
                            || !(from.pod || to.pod)) {
                        continue;
                    }
                    final List<PolicyDiff.Change> changes = changes(diff, from, to);
                    assertThat(changes).hasSizeLessThanOrEqualTo(1);
                    for (final Traffic traffic : TRAFFIC) {
                        final int otherIcmp = from.isIpv4() ? IpProtocol.ICMPV6 : IpProtocol.ICMP;
                        if (traffic.protocol == otherIcmp) {
                            continue;
                        }
                        final boolean before = old.allows(from.old, to.old, traffic);
                        final boolean after = now.allows(from.now, to.now, traffic);
                        final String pair = "seed " + seed + ": " + from + " -> " + to;

                        if (changes.isEmpty()) {
                            assertThat(after)
                                    .as("%s %s %s", pair, traffic, changes)
                                    .isEqualTo(before);
                        } else {
                            assertThat(contains(changes.getFirst().before(), traffic))
                                    .as("%s %s %s", pair, traffic, changes)
                                    .isEqualTo(before);
                            assertThat(contains(changes.getFirst().after(), traffic))
                                    .as("%s %s %s", pair, traffic, changes)
                                    .isEqualTo(after);
                        }
                        same += before == after ? 1 : 0;
                        different += before == after ? 0 : 1;
                    }
                }
            }
        }
        assertThat(same).isGreaterThan(10_000);
        assertThat(different).isGreaterThan(10_000);
    }

    private static PolicyDiff diff(final Side old, final Side now) {
        return PolicyDiff.of(
                old.world,
                PolicyCompiler.compile(old.world, new IdentityAllocator(), PolicyOptions.DEFAULTS),
                now.world,
                PolicyCompiler.compile(now.world, new IdentityAllocator(), PolicyOptions.DEFAULTS),
                PolicyDiff.Authors.IGNORED);
    }

    private static String cluster(final String manifests) {
        return documents(manifests, false);
    }

    private static String policies(final String manifests) {
        return documents(manifests, true);
    }

    private static String documents(final String manifests, final boolean policies) {
        final StringBuilder text = new StringBuilder();
        for (final String document : manifests.split("---\n", -1)) {
            if (document.contains("NetworkPolicy") == policies) {
                text.append("---\n").append(document);
            }
        }
        return text.toString();
    }

    private static List<End> ends(final World old, final World now) {
        final Map<String, End> ends = new LinkedHashMap<>();
        for (final World world : List.of(old, now)) {
            for (final Pod pod : world.pods().stream().filter(Pod::isEndpoint).toList()) {
                for (final IpAddress address : pod.addresses()) {
                    // A pod that has the family in one world only is told by what it still has.
                    if (existsInOnlyOne(pod.ref(), address.isIpv4(), old, now)) {
                        continue;
                    }
                    ends.put(
                            pod.ref().path() + address.isIpv4(),
                            new End(
                                    pod.ref().path(),
                                    true,
                                    address(old, pod.ref(), address.isIpv4()),
                                    address(now, pod.ref(), address.isIpv4())));
                }
            }
        }
        final List<String> outside = new ArrayList<>(RandomWorld.OUTSIDE);
        outside.addAll(RandomWorld.NODES);
        for (final String text : outside) {
            final Optional<IpAddress> address = IpAddress.parse(text);
            ends.put(text, new End(text, false, address, address));
        }
        return List.copyOf(ends.values());
    }

    private static boolean existsInOnlyOne(
            final ObjectRef ref, final boolean ipv4, final World old, final World now) {
        final boolean lostOrWon =
                address(old, ref, ipv4).isPresent() != address(now, ref, ipv4).isPresent();
        return lostOrWon && old.lookup(ref).isPresent() && now.lookup(ref).isPresent();
    }

    private static Optional<IpAddress> address(
            final World world, final ObjectRef ref, final boolean ipv4) {
        return world.lookupPod(ref.namespace(), ref.name()).stream()
                .flatMap(pod -> pod.addresses().stream())
                .filter(address -> address.isIpv4() == ipv4)
                .findFirst();
    }

    private static List<PolicyDiff.Change> changes(
            final PolicyDiff diff, final End from, final End to) {
        final String otherFamily = from.isIpv4() ? "over IPv6" : "over IPv4";
        return diff.changes().stream()
                .filter(change -> !change.notes().contains(otherFamily))
                .filter(change -> isAmong(from, change.sources()))
                .filter(change -> isAmong(to, change.destinations()))
                .toList();
    }

    private static boolean isAmong(final End end, final PolicyDiff.Ends ends) {
        if (end.pod) {
            return ends.members().contains(end.name);
        }
        final IpAddress address = end.old.orElseThrow();
        return ends.members().stream().anyMatch(member -> contains(member, address));
    }

    private static boolean contains(final String range, final IpAddress address) {
        final Optional<Cidr> prefix = Cidr.parse(range);
        if (prefix.isPresent()) {
            return prefix.get().contains(address);
        }
        final String[] ends = range.split("-", 2);
        final Optional<IpAddress> first = IpAddress.parse(ends[0]);
        return first.isPresent()
                && first.get().isIpv4() == address.isIpv4()
                && first.get().compareTo(address) <= 0
                && address.compareTo(IpAddress.parse(ends[1]).orElseThrow()) <= 0;
    }

    // The words, read back.

    private static boolean contains(final String text, final Traffic traffic) {
        final String all = "All Connections";
        if (text.startsWith(all)) {
            return text.equals(all)
                    || !contains(text.substring((all + " except ").length()), traffic);
        }
        if (text.equals("No Connections")) {
            return false;
        }
        for (final String group : text.split(",(?=TCP|UDP|SCTP|ICMP|protocol )", -1)) {
            final Matcher parts = GROUP.matcher(group);
            assertThat(parts.matches()).as(group).isTrue();
            if (parts.group(1).equals(name(traffic.protocol))
                    && isAnyOf(parts.group(2), span -> holds(span, traffic))
                    && isAnyOf(parts.group(3), span -> inSpan(span, SOURCE_PORT))) {
                return true;
            }
        }
        return false;
    }

    /** Whether one of some texts, with commas between them, holds; none at all is everything. */
    private static boolean isAnyOf(final @Nullable String texts, final Predicate<String> holds) {
        return texts == null || texts.isEmpty() || Stream.of(texts.split(",", -1)).anyMatch(holds);
    }

    private static String name(final int protocol) {
        return protocol == 47 ? "protocol 47" : IpProtocol.nameOf(protocol);
    }

    private static boolean holds(final String numbers, final Traffic traffic) {
        if (!numbers.startsWith("type ")) {
            return inSpan(numbers, traffic.port);
        }
        final String[] parts = numbers.split(" ", -1);
        return inSpan(parts[1], traffic.port >> 8)
                && (parts.length == 2 || inSpan(parts[3], traffic.port & 255));
    }

    private static boolean inSpan(final String span, final int number) {
        final String[] ends = span.split("-", 2);
        return Integer.parseInt(ends[0]) <= number
                && number <= Integer.parseInt(ends[ends.length - 1]);
    }
}
