package io.sluice.control.agent;

import io.sluice.control.agent.flowlog.BlockCursor;
import io.sluice.control.agent.flowlog.FlowLog;
import io.sluice.control.policy.replay.FlowEvent;
import io.sluice.control.policy.replay.FlowTally;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The flow store of a state folder, read without its daemon, and without a change to it.
 *
 * <p>Thread: the caller's.
 */
public final class StoredFlows {
    /** Folder of the store in the state folder. */
    static final String FOLDER = "flows";

    private static final int ICMP_NONE = -1;

    private StoredFlows() {}

    /**
     * Counts the flows of a store.
     *
     * @param stateFolder of the daemon
     * @param since least time
     * @param tally takes the flows
     * @return how many blocks of flows were damaged and left out
     * @throws IOException when there is no store, or it cannot be read
     */
    public static int count(final Path stateFolder, final Instant since, final FlowTally tally)
            throws IOException {
        final AtomicInteger damaged = new AtomicInteger();
        final FlowEvent event = new FlowEvent();
        try (BlockCursor blocks =
                FlowLog.readOnly(stateFolder.resolve(FOLDER), since, damaged::incrementAndGet)) {
            for (Optional<BlockCursor.Block> block = blocks.next();
                    block.isPresent();
                    block = blocks.next()) {
                try {
                    for (final Flow flow : FlowCodec.decode(block.get().bytes())) {
                        if (!flow.time().isBefore(since)) {
                            fill(event, flow);
                            event.countIn(tally);
                        }
                    }
                } catch (final FlowCodec.FormatException e) {
                    damaged.incrementAndGet();
                }
            }
        } catch (final UncheckedIOException e) {
            throw new IOException(e.getMessage(), e);
        }
        return damaged.get();
    }

    private static void fill(final FlowEvent event, final Flow flow) {
        event.clear();
        event.time = flow.time();
        event.nodeName = flow.nodeName();
        event.verdict = flow.verdict().name();
        event.dropReason = flow.dropReason();
        event.dropReasonName = flow.dropReasonName();
        event.type = flow.kind().number();
        event.ingress = flow.direction() == Flow.Direction.INGRESS;
        event.reply = flow.reply();
        if (flow.ipVersion() != 0 && flow.protocol() != 0) {
            event.protocol = flow.protocol();
        }
        event.port =
                flow.icmpType() == ICMP_NONE
                        ? flow.destination().port()
                        : flow.icmpType() << 8 | flow.icmpCode();
        fill(event.source, flow.source());
        fill(event.destination, flow.destination());
        event.names = flow.destination().names();
        flow.l7().ifPresent(message -> fill(event, message));
    }

    private static void fill(final FlowEvent.Side side, final FlowPeer peer) {
        side.namespace = peer.namespace();
        side.pod = peer.podName();
        side.address = peer.address();
        side.labels = peer.labels();
    }

    private static void fill(final FlowEvent event, final L7Message message) {
        event.isRequest = message.isRequest();
        switch (message.content()) {
            case final L7Message.Http http -> {
                event.put("http.method", http.method());
                event.url(http.url());
                http.headers()
                        .forEach(
                                header ->
                                        event.put("http.headers." + header.key(), header.value()));
            }
            case final L7Message.Kafka kafka -> {
                event.put("kafka.api", kafka.apiKey());
                event.put("kafka.topic", kafka.topic());
            }
            case final L7Message.Dns dns -> event.put("dns", dns.query());
            case final L7Message.Tls tls -> event.serverName(tls.serverName());
        }
    }
}
