package io.sluice.dataplane.port;

import io.sluice.dataplane.linux.IpCommand;
import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.NetworkNamespace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a pod sees of its network: a device with host addresses, and a gateway that the switch
 * plays.
 *
 * <p>Addresses have no subnet (/32, /128), so every packet goes to the gateway and nothing is
 * resolved but the gateway itself. The pod learns the gateway's MAC address by ARP and neighbour
 * discovery, as on any network. Duplicate address detection is off: addresses are ours to give, and
 * waiting for it would cost the pod its first second.
 *
 * <p>{@link #settings} and {@link #lines} are pure; {@link #apply} carries them out. Applying twice
 * does no harm. A default route that was there is replaced: a pod that could leave by another
 * device would not be under policy.
 *
 * <p>Thread: any; immutable.
 *
 * @param device name of the device in the pod's namespace
 * @param ipv4Address as text, without prefix length; null for none
 * @param ipv6Address as text, without prefix length; null for none
 * @param ipv4Gateway address the switch answers ARP for, link-local (RFC 3927)
 * @param ipv6Gateway address the switch answers neighbour solicitations for, link-local
 */
public record PodInterface(
        String device,
        @Nullable String ipv4Address,
        @Nullable String ipv6Address,
        String ipv4Gateway,
        String ipv6Gateway) {

    public PodInterface {
        if (ipv4Address == null && ipv6Address == null) {
            throw new IllegalArgumentException(
                    "device "
                            + device
                            + ": no address: give an IPv4 address, an IPv6 address or both");
        }
    }

    /**
     * Files below /proc/sys and what is written to them, before the device is up.
     *
     * <p>A namespace that a container runtime made has IPv6 switched off more often than not. Where
     * the pod has no IPv6 address, IPv6 is switched off on this device: its multicast reports and
     * router solicitations would only be dropped.
     */
    public Map<String, String> settings() {
        final String ipv6 = "net/ipv6/conf/" + device + "/";
        final Map<String, String> settings = new TreeMap<>();
        if (ipv6Address == null) {
            settings.put(ipv6 + "disable_ipv6", "1");
        } else {
            settings.put(ipv6 + "disable_ipv6", "0");
            settings.put(ipv6 + "accept_dad", "0");
            settings.put(ipv6 + "accept_ra", "0");
            settings.put(ipv6 + "router_solicitations", "0");
        }
        return settings;
    }

    /** Lines for {@code ip -batch}, in order. */
    public List<String> lines() {
        final List<String> lines = new ArrayList<>();
        lines.add("link set dev lo up");
        if (ipv4Address != null) {
            lines.add("addr replace " + ipv4Address + "/32 dev " + device);
        }
        if (ipv6Address != null) {
            lines.add("addr replace " + ipv6Address + "/128 dev " + device + " nodad");
        }
        lines.add("link set dev " + device + " up");
        if (ipv4Address != null) {
            lines.add("route replace " + ipv4Gateway + " dev " + device + " scope link");
            lines.add("route replace default via " + ipv4Gateway + " dev " + device);
        }
        if (ipv6Address != null) {
            lines.add("route replace default via " + ipv6Gateway + " dev " + device);
        }
        return lines;
    }

    /**
     * Sets the pod's side up, in its namespace.
     *
     * @throws LinuxException at the first step that the kernel refuses
     */
    public void apply(final NetworkNamespace namespace) {
        namespace.<@Nullable Void, RuntimeException>call(
                () -> {
                    settings().forEach(this::set);
                    return null;
                });
        IpCommand.in(namespace).batch(lines());
    }

    private void set(final String name, final String value) {
        final Path file = Path.of("/proc/sys").resolve(name);
        if (ipv6Address == null && !Files.exists(file)) {
            // A kernel without IPv6 has none to switch off.
            return;
        }
        try {
            Files.writeString(file, value);
        } catch (final IOException e) {
            throw new LinuxException("write " + value + " to " + file + ": " + e.getMessage(), e);
        }
    }
}
