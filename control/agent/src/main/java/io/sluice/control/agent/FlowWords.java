package io.sluice.control.agent;

import io.sluice.conntrack.FlowEntry;
import io.sluice.control.agent.FlowRecorder.Slot;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.Pod;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.dataplane.Packet;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.wire.MacAddress;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;
import org.agrona.collections.Int2ObjectHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Puts events of the lane into words.
 *
 * <p><b>Theory of operation.</b> Events are many and have little that is new: the same addresses,
 * the same rules. What a revision of the policy says of an address (pod, labels, learned names) and
 * of a rule (its authors) is worked out once and kept with the revision, in {@link Words}: a table
 * of {@link #SIDES} places for addresses, where a new one takes the place of another of the same
 * hash, and a map of rules. An event then costs two looks into the table and the objects of its
 * own: the {@link Flow}, its identity, the sides with their ports, a time for all events of a
 * lane's batch. Texts of identity and time are made by who reads them.
 *
 * <p>Limits: {@link #REVISIONS} revisions are kept, the one used longest ago goes. An address has
 * some 250 bytes: 4 MB when a scan has filled everything. A revision that was replaced under its
 * own number (a learned name) is another policy and begins without words; that is noticed with the
 * next batch, so an event may miss a name that was learned less than 64 events before.
 *
 * <p>Thread: the recorder's.
 */
final class FlowWords {
    /** Of the events, of ends that were judged longer ago, and the newest. */
    private static final int REVISIONS = 4;

    /** A power of two. */
    private static final int SIDES = 1 << 12;

    /** Of an end, whose frames are gone. */
    private static final long NO_MAC = -1;

    private static final int PROTOCOL_ICMP = 1;
    private static final int PROTOCOL_TCP = 6;
    private static final int PROTOCOL_ICMPV6 = 58;
    private static final int ECHO_REQUEST = 8;
    private static final int ECHO_REQUEST_V6 = 128;

    /** An address that was met, as numbers and in words. */
    private static final class Met {
        private final long high;
        private final long low;
        private final long mac;
        private final int judgedIdentity;

        /** With the port that it had last: servers have the same each time. */
        private FlowPeer last;

        Met(
                final long high,
                final long low,
                final long mac,
                final int judgedIdentity,
                final FlowPeer last) {
            this.high = high;
            this.low = low;
            this.mac = mac;
            this.judgedIdentity = judgedIdentity;
            this.last = last;
        }

        boolean is(
                final long otherHigh,
                final long otherLow,
                final long otherMac,
                final int otherIdentity) {
            return low == otherLow
                    && high == otherHigh
                    && mac == otherMac
                    && judgedIdentity == otherIdentity;
        }

        FlowPeer with(final int port) {
            if (last.port() != port) {
                last = new FlowPeer(last.side(), port);
            }
            return last;
        }
    }

    /** What one revision says. */
    private static final class Words {
        private final LivePolicy policy;
        private final @Nullable Met[] met = new Met[SIDES];
        private final Int2ObjectHashMap<List<PolicyAuthor>> authors = new Int2ObjectHashMap<>();
        private @Nullable Map<Integer, FlowSide> behindPorts;

        Words(final LivePolicy policy) {
            this.policy = policy;
        }

        FlowPeer peer(
                final long high,
                final long low,
                final int port,
                final int judgedIdentity,
                final long mac) {
            final int place = place(high, low, mac, judgedIdentity);
            final Met known = met[place];
            if (known != null && known.is(high, low, mac, judgedIdentity)) {
                return known.with(port);
            }
            final IpAddress address = new IpAddress(high, low);
            // A packet that was dropped early has no identities yet; people want to know all the
            // same.
            final int identity = judgedIdentity != 0 ? judgedIdentity : policy.identityOf(address);
            final FlowPeer peer =
                    FlowPeer.of(
                            policy,
                            address,
                            identity,
                            port,
                            mac == NO_MAC ? "" : MacAddress.format(mac));
            met[place] = new Met(high, low, mac, judgedIdentity, peer);
            return peer;
        }

        private static int place(
                final long high, final long low, final long mac, final int identity) {
            // Fibonacci hashing of each part (Knuth, TAOCP 6.4); the upper bits are the good ones.
            final long hash =
                    ((high * 0x9e3779b97f4a7c15L ^ low) * 0x9e3779b97f4a7c15L ^ mac ^ identity)
                            * 0x9e3779b97f4a7c15L;
            return (int) (hash >>> (Long.SIZE - Integer.numberOfTrailingZeros(SIDES)));
        }

        /** Who decided, or who would have denied what passes. */
        List<PolicyAuthor> authors(final long entry) {
            final int rule = PolicyEntry.rule(entry);
            List<PolicyAuthor> known = authors.get(rule);
            if (known == null) {
                known =
                        policy.decision(rule).stream()
                                .map(decision -> author(decision.audited().orElse(decision.by())))
                                .toList();
                authors.put(rule, known);
            }
            return known;
        }

        boolean isAudited(final long entry) {
            final int rule = PolicyEntry.rule(entry);
            return rule >= 0
                    && rule < policy.decisions().size()
                    && policy.decisions().get(rule).audited().isPresent();
        }

        /** The endpoint behind the port, with the addresses that its packet claims. */
        FlowPeer behindPort(final int port, final FlowPeer claimed) {
            if (behindPorts == null) {
                behindPorts = endpointsByPort(policy);
            }
            final FlowSide endpoint = behindPorts.get(port);
            if (endpoint != null) {
                return new FlowPeer(
                        endpoint.endpointId(),
                        endpoint.identity(),
                        endpoint.namespace(),
                        endpoint.podName(),
                        endpoint.labels(),
                        claimed.address(),
                        claimed.port(),
                        claimed.mac());
            }
            // Behind the uplink sits nobody in particular, and certainly not the pod it may claim
            // to be.
            return claimed.endpointId() == 0
                    ? claimed
                    : new FlowPeer(
                            0,
                            0,
                            "",
                            "",
                            List.of(),
                            claimed.address(),
                            claimed.port(),
                            claimed.mac());
        }

        private static Map<Integer, FlowSide> endpointsByPort(final LivePolicy policy) {
            final Map<Integer, FlowSide> byPort = new HashMap<>();
            for (final var endpoint : policy.endpointIds().entrySet()) {
                final Optional<Pod> pod = policy.world().podAt(endpoint.getKey());
                if (pod.isPresent()) {
                    final int identity = policy.identityOf(endpoint.getKey());
                    byPort.putIfAbsent(
                            endpoint.getValue(),
                            new FlowSide(
                                    endpoint.getValue(),
                                    identity,
                                    pod.get().ref().namespace(),
                                    pod.get().ref().name(),
                                    policy.labels(identity),
                                    "",
                                    "",
                                    List.of()));
                }
            }
            return byPort;
        }
    }

    private final String nodeName;
    private final IntFunction<LivePolicy> policyOfRevision;
    private final LongSupplier clockNs;
    private final InstantSource wallClock;
    private final long uuidHigh = UUID.randomUUID().getMostSignificantBits();
    // The one used last is the first.
    private final Deque<Words> kept = new ArrayDeque<>();

    // Of this batch.
    private Instant wallClockNow = Instant.EPOCH;
    private long clockNowNs;
    private long timeAtNs;
    private @Nullable Instant timeThen;
    private int wordsRevision;
    private @Nullable Words words;

    /**
     * @param policyOfRevision the revision an event was judged by, or the nearest that is known
     * @param clockNs the lane's clock
     * @param wallClock what a date is read from
     */
    FlowWords(
            final String nodeName,
            final IntFunction<LivePolicy> policyOfRevision,
            final LongSupplier clockNs,
            final InstantSource wallClock) {
        this.nodeName = nodeName;
        this.policyOfRevision = policyOfRevision;
        this.clockNs = clockNs;
        this.wallClock = wallClock;
    }

    /** What is asked once for the events until the next call: clocks, policies. */
    void beginBatch() {
        // The lane's clock has no date; the wall clock now, less the event's age, gives it one.
        clockNowNs = clockNs.getAsLong();
        wallClockNow = wallClock.instant();
        timeThen = null;
        words = null;
    }

    private Words ofRevision(final int revision) {
        if (words != null && wordsRevision == revision) {
            return words;
        }
        final Words found = of(policyOfRevision.apply(revision));
        words = found;
        wordsRevision = revision;
        return found;
    }

    @SuppressWarnings("ReferenceEquality") // Another policy may have the same number.
    private Words of(final LivePolicy policy) {
        Words found = null;
        for (final Words candidate : kept) {
            if (candidate.policy == policy) {
                found = candidate;
                break;
            }
        }
        if (found == null) {
            found = new Words(policy);
            if (kept.size() == REVISIONS) {
                kept.removeLast();
            }
            kept.addFirst(found);
        } else if (kept.getFirst() != found) {
            kept.remove(found);
            kept.addFirst(found);
        }
        return found;
    }

    private Instant time(final long atNs) {
        if (timeThen == null || timeAtNs != atNs) {
            timeAtNs = atNs;
            timeThen = wallClockNow.minusNanos(clockNowNs - atNs);
        }
        return timeThen;
    }

    /** A verdict or a drop in words. */
    Flow packet(final Slot slot, final long sequence) {
        final Words said = ofRevision(slot.revision);
        final boolean addressed = slot.known.compareTo(Packet.Known.ADDRESSES) >= 0;
        final boolean ported = slot.known.compareTo(Packet.Known.TUPLE) >= 0;
        final boolean judged = slot.known == Packet.Known.POLICY;
        // A flow that is let pass again is told from its initiator's side, whoever sent the packet
        // that brought it up: its identities are that way round.
        final boolean turned = slot.opened && !slot.fromInitiator;
        // Until the guard has passed it, a source address is a claim: the sender is who sits behind
        // the port, whatever the packet says.
        final boolean believed = slot.known.compareTo(Packet.Known.SIDES) >= 0;
        final boolean hasPorts = ported && !slot.icmp;
        final FlowPeer named;
        final FlowPeer receiver;
        if (addressed) {
            named =
                    said.peer(
                            turned ? slot.destinationHigh : slot.sourceHigh,
                            turned ? slot.destinationLow : slot.sourceLow,
                            hasPorts ? (turned ? slot.destinationPort : slot.sourcePort) : 0,
                            slot.sourceIdentity,
                            slot.sourceMac);
            receiver =
                    said.peer(
                            turned ? slot.sourceHigh : slot.destinationHigh,
                            turned ? slot.sourceLow : slot.destinationLow,
                            hasPorts ? (turned ? slot.sourcePort : slot.destinationPort) : 0,
                            slot.destinationIdentity,
                            slot.destinationMac);
        } else {
            named = withoutAddress(slot, slot.sourceMac);
            receiver = withoutAddress(slot, slot.destinationMac);
        }
        final FlowPeer sender = believed ? named : said.behindPort(slot.inPort, named);
        final Flow.Direction audited = slot.opened && judged ? auditedDirection(said, slot) : null;
        return new Flow(
                sequence,
                time(slot.atNs),
                new FlowId(uuidHigh, sequence),
                nodeName,
                slot.opened ? Flow.Kind.POLICY_VERDICT : Flow.Kind.DROP,
                audited != null ? Flow.Verdict.AUDIT : verdict(slot),
                slot.reason.code(),
                slot.opened ? "" : slot.reason.name(),
                addressed ? version(slot.sourceHigh, slot.sourceLow) : 0,
                addressed ? slot.protocol : 0,
                ported && slot.protocol == PROTOCOL_TCP ? slot.tcpFlags & 0xff : 0,
                ported && slot.icmp ? slot.icmpTypeCode >>> 8 : -1,
                ported && slot.icmp ? slot.icmpTypeCode & 0xff : -1,
                sender,
                receiver,
                audited != null ? audited : direction(slot, receiver),
                isReply(slot),
                slot.revision,
                judged ? said.authors(slot.egressEntry) : List.of(),
                judged && PolicyEntry.allows(slot.egressEntry)
                        ? said.authors(slot.ingressEntry)
                        : List.of(),
                addressed ? slot.lengthBytes : 0,
                Optional.empty(),
                Optional.empty());
    }

    /** The end of a flow in words. */
    Flow end(final Slot slot, final FlowEnd end, final long sequence) {
        // Nobody of this process has judged it: the daemon before has, and no packet came since.
        final Words said =
                ofRevision(
                        slot.revision == FlowEntry.NO_REVISION ? Integer.MAX_VALUE : slot.revision);
        final boolean isIcmp = slot.protocol == PROTOCOL_ICMP || slot.protocol == PROTOCOL_ICMPV6;
        final FlowPeer initiator =
                sideOfEnd(
                        said,
                        slot.sourceHigh,
                        slot.sourceLow,
                        isIcmp ? 0 : slot.sourcePort,
                        slot.sourceIdentity);
        final FlowPeer responder =
                sideOfEnd(
                        said,
                        slot.destinationHigh,
                        slot.destinationLow,
                        isIcmp ? 0 : slot.destinationPort,
                        slot.destinationIdentity);
        final Instant now = time(slot.atNs);
        final FlowTotals totals =
                new FlowTotals(
                        end,
                        now.minusNanos(slot.atNs - slot.createdNs),
                        now.minusNanos(slot.atNs - slot.lastPacketNs),
                        slot.initiatorPackets,
                        slot.initiatorBytes,
                        slot.responderPackets,
                        slot.responderBytes,
                        slot.cutReason,
                        slot.cutReason == 0 ? "" : DropReason.ofCode(slot.cutReason).name());
        return new Flow(
                sequence,
                now,
                new FlowId(uuidHigh, sequence),
                nodeName,
                Flow.Kind.END,
                slot.redirected ? Flow.Verdict.REDIRECTED : Flow.Verdict.FORWARDED,
                0,
                "",
                version(slot.sourceHigh, slot.sourceLow),
                slot.protocol,
                0,
                isIcmp ? echoRequest(slot.protocol) : -1,
                isIcmp ? 0 : -1,
                initiator,
                responder,
                responder.endpointId() != 0 ? Flow.Direction.INGRESS : Flow.Direction.EGRESS,
                false,
                slot.revision,
                List.of(),
                List.of(),
                0,
                Optional.empty(),
                Optional.of(totals));
    }

    /** The newest policy tells of it where the one that judged does not know its identity. */
    private FlowPeer sideOfEnd(
            final Words said, final long high, final long low, final int port, final int identity) {
        if (identity != 0) {
            final FlowPeer peer = said.peer(high, low, port, identity, NO_MAC);
            if (!peer.labels().isEmpty()) {
                return peer;
            }
        }
        final Words knowing =
                said.policy.labels(identity).isEmpty()
                        ? of(policyOfRevision.apply(Integer.MAX_VALUE))
                        : said;
        return knowing.peer(high, low, port, identity, NO_MAC);
    }

    /** Type of the messages that open a flow of echoes. */
    private static int echoRequest(final int protocol) {
        return protocol == PROTOCOL_ICMP ? ECHO_REQUEST : ECHO_REQUEST_V6;
    }

    private static Flow.Verdict verdict(final Slot slot) {
        if (!slot.opened) {
            return Flow.Verdict.DROPPED;
        }
        return PolicyEntry.redirects(slot.egressEntry) || PolicyEntry.redirects(slot.ingressEntry)
                ? Flow.Verdict.REDIRECTED
                : Flow.Verdict.FORWARDED;
    }

    private static FlowPeer withoutAddress(final Slot slot, final long mac) {
        return new FlowPeer(
                0,
                0,
                "",
                "",
                List.of(),
                "",
                0,
                slot.known == Packet.Known.FRAME ? "" : MacAddress.format(mac));
    }

    private static int version(final long high, final long low) {
        return new IpAddress(high, low).isIpv4() ? 4 : 6;
    }

    private static Flow.Direction direction(final Slot slot, final FlowPeer receiver) {
        if (slot.opened) {
            return receiver.endpointId() != 0 ? Flow.Direction.INGRESS : Flow.Direction.EGRESS;
        }
        return switch (slot.direction) {
            case INGRESS -> Flow.Direction.INGRESS;
            case EGRESS -> Flow.Direction.EGRESS;
        };
    }

    /** Only a packet that conntrack has seen runs one way or the other. */
    private static boolean isReply(final Slot slot) {
        return !slot.opened && !slot.fromInitiator && slot.known.compareTo(Packet.Known.SIDES) >= 0;
    }

    /** The end whose audited policies would have denied the flow, the sender's first, or null. */
    private static Flow.@Nullable Direction auditedDirection(final Words said, final Slot slot) {
        if (said.isAudited(slot.egressEntry)) {
            return Flow.Direction.EGRESS;
        }
        return said.isAudited(slot.ingressEntry) ? Flow.Direction.INGRESS : null;
    }

    private static PolicyAuthor author(final Author author) {
        return new PolicyAuthor(
                author.tier(),
                author.kind(),
                author.namespace(),
                author.name(),
                author.rule(),
                author.file(),
                author.line(),
                author.toString());
    }
}
