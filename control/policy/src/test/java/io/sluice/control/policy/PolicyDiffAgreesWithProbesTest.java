package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The words of a difference against probes of both worlds, over random pairs of worlds. */
final class PolicyDiffAgreesWithProbesTest {
    private static final int PAIRS = 30;

    private static final Pattern CLUSTER =
            Pattern.compile("kind: (Namespace|Node|Pod|ServiceAccount|Service|EndpointSlice),");

    private static final int CLIENT_PORT = 50_000;

    private static final List<Traffic> TRAFFIC =
            List.of(
                    new Traffic(IpProtocol.TCP, 79, CLIENT_PORT),
                    new Traffic(IpProtocol.TCP, 80, CLIENT_PORT),
                    new Traffic(IpProtocol.TCP, 80, 80),
                    new Traffic(IpProtocol.TCP, 81, CLIENT_PORT),
                    new Traffic(IpProtocol.TCP, 82, CLIENT_PORT),
                    new Traffic(IpProtocol.UDP, 80, CLIENT_PORT),
                    new Traffic(IpProtocol.UDP, 81, 81),
                    new Traffic(IpProtocol.SCTP, 80, CLIENT_PORT),
                    new Traffic(IpProtocol.ICMP, 8 << 8, 0),
                    new Traffic(IpProtocol.ICMP, (3 << 8) + 1, 0),
                    new Traffic(IpProtocol.ICMPV6, 128 << 8, 0),
                    new Traffic(IpProtocol.ICMPV6, 1 << 8, 0),
                    new Traffic(47, 0, 0));

    /** Port: type * 256 + code for ICMP. */
    private record Traffic(int protocol, int port, int sourcePort) {}

    /** An end over one family; its address in a world where it exists there. */
    private record End(String name, boolean pod, Optional<IpAddress> old, Optional<IpAddress> now) {
        boolean isIpv4() {
            return old.or(() -> now).orElseThrow().isIpv4();
        }

        boolean lacksFamily(final World oldWorld, final World newWorld) {
            return pod
                    && ((old.isEmpty() && isEndpoint(oldWorld))
                            || (now.isEmpty() && isEndpoint(newWorld)));
        }

        private boolean isEndpoint(final World world) {
            final String[] path = name.split("/", 2);
            return world.lookupPod(path[0], path[1]).filter(Pod::isEndpoint).isPresent();
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

        /** What passes as it is, and with the staged policies. */
        Passing passing(
                final Optional<IpAddress> from, final Optional<IpAddress> to, final Traffic traffic)
                throws ProbeException {
            if (from.isEmpty() || to.isEmpty()) {
                return new Passing(false, false);
            }
            final boolean icmp = IpProtocol.isIcmp(traffic.protocol);
            final Evaluation answer =
                    evaluator.evaluate(
                            new Probe(
                                    from.get().toString(),
                                    to.get().toString(),
                                    Integer.toString(traffic.protocol),
                                    icmp || traffic.protocol == 47
                                            ? ""
                                            : Integer.toString(traffic.port),
                                    traffic.sourcePort == 0 ? Probe.NOT_GIVEN : traffic.sourcePort,
                                    icmp ? traffic.port >> 8 : Probe.NOT_GIVEN,
                                    icmp ? traffic.port & 255 : Probe.NOT_GIVEN,
                                    Map.of()));
            return new Passing(
                    answer.allowed(),
                    answer.pending().map(Evaluation.Pending::allowed).orElse(answer.allowed()));
        }
    }

    private record Passing(boolean enforced, boolean staged) {}

