package io.sluice.dnsproxy;

import io.sluice.dnsproxy.wire.Address;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What goes to flows and metrics. Called on the DNS agent's thread; must not block. */
public interface DnsEvents {
    /**
     * A query was judged.
     *
     * @param name lower case, dot-terminated
     * @param type number of the record type
     * @param matched the pattern that allows it; null if none does
     * @param passed whether it goes on, be it for an audit
     */
    void asked(DnsFlow flow, String name, int type, @Nullable String matched, boolean passed);

    /**
     * An answer was accepted.
     *
     * @param rcode 0 to 15
     * @param aliases names that the chain went through
     * @param ttlSeconds the least in the chain; 0 without addresses
     */
    void answered(
            DnsFlow flow,
            String name,
            int type,
            int rcode,
            List<Address> addresses,
            List<String> aliases,
            int ttlSeconds);

    /** Tells nobody. */
    DnsEvents NONE =
            new DnsEvents() {
                @Override
                public void asked(
                        final DnsFlow flow,
                        final String name,
                        final int type,
                        final @Nullable String matched,
                        final boolean passed) {}

                @Override
                public void answered(
                        final DnsFlow flow,
                        final String name,
                        final int type,
                        final int rcode,
                        final List<Address> addresses,
                        final List<String> aliases,
                        final int ttlSeconds) {}
            };
}
