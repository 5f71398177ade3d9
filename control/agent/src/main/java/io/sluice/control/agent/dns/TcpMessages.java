package io.sluice.control.agent.dns;

import io.sluice.dnsproxy.DnsFlow;
import io.sluice.dnsproxy.wire.Address;
import java.util.Optional;

/** Who judges the messages of connections. Thread: any; must not block. */
public interface TcpMessages {
    /** What becomes of one message; one of these, once. Thread: any. */
    interface Outcome {
        /** A query goes to the server. */
        void forward();

        /** An answer goes to the client: the message, or another in its place. */
        void answer(byte[] reply);

        /** It may not pass. */
        void drop();
    }

    /** The endpoint at an address, as {@code namespace/name}; empty if there is none. */
    Optional<String> endpointAt(Address address);

    /** The client sent this. */
    void onQuery(DnsFlow flow, byte[] query, Outcome outcome);

    /** The server sent this. */
    void onAnswer(DnsFlow flow, byte[] answer, Outcome outcome);
}