    @Test
    void whatTheDifferenceSaysIsWhatProbesOfBothWorldsSay() throws ProbeException {
        int same = 0;
        int different = 0;
        int differentIfStaged = 0;
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
                    // A pod that one world has over the other family only is compared as it is.
                    if (from.lacksFamily(old.world, now.world)
                            || to.lacksFamily(old.world, now.world)) {
                        continue;
                    }
                    if (from.isIpv4() != to.isIpv4()
                            || from.name.equals(to.name)
                            || !(from.pod || to.pod)) {
                        continue;
                    }
                    final List<PolicyDiff.Change> changes = changes(diff, from, to, false);
                    assertThat(changes).hasSizeLessThanOrEqualTo(1);
                    final List<PolicyDiff.Change> staged = changes(diff, from, to, true);
                    assertThat(staged).hasSizeLessThanOrEqualTo(1);
                    boolean stagedDiffer = false;
                    boolean stagedMatter = false;
                    for (final Traffic traffic : TRAFFIC) {
                        final int otherIcmp = from.isIpv4() ? IpProtocol.ICMPV6 : IpProtocol.ICMP;
                        if (traffic.protocol == otherIcmp) {
                            continue;
                        }
                        final Passing then = old.passing(from.old, to.old, traffic);
                        final Passing since = now.passing(from.now, to.now, traffic);
                        final boolean before = then.enforced;
                        final boolean after = since.enforced;
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
                        stagedDiffer |= then.staged != since.staged;
                        stagedMatter |= then.staged != before || since.staged != after;
                        if (!staged.isEmpty()) {
                            assertThat(contains(staged.getFirst().before(), traffic))
                                    .as("%s %s %s", pair, traffic, staged)
                                    .isEqualTo(then.staged);
                            assertThat(contains(staged.getFirst().after(), traffic))
                                    .as("%s %s %s", pair, traffic, staged)
                                    .isEqualTo(since.staged);
                            differentIfStaged++;
                        }
                    }
                    if (staged.isEmpty()) {
                        assertThat(stagedDiffer && stagedMatter)
                                .as("seed %s: %s -> %s", seed, from, to)
                                .isFalse();
                    }
                }
            }
        }
        assertThat(same).isGreaterThan(10_000);
        assertThat(different).isGreaterThan(10_000);
        assertThat(differentIfStaged).isGreaterThan(1_000);
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
            if (CLUSTER.matcher(document).find() != policies) {
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
        outside.addAll(RandomWorld.SECOND_INTERFACES);
        for (final String text : outside) {
            final Optional<IpAddress> address = IpAddress.parse(text);
            ends.put(text, new End(text, false, address, address));
        }
        return List.copyOf(ends.values());
    }

    private static Optional<IpAddress> address(
            final World world, final ObjectRef ref, final boolean ipv4) {
        return world.lookupPod(ref.namespace(), ref.name()).filter(Pod::isEndpoint).stream()
                .flatMap(pod -> pod.addresses().stream())
                .filter(address -> address.isIpv4() == ipv4)
                .findFirst();
    }

    private static List<PolicyDiff.Change> changes(
            final PolicyDiff diff, final End from, final End to, final boolean staged) {
        final String otherFamily = from.isIpv4() ? "over IPv6" : "over IPv4";
        return diff.changes().stream()
                .filter(change -> !change.notes().contains(otherFamily))
                .filter(change -> change.notes().contains("with the staged policies") == staged)
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

    private static final Pattern PART =
            Pattern.compile(
                    "(TCP|UDP|SCTP|ICMPv6|ICMP|protocol \\d+)"
                            + "(?: ([\\d,-]+|type [\\d,\\- typecod]+))?"
                            + "(?: \\(source port ([\\d,-]+)\\))?"
                            + "(?:,(?=[A-Zp])|$)");

    private static boolean contains(final String text, final Traffic traffic) {
        final String all = "All Connections";
        if (text.startsWith(all)) {
            return text.equals(all)
                    || !contains(text.substring((all + " except ").length()), traffic);
        }
        if (text.equals("No Connections")) {
            return false;
        }
        final Matcher parts = PART.matcher(text);
        int end = 0;
        boolean found = false;
        while (end < text.length() && parts.find(end)) {
            assertThat(parts.start()).as(text).isEqualTo(end);
            end = parts.end();
            final Optional<String> sources = Optional.ofNullable(parts.group(3));
            found |=
                    parts.group(1).equals(name(traffic.protocol))
                            && holds(Optional.ofNullable(parts.group(2)).orElse(""), traffic)
                            && sources.map(ports -> inSpans(ports, traffic.sourcePort))
                                    .orElse(true);
        }
        assertThat(end).as(text).isEqualTo(text.length());
        return found;
    }

    private static String name(final int protocol) {
        return protocol == 47 ? "protocol 47" : IpProtocol.nameOf(protocol);
    }

    private static boolean holds(final String numbers, final Traffic traffic) {
        if (numbers.isEmpty()) {
            return true;
        }
        if (!numbers.startsWith("type ")) {
            return inSpans(numbers, traffic.port);
        }
        for (final String item : numbers.split(",", -1)) {
            final String[] parts = item.split(" ", -1);
            if (inSpan(parts[1], traffic.port >> 8)
                    && (parts.length == 2 || inSpan(parts[3], traffic.port & 255))) {
                return true;
            }
        }
        return false;
    }

    private static boolean inSpans(final String spans, final int number) {
        for (final String span : spans.split(",", -1)) {
            if (inSpan(span, number)) {
                return true;
            }
        }
        return false;
    }

    private static boolean inSpan(final String span, final int number) {
        final String[] ends = span.split("-", 2);
        return Integer.parseInt(ends[0]) <= number
                && number <= Integer.parseInt(ends[ends.length - 1]);
    }
}
