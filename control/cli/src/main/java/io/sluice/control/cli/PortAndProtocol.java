package io.sluice.control.cli;

import io.sluice.control.policy.IpProtocol;
import java.util.Optional;

/**
 * A port as people write it: {@code 80}, {@code 80/TCP}, {@code http/TCP}, {@code ICMP}.
 *
 * @param port number or name, empty for a protocol without ports
 * @param protocol name of the protocol, TCP when it was not given
 */
record PortAndProtocol(String port, String protocol) {
    static final String ACCEPTED = "PORT, PORT/TCP, PORT/UDP, PORT/SCTP, ICMP or ICMPv6";

    static PortAndProtocol parse(final String text) {
        return tryParse(text)
                .orElseThrow(() -> CommandError.usage("--port " + text + ": " + ACCEPTED));
    }

    static Optional<PortAndProtocol> tryParse(final String text) {
        final int slash = text.indexOf('/');
        if (slash < 0) {
            final int protocol = IpProtocol.parse(text);
            return Optional.of(
                    protocol == IpProtocol.UNKNOWN || IpProtocol.hasPorts(protocol)
                            ? new PortAndProtocol(text, "TCP")
                            : new PortAndProtocol("", IpProtocol.nameOf(protocol)));
        }
        final int protocol = IpProtocol.parse(text.substring(slash + 1));
        if (slash == 0 || protocol == IpProtocol.UNKNOWN || !IpProtocol.hasPorts(protocol)) {
            return Optional.empty();
        }
        return Optional.of(
                new PortAndProtocol(text.substring(0, slash), IpProtocol.nameOf(protocol)));
    }
}
