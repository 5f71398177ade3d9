package io.sluice.control.agent;

import io.sluice.control.agent.state.NameMemory;
import io.sluice.control.agent.state.NameRow;
import io.sluice.control.policy.IpAddress;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.cache.FqdnStore;
import io.sluice.dnsproxy.wire.Address;
import java.time.Instant;
import java.util.function.Consumer;

/** The FQDN cache's durable form in the state folder. Thread: the DNS agent's. */
final class NameStore implements FqdnStore {
    private final NameMemory memory;

    NameStore(final NameMemory memory) {
        this.memory = memory;
    }

    @Override
    public void put(final FqdnRecord learned) {
        memory.learn(
                new NameRow(
                        learned.name(),
                        address(learned.address()),
                        learned.endpoint(),
                        Instant.ofEpochMilli(learned.learnedMs()),
                        Instant.ofEpochMilli(learned.expiresMs()),
                        learned.isZombie()));
    }

    @Override
    public void remove(final String endpoint, final String name, final Address address) {
        memory.forget(name, address(address), endpoint);
    }

    @Override
    public void forEach(final Consumer<FqdnRecord> sink) {
        memory.names().forEach(row -> sink.accept(record(row)));
    }

    /** A row as the cache has it. */
    static FqdnRecord record(final NameRow row) {
        return new FqdnRecord(
                row.endpoint(),
                row.name(),
                new Address(row.address().high(), row.address().low()),
                row.learnedAt().toEpochMilli(),
                row.expiresAt().toEpochMilli(),
                row.zombie());
    }

    private static IpAddress address(final Address address) {
        return new IpAddress(address.high(), address.low());
    }
}
