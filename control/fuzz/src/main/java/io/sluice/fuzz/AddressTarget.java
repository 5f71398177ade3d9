package io.sluice.fuzz;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import java.util.Optional;

/** Addresses and prefixes: each has one canonical text, and a prefix holds its own address. */
public final class AddressTarget {
    private AddressTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        final String text = new String(input, UTF_8);
        final Optional<IpAddress> address = IpAddress.parse(text);
        address.ifPresent(
                read -> {
                    Promise.holds(
                            IpAddress.parse(read.toString()).equals(address),
                            "prints itself",
                            text);
                    Promise.holds(Cidr.host(read).contains(read), "is in its own prefix", text);
                });
        final Optional<Cidr> cidr = Cidr.parse(text);
        cidr.ifPresent(
                read -> {
                    Promise.holds(Cidr.parse(read.toString()).equals(cidr), "prints itself", text);
                    Promise.holds(read.contains(read.network()), "holds its address", text);
                    Promise.holds(read.contains(read), "holds itself", text);
                    final boolean hasHostBits = Cidr.hasHostBits(text);
                    final String written = text.substring(0, text.indexOf('/'));
                    Promise.holds(
                            hasHostBits
                                    != IpAddress.parse(written).equals(Optional.of(read.network())),
                            "tells bits beyond the prefix",
                            text);
                });
    }
}
