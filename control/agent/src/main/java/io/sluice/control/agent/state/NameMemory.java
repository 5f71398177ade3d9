package io.sluice.control.agent.state;

import io.sluice.control.policy.IpAddress;
import java.util.List;

/**
 * Learned names that outlive the process, as the DNS proxy reads and writes them.
 *
 * <p>Failures are reported by the state folder: a name that could not be remembered is good until
 * the process ends.
 *
 * <p>Thread: one writer; {@link #names} any.
 */
public interface NameMemory {
    /** Every name that is remembered, by name, address and endpoint; expired ones too. */
    List<NameRow> names();

    /** Remembers an answer; one with the same name, address and endpoint is replaced. */
    void learn(NameRow row);

    /** Forgets one; nothing happens if it is not there. */
    void forget(String name, IpAddress address, String endpoint);
}
