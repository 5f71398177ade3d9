package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.conntrack.FlowEntry;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PersistentMap;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.World;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.dataplane.Packet;
import io.sluice.dataplane.TrafficDirection;
import io.sluice.dataplane.table.PolicyEntry;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class FlowWordsTest {
    private static final Instant NOW = Instant.parse("2026-03-01T08:00:00Z");
    private static final long LANE_NOW_NS = TimeUnit.MINUTES.toNanos(90);
    private static final int[] PROTOCOLS = {0, 1, 6, 17, 58, 132};
    private static final IpAddress OUTSIDE = IpAddress.ofIpv4(0xc6336401);

    /** More than are kept. */
    private final List<LivePolicy> policies =
            List.of(
                    policy(1, 12, "a", Map.of()),
                    policy(2, 8, "b", Map.of(OUTSIDE, Set.of("old.example."))),
                    policy(3, 20, "c", Map.of()),
                    policy(4, 4, "d", Map.of()),
                    policy(5, 6, "e", Map.of()),
                    policy(6, 16, "f", Map.of(OUTSIDE, Set.of("z.example.", "new.example."))));

    private static LivePolicy policy(
            final int revision,
            final int pods,
            final String name,
            final Map<IpAddress, Set<String>> names) {
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < pods; i++) {
            text.append(
                    "---\n{apiVersion: v1, kind: Pod, metadata: {name: %s%d, namespace: n%d, labels: {app: a%d}}, status: {podIP: 10.0.0.%d}}\n"
                            .formatted(name, i, i % 3, i / 2, i + 1));
        }
        final World world =
                World.of(ManifestReader.read("pods.yaml", text.toString()).objects())
                        .withChangedNames(names);
        final PolicySet compiled =
                PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS);
        final Map<Integer, Identity> identities = new HashMap<>();
        compiled.identities().forEach(known -> identities.put(known.number(), known));
        final List<Decision> decisions = new ArrayList<>();
        decisions.add(Decision.DEFAULT);
        for (int i = 1; i < 6; i++) {
            decisions.add(
                    new Decision(
                            author(name + i, 7 * i),
                            i % 3 == 0 ? Optional.of(author("audited" + i, i)) : Optional.empty()));
        }
        final Map<IpAddress, Integer> endpoints = new HashMap<>();
        for (int i = 0; i < pods / 2; i++) {
            endpoints.put(IpAddress.ofIpv4(0x0a000001 + i), i + 1);
        }
        return new LivePolicy(
                revision,
                Instant.EPOCH,
                0,
                world,
                compiled,
                new PolicyEvaluator(world, compiled),
                decisions,
                identities,
                PersistentMap.empty(),
                endpoints);
    }

    private static Author author(final String name, final int line) {
        return new Author(
                Author.Origin.RULE,
                "default",
                "NetworkPolicy",
                "n1",
                name,
                0,
                "ingress",
                "policies.yaml",
                line);
    }

    private LivePolicy ofRevision(final int revision) {
        return policies.get(Math.clamp(revision, 1, policies.size()) - 1);
    }

    private FlowWords words() {
        return new FlowWords("node-1", this::ofRevision, () -> LANE_NOW_NS, () -> NOW);
    }

    /** The same events by one who remembers, and each by another who has met nobody yet. */
    @Test
    void whoWasMetBeforeIsToldOfAsByTheFirstEvent() {
        final Random random = new Random(3);
        final FlowWords remembering = words();
        for (int i = 0; i < 40_000; i++) {
            if (i % 50 == 0) {
                remembering.beginBatch();
            }
            final FlowRecorder.Slot slot = random.nextInt(3) == 0 ? end(random) : packet(random);
            final FlowWords fresh = words();
            fresh.beginBatch();

            assertThat(withoutId(tell(remembering, slot, i)))
                    .as("event %d", i)
                    .isEqualTo(withoutId(tell(fresh, slot, i)));
        }
    }

    private static Flow tell(
            final FlowWords words, final FlowRecorder.Slot slot, final long sequence) {
        return slot.end == null
                ? words.packet(slot, sequence)
                : words.end(slot, slot.end, sequence);
    }

    /** Its upper half is by the dice. */
    private static Flow withoutId(final Flow flow) {
        return Flows.withId(flow, new FlowId(0, flow.id().low()));
    }

    private FlowRecorder.Slot packet(final Random random) {
        final FlowRecorder.Slot slot = addresses(random);
        slot.opened = random.nextInt(3) > 0;
        slot.reason =
                slot.opened ? DropReason.NONE : pick(random, DropReason.values(), DropReason.NONE);
        final Packet.Known[] known = Packet.Known.values();
        slot.known = known[random.nextInt(known.length)];
        slot.sourceMac = 0x0200_0000_0000L + random.nextInt(3);
        slot.destinationMac = 0x0200_0000_0100L + random.nextInt(3);
        slot.icmp = slot.protocol == 1 || slot.protocol == 58;
        slot.icmpTypeCode = random.nextInt(65_536);
        slot.tcpFlags = random.nextInt(512);
        slot.inPort = random.nextInt(9);
        slot.fromInitiator = random.nextBoolean();
        slot.direction = random.nextBoolean() ? TrafficDirection.EGRESS : TrafficDirection.INGRESS;
        final int rule = random.nextInt(9);
        slot.egressEntry =
                switch (random.nextInt(4)) {
                    case 0 -> PolicyEntry.deny(DropReason.POLICY_DENIED.code(), rule);
                    case 1 -> PolicyEntry.redirect(rule);
                    default -> PolicyEntry.allow(rule);
                };
        slot.ingressEntry = PolicyEntry.allow(random.nextInt(9));
        slot.lengthBytes = random.nextInt(1_500);
        return slot;
    }

    private FlowRecorder.Slot end(final Random random) {
        final FlowRecorder.Slot slot = addresses(random);
        slot.end = pick(random, FlowEnd.values(), FlowEnd.CUT);
        slot.redirected = random.nextBoolean();
        slot.cutReason = random.nextInt(4) == 0 ? DropReason.POLICY_DENIED.code() : 0;
        slot.createdNs = random.nextLong(LANE_NOW_NS);
        slot.lastPacketNs = slot.createdNs + random.nextInt(1_000_000);
        slot.initiatorPackets = random.nextInt(100);
        slot.initiatorBytes = random.nextInt(100_000);
        slot.responderPackets = random.nextInt(100);
        slot.responderBytes = random.nextInt(100_000);
        if (random.nextInt(10) == 0) {
            slot.revision = FlowEntry.NO_REVISION;
        }
        return slot;
    }

    private FlowRecorder.Slot addresses(final Random random) {
        final FlowRecorder.Slot slot = new FlowRecorder.Slot();
        if (random.nextInt(5) == 0) {
            slot.sourceHigh = 0x2001_0db8_0000_0000L;
            slot.destinationHigh = 0x2001_0db8_0000_0000L;
        }
        slot.sourceLow = address(random);
        slot.destinationLow = address(random);
        slot.protocol = PROTOCOLS[random.nextInt(PROTOCOLS.length)];
        slot.sourcePort = random.nextInt(4);
        slot.destinationPort = random.nextInt(4);
        // Mostly one revision after the other, as they come; and some of long ago.
        slot.revision = 1 + random.nextInt(random.nextInt(policies.size()) + 1);
        slot.sourceIdentity = identity(random, slot.sourceHigh, slot.sourceLow);
        slot.destinationIdentity = identity(random, slot.destinationHigh, slot.destinationLow);
        slot.atNs = LANE_NOW_NS - random.nextInt(3) * 1_000L;
        return slot;
    }

    /** A pod, somebody outside, or one of more strangers than are kept. */
    private static long address(final Random random) {
        return switch (random.nextInt(4)) {
            case 0 -> OUTSIDE.low();
            case 1 -> IpAddress.ofIpv4(0x0b000000 + random.nextInt(20_000)).low();
            default -> IpAddress.ofIpv4(0x0a000001 + random.nextInt(20)).low();
        };
    }

    private int identity(final Random random, final long high, final long low) {
        return switch (random.nextInt(4)) {
            case 0 -> 0;
            case 1 -> 9_999;
            default ->
                    ofRevision(1 + random.nextInt(policies.size()))
                            .identityOf(new IpAddress(high, low));
        };
    }

    private static <E> E pick(final Random random, final E[] values, final E instead) {
        final int index = random.nextInt(values.length);
        return index == 0 ? instead : values[index];
    }

    @Test
    void aNameThatWasLearnedUnderTheSameRevisionIsToldWithTheNextBatch() {
        final LivePolicy before = policy(1, 2, "a", Map.of());
        final LivePolicy after = policy(1, 2, "a", Map.of(OUTSIDE, Set.of("new.example.")));
        final List<LivePolicy> now = new ArrayList<>(List.of(before));
        final FlowWords words =
                new FlowWords("node-1", revision -> now.getFirst(), () -> LANE_NOW_NS, () -> NOW);
        final FlowRecorder.Slot slot = toOutside();
        words.beginBatch();
        assertThat(words.packet(slot, 0).destination().names()).isEmpty();

        now.set(0, after);
        words.beginBatch();
        assertThat(words.packet(slot, 1).destination().names()).containsExactly("new.example");
    }

    @Test
    void theDateIsThatOfTheWallClockLessTheAgeByTheLanes() {
        final FlowWords words = words();
        final FlowRecorder.Slot slot = toOutside();
        words.beginBatch();

        slot.atNs = LANE_NOW_NS;
        assertThat(words.packet(slot, 0).time()).isEqualTo(NOW);
        slot.atNs = LANE_NOW_NS - 3_000_000_007L;
        assertThat(words.packet(slot, 1).time()).isEqualTo(NOW.minusNanos(3_000_000_007L));
    }

    @Test
    void sidesOfAnAddressAreOneObject() {
        final FlowWords words = words();
        final FlowRecorder.Slot slot = toOutside();
        words.beginBatch();
        final Flow first = words.packet(slot, 0);
        words.beginBatch();
        slot.sourcePort++;
        final Flow second = words.packet(slot, 1);

        assertThat(second.source().side()).isSameAs(first.source().side());
        assertThat(second.source().port()).isEqualTo(first.source().port() + 1);
        assertThat(second.destination()).isSameAs(first.destination());
        assertThat(second.ingressBy()).isSameAs(first.ingressBy());
    }

    private static FlowRecorder.Slot toOutside() {
        final FlowRecorder.Slot slot = new FlowRecorder.Slot();
        slot.opened = true;
        slot.known = Packet.Known.POLICY;
        slot.sourceLow = IpAddress.ofIpv4(0x0a000001).low();
        slot.destinationLow = OUTSIDE.low();
        slot.protocol = 6;
        slot.sourcePort = 40_000;
        slot.destinationPort = 443;
        slot.fromInitiator = true;
        slot.egressEntry = PolicyEntry.allow(1);
        slot.ingressEntry = PolicyEntry.allow(2);
        slot.revision = 1;
        return slot;
    }
}
