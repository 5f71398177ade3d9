package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A device that one process passes on to another, with what it was made from.
 *
 * @param spec the endpoint's; empty for the uplink
 * @param device name of the device
 * @param mtuBytes of the device
 * @param addresses the endpoint's, or the node's at the uplink
 * @param descriptor of the open device
 */
record PassedDevice(
        Optional<EndpointSpec> spec,
        String device,
        int mtuBytes,
        List<IpAddress> addresses,
        int descriptor) {
    PassedDevice {
        addresses = List.copyOf(addresses);
    }

    static PassedDevice ofEndpoint(final EndpointSpec spec, final int descriptor) {
        return new PassedDevice(
                Optional.of(spec), spec.device(), spec.mtuBytes(), spec.addresses(), descriptor);
    }

    static PassedDevice ofUplink(
            final SluiceConfig.Uplink uplink,
            final List<IpAddress> addresses,
            final int descriptor) {
        return new PassedDevice(
                Optional.empty(), uplink.device(), uplink.mtuBytes(), addresses, descriptor);
    }

    /** Whether it is the same device, whoever holds it by which descriptor. */
    boolean isSameAs(final PassedDevice other) {
        return spec.equals(other.spec)
                && device.equals(other.device)
                && mtuBytes == other.mtuBytes
                && addresses.equals(other.addresses);
    }

    /** What the other process is told about it; the descriptor goes beside. */
    Map<String, Object> facts() {
        final Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("device", device);
        facts.put("mtu", mtuBytes);
        facts.put("addresses", addresses.stream().map(IpAddress::toString).toList());
        spec.ifPresent(
                endpoint -> {
                    facts.put("namespace", endpoint.namespace());
                    facts.put("name", endpoint.name());
                    facts.put("networkNamespace", endpoint.networkNamespace());
                    facts.put("processStart", endpoint.processStart());
                });
        return facts;
    }

    /**
     * What {@link #facts} told.
     *
     * @throws IllegalArgumentException when something is missing or of another type
     */
    static PassedDevice of(final Map<String, Object> facts, final int descriptor) {
        final String device = text(facts, "device");
        final int mtuBytes = (int) required(facts, "mtu", Integer.class);
        final List<IpAddress> addresses =
                ((List<?>) required(facts, "addresses", List.class))
                        .stream()
                                .map(
                                        address ->
                                                IpAddress.parse(String.valueOf(address))
                                                        .orElseThrow(
                                                                () ->
                                                                        new IllegalArgumentException(
                                                                                "address "
                                                                                        + address)))
                                .toList();
        if (!facts.containsKey("name")) {
            return new PassedDevice(Optional.empty(), device, mtuBytes, addresses, descriptor);
        }
        return ofEndpoint(
                new EndpointSpec(
                        text(facts, "namespace"),
                        text(facts, "name"),
                        text(facts, "networkNamespace"),
                        text(facts, "processStart"),
                        device,
                        mtuBytes,
                        addresses),
                descriptor);
    }

    private static String text(final Map<String, Object> facts, final String key) {
        return (String) required(facts, key, String.class);
    }

    private static Object required(
            final Map<String, Object> facts, final String key, final Class<?> type) {
        final Object value = facts.get(key);
        if (!type.isInstance(value)) {
            throw new IllegalArgumentException(
                    "a passed device without " + key + ": " + facts.keySet());
        }
        return value;
    }
}
