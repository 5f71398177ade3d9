package io.sluice.control.agent;

import io.sluice.control.agent.EndpointSpec.PortKind;
import io.sluice.control.policy.IpAddress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A device that one process passes on to another, with what it was made from.
 *
 * @param spec the endpoint's; empty for the uplink
 * @param device name of the device
 * @param mtuBytes of the device
 * @param addresses the endpoint's, or the node's at the uplink
 * @param descriptors of the open device, one for each lane; none while it is only wanted
 */
record PassedDevice(
        Optional<EndpointSpec> spec,
        String device,
        int mtuBytes,
        List<IpAddress> addresses,
        List<Integer> descriptors) {
    private static final String DESCRIPTORS = "descriptors";

    PassedDevice {
        addresses = List.copyOf(addresses);
        descriptors = List.copyOf(descriptors);
    }

    static PassedDevice ofEndpoint(final EndpointSpec spec, final List<Integer> descriptors) {
        return new PassedDevice(
                Optional.of(spec), spec.device(), spec.mtuBytes(), spec.addresses(), descriptors);
    }

    static PassedDevice ofUplink(
            final SluiceConfig.Uplink uplink,
            final List<IpAddress> addresses,
            final List<Integer> descriptors) {
        return new PassedDevice(
                Optional.empty(), uplink.device(), uplink.mtuBytes(), addresses, descriptors);
    }

    /** Whether it is the same device, whoever holds it by which descriptors. */
    boolean isSameAs(final PassedDevice other) {
        return spec.equals(other.spec)
                && device.equals(other.device)
                && mtuBytes == other.mtuBytes
                && addresses.equals(other.addresses);
    }

    /** What the other process is told about it; the descriptors go beside. */
    Map<String, String> facts() {
        final Map<String, String> facts = new LinkedHashMap<>();
        facts.put("device", device);
        facts.put("mtu", Integer.toString(mtuBytes));
        facts.put(DESCRIPTORS, Integer.toString(descriptors.size()));
        facts.put(
                "addresses",
                addresses.stream().map(IpAddress::toString).collect(Collectors.joining(" ")));
        spec.ifPresent(
                endpoint -> {
                    facts.put("namespace", endpoint.namespace());
                    facts.put("name", endpoint.name());
                    facts.put("networkNamespace", endpoint.networkNamespace());
                    facts.put("processStart", endpoint.processStart());
                    facts.put("port", endpoint.port().name());
                });
        return facts;
    }

    /**
     * What {@link #facts} told.
     *
     * @throws IllegalArgumentException when something is missing or is not what it should be
     */
    static PassedDevice of(final Map<String, String> facts, final List<Integer> descriptors) {
        final String device = required(facts, "device");
        final int mtuBytes = Integer.parseInt(required(facts, "mtu"));
        final List<IpAddress> addresses = new ArrayList<>();
        for (final String address : required(facts, "addresses").split(" ", -1)) {
            addresses.add(
                    IpAddress.parse(address)
                            .orElseThrow(() -> new IllegalArgumentException("address " + address)));
        }
        if (!facts.containsKey("name")) {
            return new PassedDevice(Optional.empty(), device, mtuBytes, addresses, descriptors);
        }
        return ofEndpoint(
                new EndpointSpec(
                        required(facts, "namespace"),
                        required(facts, "name"),
                        required(facts, "networkNamespace"),
                        required(facts, "processStart"),
                        device,
                        mtuBytes,
                        addresses,
                        // A daemon before there was AF_XDP does not say.
                        PortKind.valueOf(facts.getOrDefault("port", PortKind.TAP.name()))),
                descriptors);
    }

    /**
     * How many descriptors belong to the device with these facts; a daemon before there were
     * several does not say.
     */
    static int descriptorsOf(final Map<String, String> facts) {
        final int count = Integer.parseInt(facts.getOrDefault(DESCRIPTORS, "1"));
        if (count < 1) {
            throw new IllegalArgumentException("a passed device with " + count + " descriptors");
        }
        return count;
    }

    private static String required(final Map<String, String> facts, final String key) {
        final String value = facts.get(key);
        if (value == null) {
            throw new IllegalArgumentException(
                    "a passed device without " + key + ": " + facts.keySet());
        }
        return value;
    }
}
